"""Segments sent again, late, early, and to keep alive: who repeated what.

The client repeats its SYN and one segment; the server's third segment arrives before
its second (a hole filled is no repetition) and is repeated in a larger segment; the
client then probes with an octet that was acknowledged long ago.
"""

from captures.files import pcap
from captures.lab import Conversation, frames


def build() -> bytes:
    """Write one conversation."""
    c = Conversation()
    syn = c.client("S")
    segments = [syn, syn, c.server("SA"), c.client("A")]
    question = c.client("PA", b"question")
    segments += [question, question, c.server("A")]
    base = c.next[1]
    segments += [
        c.server("PA", b"first " * 10),
        c.server("PA", b"third " * 10, seq=base + 120),
        c.server("PA", b"second" * 10, seq=base + 60),
        c.client("A"),
        c.server("PA", b"second" * 10 + b"third " * 10, seq=base + 60),
        c.client("A"),
        c.client("A", b"\0", seq=c.next[0] - 1),
        c.server("A"),
        *c.goodbye(),
    ]
    return pcap(frames(segments, step=10))
