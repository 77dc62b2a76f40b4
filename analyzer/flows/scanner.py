"""Frames to packets to flows, by one thread or by several."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

from analyzer._cext.crew import Crew
from analyzer._cext.order import PacketOrder
from analyzer._cext.scan import scan
from analyzer.threads import leave_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer._cext.frames import FrameReader
    from analyzer.decode import Decoder, PacketBatches
    from analyzer.flows import FlowBuilder

# Without flows nothing is swept.
_NEVER = 2**63 - 1


class Scanner:
    """Decode captures, build flows and packet rows; the same for any thread count.

    Parameters
    ----------
    decoders : sequence of Decoder
        One for each thread; the caller's is one of them.
    flows : FlowBuilder or None
        Has a table for each thread.
    packets : PacketBatches or None
        Receives rows.

    Attributes
    ----------
    decoder : Decoder
        Has the counts of a capture once `finish` was called.
    """

    def __init__(
        self,
        decoders: Sequence[Decoder],
        flows: FlowBuilder | None,
        packets: PacketBatches | None,
    ) -> None:
        threads = len(decoders)
        self._decoders = decoders
        self.decoder = decoders[0]
        self._tables = [None] * threads if flows is None else flows.tables
        self._packets = packets
        self._order = PacketOrder(
            _NEVER if flows is None else flows.tables[0].sweep_interval
        )
        self._crew: Crew | None = None
        self._threads: list[Thread] = []
        if threads > 1:
            rows = None if packets is None else packets.rows
            self._crew = Crew(self._order, rows, threads, flows is not None)
            self._threads = [
                Thread(
                    target=self._work,
                    args=(self._crew, number),
                    name=f"decoder-{number}",
                )
                for number in range(1, threads)
            ]
            for thread in self._threads:
                thread.start()

    @property
    def capture_points(self) -> dict[int, tuple[int, int]]:
        """Observation points of the capture: number -> (interface, SLL2 index)."""
        return self._order.capture_points

    def begin_capture(self) -> None:
        """Start with another capture."""
        self._order.begin_capture()
        for decoder in self._decoders:
            decoder.begin_capture()

    def scan(self, reader: FrameReader) -> bool:
        """Take the frames that a reader has in its buffer.

        Returns
        -------
        bool
            False when the packets' batch is full and must be taken before going on,
            after `finish`.
        """
        if self._crew is not None:
            return self._crew.scan(reader, self.decoder, self._tables[0])
        return scan(
            reader,
            self.decoder,
            self._order,
            self._tables[0],
            None if self._packets is None else self._packets.rows,
        )

    def _work(self, crew: Crew, number: int) -> None:
        leave_signals()
        crew.work(number, self._decoders[number], self._tables[number])

    def finish(self) -> None:
        """Let all threads finish what they have; then rows may be taken."""
        if self._crew is None:
            return
        self._crew.finish(self.decoder, self._tables[0])
        for decoder in self._decoders[1:]:
            self.decoder.absorb(decoder)

    def close(self) -> None:
        """Send the threads home."""
        if self._crew is not None:
            self._crew.stop()
        for thread in self._threads:
            thread.join()
        self._threads = []
