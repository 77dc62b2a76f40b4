"""Packets to flows: the Python face of the compiled flow table."""

from __future__ import annotations

import tempfile
from itertools import cycle, repeat
from typing import TYPE_CHECKING

from analyzer._cext.columns import Columns
from analyzer._cext.flows import FlowTable
from analyzer._cext.scan import scan
from analyzer.tables.batch import BATCH_ROWS, BatchBuffers, plain_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from analyzer.capture import Capture
    from analyzer.decode import AddressTable, Decoder, PacketBatches

__all__ = ["FlowBuilder", "FlowNames", "scan_frames"]

_NANOSECONDS = 1_000_000_000
_SPOOL_IN_MEMORY = 64 << 20
_SPOOL_ROWS = 16384


def scan_frames(
    capture: Capture,
    decoder: Decoder,
    flows: FlowBuilder | None,
    packets: PacketBatches | None,
) -> bool:
    """Decode the frames that a capture has in its buffer.

    Returns
    -------
    bool
        False when the packets' batch is full and must be taken before going on.
    """
    return scan(
        capture.reader,
        decoder,
        None if flows is None else flows.table,
        None if packets is None else packets.rows,
    )


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
    scratch : str, optional
        Directory for flows that have ended, once they are many.

    Notes
    -----
    Rows are in the order in which flows ended; those that are open at the end of their
    capture follow in order of their first packet.
    """

    def __init__(
        self,
        addresses: AddressTable,
        *,
        idle_timeout: float,
        active_timeout: float | None,
        scratch: str | None = None,
    ) -> None:
        self.table = FlowTable(
            addresses,
            int(idle_timeout * _NANOSECONDS),
            int((active_timeout or 0) * _NANOSECONDS),
        )
        self._spool = tempfile.SpooledTemporaryFile(  # noqa: SIM115  closed by close()
            max_size=_SPOOL_IN_MEMORY, dir=scratch
        )

    def spool_ended(self) -> None:
        """Put flows that have ended aside, once they are worth the trouble."""
        if self.table.ended_rows >= _SPOOL_ROWS:
            self._spool.write(self.table.take_ended())

    def end_capture(self, *, last: bool) -> None:
        """End the flows that are open; the last capture's stay where they are."""
        self.table.end_capture()
        while not last and self.table.retire(_SPOOL_ROWS):
            self._spool.write(self.table.take_ended())
        if self.table.ended_rows:
            self._spool.write(self.table.take_ended())
        if last:
            self.table.number_addresses()

    def batches(self, names: FlowNames, *, reuse: bool) -> Iterator[pa.RecordBatch]:
        """Give all flows as batches with dictionary indices, once.

        Parameters
        ----------
        names : FlowNames
            What the codes in the records stand for.
        reuse : bool
            Fill the same buffers again and again: the last batch but one is lost.
        """
        schema = plain_schema("flows")
        # Two of them: one is written while the next is filled.
        fresh: Iterator[tuple[BatchBuffers, Columns]] = (
            cycle([_allocate(), _allocate()])
            if reuse
            else (_allocate() for _ in repeat(None))
        )
        codes = names.captures, names.points, names.protocols
        self._spool.seek(0)
        while piece := self._spool.read(BATCH_ROWS * FlowTable.record_size):
            buffers, columns = next(fresh)
            count = self.table.write_taken(piece, columns, *codes)
            yield buffers.batch(count, schema)
        while not self.table.written_out:
            buffers, columns = next(fresh)
            count = self.table.write(columns, *codes)
            yield buffers.batch(count, schema)

    def close(self) -> None:
        """Let go of the flows that were put aside."""
        self._spool.close()


def _allocate() -> tuple[BatchBuffers, Columns]:
    buffers = BatchBuffers("flows")
    return buffers, Columns(
        buffers.rows, buffers.data, buffers.validity, buffers.offsets
    )
