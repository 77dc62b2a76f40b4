"""What happens to packets between one observation point and the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.correlate.clocks import RESOLUTION, clock_table

if TYPE_CHECKING:
    from analyzer.correlate.clocks import Clock

#: Packet ids that a flow keeps of each direction.
_SAMPLES = 4


def hops(
    ordered: pl.DataFrame, samples: pl.LazyFrame, times: dict[int, Clock]
) -> pl.DataFrame:
    """Measure each hop of each connection.

    Parameters
    ----------
    ordered : pl.DataFrame
        Sightings with details, see :func:`analyzer.correlate.legs.in_path_order`.
    samples : pl.LazyFrame
        Ids and times of each flow's sampled packets.
    times : dict of int to Clock
        Each host's clock.

    Returns
    -------
    pl.DataFrame
        One row per connection, direction and pair of successive points, in the order
        of the path: ``group`` and the columns of
        :data:`analyzer.tables.schema.HOPS` except ``connection_id``.

    Notes
    -----
    Latencies are those of the packets that both points sampled, at most four in each
    direction. What was lost is told from what both counted, and only if each point's
    capture spans what the other saw.
    """
    pairs = _pairs(_places(ordered, samples), clock_table(times))
    directions = [
        pairs.select(
            "group",
            "_order",
            "hop",
            direction=pl.lit(name),
            from_point=before,
            to_point=behind,
            _latencies=_latencies(side, sign),
            clock_bound="clock_bound",
            **_losses(side, flipped=sign < 0),
        )
        for name, side, sign, before, behind in (
            ("to_backend", "client", 1, "point", "point_next"),
            ("to_client", "server", -1, "point_next", "point"),
        )
    ]
    latencies = pl.col("_latencies")
    is_comparable = pl.col("clock_bound").is_not_null()
    return (
        pl.concat(directions)
        .with_columns(
            segments=latencies.list.len().cast(pl.UInt64),
            latency_p50=pl.when(is_comparable).then(latencies.list.median()),
            # Of four packets, the slowest.
            latency_p99=pl.when(is_comparable).then(latencies.list.max()),
            hop=pl.when(pl.col("direction") == "to_client")
            .then(pl.col("hop").max().over("group") - pl.col("hop"))
            .otherwise("hop"),
        )
        .sort("_order", "direction", "hop")
        .with_columns(
            pl.col("latency_p50", "latency_p99", "clock_bound")
            .clip(0)
            .round()
            .cast(pl.Int64)
            .cast(pl.Duration("ns"))
        )
        .drop("_order", "_latencies")
        .collect()
    )


def _places(ordered: pl.DataFrame, samples: pl.LazyFrame) -> pl.LazyFrame:
    """Keep one sighting of each place on a connection's path, with its samples."""
    place = ["group", "leg", "point", "is_tunneled", "client_outer"]
    packets = pl.col("client_packets") + pl.col("server_packets")
    window = {
        "_since": pl.col("start").min().over("point"),
        "_until": pl.col("end").max().over("point"),
    }
    return (
        ordered.lazy()
        .with_columns(**window)
        .with_row_index("_order")
        .filter(packets == packets.max().over(place))
        .unique(place, keep="first", maintain_order=True)
        .join(samples, on="flow", how="left", maintain_order="left")
        .with_columns(
            pl.when("flips")
            .then(f"{other}_{what}")
            .otherwise(f"{same}_{what}")
            .alias(f"{side}_{what}")
            for side, same, other in (
                ("client", "originator", "responder"),
                ("server", "responder", "originator"),
            )
            for what in ("packet_ids", "packet_times")
        )
    )


