"""Packet ids as cext/flows.pyx computes them: what NAT leaves alone, in 64 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

ID_1 = np.uint64(0xA0761D6478BD642F)
ID_2 = np.uint64(0xE7037ED1A0B428DB)
HALF = np.uint64(32)
LONG_SEGMENT = 61  # longer than any TCP header
LOW = np.uint64(0xFFFFFFFF)


def packet_id(seq: Array, ack: Array, length: int, *, is_fin: bool = False) -> Array:
    """Give the ids of TCP packets.

    Parameters
    ----------
    seq, ack : array of uint32
        Sequence and acknowledgement numbers.
    length : int
        Octets of the segment, with its header.
    is_fin : bool
        Whether FIN is set.

    Returns
    -------
    array of uint64
        Both halves of a product of 128 bits, folded.
    """
    a = (seq.astype(np.uint64) << HALF | ack) ^ ID_1
    kind = min(length, LONG_SEGMENT) | is_fin << 6
    high, low = product(a, ID_2 ^ np.uint64(kind))
    folded: Array = high ^ low
    return folded


def product(a: Array, b: np.uint64) -> tuple[Array, Array]:
    """Multiply to 128 bits, as upper and lower half."""
    a_low, a_high = a & LOW, a >> HALF
    b_low, b_high = b & LOW, b >> HALF
    low = a_low * b_low
    middle = a_high * b_low + (low >> HALF)
    other = a_low * b_high + (middle & LOW)
    high = a_high * b_high + (middle >> HALF) + (other >> HALF)
    return high, other << HALF | low & LOW
