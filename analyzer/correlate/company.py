"""Which flows may belong with others: of a capture from one place, next to none.

To find what belongs together, each flow is looked at many times. One that shares no
number with any other is left out of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from analyzer._cext.arrays import Arrays
from analyzer._cext.company import NUMBER_OF_KEYS, put_keys, tell_company
from analyzer._cext.repeats import Repeats, add_up
from analyzer.correlate.midstream import AGREEING_PACKETS
from analyzer.correlate.sightings import is_conversation
from analyzer.correlate.tcp import numbers
from analyzer.tables.batch import BATCH_ROWS

if TYPE_CHECKING:
    from analyzer.correlate.flow_arrays import FlowArrays

_IDS = ("originator_packet_ids", "responder_packet_ids")

#: What is told of a flow.
NO_CONVERSATION, ALONE, IN_COMPANY = range(3)


def company(flows: pl.DataFrame, arrays: FlowArrays) -> pl.Series:
    """Tell which flows may be of one connection with others.

    Parameters
    ----------
    flows : pl.DataFrame
        The flows table.
    arrays : FlowArrays
        The same.

    Returns
    -------
    pl.Series
        One row (u8) per flow. Where it is :data:`ALONE`, no evidence that
        :mod:`analyzer.correlate.grouping` asks for joins the flow with another one;
        where it is :data:`IN_COMPANY`, some may. All else is
        :data:`NO_CONVERSATION` of TCP, UDP, SCTP or ICMP echo.
    """
    rows = flows.height
    repeats = Repeats(rows)
    of_tuple, shared = bytearray(rows), bytearray(rows)
    keys, known = bytearray(8 * rows), bytearray(rows // 8 + 1)
    into = memoryview(keys).cast("Q")
    for which in range(NUMBER_OF_KEYS):
        known[:] = bytes(len(known))
        first = 0
        for part in arrays.parts:
            put_keys(part, arrays.protocols, which, into, known, first)
            first += len(part)
        buffers = [pa.py_buffer(known), pa.py_buffer(keys)]
        column = Arrays([pa.Array.from_buffers(pa.uint64(), rows, buffers)])
        repeats.mark([column], shared if which else of_tuple)
    is_any_short = tell_company(arrays.parts, arrays.protocols, of_tuple, shared)
    told = _octets(shared)
    return told.set(_agreeing(flows), IN_COMPANY) if is_any_short else told


def _agreeing(flows: pl.DataFrame) -> pl.Series:
    """Mark the flows whose sampled packets others have, too, if any needs them."""
    number_of_ids = pl.sum_horizontal(pl.col(_IDS).list.len())
    may_agree, needs_them = flows.select(
        may_agree=(
            is_conversation()
            & (pl.col("protocol") == "tcp")
            & (number_of_ids >= AGREEING_PACKETS)
        ).fill_null(value=False),
        needs_them=pl.any_horizontal(
            numbers()[name].is_null() for name in ("client_isn", "server_isn")
        ),
    )
    if not (may_agree & needs_them).any():
        return pl.repeat(value=False, n=flows.height, eager=True)
    parts = list(flows.select(_IDS).iter_slices(BATCH_ROWS))
    lists = [part[name].to_arrow() for name in _IDS for part in parts]
    ids = []
    for each in lists:
        first, last = each.offsets[0].as_py(), each.offsets[-1].as_py()
        ids.append(Arrays([each.values.slice(first, last - first)]))
    marks = bytearray(sum(map(len, ids)))
    Repeats(len(marks)).mark(ids, marks)
    agreeing = bytearray(flows.height)
    add_up([Arrays([each.offsets]) for each in lists], marks, agreeing)
    return may_agree & (_octets(agreeing) >= AGREEING_PACKETS)


def _octets(values: bytearray) -> pl.Series:
    rows = len(values)
    return pl.Series(
        pa.Array.from_buffers(pa.uint8(), rows, [None, pa.py_buffer(values)])
    )
