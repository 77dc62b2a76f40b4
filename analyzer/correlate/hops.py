"""What happens to packets between one observation point and the next."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.compute as pc

from analyzer._cext.arrays import Arrays
from analyzer._cext.hops import Hops
from analyzer.correlate.clocks import RESOLUTION, clocks_by_host
from analyzer.correlate.filled import arrays, by_number, filled_frame
from analyzer.correlate.legs import PLACE, Paths, connections_of
from analyzer.correlate.sightings import ON_ITS_WAY
from analyzer.tables.schema import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from analyzer.correlate.clocks import Clock

#: What is read of sightings, in the order of ``cext/hops.pyx``.
_SEEN = (
    *PLACE,
    "sample",
    "host",
    "start",
    "end",
    "fragments",
    "flips",
    "is_tcp",
    *(
        f"{side}_{name}"
        for side in ("client", "server")
        for name in ("packets", "payload_bytes", "seq_start")
    ),
)
_OF_POINTS = ("point", "start", "end", "client_packets", "server_packets")
#: What is filled, in the order of ``cext/hops.pyx``; texts are codes.
_FILLED = tuple(
    Column(name, kind, "")
    for name, kind in (
        ("connection_id", "u64"),
        ("direction", "u32"),
        ("hop", "u32"),
        ("from_point", "u32"),
        ("to_point", "u32"),
        ("segments", "u64"),
        ("latency_p50", "duration"),
        ("latency_p99", "duration"),
        ("clock_bound", "duration"),
        ("lost_segments", "u64"),
        ("capture_loss", "bool"),
    )
)


def hops(
    paths: Paths,
    samples: pl.LazyFrame,
    times: dict[int, Clock],
) -> pl.DataFrame:
    """Measure each hop of each connection.

    Parameters
    ----------
    paths : Paths
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
    Where routes differ there and back, each direction has the points that saw it.
    Where frames hold several segments (GRO, TSO), it is the least number of segments
    that carry the octets that are missing.
    """
    sampled = samples.collect()
    rows = pl.int_range(sampled.height, dtype=pl.UInt32, eager=True)
    seen = paths.sightings.with_columns(
        is_tcp=pl.col("protocol") == "tcp",
        sample=by_number(sampled["flow"], rows)[paths.sightings["flow"]],
    )
    measured = Hops(
        arrays(seen.select(pl.col(_OF_POINTS).to_physical())),
        [
            [Arrays([each]) for each in _packets(batch)]
            for batch in sampled.drop("flow").to_arrow().to_batches()
        ],
        arrays(
            clocks_by_host(times).select(
                "offset", "drift", "at", "reference", "bound", "drift_bound"
            )
        ),
        RESOLUTION,
        ON_ITS_WAY,
    )
    found: list[pl.DataFrame] = []
    first = 0
    for part in paths._replace(sightings=seen).parts(*_SEEN):
        count = connections_of(part)
        described = arrays(part.select(pl.col(_SEEN).to_physical()))
        found.append(
            filled_frame(
                _FILLED,
                2 * (part.height - count),
                partial(measured.measure, described, first),
            )
        )
        first += count
    ways = pl.Series(["to_backend", "to_client"], dtype=pl.Categorical)
    return pl.concat(
        part.with_columns(
            pl.col("from_point", "to_point").cat.to(pl.Categorical),
            direction=ways[part["direction"]],
        )
        for part in found
    )


def _packets(sampled: pa.RecordBatch) -> Iterator[pa.Array]:
    """Give each way's packets: offsets, ids and times (ns), and its segments' size."""
    for way in ("originator", "responder"):
        ids = sampled[f"{way}_packet_ids"]
        yield pc.subtract(ids.offsets, ids.offsets[0])
        yield ids.flatten()
        yield sampled[f"{way}_packet_times"].flatten()
        yield sampled[f"{way}_syn_mss"]
