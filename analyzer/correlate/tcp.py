"""Which sightings of TCP carry the same connection.

NAT and encapsulation leave sequence numbers and TCP options alone. Two initial sequence
numbers are 64 random bits (RFC 6528): connections that share both are one. Where only
the SYN was seen, its timestamp, window and options stand beside its number. Where not
even that was seen, the numbers at the end, or packets that agree, decide.
"""

from __future__ import annotations

import polars as pl

#: More tuples than a client's, a first NAT's and a second one's, with room for one more.
_MOST_TUPLES = 4
#: Random numbers are this small once in 65,536 times.
_SMALL_NUMBER = 1 << 16
#: Octets by which two views of one direction may differ where they begin or end.
_SEQUENCE_SLACK = 1 << 20
_SECOND = 1_000_000_000
#: How far apart sightings of one connection may lie, after clocks were corrected.
_TIME_SLACK = 5 * _SECOND
_AGREEING_PACKETS = 3

_NUMBERED = ("client_isn", "server_isn")


def with_numbers(seen: pl.DataFrame) -> pl.DataFrame:
    """Add the initial sequence numbers of both sides, also of flows without flags.

    A snapshot length of 96 octets cuts the flags off inside VXLAN; then the first
    sequence number stands for that of the SYN, and if it is not, nothing will match it.
    """
    cut = (
        pl.col("originator_tcp_flags").is_null()
        & pl.col("responder_tcp_flags").is_null()
    )
    return seen.with_columns(
        is_cut=cut,
        client_isn=pl.coalesce(
            "originator_isn", pl.when(cut).then("originator_seq_start")
        ),
        server_isn=pl.coalesce(
            "responder_isn", pl.when(cut).then("responder_seq_start")
        ),
    )


def heads(seen: pl.DataFrame) -> pl.DataFrame:
    """Find flows that go on where another one of their lane was cut off by a timeout.

    Returns
    -------
    pl.DataFrame
        One row per flow of a lane with several: ``flow``, ``head`` (u32, the flow that
        its connection began with, itself for most).
    """
    continues = (
        pl.col("originator_seq_start").cast(pl.Int64)
        - pl.col("originator_seq_end").shift().cast(pl.Int64)
    ).abs() < _SEQUENCE_SLACK
    begins = (
        pl.when("is_cut")
        .then(~continues.fill_null(value=True))
        .otherwise(pl.any_horizontal(pl.col(*_NUMBERED).is_not_null()))
    )
    return (
        seen.lazy()
        .filter(pl.col("lane").is_duplicated())
        .sort("lane", "start", "flow")
        .with_columns(_piece=begins.cast(pl.UInt32).cum_sum().over("lane"))
        .select("flow", head=pl.col("flow").first().over("lane", "_piece"))
        .collect()
    )


def by_both_numbers(seen: pl.DataFrame) -> pl.DataFrame:
    """Group sightings of which both initial sequence numbers are known.

    Returns
    -------
    pl.DataFrame
        One row per such sighting: ``flow``, ``group`` (u32).

    Notes
    -----
    Some hosts and most hand-made captures count from the same number in every
    connection. A group that would show one tuple twice in one place, or more tuples
    than two NATs make, is therefore not believed, nor one whose numbers are small
    unless the SYN's timestamp agrees: only sightings of one tuple stay together then,
    as long as they overlap in time.
    """
    key = pl.col("client_isn").cast(pl.UInt64) * 2**32 + pl.col("server_isn")
    numbered = seen.lazy().drop_nulls(_NUMBERED).with_columns(_key=key)
    several = numbered.filter(pl.col("_key").is_duplicated())
    tsval = pl.col("originator_syn_tsval")
    is_small = pl.min_horizontal(_NUMBERED).min() < _SMALL_NUMBER
    doubtful = (
        several.group_by("_key")
        .agg(
            is_lane_repeated=pl.col("lane").n_unique() < pl.len(),
            tuples=pl.col("ends").n_unique(),
            is_weak=is_small & (tsval.drop_nulls().n_unique() != 1),
        )
        .filter(
            pl.col("is_lane_repeated")
            | (pl.col("tuples") > _MOST_TUPLES)
            | (pl.col("is_weak") & (pl.col("tuples") > 1))
        )
        .select("_key")
    )
    believed = numbered.join(doubtful, on="_key", how="anti").select(
        "flow", group=pl.col("flow").min().over("_key")
    )
    doubted = numbered.join(doubtful, on="_key", how="semi")
    return pl.concat(
        [believed, in_runs(doubted, "_key", "ends", gap=_TIME_SLACK)]
    ).collect()


