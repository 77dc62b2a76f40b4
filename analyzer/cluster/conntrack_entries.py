"""Lines about connection tracking entries, brought together: one row per entry.

An entry of a node stands in several lines: its events, and each list that was taken
while it lived. Its id is not enough to tell it: the kernel may give it again. So an
entry is an id and a tuple, from a NEW event to the next one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

_TUPLE = (
    "protocol",
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "reply_src_ip",
    "reply_src_port",
    "reply_dst_ip",
    "reply_dst_port",
    "icmp_id",
    "reply_icmp_id",
)
_IPS = ("src_ip", "dst_ip", "reply_src_ip", "reply_dst_ip")

# Time zones differ by quarters of an hour.
_ZONE_STEP = 15 * 60 * 1_000_000_000  # nanoseconds

# What a list calls the start is cut to the second.
_START_PRECISION = timedelta(seconds=2)


def no_entries() -> pl.DataFrame:
    """Give the table of a cluster that was told without conntrack's output."""
    import polars as pl

    time = pl.Datetime("ns", "UTC")
    text = ("protocol", *_IPS)
    return pl.DataFrame(
        schema={
            "node": pl.String,
            **{name: pl.String if name in text else pl.UInt16 for name in _TUPLE},
            "start_time": time,
            "end_time": time,
            "is_replied": pl.Boolean,
        }
    )


def entries(told: Iterable[tuple[str | None, pl.DataFrame]]) -> pl.DataFrame:
    """Bring lines together.

    Parameters
    ----------
    told : iterable of (str or None, pl.DataFrame)
        A node, and lines as :func:`analyzer.cluster.conntrack.read_lines` gives them,
        in the order of files and lines.

    Returns
    -------
    pl.DataFrame
        One row per entry and node, as :meth:`Cluster.conntrack_table` describes it.
    """
    import polars as pl

    by_node: dict[str | None, list[pl.DataFrame]] = {}
    for node, lines in told:
        by_node.setdefault(node, []).append(lines)
    whole = {node: _with_keys(pl.concat(lines)) for node, lines in by_node.items()}
    zones = {node: _zone_of(lines) for node, lines in whole.items()}
    known = set(zones.values()) - {None}
    usual = known.pop() if len(known) == 1 else None
    empty = no_entries()
    tables = [
        _entries_of(_in_utc(lines, usual if zones[node] is None else zones[node]))
        .with_columns(pl.lit(node, pl.String).alias("node"))
        .select(empty.columns)
        for node, lines in whole.items()
    ]
    return pl.concat([empty, *tables]).sort(
        "start_time", "node", *_TUPLE, nulls_last=True
    )


def _entries_of(lines: pl.DataFrame) -> pl.DataFrame:
    """Bring the lines of one node together."""
    import polars as pl

    is_new = pl.col("event") == "NEW"
    events = (
        lines.filter(pl.col("event").is_not_null())
        .sort("time", nulls_last=True, maintain_order=True)
        # The same log in two files; without times nothing tells that it is the same.
        .filter(
            pl.col("time").is_null()
            | pl.struct("key", "time", "event").is_first_distinct()
        )
        .with_columns(
            generation=is_new.cast(pl.Int64).cum_sum().over("key"),
        )
    )
    listed = _with_generations(lines.filter(pl.col("event").is_null()), events)
    return (
        pl.concat([events, listed.select(events.columns)])
        .group_by("key", "generation")
        .agg(
            pl.col(*_TUPLE).first(),
            pl.col("time").filter(is_new).min().alias("new"),
            pl.col("start_in_utc", "time").min(),
            pl.col("time").filter(pl.col("event") == "DESTROY").max().alias("end"),
            pl.col("stop_in_utc").max(),
            pl.col("is_replied").any(),
        )
        .with_columns(
            start_time=pl.coalesce("new", "start_in_utc", "time"),
            end_time=pl.coalesce("end", "stop_in_utc"),
        )
    )


def _with_generations(listed: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Find the entry that each line of a list is about.

    It is the last one that had the id and tuple, or that which began when the line
    says. Lines whose entry is in no event are told apart by their start.
    """
    import polars as pl

    is_new = pl.col("event") == "NEW"
    spans = events.group_by("key", "generation").agg(
        new=pl.col("time").filter(is_new).min(), first=pl.col("time").min()
    )
    began_then = (
        pl.when(pl.any_horizontal(pl.col("start_in_utc", "first").is_null()))
        .then(pl.col("generation") == pl.col("generation").max().over("key"))
        .when(pl.col("new").is_null())
        .then(pl.col("start_in_utc") <= pl.col("first"))
        .otherwise((pl.col("new") - pl.col("start_in_utc")).abs() <= _START_PRECISION)
    )
    listed = listed.with_row_index("line")
    found = (
        listed.select("line", "key", "start_in_utc")
        .join(spans, on="key")
        .filter(began_then)
        .group_by("line")
        .agg(pl.col("generation").max())
    )
    of_its_own = -pl.col("start").rank("dense").over("key").cast(pl.Int64)
    return (
        listed.join(found, on="line", how="left", maintain_order="left")
        .with_columns(pl.col("generation").fill_null(of_its_own).fill_null(0))
        .drop("line")
    )


def _with_keys(lines: pl.DataFrame) -> pl.DataFrame:
    """Give each id and tuple a number.

    A line without an id is about the id that the tuple had last in another line.
    """
    import polars as pl

    tuples = lines.select(_TUPLE).unique(maintain_order=True).with_row_index("tuple")
    return (
        lines.join(tuples, on=_TUPLE, nulls_equal=True, maintain_order="left")
        .with_columns(
            id=pl.col("id").fill_null(pl.col("id").drop_nulls().last().over("tuple"))
        )
        .with_columns(
            key=pl.col("tuple").cast(pl.UInt64) * (1 << 32)
            + pl.col("id").fill_null(0).cast(pl.UInt64)
        )
    )


def _zone_of(lines: pl.DataFrame) -> int | None:
    """Tell how far a node's clock is ahead of UTC, in nanoseconds.

    Events and ``-o ktimestamp`` of the same entries tell the time in UTC and in the
    node's own time zone.
    """
    import polars as pl

    began = lines.group_by("key").agg(
        pl.col("time").filter(pl.col("event") == "NEW").min(), pl.col("start").min()
    )
    both = (began["start"] - began["time"]).drop_nulls().cast(pl.Int64)
    # A start without its fraction lies up to a second too early.
    zones = ((both + _ZONE_STEP // 2) // _ZONE_STEP).mode().sort()
    return int(zones[0]) * _ZONE_STEP if len(zones) else None


def _in_utc(lines: pl.DataFrame, zone: int | None) -> pl.DataFrame:
    """Add times in UTC; null if the time zone of what was told is not known."""
    import polars as pl

    shift = pl.lit(zone, pl.Int64).cast(pl.Duration("ns"))
    return lines.with_columns(
        start_in_utc=pl.col("start") - shift, stop_in_utc=pl.col("stop") - shift
    )
