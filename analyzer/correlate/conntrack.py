"""What connection tracking says of tuples that no capture shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from analyzer.cluster import Cluster

_SECOND = 1_000_000_000
#: How far conntrack's time and the captures' may be apart, clocks included.
_APART = 10 * _SECOND
#: Nodes that translate one connection, one after the other.
_MOST_TRANSLATIONS = 2


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
    same time is taken, and none if they disagree and do not say when they began.
    """
    connections = connections.with_columns(
        destination_told=pl.lit(value=False), backend_told=pl.lit(value=False)
    )
    if table is None:
        return connections
    for _ in range(_MOST_TRANSLATIONS):
        before = _match(
            connections, table, ("client", "destination"), ("sender", "receiver")
        )
        connections = (
            connections.join(before, on="group", how="left", maintain_order="left")
            .with_columns(
                client=pl.coalesce("original_client", "client"),
                destination=pl.coalesce("original_server", "destination"),
                destination_told=pl.col("destination_told")
                | pl.col("original_server").is_not_null(),
            )
            .drop("original_client", "original_server", "sender", "receiver")
        )
        behind = _match(
            connections,
            table,
            ("source", "backend"),
            ("original_client", "original_server"),
        )
        connections = (
            connections.join(behind, on="group", how="left", maintain_order="left")
            .with_columns(
                source=pl.coalesce("sender", "source"),
                backend=pl.coalesce("receiver", "backend"),
                backend_told=pl.col("backend_told") | pl.col("receiver").is_not_null(),
            )
            .drop("original_client", "original_server", "sender", "receiver")
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
        ``sender`` and ``receiver`` (u64, behind the translation), ``began`` (i64, ns).
        None if cluster state has no entries at all.
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
        began=pl.col("start_time").to_physical(),
    )
    return found.collect()


def _match(
    connections: pl.DataFrame,
    table: pl.DataFrame,
    tuple_: tuple[str, str],
    key: tuple[str, str],
) -> pl.DataFrame:
    """Find the entry of a tuple; one row per connection that has exactly one."""
    apart = (pl.col("began") - pl.col("start")).abs()
    told = ("original_client", "original_server", "sender", "receiver")
    return (
        connections.lazy()
        .select("group", pl.col("protocol").cast(pl.String), "start", *tuple_)
        .join(
            table.lazy().with_columns(_first=key[0], _second=key[1]),
            left_on=["protocol", *tuple_],
            right_on=["protocol", "_first", "_second"],
        )
        .filter((apart <= _APART).fill_null(value=True))
        .sort("group", apart.fill_null(_APART), *told)
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
