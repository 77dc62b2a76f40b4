"""``tcpdump -i any``, Linux cooked v1: the same segment twice, nothing says where.

The second sighting is the forwarded packet (its time to live is one less); these are
copies, not retransmissions.
"""

from scapy.layers.l2 import CookedLinux

from captures.files import LINUX_SLL, Frame, pcap
from captures.lab import POD_A, POD_B, START, Conversation

INCOMING, OUTGOING = 0, 4
TEN_MICROSECONDS = 10_000


def build() -> bytes:
    """Write a handshake, a request and its answer, two sightings of every segment."""
    talk = Conversation(client=POD_A, server=POD_B, client_port=40_002, server_port=80)
    segments = [*talk.handshake(), talk.client("PA", b"GET"), talk.server("PA", b"200")]
    frames = []
    for i, segment in enumerate(segments):
        for hop, kind in enumerate((INCOMING, OUTGOING)):
            packet = segment["IP"].copy()
            packet.ttl = 64 - hop
            cooked = bytes(CookedLinux(pkttype=kind, proto=0x0800) / packet)
            time = START + i * 1_000_000 + hop * TEN_MICROSECONDS
            frames.append(Frame(cooked, time))
    return pcap(frames, link_type=LINUX_SLL)
