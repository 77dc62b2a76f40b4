"""When each packet of a short connection passes each device on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# Points on the way: NIC of the entry node before translation, its VXLAN device, its
# NIC again with the tunnel around, NIC and VXLAN device of the backend's node, the
# pod's device there. A connection to a pod of the entry node has the first and last.
NIC_BEFORE, ENTRY_VXLAN, ENTRY_NIC, NODE_NIC, NODE_VXLAN, POD = range(6)
POINTS = 6

REQUEST, RESPONSE = 82, 858  # octets
# From the client or not, and which packet it waits for (itself, for the first).
PACKETS = (
    ("syn", True, 0),
    ("syn-ack", False, 0),
    ("ack", True, 1),
    ("request", True, 2),
    ("ack of request", False, 3),
    ("response", False, 4),
    ("ack of response", True, 5),
    ("fin", True, 6),
    ("fin of server", False, 7),
    ("last ack", True, 8),
)
# Nanoseconds from a device to the next, at least, and what comes on top on average.
LEAST = np.array([6_000, 2_000, 60_000, 5_000, 4_000])
MORE = np.array([2_000, 1_000, 20_000, 2_000, 1_000])
IS_TUNNEL = np.array([False, True, True, True, False])
CLIENT_ROUND_TRIP = 120_000  # from the first device to the client and back
AT_ONCE = 4_000  # one packet after another of the same sender
SERVICE = 400_000  # until a server has its response ready, on average


def timeline(start: Array, is_local: Array, random: np.random.Generator) -> Array:
    """Let packets travel.

    Parameters
    ----------
    start : array of int64
        When each connection's SYN passes the first point, in nanoseconds.
    is_local : array of bool
        Whether its backend is on the entry node.
    random : numpy.random.Generator

    Returns
    -------
    array of int64, packets by points by connections
        True times.
    """
    passed = np.zeros((len(PACKETS), POINTS, start.size), np.int64)
    for number, (name, is_request, after) in enumerate(PACKETS):
        was_request = PACKETS[after][1]
        first, last = (NIC_BEFORE, POD) if is_request else (POD, NIC_BEFORE)
        if number == after:
            now = start.copy()
        elif is_request == was_request:
            wait = SERVICE if name == "response" else AT_ONCE
            now = passed[after, first] + 1_000
            now += random.exponential(wait, start.size).astype(np.int64)
        else:
            wait = CLIENT_ROUND_TRIP if is_request else AT_ONCE
            now = passed[after, first] + wait
            now += random.exponential(wait / 4, start.size).astype(np.int64)
        step = 1 if is_request else -1
        passed[number, first] = now
        for point in range(first, last, step):
            leg = min(point, point + step)
            more = random.exponential(MORE[leg], start.size).astype(np.int64)
            travel = LEAST[leg] + more
            if IS_TUNNEL[leg]:
                travel[is_local] = 0
            now = now + travel
            passed[number, point + step] = now
    return passed
