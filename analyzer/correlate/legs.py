"""The legs of a connection: its tuples in the order in which packets meet them."""

from __future__ import annotations

import polars as pl

from analyzer.correlate.addresses import INITIAL_TTLS


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
    is_sure = pl.any_horizontal(pl.col("originator_isn", "responder_isn").is_not_null())
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


def in_path_order(
    seen: pl.DataFrame, samples: pl.LazyFrame, nodes: pl.DataFrame
) -> pl.DataFrame:
    """Sort sightings of several by group, and each group's along the client's path.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings with details.
    samples : pl.LazyFrame
        Ids and times of each flow's sampled packets.
    nodes : pl.DataFrame
        Capture hosts that are nodes, and their addresses outside of tunnels: ``host``,
        ``outer`` (u32).

    Returns
    -------
    pl.DataFrame
        Sorted, with ``leg`` (u32, equal for the same tuple of a group, ascending).

    Notes
    -----
    Every hop takes one from the TTL of what the client sends, whatever clocks say.
    Between the same TTL, a tunnel's end at the client's side comes before the other,
    the client's own host before all and the backend's behind. Then the time decides,
    host by host: packets leave one before they reach the next. Where requests and replies have different tuples (on ``lo``), what
    was seen of replies alone is the client's side.
    """
    tuple_ = ["group", "ends"]
    ttl = pl.col("client_ttl").cast(pl.Int16)
    most = ttl.max().over(tuple_).fill_null(256)
    reply = pl.col("server_ttl").cast(pl.Int16).min().over(tuple_).fill_null(256)
    level = [*tuple_, "_inside"]
    place = [*level, "point", "is_tunneled", "client_outer"]
    first = pl.col("_passed").min()
    return (
        _with_passing(seen, samples)
        .join(_sides(seen, nodes), on=["group", "ends", "host"], how="left")
        .with_columns(
            _ttl=-most,
            _reply_ttl=reply,
            _inside=-ttl.fill_null(most),
            _tuple_passed=first.over(tuple_),
        )
        .with_columns(
            _side=pl.when("_is_node")
            .then("_side")
            .when(ttl.is_in(INITIAL_TTLS))
            .then(-2)
            .otherwise(2),
            _host_passed=first.over([*level, "host"]),
            # Several captures may have one place.
            _place_passed=first.over(place),
            # At the same moment one packet is seen as it came, in its tunnel, and
            # without: taking it out does not stamp it anew. Putting it in does.
            _is_second=pl.col("is_tunneled") == (pl.col("_side") == -1),
        )
        .sort(
            "group",
            "_ttl",
            "_reply_ttl",
            "_tuple_passed",
            "ends",
            "_inside",
            "_side",
            "_host_passed",
            "host",
            "_place_passed",
            "_is_second",
            "point",
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


def _sides(seen: pl.DataFrame, nodes: pl.DataFrame) -> pl.LazyFrame:
    """Tell at which side of its tunnels each host of a tuple is.

    Returns
    -------
    pl.LazyFrame
        One row per group, tuple and host: ``_is_node``, and ``_side`` (-1 at the
        client's end, 1 at the server's, 0 if that is not known).
    """
    host = ["group", "ends", "host"]
    outers = (
        seen.lazy()
        .filter("is_tunneled")
        .group_by("group", "ends")
        .agg(pl.col("client_outer", "server_outer").first())
    )
    owned = nodes.lazy().group_by("host").agg(pl.col("outer").alias("_owned"))
    return (
        seen.lazy()
        .select(host)
        .unique()
        .join(owned, on="host", how="left")
        .join(outers, on=["group", "ends"], how="left")
        .select(
            *host,
            # Where no node is known, all hosts are alike.
            _is_node=pl.col("_owned").is_not_null() | pl.lit(nodes.is_empty()),
            _side=pl.when(pl.col("client_outer").is_in("_owned"))
            .then(-1)
            .when(pl.col("server_outer").is_in("_owned"))
            .then(1)
            .otherwise(0),
        )
    )


def _with_passing(seen: pl.DataFrame, samples: pl.LazyFrame) -> pl.LazyFrame:
    """Add when the same packet of the client passed each sighting: ``_passed`` (us).

    It is the first packet, unless a connection was open before some capture began;
    then it is how much later than elsewhere the sampled packets passed.
    """
    start = pl.col("start").fill_null(0)
    first_number = (
        pl.when("flips").then("responder_seq_start").otherwise("originator_seq_start")
    )
    is_late = first_number.drop_nulls().n_unique().over("group") > 1
    late = seen.lazy().filter(is_late)
    delays = (
        late.join(samples, on="flow")
        .select(
            "group",
            "flow",
            "shift",
            id=pl.when("flips")
            .then("responder_packet_ids")
            .otherwise("originator_packet_ids"),
            time=pl.when("flips")
            .then("responder_packet_times")
            .otherwise("originator_packet_times"),
        )
        .explode("id", "time")
        .drop_nulls()
        .with_columns(time=pl.col("time").to_physical() - pl.col("shift"))
        .filter(pl.len().over("group", "id") > 1)
        .with_columns(pl.col("time") - pl.col("time").min().over("group", "id"))
        .group_by("flow")
        .agg(_delay=pl.col("time").median().cast(pl.Int64))
    )
    timed = seen.lazy().filter(~is_late).with_columns(_passed=start)
    delayed = (
        late.join(delays, on="flow", how="left", maintain_order="left")
        .with_columns(_passed=start.min().over("group") + pl.col("_delay").fill_null(0))
        .drop("_delay")
    )
    return pl.concat([timed, delayed]).with_columns(pl.col("_passed") // 1000)
