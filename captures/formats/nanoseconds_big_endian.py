"""A pcap written by a big-endian machine with nanoseconds: one TCP handshake."""

from captures.files import BIG, Frame, pcap
from captures.lab import START, Conversation


def build() -> bytes:
    """Write three segments, 1.000000001 seconds apart."""
    segments = Conversation().handshake()
    frames = [
        Frame(bytes(segment), START + i * 1_000_000_001)
        for i, segment in enumerate(segments)
    ]
    return pcap(frames, order=BIG, resolution="ns")
