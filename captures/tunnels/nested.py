"""VXLAN in Geneve in GRE in IP in IP, with a VLAN tag at every link layer."""

from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import GRE, Dot1Q

from captures.files import pcap
from captures.lab import (
    NODE_A,
    NODE_B,
    POD_A,
    POD_B,
    Conversation,
    ethernet,
    frames,
    in_vxlan,
)


def build() -> bytes:
    """Put a handshake at the bottom."""
    c = Conversation(client=POD_A, server=POD_B, server_port=80)
    seen = []
    for segment in c.handshake():
        vxlan = in_vxlan(ethernet() / Dot1Q(vlan=40) / segment["IP"], vni=3)
        geneve = (
            IP(src="198.51.100.3", dst="198.51.100.4")
            / UDP(sport=55_555, dport=6_081)
            / GENEVE(vni=2)
            / ethernet()
            / Dot1Q(vlan=30)
            / vxlan["IP"]
        )
        gre = IP(src="198.51.100.1", dst="198.51.100.2") / GRE(proto=0x0800) / geneve
        seen.append(ethernet() / Dot1Q(vlan=10) / IP(src=NODE_A, dst=NODE_B) / gre)
    return pcap(frames(seen))
