"""Which sightings of TCP carry the same connection.

NAT and encapsulation leave sequence numbers and TCP options alone. Two initial sequence
numbers are 64 random bits (RFC 6528): connections that share both are one. Where only
the SYN was seen, its timestamp, window and options stand beside its number. Where not
even that was seen, the numbers at the end, or packets that agree, decide.
"""

from __future__ import annotations

import polars as pl

from analyzer._cext.doubts import mark_doubts
from analyzer._cext.repeats import Repeats
from analyzer.correlate.filled import Marks, Numbers, arrays

#: A client's tuple, those behind two NATs, and room for one more.
_MOST_TUPLES = 4
#: Random numbers are this small once in 65,536 times.
_SMALL_NUMBER = 1 << 16
#: Octets by which two views of one direction may differ where they begin or end.
SEQUENCE_SLACK = 1 << 20
_SECOND = 1_000_000_000
#: How far apart sightings of one connection may lie, after clocks were corrected.
TIME_SLACK = 5 * _SECOND

_NUMBERED = ("client_isn", "server_isn")
_PAYLOADS = ("originator_payload_bytes", "responder_payload_bytes")
#: What sightings of TCP are grouped with; everything else stays where it is.
_COLUMNS = (
    "flow",
    "lane",
    "ends",
    "client",
    "start",
    "end",
    "originator_syn_tsval",
    "originator_syn_window",
    "originator_syn_options",
    "originator_seq_start",
    "originator_seq_end",
    "responder_seq_start",
    "responder_seq_end",
    "originator_ttl",
    "responder_ttl",
    "copies",
    "is_tunneled",
    *_PAYLOADS,
)


def numbered(seen: pl.DataFrame) -> pl.DataFrame:
    """Take sightings of TCP with the initial sequence numbers of both sides.

    And ``last_numbers`` (u64), those at the end, equal whichever side was first. A
    snapshot length of 96 octets cuts the flags off inside VXLAN; then the first
    sequence number stands for that of the SYN, and if it is not, nothing will match it.
    """
    return (
        seen.lazy()
        .filter(pl.col("protocol") == "tcp")
        .select(*_COLUMNS, is_cut=_is_cut(), **numbers())
        .collect()
    )


def _is_cut() -> pl.Expr:
    return (
        pl.col("originator_tcp_flags").is_null()
        & pl.col("responder_tcp_flags").is_null()
    )


