"""``tcpdump -s 96`` of VXLAN: ports, sequence, acknowledgement; but no flags."""

from captures.files import pcap
from captures.lab import (
    NODE_A,
    NODE_B,
    OVERLAY_A_MAC,
    OVERLAY_B_MAC,
    POD_A,
    POD_B,
    Conversation,
    ethernet,
    frames,
    in_vxlan,
)

SNAPSHOT = 96


def build() -> bytes:
    """Write a handshake and a request between pods."""
    c = Conversation(client=POD_A, server=POD_B, server_port=80)
    segments = [*c.handshake(), c.client("PA", b"x" * 500)]
    carried = []
    for segment in segments:
        macs, nodes = (OVERLAY_A_MAC, OVERLAY_B_MAC), (NODE_A, NODE_B)
        if segment["IP"].src == POD_B:
            macs, nodes = macs[::-1], nodes[::-1]
        inner = ethernet(*macs) / segment["IP"]
        carried.append(in_vxlan(inner, src=nodes[0], dst=nodes[1]))
    written = [frame.cut(SNAPSHOT) for frame in frames(carried)]
    return pcap(written, snapshot_length=SNAPSHOT)
