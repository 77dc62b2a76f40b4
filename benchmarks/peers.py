"""What one would write in Python instead, and what is read from the others' answers.

::

    python -m benchmarks.peers NAME CAPTURE

Each peer reads a pcap capture, takes VXLAN off, and counts packets and octets of every
innermost two-way flow in a dictionary: the least that makes a flow table. It prints
its counts as one line of JSON.
"""

from __future__ import annotations

import json
import mmap
import struct
import sys
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    Flows = dict[Hashable, list[int]]


class Counts(TypedDict, total=False):
    """What a peer can tell of a capture."""

    packets: int
    wire_bytes: int
    flows: int
    tcp_flows: int
    retransmits: int


VXLAN_PORT = 4789
_ethertype = struct.Struct(">12xH").unpack_from
_tagged = struct.Struct(">2xH").unpack_from
_port = struct.Struct(">H").unpack_from
_vni = struct.Struct(">I").unpack_from


def _add(flows: Flows, key: Hashable, octets: int) -> None:
    """Count one packet of a flow."""
    counts = flows.get(key)
    if counts is None:
        flows[key] = [1, octets]
    else:
        counts[0] += 1
        counts[1] += octets


def _innermost(octets: bytes | mmap.mmap, at: int) -> Hashable:
    """Dissect the frame at an offset: protocol, VNI and the two endpoints in order."""
    vni = None
    while True:
        (ethertype,) = _ethertype(octets, at)
        at += 14
        while ethertype == 0x8100:
            (ethertype,) = _tagged(octets, at)
            at += 4
        if ethertype == 0x0800:
            protocol = octets[at + 9]
            src, dst = octets[at + 12 : at + 16], octets[at + 16 : at + 20]
            at += (octets[at] & 15) * 4
        elif ethertype == 0x86DD:
            protocol = octets[at + 6]
            src, dst = octets[at + 8 : at + 24], octets[at + 24 : at + 40]
            at += 40
        else:
            return None
        if protocol == 17 and _port(octets, at + 2)[0] == VXLAN_PORT:
            vni = _vni(octets, at + 12)[0] >> 8
            at += 16
            continue
        if protocol in (1, 58):
            src += octets[at + 4 : at + 6]
            dst += octets[at + 4 : at + 6]
        else:
            src += octets[at : at + 2]
            dst += octets[at + 2 : at + 4]
        return (protocol, vni, src, dst) if src < dst else (protocol, vni, dst, src)


def mmap_struct(path: str) -> Counts:
    """Map the file and unpack headers: the standard library alone."""
    flows: Flows = {}
    packets = wire_bytes = 0
    record = struct.Struct("<8xII").unpack_from
    with (
        open(path, "rb") as file,  # noqa: PTH123 - no pathlib in what is measured
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets,
    ):
        at, end = 24, len(octets)
        while at < end:
            captured, wire = record(octets, at)
            at += 16
            packets += 1
            wire_bytes += wire
            key = _innermost(octets, at)
            if key is not None:
                _add(flows, key, wire)
            at += captured
    return {"packets": packets, "wire_bytes": wire_bytes, "flows": len(flows)}


def scapy_raw(path: str) -> Counts:
    """Let scapy read the records only, and unpack headers by hand."""
    from scapy.utils import RawPcapReader

    flows: Flows = {}
    packets = wire_bytes = 0
    with RawPcapReader(path) as reader:
        for frame, about in reader:
            packets += 1
            wire_bytes += about.wirelen
            key = _innermost(frame, 0)
            if key is not None:
                _add(flows, key, about.wirelen)
    return {"packets": packets, "wire_bytes": wire_bytes, "flows": len(flows)}


def scapy_dissect(path: str) -> Counts:
    """Let scapy dissect every packet; it knows VXLAN."""
    from scapy.layers.inet import ICMP, IP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.vxlan import VXLAN
    from scapy.utils import PcapReader

    flows: Flows = {}
    packets = wire_bytes = 0
    with PcapReader(path) as reader:
        for packet in reader:
            wire = packet.wirelen or 0
            packets += 1
            wire_bytes += wire
            tunnel = packet.getlayer(VXLAN)
            inner = tunnel.payload if tunnel else packet
            ip = inner.getlayer(IP) or inner.getlayer(IPv6)
            if ip is None:
                continue
            above = ip.payload
            if isinstance(above, ICMP) or (ip.version == 6 and ip.nh == 58):
                src, dst = (ip.src, above.id), (ip.dst, above.id)
            else:
                src, dst = (ip.src, above.sport), (ip.dst, above.dport)
            protocol = ip.proto if ip.version == 4 else ip.nh
            vni = tunnel.vni if tunnel else None
            _add(flows, (protocol, vni, min(src, dst), max(src, dst)), wire)
    return {"packets": packets, "wire_bytes": wire_bytes, "flows": len(flows)}


def dpkt_dissect(path: str) -> Counts:
    """Let dpkt dissect every packet; VXLAN is taken off by hand, for it has none."""
    from dpkt.ethernet import Ethernet
    from dpkt.icmp import ICMP
    from dpkt.icmp6 import ICMP6
    from dpkt.ip import IP
    from dpkt.ip6 import IP6
    from dpkt.pcap import Reader
    from dpkt.udp import UDP

    flows: Flows = {}
    packets = wire_bytes = 0
    with open(path, "rb") as file:  # noqa: PTH123 - no pathlib in what is measured
        for _, frame in Reader(file):
            wire = len(frame)  # dpkt does not tell the length on the wire
            packets += 1
            wire_bytes += wire
            vni = None
            ip = Ethernet(frame).data
            if not isinstance(ip, (IP, IP6)):
                continue
            above = ip.data
            if isinstance(above, UDP) and above.dport == VXLAN_PORT:
                vni = _vni(above.data, 4)[0] >> 8
                ip = Ethernet(above.data[8:]).data
                above = ip.data
            if isinstance(above, (ICMP, ICMP6)):
                src, dst = (ip.src, above.data.id), (ip.dst, above.data.id)
            else:
                src, dst = (ip.src, above.sport), (ip.dst, above.dport)
            _add(flows, (ip.p, vni, min(src, dst), max(src, dst)), wire)
    return {"packets": packets, "wire_bytes": wire_bytes, "flows": len(flows)}


def tables(directory: str) -> Counts:
    """Sum up the ``flows`` table that ``analyze flows`` wrote; not timed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with pa.memory_map(f"{directory}/flows.arrow") as file:
        flows = pa.ipc.open_file(file).read_all()

        def total(*columns: str) -> Any:
            return sum(pc.sum(flows[column]).as_py() or 0 for column in columns)

        return {
            "packets": total("originator_packets", "responder_packets"),
            "wire_bytes": total("wire_bytes"),
            "flows": flows.num_rows,
            "tcp_flows": pc.sum(pc.equal(flows["protocol"], "tcp")).as_py() or 0,
            "retransmits": total("originator_retransmits", "responder_retransmits"),
        }


PEERS: dict[str, Callable[[str], Counts]] = {
    "mmap-struct": mmap_struct,
    "scapy-raw": scapy_raw,
    "scapy": scapy_dissect,
    "dpkt": dpkt_dissect,
    "tables": tables,
}

if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](sys.argv[2])))
