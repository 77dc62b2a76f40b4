"""What happens to packets between one observation point and the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from analyzer._cext.arrays import Arrays
from analyzer._cext.hops import measure
from analyzer.correlate.addresses import with_places
from analyzer.correlate.clocks import RESOLUTION, are_one, clock_table, corrected
from analyzer.correlate.legs import PLACE
from analyzer.correlate.sightings import ON_ITS_WAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.correlate.clocks import Clock

#: What is measured of each hop, its type and how it lies in memory.
_MEASURED: dict[str, tuple[pa.DataType, Any]] = {
    "from_place": (pa.uint32(), "I"),
    "to_place": (pa.uint32(), "I"),
    "hop": (pa.uint32(), "I"),
    "segments": (pa.uint64(), "Q"),
    "latency_p50": (pa.float64(), "d"),
    "latency_p99": (pa.float64(), "d"),
    "clock_bound": (pa.float64(), "d"),
    "lost_segments": (pa.int64(), "q"),
    "capture_loss": (pa.uint8(), "B"),
}


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
    places = _places(ordered)
    sampled = samples.collect().rechunk()
    rows = 2 * (places.height - places["connection_id"].n_unique())
    buffers = {
        name: pa.allocate_buffer(rows * kind.byte_width)
        for name, (kind, _) in _MEASURED.items()
    }
    measure(
        Arrays(
            [each.to_arrow() for each in _described(places, sampled, times).rechunk()]
        ),
        [Arrays([each]) for each in _packets(ordered, sampled, times)],
        RESOLUTION,
        *(
            memoryview(buffers[name]).cast("B").cast(code)
            for name, (_, code) in _MEASURED.items()
        ),
    )
    measured = pl.from_arrow(
        pa.RecordBatch.from_arrays(
            [
                pa.Array.from_buffers(kind, rows, [None, buffers[name]])
                for name, (kind, _) in _MEASURED.items()
            ],
            list(_MEASURED),
        )
    )
    assert isinstance(measured, pl.DataFrame)  # noqa: S101  a batch, no column
    before, behind = (measured[f"{name}_place"] for name in ("from", "to"))
    is_there = pl.int_range(pl.len()) % 2 == 0
    lost = pl.col("lost_segments")
    return measured.select(
        connection_id=places["connection_id"][before],
        direction=pl.when(is_there)
        .then(pl.lit("to_backend", pl.Categorical))
        .otherwise(pl.lit("to_client", pl.Categorical)),
        hop="hop",
        from_point=places["point"][before],
        to_point=places["point"][behind],
        segments="segments",
        latency_p50=_nanoseconds("latency_p50"),
        latency_p99=_nanoseconds("latency_p99"),
        clock_bound=_nanoseconds("clock_bound"),
        lost_segments=pl.when(lost >= 0).then(lost).cast(pl.UInt64),
        capture_loss=pl.col("capture_loss") == 1,
    )


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
    of_points = ordered.group_by("point").agg(
        # The first packets of a capture may have been seen elsewhere before.
        _since=pl.col("start").min() - ON_ITS_WAY,
        _until=pl.col("end").max() + ON_ITS_WAY,
        _is_two_way=(pl.min_horizontal("client_packets", "server_packets") > 0).any(),
    )
    places = with_places(
        ordered.select(
            *columns, connection_id=pl.col("group").rle_id().cast(pl.UInt64)
        ),
        of_points,
    )
    place = ordered.select(PLACE).to_series()
    if place.is_unique().all():
        return places
    most = packets == packets.max().over("_place")
    return (
        places.with_columns(_place=place)
        .filter(most)
        .filter(pl.col("_place").is_first_distinct())
        .drop("_place")
    )


def _described(
    places: pl.DataFrame, sampled: pl.DataFrame, times: dict[int, Clock]
) -> pl.DataFrame:
    """Give the columns of places by which they are compared."""
    rows = sampled["flow"].search_sorted(places["flow"])
    segments = sampled.select("originator_syn_mss", "responder_syn_mss")[rows]
    bound = (
        pl.col("bound") + pl.col("drift_bound") * (pl.col("start") - pl.col("at")).abs()
    )
    # Each side says how much it takes.
    sizes = {
        f"{side}_mss": pl.when("flips")
        .then(f"{same}_syn_mss")
        .otherwise(f"{other}_syn_mss")
        for side, same, other in (
            ("client", "originator", "responder"),
            ("server", "responder", "originator"),
        )
    }
    return (
        places.with_columns(_sample=rows)
        .hstack(segments)
        .join(clock_table(times), on="host", how="left", maintain_order="left")
        .with_columns(**sizes)
        .select(
            "connection_id",
            "_sample",
            "host",
            "reference",
            bound,
            "start",
            "end",
            "_since",
            "_until",
            "_is_two_way",
            "fragments",
            "flips",
            pl.col("protocol") == "tcp",
            *(
                f"{side}_{name}"
                for side in ("client", "server")
                for name in ("packets", "payload_bytes", "seq_start", "mss")
            ),
        )
    )


def _packets(
    ordered: pl.DataFrame, sampled: pl.DataFrame, times: dict[int, Clock]
) -> Iterator[pa.Array]:
    """Give offsets, ids and times (ns, the reference's) of each way's packets."""
    for way in ("originator", "responder"):
        ids = sampled[f"{way}_packet_ids"].to_arrow()
        yield pc.subtract(ids.offsets, ids.offsets[0])
        yield ids.flatten()
        stamps = sampled[f"{way}_packet_times"]
        if are_one(times):
            yield stamps.to_arrow().flatten()
        else:
            yield _corrected(stamps, sampled["flow"], ordered, times).to_arrow()


def _corrected(
    stamps: pl.Series, flows: pl.Series, ordered: pl.DataFrame, times: dict[int, Clock]
) -> pl.Series:
    """Set the times in all lists back to what the reference's clock showed."""
    flat = (
        pl.LazyFrame([flows, stamps.alias("time")])
        .join(
            ordered.lazy().select("flow", "host"),
            on="flow",
            how="left",
            maintain_order="left",
        )
        .join(clock_table(times).lazy(), on="host", how="left", maintain_order="left")
        .filter(pl.col("time").list.len() > 0)
        .explode("time")
        .select(corrected(pl.col("time").to_physical()))
        .collect()
    )
    return flat.to_series()


def _nanoseconds(name: str) -> pl.Expr:
    value = pl.col(name).fill_nan(None)
    return value.clip(0).round().cast(pl.Int64).cast(pl.Duration("ns"))
