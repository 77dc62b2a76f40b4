"""Whose the addresses are: from cluster state, and from the packets themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.cluster.inferred import Tunnels, roles_in_tunnels

if TYPE_CHECKING:
    from analyzer.cluster import Cluster
    from analyzer.correlate.survey import Survey

#: Devices that packets pass before they are encapsulated, or after.
OVERLAY = r"/(vxlan|flannel|geneve|genev_sys|tunl|wireguard|wg)[^/]*$"
#: Devices that a node's own calls leave by when they are for its pods.
_POD_SIDE = r"/(cali|veth|lxc|eni|azv|tap)[^/]*$"
ROLES = pl.Enum(["pod", "node", "tunnel", "service", "external"])
_COLUMNS = ("code", "address", "role", "name", "namespace", "node", "workload")


def address_roles(
    found: Survey, flows: pl.LazyFrame, cluster: Cluster | None
) -> pl.DataFrame:
    """Tell whose each address is.

    Parameters
    ----------
    found : Survey
        What the flows show.
    flows : pl.LazyFrame
        The flows table.
    cluster : Cluster, optional

    Returns
    -------
    pl.DataFrame
        One row per address that was seen or that the cluster state has: ``code`` (u32,
        of the categorical; of addresses that were not seen, a number of its own),
        ``address`` (str), ``role`` (str: node, tunnel, pod or service), ``name``,
        ``namespace``, ``node``, ``workload`` (str), ``is_inferred`` (bool). What is not
        known is null.
    """
    named = (
        pl.DataFrame(schema=dict.fromkeys(_COLUMNS[1:], pl.String))
        if cluster is None
        else _without_ended(cluster, flows).rename({"kind": "role"})
    )
    codes = _codes(found.addresses, [named, *_told(cluster)])
    inferred = roles_in_tunnels(Tunnels(found.inside, found.pairs)).select(
        "code", role_inferred="role", node_inferred="node"
    )
    return (
        codes.join(named, on="address", how="left", maintain_order="left")
        .join(inferred, on="code", how="left", maintain_order="left")
        .with_columns(
            is_inferred=pl.col("role").is_null() & pl.col("role_inferred").is_not_null()
        )
        .with_columns(
            role=pl.coalesce("role", "role_inferred"),
            node=pl.when("is_inferred").then("node_inferred").otherwise("node"),
        )
        .select(*_COLUMNS, "is_inferred")
        .with_columns(pl.col("role").cast(ROLES))
    )


def point_places(roles: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """Tell what points are.

    Parameters
    ----------
    roles : pl.DataFrame
        See :func:`address_roles`.
    points : pl.DataFrame
        See :class:`analyzer.correlate.survey.Survey`.

    Returns
    -------
    pl.DataFrame
        One row per ``point``: ``node`` (categorical, null if it is no node's),
        ``is_overlay``, ``is_pod_side`` (bool).
    """
    nodes = roles.filter(pl.col("role").is_in(["node", "tunnel"]))["node"].drop_nulls()
    point, host = pl.col("point").cast(pl.String), pl.col("name")
    return points.select(
        "point",
        node=pl.when(host.is_in(nodes.implode())).then(host.cast(pl.Categorical)),
        is_overlay=point.str.contains(OVERLAY),
        is_pod_side=point.str.contains(_POD_SIDE),
    )


def with_places(seen: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Add what points are to what was seen there."""
    codes = places["point"].to_physical()
    last: int = places.select(pl.col("point").to_physical().max().fill_null(0)).item()
    rows = pl.repeat(None, last + 1, dtype=pl.UInt32, eager=True)
    rows = rows.scatter(codes, range(places.height))
    return seen.hstack(places.drop("point")[rows[seen["point"].to_physical()]])


def node_hosts(roles: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Give nodes that captured: ``host`` (u32) and ``outer`` (u32, an address's code).

    Parameters
    ----------
    roles : pl.DataFrame
        See :func:`address_roles`.
    names : pl.DataFrame
        ``points`` of :class:`analyzer.correlate.survey.Survey`.
    """
    return (
        roles.filter(pl.col("role") == "node")
        .join(names.select("name", "host").unique(), left_on="node", right_on="name")
        .select("host", outer="code")
    )


def _without_ended(cluster: Cluster, flows: pl.LazyFrame) -> pl.DataFrame:
    """Tabulate addresses without the names of pods that may have ended before.

    Another pod, which is gone by now, may have had the address since.
    """
    table = cluster.address_table()
    finished = [pod for pod in cluster.pods if pod.is_finished and pod.ips]
    if not finished:
        return table
    began = flows.select(pl.col("start_time").min()).collect().item()
    ended = (
        pl.DataFrame(
            [
                (ip, pod.name)
                for pod in finished
                for ip in pod.ips
                if pod.end_time is None or began is None or pod.end_time < began
            ],
            schema={"address": pl.String, "name": pl.String},
            orient="row",
        )
        .unique()
        .with_columns(has_ended=pl.lit(value=True))
    )
    names = ("name", "namespace", "node", "workload")
    has_ended = pl.col("has_ended").fill_null(value=False) & (pl.col("kind") == "pod")
    return (
        table.join(ended, on=["address", "name"], how="left", maintain_order="left")
        .with_columns(pl.when(~has_ended).then(name).alias(name) for name in names)
        .drop("has_ended")
    )


def _told(cluster: Cluster | None) -> list[pl.DataFrame]:
    """List the addresses that cluster state has, wherever it has them."""
    if cluster is None:
        return []
    entries = cluster.conntrack_table()
    return [
        table.select(pl.col(name).alias("address"))
        for table, names in (
            (cluster.service_table(), ("address",)),
            (cluster.endpoint_table(), ("backend_ip",)),
            (entries, ("src_ip", "dst_ip", "reply_src_ip", "reply_dst_ip")),
        )
        for name in names
    ]


def _codes(seen: pl.DataFrame, told: list[pl.DataFrame]) -> pl.DataFrame:
    """Give each address a number; what was seen has one already, which it keeps.

    Returns
    -------
    pl.DataFrame
        One row per address, sorted: ``address`` (str), ``code`` (u32).
    """
    unused = pl.lit(seen["code"].max(), pl.UInt32).fill_null(0) + 1
    others = (
        pl.concat([table.select("address") for table in told])
        .drop_nulls()
        .unique()
        .join(seen, on="address", how="anti")
        .sort("address")
        .select("address", code=pl.row_index().cast(pl.UInt32) + unused)
    )
    return pl.concat([seen, others]).sort("address")
