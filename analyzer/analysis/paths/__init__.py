"""The paths of connections: a graph of the cluster, and one connection's ladder."""

from analyzer.analysis.paths.collapse import OTHERS, Limits, collapse
from analyzer.analysis.paths.connections import connection_kinds, flow_kinds
from analyzer.analysis.paths.graph import PathGraph, path_graph
from analyzer.analysis.paths.routes import path_routes
from analyzer.analysis.paths.selection import Selection, select
from analyzer.analysis.paths.steps import (
    ELSEWHERE,
    STEPS,
    UNSEEN,
    path_edges,
    path_nodes,
    path_steps,
    path_sums,
)
from analyzer.analysis.paths.topology import Topology, topology

__all__ = [
    "ELSEWHERE",
    "OTHERS",
    "STEPS",
    "UNSEEN",
    "Limits",
    "PathGraph",
    "Selection",
    "Topology",
    "collapse",
    "connection_kinds",
    "flow_kinds",
    "path_edges",
    "path_graph",
    "path_nodes",
    "path_routes",
    "path_steps",
    "path_sums",
    "select",
    "topology",
]
