"""Blocks of addresses that nodes give to their pods."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.cluster.model import Node

_Block = tuple[int, int, int]  # IP version, prefix length, leading bits


class PodBlocks:
    """The nodes' pod blocks, as far as they can be believed.

    ``spec.podCIDR`` is set on every node of many clusters whose network plugin hands
    out addresses in its own way, as Calico does. A block that holds another node's pod,
    or that of a node which has pods outside its blocks, is therefore not believed.

    Parameters
    ----------
    nodes : iterable of Node
    placed : iterable of (str, str)
        Addresses of pods and tunnels, each with its node.
    """

    def __init__(
        self, nodes: Iterable[Node], placed: Iterable[tuple[str, str]]
    ) -> None:
        owners: dict[_Block, set[str]] = defaultdict(set)
        for node in nodes:
            for text in node.pod_cidrs:
                network = ipaddress.ip_network(text)
                spare = network.max_prefixlen - network.prefixlen
                start = int(network.network_address) >> spare
                owners[network.version, network.prefixlen, start].add(node.name)
        self._lengths = {
            version: sorted(
                {key[1] for key in owners if key[0] == version}, reverse=True
            )
            for version in (4, 6)
        }
        contradicted: set[_Block] = set()
        mistrusted = set()
        for address, name in placed if owners else ():
            around = [key for key in self._around(address) if key in owners]
            if not any(name in owners[key] for key in around):
                contradicted.update(around)
                mistrusted.add((name, ipaddress.ip_address(address).version))
        self._owners = {
            key: name
            for key, names in owners.items()
            if len(names) == 1 and key not in contradicted
            for name in names
            if (name, key[0]) not in mistrusted
        }

    def _around(self, address: str) -> Iterator[_Block]:
        """Name the block of each length that would hold an address, longest first."""
        number = ipaddress.ip_address(address)
        for length in self._lengths[number.version]:
            yield number.version, length, int(number) >> number.max_prefixlen - length

    def node_of(self, address: str) -> str | None:
        """Name the node whose block holds an address."""
        for key in self._around(address):
            if key in self._owners:
                return self._owners[key]
        return None