def numbers() -> dict[str, pl.Expr]:
    """Give the numbers by which flows are joined, see :func:`numbered`."""
    last = [pl.col("originator_seq_end"), pl.col("responder_seq_end")]
    return {
        "client_isn": pl.coalesce(
            "originator_isn", pl.when(_is_cut()).then("originator_seq_start")
        ),
        "server_isn": pl.coalesce(
            "responder_isn", pl.when(_is_cut()).then("responder_seq_start")
        ),
        "last_numbers": pl.min_horizontal(last).cast(pl.UInt64) * 2**32
        + pl.when(pl.all_horizontal(each.is_not_null() for each in last)).then(
            pl.max_horizontal(last)
        ),
    }


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
    ).abs() < SEQUENCE_SLACK
    begins = (
        pl.when("is_cut")
        .then(~continues.fill_null(value=True))
        .otherwise(pl.any_horizontal(pl.col(*_NUMBERED).is_not_null()))
    )
    repeated = _repeated(seen["lane"])
    return (
        seen.lazy()
        .filter(repeated)
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
    unless the SYN's timestamp agrees, or TTL, time and content do: only sightings of
    one tuple stay together then, as long as they overlap in time.
    """
    keyed = seen
    if any(seen[number].null_count() for number in _NUMBERED):
        keyed = seen.drop_nulls(_NUMBERED)
    key = pl.col("client_isn").cast(pl.UInt64) * 2**32 + pl.col("server_isn")
    firsts = Numbers(keyed.height)
    keys = arrays(keyed.lazy().select(key).collect())
    Repeats(keyed.height).firsts([keys], firsts.view)
    group = keyed["flow"].gather(firsts.series())
    groups = pl.DataFrame([keyed["flow"], group.alias("group")])
    is_doubtful = _doubtful(keyed.lazy().with_columns(group=group), firsts.series())
    if not is_doubtful.any():
        return groups
    doubted = keyed.lazy().with_columns(group=group).filter(is_doubtful)
    runs = in_runs(doubted, "group", "ends", gap=TIME_SLACK).collect()
    return pl.concat([groups.filter(~is_doubtful), runs])


def _doubtful(seen: pl.LazyFrame, firsts: pl.Series) -> pl.Series:
    """Tell which sightings are of a group that one connection cannot be."""
    is_doubtful, is_small = Marks(len(firsts)), Marks(len(firsts))
    small_number = pl.min_horizontal(_NUMBERED) < _SMALL_NUMBER
    mark_doubts(
        arrays(seen.select("lane", "ends", small_number).collect()),
        arrays([firsts]),
        _MOST_TUPLES,
        is_doubtful.view,
        is_small.view,
    )
    small = is_small.series()
    if not small.any():
        return is_doubtful.series()
    made_up = _made_up(seen.filter(small))
    is_made_up = seen.select(pl.col("group").is_in(made_up.implode())).collect()
    return is_doubtful.series() | is_made_up.to_series()


def _made_up(small: pl.LazyFrame) -> pl.Series:
    """Find groups with small numbers that nothing else holds together."""
    tsval = pl.col("originator_syn_tsval")
    ttls = both_ttls("originator", "responder")
    return (
        small.group_by("group", "ends")
        .agg(
            pl.col("originator_ttl", "is_tunneled", "start", *_PAYLOADS).max(),
            tsval.unique().drop_nulls().alias("tsvals"),
            least_ttls=ttls.min(),
            most_ttls=ttls.max(),
        )
        .group_by("group")
        .agg(
            is_one_tuple=pl.len() == 1,
            is_one_syn=pl.col("tsvals").explode().drop_nulls().n_unique() == 1,
            # Each tuple elsewhere on one way (TTL, tunnel), with the same content.
            is_one_path=(
                pl.struct("originator_ttl", "is_tunneled").n_unique() == pl.len()
            )
            & (pl.col("least_ttls").min() == pl.col("most_ttls").max()).fill_null(
                value=True
            )
            & (pl.col("start").max() - pl.col("start").min() < _SECOND)
            & pl.all_horizontal(pl.col(_PAYLOADS).n_unique() == 1),
        )
        .filter(~pl.any_horizontal("is_one_tuple", "is_one_syn", "is_one_path"))
        .select("group")
        .collect()
        .to_series()
    )


def _repeated(values: pl.Series) -> pl.Series:
    """Tell which rows have a number (u64) that others have, too."""
    repeated = Marks(len(values))
    Repeats(len(values)).mark([arrays([values])], repeated.view)
    return repeated.series()


def both_ttls(one: str, other: str) -> pl.Expr:
    """Add the TTLs of both directions: the same sum wherever a connection passes.

    Every hop takes one from either, from the one before and from the other behind it.
    Where copies of other interfaces are, each shows where its own side begins.
    """
    ttls = pl.col(f"{one}_ttl").cast(pl.Int16) + pl.col(f"{other}_ttl").cast(pl.Int16)
    return pl.when(pl.col("copies") == 0).then(ttls)


def in_runs(seen: pl.LazyFrame, *keys: str, gap: int) -> pl.LazyFrame:
    """Group sightings with equal keys as long as no gap in time parts them.

    Returns
    -------
    pl.LazyFrame
        One row per sighting: ``flow``, ``group`` (u32, the least flow of the run).
    """
    keyed = seen.select(
        "flow",
        pl.col("start", "end").fill_null(0),
        _key=pl.struct(keys).hash(),
    )
    is_alone = ~pl.col("_key").is_duplicated()
    last = pl.col("end").cum_max().shift().over("_key")
    runs = (
        keyed.filter(~is_alone)
        .sort("_key", "start", "flow")
        .with_columns(
            _run=(pl.col("start") > last + gap).fill_null(value=False).cast(pl.UInt32)
        )
        .with_columns(pl.col("_run").cum_sum().over("_key"))
        .select("flow", group=pl.col("flow").min().over("_key", "_run"))
    )
    return pl.concat([keyed.filter(is_alone).select("flow", group="flow"), runs])


def by_one_number(rest: pl.DataFrame, known: pl.DataFrame, number: str) -> pl.DataFrame:
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
    pl.DataFrame
        One row per sighting that shows it: ``flow``, ``group``.
    """
    rest = rest.filter(pl.col(number).is_not_null())
    joined = (
        rest.lazy()
        .join(known.lazy(), on=number, suffix="_known")
        .filter(_same_syn("_known") & overlaps("_known", TIME_SLACK))
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
            gap=TIME_SLACK,
        )
    ).collect()
    return pl.concat([attached, together])


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
