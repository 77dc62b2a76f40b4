"""The ways that packets take through a cluster of three nodes, as Calico lays them.

What kube-proxy and Calico rewrite is written down here once more, from their
documentation: DNAT on the node that a call reaches, masquerading of what comes in from
outside or leaves the pods' network, and one less TTL on every node that forwards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import analyzer
from tests.cluster.objects import (
    a_list,
    a_node,
    a_pod,
    a_service,
    what_every_cluster_has,
)
from tests.correlate.simulated import End, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODES = ("node-a", "node-b", "node-c")
OUTSIDE = ("198.51.100.7", "198.51.100.8")
_HOP = 20  # microseconds from one device to the next


@dataclass(frozen=True)
class Host:
    """Who sends or takes packets: a pod, a node, or somebody outside."""

    kind: str
    name: str
    address: str
    node: str | None = None


@dataclass(frozen=True)
class Service:
    """Where a service answers; ``kinds`` has the address of each kind."""

    name: str
    app: str
    cluster_ip: str
    port: int
    target_port: int
    node_port: int | None = None
    balancer: str | None = None
    is_local: bool = False


@dataclass
class Walk:
    """A call: what it truly is, and what every device on its way sees."""

    client: Host
    client_end: End
    destination: End
    kind: str
    service: Service | None
    backend: Host | None = None
    backend_end: End | None = None
    seen: list[Seen] = field(default_factory=list)


def node_ip(node: str) -> str:
    return f"192.0.2.{NODES.index(node) + 1}"


def tunnel_ip(node: str) -> str:
    return f"10.1.{NODES.index(node) + 1}.0"


def pod(app: str, number: int, node: str, last: int | None = None) -> Host:
    address = f"10.1.{NODES.index(node) + 1}.{last or 10 + number}"
    return Host("pod", f"{app}-{number}", address, node)


def node(name: str) -> Host:
    return Host("node", name, node_ip(name), name)


def outsider(number: int) -> Host:
    return Host("external", f"client-{number}", OUTSIDE[number])


def numbers(call: int) -> tuple[int, int]:
    """Give both initial sequence numbers of a call, like no other's."""
    return 1_000_003 * (call + 1) + 500_000_000, 7_000_003 * (call + 1) + 90_000_000


class Ways:
    """Walks of calls; ``ports`` gives what masquerading takes as port."""

    def __init__(self, ports: Iterator[int] | None = None) -> None:
        self._ports = count(50_000) if ports is None else ports

    def to_service(
        self, client: Host, port: int, service: Service, kind: str, at: str, to: Host
    ) -> Walk:
        """Call a service by its address of a kind, of node ``at`` if of a node."""
        destination = {
            "ClusterIP": (service.cluster_ip, service.port),
            "NodePort": (node_ip(at), service.node_port),
            "LoadBalancer": (service.balancer, service.port),
        }[kind]
        walk = Walk(client, (client.address, port), destination, kind, service)
        walk.backend, walk.backend_end = to, (to.address, service.target_port)
        # Pods and nodes translate where they are, but for other nodes' ports.
        is_here = kind != "NodePort" or client.node == at
        entry = client.node if client.node and is_here else at
        self._walk(walk, entry)
        return walk

    def direct(self, client: Host, port: int, to: Host, to_port: int) -> Walk:
        """Call somebody by their own address."""
        end = (to.address, to_port)
        kind = {"pod": "Pod", "node": "Node", "external": "External"}[to.kind]
        walk = Walk(client, (client.address, port), end, kind, None, to, end)
        self._walk(walk, client.node or to.node)
        return walk

    def _walk(self, walk: Walk, entry: str) -> None:
        path = _Path(walk.client_end, walk.destination)
        client, to = walk.client, walk.backend
        is_translated = walk.service is not None
        here = client.node
        if client.kind == "pod":
            path.see(here, f"cali{client.name}")
            path.forward()
        if here is not None and here != entry:
            # By another node's port: first to that node.
            if client.kind == "pod":
                path.source = (node_ip(here), next(self._ports))
            path.see(here, "eth0")
            path.see(entry, "eth0")
            path.forward()
        elif here is None:
            path.see(entry, "eth0")
            path.forward()
        path.server = walk.backend_end
        is_own = client.kind == "node" and here == entry
        needs_masquerade = is_translated and (
            walk.kind in ("NodePort", "LoadBalancer") and not walk.service.is_local
        )
        is_hairpin = client == to
        if to.kind == "external":
            if client.kind == "pod":
                path.source = (node_ip(entry), next(self._ports))
            path.see(entry, "eth0")
        elif to.kind == "node":
            if to.node != entry:
                if client.kind == "pod":
                    path.source = (node_ip(entry), next(self._ports))
                path.see(entry, "eth0")
                path.see(to.node, "eth0")
        elif to.node == entry:
            if needs_masquerade or is_hairpin:
                path.source = (node_ip(entry), next(self._ports))
            path.see(entry, f"cali{to.name}")
        else:
            if needs_masquerade or (is_own and is_translated):
                path.source = (tunnel_ip(entry), next(self._ports))
            elif is_own:
                path.source = (tunnel_ip(entry), walk.client_end[1])
            outer = (node_ip(entry), node_ip(to.node))
            path.see(entry, "vxlan.calico")
            path.see(entry, "eth0", outer)
            path.see(to.node, "eth0", outer)
            path.see(to.node, "vxlan.calico")
            path.forward()
            path.see(to.node, f"cali{to.name}")
        if is_own and not is_translated and to.kind == "pod" and to.node != entry:
            # The route tells the source: it is the tunnel's from the beginning.
            walk.client_end = path.source
        walk.seen = path.with_reply_ttls()


