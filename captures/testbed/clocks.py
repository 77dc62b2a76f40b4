"""Give a host a wrong clock, after the recording.

All namespaces share one clock, so captures made here agree on the time. Real nodes'
clocks do not. `shift` rewrites the times of one host's captures by a known offset
and drift: what an analyzer estimates can be compared with what was put in.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NANOSECOND = 10**9
PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", NANOSECOND),
    b"\xa1\xb2\x3c\x4d": (">", NANOSECOND),
}
INTERFACE, ENHANCED_PACKET = 1, 6  # block types
IF_TSRESOL = 9


@dataclass(frozen=True)
class Clock:
    """How wrong a clock is: its offset, and how that grows."""

    offset_s: float
    drift_ppm: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Clock:
        """Read ``OFFSET`` or ``OFFSET:PPM``."""
        offset, _, drift = text.partition(":")
        return cls(float(offset), float(drift or 0))

    def wrong(self, time_ns: int, since_ns: int) -> int:
        """Return what the clock shows at a time; it drifts from ``since_ns`` on."""
        drifted = (time_ns - since_ns) * self.drift_ppm / 1e6
        return time_ns + round(self.offset_s * NANOSECOND) + round(drifted)

    def right(self, time_ns: int, since_ns: int) -> int:
        """Return the time at which the clock shows another: undo ``wrong``."""
        shown = time_ns - since_ns - round(self.offset_s * NANOSECOND)
        return since_ns + round(shown / (1 + self.drift_ppm / 1e6))


def shift(path: Path, clock: Clock, since_s: float) -> None:
    """Rewrite a capture's times as ``clock`` would have written them.

    Parameters
    ----------
    path : Path
        A pcap or pcapng file as tcpdump and dumpcap write them; changed in place.
    clock : Clock
        The wrong clock.
    since_s : float
        When the clock's drift began, in seconds since 1970.
    """
    data = bytearray(path.read_bytes())
    since_ns = round(since_s * NANOSECOND)
    if bytes(data[:4]) in PCAP_MAGIC:
        shift_pcap(data, clock, since_ns)
    else:
        shift_pcapng(data, clock, since_ns)
    path.write_bytes(data)


def shift_pcap(data: bytearray, clock: Clock, since_ns: int) -> None:
    """Rewrite the record headers of a pcap file."""
    order, resolution = PCAP_MAGIC[bytes(data[:4])]
    unit = NANOSECOND // resolution
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, captured = struct.unpack_from(f"{order}III", data, at)
        time_ns = clock.wrong(seconds * NANOSECOND + fraction * unit, since_ns)
        seconds, rest = divmod(time_ns, NANOSECOND)
        struct.pack_into(f"{order}II", data, at, seconds, rest // unit)
        at += 16 + captured


def shift_pcapng(data: bytearray, clock: Clock, since_ns: int) -> None:
    """Rewrite the enhanced packet blocks of a pcapng file."""
    order = "<" if data[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
    units: list[int] = []  # nanoseconds per tick, of each interface
    at = 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from(f"{order}II", data, at)
        if kind == INTERFACE:
            units.append(tick_ns(data, at + 16, at + length - 4, order))
        elif kind == ENHANCED_PACKET:
            interface, high, low = struct.unpack_from(f"{order}III", data, at + 8)
            unit = units[interface]
            time_ns = clock.wrong(((high << 32) | low) * unit, since_ns)
            high, low = divmod(time_ns // unit, 1 << 32)
            struct.pack_into(f"{order}II", data, at + 12, high, low)
        at += length


def tick_ns(data: bytearray, at: int, end: int, order: str) -> int:
    """Return an interface's time unit: option if_tsresol, else a microsecond."""
    while at + 4 <= end:
        code, length = struct.unpack_from(f"{order}HH", data, at)
        if code == IF_TSRESOL:
            return int(NANOSECOND // 10 ** data[at + 4])
        at += 4 + (length + 3) // 4 * 4
    return 1000
