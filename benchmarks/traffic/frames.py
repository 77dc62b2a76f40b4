"""Packets as the octets of a capture file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.traffic import headers
from benchmarks.traffic.headers import ARP_LAYOUT, OUTER, ArpLayout, Layout
from benchmarks.traffic.packets import FLAGS
from benchmarks.traffic.plan import NODES, node_address

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.traffic.packets import Packets
    from benchmarks.traffic.plan import Flows

    Array = NDArray[Any]

CONTENT, CONTENT_TURN = 1 << 20, 1 << 11  # octets
TEXT = (
    b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"nginx-ds-tkhgg",'
    b'"namespace":"default","labels":{"name":"nginx"}},"status":{"phase":"Run'
    b'ning","podIP":"10.1.235.211","hostIP":"192.168.2.30"}},\n'
)
START = 1_700_000_000 * 10**9  # the first packet's time, in nanoseconds


class Frames:
    """Turns packets into the octets of a capture file."""

    def __init__(self, flows: Flows, snaplen: int, pcapng: bool, seed: int) -> None:
        self.flows = flows
        self.snaplen = snaplen
        self.pcapng = pcapng
        record = headers.PCAPNG_RECORD if pcapng else headers.PCAP_RECORD
        self.record_length = np.dtype(record).itemsize
        self.layouts: list[Layout] = [
            Layout(record, *divmod(number, headers.LAYOUTS_PER_KIND))
            for number in range(ARP_LAYOUT)
        ]
        self.layouts.append(ArpLayout(record))
        self.header_length = np.array([layout.length for layout in self.layouts])
        nodes = np.arange(NODES)
        self.nic_mac = _macs(0x5254, nodes)
        self.vtep_mac = _macs(0x66D5, nodes)
        self.text = np.resize(
            np.frombuffer(TEXT, np.uint8), (CONTENT // 2 // CONTENT_TURN, CONTENT_TURN)
        )
        self.noise = np.random.default_rng(seed)
        # Two of them: one is written while the other is filled.
        self.buffers = [np.empty(0, np.uint8), np.empty(0, np.uint8)]

    def file_header(self) -> bytes:
        """Open the capture."""
        if not self.pcapng:
            fields = np.array([0xA1B2C3D4, 0x00040002, 0, 0, self.snaplen, 1], "<u4")
            return fields.tobytes()
        section = np.array(
            [0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0xFFFFFFFF, 0xFFFFFFFF, 28], "<u4"
        )
        name = np.frombuffer(b"\x02\x00\x05\x00ens18\x00\x00\x00", "<u4")
        interface = [1, 36, 1, self.snaplen, *name, 0, 36]
        return section.tobytes() + np.array(interface, "<u4").tobytes()

    def write(
        self, packets: Packets, arp_times: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Lay the packets out in order of time.

        Returns
        -------
        octets : uint8 array
            The records, ready to be written; the next call but one overwrites them.
        order : int array
            For each record, the packet that it holds; ARP frames count on from there.
        wire_length : int array
            Octets of each frame on the link, in the packets' own order.
        captured : int array
            Octets of each frame in the capture, in the same order.
        """
        time = np.concatenate([packets.time, arp_times])
        arps = np.full(len(arp_times), ARP_LAYOUT, np.uint8)
        layout = np.concatenate([packets.layout, arps])
        wire_length = self.header_length[layout]
        wire_length[: len(packets)] += packets.payload
        captured = np.minimum(wire_length, self.snaplen)
        size = self.record_length + captured
        if self.pcapng:
            size = self.record_length + (captured + 3 & ~3) + 4

        order = np.argsort(time, kind="stable")
        end = np.cumsum(size[order])
        offset = np.empty_like(size)
        offset[order] = end - size[order]

        octets = self._payloads(int(end[-1]) if len(end) else 0)
        for code, kind in enumerate(self.layouts):
            chosen = np.flatnonzero(layout == code)
            if not len(chosen):
                continue
            rows = kind.rows(len(chosen))
            self._describe(rows, START + time[chosen], captured[chosen], size[chosen])
            rows["wire_length"] = wire_length[chosen]
            if code == ARP_LAYOUT:
                self._fill_arp(rows, time[chosen])
            else:
                self._fill(rows, kind, packets, chosen)
            _scatter(octets, offset[chosen], rows, self.record_length + self.snaplen)
        if self.pcapng:
            # Padding first: the trailing length then overwrites what is not padding.
            tail = offset + self.record_length + captured
            _scatter(octets, tail, np.zeros(len(tail), "<u4"))
            _scatter(octets, offset + size - 4, size.astype("<u4"))
        return octets, order, wire_length, captured

    def _payloads(self, size: int) -> Array:
        """Make what payloads are cut from: text and noise by turns.

        The memory is used again and again. Noise is never the same, or a compressor
        with a large window would find all of it.
        """
        octets = self.buffers.pop(0)
        pieces = -(-size // CONTENT)
        if len(octets) < pieces * CONTENT:
            octets = np.empty((pieces + 1) * CONTENT, np.uint8)
        self.buffers.append(octets)
        for piece in octets[: pieces * CONTENT].reshape(pieces, -1, 2, CONTENT_TURN):
            piece[:, 0] = self.text
            noise = self.noise.integers(
                1 << 64, size=CONTENT // 2 // 8, dtype=np.uint64
            )
            piece[:, 1] = noise.view(np.uint8).reshape(-1, CONTENT_TURN)
        return octets[:size]

    def _describe(self, rows: Array, time: Array, captured: Array, size: Array) -> None:
        rows["captured_length"] = captured
        microseconds = time // 1000
        if self.pcapng:
            rows["block_length"] = size
            rows["time_high"] = microseconds >> 32
            rows["time_low"] = microseconds & 0xFFFFFFFF
        else:
            rows["seconds"], rows["microseconds"] = np.divmod(microseconds, 1_000_000)

    def _fill_arp(self, rows: Array, time: Array) -> None:
        sender, target = time // 1000 % NODES, time // 7000 % NODES
        rows["mac_dst"] = np.void(b"\xff" * 6)
        rows["mac_src"] = rows["sender_mac"] = self.nic_mac[sender]
        rows["sender"] = node_address(sender)
        rows["target"] = node_address(target)

    def _fill(
        self, rows: Array, layout: Layout, packets: Packets, chosen: Array
    ) -> None:
        flow, src = packets.flow[chosen], packets.sender[chosen]
        payload = packets.payload[chosen]
        names = layout.dtype.names or ()
        if "outer_src" in names:
            rows["outer_id"] = packets.noise[chosen] & np.uint64(0xFFFF)
            self._fill_tunnel(rows, layout, flow, src, payload)
        self._fill_network(rows, layout, flow, src, payload)
        if "checksum" in names:
            number = packets.number[chosen]
            rows["id"] = self.flows.isn[src, flow] + number & 0xFFFF
            rows["checksum"] = _header_checksum(rows)
        if "icmp_id" in names:
            request, reply = (128, 129) if "src_network" in names else (8, 0)
            rows["icmp_type"] = np.where(src == 0, request, reply)
            rows["icmp_id"] = self.flows.port[0, flow]
            rows["icmp_sequence"] = packets.number[chosen] // 2
            return
        rows["sport"] = self.flows.port[src, flow]
        rows["dport"] = self.flows.port[1 - src, flow]
        if "udp_length" in names:
            rows["udp_length"] = layout.after("sport") + payload
            return
        rows["seq"] = packets.seq[chosen]
        rows["ack"] = packets.ack[chosen]
        rows["flags"] = FLAGS[packets.role[chosen]]
        rows["window"] = 64240 if "mss" in names else 502
        rows["tsval"] = packets.tsval[chosen]
        rows["tsecr"] = packets.tsecr[chosen]

    def _fill_tunnel(
        self, rows: Array, layout: Layout, flow: Array, src: Array, payload: Array
    ) -> None:
        src_node, dst_node = self.flows.node[[src, 1 - src], flow].astype(np.int64)
        rows["outer_mac_src"] = self.nic_mac[src_node]
        rows["outer_mac_dst"] = self.nic_mac[dst_node]
        rows["outer_length"] = layout.after("outer_version") + payload
        rows["outer_src"] = node_address(src_node)
        rows["outer_dst"] = node_address(dst_node)
        rows["outer_checksum"] = _header_checksum(rows, OUTER)
        rows["outer_sport"] = self.flows.outer_port[src, flow]
        rows["outer_udp_length"] = layout.after("outer_sport") + payload
        rows["ttl"] = 63  # its own node has forwarded it

    def _fill_network(
        self, rows: Array, layout: Layout, flow: Array, src: Array, payload: Array
    ) -> None:
        names = layout.dtype.names or ()
        macs = self.vtep_mac if "outer_src" in names else self.nic_mac
        rows["mac_src"] = macs[self.flows.node[src, flow]]
        rows["mac_dst"] = macs[self.flows.node[1 - src, flow]]
        if "vlan" in names:
            rows["vlan"] = 100 + flow % 16
        rows["src"] = self.flows.address[src, flow]
        rows["dst"] = self.flows.address[1 - src, flow]
        # An IPv4 length counts its own header, an IPv6 length does not.
        own = 40 if "src_network" in names else 0
        rows["length"] = layout.after("version") - own + payload


def _macs(prefix: int, nodes: Array) -> Array:
    """Give one MAC address for each node."""
    macs = np.zeros(len(nodes), [("prefix", ">u2"), ("node", ">u4")])
    macs["prefix"] = prefix
    macs["node"] = nodes * 0x01000193 % 2**32
    return macs.view("V6")


def _scatter(octets: Array, offset: Array, rows: Array, longest: int = 1 << 16) -> None:
    """Copy each row, or its first ``longest`` octets, to its own offset."""
    size = min(rows.itemsize, longest)
    if size < rows.itemsize:
        rows = rows.view(np.uint8).reshape(len(rows), -1)[:, :size].copy()
    # A view with one element per octet, each `size` octets long: they overlap, but
    # those that are written do not.
    places = np.ndarray(len(octets) - size + 1, f"V{size}", octets.data, strides=(1,))
    places[offset] = rows.view(f"V{size}").ravel()


def _header_checksum(rows: Array, prefix: str = "") -> Array:
    """Compute the IPv4 header checksum (RFC 791) of every row."""
    total = np.full(len(rows), 0x4500 + 0x4000, np.uint32)
    total += (rows[prefix + "ttl"].astype(np.uint32) << 8) | rows[prefix + "protocol"]
    total += rows[prefix + "length"]
    total += rows[prefix + "id"]
    for name in ("src", "dst"):
        address = rows[prefix + name].astype(np.uint32)
        total += (address >> 16) + (address & 0xFFFF)
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF
