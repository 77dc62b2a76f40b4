"""What connection tracking says of tuples that no capture shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.tables.expressions import host_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.cluster import Cluster

_SECOND = 1_000_000_000
#: How far conntrack's time and the captures' may be apart, clocks included.
_APART = 10 * _SECOND
#: How long after its first packet an entry may be told of, on the same clock.
_LATE = _SECOND
#: Nodes that translate one connection, one after the other.
_MOST_TRANSLATIONS = 2


class _Way(NamedTuple):
    """A tuple of a connection, the same one of an entry, and the entry's other one.

    ``told`` is the column that says whether conntrack told the latter.
    """

    mine: tuple[str, str]
    same: tuple[str, str]
    other: tuple[str, str]
    told: str


_ORIGINAL, _SENT_ON = ("original_client", "original_server"), ("sender", "receiver")
_BEFORE = _Way(("client", "destination"), _SENT_ON, _ORIGINAL, "destination_told")
_BEHIND = _Way(("source", "backend"), _ORIGINAL, _SENT_ON, "backend_told")


def with_conntrack(
    connections: pl.DataFrame, table: pl.DataFrame | None
) -> pl.DataFrame:
    """Look up the tuples before the first and behind the last that was seen.

    Parameters
    ----------
    connections : pl.DataFrame
        See :func:`analyzer.correlate.chains.chains`.
    table : pl.DataFrame or None
        See :func:`translations`.

    Returns
    -------
    pl.DataFrame
        The same, with ``client`` and ``destination`` of the first tuple and ``source``
        and ``backend`` of the last that conntrack knows, and whether it told them
        (``destination_told``, ``backend_told``, bool).

    Notes
    -----
    A tuple that was used again has several entries: the one that began at about the
    same time is taken, and none if they disagree and do not say when they began. A
    connection that was open before the capture began has an entry that is older.
    """
    connections = connections.with_columns(
        destination_told=pl.lit(value=False), backend_told=pl.lit(value=False)
    )
    if table is None:
        return connections
    for way in (_BEFORE, _BEHIND) * _MOST_TRANSLATIONS:
        found = _match(connections, table, way)
        connections = (
            connections.join(found, on="group", how="left", maintain_order="left")
            .with_columns(
                *(
                    pl.coalesce(other, mine).alias(mine)
                    for mine, other in zip(way.mine, way.other, strict=True)
                ),
                pl.col(way.told) | pl.col(way.other[1]).is_not_null(),
            )
            .drop(*way.same, *way.other)
        )
    return connections


def translations(cluster: Cluster | None, roles: pl.DataFrame) -> pl.DataFrame | None:
    """Tabulate the entries of conntrack that translate, their tuples as ends.

    Parameters
    ----------
    cluster : Cluster or None
    roles : pl.DataFrame
        ``code`` and ``address`` of all addresses.

    Returns
    -------
    pl.DataFrame or None
        One row per entry: ``protocol``, ``original_client``, ``original_server``,
        ``sender`` and ``receiver`` (u64, behind the translation), ``node`` (str) and
        ``began`` (i64, ns, on its clock). None if cluster state has no entries at all.
    """
    entries = None if cluster is None else cluster.conntrack_table()
    if entries is None or entries.is_empty():
        return None
    codes = roles.lazy().select("address", pl.col("code").cast(pl.UInt64))
    table = entries.lazy()
    for side in ("src", "dst", "reply_src", "reply_dst"):
        echo_id = "reply_icmp_id" if side.startswith("reply") else "icmp_id"
        table = (
            table.join(
                codes, left_on=f"{side}_ip", right_on="address", maintain_order="left"
            )
            .with_columns(
                (
                    pl.col("code") * 65536
                    + pl.col(f"{side}_port").fill_null(pl.col(echo_id)).fill_null(0)
                ).alias(side)
            )
            .drop("code")
        )
    is_translated = (pl.col("src") != pl.col("reply_dst")) | (
        pl.col("dst") != pl.col("reply_src")
    )
    found = table.filter(is_translated).select(
        pl.col("protocol").replace({"icmpv6": "icmp6"}),
        original_client="src",
        original_server="dst",
        sender="reply_dst",
        receiver="reply_src",
        node=pl.col("node").fill_null(""),
        began=pl.col("start_time").to_physical(),
    )
    return found.collect()


def on_captures_clock(
    table: pl.DataFrame, connections: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Set the times of entries right, of each node by itself.

    Parameters
    ----------
    table : pl.DataFrame
        See :func:`translations`.
    connections : sequence of pl.DataFrame
        See :func:`analyzer.correlate.chains.chains`; ``start`` on one clock.

    Returns
    -------
    pl.DataFrame
        The same, ``began`` on the clock of the captures as far as it can be told.

    Notes
    -----
    Connections that can have one entry only tell how far the clocks are apart:
    captures may have been corrected, or taken elsewhere. Where there are none, what the
    node's own captures are wrong by is taken.
    """
    told = pl.concat(
        _pairs(part.lazy().filter("is_numbered"), table.lazy(), way)
        .filter(pl.len().over("group", "node") == 1)
        .select("node", wrong=pl.col("start") - pl.col("began"))
        for part in connections
        for way in (_BEFORE, _BEHIND)
    )
    captured = (
        pl.concat(
            part.lazy().select(
                point=pl.col("points").list.first().cat.to(pl.Categorical),
                wrong=pl.col("start") - pl.col("raw_start"),
            )
            for part in connections
        )
        .group_by("point")
        .agg(pl.col("wrong").median())
        .select("wrong", node=host_of("point"))
    )
    of_nodes = pl.col("wrong").median().cast(pl.Int64)
    return (
        table.lazy()
        .join(told.group_by("node").agg(of_nodes), on="node", how="left")
        .join(
            captured.group_by("node").agg(of_nodes),
            on="node",
            how="left",
            suffix="_captured",
        )
        .with_columns(
            pl.col("began") + pl.coalesce("wrong", "wrong_captured", pl.lit(0))
        )
        .drop("wrong", "wrong_captured")
        .collect()
    )


def _pairs(connections: pl.LazyFrame, table: pl.LazyFrame, way: _Way) -> pl.LazyFrame:
    """Pair connections with all entries of a tuple."""
    return connections.select(
        "group", pl.col("protocol").cast(pl.String), "start", "is_numbered", *way.mine
    ).join(
        table.with_columns(_first=way.same[0], _second=way.same[1]),
        left_on=["protocol", *way.mine],
        right_on=["protocol", "_first", "_second"],
    )


def _match(connections: pl.DataFrame, table: pl.DataFrame, way: _Way) -> pl.DataFrame:
    """Find the entry of a tuple; one row per connection that has exactly one."""
    late = pl.col("began") - pl.col("start")
    apart = late.abs()
    may_be = pl.when("is_numbered").then(apart <= _APART).otherwise(late <= _APART)
    is_younger = ~pl.col("is_numbered") & (late > _LATE)
    told = (*_ORIGINAL, *_SENT_ON)
    return (
        _pairs(connections.lazy(), table.lazy(), way)
        .filter(may_be.fill_null(value=True))
        .sort("group", is_younger, apart.fill_null(_APART), *told)
        .group_by("group", maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in told),
            is_one=pl.struct(told).n_unique() == 1,
            is_timed=pl.col("began").first().is_not_null(),
        )
        .filter(pl.col("is_one") | pl.col("is_timed"))
        .select("group", *told)
        .collect()
    )
