"""ARP in VXLAN: no IP inside, so the row is the outer datagram's."""

from scapy.layers.l2 import ARP

from captures.files import pcap
from captures.lab import (
    OVERLAY_A,
    OVERLAY_A_MAC,
    OVERLAY_B,
    OVERLAY_B_MAC,
    ethernet,
    frames,
    in_vxlan,
)


def build() -> bytes:
    """Write a question and its answer."""
    broadcast = "ff:ff:ff:ff:ff:ff"
    who = ARP(op="who-has", hwsrc=OVERLAY_A_MAC, psrc=OVERLAY_A, pdst=OVERLAY_B)
    here = ARP(op="is-at", hwsrc=OVERLAY_B_MAC, psrc=OVERLAY_B, pdst=OVERLAY_A)
    return pcap(
        frames(
            [
                in_vxlan(ethernet(OVERLAY_A_MAC, broadcast) / who),
                in_vxlan(ethernet(OVERLAY_B_MAC, OVERLAY_A_MAC) / here),
            ]
        )
    )
