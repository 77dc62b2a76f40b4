"""One row per connection: where its path begins and ends, and what stands for it."""

from __future__ import annotations

import polars as pl

#: Counters of one sighting that stand for the connection, by side.
_SIDES = ("packets", "bytes", "payload_bytes")


def chains(ordered: pl.DataFrame, alone: pl.DataFrame) -> pl.DataFrame:
    """Reduce sightings to connections.

    Parameters
    ----------
    ordered : pl.DataFrame
        Sightings of connections that several saw, see
        :func:`analyzer.correlate.legs.in_path_order`.
    alone : pl.DataFrame
        Sightings of connections that nothing else saw.

    Returns
    -------
    pl.DataFrame
        One row per connection: ``group``, ``protocol``, ``client`` and ``destination``
        (u64, the ends of the first tuple), ``source`` and ``backend`` (those of the
        last), ``first`` and ``best`` (u32, the flows at the beginning of the path and
        of those with the most payload), ``flips`` (of ``best``), ``legs`` (u32),
        ``client_ttl``, ``is_tunneled`` and ``host`` (of ``first``), ``is_answered``
        (bool), the counters, ``flow_ids`` (list of u64, ascending), ``points`` (list).
    """
    payload = (
        pl.sum_horizontal("client_payload_bytes", "server_payload_bytes")
        .fill_null(0)
        .cast(pl.UInt64)
    )
    packets = pl.col("client_packets") + pl.col("server_packets")
    lane = ["group", "lane"]
    counters = [f"{side}_{name}" for side in ("client", "server") for name in _SIDES]
    several = ordered.lazy()
    if ordered.select(pl.struct(lane).is_duplicated().any()).item():
        # Timeouts have cut a flow: its pieces count as one.
        several = several.with_columns(
            *(pl.col(name).sum().over(lane) for name in counters),
            pl.col("retransmits", "requests").sum().over(lane),
        )
    place = ["group", "leg", "point", "is_tunneled", "client_outer"]
    several = several.with_columns(
        _score=pl.struct(
            (pl.col("copies") == 0).alias("is_single"),
            payload.alias("payload"),
            pl.col("tcp_state").is_not_null().alias("state"),
            packets.alias("packets"),
        ).rank("dense", descending=True),
        _is_new_place=pl.struct(place) != pl.struct(place).shift(),
    )
    best = pl.col("_score").arg_min()
    reduced = several.group_by("group", maintain_order=True).agg(
        pl.col("protocol", "client", "client_ttl", "is_tunneled", "host").first(),
        pl.col("server").first().alias("destination"),
        pl.col("client").last().alias("source"),
        pl.col("server").last().alias("backend"),
        pl.col("flow").first().alias("first"),
        pl.col("flow").get(best).alias("best"),
        pl.col("leg").n_unique().cast(pl.UInt32).alias("legs"),
        pl.col("is_answered").any(),
        pl.col("start").min(),
        pl.col("end").max(),
        # On `lo`, no sighting has both ways.
        *(
            pl.when(pl.col(f"{side}_packets").get(best) > 0)
            .then(pl.col(f"{side}_{name}").get(best))
            .otherwise(pl.col(f"{side}_{name}").max())
            .alias(f"{side}_{name}")
            for side in ("client", "server")
            for name in _SIDES
        ),
        pl.col("retransmits").get(best),
        pl.col("requests").max(),
        pl.col("tcp_state").drop_nulls().first().alias("_any_state"),
        pl.col("tcp_state").get(best),
        pl.col("handshake_rtt").drop_nulls().first(),
        pl.col("icmp_errors").max(),
        pl.col("flow_id").sort().alias("flow_ids"),
        pl.col("point")
        .filter(pl.col("_is_new_place").fill_null(value=True))
        .alias("points"),
    )
    reduced = reduced.with_columns(
        tcp_state=pl.coalesce("tcp_state", "_any_state")
    ).drop("_any_state")
    single = alone.lazy().select(
        "group",
        "protocol",
        "client",
        "client_ttl",
        "is_tunneled",
        "host",
        pl.col("server").alias("destination"),
        pl.col("client").alias("source"),
        pl.col("server").alias("backend"),
        pl.col("flow").alias("first"),
        pl.col("flow").alias("best"),
        pl.lit(1, pl.UInt32).alias("legs"),
        "is_answered",
        "start",
        "end",
        *counters,
        "retransmits",
        "requests",
        "tcp_state",
        "handshake_rtt",
        "icmp_errors",
        pl.concat_list("flow_id").alias("flow_ids"),
        pl.concat_list("point").alias("points"),
    )
    return pl.concat([reduced, single]).collect()
