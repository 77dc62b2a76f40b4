"""What each backend got, interval by interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.analysis.spread.finding import COLUMNS
from analyzer.analysis.spread.search import findings
from analyzer.errors import QueryError

if TYPE_CHECKING:
    from analyzer.analysis.spread.finding import Finding
    from analyzer.cluster import Cluster

_MOST_ROWS = 1_000_000
_TIME = pl.Datetime("ns", "UTC")
_INTERVALS = {
    **dict.fromkeys(("subject_kind", "subject", "by", "unit"), pl.String()),
    **dict.fromkeys(("start_time", "end_time"), _TIME),
    "group": pl.String(),
    **dict.fromkeys(("amount", "share"), pl.Float64()),
}


def over_time(
    connections: pl.LazyFrame,
    every: float,
    *,
    cluster: Cluster | None = None,
    service: str | None = None,
    by: str = "pod",
    unit: str = "connections",
) -> pl.DataFrame:
    """Count what each backend got in each interval.

    Parameters
    ----------
    connections : pl.LazyFrame
        The connections table.
    every : float
        Length of an interval in seconds. Intervals begin at multiples of it.
    cluster, service, by, unit
        As for :func:`analyzer.analysis.spread.spread`.

    Returns
    -------
    pl.DataFrame
        One row per subject, interval and backend (or node, client, entry node), zeros
        included, unknown ones with a null ``group``: ``subject_kind``, ``subject``,
        ``by``, ``unit``, ``start_time``, ``end_time`` (of the interval), ``group``,
        ``amount`` (f64, of the unit) and ``share`` (f64, of what is known in the
        interval, null if that is nothing).

    Raises
    ------
    QueryError
        If there would be more than a million rows, or the service has no traffic.

    Notes
    -----
    A connection counts, with all that it carries, in the interval in which it began:
    then its backend was chosen.
    """
    found = findings(connections, cluster, service, by, unit)
    frames = [intervals(each, every) for each in found]
    return pl.concat([pl.DataFrame(schema=_INTERVALS), *frames])


def intervals(found: Finding, every: float) -> pl.DataFrame:
    """Count one subject's calls by intervals; see :func:`over_time`."""
    length = max(round(every * 1e9), 1)
    first, last = (
        int(found.calls["start_time"].dt.epoch("ns").item(at)) // length
        for at in (0, -1)
    )
    groups = found.groups.select("group")
    rows = (last - first + 1) * len(groups)
    if rows > _MOST_ROWS:
        raise QueryError(
            f"{found.subject}: intervals of {every:g} s give {rows:,} rows",
            hint="take longer ones with --over",
        )
    start = pl.col("interval") * length
    grid = pl.DataFrame(
        {"interval": pl.int_range(first, last + 1, eager=True, dtype=pl.Int64)}
    ).join(groups, how="cross")
    counted = found.calls.group_by(
        interval=pl.col("start_time").dt.epoch("ns") // length,
        group=pl.col(COLUMNS[found.by]),
    ).agg(amount=pl.col(found.unit).sum())
    known = pl.col("amount").filter(pl.col("group").is_not_null())
    total = known.sum().over("interval")
    return (
        grid.join(counted, on=["interval", "group"], how="left", nulls_equal=True)
        .with_columns(pl.col("amount").fill_null(0))
        .with_columns(
            share=pl.when(pl.col("group").is_not_null() & (total > 0)).then(
                pl.col("amount") / total
            )
        )
        .select(
            subject_kind=pl.lit(found.kind),
            subject=pl.lit(found.subject),
            by=pl.lit(found.by),
            unit=pl.lit(found.unit),
            start_time=start.cast(_TIME),
            end_time=(start + length).cast(_TIME),
            group="group",
            amount="amount",
            share="share",
        )
        .sort("start_time", "group", nulls_last=True)
    )
