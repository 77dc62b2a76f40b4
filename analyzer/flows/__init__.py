"""Packets to flows: the Python face of the compiled flow table."""

from __future__ import annotations

import tempfile
from functools import partial
from typing import TYPE_CHECKING

from analyzer._cext.flows import FlowTable
from analyzer._cext.rows import FlowRows
from analyzer.tables.batch import BATCH_ROWS, buffers_in_turn, plain_schema
from analyzer.tables.schema import FLOWS
from analyzer.threads import in_turn, writes_behind

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from analyzer._cext.columns import Columns
    from analyzer.decode import AddressTable
    from analyzer.tables.batch import BatchBuffers

__all__ = ["FlowBuilder", "FlowNames"]

_NANOSECONDS = 1_000_000_000
_SPOOL_IN_MEMORY = 64 << 20
_SPOOL_ROWS = 16384


class FlowNames:
    """Dictionary indices for the codes in flow records.

    Parameters
    ----------
    captures, points : list of int
        For each observation point the index of its capture and of its name.
    protocols : list of int
        For each protocol number the index of its name.
    """

    def __init__(
        self, captures: list[int], points: list[int], protocols: list[int]
    ) -> None:
        from array import array

        self.captures = memoryview(array("i", captures or [0]))
        self.points = memoryview(array("i", points or [0]))
        self.protocols = memoryview(array("i", protocols))


class FlowBuilder:
    """Flows of one capture after another.

    Parameters
    ----------
    addresses : AddressTable
        Numbers the addresses of the run.
    idle_timeout : float
        Seconds without a packet after which a flow ends.
    active_timeout : float, optional
        Seconds after which a flow is cut although it goes on.
    threads : int
        Threads that build flows, each a shard of them.
    scratch : str, optional
        Directory for flows that have ended, once they are many.

    Notes
    -----
    Rows are in the order in which flows were found to have ended, by capture time and
    then by first packet; those that are open at the end of their capture follow in
    order of their first packet.
    """

    def __init__(
        self,
        addresses: AddressTable,
        *,
        idle_timeout: float,
        active_timeout: float | None,
        threads: int = 1,
        scratch: str | None = None,
    ) -> None:
        self.tables = [
            FlowTable(
                int(idle_timeout * _NANOSECONDS),
                int((active_timeout or 0) * _NANOSECONDS),
            )
            for _ in range(threads)
        ]
        self._rows = FlowRows(addresses, self.tables)
        self._spool = tempfile.SpooledTemporaryFile(  # noqa: SIM115  closed by close()
            max_size=_SPOOL_IN_MEMORY, dir=scratch
        )

    @property
    def protocols(self) -> list[int]:
        """Protocol numbers of all flows, once the last capture has ended."""
        return self._rows.protocols

    @property
    def worth_spooling(self) -> bool:
        """There are flows that have ended and should be put aside."""
        return self._rows.waiting >= _SPOOL_ROWS

    def begin_capture(self) -> None:
        """Start with empty tables."""
        for table in self.tables:
            table.begin_capture()

    def spool_ended(self) -> None:
        """Put flows that have ended aside; no thread may be at work on them."""
        if self._rows.waiting:
            self._spool.write(self._rows.take_ended())

    def end_capture(self, *, last: bool) -> None:
        """End the flows that are open; the last capture's stay where they are."""
        self.spool_ended()
        self._rows.end_capture()
        if last:
            self._rows.number_left()
            return
        for first in range(0, self._rows.left, _SPOOL_ROWS):
            self._spool.write(self._rows.take_left(first, _SPOOL_ROWS))

    def batches(self, names: FlowNames, *, reuse: bool) -> Iterator[pa.RecordBatch]:
        """Give all flows as batches with dictionary indices, and let go of them.

        Parameters
        ----------
        names : FlowNames
            What the codes in the records stand for.
        reuse : bool
            Fill the same buffers again and again: a batch lasts until it is written.
        """
        schema = plain_schema("flows")
        threads = len(self.tables)
        # One is ready, another may be written, and the threads fill others.
        held = 1 + writes_behind() + (threads if threads > 1 else 0)
        spooled = self._spool.tell() // FlowRows.record_size
        most = max(spooled, self._rows.left)
        fresh = buffers_in_turn(FLOWS, held if reuse else None, most)
        codes = names.captures, names.points, names.protocols
        self._spool.seek(0)
        taken = 0
        while piece := self._spool.read(BATCH_ROWS * FlowRows.record_size):
            buffers, columns = next(fresh)
            count = self._rows.write_taken(taken, piece, columns, *codes)
            taken += count
            yield buffers.batch(count, schema)

        def fill(first: int, buffers: BatchBuffers, columns: Columns) -> pa.RecordBatch:
            return buffers.batch(self._rows.write(first, columns, *codes), schema)

        starts = range(0, self._rows.left, BATCH_ROWS)
        yield from in_turn(
            (partial(fill, first, *next(fresh)) for first in starts), threads
        )
        self._rows.clear()

    def close(self) -> None:
        """Let go of the flows that were put aside."""
        self._spool.close()
