"""Frames to packets: the Python face of the compiled decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer._cext.addresses import AddressTable
from analyzer._cext.columns import Columns
from analyzer._cext.decode import Decoder
from analyzer._cext.packets import PacketRows
from analyzer.errors import AnalyzerError
from analyzer.tables.batch import (
    BATCH_ROWS,
    BatchBuffers,
    index_array,
    plain_schema,
)
from analyzer.tables.schema import PACKETS, STOP_REASONS, TUNNELS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pyarrow as pa

    from analyzer.tables.captures import CaptureSummary

__all__ = [
    "STOP_LAYERS",
    "AddressTable",
    "Decoder",
    "PacketBatches",
    "address_texts",
    "describe_frames",
    "make_decoder",
]

#: Names of the headers, in the order of ``Layer`` in ``cext/packet.pxd``.
STOP_LAYERS = (
    "link",
    "ethernet",
    "vlan",
    "sll",
    "sll2",
    "null",
    "ipv4",
    "ipv6",
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "icmp6",
    "vxlan",
    "geneve",
    "gre",
    "ipip",
)


def make_decoder(vxlan_ports: Sequence[int]) -> Decoder:
    """Make a decoder for a run; 4789 always carries VXLAN.

    Raises
    ------
    AnalyzerError
        If a port is none, or there are too many of them.
    """
    for port in vxlan_ports:
        if not 0 < port < 65536:
            raise AnalyzerError(
                f"{port} is not a UDP port", hint="ports are 1 to 65535"
            )
    try:
        return Decoder(vxlan_ports)
    except ValueError as error:
        raise AnalyzerError(str(error)) from error


def describe_frames(decoder: Decoder, summary: CaptureSummary) -> None:
    """Add to a capture's summary what the decoder met in it."""
    counts = decoder.counts
    summary.packets = counts["packets"] or 0
    summary.captured_bytes = counts["captured_bytes"] or 0
    summary.wire_bytes = counts["wire_bytes"] or 0
    summary.non_ip = counts["non_ip"] or 0
    summary.start_time = counts["start_time"]
    summary.end_time = counts["end_time"]
    tunnels = zip(TUNNELS, decoder.tunnel_counts[1:], strict=True)
    summary.tunnels = {name: count for name, count in tunnels if count}
    summary.vnis = dict(sorted(decoder.vni_counts.items()))
    summary.stops = {
        (STOP_REASONS[reason - 1], STOP_LAYERS[layer]): count
        for (reason, layer), count in decoder.stop_counts.items()
    }


def address_texts(addresses: AddressTable) -> pa.Array:
    """Give the addresses of a run as text, in order of their numbers."""
    import pyarrow as pa

    offsets, data = addresses.texts()
    return pa.Array.from_buffers(
        pa.utf8(),
        len(addresses),
        [None, pa.py_buffer(offsets), pa.py_buffer(data)],
    )


class PacketBatches:
    """Rows of the packets table, a batch at a time.

    Parameters
    ----------
    addresses : AddressTable
        Numbers the addresses of the run.
    wanted : collection of str, optional
        Columns to fill; all if not given.
    most : int, optional
        Rows wanted in all.
    rows : int
        Rows of a batch.
    """

    def __init__(
        self,
        addresses: AddressTable,
        *,
        wanted: Collection[str] | None = None,
        most: int | None = None,
        rows: int = BATCH_ROWS,
    ) -> None:
        self._wanted = wanted
        self._row_count = rows
        self._addresses = addresses
        self._schema = plain_schema("packets", wanted)
        self._allocate()
        self.rows = PacketRows(
            addresses, self._columns, 2**64 - 1 if most is None else most
        )

    def take(self, capture: int) -> pa.RecordBatch:
        """Take the rows that have been filled, all of one capture.

        Parameters
        ----------
        capture : int
            Dictionary index of the capture's name.

        Returns
        -------
        pa.RecordBatch
            With dictionary indices; buffers of its own.
        """
        count = self.rows.count
        buffers = self._buffers
        self._allocate()
        batch = buffers.batch(count, self._schema)
        self.rows.continue_in(self._columns)
        if "capture" in self._schema.names:
            at = self._schema.get_field_index("capture")
            captures = index_array([capture] * count)
            batch = batch.set_column(at, self._schema.field(at), captures)
        return batch

    @property
    def protocols(self) -> list[int]:
        """Protocol numbers in order of appearance."""
        return self.rows.protocols_met

    def _allocate(self) -> None:
        self._buffers = BatchBuffers(PACKETS, self._row_count, self._wanted)
        self._columns = Columns(
            self._row_count,
            self._buffers.data,
            self._buffers.validity,
            self._buffers.offsets,
        )
