"""Connections as a table would have them, and the cluster that they are of."""

from __future__ import annotations

import numpy as np
import polars as pl

from analyzer.cluster import (
    Backend,
    Cluster,
    Endpoint,
    Node,
    Pod,
    ProxyRule,
    Service,
    ServicePort,
)

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
NODES = ("n0", "n1", "n2", "n3")
PODS = ("web-a", "web-b", "web-c", "web-d")
TIME = pl.Datetime("ns", "UTC")

_TEXTS = {
    "protocol": "tcp",
    "client_ip": "192.0.2.1",
    "destination_ip": "198.51.100.1",
    "destination_kind": "LoadBalancer",
    "service_namespace": "default",
    "service_name": "web",
    "service_port_name": None,
    "entry_node": "n0",
    "backend_namespace": "default",
    "backend_workload": "DaemonSet/web",
    "client_pod": None,
    "client_node": None,
    "service_evidence": "observed",
    "backend_evidence": "observed",
}


def address(pod):
    return f"10.1.{PODS.index(pod)}.7"


def connections(chosen, **columns):
    """Make one connection per chosen pod (None: unknown), a tenth of a second apart.

    Parameters
    ----------
    chosen : sequence of str or None
    **columns
        A value for all of them, or one each.
    """
    size = len(chosen)
    given = {
        name: values
        if isinstance(values, (list, np.ndarray, pl.Series))
        else [values] * size
        for name, values in columns.items()
    }
    start = given.pop("start", [START + at * SECOND // 10 for at in range(size)])
    lasted = given.pop("lasted", [SECOND // 100] * size)
    default = {
        "connection_id": list(range(size)),
        "client_port": [40_000 + at % 20_000 for at in range(size)],
        "destination_port": [80] * size,
        "backend_pod": list(chosen),
        "backend_ip": [address(pod) if pod else None for pod in chosen],
        "backend_port": [8080 if pod else None for pod in chosen],
        "backend_node": [f"n{PODS.index(pod)}" if pod else None for pod in chosen],
        "client_packets": [5] * size,
        "backend_packets": [5] * size,
        "client_bytes": [300] * size,
        "backend_bytes": [700] * size,
        "requests": [1] * size,
        "candidates": [None] * size,
        "points": [["n0/ens18", "n0/ens18"]] * size,
        **{name: [value] * size for name, value in _TEXTS.items()},
        **given,
    }
    numbers = ("client_port", "destination_port", "backend_port")
    amounts = ("packets", "bytes")
    schema = {
        name: pl.UInt16
        if name in numbers
        else pl.UInt64
        if name.endswith(amounts) or name in ("requests", "connection_id")
        else pl.List(pl.String)
        if name in ("candidates", "points")
        else pl.String
        for name in default
    }
    return pl.LazyFrame(default, schema=schema).with_columns(
        start_time=pl.Series(start, dtype=pl.Int64).cast(TIME),
        end_time=pl.Series(np.add(start, lasted), dtype=pl.Int64).cast(TIME),
    )


def cluster(*, rules=True, probabilities=None, service=None, **rule):
    """Make a cluster with one service over one pod on each of four nodes."""
    chances = probabilities or dict.fromkeys(PODS, 0.25)
    backends = tuple(Backend(address(pod), 8080, p) for pod, p in chances.items())
    return Cluster(
        nodes=tuple(Node(name) for name in NODES),
        pods=tuple(
            Pod("default", pod, (address(pod),), node, "DaemonSet/web")
            for pod, node in zip(PODS, NODES, strict=True)
        ),
        services=(
            Service(
                "default",
                "web",
                "LoadBalancer",
                ("10.96.0.1",),
                ("198.51.100.1",),
                ports=(ServicePort("tcp", 80, target_port=8080),),
                endpoints_known=True,
                **(service or {}),
            ),
        ),
        endpoints=tuple(
            Endpoint("default", "web", address(pod), 8080, "tcp", node=node, pod=pod)
            for pod, node in zip(PODS, NODES, strict=True)
        ),
        rules=tuple(
            ProxyRule(
                rule.get("proxy", "iptables"),
                80,
                "tcp",
                node=node,
                address="198.51.100.1",
                kind="LoadBalancer",
                namespace="default",
                service="web",
                backends=backends,
                scope=rule.get("scope", "cluster"),
                affinity=rule.get("affinity", False),
                scheduler=rule.get("scheduler"),
            )
            for node in NODES
        )
        if rules
        else (),
    )


def drawn(size, probabilities=(0.25,) * 4, seed=0):
    """Draw pods as kube-proxy does."""
    generator = np.random.default_rng(seed)
    return [PODS[at] for at in generator.choice(4, size, p=probabilities)]
