"""Every flow of a capture, planned before its first packet is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

NODES = 60
PODS_PER_NODE = 40
POD_NETWORK = 0x0A010000  # 10.1.0.0/16
NODE_NETWORK = 0xC0A80200  # 192.168.2.0/24
CLIENT_NETWORK = 0xC6120000  # 198.18.0.0/15, set aside for benchmarks (RFC 2544)
FIRST_PORT, LAST_PORT = 32768, 60999  # Linux's ephemeral ports
MAX_FLOWS = NODES * PODS_PER_NODE * (LAST_PORT - FIRST_PORT + 1)

# No port here has a dissector of its own in tshark: peers that look into payloads are
# not slowed down by ours being made up.
TCP_PORTS = np.array([4443, 7070, 8999, 9093, 9100, 10250, 15012, 30080], ">u2")
UDP_PORTS = np.array([4317, 7946, 8125, 9125, 14268, 24224, 30053, 31000], ">u2")

REFUSED_SHARE = 0.02
SHORTEST_TCP = 10  # handshake, one request and its response, close
SHORTEST_OTHER = 2
ZIPF_SHIFT = 20  # Zipf-Mandelbrot: keeps the largest flow at 0.5 % of all packets

TRAIN = 4  # packets of a flow that travel close together

# What carries a flow, and what it speaks.
VXLAN, IPV4, IPV6, VLAN = range(4)
TCP, UDP, ICMP = range(3)


class Flows:
    """Every flow of the capture: who talks to whom, how much, and when.

    Two-row arrays hold the client's side in row 0 and the server's in row 1.
    """

    def __init__(
        self,
        packets: int,
        count: int,
        nanoseconds: float,
        vxlan_share: float,
        rng: np.random.Generator,
    ) -> None:
        index = np.arange(count)
        rank = rng.permutation(count)

        # Multiples of an irrational number, modulo 1, fall into any interval of the
        # ranks in proportion: shares of flows are also shares of packets.
        draw = rank * 0.6180339887498949 % 1
        other = (1 - vxlan_share) / 20
        self.kind = np.select(
            [draw < vxlan_share, draw < vxlan_share + other, draw >= 1 - other],
            [VXLAN, IPV6, VLAN],
            IPV4,
        ).astype(np.uint8)
        draw = rank * 0.4142135623730950 % 1
        self.protocol = np.select([draw < 0.7, draw < 0.99], [TCP, UDP], ICMP).astype(
            np.uint8
        )

        # A client's address and port name the flow, so that none is made twice.
        pod = index % (NODES * PODS_PER_NODE)
        client_node = pod // PODS_PER_NODE
        server_node = (client_node + rng.integers(1, NODES, count)) % NODES
        self.node = np.array([client_node, server_node], np.uint8)
        self.address = np.where(
            self.kind == VXLAN,
            [
                pod_address(client_node, pod % PODS_PER_NODE),
                pod_address(server_node, rng.integers(PODS_PER_NODE, size=count)),
            ],
            [CLIENT_NETWORK + 1 + pod, node_address(server_node)],
        ).astype(np.uint32)
        choice = rng.integers(len(TCP_PORTS), size=count)
        server_port = np.where(
            self.protocol == TCP, TCP_PORTS[choice], UDP_PORTS[choice]
        )
        client_port = FIRST_PORT + index // (NODES * PODS_PER_NODE)
        self.port = np.array([client_port, server_port], np.uint16)
        self.outer_port = rng.integers(
            FIRST_PORT, LAST_PORT, (2, count), np.uint16, endpoint=True
        )
        self.isn = rng.integers(1 << 32, size=(2, count), dtype=np.uint32)
        self.clock = rng.integers(1 << 32, size=(2, count), dtype=np.uint32)

        self._size(packets, rank, rng)
        self._schedule(nanoseconds, rng)

        # What has been written so far.
        self.written = np.zeros(count, np.int64)
        self.sent = np.zeros((2, count), np.uint32)  # sequence numbers used
        self.last_tsval = np.zeros((2, count), np.uint32)

    def _size(self, packets: int, rank: Array, rng: np.random.Generator) -> None:
        """Share the packets out: each flow's least number, the rest by Zipf's law."""
        count = len(rank)
        tcp = self.protocol == TCP
        # With few packets to a flow, more connections are refused.
        spare = packets - SHORTEST_OTHER * count
        complete = min(
            round(int(tcp.sum()) * (1 - REFUSED_SHARE)),
            spare // (SHORTEST_TCP - SHORTEST_OTHER),
        )
        self.refused = tcp.copy()
        self.refused[rng.permutation(np.flatnonzero(tcp))[:complete]] = False
        self.size = np.full(count, SHORTEST_OTHER, np.int64)
        self.size[tcp & ~self.refused] = SHORTEST_TCP
        rest = packets - int(self.size.sum())
        weight = np.where(self.refused, 0.0, 1 / (rank + 1 + ZIPF_SHIFT))
        if rest and not weight.any():
            raise ValueError(f"{rest} packets too many for {count} refused connections")
        # Rounding the running total, not the terms, makes them add up exactly.
        share = np.cumsum(weight) / max(weight.sum(), 1e-300)
        self.size += np.diff(np.rint(share * rest).astype(np.int64), prepend=0)

    def _schedule(self, nanoseconds: float, rng: np.random.Generator) -> None:
        """Spread each flow's trains of packets over a span of time of its own."""
        count = len(self.size)
        trains = -(-self.size // TRAIN)
        pause = 10 ** rng.uniform(6, 8.3, count)  # 1 ms to 0.2 s between trains
        span = np.minimum(trains * pause, nanoseconds * 0.95)
        self.begin = rng.random(count) * (nanoseconds - span)
        self.pause = span / trains
        gap = 10 ** rng.uniform(3.7, 5, count)  # 5 to 100 us within a train
        self.gap = np.minimum(gap, self.pause / (2 * TRAIN))

    def time(self, flow: Array, number: Array, seed: int) -> Array:
        """Give the time of a flow's packet: later than that of the packet before."""
        train = number // TRAIN
        start = train + 0.5 * _uniform(flow, train, seed)
        within = number % TRAIN + 0.9 * _uniform(flow, number, seed + 1)
        return (
            self.begin[flow] + start * self.pause[flow] + within * self.gap[flow]
        ).astype(np.int64)

    def tunnels(self) -> Array:
        """Give numbers to the five-tuples outside VXLAN that each side sends with.

        Flows share one where their nodes and both drawn ports are the same. Numbers of
        flows outside of VXLAN mean nothing.
        """
        src, dst = self.node.astype(np.int64), self.node[::-1].astype(np.int64)
        tuples = (src << 32) | (dst << 16) | self.outer_port
        _, numbers = np.unique(tuples, return_inverse=True)
        return numbers.reshape(tuples.shape)

    def due(self, end: float) -> tuple[Array, Array]:
        """Find flows with packets that may fall before ``end``, and how many each."""
        flow = np.flatnonzero((self.begin < end) & (self.written < self.size))
        trains = np.minimum((end - self.begin[flow]) / self.pause[flow], 1e15)
        limit = np.minimum(self.size[flow], TRAIN * (trains.astype(np.int64) + 1))
        number = np.maximum(limit - self.written[flow], 0)
        return flow, number


def pod_address(node: Array, pod: Array) -> Array:
    """Give a pod's address: each node has one /26, its first address the tunnel's."""
    block = (node * 17 + 5) % 1024
    return POD_NETWORK + block * 64 + 1 + pod


def node_address(node: Array) -> Array:
    """Give a node's address."""
    return NODE_NETWORK + 30 + node


def mix(a: Array, b: Array, seed: int) -> Array:
    """Hash two integers to 64 bits (the finaliser of splitmix64)."""
    x = (a.astype(np.uint64) << np.uint64(32)) ^ b.astype(np.uint64)
    x += np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _uniform(a: Array, b: Array, seed: int) -> Array:
    """Hash two integers to a number in [0, 1)."""
    return (mix(a, b, seed) >> np.uint64(11)) * 2.0**-53
