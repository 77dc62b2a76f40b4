"""``tcpdump -i any``, Linux cooked v2: each segment at pod, overlay device and NIC."""

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import CookedLinuxV2
from scapy.layers.vxlan import VXLAN

from captures.files import LINUX_SLL2, Frame, pcap
from captures.lab import (
    CALICO_VNI,
    NODE_A,
    NODE_B,
    OVERLAY_A_MAC,
    OVERLAY_B_MAC,
    POD_A,
    POD_B,
    START,
    VXLAN_PORT,
    Conversation,
    ethernet,
)

POD_INTERFACE, OVERLAY_INTERFACE, NIC = 6, 5, 2
INCOMING, OUTGOING = 0, 4
MICROSECOND = 1_000


def build() -> bytes:
    """Write a handshake, a request and its answer, three sightings of every segment."""
    talk = Conversation(client=POD_A, server=POD_B, client_port=40_001, server_port=80)
    segments = [*talk.handshake(), talk.client("PA", b"GET"), talk.server("PA", b"200")]
    frames = []
    for i, segment in enumerate(segments):
        packet = segment["IP"]
        leaving = packet.src == POD_A
        macs = (OVERLAY_A_MAC, OVERLAY_B_MAC)
        inner = ethernet(*(macs if leaving else macs[::-1])) / packet
        nodes = (NODE_A, NODE_B) if leaving else (NODE_B, NODE_A)
        outer = IP(src=nodes[0], dst=nodes[1]) / UDP(
            sport=50_000, dport=VXLAN_PORT, chksum=0
        )
        carried = outer / VXLAN(vni=CALICO_VNI, flags="Instance") / inner
        path = [
            (POD_INTERFACE, INCOMING if leaving else OUTGOING, packet),
            (OVERLAY_INTERFACE, OUTGOING if leaving else INCOMING, packet),
            (NIC, OUTGOING if leaving else INCOMING, carried),
        ]
        for hop, (index, kind, seen) in enumerate(path if leaving else path[::-1]):
            cooked = CookedLinuxV2(proto=0x0800, ifindex=index, pkttype=kind)
            time = START + i * 1_000_000 + hop * 20 * MICROSECOND
            frames.append(Frame(bytes(cooked / seen), time))
    return pcap(frames, link_type=LINUX_SLL2)
