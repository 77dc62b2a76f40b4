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


def in_path_order(seen: pl.DataFrame, samples: pl.LazyFrame) -> pl.DataFrame:
    """Sort sightings of several by group, and each group's along the client's path.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings with details.
    samples : pl.LazyFrame
        Ids and times of each flow's sampled packets.

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
    ttl = pl.col("client_ttl").cast(pl.Int16)
    most = ttl.max().over(tuple_).fill_null(256)
    reply = pl.col("server_ttl").cast(pl.Int16).min().over(tuple_).fill_null(256)
    level = [*tuple_, "_inside"]
    first = pl.col("_passed").min()
    # At the same moment one packet is seen as it came, in its tunnel, and without:
    # taking it out does not stamp it anew. Putting it in does.
    is_sender = (pl.col("_host_passed") == first.over(level)) & (
        pl.col("host").n_unique().over(level) > 1
    )
    moment = [*level, "host", "_passed"]
    frame = pl.when(pl.col("capture").n_unique().over(moment) == 1).then("first_frame")
    return (
        _with_passing(seen, samples)
        .with_columns(
            _ttl=-most,
            _reply_ttl=reply,
            _inside=-ttl.fill_null(most),
            _tuple_passed=first.over(tuple_),
        )
        .with_columns(_host_passed=first.over([*level, "host"]))
        .with_columns(
            _is_second=pl.col("is_tunneled") == is_sender,
            _frame=frame.fill_null(0),
        )
        .sort(
            "group",
            "_ttl",
            "_reply_ttl",
            "_tuple_passed",
            "ends",
            "_inside",
            "_host_passed",
            "host",
            "_passed",
            "_frame",
            "_is_second",
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


def _with_passing(seen: pl.DataFrame, samples: pl.LazyFrame) -> pl.LazyFrame:
    """Add when the same packet of the client passed each sighting: ``_passed`` (ns).

    It is the first packet, unless a connection was open before some capture began;
    then, of the sampled packets, the one that most sightings have.
    """
    passed = seen.lazy().with_columns(_passed=pl.col("start").fill_null(0))
    first_number = pl.when("flips").then("responder_seq_start").otherwise(
        "originator_seq_start"
    )
    late = (
        seen.lazy()
        .filter(first_number.drop_nulls().n_unique().over("group") > 1)
        .select("group")
        .unique()
        .join(seen.lazy(), on="group")
        .join(samples, on="flow")
        .select(
            "group",
            "flow",
            id=pl.when("flips")
            .then("responder_packet_ids")
            .otherwise("originator_packet_ids"),
            time=pl.when("flips")
            .then("responder_packet_times")
            .otherwise("originator_packet_times"),
            _shift=pl.col("shift"),
        )
        .explode("id", "time")
        .drop_nulls()
        .with_columns(_sightings=pl.len().over("group", "id"))
        .sort("group", "_sightings", "id", descending=[False, True, False])
        .filter(pl.col("id") == pl.col("id").first().over("group"))
        .select("flow", _then=pl.col("time").to_physical() - pl.col("_shift"))
        .unique("flow", keep="first", maintain_order=True)
    )
    return passed.join(late, on="flow", how="left").with_columns(
        _passed=pl.coalesce("_then", "_passed")
    )
