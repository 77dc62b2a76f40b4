"""Connections whose beginning no capture has, or not every one.

What tells them is where their sequence numbers are: both directions of one connection
lie in the same places of two 32-bit spaces wherever they are seen.
"""

from __future__ import annotations

import polars as pl

from analyzer.correlate.tcp import (
    SEQUENCE_SLACK,
    TIME_SLACK,
    in_runs,
    only_one,
    overlaps,
)

#: Sampled packets in which two sightings must agree to be of one connection.
AGREEING_PACKETS = 3
#: Sightings that a sampled packet may have before it tells nothing.
_MOST_COPIES = 256
_WHERE = (
    "ends",
    "lane",
    "client",
    "client_isn",
    "is_cut",
    "start",
    "end",
    "originator_seq_start",
    "originator_seq_end",
    "responder_seq_start",
    "responder_seq_end",
)


def attributable(rest: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Leave out what spans several connections of one tuple and cannot be parted.

    A snapshot length that cuts even sequence numbers leaves a tuple and times: where
    the tuple is used again, one flow holds the packets of all. They are counted where
    other points tell them apart.
    """
    is_blind = pl.col("originator_seq_start").is_null() & pl.col("is_cut")
    spanning = (
        rest.lazy()
        .filter(is_blind)
        .select("flow", "ends", "start", "end")
        .join(
            known.lazy()
            .group_by("ends", "group")
            .agg(pl.col("start").min(), pl.col("end").max()),
            on="ends",
            suffix="_known",
        )
        .filter(overlaps("_known", 0))
        .group_by("flow")
        .agg(pl.col("group").n_unique())
        .filter(pl.col("group") > 1)
        .collect()
    )
    return rest.join(spanning, on="flow", how="anti")


def by_same_tuple(rest: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Find the groups that carry the same tuple and are about the same octets.

    Returns
    -------
    pl.DataFrame
        One row per sighting with such a group: ``flow``, ``group``. Of several that
        fit, the one whose beginning is nearest.

    Notes
    -----
    A capture that cuts sequence numbers off tells only when it was.
    """
    ranges = known.lazy().select("group", *_WHERE)
    return (
        rest.lazy()
        .join(ranges, on="ends", suffix="_known")
        .filter(overlaps("_known", TIME_SLACK) & _agrees())
        .filter(~_is_used_again().any().over("flow", "group"))
        .with_columns(
            _distance=(pl.col("start") - pl.col("start_known")).abs().fill_null(0)
        )
        .sort("flow", "_distance", "group")
        .group_by("flow", maintain_order=True)
        .agg(pl.col("group").first())
        .collect()
    )


def _agrees() -> pl.Expr:
    """Tell whether both directions of two sightings are about the same octets."""
    same_way = pl.col("client") == pl.col("client_known")
    return (
        pl.when(same_way)
        .then(_near("originator", "originator") & _near("responder", "responder"))
        .otherwise(_near("originator", "responder") & _near("responder", "originator"))
    )


def _is_used_again() -> pl.Expr:
    """Tell whether one of two sightings begins in the place where the other has ended.

    A port that is used again at once goes on from where its numbers were, or nearly:
    initial numbers grow by one each 64 ns (Linux, secure_tcp_seq), and a server that
    still waits for the old connection adds 65,537 (tcp_timewait_state_process).
    """
    begins = pl.col("client_isn").is_not_null() & ~pl.col("is_cut")
    begins_known = pl.col("client_isn_known").is_not_null() & ~pl.col("is_cut_known")
    return (
        (pl.col("lane") == pl.col("lane_known"))
        & (
            (begins & (pl.col("start") > pl.col("end_known")))
            | (begins_known & (pl.col("start_known") > pl.col("end")))
        )
    ).fill_null(value=False)


def merged(found: pl.DataFrame, firsts: pl.DataFrame) -> pl.DataFrame:
    """Put groups together that carry the same tuple and are about the same octets.

    Parameters
    ----------
    found : pl.DataFrame
        ``flow``, ``group``, ``is_sure`` (bool: both initial numbers tell its group).
    firsts : pl.DataFrame
        All sightings of TCP, once each.

    Returns
    -------
    pl.DataFrame
        ``flow``, ``group``. Groups that both are sure are never put together, nor is
        anything that would fit several of them.

    Notes
    -----
    Captures that began and ended at different times share some packets with one
    another, and others with a third.
    """
    seen = firsts.lazy().select("flow", *_WHERE).join(found.lazy(), on="flow")
    unsure = seen.filter(~pl.col("is_sure"))
    edges = (
        unsure.join(seen, on="ends", suffix="_known")
        .filter(pl.col("group") != pl.col("group_known"))
        .filter(overlaps("_known", TIME_SLACK) & _agrees())
        .filter(~_is_used_again().any().over("group", "group_known"))
        .select("group", "group_known", sure="is_sure_known")
        .unique()
        .collect()
    )
    if edges.is_empty():
        return found.drop("is_sure")
    names = _connected(edges.filter(~pl.col("sure")).select("group", "group_known"))
    told = _told(
        edges.select(flow="group", group="group").unique(),
        names,
        edges.filter("sure").select(flow="group", known="group_known"),
    )
    return (
        found.lazy()
        .join(told.lazy(), left_on="group", right_on="flow", how="left")
        .select("flow", group=pl.coalesce("group_right", "group"))
        .collect()
    )


def _told(own: pl.DataFrame, names: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Give what is connected the one known group that it fits, else its least.

    What fits no known group, or several, and is connected with nothing is left out.
    """
    return (
        own.lazy()
        .join(names.lazy(), on="group", how="left")
        .with_columns(
            least=pl.coalesce("least", "group"), is_named=pl.col("least").is_not_null()
        )
        .join(known.lazy(), on="flow", how="left")
        .with_columns(
            _one=pl.col("known").min().over("least"),
            _last=pl.col("known").max().over("least"),
        )
        .with_columns(known=pl.when(pl.col("_one") == pl.col("_last")).then("_one"))
        .filter(pl.col("is_named") | pl.col("known").is_not_null())
        .select("flow", group=pl.coalesce("known", "least"))
        .unique()
        .collect()
    )


def _connected(edges: pl.DataFrame) -> pl.DataFrame:
    """Give each ``group`` the ``least`` of those that edges connect it with.

    Parameters
    ----------
    edges : pl.DataFrame
        Pairs of two numbers in columns of any name.
    """
    one, other = (edges[name] for name in edges.columns)
    both = pl.DataFrame(
        {"group": pl.concat([one, other]), "other": pl.concat([other, one])}
    ).unique()
    least = both.select("group").unique().with_columns(least="group")
    while True:
        near = (
            both.lazy()
            .join(least.lazy(), left_on="other", right_on="group")
            .group_by("group")
            .agg(pl.col("least").min().alias("near"))
        )
        # From the least that was found, on to the least that it has found itself.
        found = (
            least.lazy()
            .join(near, on="group")
            .select("group", least=pl.min_horizontal("least", "near"))
            .collect()
        )
        found = (
            found.lazy()
            .join(found.lazy(), left_on="least", right_on="group", suffix="_of")
            .select("group", least="least_of")
            .sort("group")
            .collect()
        )
        if found.equals(least.sort("group")):
            return found
        least = found


def _near(side: str, other: str) -> pl.Expr:
    """Tell whether a direction of one sighting is where one of another is."""
    start = pl.col(f"{side}_seq_start").cast(pl.Int64)
    end = pl.col(f"{side}_seq_end").cast(pl.Int64)
    other_start = pl.col(f"{other}_seq_start_known").cast(pl.Int64)
    other_end = pl.col(f"{other}_seq_end_known").cast(pl.Int64)
    length, other_length = (end - start) % 2**32, (other_end - other_start) % 2**32
    return (
        ((start - other_start) % 2**32 <= other_length + SEQUENCE_SLACK)
        | ((other_start - start) % 2**32 <= length + SEQUENCE_SLACK)
    ).fill_null(value=True)


def by_last_numbers(rest: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Group sightings that end with the same sequence numbers, under any tuple.

    Returns
    -------
    pl.DataFrame
        One row per sighting that shares both with another: ``flow``, ``group``.
    """
    keyed = rest.lazy().drop_nulls("last_numbers")
    attached = only_one(
        keyed.join(
            known.lazy().select("group", "start", "end", "last_numbers"),
            on="last_numbers",
            suffix="_known",
        ).filter(overlaps("_known", TIME_SLACK))
    )
    alone = (
        keyed.join(attached.lazy(), on="flow", how="anti")
        .filter(pl.col("last_numbers").is_duplicated())
        .pipe(in_runs, "last_numbers", gap=TIME_SLACK)
        .collect()
    )
    return pl.concat([attached, alone])


def by_agreeing_packets(
    rest: pl.DataFrame, firsts: pl.DataFrame, groups: pl.DataFrame, flows: pl.LazyFrame
) -> pl.DataFrame:
    """Group sightings of which at least three sampled packets are the same.

    Parameters
    ----------
    rest : pl.DataFrame
        Sightings without group.
    firsts : pl.DataFrame
        All sightings of TCP, once each.
    groups : pl.DataFrame
        ``flow`` and ``group`` of those that have one.
    flows : pl.LazyFrame
        The flows table with its row index as ``flow``.

    Returns
    -------
    pl.DataFrame
        One row per sighting that agrees with exactly one group, or with another
        sighting without group: ``flow``, ``group``.
    """
    packets = flows.select(
        "flow",
        packet_ids=pl.concat_list("originator_packet_ids", "responder_packet_ids"),
    ).filter(pl.col("packet_ids").list.len() >= AGREEING_PACKETS)
    mine = _exploded(rest.lazy(), packets).collect()
    if mine.is_empty():
        return groups.clear()
    own = rest.select("flow", group="flow")
    theirs = _exploded(
        firsts.lazy().join(pl.concat([groups, own]).lazy(), on="flow"), packets
    ).join(mine.lazy().select("id").unique(), on="id", how="semi")
    agreeing = (
        mine.lazy()
        .join(theirs, on="id", suffix="_known")
        .filter(
            (pl.col("flow") != pl.col("flow_known"))
            & overlaps("_known", TIME_SLACK)
            # Nobody's copies: an identifier that is everywhere tells nothing.
            & (pl.len().over("id") <= _MOST_COPIES)
        )
        .group_by("flow", "flow_known", "group")
        .agg(pl.col("id").n_unique().alias("packets"))
        .filter(pl.col("packets") >= AGREEING_PACKETS)
        .with_columns(is_known=~pl.col("group").is_in(own["flow"].implode()))
        .collect()
    )
    names = _connected(agreeing.filter(~pl.col("is_known")).select("flow", "group"))
    return _told(
        agreeing.select("flow", group="flow").unique(),
        names,
        agreeing.filter("is_known").select("flow", known="group"),
    )


def _exploded(seen: pl.LazyFrame, packets: pl.LazyFrame) -> pl.LazyFrame:
    return (
        seen.select("flow", pl.col("^group$"), "start", "end")
        .join(packets, on="flow")
        .explode("packet_ids")
        .rename({"packet_ids": "id"})
        .drop_nulls("id")
    )
