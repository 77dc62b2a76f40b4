"""A pcap that ends in the middle of its third frame, as ``head -c`` leaves it."""

from captures.files import pcap
from captures.lab import Conversation, frames


def build() -> bytes:
    """Write two whole records and 20 octets of a third frame."""
    written = pcap(frames(Conversation().handshake()))
    return written[: -len(bytes(Conversation().client("S"))) + 20]
