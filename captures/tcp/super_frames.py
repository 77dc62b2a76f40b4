"""Segments that offloads joined, cut at 128 octets, two of them with IP length 0.

Linux writes 0 where the length does not fit (above 64 KiB) or where the NIC will
split the segment and write it; the record alone tells what was on the link.
"""

from scapy.layers.inet import IP

from captures.files import pcap
from captures.lab import Conversation, frames

SNAPSHOT = 128
JOINED = (64_000, 50_000, 70_000)


def build() -> bytes:
    """Write a handshake, three super-frames and an acknowledgement."""
    c = Conversation()
    handshake = c.handshake()
    joined = [c.server("A", b"x" * size) for size in JOINED]
    for segment in joined[1:]:
        segment[IP].len = 0
    written = frames([*handshake, *joined, c.client("A")])
    return pcap([f.cut(SNAPSHOT) for f in written], snapshot_length=SNAPSHOT)
