"""Estimated clocks, held against those that a recording's captures were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from captures.score.classes import Subject
    from captures.score.recording import Recording

NANOSECOND = 10**9


@dataclass(frozen=True)
class Estimate:
    """One host's clock: what was estimated, what is true, all in nanoseconds.

    ``error`` is by how much the estimate is wrong, as far as its bound does not
    cover it at once: an offset drifts, and whichever moment it is stated for, it must
    be the true one somewhere within the capture.
    """

    host: str
    offset: int | None
    bound: int | None
    least: int
    most: int

    @property
    def error(self) -> int | None:
        """How far the estimate lies outside of what was true during the capture."""
        if self.offset is None:
            return None
        return max(self.least - self.offset, self.offset - self.most, 0)

    @property
    def is_right(self) -> bool:
        """Whether the true offset lies within the stated bound."""
        if self.error is None:
            return True
        return self.bound is not None and self.error <= self.bound


def estimates(
    clocks: pl.DataFrame, subject: Subject, recording: Recording
) -> Iterator[Estimate]:
    """Compare a clocks table with the recording's clocks.

    Parameters
    ----------
    clocks : pl.DataFrame
        One row per capture host: ``host``, ``offset`` and ``bound`` (durations; the
        host's clock minus the reference's) and ``reference``, a host.
    subject : Subject
        The captures it was estimated from.
    recording : Recording
        Knows which clock each host had.

    Yields
    ------
    Estimate
        One per host with captures.
    """
    began = round(recording.scenario["capture_start"] * NANOSECOND)
    last = round(max(seen["last"] for seen in recording.observed) * NANOSECOND)
    hosts = {view.host for view in subject.views}
    for row in nanoseconds(clocks).iter_rows(named=True):
        if row["host"] not in hosts:
            continue
        clock, reference = (recording.clock(row[k]) for k in ("host", "reference"))
        true = [
            clock.wrong(moment, began) - reference.wrong(moment, began)
            for moment in (began, last)
        ]
        yield Estimate(
            row["host"], row["offset"], row["bound"], least=min(true), most=max(true)
        )


def nanoseconds(clocks: pl.DataFrame) -> pl.DataFrame:
    """Give durations as numbers."""
    return clocks.with_columns(
        pl.col("host", "reference").cast(pl.String),
        pl.col("offset", "bound").dt.total_nanoseconds(),
    )
