"""The little cluster that all makers draw from: names, addresses, and its clock.

Two nodes with a pod each, a VXLAN overlay as Calico builds it, and a client outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from captures.files import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable

START = 1_700_000_000_000_000_000  # nanoseconds since the epoch
MILLISECOND = 1_000_000

CLIENT, CLIENT_MAC = "192.0.2.100", "02:00:00:00:00:64"
NODE_A, NODE_A_MAC = "192.0.2.10", "02:00:00:00:00:0a"
NODE_B, NODE_B_MAC = "192.0.2.11", "02:00:00:00:00:0b"
OVERLAY_A, OVERLAY_A_MAC = "10.1.0.0", "02:00:00:00:01:0a"
OVERLAY_B, OVERLAY_B_MAC = "10.1.1.0", "02:00:00:00:01:0b"
POD_A, POD_A_MAC = "10.1.0.5", "02:00:00:00:02:05"
POD_B, POD_B_MAC = "10.1.1.7", "02:00:00:00:02:07"
CLIENT_6, NODE_A_6, NODE_B_6 = "2001:db8::100", "2001:db8::10", "2001:db8::11"
POD_A_6, POD_B_6 = "2001:db8:1::5", "2001:db8:1:1::7"

CALICO_VNI = 4096
VXLAN_PORT = 4789


def ethernet(src: str = CLIENT_MAC, dst: str = NODE_A_MAC, **fields: object) -> Packet:
    """Begin a frame; addresses are given, so that scapy asks no network for them."""
    return Ether(src=src, dst=dst, **fields)


def frame(packet: Packet | bytes, milliseconds: float = 0.0) -> Frame:
    """Take a picture of a packet, so long after the start of the lab's clock."""
    return Frame(bytes(packet), START + round(milliseconds * MILLISECOND))


def frames(packets: Iterable[Packet | bytes], *, step: float = 1.0) -> list[Frame]:
    """Take pictures of packets, one each millisecond or ``step`` of them."""
    return [frame(packet, i * step) for i, packet in enumerate(packets)]


def in_vxlan(
    inner: Packet,
    *,
    src: str = NODE_A,
    dst: str = NODE_B,
    vni: int = CALICO_VNI,
    port: int = VXLAN_PORT,
    source_port: int = 49_152,
) -> Packet:
    """Carry an Ethernet frame from one node to the other."""
    return (
        ethernet(NODE_A_MAC, NODE_B_MAC)
        / IP(src=src, dst=dst)
        / UDP(sport=source_port, dport=port, chksum=0)
        / VXLAN(vni=vni, flags="Instance")
        / inner
    )


class Conversation:
    """Two TCP ends that count their own sequence numbers.

    Each method gives one segment; nothing is sent that was not asked for, so a
    conversation can stop, break the rules or repeat itself at any point.
    """

    def __init__(
        self,
        *,
        client: str = CLIENT,
        server: str = NODE_A,
        client_port: int = 40_000,
        server_port: int = 30_080,
        client_isn: int = 1_000,
        server_isn: int = 900_000,
        network: type[Packet] = IP,
    ) -> None:
        self.ends = ((client, client_port), (server, server_port))
        self.next = [client_isn, server_isn]
        self.network = network

    def segment(
        self,
        side: int,
        flags: str,
        payload: bytes = b"",
        *,
        seq: int | None = None,
        **fields: object,
    ) -> Packet:
        """Send a segment from the client (0) or the server (1)."""
        (src, sport), (dst, dport) = self.ends[side], self.ends[1 - side]
        seq = self.next[side] if seq is None else seq
        acks = self.next[1 - side] if "A" in flags else 0
        consumed = len(payload) + ("S" in flags) + ("F" in flags)
        self.next[side] = max(self.next[side], seq + consumed)
        macs = (CLIENT_MAC, NODE_A_MAC)
        fields = {"seq": seq % 2**32, "ack": acks % 2**32, "window": 64_240} | fields
        segment = TCP(sport=sport, dport=dport, flags=flags, **fields)
        packet = ethernet(macs[side], macs[1 - side]) / self.network(src=src, dst=dst)
        return packet / segment / Raw(payload) if payload else packet / segment

    def client(self, flags: str, payload: bytes = b"", **fields: object) -> Packet:
        """Send a segment from the client."""
        return self.segment(0, flags, payload, **fields)

    def server(self, flags: str, payload: bytes = b"", **fields: object) -> Packet:
        """Send a segment from the server."""
        return self.segment(1, flags, payload, **fields)

    def handshake(self) -> list[Packet]:
        """Open: SYN, SYN-ACK, ACK."""
        return [self.client("S"), self.server("SA"), self.client("A")]

    def goodbye(self) -> list[Packet]:
        """Close from the client's side: FIN, FIN, ACK."""
        return [self.client("FA"), self.server("FA"), self.client("A")]


def echo(src: str, dst: str, *, number: int, identifier: int = 7, reply: bool = False):
    """Give an ICMP echo request or its reply, from the network header on."""
    kind = "echo-reply" if reply else "echo-request"
    return IP(src=src, dst=dst) / ICMP(type=kind, id=identifier, seq=number) / b"ping"