def _pairs(places: pl.LazyFrame, table: pl.DataFrame) -> pl.LazyFrame:
    """Set each place beside the next one of its connection."""
    clocked = places.join(table.lazy(), on="host", how="left", maintain_order="left")

    def sample(side: str, number: int) -> list[pl.Expr]:
        time = (
            pl.col(f"{side}_packet_times")
            .list.get(number, null_on_oob=True)
            .to_physical()
        )
        since = (time - pl.col("at").cast(pl.Int64)).cast(pl.Float64)
        shift = (pl.col("offset") + pl.col("drift") * since).round().cast(pl.Int64)
        return [
            pl.col(f"{side}_packet_ids")
            .list.get(number, null_on_oob=True)
            .alias(f"{side}_id_{number}"),
            (time - shift).alias(f"{side}_time_{number}"),
        ]

    columns = [
        f"{side}_{what}_{number}"
        for side in ("client", "server")
        for what in ("id", "time")
        for number in range(_SAMPLES)
    ] + [
        "group",
        "point",
        "host",
        "reference",
        "bound",
        "start",
        "end",
        "fragments",
        "_since",
        "_until",
        *(
            f"{side}_{what}"
            for side in ("client", "server")
            for what in ("packets", "payload_bytes")
        ),
    ]
    is_same_host = pl.col("host") == pl.col("host_next")
    return (
        clocked.with_columns(
            expression
            for side in ("client", "server")
            for number in range(_SAMPLES)
            for expression in sample(side, number)
        )
        .select("_order", *columns)
        .with_columns(pl.col(name).shift(-1).alias(f"{name}_next") for name in columns)
        .filter(pl.col("group") == pl.col("group_next"))
        .with_columns(
            hop=pl.int_range(pl.len(), dtype=pl.UInt32).over("group"),
            clock_bound=pl.when(is_same_host)
            .then(float(RESOLUTION))
            .when(pl.col("reference") == pl.col("reference_next"))
            .then(pl.col("bound") + pl.col("bound_next")),
        )
    )


def _latencies(side: str, sign: int) -> pl.Expr:
    """Subtract the times of the packets that both places sampled; a list of ns."""
    differences = [
        pl.coalesce(
            pl.when(
                pl.col(f"{side}_id_{number}") == pl.col(f"{side}_id_{other}_next")
            ).then(
                sign
                * (
                    pl.col(f"{side}_time_{other}_next")
                    - pl.col(f"{side}_time_{number}")
                )
            )
            for other in range(_SAMPLES)
        )
        for number in range(_SAMPLES)
    ]
    return pl.concat_list(differences).list.drop_nulls()


def _losses(side: str, *, flipped: bool) -> dict[str, pl.Expr]:
    """Compare what was counted before and behind."""
    before, behind = ("_next", "") if flipped else ("", "_next")
    sent, came = (
        pl.col(f"{side}_payload_bytes{which}").cast(pl.Int64)
        for which in (before, behind)
    )
    packets_sent, packets_came = (
        pl.col(f"{side}_packets{which}").cast(pl.Int64) for which in (before, behind)
    )
    missing = (
        pl.when(sent > came)
        # Offloads join segments: what is missing counts as segments of average size.
        .then(((sent - came) * packets_sent / sent).round().clip(1).cast(pl.Int64))
        .when((sent == 0) & (came == 0))
        .then((packets_sent - packets_came).clip(0))
        .when(sent <= came)
        .then(0)
    )
    is_comparable = (
        # Hosts put fragments together and take datagrams apart again.
        (pl.col("fragments") + pl.col("fragments_next") == 0)
        # On `lo`, each direction has a tuple of its own.
        & (packets_sent > 0)
        & (pl.col("_since") <= pl.col("start_next"))
        & (pl.col("_since_next") <= pl.col("start"))
        & (pl.col("_until") >= pl.col("end_next"))
        & (pl.col("_until_next") >= pl.col("end"))
    )
    more = (came > sent) | (
        (came == sent) & (came == 0) & (packets_came > packets_sent)
    )
    return {
        "lost_segments": pl.when(is_comparable).then(missing).cast(pl.UInt64),
        "capture_loss": (is_comparable & more).fill_null(value=False),
    }
