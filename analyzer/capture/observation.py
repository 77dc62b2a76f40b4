"""Observation points: where a capture was taken, as far as its name tells."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

COMPRESSIONS = {".gz", ".zst", ".zstd", ".lz4", ".xz"}
FORMATS = {".pcap", ".pcapng", ".cap", ".dmp", ".ntar"}

# Interfaces that Linux nodes have: NICs, and what container networks add.
_INTERFACE = re.compile(
    r"""
    (?P<node>[^+]+?)\.(?P<interface>
        # A capture of several has a name such as node.eth0+vxlan.calico.
        [\w.@+-]*\+[\w.@+-]*
      | any | lo | tunl\d+ | docker\d+ | cni\d+ | br-\w+ | nodelocaldns | kube-ipvs\d+
      | (?:vxlan|vxlan-v6|wireguard|wireguard-v6)\.calico | flannel[.-]\S+
      | (?:eth|en[ospxb]|em|bond|team|ib|wlan|wl|p\d+p|cali|veth|lxc|cilium_|tap|vlan
          |vxlan|wg|br|vmbr|ovs|genev_sys_|antrea-|weave)[\w@-]*(?:\.\d{1,4})?
    )
    """,
    re.VERBOSE,
)


def capture_stem(path: str) -> str:
    """Give a capture's name without the endings of formats and compressions."""
    name = PurePath(path).name
    for endings in (COMPRESSIONS, FORMATS):
        if PurePath(name).suffix.lower() in endings and PurePath(name).stem:
            name = PurePath(name).stem
    return name


def split_name(stem: str, nodes: Collection[str] = ()) -> tuple[str | None, str | None]:
    """Split ``NODE.INTERFACE`` into its parts.

    Parameters
    ----------
    stem : str
        A capture's name without endings.
    nodes : collection of str
        Nodes that are known to exist; they may have dots.

    Returns
    -------
    tuple of (str or None, str or None)
        Node and interface; both None where the name does not have this form.
    """
    for node in sorted(nodes, key=len, reverse=True):
        if stem == node:
            return node, None
        if stem.startswith(f"{node}."):
            return node, stem[len(node) + 1 :]
    if match := _INTERFACE.fullmatch(stem):
        return match["node"], match["interface"]
    return None, None


def point_name(
    stem: str,
    *,
    given: str | None = None,
    interface: str | None = None,
    index: int = 0,
    names: dict[int, str] | None = None,
    nodes: Collection[str] = (),
) -> str:
    """Name an observation point, ``node/interface`` as far as known.

    Parameters
    ----------
    stem : str
        The capture's name without endings.
    given : str, optional
        What the user says that the capture was taken at.
    interface : str, optional
        The name that the capture itself has for the interface (pcapng).
    index : int
        The interface index of an SLL2 frame, 0 if there is none.
    names : dict of int to str, optional
        The node's interfaces by index.
    nodes : collection of str
        Nodes that are known to exist.
    """
    node, device = split_name(stem, nodes)
    if given is not None:
        node, _, device = given.partition("/")
    if index:
        # `any` is no device; what tells the devices apart is their index.
        device = (names or {}).get(index, f"if{index}")
    elif interface and given is None:
        device = interface
    if node is None:
        node = stem
    return f"{node}/{device}" if device else node
