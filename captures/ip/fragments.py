"""A UDP datagram in three IPv4 fragments, a second one out of order, one in IPv6.

Only a datagram's first fragment has its ports; all of them belong to its flow.
"""

from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6

from captures.files import pcap
from captures.lab import CLIENT, CLIENT_6, NODE_A, NODE_A_6, ethernet, frames

PAYLOAD = bytes(range(256)) * 12
FRAGMENT = 1_200


def build() -> bytes:
    """Write nine fragments, three of each datagram."""
    datagram = UDP(sport=4_000, dport=4_001) / PAYLOAD
    in_order, late = (
        fragment(IP(src=CLIENT, dst=NODE_A, id=number) / datagram, FRAGMENT)
        for number in (101, 102)
    )
    long6 = IPv6(src=CLIENT_6, dst=NODE_A_6) / IPv6ExtHdrFragment(id=103) / datagram
    pieces = [
        *in_order,
        late[0],
        late[2],
        late[1],
        *fragment6(long6, FRAGMENT + 48),
    ]
    return pcap(frames(ethernet() / piece for piece in pieces))
