"""What one part of a file says, before it is brought together with the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.cluster.model import Remark, Source

if TYPE_CHECKING:
    from collections.abc import Iterable
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
    complete : set of (str, str, int)
        Services, by namespace and name, all of whose endpoints of an IP version are in
        ``endpoints``.
    incomplete : set of (str, str)
        Services some of whose endpoints could not be read.
    is_listing : bool
        Whether it is all of what one command listed, and not an object of many.
    has_namespaces : bool
        Whether it says itself of each object in which namespace it is.
    ruled : set of int
        IP versions of which the rules are those of all services.
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
    complete: set[tuple[str, str, int]] = field(default_factory=set)
    incomplete: set[tuple[str, str]] = field(default_factory=set)
    is_listing: bool = False
    has_namespaces: bool = False
    ruled: set[int] = field(default_factory=set)
    others: int = 0
    remarks: list[Remark] = field(default_factory=list)

    def remark(self, line: int, text: str, reason: str, lines: int = 1) -> None:
        """Keep something that was not understood."""
        self.remarks.append(Remark(line, text, reason, lines))

    def tell_endpoints(
        self, service: tuple[str, str], versions: Iterable[int], *, is_whole: bool
    ) -> None:
        """Keep whether all endpoints of a service were told, by its IP versions."""
        if is_whole:
            self.complete.update((*service, version) for version in versions)
        else:
            self.incomplete.add(service)

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
