"""Geneve with options of several lengths, IPv4 and IPv6 right inside or on Ethernet."""

from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from captures.files import pcap
from captures.lab import (
    NODE_A,
    NODE_B,
    POD_A,
    POD_A_6,
    POD_B,
    POD_B_6,
    ethernet,
    frames,
)

ETHERNET_IN_GENEVE = 0x6558


def build() -> bytes:
    """Write three SYNs."""
    options = [
        GeneveOptions(classid=0x0102, type=i, data=b"\0" * 4 * i) for i in (0, 1, 7)
    ]
    syn = TCP(sport=40_000, dport=80, seq=1, flags="S")
    inner = [
        (ETHERNET_IN_GENEVE, ethernet() / IP(src=POD_A, dst=POD_B) / syn),
        (0x0800, IP(src=POD_A, dst=POD_B) / syn),
        (0x86DD, IPv6(src=POD_A_6, dst=POD_B_6) / syn),
    ]
    outer = ethernet() / IP(src=NODE_A, dst=NODE_B) / UDP(sport=55_555, dport=6_081)
    return pcap(
        frames(
            outer / GENEVE(vni=100 + i, proto=proto, options=options) / packet
            for i, (proto, packet) in enumerate(inner)
        )
    )
