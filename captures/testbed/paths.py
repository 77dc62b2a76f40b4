"""Which devices a connection's packets cross, and under which tuple.

Derived from the cluster and the nodes' conntrack entries, not from captures: it
says what each capture must contain, and observed.py looks whether it does.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from captures.testbed.calico import DEVICE
from captures.testbed.cluster import (
    EXTERNALS,
    NODES,
    Cluster,
    Pod,
    family_of,
)
from captures.testbed.topology import NIC

if TYPE_CHECKING:
    from captures.testbed.conntrack import Entry, Tuple


@dataclass(frozen=True)
class Place:
    """Where an address lives."""

    kind: str  # pod, node, external, none
    name: str | None
    node: str | None


@dataclass(frozen=True)
class Sighting:
    """A device that shows a connection under one of its tuples."""

    host: str
    interface: str
    tuple: int
    encapsulated: bool


class Map:
    """Address to place, for one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.places: dict[str, Place] = {}
        self.pods: dict[str, Pod] = {}
        for node in NODES:
            place = Place("node", node.name, node.name)
            for family in ("IPv4", "IPv6"):
                self.places[node.address(family)] = place
                self.places[node.tunnel_address(family)] = place
        for external in EXTERNALS:
            for address in (external.ip, external.ip6):
                self.places[address] = Place("external", external.name, None)
        for pod in cluster.pods:
            if not pod.host_network and not pod.completed:
                for address in (pod.ip, pod.ip6):
                    self.places[address] = Place("pod", pod.name, pod.node)
                    self.pods[address] = pod
        self.blocks = [
            (ipaddress.ip_network(block), node)
            for node in NODES
            for block in (node.block, node.block6)
        ]

    def place(self, address: str) -> Place:
        """Find who has an address; kind ``none`` if nobody has."""
        found = self.places.get(address)
        return found or Place("none", None, self.node_of_block(address))

    def node_of_block(self, address: str) -> str | None:
        """Name the node whose address block an address lies in."""
        parsed = ipaddress.ip_address(address)
        for block, node in self.blocks:
            if parsed in block:
                return node.name
        return None

    @property
    def home(self) -> dict[str, str]:
        """Address to node, for every address inside the cluster."""
        return {a: p.node for a, p in self.places.items() if p.node is not None}


def tuples_of(chain: list[Entry]) -> list[Tuple]:
    """List a connection's tuples in the order in which the packets carry them."""
    found = [chain[0].original]
    for entry in chain:
        if entry.sent_on != found[-1]:
            found.append(entry.sent_on)
    return found


def sightings(chain: list[Entry], where: Map) -> list[Sighting]:
    """Walk with the client's packets from device to device.

    Parameters
    ----------
    chain : list of Entry
        A connection's conntrack entries in path order.
    where : Map
        Who has which address.

    Returns
    -------
    list of Sighting
        Every device crossed, in order. A host's own packets are rewritten in
        OUTPUT, before any device, so their first tuple may be on none.
    """
    walk = Walk(where, DEVICE[family_of(chain[0].original.src)])
    walk.set_out(chain[0].original.src)
    for entry in chain:
        walk.cross(entry)
    walk.end(chain[-1].sent_on.dst)
    return walk.seen


class Walk:
    """A packet on its way: where it was seen, and how it left the last place.

    It leaves by a pod's veth, over the LAN, in the tunnel or by loopback; a host's
    own packet starts, and a packet for the node itself ends, without a device.
    """

    def __init__(self, where: Map, tunnel: str) -> None:
        self.where = where
        self.tunnel = tunnel
        self.seen: list[Sighting] = []
        self.tuple = 0
        self.left_by = "nothing"
        self.veth = ""  # of the client, if it is a pod
        self.next_node: str | None = None

    def at(self, host: str, device: str, *, encapsulated: bool = False) -> None:
        """Note that a device was crossed."""
        sighting = Sighting(host, device, self.tuple, encapsulated)
        if sighting not in self.seen:
            self.seen.append(sighting)

    def set_out(self, address: str) -> None:
        """Leave the client."""
        client = self.where.place(address)
        if client.name is None or client.kind == "node":
            return
        self.at(client.name, "eth0")
        self.left_by = "lan"
        if client.kind == "pod":
            self.left_by, self.veth = "veth", self.where.pods[address].cali

    def arrive(self, node: str) -> None:
        """Come in to a node."""
        if self.left_by == "veth":
            self.at(node, self.veth)
        elif self.left_by == "lan":
            self.at(node, NIC)
        elif self.left_by == "tunnel":
            self.at(node, NIC, encapsulated=True)
            self.at(node, self.tunnel)

    def cross(self, entry: Entry) -> None:
        """Pass through a node that translates, routes or takes the packet."""
        node, address = entry.node, entry.sent_on.dst
        self.arrive(node)
        if entry.rewrites:
            self.tuple += 1
        place = self.where.place(address)
        is_own = self.left_by == "nothing"
        self.next_node = None
        if place.node == node and place.kind == "pod":
            self.left_by = "veth"
            pod = self.where.pods[address]
            self.at(node, pod.cali)
            self.at(pod.name, "eth0")
        elif place.node == node:
            self.left_by = "nothing"
            if is_own:
                # Requests were rewritten before they reach `lo`, and so are replies:
                # each direction shows another tuple.
                self.at(node, "lo")
                self.seen.append(Sighting(node, "lo", 0, encapsulated=False))
        elif block_node := self.where.node_of_block(address):
            self.left_by, self.next_node = "tunnel", block_node
            self.at(node, self.tunnel)
            self.at(node, NIC, encapsulated=True)
        else:
            self.left_by, self.next_node = "lan", place.node
            self.at(node, NIC)

    def end(self, address: str) -> None:
        """Reach a host outside, or a node that kept no entry of what it dropped."""
        place = self.where.place(address)
        if place.kind == "external" and place.name is not None:
            self.at(place.name, "eth0")
        elif self.next_node is not None:
            self.arrive(self.next_node)
