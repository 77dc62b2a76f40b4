"""Two pcapng sections of different byte order, with every kind of packet block.

The little-endian section has an interface with nanoseconds and one in 1/1024 seconds,
an hour off; between its packets lie a name resolution block, a custom block and one of
a kind that nobody knows. The big-endian section has one interface and counts drops.
"""

from captures.files import (
    BIG,
    CUSTOM,
    NAME_RESOLUTION,
    RAW,
    block,
    enhanced,
    interface,
    obsolete,
    section,
    simple,
    statistics,
)
from captures.lab import START, Conversation, frame

HOUR = 3600
UNKNOWN_BLOCK = 0x0000_7FFF


def build() -> bytes:
    """Write seven packets of one conversation, as three interfaces saw them."""
    talk = Conversation()
    segments = [*talk.handshake(), talk.client("PA", b"hello"), *talk.goodbye()]
    frames = [frame(segment, i) for i, segment in enumerate(segments)]
    as_ip = frame(bytes(frames[1].octets[14:]), 1)
    kibi_ticks = (START - HOUR * 1_000_000_000) * 1024 // 1_000_000_000
    return b"".join(
        (
            section(),
            interface(name="eth0", resolution=9),
            interface(name="tun0", link_type=RAW, resolution=0x80 | 10, offset=HOUR),
            enhanced(frames[0], ticks=frames[0].time + 7),
            block(NAME_RESOLUTION, bytes(4)),
            enhanced(as_ip, ticks=kibi_ticks + 1, index=1),
            block(CUSTOM, bytes(4) + b"not ours"),
            simple(frames[2]),
            block(UNKNOWN_BLOCK, b"from the future."),
            obsolete(frames[3], ticks=frames[3].time),
            section(order=BIG),
            interface(name="cali0", order=BIG),
            *(enhanced(frame, order=BIG) for frame in frames[4:]),
            statistics(received=10, dropped=7, order=BIG),
        )
    )
