"""Take one interface's packets out of a pcapng file that holds several."""

from __future__ import annotations

import struct

SECTION, INTERFACE, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6  # block types
BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}


def only(octets: bytes, wanted: int) -> bytes:
    """Keep one interface of a file of one section, as if it had been recorded alone.

    Parameters
    ----------
    octets : bytes
        A pcapng file as dumpcap writes it: one section, enhanced packet blocks.
    wanted : int
        The interface's number, from 0 in the order of the file.

    Returns
    -------
    bytes
        The section header, the interface's description and its packets; statistics
        and other blocks are left out.
    """
    order = BYTE_ORDER[octets[8:12]]
    kept: list[bytes] = []
    interfaces = 0
    at = 0
    while at < len(octets):
        kind, length = struct.unpack_from(f"{order}II", octets, at)
        block = octets[at : at + length]
        if kind == SECTION:
            kept.append(block)
        elif kind == INTERFACE:
            if interfaces == wanted:
                kept.append(block)
            interfaces += 1
        elif kind == ENHANCED_PACKET:
            (number,) = struct.unpack_from(f"{order}I", block, 8)
            if number == wanted:
                kept.append(block[:8] + bytes(4) + block[12:])
        at += length
    return b"".join(kept)