class _Path:
    """A packet of the client on its way."""

    def __init__(self, source: End, server: End) -> None:
        self.source, self.server, self._ttl = source, server, 64
        self._seen: list[Seen] = []

    def see(self, node: str, device: str, outer: tuple[str, str] | None = None) -> None:
        delay = len(self._seen) * _HOP
        file = f"{node}.{device}.pcap"
        self._seen.append(Seen(file, self.source, self.server, self._ttl, delay, outer))

    def forward(self) -> None:
        self._ttl -= 1

    def with_reply_ttls(self) -> list[Seen]:
        return [
            each._replace(reply_ttl=64 - (each.ttl - self._seen[-1].ttl))
            for each in self._seen
        ]


def state(
    folder: Path,
    pods: list[Host],
    services: list[Service],
    *,
    is_whole: bool = True,
) -> analyzer.Cluster:
    """Save a cluster's state and load it; what is not whole is of one namespace."""
    nodes = [
        a_node(
            name,
            node_ip(name),
            metadata={
                "annotations": {
                    "projectcalico.org/IPv4VXLANTunnelAddr": tunnel_ip(name)
                }
            },
        )
        for name in NODES
    ]
    items = [
        *nodes,
        *(
            a_pod(
                each.name,
                each.address,
                nodeName=each.node,
                metadata={"labels": {"app": each.name.rpartition("-")[0]}},
            )
            for each in pods
        ),
        *map(_service, services),
    ]
    if is_whole:
        items += what_every_cluster_has(**{name: node_ip(name) for name in NODES})
    path = folder / "state.json"
    path.write_text(json.dumps(a_list(*items)))
    state = analyzer.Cluster.load([path])
    if not is_whole:
        return state
    return replace(state, extent=replace(state.extent, rules=state.extent.lists))


def _service(service: Service) -> dict[str, Any]:
    port: dict[str, Any] = {"port": service.port, "targetPort": service.target_port}
    kind, status = "ClusterIP", {}
    if service.node_port:
        kind, port["nodePort"] = "NodePort", service.node_port
    if service.balancer:
        kind = "LoadBalancer"
        status = {"loadBalancer": {"ingress": [{"ip": service.balancer}]}}
    ports = [port, {**port, "protocol": "UDP"}]
    for number, each in enumerate(ports):
        each["name"] = f"port-{number}"
    return a_service(
        service.name,
        *ports,
        type=kind,
        clusterIP=service.cluster_ip,
        clusterIPs=[service.cluster_ip],
        selector={"app": service.app},
        externalTrafficPolicy="Local" if service.is_local else "Cluster",
        status=status,
    )
