"""ICMP and ICMPv6 errors: counted for the flow they quote, not packets of it."""

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, IPv6

from captures.files import pcap
from captures.lab import CLIENT, CLIENT_6, NODE_A, NODE_A_6, NODE_B, ethernet, frames

NO_PORT = 3
FRAGMENTATION_NEEDED = 4


def build() -> bytes:
    """Write three conversations of one packet, and four errors about them."""
    query = IP(src=CLIENT, dst=NODE_A) / UDP(sport=5_000, dport=7) / b"query"
    data = (
        IP(src=CLIENT, dst=NODE_A, flags="DF")
        / TCP(sport=5_001, dport=80, seq=77, flags="PA")
        / (b"x" * 64)
    )
    query6 = IPv6(src=CLIENT_6, dst=NODE_A_6) / UDP(sport=5_002, dport=7) / b"query"
    packets = [
        query,
        IP(src=NODE_A, dst=CLIENT) / ICMP(type=3, code=NO_PORT) / bytes(query)[:28],
        data,
        IP(src=NODE_B, dst=CLIENT)
        / ICMP(type=3, code=FRAGMENTATION_NEEDED, nexthopmtu=1_450)
        / bytes(data)[:28],
        query6,
        IPv6(src=NODE_A_6, dst=CLIENT_6) / ICMPv6DestUnreach(code=4) / bytes(query6),
        IPv6(src=NODE_A_6, dst=CLIENT_6)
        / ICMPv6PacketTooBig(mtu=1_280)
        / bytes(query6),
    ]
    return pcap(frames(ethernet() / packet for packet in packets))
