"""What happens to packets between one observation point and the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.correlate.clocks import RESOLUTION, are_one, clock_table, corrected
from analyzer.correlate.legs import PLACE
from analyzer.correlate.sightings import ON_ITS_WAY, SAMPLE_SIZE

if TYPE_CHECKING:
    from analyzer.correlate.clocks import Clock

#: Payload of a full segment on Ethernet, where no SYN told.
_FULL_SEGMENT = 1460
_IDS = tuple(
    f"{side}_id_{number}"
    for side in ("client", "server")
    for number in range(SAMPLE_SIZE)
)
# Name, whose packets, and which of two successive places they pass first.
_DIRECTIONS = (
    ("to_backend", "client", "point", "point_next"),
    ("to_client", "server", "point_next", "point"),
)


def hops(
    ordered: pl.DataFrame,
    samples: pl.LazyFrame,
    times: dict[int, Clock],
) -> pl.DataFrame:
    """Measure each hop of each connection.

    Parameters
    ----------
    ordered : pl.DataFrame
        Sightings by side, see :func:`analyzer.correlate.legs.in_path_order`.
    samples : pl.LazyFrame
        See :func:`analyzer.correlate.sightings.samples`.
    times : dict of int to Clock
        Each host's clock.

    Returns
    -------
    pl.DataFrame
        One row per connection, direction and pair of successive points, in the order
        of the path: see :data:`analyzer.tables.schema.HOPS`.

    Notes
    -----
    Latencies are those of the packets that both points sampled, at most four in each
    direction. What was lost is told from what both counted, and only if each point's
    capture spans what the other saw, and shows both directions of anything at all.
    Where frames hold several segments (GRO, TSO), it is the least number of segments
    that carry the octets that are missing.
    """
    places = _with_samples(_places(ordered), samples, times)
    pairs = places.with_columns(
        is_pair=pl.col("connection_id") == pl.col("connection_id").shift(-1),
        is_aligned=pl.all_horizontal(
            pl.col(name).eq_missing(pl.col(name).shift(-1)) for name in _IDS
        ),
        hop=pl.int_range(pl.len(), dtype=pl.UInt32).over("connection_id"),
        last=pl.len().over("connection_id").cast(pl.UInt32) - 2,
    ).collect()
    # Where both have sampled the same packets, number goes with number.
    measured = [_measured(pairs.lazy(), aligned=True)]
    unlike = ~pairs["is_aligned"] & pairs["is_pair"]
    if unlike.any():
        rows = pairs.with_row_index("row")
        both = unlike | unlike.shift(1, fill_value=False)
        measured = [
            _measured(rows.lazy(), aligned=True).filter("is_aligned"),
            _measured(rows.filter(both).lazy(), aligned=False).filter(
                ~pl.col("is_aligned")
            ),
        ]
    found = pl.concat(measured).collect()
    if unlike.any():
        found = found.sort("row").drop("row")
    return _interleaved(*(_direction(found, *each) for each in _DIRECTIONS))


def _measured(places: pl.LazyFrame, *, aligned: bool) -> pl.LazyFrame:
    """Set each place beside the next one of its connection."""
    is_same_host = pl.col("host") == pl.col("host").shift(-1)
    is_same_reference = pl.col("reference") == pl.col("reference").shift(-1)
    bound = (
        pl.when(is_same_host)
        .then(float(RESOLUTION))
        .when(is_same_reference)
        .then(pl.col("bound") + pl.col("bound").shift(-1))
    )
    return (
        places.select(
            pl.col("^row$"),
            "connection_id",
            "is_pair",
            "is_aligned",
            "hop",
            "last",
            "point",
            point_next=pl.col("point").shift(-1),
            clock_bound=bound,
            **_between("client", 1, aligned=aligned),
            **_between("server", -1, aligned=aligned),
            **_losses("client", backwards=False),
            **_losses("server", backwards=True),
        )
        .filter("is_pair")
        .with_columns(
            clock_bound=_nanoseconds(pl.col("clock_bound")),
            **_latencies("client"),
            **_latencies("server"),
        )
    )


def _direction(
    pairs: pl.DataFrame, direction: str, side: str, before: str, behind: str
) -> pl.DataFrame:
    """Take the rows of one direction."""
    hop = pl.col("hop") if side == "client" else pl.col("last") - pl.col("hop")
    return pairs.select(
        "connection_id",
        direction=pl.lit(direction, pl.Categorical),
        hop=hop,
        from_point=before,
        to_point=behind,
        segments=f"{side}_segments",
        latency_p50=f"{side}_latency_p50",
        latency_p99=f"{side}_latency_p99",
        clock_bound="clock_bound",
        lost_segments=f"{side}_lost_segments",
        capture_loss=f"{side}_capture_loss",
    )


def _interleaved(there: pl.DataFrame, back: pl.DataFrame) -> pl.DataFrame:
    """Put both directions of each hop one after the other."""
    row = pl.int_range(2 * there.height, eager=True)
    return pl.concat([there, back])[row // 2 + row % 2 * there.height]


def _places(ordered: pl.DataFrame) -> pl.DataFrame:
    """Keep one sighting of each place on a connection's path."""
    packets = pl.col("client_packets") + pl.col("server_packets")
    columns = [
        "flow",
        "protocol",
        "client_seq_start",
        "server_seq_start",
        "point",
        "host",
        "start",
        "end",
        "flips",
        "fragments",
        "client_packets",
        "server_packets",
        "client_payload_bytes",
        "server_payload_bytes",
    ]
    return (
        ordered.lazy()
        .select(
            *columns,
            connection_id=pl.col("group").rle_id().cast(pl.UInt64),
            # The first packets of a capture may have been seen elsewhere before.
            _since=pl.col("start").min().over("point") - ON_ITS_WAY,
            _until=pl.col("end").max().over("point") + ON_ITS_WAY,
            _is_two_way=(pl.min_horizontal("client_packets", "server_packets") > 0)
            .any()
            .over("point"),
            _place=PLACE,
            _packets=packets,
        )
        .filter(pl.col("_packets") == pl.col("_packets").max().over("_place"))
        .filter(pl.col("_place").is_first_distinct())
        .drop("_place", "_packets")
        .collect()
    )


