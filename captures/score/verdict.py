"""What a judgement consists of: figures that add up, and the findings behind them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

COUNTED = ("missing", "duplicated", "wrong", "unknown", "odd")


@dataclass
class Figures:
    """Counts of connections of the truth, and of rows; ``captures/cluster/SCORE.md``.

    They add up over subjects.
    """

    visible: int = 0
    one_row: int = 0
    missing: int = 0
    duplicated: int = 0
    joinable: int = 0
    joined: int = 0
    eliminable: int = 0
    eliminated: int = 0
    named_service: int = 0
    named_backend: int = 0
    unnamed: int = 0
    wrong: int = 0
    unknown: int = 0
    odd: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(self))
        )

    @property
    def faults(self) -> int:
        """What must not be; unnamed is no fault."""
        unjoined = self.joinable - self.joined
        uneliminated = self.eliminable - self.eliminated
        bad = self.missing + self.duplicated + self.wrong + self.unknown + self.odd
        return bad + unjoined + uneliminated


@dataclass(frozen=True)
class Finding:
    """Something to look at: what sort, which connection, which row, and why."""

    sort: str
    id: str | None
    connection_id: int | None
    reason: str


@dataclass
class Verdict:
    """Figures and findings of one run."""

    figures: Figures = field(default_factory=Figures)
    findings: list[Finding] = field(default_factory=list)

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(self.figures + other.figures, [*self.findings, *other.findings])

    def find(self, sort: str, id_: str | None, number: int | None, reason: str) -> None:
        """Keep a finding and count it, unless its figure is counted otherwise."""
        self.findings.append(Finding(sort, id_, number, reason))
        if sort in COUNTED:
            setattr(self.figures, sort, getattr(self.figures, sort) + 1)
