"""IPv4 and IPv6 in each other and in themselves: all four."""

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from captures.files import pcap
from captures.lab import (
    NODE_A,
    NODE_A_6,
    NODE_B,
    NODE_B_6,
    POD_A,
    POD_A_6,
    POD_B,
    POD_B_6,
    ethernet,
    frames,
)


def build() -> bytes:
    """Write 4 in 4, 6 in 4, 4 in 6, 6 in 6."""
    datagram = UDP(sport=6_000, dport=7) / b"query"
    outers = [IP(src=NODE_A, dst=NODE_B), IPv6(src=NODE_A_6, dst=NODE_B_6)]
    inners = [IP(src=POD_A, dst=POD_B), IPv6(src=POD_A_6, dst=POD_B_6)]
    return pcap(
        frames(
            ethernet() / outer / inner / datagram
            for outer in outers
            for inner in inners
        )
    )
