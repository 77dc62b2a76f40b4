"""What the Service gets: who calls it, when, and where each call goes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analyzer.cluster import Cluster, Endpoint, Node, Pod, Service, ServicePort

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

SECOND = 10**9
BEGIN = 1_795_450_000 * SECOND
CLIENT_NETWORK = int(IPv4Address("198.18.0.0"))  # set aside for benchmarks (RFC 2544)
NODE_NETWORK = int(IPv4Address("192.168.2.0"))
POD_NETWORK = int(IPv4Address("10.1.0.0"))
BLOCK = 64  # addresses of a node's pods; its own end of the tunnel has the first
FIRST_NODE, FIRST_POD = 30, 5
VIRTUAL_IP, PORT, NODE_PORT, TARGET_PORT = "192.168.2.200", 8080, 30800, 80
FIRST_EPHEMERAL, EPHEMERAL = 32768, 28232
FIRST_MASQUERADE, MASQUERADE = 1024, 64512
REUSE_AFTER_S = 2.0
ENTRY = 0  # the node that announces the address


@dataclass(frozen=True)
class Load:
    """Short connections from many clients to one LoadBalancer address.

    Parameters
    ----------
    connections : int
    seconds : float
        Within which all of them begin.
    backends, nodes : int
        Pods behind the Service, and nodes that they are spread over; the first node
        is where connections come in.
    clients : int
        Hosts, all with the same TCP options and window.
    reused : float
        Share of connections that use the five-tuple of one that began two seconds
        before or earlier.
    isn : {"random", "rfc6528"}
        Initial sequence numbers: random, or as Linux makes them: a hash of the
        five-tuple plus a clock of 64 ns.
    clock_offset_s, clock_drift_ppm : float
        By how much the nodes' clocks are wrong, at most.
    seed : int
    """

    connections: int
    seconds: float = 60.0
    backends: int = 24
    nodes: int = 4
    clients: int = 2_000
    reused: float = 0.05
    isn: Literal["random", "rfc6528"] = "rfc6528"
    clock_offset_s: float = 3.0
    clock_drift_ppm: float = 50.0
    seed: int = 1

    @cached_property
    def node_names(self) -> list[str]:
        """The nodes' names."""
        return [f"node-{number}" for number in range(self.nodes)]

    @cached_property
    def backend_node(self) -> Array:
        """Which node each backend is on."""
        return np.arange(self.backends) % self.nodes

    def node_address(self, node: int) -> str:
        """Give a node's own address."""
        return str(IPv4Address(NODE_NETWORK + FIRST_NODE + node))

    def tunnel_address(self, node: int) -> str:
        """Give the address of a node's VXLAN device."""
        return str(IPv4Address(POD_NETWORK + node * BLOCK))

    def pod_address(self, backend: int) -> str:
        """Give a backend's address, from its node's block."""
        on_node, node = divmod(backend, self.nodes)
        return str(IPv4Address(POD_NETWORK + node * BLOCK + FIRST_POD + on_node))

    def client_address(self, client: int) -> str:
        """Give a client's address."""
        return str(IPv4Address(CLIENT_NETWORK + 256 + client))

    @cached_property
    def clocks(self) -> tuple[Array, Array]:
        """Each node's offset in nanoseconds, and its drift per nanosecond."""
        random = np.random.default_rng(self.seed)
        offset = random.uniform(-1, 1, self.nodes) * self.clock_offset_s * SECOND
        drift = random.uniform(-1, 1, self.nodes) * self.clock_drift_ppm * 1e-6
        return offset.astype(np.int64), drift

    @cached_property
    def cluster(self) -> Cluster:
        """What kubectl would tell of it."""
        nodes = tuple(
            Node(
                name,
                internal_ips=(self.node_address(number),),
                tunnel_ips=(self.tunnel_address(number),),
            )
            for number, name in enumerate(self.node_names)
        )
        pods = tuple(
            Pod(
                "default",
                f"backend-{number}",
                ips=(self.pod_address(number),),
                node=self.node_names[self.backend_node[number]],
                workload="Deployment/backend",
                phase="Running",
                ready=True,
            )
            for number in range(self.backends)
        )
        service = Service(
            "default",
            "busy",
            type="LoadBalancer",
            cluster_ips=("10.152.183.200",),
            external_ips=(VIRTUAL_IP,),
            ports=(ServicePort("tcp", PORT, None, TARGET_PORT, NODE_PORT),),
            external_traffic_policy="Cluster",
            endpoints_known=True,
        )
        endpoints = tuple(
            Endpoint(
                "default",
                "busy",
                pod.ips[0],
                TARGET_PORT,
                "tcp",
                node=pod.node,
                pod=pod.name,
            )
            for pod in pods
        )
        return Cluster(nodes, pods, (service,), endpoints)


