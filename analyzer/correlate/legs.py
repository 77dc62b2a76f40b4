"""The legs of a connection: its tuples in the order in which packets meet them."""

from __future__ import annotations

import polars as pl


def oriented(seen: pl.DataFrame, servers: pl.DataFrame) -> pl.DataFrame:
    """Turn sightings round whose originator was not the client.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings with ``group``.
    servers : pl.DataFrame
        Ends that are known to serve: ``end`` (u64).

    Returns
    -------
    pl.DataFrame
        The same sightings; where the beginning was not seen, ``client``, ``server``
        and ``flips`` say what the tuple's ends are in sightings that saw it, else what
        is known to serve, else that a server has the lower port.
    """
    is_sure = pl.any_horizontal(
        pl.col("originator_isn", "responder_isn").is_not_null()
    )
    sure = seen.filter(is_sure)
    unsure = seen.filter(~is_sure)
    if not unsure.height:
        return seen
    known = pl.concat(
        [servers.select("end"), sure.select(end="server")], how="vertical"
    )["end"].unique()
    told = sure.select("group", "ends", told="client").unique(["group", "ends"])
    serves = pl.col("client").is_in(known.implode())
    is_served = pl.col("server").is_in(known.implode())
    lower = (pl.col("client") % 65536) < (pl.col("server") % 65536)
    turn = (
        pl.when(pl.col("told").is_not_null())
        .then(pl.col("told") != pl.col("client"))
        .when(serves != is_served)
        .then(serves)
        # Datagrams have no SYN: who speaks first asks, unless it is known to serve.
        .otherwise(lower & (pl.col("protocol") == "tcp") & ~pl.col("is_from_start"))
    )
    turned = (
        unsure.join(told, on=["group", "ends"], how="left", maintain_order="left")
        .with_columns(
            is_from_start=pl.col("originator_seq_start").is_not_null()
            & pl.col("originator_tcp_flags").is_null()
            & pl.col("responder_tcp_flags").is_null()
        )
        .with_columns(_turn=turn)
        .with_columns(
            client=pl.when("_turn").then("server").otherwise("client"),
            server=pl.when("_turn").then("client").otherwise("server"),
            flips=pl.col("flips") ^ pl.col("_turn"),
        )
        .select(seen.columns)
    )
    return pl.concat([sure, turned])


def in_path_order(seen: pl.DataFrame) -> pl.DataFrame:
    """Sort sightings of several by group, and each group's along the client's path.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings with ``group``, ``client_ttl`` and ``server_ttl``.

    Returns
    -------
    pl.DataFrame
        Sorted, with ``leg`` (u32, equal for the same tuple of a group, ascending).

    Notes
    -----
    Every hop takes one from the TTL of what the client sends, whatever clocks say.
    Between the same TTL the time decides, host by host: packets leave one before they
    reach the next. Where requests and replies have different tuples (on ``lo``), what
    was seen of replies alone is the client's side.
    """
    tuple_ = ["group", "ends"]
    host = [*tuple_, "host"]
    ttl = pl.col("client_ttl").max().over(tuple_).cast(pl.Int16).fill_null(256)
    reply_ttl = pl.col("server_ttl").min().over(tuple_).cast(pl.Int16).fill_null(256)
    first = pl.col("start").fill_null(0).min()
    inside = pl.col("client_ttl").cast(pl.Int16).fill_null(ttl)
    return (
        seen.lazy()
        .with_columns(
            _ttl=-ttl,
            _reply_ttl=reply_ttl,
            _tuple_start=first.over(tuple_),
            _inside=-inside,
        )
        .with_columns(
            _host_start=pl.col("start").fill_null(0).min().over([*host, "_inside"]),
        )
        .with_columns(
            _is_sender=pl.col("_host_start")
            == pl.col("_host_start").min().over([*tuple_, "_inside"])
        )
        .sort(
            "group",
            "_ttl",
            "_reply_ttl",
            "_tuple_start",
            "ends",
            "_inside",
            "_host_start",
            "host",
            "start",
            # Sent, a packet is plain first and in a tunnel then; received, reversed.
            pl.col("is_tunneled") == pl.col("_is_sender"),
            "flow",
        )
        .with_columns(
            leg=(
                (pl.col("ends") != pl.col("ends").shift())
                | (pl.col("group") != pl.col("group").shift())
            )
            .fill_null(value=True)
            .cast(pl.UInt32)
            .cum_sum()
        )
        .drop("^_.*$")
        .collect()
    )
