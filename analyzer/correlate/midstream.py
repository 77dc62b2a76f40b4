"""Connections whose beginning no capture has, or not every one.

What tells them is where their sequence numbers are: both directions of one connection
lie in the same places of two 32-bit spaces wherever they are seen.
"""

from __future__ import annotations

import polars as pl

from analyzer.correlate.tcp import in_runs, only_one, overlaps

#: Octets by which two views of one direction may differ where they begin or end.
_SEQUENCE_SLACK = 1 << 20
_SECOND = 1_000_000_000
TIME_SLACK = 5 * _SECOND
_AGREEING_PACKETS = 3


def by_same_tuple(rest: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Find the groups that carry the same tuple and are about the same octets.

    Returns
    -------
    pl.DataFrame
        One row per sighting with exactly one such group: ``flow``, ``group``. Of
        several that fit, the one whose beginning is nearest.

    Notes
    -----
    A capture that cuts sequence numbers off tells only when it was.
    """
    ranges = known.lazy().select(
        "ends",
        "group",
        "client",
        "start",
        "end",
        "originator_seq_start",
        "originator_seq_end",
        "responder_seq_start",
        "responder_seq_end",
    )
    same_way = pl.col("client") == pl.col("client_known")
    agrees = (
        pl.when(same_way)
        .then(_near("originator", "originator") & _near("responder", "responder"))
        .otherwise(_near("originator", "responder") & _near("responder", "originator"))
    )
    return (
        rest.lazy()
        .join(ranges, on="ends", suffix="_known")
        .filter(overlaps("_known", TIME_SLACK) & agrees)
        .with_columns(
            _distance=(pl.col("start") - pl.col("start_known")).abs().fill_null(0)
        )
        .sort("flow", "_distance", "group")
        .group_by("flow", maintain_order=True)
        .agg(pl.col("group").first())
        .collect()
    )


def _near(side: str, other: str) -> pl.Expr:
    """Tell whether a direction of one sighting is where one of another is."""
    start = pl.col(f"{side}_seq_start").cast(pl.Int64)
    end = pl.col(f"{side}_seq_end").cast(pl.Int64)
    other_start = pl.col(f"{other}_seq_start_known").cast(pl.Int64)
    other_end = pl.col(f"{other}_seq_end_known").cast(pl.Int64)
    length, other_length = (end - start) % 2**32, (other_end - other_start) % 2**32
    return (
        ((start - other_start) % 2**32 <= other_length + _SEQUENCE_SLACK)
        | ((other_start - start) % 2**32 <= length + _SEQUENCE_SLACK)
    ).fill_null(value=True)


def by_last_numbers(rest: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Group sightings that end with the same sequence numbers, under any tuple.

    Returns
    -------
    pl.DataFrame
        One row per sighting that shares both with another: ``flow``, ``group``.
    """
    both = [pl.col("originator_seq_end"), pl.col("responder_seq_end")]
    key = pl.min_horizontal(both).cast(pl.UInt64) * 2**32 + pl.max_horizontal(both)
    has_both = pl.all_horizontal(each.is_not_null() for each in both)
    keyed = rest.lazy().filter(has_both).with_columns(_last=key)
    all_known = (
        known.lazy()
        .filter(has_both)
        .select("group", "start", "end", _last=key)
        .join(keyed.select("_last"), on="_last", how="semi")
    )
    attached = only_one(
        keyed.join(all_known, on="_last", suffix="_known").filter(
            overlaps("_known", TIME_SLACK)
        )
    )
    alone = (
        keyed.join(attached.lazy(), on="flow", how="anti")
        .filter(pl.col("_last").is_duplicated())
        .pipe(in_runs, "_last", gap=TIME_SLACK)
        .collect()
    )
    return pl.concat([attached, alone])


def by_agreeing_packets(
    rest: pl.DataFrame, known: pl.DataFrame, samples: pl.LazyFrame
) -> pl.DataFrame:
    """Group sightings of which at least three sampled packets are the same.

    Parameters
    ----------
    rest, known : pl.DataFrame
        Sightings without and with ``group``.
    samples : pl.LazyFrame
        One row per flow: ``flow`` and its ``packet_ids`` (list of u64), both ways.

    Returns
    -------
    pl.DataFrame
        One row per sighting that agrees with exactly one group, or with another
        sighting without group: ``flow``, ``group``.
    """
    mine = _exploded(rest, samples)
    theirs = _exploded(
        pl.concat(
            [
                known.select("flow", "group", "start", "end"),
                rest.select("flow", pl.col("flow").alias("group"), "start", "end"),
            ]
        ),
        samples,
    ).join(mine.select("id").unique(), on="id", how="semi")
    agreeing = (
        mine.join(theirs, on="id", suffix="_known")
        .filter(
            (pl.col("flow") != pl.col("flow_known"))
            & overlaps("_known", TIME_SLACK)
            # Nobody's copies: an identifier that is everywhere tells nothing.
            & (pl.len().over("id") <= 256)
        )
        .group_by("flow", "flow_known", "group")
        .agg(pl.col("id").n_unique().alias("packets"))
        .filter(pl.col("packets") >= _AGREEING_PACKETS)
        .with_columns(pl.min_horizontal("group", "flow").alias("_least"))
    )
    is_known = pl.col("group").is_in(known["group"].unique().implode())
    pairs = agreeing.with_columns(is_known=is_known).collect()
    attached = only_one(pairs.lazy().filter("is_known"))
    loose = pairs.lazy().join(attached.lazy(), on="flow", how="anti")
    # Two rounds reach everything that agrees with the same sighting.
    least = loose.group_by("flow").agg(pl.col("_least").min().alias("group"))
    again = least.join(
        least, left_on="group", right_on="flow", how="left", suffix="_of"
    ).select("flow", group=pl.coalesce("group_of", "group"))
    return pl.concat([attached, again.collect()])


def _exploded(seen: pl.DataFrame, samples: pl.LazyFrame) -> pl.LazyFrame:
    return (
        seen.lazy()
        .select("flow", pl.col("^group$"), "start", "end")
        .join(samples, on="flow")
        .explode("packet_ids")
        .rename({"packet_ids": "id"})
        .drop_nulls("id")
    )
