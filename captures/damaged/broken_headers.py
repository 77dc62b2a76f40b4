"""Frames whose headers contradict themselves: each keeps its row and says where."""

from scapy.layers.inet import IP, TCP, UDP

from captures.files import pcap
from captures.lab import (
    CLIENT,
    NODE_A,
    NODE_B,
    OVERLAY_A_MAC,
    OVERLAY_B_MAC,
    POD_A,
    POD_B,
    echo,
    ethernet,
    frames,
    in_vxlan,
)


def build() -> bytes:
    """Break IP header length, IP version, TCP offset, VXLAN flag and UDP length."""
    base = ethernet() / IP(src=CLIENT, dst=NODE_A)
    syn = TCP(sport=1, dport=2, flags="S")
    short_ip = bytearray(bytes(base / syn))
    short_ip[14] = 0x44
    version_7 = bytearray(bytes(base / syn))
    version_7[14] = 0x75
    short_tcp = base / TCP(sport=1, dport=2, flags="S", dataofs=4)
    no_vni = bytearray(
        bytes(
            in_vxlan(
                ethernet(OVERLAY_A_MAC, OVERLAY_B_MAC) / echo(POD_A, POD_B, number=1)
            )
        )
    )
    no_vni[42] = 0
    short_udp = ethernet() / IP(src=CLIENT, dst=NODE_B) / UDP(sport=1, dport=2, len=4)
    return pcap(
        frames([bytes(short_ip), bytes(version_7), short_tcp, bytes(no_vni), short_udp])
    )
