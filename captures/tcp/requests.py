"""One connection, three requests and their answers, the second in two segments."""

from captures.files import pcap
from captures.lab import Conversation, frames


def build() -> bytes:
    """Write a keep-alive conversation, closed by the client."""
    c = Conversation()
    segments = [
        *c.handshake(),
        c.client("PA", b"GET /1"),
        c.server("PA", b"one"),
        c.client("PA", b"GET "),
        c.client("PA", b"/2"),
        c.server("A", b"tw"),
        c.server("PA", b"o"),
        c.client("A"),
        c.client("PA", b"GET /3"),
        c.server("PA", b"three"),
        *c.goodbye(),
    ]
    return pcap(frames(segments))
