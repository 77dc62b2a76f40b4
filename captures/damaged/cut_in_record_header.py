"""A pcap that ends in the header of its third record."""

from captures.files import pcap
from captures.lab import Conversation, frames


def build() -> bytes:
    """Write two whole records and seven octets."""
    segments = Conversation().handshake()
    return pcap(frames(segments[:2])) + bytes(7)
