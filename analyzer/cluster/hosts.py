"""Which host it is that a part is about, and what it tells of a node."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from analyzer.cluster.combine import each_once
from analyzer.cluster.model import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from analyzer.cluster.found import Found
    from analyzer.cluster.model import Interface

_TUNNEL_DEVICE = re.compile(
    r"vxlan(?:-v6)?\.calico|flannel(?:-v6)?\.\d+|tunl0|wireguard\.cali|wg-v6\.cali"
)
_VXLAN_DEVICE = re.compile(r"vxlan\.calico|flannel\.\d+")
# How a file is named after the command that wrote it, not after a host.
_COMMAND = re.compile(r"ip6?tables|nft|ipvs|conntrack|nf_conntrack|ip[-_]?addr|kubectl")

_IPV4 = re.compile(r"[\d.]+")


def is_tunnel(interface: Interface) -> bool:
    """Whether it is the overlay device of Calico or Flannel."""
    return _TUNNEL_DEVICE.fullmatch(interface.name) is not None


def with_hosts(
    all_found: Sequence[Found], nodes: Sequence[Node]
) -> tuple[Interface, ...]:
    """Give each interface its host.

    Parameters
    ----------
    all_found : sequence of Found
        A remark is added to those whose host nothing tells.
    nodes : sequence of Node
        As far as Kubernetes tells them.

    Returns
    -------
    tuple of Interface
        One for each host, index and name.
    """
    observed = []
    for found in all_found:
        if not found.interfaces:
            continue
        own = (ip for interface in found.interfaces for ip in interface.addresses)
        host = host_of(found, own, nodes)
        if host is None:
            found.used = False
            found.remark(
                found.line,
                f"{len(found.interfaces)} interfaces",
                "whose they are is not told: name the file NODE.ip-addr.txt",
            )
            continue
        observed += [
            (found.structured, dataclasses.replace(interface, node=host))
            for interface in found.interfaces
        ]
    return each_once(observed, lambda item: (item.node, item.index, item.name))


def host_of(
    found: Found, own_addresses: Iterable[str], nodes: Sequence[Node]
) -> str | None:
    """Name the host of a part: by its addresses, its prompt, its file's name.

    Parameters
    ----------
    found : Found
    own_addresses : iterable of str
        What the part says to be addresses of its host.
    nodes : sequence of Node
        As far as they are known.
    """
    owners = [
        node.name
        for node in nodes
        if not set(own_addresses).isdisjoint(node.internal_ips)
    ]
    if len(owners) == 1:
        return owners[0]
    if found.host:  # a prompt shows the first label of the host's name
        names = [
            node.name
            for node in nodes
            if found.host in (node.name, node.name.partition(".")[0])
            or found.host in node.internal_ips
        ]
        if len(names) != 1:
            return None if _IPV4.fullmatch(found.host) else found.host
        return names[0]
    path = PurePath(found.path)
    names = [node.name for node in nodes if path.name.startswith(f"{node.name}.")]
    names = names or [node.name for node in nodes if node.name in path.parts[:-1]]
    if names:
        return max(names, key=len)
    prefix, *rest = path.name.split(".")
    is_whole_file = found.line == 1  # and not a part of somebody's notes.2023.txt
    if not prefix or not is_whole_file or not rest[1:] or _COMMAND.match(prefix):
        return None
    names = [node.name for node in nodes if node.name.partition(".")[0] == prefix]
    return names[0] if len(names) == 1 else prefix


def name_hosts_of_pods(all_found: Iterable[Found], nodes: Iterable[Node]) -> None:
    """Fill in the host where a command ran in a pod on its network: kube-proxy's."""
    on_host: dict[str, str] = {}
    addresses = {ip for node in nodes for ip in node.internal_ips}
    for found in all_found:
        for pod in found.pods:
            if pod.node and (pod.host_network or not addresses.isdisjoint(pod.ips)):
                on_host[pod.name] = pod.node
    for found in all_found:
        if found.pod and found.host is None:
            found.host = on_host.get(found.pod)


def tunnel_ends(interfaces: Iterable[Interface]) -> Iterator[Node]:
    """Describe hosts by their overlay devices: who has one is a node."""
    for interface in interfaces:
        if is_tunnel(interface):
            is_vxlan = _VXLAN_DEVICE.fullmatch(interface.name)
            yield Node(
                name=interface.node,
                tunnel_ips=tuple(
                    address
                    for address in interface.addresses
                    if not ipaddress.ip_address(address).is_link_local
                ),
                vtep_mac=interface.mac if is_vxlan else None,
            )


def hosts_of_rules(all_found: Iterable[Found], nodes: Sequence[Node]) -> Iterator[Node]:
    """Describe hosts by kube-proxy's rules: who has them is a node."""
    for found in all_found:
        if found.rulesets and (name := host_of(found, found.own_addresses, nodes)):
            yield Node(name, internal_ips=tuple(sorted(found.own_addresses)))
