"""What nodes and pods look like beside their traffic: addresses and devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.analysis.paths.connections import (
    NIC,
    TUNNEL_DEVICES,
)
from analyzer.tables.expressions import device_of, host_of

if TYPE_CHECKING:
    from analyzer.cluster import Cluster

_TUNNEL_DEVICE = "|".join(TUNNEL_DEVICES.values())
_POD_DEVICE = r"^(cali|veth|lxc|eni|tap)"


def node_facts(
    connections: pl.LazyFrame, flows: pl.LazyFrame, cluster: Cluster | None = None
) -> pl.DataFrame:
    """Tabulate what is known of nodes.

    Parameters
    ----------
    connections : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.path_connections`.
    flows : pl.LazyFrame
        The flows table.
    cluster : Cluster, optional
        Goes before what packets tell, and adds nodes that have no traffic.

    Returns
    -------
    pl.DataFrame
        One row per node, sorted: ``node``, ``address`` (its own, which tunnels end
        at), ``nic``, ``tunnel_device``, ``tunnel_address`` (str, null if not known),
        ``vni`` (u32).
    """
    outer = pl.concat(
        [
            connections.select(
                "vni", node=f"{end}_node", address=f"outer_{side}_ip", inner=inner
            )
            for end, side, inner in (
                ("entry", "client", pl.coalesce("snat_ip", "client_ip")),
                ("backend", "backend", pl.lit(None, pl.String)),
            )
        ]
    ).filter(pl.col("node").is_not_null() & pl.col("address").is_not_null())
    is_own = pl.col("snat_ip").is_not_null() | (
        pl.col("client_pod").is_null() & pl.col("client_node").is_not_null()
    )
    lent = connections.filter(pl.col("outer_client_ip").is_not_null() & is_own).select(
        node="entry_node",
        tunnel_address=pl.coalesce("snat_ip", "client_ip"),
        outer="outer_client_ip",
    )
    devices = (
        flows.select(
            node=host_of("point"),
            device=device_of("point"),
            is_tunneled=pl.col("tunnel").is_not_null(),
        )
        .drop_nulls("device")
        .group_by("node", "device")
        .agg(tunneled=pl.col("is_tunneled").sum(), flows=pl.len())
        .sort("tunneled", "flows", "device", descending=[True, True, False])
    )
    told = (
        pl.concat(
            [
                outer.group_by("node").agg(
                    address=pl.col("address").mode().min(), vni=pl.col("vni").min()
                ),
                connections.select(node="entry_node"),
                connections.select(node="backend_node"),
                connections.select(node="client_node"),
            ],
            how="diagonal",
        )
        .drop_nulls("node")
        .group_by("node")
        .agg(pl.col("address").min(), pl.col("vni").min())
        .join(
            devices.filter(pl.col("device").str.contains(NIC))
            .group_by("node", maintain_order=True)
            .agg(nic=pl.col("device").first()),
            on="node",
            how="left",
        )
        .join(
            devices.filter(pl.col("device").str.contains(_TUNNEL_DEVICE))
            .group_by("node")
            .agg(tunnel_device=pl.col("device").min()),
            on="node",
            how="left",
        )
        .join(
            lent.filter(pl.col("tunnel_address") != pl.col("outer"))
            .drop_nulls()
            .group_by("node")
            .agg(pl.col("tunnel_address").mode().min()),
            on="node",
            how="left",
        )
        .collect()
    )
    stated = stated_nodes(cluster)
    names = ["address", "nic", "tunnel_device", "tunnel_address"]
    return (
        stated.join(told, on="node", how="full", coalesce=True, suffix="_told")
        .select(
            "node",
            *(pl.coalesce(name, f"{name}_told").alias(name) for name in names),
            "vni",
        )
        .sort("node")
    )


def stated_nodes(cluster: Cluster | None) -> pl.DataFrame:
    """Tabulate what cluster state says of nodes, see :func:`node_facts`."""
    rows = []
    for node in cluster.nodes if cluster else ():
        address = next(iter(node.internal_ips), None)
        nic = tunnel = None
        for interface in cluster.interfaces if cluster else ():
            if interface.node != node.name:
                continue
            if address in interface.addresses:
                nic = nic or interface.name
            if set(node.tunnel_ips) & set(interface.addresses):
                tunnel = tunnel or interface.name
        rows.append(
            (node.name, address, nic, tunnel, next(iter(node.tunnel_ips), None))
        )
    columns = ["node", "address", "nic", "tunnel_device", "tunnel_address"]
    return pl.DataFrame(rows, dict.fromkeys(columns, pl.String), orient="row")


def pod_facts(
    connections: pl.LazyFrame, cluster: Cluster | None = None
) -> pl.DataFrame:
    """Tabulate the pods that answer, or could have answered, what was called.

    Parameters
    ----------
    connections : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.path_connections`.
    cluster : Cluster, optional
        Adds the endpoints of the services that were called and got nothing.

    Returns
    -------
    pl.DataFrame
        One row per backend address, sorted: ``address``, ``pod``, ``namespace``,
        ``node``, ``workload``, ``device`` (str: the host's side of its interface; null
        where not known), ``services`` (list of str).
    """
    seen = (
        connections.filter(pl.col("backend_ip").is_not_null())
        .group_by("backend_ip")
        .agg(
            pod=pl.col("backend_pod").max(),
            namespace=pl.col("backend_namespace").max(),
            node=pl.col("backend_node").max(),
            workload=pl.col("backend_workload").max(),
            services=pl.col("service").drop_nulls().unique().sort(),
        )
        .rename({"backend_ip": "address"})
        .collect()
    )
    devices = (
        connections.select("backend_ip", "backend_node", point="points")
        .explode("point")
        .drop_nulls("point")
        .with_columns(host=host_of("point"), device=device_of("point"))
        .filter(
            (pl.col("host") == pl.col("backend_node"))
            & pl.col("device").str.contains(_POD_DEVICE)
        )
        .group_by("backend_ip")
        .agg(pl.col("device").mode().min())
        .rename({"backend_ip": "address"})
        .collect()
    )
    called = set(connections.select("service").collect()["service"].drop_nulls())
    idle = _endpoints(cluster, called)
    return (
        pl.concat([seen, idle.join(seen, on="address", how="anti")])
        .join(devices, on="address", how="left")
        .sort("node", "workload", "pod", "address", nulls_last=True)
    )


def _endpoints(cluster: Cluster | None, services: set[str]) -> pl.DataFrame:
    """Tabulate the endpoints of services, whether they were called or not."""
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "address": pl.String,
        "pod": pl.String,
        "namespace": pl.String,
        "node": pl.String,
        "workload": pl.String,
        "services": pl.List(pl.String),
    }
    if cluster is None:
        return pl.DataFrame(schema=schema)
    name = pl.concat_str("service_namespace", "service_name", separator="/")
    owners = cluster.address_table().filter(pl.col("kind") == "pod")
    return (
        cluster.endpoint_table()
        .with_columns(service=name)
        .filter(pl.col("service").is_in(services))
        .group_by("backend_ip")
        .agg(
            pl.col("backend_pod").max(),
            pl.col("backend_node").max(),
            services=pl.col("service").unique().sort(),
        )
        .join(owners, left_on="backend_ip", right_on="address", how="left")
        .select(
            address="backend_ip",
            pod=pl.coalesce("name", "backend_pod"),
            namespace="namespace",
            node=pl.coalesce("node", "backend_node"),
            workload="workload",
            services="services",
        )
    )


def example_connection(connections: pl.LazyFrame) -> pl.LazyFrame:
    """Take the first of the connections that most happened to.

    Parameters
    ----------
    connections : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.path_connections`.

    Returns
    -------
    pl.LazyFrame
        One row, or none if nothing was rewritten and captured on both sides of that:
        ``connection_id``, ``client_ip``, ``client_port``, ``destination_ip``,
        ``destination_port``, ``snat_ip``, ``snat_port``, ``backend_ip``,
        ``backend_port``, ``entry_node``, ``backend_node``, ``tunnel``, ``vni``,
        ``outer_client_ip``, ``outer_backend_ip``.
    """
    ends = ("client", "destination", "snat", "backend")
    events = (
        pl.col("outer_client_ip").is_not_null().cast(pl.UInt8) * 2
        + pl.col("snat_ip").is_not_null().cast(pl.UInt8)
        + pl.col("is_answered").cast(pl.UInt8)
    )
    return (
        connections.filter(
            pl.col("service_evidence").is_in(["observed", "none"]),
            pl.col("backend_evidence") == "observed",
            pl.col("destination_ip") != pl.col("backend_ip"),
        )
        .sort(events, "connection_id", descending=[True, False])
        .head(1)
        .select(
            "connection_id",
            *(f"{end}_{part}" for end in ends for part in ("ip", "port")),
            "entry_node",
            "backend_node",
            "tunnel",
            "vni",
            "outer_client_ip",
            "outer_backend_ip",
        )
    )
