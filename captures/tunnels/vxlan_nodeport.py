"""A NodePort connection at the entry node's NIC: plain before DNAT, VXLAN after it.

Source and destination are both rewritten; sequence numbers are not.
"""

from captures.files import pcap
from captures.lab import (
    CLIENT,
    NODE_A,
    NODE_B,
    OVERLAY_A,
    OVERLAY_A_MAC,
    OVERLAY_B_MAC,
    POD_B,
    Conversation,
    ethernet,
    frames,
    in_vxlan,
)


def build() -> bytes:
    """Write a short request, every segment on both sides of the rewriting."""
    outside = Conversation(client=CLIENT, server=NODE_A, server_port=30_080)
    inside = Conversation(
        client=OVERLAY_A, server=POD_B, client_port=61_234, server_port=80
    )
    seen = []
    for side, flags, payload in (
        (0, "S", b""),
        (1, "SA", b""),
        (0, "A", b""),
        (0, "PA", b"GET / HTTP/1.1\r\n\r\n"),
        (1, "PA", b"HTTP/1.1 200 OK\r\n\r\n"),
        (0, "FA", b""),
        (1, "FA", b""),
        (0, "A", b""),
    ):
        plain = outside.segment(side, flags, payload)
        rewritten = inside.segment(side, flags, payload)["IP"]
        macs, nodes = (OVERLAY_A_MAC, OVERLAY_B_MAC), (NODE_A, NODE_B)
        if side:
            macs, nodes = macs[::-1], nodes[::-1]
        carried = in_vxlan(
            ethernet(*macs) / rewritten,
            src=nodes[0],
            dst=nodes[1],
            source_port=49_152 + side,
        )
        seen += [carried, plain] if side else [plain, carried]
    return pcap(frames(seen, step=0.02))
