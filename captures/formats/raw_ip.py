"""Raw IP (link type 101), as on a WireGuard device: IPv4 and IPv6 by their version."""

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from captures.files import RAW, pcap
from captures.lab import POD_A, POD_A_6, POD_B, POD_B_6, frames


def build() -> bytes:
    """Write one datagram of each version."""
    datagram = UDP(sport=5_353, dport=7) / b"query"
    packets = [IP(src=POD_A, dst=POD_B) / datagram]
    packets.append(IPv6(src=POD_A_6, dst=POD_B_6) / datagram)
    return pcap(frames(packets), link_type=RAW)