def _with_samples(
    places: pl.DataFrame, samples: pl.LazyFrame, times: dict[int, Clock]
) -> pl.LazyFrame:
    """Add the sampled packets: ``client_id_0``, ``client_time_0`` and so on.

    Times are ns on the reference's clock; packets that there are none of are null.
    """
    ways = ("originator", "responder")
    of_flows = samples.collect()
    rows = of_flows["flow"].search_sorted(places["flow"])
    flat = of_flows[rows].select(
        *(
            pl.col(f"{way}_packet_{what}s")
            .list.get(number, null_on_oob=True)
            .to_physical()
            .alias(f"{way}_{what}_{number}")
            for way in ways
            for what in ("id", "time")
            for number in range(SAMPLE_SIZE)
        ),
        *(f"{way}_syn_mss" for way in ways),
        *(pl.col(f"{way}_packet_ids").list.len() for way in ways),
    )
    sampled = (
        pl.concat([places, flat], how="horizontal")
        .lazy()
        .join(clock_table(times).lazy(), on="host", how="left", maintain_order="left")
    )
    is_shifted = not are_one(times)
    columns = {}
    for side, same, other in (
        ("client", "originator", "responder"),
        ("server", "responder", "originator"),
    ):
        # Each side says how much it takes.
        columns[f"{side}_mss"] = (
            pl.when("flips").then(f"{same}_syn_mss").otherwise(f"{other}_syn_mss")
        )
        ids = (
            pl.when("flips").then(f"{other}_packet_ids").otherwise(f"{same}_packet_ids")
        )
        # Of datagrams that are all the same, nobody knows which one others have.
        is_each_another = (pl.col("protocol") == "tcp") | (
            ids >= pl.col(f"{side}_packets").clip(0, SAMPLE_SIZE)
        )
        for number in range(SAMPLE_SIZE):
            for what in ("id", "time"):
                value = pl.when(is_each_another).then(
                    pl.when("flips")
                    .then(f"{other}_{what}_{number}")
                    .otherwise(f"{same}_{what}_{number}")
                )
                columns[f"{side}_{what}_{number}"] = (
                    corrected(value) if is_shifted and what == "time" else value
                )
    return sampled.select(
        "connection_id",
        "client_seq_start",
        "server_seq_start",
        "point",
        "host",
        "reference",
        "start",
        "end",
        "_since",
        "_until",
        "_is_two_way",
        "fragments",
        "client_packets",
        "server_packets",
        "client_payload_bytes",
        "server_payload_bytes",
        bound=pl.col("bound")
        + pl.col("drift_bound") * (pl.col("start") - pl.col("at")).abs(),
        **columns,
    )


