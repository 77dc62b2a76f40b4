"""What nodes and pods look like beside their traffic: addresses and devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.analysis.paths.connections import NIC, TUNNEL_DEVICES

if TYPE_CHECKING:
    from analyzer.cluster import Cluster

_TUNNEL_DEVICE = "|".join(TUNNEL_DEVICES.values())


def node_facts(
    kinds: pl.DataFrame, flows: pl.DataFrame, cluster: Cluster | None = None
) -> pl.DataFrame:
    """Tabulate what is known of nodes.

    Parameters
    ----------
    kinds, flows : pl.DataFrame
        Kinds of connections and of flows, see
        :mod:`analyzer.analysis.paths.connections`.
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
            kinds.select(
                "connections", "vni", node=f"{end}_node", address=f"outer_{side}_ip"
            )
            for end, side in (("entry", "client"), ("backend", "backend"))
        ]
    ).drop_nulls(["node", "address"])
    is_own = pl.col("snat_ip").is_not_null() | (
        pl.col("client_pod").is_null() & pl.col("client_node").is_not_null()
    )
    lent = kinds.filter(pl.col("outer_client_ip").is_not_null() & is_own).select(
        "connections",
        node="entry_node",
        tunnel_address=pl.coalesce("snat_ip", "client_ip"),
        outer="outer_client_ip",
    )
    count = pl.col("flow_ids").list.len()
    devices = (
        flows.drop_nulls("device")
        .group_by("device", node="host")
        .agg(
            tunneled=count.filter(pl.col("tunnel").is_not_null()).sum(),
            flows=count.sum(),
        )
        .sort("tunneled", "flows", "device", descending=[True, True, False])
    )
    told = (
        pl.concat(
            [
                outer.select("node", "vni"),
                _most_common("address", outer),
                kinds.select(node="entry_node"),
                kinds.select(node="backend_node"),
                kinds.select(node="client_node"),
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
            _most_common(
                "tunnel_address",
                lent.filter(pl.col("tunnel_address") != pl.col("outer")).drop_nulls(),
            ),
            on="node",
            how="left",
        )
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


def _most_common(name: str, kinds: pl.DataFrame, of: str = "node") -> pl.DataFrame:
    """Take what most connections have, of several such the least."""
    return (
        kinds.group_by(of, name)
        .agg(pl.col("connections").sum())
        .sort("connections", name, descending=[True, False])
        .unique(of, keep="first")
        .select(of, name)
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


def pod_facts(kinds: pl.DataFrame, cluster: Cluster | None = None) -> pl.DataFrame:
    """Tabulate the pods that answer, or could have answered, what was called.

    Parameters
    ----------
    kinds : pl.DataFrame
        See :func:`analyzer.analysis.paths.connections.connection_kinds`.
    cluster : Cluster, optional
        Adds the endpoints of the services that were called and got nothing.

    Returns
    -------
    pl.DataFrame
        One row per backend address, sorted: ``address``, ``pod``, ``namespace``,
        ``node``, ``workload``, ``device`` (str: the host's side of its interface; null
        where not known), ``services`` (list of str).
    """
    answering = kinds.rename({"backend_ip": "address"}).drop_nulls("address")
    seen = answering.group_by("address").agg(
        pod=pl.col("backend_pod").max(),
        namespace=pl.col("backend_namespace").max(),
        node=pl.col("backend_node").max(),
        workload=pl.col("backend_workload").max(),
        services=pl.col("service").drop_nulls().unique().sort(),
    )
    devices = _most_common(
        "device",
        answering.select("address", "connections", device="pod_devices")
        .explode("device")
        .drop_nulls("device"),
        of="address",
    )
    called = set(kinds["service"].drop_nulls())
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


def example_connection(kinds: pl.LazyFrame, connections: pl.LazyFrame) -> pl.LazyFrame:
    """Take the first of the connections that most happened to.

    Parameters
    ----------
    kinds : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.connection_kinds`.
    connections : pl.LazyFrame
        The connections table.

    Returns
    -------
    pl.LazyFrame
        One row, or none if nothing was rewritten and captured on both sides of that:
        ``connection_id``, ``client_ip``, ``client_port``, ``destination_ip``,
        ``destination_port``, ``snat_ip``, ``snat_port``, ``backend_ip``,
        ``backend_port``, ``entry_node``, ``backend_node``, ``tunnel``, ``vni``,
        ``outer_client_ip``, ``outer_backend_ip``.
    """
    events = (
        pl.col("outer_client_ip").is_not_null().cast(pl.UInt8) * 2
        + pl.col("snat_ip").is_not_null().cast(pl.UInt8)
        + pl.col("is_answered").cast(pl.UInt8)
    )
    return (
        kinds.filter(
            pl.col("service_evidence").is_in(["observed", "none"]),
            pl.col("backend_evidence") == "observed",
            pl.col("destination_ip") != pl.col("backend_ip"),
        )
        .with_columns(connection_id=pl.col("connection_ids").list.min())
        .sort(events, "connection_id", descending=[True, False])
        .head(1)
        .join(
            connections.select("connection_id", "client_port", "snat_port"),
            on="connection_id",
        )
        .select(
            "connection_id",
            *(
                f"{end}_{part}"
                for end in ("client", "destination", "snat", "backend")
                for part in ("ip", "port")
            ),
            "entry_node",
            "backend_node",
            "tunnel",
            "vni",
            "outer_client_ip",
            "outer_backend_ip",
        )
    )
