"""GRE with each of its optional fields, with all of them, and carrying Ethernet."""

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE

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

BRIDGED_ETHERNET = 0x6558


def build() -> bytes:
    """Write six datagrams, told apart by their source port."""
    headers = [
        GRE(proto=0x0800),
        GRE(proto=0x0800, chksum_present=1),
        GRE(proto=0x0800, key_present=1, key=77),
        GRE(proto=0x0800, seqnum_present=1, sequence_number=5),
        GRE(
            proto=0x86DD,
            chksum_present=1,
            key_present=1,
            key=77,
            seqnum_present=1,
            sequence_number=6,
        ),
        GRE(proto=BRIDGED_ETHERNET),
    ]
    seen = []
    for i, header in enumerate(headers):
        datagram = UDP(sport=6_000 + i, dport=7) / b"query"
        if header.proto == 0x86DD:
            inner = IPv6(src=POD_A_6, dst=POD_B_6) / datagram
        else:
            inner = IP(src=POD_A, dst=POD_B) / datagram
        if header.proto == BRIDGED_ETHERNET:
            inner = ethernet() / inner
        seen.append(ethernet() / IP(src=NODE_A, dst=NODE_B) / header / inner)
    return pcap(frames(seen))
