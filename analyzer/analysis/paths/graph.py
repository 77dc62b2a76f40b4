"""The graph of a cluster's traffic: vertices and edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from analyzer.analysis.paths.connections import path_connections
from analyzer.analysis.paths.facts import example_connection, node_facts, pod_facts
from analyzer.analysis.paths.selection import Selection, select
from analyzer.analysis.paths.steps import path_edges, path_nodes, path_steps

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
    steps : pl.LazyFrame
        One row per connection and step, see
        :func:`analyzer.analysis.paths.path_steps`; what edges are sums of.
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
    every = path_connections(tables.connections, tables.flows).collect().lazy()
    connections = select(every, selection) if selection else every
    connections = connections.collect().lazy()  # asked several times
    steps = path_steps(connections, tables.hops).collect().lazy()
    return PathGraph(
        path_nodes(connections, steps),
        path_edges(steps),
        steps,
        node_facts(every, tables.flows, cluster).lazy(),
        pod_facts(connections, cluster).lazy(),
        example_connection(connections),
    )