def in_runs(seen: pl.LazyFrame, *keys: str, gap: int) -> pl.LazyFrame:
    """Group sightings with equal keys as long as no gap in time parts them.

    Returns
    -------
    pl.LazyFrame
        One row per sighting: ``flow``, ``group`` (u32, the least flow of the run).
    """
    start = pl.col("start").fill_null(0)
    last = pl.col("end").fill_null(0).cum_max().shift().over(keys)
    return (
        seen.sort(*keys, "start", "flow")
        .with_columns(_run=(start > last + gap).fill_null(value=False).cast(pl.UInt32))
        .with_columns(pl.col("_run").cum_sum().over(keys))
        .select("flow", group=pl.col("flow").min().over(*keys, "_run"))
    )


def by_one_number(
    rest: pl.DataFrame, known: pl.DataFrame, number: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Group sightings that show only one side's initial sequence number.

    Parameters
    ----------
    rest : pl.DataFrame
        Sightings without group.
    known : pl.DataFrame
        Sightings with ``group``.
    number : str
        ``client_isn`` (no answer was seen) or ``server_isn`` (no SYN was).

    Returns
    -------
    tuple of pl.DataFrame
        ``flow``, ``group``: of those that belong to a known group, and of those that
        belong to each other.
    """
    rest = rest.filter(pl.col(number).is_not_null())
    joined = (
        rest.lazy()
        .join(known.lazy(), on=number, suffix="_known")
        .filter(_same_syn("_known") & overlaps("_known", _TIME_SLACK))
    )
    attached = only_one(joined)
    alone = rest.join(attached, on="flow", how="anti")
    # A cut SYN has no timestamp: it takes that of the others, if they have only one.
    tsval = pl.col("originator_syn_tsval")
    only_tsval = (
        pl.when(tsval.drop_nulls().n_unique().over(number) == 1)
        .then(tsval.max().over(number))
        .otherwise(tsval)
    )
    together = (
        in_runs(
            alone.lazy().with_columns(_tsval=only_tsval.fill_null(0)),
            number,
            "_tsval",
            gap=_TIME_SLACK,
        )
    ).collect()
    return attached, together


def _same_syn(suffix: str) -> pl.Expr:
    """Compare what is known of two SYNs on both sides."""
    return pl.all_horizontal(
        (pl.col(name) == pl.col(name + suffix)).fill_null(value=True)
        for name in (
            "originator_syn_tsval",
            "originator_syn_window",
            "originator_syn_options",
        )
    )


def overlaps(suffix: str, slack: int) -> pl.Expr:
    """Tell whether two sightings overlap in time, or nearly; they may have no time."""
    return (
        (pl.col("start") <= pl.col("end" + suffix) + slack)
        & (pl.col("start" + suffix) <= pl.col("end") + slack)
    ).fill_null(value=True)


def only_one(joined: pl.LazyFrame) -> pl.DataFrame:
    """Keep matches of sightings that match one group only."""
    return (
        joined.group_by("flow")
        .agg(pl.col("group").min(), pl.col("group").max().alias("_last"))
        .filter(pl.col("group") == pl.col("_last"))
        .select("flow", "group")
        .collect()
    )
