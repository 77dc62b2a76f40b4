"""The cluster without traffic: what its state says could reach what."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.analysis.paths.facts import stated_nodes
from analyzer.errors import ClusterError, QueryError

if TYPE_CHECKING:
    from analyzer.analysis.paths.selection import Selection
    from analyzer.cluster import Cluster


class Topology(NamedTuple):
    """What a cluster consists of, as tables.

    Parameters
    ----------
    fronts : pl.LazyFrame
        One row per Service, kind of address, address and port, sorted: ``service``
        (str, ``namespace/name``), ``kind``, ``address`` (str; null for a NodePort,
        which every node has), ``port`` (u16), ``protocol``.
    hosts : pl.LazyFrame
        One row per node: ``node``, ``address``, ``nic``, ``tunnel_device``,
        ``tunnel_address``, ``vtep_mac`` (str, null if not told).
    pods : pl.LazyFrame
        One row per pod address that is not its node's own, sorted: ``address``,
        ``pod``, ``namespace``, ``node``, ``workload``, ``services`` (list of str).
    endpoints : pl.LazyFrame
        One row per Service and endpoint, but for those that are not ready, sorted:
        ``service``, ``address``, ``port`` (u16, the endpoint's), ``protocol``.
    """

    fronts: pl.LazyFrame
    hosts: pl.LazyFrame
    pods: pl.LazyFrame
    endpoints: pl.LazyFrame


def topology(cluster: Cluster, selection: Selection | None = None) -> Topology:
    """Tabulate Services, nodes, pods and which is behind which.

    Parameters
    ----------
    cluster : Cluster
    selection : Selection, optional
        Keep only its services, and the pods behind them, or its pods.

    Returns
    -------
    Topology

    Raises
    ------
    ClusterError
        If the state tells of no nodes.
    QueryError
        If it has no such service or pod.
    """
    if not cluster.nodes:
        raise ClusterError(
            "the cluster state tells of no nodes",
            hint="add the output of: kubectl get nodes -o json",
        )
    service = pl.concat_str("service_namespace", "service_name", separator="/")
    is_node_port = pl.col("kind") == "NodePort"
    fronts = (
        cluster.service_table()
        .with_columns(
            service=service,
            address=pl.when(~is_node_port).then("address"),
        )
        .select("service", "kind", "address", "port", "protocol")
        .unique()
        .sort(pl.all(), nulls_last=True)
    )
    endpoints = (
        cluster.endpoint_table()
        .filter(pl.col("is_ready").fill_null(value=True))
        .select(
            service=service,
            address="backend_ip",
            port="backend_port",
            protocol="protocol",
        )
        .unique()
        .sort(pl.all(), nulls_last=True)
    )
    services_of = endpoints.group_by("address").agg(
        services=pl.col("service").unique().sort()
    )
    macs = pl.DataFrame(
        [(node.name, node.vtep_mac) for node in cluster.nodes],
        {"node": pl.String, "vtep_mac": pl.String},
        orient="row",
    )
    pods = (
        cluster.address_table()
        .filter(pl.col("kind") == "pod")
        .join(services_of, on="address", how="left")
        .select(
            "address",
            "namespace",
            "node",
            "workload",
            pod="name",
            services=pl.col("services").fill_null([]),
        )
        .sort("node", "workload", "pod", "address", nulls_last=True)
    )
    if selection:
        fronts, endpoints, pods = _selected(fronts, endpoints, pods, selection)
    hosts = stated_nodes(cluster).join(macs, on="node", how="left").sort("node")
    return Topology(fronts.lazy(), hosts.lazy(), pods.lazy(), endpoints.lazy())


def _selected(
    fronts: pl.DataFrame,
    endpoints: pl.DataFrame,
    pods: pl.DataFrame,
    selection: Selection,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    if selection.services:
        names = list(selection.services)
        is_named = pl.col("service").is_in(names) | pl.col("service").str.split(
            "/"
        ).list.last().is_in(names)
        fronts = fronts.filter(is_named)
        if fronts.is_empty():
            raise QueryError(f"the cluster has no service {' or '.join(names)}")
        endpoints = endpoints.filter(is_named)
        pods = pods.filter(pl.col("address").is_in(endpoints["address"].implode()))
    if selection.pods:
        names = [name.rpartition("/")[2] for name in selection.pods]
        pods = pods.filter(pl.col("pod").is_in(names))
        if pods.is_empty():
            raise QueryError(f"the cluster has no pod {' or '.join(names)}")
        endpoints = endpoints.filter(pl.col("address").is_in(pods["address"].implode()))
        fronts = fronts.filter(
            pl.col("service").is_in(endpoints["service"].unique().implode())
        )
    return fronts, endpoints, pods
