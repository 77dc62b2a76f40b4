"""Flows that belong with no others: each is a connection, seen in one place."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from analyzer._cext.alone import Filler
from analyzer.correlate.chains import COLUMNS
from analyzer.correlate.clocks import clock_table
from analyzer.correlate.filled import arrays, in_code_order
from analyzer.tables.batch import buffers_in_turn
from analyzer.tables.schema import Column, arrow_type
from analyzer.threads import in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer._cext.arrays import Arrays
    from analyzer._cext.columns import Columns
    from analyzer.correlate.clocks import Clock
    from analyzer.correlate.flow_arrays import FlowArrays
    from analyzer.correlate.legs import Ends
    from analyzer.tables.batch import BatchBuffers

#: What is filled, in the order of ``cext/alone.pyx``; texts are codes.
_COLUMNS = tuple(
    Column(name, kind, "")
    for name, kind in (
        ("group", "u32"),
        ("flow_id", "u64"),
        ("point", "u32"),
        ("protocol", "u32"),
        ("client", "u64"),
        ("server", "u64"),
        ("client_ttl", "u8"),
        ("client_outer", "u32"),
        ("is_tunneled", "bool"),
        ("node", "u32"),
        ("is_overlay", "bool"),
        ("is_pod_side", "bool"),
        ("raw_start", "i64"),
        ("start", "i64"),
        ("end", "i64"),
        ("is_answered", "bool"),
        ("is_numbered", "bool"),
        ("requests", "u64"),
        ("handshake_rtt", "duration"),
        ("tcp_state", "u32"),
        ("retransmits", "u64"),
        ("client_packets", "u64"),
        ("server_packets", "u64"),
        ("client_bytes", "u64"),
        ("server_bytes", "u64"),
        ("client_payload_bytes", "u64"),
        ("server_payload_bytes", "u64"),
    )
)
_SCHEMA = pa.schema([(column.name, arrow_type(column)) for column in _COLUMNS])
_TEXTS = ("protocol", "node", "tcp_state")


class Alone:
    """Give the connections of flows that belong with no others.

    Parameters
    ----------
    flows : FlowArrays
        The flows table.
    told : pl.Series
        See :func:`analyzer.correlate.company.company`.
    ends : Ends
        What is known of who is the client.
    places : pl.DataFrame
        What points are, see :func:`analyzer.correlate.addresses.point_places`.
    hosts : pl.DataFrame
        ``points`` of :class:`analyzer.correlate.survey.Survey`.
    times : dict of int to Clock
        Each host's clock.
    """

    def __init__(
        self,
        flows: FlowArrays,
        told: pl.Series,
        ends: Ends,
        places: pl.DataFrame,
        hosts: pl.DataFrame,
        times: dict[int, Clock],
    ) -> None:
        self._parts = flows.parts
        self._told = arrays([told])
        points = (
            places.join(hosts.select("point", "host"), on="point")
            .join(clock_table(times), on="host", how="left")
            .select(
                "point",
                pl.col("node").to_physical(),
                "is_overlay",
                "is_pod_side",
                *(pl.col(name).fill_null(0) for name in ("offset", "drift", "at")),
            )
        )
        met = ends.met.select("end", pl.col("met").cast(pl.UInt32))
        self._filler = Filler(
            flows.protocols,
            _by_code(points, "point"),
            arrays([ends.told]),
            arrays([ends.seen]),
            arrays(met),
            arrays([ends.tunnels]),
            arrays([ends.nodes]),
        )

    def parts(self, *, held: int | None) -> Iterator[pl.DataFrame]:
        """Give all connections in parts, in the order of their flows.

        Parameters
        ----------
        held : int or None
            Parts that are in use at a time: the one before them is lost with the next.
            With None, none is.

        Yields
        ------
        pl.DataFrame
            See :func:`analyzer.correlate.chains.chains`.
        """
        threads = pl.thread_pool_size()
        ahead = 0 if threads == 1 else threads
        most = max(self._parts.rows, default=0)
        fresh = buffers_in_turn(_COLUMNS, None if held is None else held + ahead, most)
        firsts = accumulate(self._parts.rows, initial=0)
        yield from in_turn(
            (
                partial(self._part, part, first, *next(fresh))
                for part, first in zip(self._parts, firsts, strict=False)
            ),
            threads,
        )

    def _part(
        self, part: Arrays, first: int, buffers: BatchBuffers, columns: Columns
    ) -> pl.DataFrame:
        count = self._filler.fill(part, first, self._told, columns)
        filled = pl.from_arrow(buffers.batch(count, _SCHEMA))
        assert isinstance(filled, pl.DataFrame)  # noqa: S101  a batch, no column
        every = pl.int_range(count + 1, dtype=pl.Int64, eager=True).to_arrow()
        lists = {
            f"{name}s": pl.Series(
                f"{name}s",
                pa.LargeListArray.from_arrays(every, filled[name].to_arrow()),
            )
            for name in ("flow_id", "point")
        }
        return filled.with_columns(
            *(pl.col(name).cat.to(pl.Categorical) for name in _TEXTS),
            destination="server",
            source="client",
            backend="server",
            **lists,
        ).select(COLUMNS)


def _by_code(frame: pl.DataFrame, name: str) -> Arrays:
    """Give a frame's other columns, a row for each code that a text may have."""
    coded = frame.with_columns(code=pl.col(name).to_physical()).drop(name)
    return arrays(in_code_order(coded).drop("code"))
