"""What one part of a file says, before it is brought together with the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.cluster.model import Remark, Source

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from analyzer.cluster.model import (
        Endpoint,
        Interface,
        Node,
        Pod,
        ProxyRule,
        Service,
    )

#: In the place of a namespace that the text does not tell.
UNTOLD = ""


@dataclass(slots=True)
class Ruleset:
    """What kube-proxy's rules said in one dump; their node is not known yet.

    Parameters
    ----------
    rules : list of ProxyRule
    time : datetime, optional
        When it was written, if it says so. The time zone is whatever the node's was.
    """

    rules: list[ProxyRule] = field(default_factory=list)
    time: datetime | None = None


@dataclass(slots=True)
class Found:
    """The objects of one part of a file.

    Parameters
    ----------
    path, line, kind, used
        As in :class:`analyzer.cluster.model.Source`.
    structured : bool
        Whether it came as JSON or YAML, which tell more than text and tell it exactly.
    host : str, optional
        The host on which the command ran, if a shell prompt says so.
    pod : str, optional
        The pod in which it ran (``kubectl exec``).
    own_addresses : set of str
        Addresses that the text says to be those of its host.
    rulesets : list of Ruleset
    conntrack : pl.DataFrame, optional
        As :func:`analyzer.cluster.conntrack.read_lines` gives it.
    complete : set of (str, str)
        Services, by namespace and name, all of whose endpoints are in ``endpoints``.
    others : int
        Objects that were recognised and of which nothing is kept.
    """

    path: str
    line: int
    kind: str
    used: bool = True
    structured: bool = False
    host: str | None = None
    pod: str | None = None
    nodes: list[Node] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)
    interfaces: list[Interface] = field(default_factory=list)
    own_addresses: set[str] = field(default_factory=set)
    rulesets: list[Ruleset] = field(default_factory=list)
    conntrack: pl.DataFrame | None = None
    complete: set[tuple[str, str]] = field(default_factory=set)
    others: int = 0
    remarks: list[Remark] = field(default_factory=list)

    def remark(self, line: int, text: str, reason: str, lines: int = 1) -> None:
        """Keep something that was not understood."""
        self.remarks.append(Remark(line, text, reason, lines))

    def source(self) -> Source:
        """Say what came of this part."""
        objects = (
            len(self.nodes)
            + len(self.pods)
            + len(self.services)
            + len(self.endpoints)
            + len(self.interfaces)
            + sum(len(ruleset.rules) for ruleset in self.rulesets)
            + self.others
        )
        return Source(
            self.path, self.line, self.kind, objects, self.used, tuple(self.remarks)
        )
