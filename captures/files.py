"""Writes capture files octet by octet: pcap, pcapng and each of their blocks.

Nothing here knows how the analyzer reads them, so makers and tests can write what
no library would: two byte orders in one file, a block that claims four gigabytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Link types, https://www.tcpdump.org/linktypes.html
NULL = 0
ETHERNET = 1
RAW_BSD = 12
RAW_OPENBSD = 14
RAW = 101
LOOP = 108
LINUX_SLL = 113
IPV4 = 228
IPV6 = 229
LINUX_SLL2 = 276

SNAPSHOT_LENGTH = 262_144

LITTLE = "<"
BIG = ">"

_PCAP_MAGIC = {"us": 0xA1B2C3D4, "ns": 0xA1B23C4D}
_NANOSECONDS_PER_UNIT = {"us": 1000, "ns": 1}

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
NAME_RESOLUTION = 4
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
DECRYPTION_SECRETS = 10
CUSTOM = 0x0BAD

IF_NAME = 2
IF_TSRESOL = 9
IF_TSOFFSET = 14
ISB_IFRECV = 4
ISB_IFDROP = 5


@dataclass(frozen=True)
class Frame:
    """One captured frame: its octets, when, and how long it was on the link."""

    octets: bytes
    time: int  # nanoseconds since the epoch
    wire_length: int | None = None

    @property
    def original_length(self) -> int:
        """Octets on the link."""
        return len(self.octets) if self.wire_length is None else self.wire_length

    def cut(self, length: int) -> Frame:
        """Keep the first octets only, as ``tcpdump -s`` does."""
        return Frame(self.octets[:length], self.time, self.original_length)


# pcap: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html


def pcap_header(
    *,
    link_type: int = ETHERNET,
    order: str = LITTLE,
    resolution: str = "us",
    snapshot_length: int = SNAPSHOT_LENGTH,
) -> bytes:
    """Write a file header."""
    return struct.pack(
        f"{order}IHHiIII",
        _PCAP_MAGIC[resolution],
        2,
        4,
        0,
        0,
        snapshot_length,
        link_type,
    )


def pcap_record(frame: Frame, *, order: str = LITTLE, resolution: str = "us") -> bytes:
    """Write one record."""
    seconds, nanoseconds = divmod(frame.time, 1_000_000_000)
    return (
        struct.pack(
            f"{order}IIII",
            seconds,
            nanoseconds // _NANOSECONDS_PER_UNIT[resolution],
            len(frame.octets),
            frame.original_length,
        )
        + frame.octets
    )


def pcap(
    frames: Iterable[Frame],
    *,
    link_type: int = ETHERNET,
    order: str = LITTLE,
    resolution: str = "us",
    snapshot_length: int = SNAPSHOT_LENGTH,
) -> bytes:
    """Write a whole file."""
    header = pcap_header(
        link_type=link_type,
        order=order,
        resolution=resolution,
        snapshot_length=snapshot_length,
    )
    records = (pcap_record(f, order=order, resolution=resolution) for f in frames)
    return header + b"".join(records)


# pcapng: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html


def padded(octets: bytes) -> bytes:
    """Fill up to a multiple of four octets."""
    return octets + bytes(-len(octets) % 4)


def options(pairs: Sequence[tuple[int, bytes]], *, order: str = LITTLE) -> bytes:
    """Write an option list; nothing at all if it is empty."""
    if not pairs:
        return b""
    written = [
        struct.pack(f"{order}HH", code, len(value)) + padded(value)
        for code, value in pairs
    ]
    return b"".join(written) + bytes(4)


def block(kind: int, body: bytes, *, order: str = LITTLE) -> bytes:
    """Write a block of any kind."""
    length = 12 + len(padded(body))
    return (
        struct.pack(f"{order}II", kind, length)
        + padded(body)
        + struct.pack(f"{order}I", length)
    )


def section(
    *, order: str = LITTLE, length: int = -1, extra: Sequence[tuple[int, bytes]] = ()
) -> bytes:
    """Write a section header block; -1 is a length that was not known."""
    body = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, length)
    return block(SECTION_HEADER, body + options(extra, order=order), order=order)


def interface(
    *,
    link_type: int = ETHERNET,
    name: str | None = None,
    resolution: int | None = None,
    offset: int | None = None,
    snapshot_length: int = SNAPSHOT_LENGTH,
    order: str = LITTLE,
) -> bytes:
    """Write an interface description block.

    ``resolution`` is the octet of if_tsresol: a negative power of ten, or of two where
    the highest bit is set. ``offset`` is if_tsoffset, in seconds.
    """
    pairs: list[tuple[int, bytes]] = []
    if name is not None:
        pairs.append((IF_NAME, name.encode()))
    if resolution is not None:
        pairs.append((IF_TSRESOL, bytes([resolution])))
    if offset is not None:
        pairs.append((IF_TSOFFSET, struct.pack(f"{order}q", offset)))
    body = struct.pack(f"{order}HHI", link_type, 0, snapshot_length)
    return block(INTERFACE_DESCRIPTION, body + options(pairs, order=order), order=order)


def enhanced(
    frame: Frame, *, ticks: int | None = None, index: int = 0, order: str = LITTLE
) -> bytes:
    """Write an enhanced packet block; ``ticks`` defaults to microseconds."""
    ticks = frame.time // 1000 if ticks is None else ticks
    body = struct.pack(
        f"{order}IIIII",
        index,
        ticks >> 32,
        ticks & 0xFFFFFFFF,
        len(frame.octets),
        frame.original_length,
    )
    return block(ENHANCED_PACKET, body + padded(frame.octets), order=order)


def obsolete(
    frame: Frame, *, ticks: int | None = None, index: int = 0, order: str = LITTLE
) -> bytes:
    """Write an obsolete packet block, as old dumpcaps did."""
    ticks = frame.time // 1000 if ticks is None else ticks
    body = struct.pack(
        f"{order}HHIIII",
        index,
        0,
        ticks >> 32,
        ticks & 0xFFFFFFFF,
        len(frame.octets),
        frame.original_length,
    )
    return block(OBSOLETE_PACKET, body + padded(frame.octets), order=order)


def simple(frame: Frame, *, order: str = LITTLE) -> bytes:
    """Write a simple packet block: no time, no interface, no captured length."""
    body = struct.pack(f"{order}I", frame.original_length)
    return block(SIMPLE_PACKET, body + padded(frame.octets), order=order)


def statistics(
    *, received: int, dropped: int, index: int = 0, order: str = LITTLE
) -> bytes:
    """Write an interface statistics block."""
    pairs = [
        (ISB_IFRECV, struct.pack(f"{order}Q", received)),
        (ISB_IFDROP, struct.pack(f"{order}Q", dropped)),
    ]
    body = struct.pack(f"{order}III", index, 0, 0)
    return block(INTERFACE_STATISTICS, body + options(pairs, order=order), order=order)
