"""VXLAN on 8472, as flannel and old kernels do: plain UDP until the port is named."""

from captures.files import pcap
from captures.lab import (
    OVERLAY_A_MAC,
    OVERLAY_B_MAC,
    POD_A,
    POD_B,
    echo,
    ethernet,
    frames,
    in_vxlan,
)

FLANNEL_PORT = 8472


def build() -> bytes:
    """Write one echo request."""
    inner = ethernet(OVERLAY_A_MAC, OVERLAY_B_MAC) / echo(POD_A, POD_B, number=1)
    return pcap(frames([in_vxlan(inner, vni=1, port=FLANNEL_PORT)]))
