"""A pcapng whose second packet block claims four gigabytes."""

from captures.files import enhanced, interface, section
from captures.lab import Conversation, frames

CLAIMED = 0xFFFF_FFF0


def build() -> bytes:
    """Write one whole block, one that lies, one that is lost."""
    first, second, third = frames(Conversation().handshake())
    lying = bytearray(enhanced(second))
    lying[4:8] = CLAIMED.to_bytes(4, "little")
    return section() + interface() + enhanced(first) + bytes(lying) + enhanced(third)
