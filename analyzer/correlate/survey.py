"""What all flows show at a glance: addresses, points, and what tunnels are between."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import pyarrow as pa

from analyzer._cext import survey as compiled
from analyzer.correlate.sightings import is_unread_tunnel
from analyzer.tables.expressions import host_of

if TYPE_CHECKING:
    from analyzer.correlate.flow_arrays import FlowArrays

_ADDRESSES = tuple(
    f"{outer}{side}_ip"
    for outer in ("", "outer_")
    for side in ("originator", "responder")
)
# What the compiled survey adds up.
_IS_SEEN, _IS_INSIDE, _IS_OWN = 1, 2, 4


class Survey(NamedTuple):
    """What flows show.

    ``addresses`` has one row per address, sorted: ``address`` (str), ``code`` (u32, of
    the categorical).

    ``points`` has one row per point: ``point`` (categorical), ``name`` (str, its
    host's, what stands before the slash), ``host`` (u32, numbers of the names in their
    order, equal where a clock is shared).

    ``spans`` has one row per point with a conversation: ``point``, ``host``, ``start``
    and ``end`` (i64, ns, not set right yet), ``flows`` (number of conversations).

    ``inside`` and ``pairs`` tell of the tunnels around conversations, ``pairs`` also of
    those that a snapshot length left nothing of but the outside, see
    :class:`analyzer.cluster.inferred.Tunnels`. ``passing`` has the pairs of all flows,
    with their number as ``flows``.
    """

    addresses: pl.DataFrame
    points: pl.DataFrame
    spans: pl.DataFrame
    inside: pl.DataFrame
    pairs: pl.DataFrame
    passing: pl.DataFrame


def survey(flows: pl.DataFrame, arrays: FlowArrays) -> Survey:
    """Look at all flows once.

    Parameters
    ----------
    flows : pl.DataFrame
        The flows table.
    arrays : FlowArrays
        The same.
    """
    codes = flows.select(pl.col(_ADDRESSES).to_physical().max())
    count = codes.max_horizontal().fill_null(0).item() + 1
    about, low, high = bytearray(count), bytearray(4 * count), bytearray(4 * count)
    glance = compiled.Survey(
        arrays.protocols, about, *(memoryview(each).cast("I") for each in (low, high))
    )
    for part in arrays.parts:
        glance.add(part)
    every = pl.DataFrame(
        [
            _column("about", about, pa.uint8()),
            _column("outer", low, pa.uint32()),
            _column("last", high, pa.uint32()),
        ]
    ).with_row_index("code")
    points, spans = _points(glance)
    pairs = pl.DataFrame(
        glance.pairs(),
        schema={
            "point": pl.UInt32,
            "outer_originator": pl.UInt32,
            "outer_responder": pl.UInt32,
            "flows": pl.UInt64,
            "conversations": pl.UInt64,
        },
        orient="row",
    ).with_columns(pl.col("point").cat.to(pl.Categorical))
    return Survey(
        addresses=every.filter(pl.col("about") & _IS_SEEN > 0)
        .select(
            pl.col("code").cat.to(pl.Categorical).cast(pl.String).alias("address"),
            "code",
        )
        .sort("address"),
        points=points,
        spans=spans,
        inside=every.filter(pl.col("about") & _IS_INSIDE > 0).select(
            "code", "outer", "last", is_own=pl.col("about") & _IS_OWN > 0
        ),
        pairs=pl.concat(
            [
                pairs.filter(pl.col("conversations") > 0).drop(
                    "flows", "conversations"
                ),
                _unread(flows.lazy()),
            ]
        ).unique(maintain_order=True),
        passing=pairs.drop("conversations"),
    )


def by_flows(spans: pl.DataFrame) -> list[int]:
    """List the hosts that captured, who saw the most flows first."""
    return (
        spans.group_by("host")
        .agg(pl.col("flows").sum())
        .sort("flows", "host", descending=[True, False])["host"]
        .to_list()
    )


def _unread(flows: pl.LazyFrame) -> pl.DataFrame:
    """Give the ends of tunnels whose inside could not be read."""
    found = flows.filter(is_unread_tunnel()).select(
        "point",
        outer_originator=pl.col("originator_ip").to_physical(),
        outer_responder=pl.col("responder_ip").to_physical(),
    )
    return found.unique(maintain_order=True).collect()


def _points(glance: compiled.Survey) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = (
        pl.DataFrame(
            glance.places(),
            schema={
                "point": pl.UInt32,
                "start": pl.Int64,
                "end": pl.Int64,
                "flows": pl.UInt64,
            },
            orient="row",
        )
        .with_columns(pl.col("point").cat.to(pl.Categorical))
        .with_columns(name=host_of("point"))
        .with_columns(host=pl.col("name").rank("dense").cast(pl.UInt32) - 1)
    )
    return (
        found.select("point", "name", "host"),
        found.filter(pl.col("flows") > 0).select(
            "point", "host", "start", "end", "flows"
        ),
    )


def _column(name: str, values: bytearray, kind: pa.DataType) -> pl.Series:
    rows = len(values) // (kind.bit_width // 8)
    return pl.Series(
        name, pa.Array.from_buffers(kind, rows, [None, pa.py_buffer(values)])
    )
