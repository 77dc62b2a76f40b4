"""Estimated clocks, held against those that a recording's captures were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from captures.score.recording import Recording


@dataclass(frozen=True)
class Estimate:
    """One host's clock against another's: what is stated, and what is true.

    Offsets and the bound are in nanoseconds; None where nothing is stated.
    """

    host: str
    reference: str | None
    offset: int | None
    bound: int | None
    drift_ppm: float | None
    true_offset: int
    true_drift_ppm: float

    @property
    def error(self) -> int | None:
        """By how much the offset is wrong."""
        return None if self.offset is None else abs(self.offset - self.true_offset)

    @property
    def is_right(self) -> bool:
        """Whether the true offset lies within the stated bound."""
        if self.error is None:
            return True
        return self.bound is not None and self.error <= self.bound


def estimates(clocks: pl.DataFrame, recording: Recording) -> Iterator[Estimate]:
    """Compare a clocks table with the recording's clocks.

    Parameters
    ----------
    clocks : pl.DataFrame
        One row per capture host: ``host``, ``reference``, ``offset`` and ``bound``
        (durations; the host's clock minus the reference's), ``drift_ppm``, and
        ``time``, when the offset holds by the host's clock.
    recording : Recording
        Knows which clock each host had.

    Yields
    ------
    Estimate
        One per row that compares a host with another.
    """
    began = recording.began
    numbers = clocks.with_columns(
        pl.col("host", "reference").cast(pl.String),
        pl.col("offset", "bound").dt.total_nanoseconds(),
        pl.col("time").dt.timestamp("ns"),
    )
    for row in numbers.iter_rows(named=True):
        if row["host"] == row["reference"]:
            continue
        # A file of several interfaces may lend more to the name than the host.
        host, reference = (
            recording.clock(row[end].partition(".")[0]) for end in ("host", "reference")
        )
        moment = began if row["time"] is None else host.right(row["time"], began)
        yield Estimate(
            row["host"],
            row["reference"],
            row["offset"],
            row["bound"],
            row["drift_ppm"],
            host.wrong(moment, began) - reference.wrong(moment, began),
            host.drift_ppm - reference.drift_ppm,
        )
