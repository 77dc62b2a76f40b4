"""The graph of a cluster's traffic: vertices and edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from analyzer.analysis.paths.connections import connection_kinds, flow_kinds
from analyzer.analysis.paths.facts import example_connection, node_facts, pod_facts
from analyzer.analysis.paths.selection import Selection, select
from analyzer.analysis.paths.steps import (
    path_edges,
    path_nodes,
    path_steps,
    path_sums,
)

if TYPE_CHECKING:
    import polars as pl

    from analyzer.cluster import Cluster
    from analyzer.tables import Tables


class PathGraph(NamedTuple):
    """A graph of paths, as tables.

    Parameters
    ----------
    nodes : pl.LazyFrame
        One row per vertex, see :func:`analyzer.analysis.paths.path_nodes`.
    edges : pl.LazyFrame
        One row per step between two vertices, service and evidence, see
        :func:`analyzer.analysis.paths.path_edges`.
    sums : pl.LazyFrame
        One row per step of connections that are alike, see
        :func:`analyzer.analysis.paths.path_sums`; what edges are sums of.
    steps : pl.LazyFrame
        One row per connection and step, see
        :func:`analyzer.analysis.paths.path_steps`; what ``sums`` are sums of.
    hosts : pl.LazyFrame
        One row per node of the cluster, see
        :func:`analyzer.analysis.paths.facts.node_facts`.
    pods : pl.LazyFrame
        One row per address that answered or could have, see
        :func:`analyzer.analysis.paths.facts.pod_facts`.
    example : pl.LazyFrame
        One connection that was rewritten most on its way, see
        :func:`analyzer.analysis.paths.facts.example_connection`.
    """

    nodes: pl.LazyFrame
    edges: pl.LazyFrame
    sums: pl.LazyFrame
    steps: pl.LazyFrame
    hosts: pl.LazyFrame
    pods: pl.LazyFrame
    example: pl.LazyFrame


def path_graph(
    tables: Tables,
    cluster: Cluster | None = None,
    selection: Selection | None = None,
) -> PathGraph:
    """Make the graph of a cluster's traffic from its tables.

    Parameters
    ----------
    tables : Tables
        With ``connections``, ``flows`` and ``hops``.
    cluster : Cluster, optional
        Adds addresses and devices that no packet showed, and pods without traffic.
    selection : Selection, optional
        Which connections; all if not given.

    Returns
    -------
    PathGraph

    Raises
    ------
    QueryError
        If no connection has what the selection names.

    Examples
    --------
    >>> graph = path_graph(open_tables("capture.tables"))  # doctest: +SKIP
    >>> graph.edges.filter(pl.col("dnat") > 0).collect()  # doctest: +SKIP
    """
    shown = flow_kinds(tables.flows)
    every = connection_kinds(tables.connections, shown)
    chosen = select(every.lazy(), selection).collect() if selection else every
    kinds = chosen.lazy()
    sums = path_sums(kinds, tables.hops).collect(engine="streaming").lazy()
    return PathGraph(
        path_nodes(kinds, sums),
        path_edges(sums),
        sums,
        path_steps(kinds, tables.connections, tables.hops),
        node_facts(every, shown, cluster).lazy(),
        pod_facts(chosen, cluster).lazy(),
        example_connection(kinds, tables.connections),
    )