@dataclass(frozen=True)
class Calls:
    """The connections, one element of each array for each, in order of time.

    ``start`` is true time in nanoseconds; ``masquerade`` the port that the entry node
    gave the source.
    """

    start: Array
    client: Array
    port: Array
    backend: Array
    masquerade: Array
    isn: Array
    reply_isn: Array

    def part(self, which: slice) -> Calls:
        """Give some of them."""
        return Calls(**{name: array[which] for name, array in vars(self).items()})


def calls(load: Load) -> Calls:
    """Choose every connection's ends, ports and sequence numbers."""
    random = np.random.default_rng(load.seed + 1)
    count = load.connections
    start = BEGIN + np.sort(random.uniform(0, load.seconds * SECOND, count)).astype(
        np.int64
    )
    client = random.integers(0, load.clients, count, dtype=np.uint32)
    port = FIRST_EPHEMERAL + rank_within(client) * 2 % EPHEMERAL
    reuse(load, random, start, client, port)
    backend = random.integers(0, load.backends, count, dtype=np.uint32)
    # The kernel takes a random port that no connection to the backend has now.
    order = random.permutation(MASQUERADE)
    begin = random.integers(0, MASQUERADE, load.backends, dtype=np.uint32)
    turn = (begin[backend] + rank_within(backend)) % MASQUERADE
    masquerade = FIRST_MASQUERADE + order[turn]
    isn = sequence_numbers(load, random, start, client << np.uint32(16) ^ port)
    late = start + 100_000
    pair = backend << np.uint32(16) ^ masquerade.astype(np.uint32)
    reply_isn = sequence_numbers(load, random, late, ~pair)
    return Calls(
        start,
        client,
        port.astype(np.uint16),
        backend,
        masquerade.astype(np.uint16),
        isn,
        reply_isn,
    )


def rank_within(group: Array) -> Array:
    """Give each element its number in its group, in order."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.empty(group.size, np.uint32)
    rank[order] = np.arange(group.size) - first
    return rank


def reuse(
    load: Load, random: np.random.Generator, start: Array, client: Array, port: Array
) -> None:
    """Give some connections the five-tuple of one that is over: no two the same."""
    earlier = np.searchsorted(start, start - round(REUSE_AFTER_S * SECOND))
    lag = int((np.arange(start.size) - earlier).max()) + 1
    chosen = np.flatnonzero(random.random(start.size) < load.reused)
    for number in chosen[chosen >= lag]:  # one after the other: chains are possible
        client[number], port[number] = client[number - lag], port[number - lag]


def sequence_numbers(
    load: Load, random: np.random.Generator, time: Array, tuples: Array
) -> Array:
    """Choose initial sequence numbers."""
    if load.isn == "random":
        return random.integers(0, 1 << 32, time.size, dtype=np.uint32)
    hashed = tuples.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashed ^= hashed >> np.uint64(29)
    hashed *= np.uint64(0xBF58476D1CE4E5B9)
    clock = (time >> 6).astype(np.uint64)  # RFC 6528, and 64 ns as in Linux
    return ((hashed >> np.uint64(32)) + clock).astype(np.uint32)
