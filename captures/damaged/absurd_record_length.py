"""A pcap whose second record claims two gigabytes; nothing after it can be found."""

from captures.files import pcap, pcap_record
from captures.lab import Conversation, frames

CLAIMED = 0x7FFF_FFF0


def build() -> bytes:
    """Write one whole record, one that lies, one that is lost."""
    first, second, third = frames(Conversation().handshake())
    lying = bytearray(pcap_record(second))
    lying[8:12] = CLAIMED.to_bytes(4, "little")
    return pcap([first]) + bytes(lying) + pcap_record(third)