def _between(side: str, sign: int, *, aligned: bool) -> dict[str, pl.Expr]:
    """Subtract the times of the packets that both places sampled."""
    return {
        f"{side}_between_{number}": pl.coalesce(
            pl.when(
                pl.col(f"{side}_id_{number}") == pl.col(f"{side}_id_{other}").shift(-1)
            ).then(
                sign
                * (
                    pl.col(f"{side}_time_{other}").shift(-1)
                    - pl.col(f"{side}_time_{number}")
                )
            )
            for other in ([number] if aligned else range(SAMPLE_SIZE))
        )
        for number in range(SAMPLE_SIZE)
    }


def _latencies(side: str) -> dict[str, pl.Expr]:
    """Sum up the times between two places."""
    between = [pl.col(f"{side}_between_{number}") for number in range(SAMPLE_SIZE)]
    count = pl.sum_horizontal(each.is_not_null() for each in between)
    least, most = pl.min_horizontal(between), pl.max_horizontal(between)
    total = pl.sum_horizontal(between)
    # Of four numbers at most, the median needs no order.
    median = (
        pl.when(count <= 2)
        .then(total / count)
        .otherwise((total - least - most) / (count - 2))
    )
    # What came before it was sent tells nothing.
    is_comparable = (count > 0) & (least >= -pl.col("clock_bound"))
    return {
        f"{side}_segments": count.cast(pl.UInt64),
        f"{side}_latency_p50": _nanoseconds(pl.when(is_comparable).then(median)),
        # Of four packets, the slowest.
        f"{side}_latency_p99": _nanoseconds(pl.when(is_comparable).then(most)),
    }


def _losses(side: str, *, backwards: bool) -> dict[str, pl.Expr]:
    """Compare what was counted before and behind."""

    def before(name: str) -> pl.Expr:
        return pl.col(name).shift(-1) if backwards else pl.col(name)

    def behind(name: str) -> pl.Expr:
        return pl.col(name) if backwards else pl.col(name).shift(-1)

    sent = before(f"{side}_payload_bytes").cast(pl.Int64)
    came = behind(f"{side}_payload_bytes").cast(pl.Int64)
    packets_sent = before(f"{side}_packets").cast(pl.Int64)
    packets_came = behind(f"{side}_packets").cast(pl.Int64)
    payloads = sent / packets_sent.clip(1), came / packets_came.clip(1)
    full = pl.coalesce(
        f"{side}_mss",
        pl.col(f"{side}_mss").shift(-1),
        pl.min_horizontal(*payloads).ceil().clip(_FULL_SEGMENT),
    ).clip(1)
    # Offloads join segments: then frames do not count them.
    is_joined = pl.max_horizontal(*payloads) > full
    least = ((sent - came) / full).ceil().cast(pl.Int64)
    missing = (
        pl.when((sent > came) & is_joined)
        .then(least)
        .when(sent > came)
        .then(pl.max_horizontal(least, packets_sent - packets_came))
        .when((sent == 0) & (came == 0))
        .then((packets_sent - packets_came).clip(0))
        .when(sent <= came)
        .then(0)
    )
    is_comparable = (
        # Hosts put fragments together and take datagrams apart again.
        (pl.col("fragments") + pl.col("fragments").shift(-1) == 0)
        # A capture that began later has fewer.
        & pl.all_horizontal(
            pl.col(f"{one}_seq_start").eq_missing(pl.col(f"{one}_seq_start").shift(-1))
            | (pl.col(f"{one}_packets") == 0)
            | (pl.col(f"{one}_packets").shift(-1) == 0)
            for one in ("client", "server")
        )
        # On `lo`, each direction has a tuple of its own; filters may take only one.
        & (packets_sent > 0)
        & ((packets_came > 0) | behind("_is_two_way"))
        & (pl.col("_since") <= pl.col("start").shift(-1))
        & (pl.col("_since").shift(-1) <= pl.col("start"))
        & (pl.col("_until") >= pl.col("end").shift(-1))
        & (pl.col("_until").shift(-1) >= pl.col("end"))
    )
    more = (came > sent) | (
        (came == sent) & (came == 0) & (packets_came > packets_sent)
    )
    return {
        f"{side}_lost_segments": pl.when(is_comparable).then(missing).cast(pl.UInt64),
        f"{side}_capture_loss": (is_comparable & more).fill_null(value=False),
    }


def _nanoseconds(value: pl.Expr) -> pl.Expr:
    return value.clip(0).round().cast(pl.Int64).cast(pl.Duration("ns"))
