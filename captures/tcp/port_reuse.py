"""One five-tuple, three conversations: two by a new SYN, one after a long silence."""

from captures.files import pcap
from captures.lab import Conversation, frame

SECOND = 1_000  # milliseconds


def build() -> bytes:
    """Write two whole conversations a second apart, then data ten minutes later."""
    first, second = Conversation(), Conversation(client_isn=5_000_000)
    later = Conversation(client_isn=7_000_000)
    timed = [(0, [*first.handshake(), *first.goodbye()])]
    timed += [(SECOND, [*second.handshake(), second.client("PA", b"?")])]
    timed += [(601 * SECOND, [later.client("PA", b"still there?")])]
    return pcap(
        frame(segment, start + i)
        for start, segments in timed
        for i, segment in enumerate(segments)
    )
