"""IPv6 with each extension header before TCP, and with all of them at once."""

from scapy.layers.inet import TCP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.ipsec import AH

from captures.files import pcap
from captures.lab import CLIENT_6, NODE_A_6, ethernet, frames

TCP_IN_IPV6 = 6


def chains() -> list:
    """Give the chains, each ready to be followed by TCP."""
    hop_by_hop = IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
    routing = IPv6ExtHdrRouting(addresses=[])
    destination = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])
    atomic = IPv6ExtHdrFragment(id=9)
    authentication = AH(nh=TCP_IN_IPV6, payloadlen=4, spi=1, seq=1, icv=b"\0" * 12)
    chains = [hop_by_hop, routing, destination, atomic, authentication]
    return [*chains, hop_by_hop / destination / routing / atomic / authentication]


def build() -> bytes:
    """Put one SYN behind each chain."""
    base = ethernet() / IPv6(src=CLIENT_6, dst=NODE_A_6)
    return pcap(
        frames(
            base / chain / TCP(sport=40_000 + i, dport=80, seq=i, flags="S")
            for i, chain in enumerate(chains())
        )
    )
