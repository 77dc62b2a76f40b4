"""What captures would have shown of a call, had it gone to another backend.

DNAT comes first. A call that was captured as the client sent it is there whichever
backend it got. One that was only seen behind DNAT is there because of its backend: a
node's NIC shows neither what stays on the node nor what passes between two others. To
count such calls as fair draws from all backends would find an imbalance that is only in
the captures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Devices of single pods on their node.
_OF_ONE_POD = re.compile(r"(cali|veth|lxc|eni|tap|azv|gke)[0-9a-f]")


@dataclass(frozen=True)
class Visibility:
    """Where captures were taken.

    Parameters
    ----------
    nodes : frozenset of str
        Nodes whose NIC, tunnel device or ``any`` was captured.
    whole_nodes : frozenset of str
        Those with a capture of ``any``, which shows what stays on the node.
    backends : frozenset of str
        Those whose own device was captured.
    """

    nodes: frozenset[str]
    whole_nodes: frozenset[str]
    backends: frozenset[str]

    def shows(self, backend: str, node: str | None, entry_node: str | None) -> bool:
        """Tell if a call would have been seen behind DNAT on its way to a backend."""
        if backend in self.backends:
            return True
        if node is None:
            return not self.nodes
        if node == entry_node:
            return node in self.whole_nodes
        return node in self.nodes or entry_node in self.nodes


def visibility(calls: pl.DataFrame, nodes: Iterable[str]) -> Visibility:
    """Tell from the points that saw connections where captures were taken.

    Parameters
    ----------
    calls : pl.DataFrame
        See :func:`analyzer.analysis.spread.calls.subjects`.
    nodes : iterable of str
        Names of the cluster's nodes.
    """
    known = set(nodes)
    points = calls["points"].explode(empty_as_null=False).unique().to_list()
    devices = [point.partition("/")[::2] for point in points if point]
    of_nodes = [
        (node, device)
        for node, device in devices
        if node in known and not _OF_ONE_POD.match(device)
    ]
    last = calls.filter(pl.col("backend").is_not_null()).select(
        "backend", point=pl.col("points").list.last()
    )
    own = {
        backend
        for backend, point in last.unique().drop_nulls().rows()
        if point.partition("/")[0] == backend
        or _OF_ONE_POD.match(point.partition("/")[2])
    }
    return Visibility(
        frozenset(node for node, _ in of_nodes),
        frozenset(node for node, device in of_nodes if device == "any"),
        frozenset(own),
    )
