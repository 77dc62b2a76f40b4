"""Write a large capture that looks like a busy Kubernetes cluster's.

::

    python -m benchmarks.generate OUT.pcap --packets 10M --flows 300k --snaplen 96

The same arguments (and version of numpy) write the same octets. The true counts are
printed as JSON.

The traffic is what a mirror port beside 60 nodes sees. Three packets in five are
VXLAN between nodes (VNI 4096, one /26 block of pods per node); the rest are clients
outside the cluster calling nodes over IPv4, a little IPv6 and VLAN, and some ARP. A
TCP flow shakes hands, exchanges requests and responses, and closes; one in fifty is
refused. Nothing is lost, reordered or sent twice. Flow sizes follow Zipf's law.

Everything is arrays: the flows are planned first, then time is cut into slices, and
the packets of one slice are made, sorted and written together. Memory grows with the
number of flows, not of packets.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from benchmarks.quantity import quantity
from benchmarks.traffic.frames import Frames
from benchmarks.traffic.packets import make_packets
from benchmarks.traffic.plan import (
    ICMP,
    IPV4,
    IPV6,
    MAX_FLOWS,
    SHORTEST_OTHER,
    TCP,
    UDP,
    VLAN,
    VXLAN,
    Flows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from benchmarks.traffic.packets import Packets

    Array = NDArray[Any]

BATCH = 1 << 17  # packets in a slice of time, on average
WHOLE_FRAMES = 262_144  # tcpdump's snaplen when none is asked for
ETHERNET_LENGTH, TAG_LENGTH = 14, 4
TUNNEL_LENGTH = 20 + 8 + 8 + ETHERNET_LENGTH  # IPv4, UDP, VXLAN, Ethernet
ARP_SHARE = 500  # one frame in this many
PREFIXES = tuple(m * 10**e for e in range(3, 8) for m in (1, 3))


@dataclass
class Truth:
    """What a capture holds, counted while it was written.

    ``flows`` and ``tcp_flows`` are two-way innermost five-tuples (an echo identifier
    for ICMP); ``outer_flows`` are two-way outermost five-tuples of TCP and UDP. What
    begins with ``ip_`` leaves frames without an IP header out: ``ip_bytes`` are the
    outermost IP packets, ``inner_bytes`` the innermost ones. ``prefixes`` repeats the
    counts for the first packets of the capture.
    """

    packets: int = 0
    wire_bytes: int = 0
    captured_bytes: int = 0
    ip_packets: int = 0
    ip_wire_bytes: int = 0
    ip_bytes: int = 0
    inner_bytes: int = 0
    vxlan_packets: int = 0
    ipv4_packets: int = 0
    ipv6_packets: int = 0
    vlan_packets: int = 0
    arp_packets: int = 0
    arp_bytes: int = 0
    tcp_packets: int = 0
    udp_packets: int = 0
    icmp_packets: int = 0
    flows: int = 0
    vxlan_flows: int = 0
    tcp_flows: int = 0
    outer_flows: int = 0
    retransmits: int = 0
    capture_bytes: int = 0
    prefixes: list[dict[str, int]] = field(default_factory=list)


def generate(
    out: BinaryIO,
    *,
    packets: int,
    flows: int,
    snaplen: int = WHOLE_FRAMES,
    pcapng: bool = False,
    seed: int = 1,
    seconds: float = 50.0,
    vxlan_share: float = 0.6,
) -> Truth:
    """Write a capture and count what it holds.

    Parameters
    ----------
    out : binary file
        Where the capture goes.
    packets, flows : int
        Frames in all, and two-way flows among them; at least two frames a flow.
    snaplen : int
        Octets kept of each frame.
    pcapng : bool
        pcapng instead of pcap.
    seed : int
        Chooses the capture; the same arguments write the same octets.
    seconds : float
        From the first packet to about the last.
    vxlan_share : float
        Share of flows, and of packets, that travel in VXLAN.

    Returns
    -------
    Truth
        The counts.

    Raises
    ------
    ValueError
        The packets do not suffice for the flows, or the flows exceed ``MAX_FLOWS``.
    """
    arps = packets // ARP_SHARE
    if not 0 < flows <= MAX_FLOWS or packets - arps < SHORTEST_OTHER * flows:
        raise ValueError(
            f"{flows} flows in {packets} packets: need two packets a flow and "
            f"1 to {MAX_FLOWS} flows"
        )
    rng = np.random.default_rng(seed)
    nanoseconds = seconds * 1e9
    planned = Flows(packets - arps, flows, nanoseconds, vxlan_share, rng)
    arp_times = np.sort(rng.random(arps) * nanoseconds).astype(np.int64)
    frames = Frames(planned, snaplen, pcapng, seed)

    header = frames.file_header()
    out.write(header)
    truth = Truth(capture_bytes=len(header))
    counter = _Counter(planned)
    with ThreadPoolExecutor(1) as writing:
        written = None
        for end, due in _slices(packets, nanoseconds, arp_times):
            made = make_packets(planned, end, seed)
            octets, order, wire_length, captured = frames.write(made, due)
            if written is not None:
                written.result()
            written = writing.submit(out.write, octets.data)
            truth.capture_bytes += len(octets)
            counter.add(truth, made, order, wire_length, captured)
        if written is not None:
            written.result()
    assert truth.packets == packets
    assert truth.flows == flows
    return truth


def _slices(
    packets: int, nanoseconds: float, arp_times: Array
) -> Iterator[tuple[float, Array]]:
    """Cut time into slices: the end of each, and the ARP frames that fall into it."""
    count = -(-packets // BATCH)
    ends = np.linspace(0, nanoseconds, count + 1)[1:]
    ends[-1] = np.inf
    cuts = np.searchsorted(arp_times, ends[:-1])
    yield from zip(ends.tolist(), np.split(arp_times, cuts), strict=True)


class _Counter:
    """Counts packets slice by slice."""

    def __init__(self, flows: Flows) -> None:
        self.flows = flows
        self.tunnels = flows.tunnels()
        self.seen = np.zeros(self.tunnels.max(initial=-1) + 1, bool)

    def add(
        self,
        truth: Truth,
        made: Packets,
        order: Array,
        wire_length: Array,
        captured: Array,
    ) -> None:
        """Add a slice's packets to the counts, and note prefixes that end in it."""
        for limit in PREFIXES:
            if truth.packets < limit <= truth.packets + len(order):
                inside = order[: limit - truth.packets]
                counts, _ = self._count(made, inside, wire_length, captured)
                truth.prefixes.append(
                    {name: getattr(truth, name) + more for name, more in counts.items()}
                )
        counts, tunnels = self._count(made, order, wire_length, captured)
        for name, more in counts.items():
            setattr(truth, name, getattr(truth, name) + more)
        self.seen[tunnels] = True

    def _count(
        self, made: Packets, records: Array, wire_length: Array, captured: Array
    ) -> tuple[dict[str, int], Array]:
        """Count some of a slice's packets; name the tunnels' five-tuples among them."""
        chosen = records[records < len(made)]
        flow, number = made.flow[chosen], made.number[chosen]
        kind, protocol = self.flows.kind[flow], self.flows.protocol[flow]
        kinds = np.bincount(kind, minlength=4).tolist()
        protocols = np.bincount(protocol, minlength=3).tolist()
        opening = number == 0  # the packet is its flow's first
        # The second one is its peer's first: another five-tuple outside the tunnel.
        leaving = (number < 2) & (kind == VXLAN)
        tunnels = np.unique(self.tunnels[number[leaving], flow[leaving]])
        tunnels = tunnels[~self.seen[tunnels]]
        bare = opening & (kind != VXLAN) & (protocol != ICMP)
        octets, ip_octets = (
            int(wire_length[records].sum()),
            int(wire_length[chosen].sum()),
        )
        ip_bytes = ip_octets - ETHERNET_LENGTH * len(chosen) - TAG_LENGTH * kinds[VLAN]
        return {
            "packets": len(records),
            "wire_bytes": octets,
            "captured_bytes": int(captured[records].sum()),
            "ip_packets": len(chosen),
            "ip_wire_bytes": ip_octets,
            "ip_bytes": ip_bytes,
            "inner_bytes": ip_bytes - TUNNEL_LENGTH * kinds[VXLAN],
            "vxlan_packets": kinds[VXLAN],
            "ipv4_packets": kinds[IPV4],
            "ipv6_packets": kinds[IPV6],
            "vlan_packets": kinds[VLAN],
            "arp_packets": len(records) - len(chosen),
            "arp_bytes": octets - ip_octets,
            "tcp_packets": protocols[TCP],
            "udp_packets": protocols[UDP],
            "icmp_packets": protocols[ICMP],
            "flows": int(opening.sum()),
            "vxlan_flows": int((opening & (kind == VXLAN)).sum()),
            "tcp_flows": int((opening & (protocol == TCP)).sum()),
            "outer_flows": int(bare.sum()) + len(tunnels),
            "retransmits": 0,
        }, tunnels


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generate",
        description="Write a large Kubernetes-like capture; print its true counts.",
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--packets", type=quantity, default=1_000_000)
    parser.add_argument("--flows", type=quantity, help="default: packets / 33")
    parser.add_argument("--snaplen", type=quantity, default=WHOLE_FRAMES)
    parser.add_argument("--format", choices=("pcap", "pcapng"), default="pcap")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=50.0)
    parser.add_argument("--vxlan-share", type=float, default=0.6)
    asked = parser.parse_args()
    flows = asked.flows or max(1, asked.packets // 33)
    unfinished = asked.out.with_name(asked.out.name + ".part")
    try:
        with unfinished.open("wb") as out:
            truth = generate(
                out,
                packets=asked.packets,
                flows=flows,
                snaplen=asked.snaplen,
                pcapng=asked.format == "pcapng",
                seed=asked.seed,
                seconds=asked.seconds,
                vxlan_share=asked.vxlan_share,
            )
        unfinished.rename(asked.out)
    except ValueError as error:
        parser.error(str(error))
    finally:
        unfinished.unlink(missing_ok=True)
    json.dump(asdict(truth), sys.stdout)
    print()


if __name__ == "__main__":
    main()
