"""Scores as a table for a terminal and for Markdown, and findings line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from captures.score.clocks import Estimate
    from captures.score.verdict import Finding, Verdict

BEGIN, END = "<!-- scores -->", "<!-- end of scores -->"
HEADINGS = (
    "recording",
    "captures",
    "k8s",
    "visible",
    "one row",
    "dup",
    "joined",
    "elim.",
    "svc",
    "pod",
    "unnamed",
    "wrong",
    "unknown",
    "odd",
)
TEXT_COLUMNS = 3


@dataclass(frozen=True)
class Score:
    """One line of the table."""

    recording: str
    class_name: str
    state: str
    verdict: Verdict
    clocks: tuple[Estimate, ...] = ()

    @property
    def cells(self) -> tuple[str, ...]:
        """The line's columns, as ``HEADINGS`` names them."""
        f = self.verdict.figures
        return (
            self.recording,
            self.class_name,
            self.state,
            *map(str, (f.visible, f.one_row, f.duplicated)),
            of(f.joined, f.joinable),
            of(f.eliminated, f.eliminable),
            *map(str, (f.named_service, f.named_backend, f.unnamed)),
            *map(str, (f.wrong, f.unknown, f.odd)),
        )

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.verdict.figures.faults and all(c.is_right for c in self.clocks)


def of(part: int, whole: int) -> str:
    """Write a count and what it should be."""
    return f"{part}/{whole}" if whole else "-"


def terminal_table(scores: Sequence[Score]) -> Iterable[str]:
    """Write scores in aligned columns."""
    lines = [HEADINGS, *(score.cells for score in scores)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for cells in lines:
        yield " ".join(
            cell.ljust(width) if number < TEXT_COLUMNS else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()


def markdown_table(scores: Sequence[Score]) -> Iterable[str]:
    """Write scores as a Markdown table."""
    yield f"| {' | '.join(HEADINGS)} |"
    numbers = len(HEADINGS) - TEXT_COLUMNS
    yield f"|{' --- |' * TEXT_COLUMNS}{' ---: |' * numbers}"
    for score in scores:
        yield f"| {' | '.join(score.cells)} |"


def update(page: Path, scores: Sequence[Score]) -> None:
    """Replace the table between the markers of a page."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(markdown_table(scores))
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def finding_line(score: Score, finding: Finding) -> str:
    """Write a finding with its place."""
    row = "" if finding.connection_id is None else f" row {finding.connection_id}"
    place = f"{score.recording} {score.class_name} {score.state}"
    return f"{place}: {finding.sort}: {finding.id or '-'}{row}: {finding.reason}"


def clock_lines(score: Score, *, every: bool) -> Iterable[str]:
    """Write a score's clocks: every one, or those that are wrong."""
    place = f"{score.recording} {score.class_name} {score.state}"
    for clock in score.clocks:
        if clock.is_right and not every:
            continue
        who = f"{place}: {clock.host} against {clock.reference}"
        if clock.offset is None or clock.bound is None or clock.error is None:
            yield f"{who}: unknown"
            continue
        drift = "?" if clock.drift_ppm is None else f"{clock.drift_ppm:+.1f}"
        yield (
            f"{who}: {clock.offset / 1e9:+.6f} s, bound {clock.bound / 1e3:.1f} us, "
            f"off by {clock.error / 1e3:.1f} us: "
            f"{'right' if clock.is_right else 'WRONG'}; "
            f"drift {drift} of {clock.true_drift_ppm:+.1f} ppm"
        )
