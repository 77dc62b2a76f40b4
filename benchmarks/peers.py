"""What one would write in Python instead, and what is read from the others' answers.

::

    python -m benchmarks.peers NAME CAPTURE

Those in Python read a pcap capture, take VXLAN off, and count packets and octets of
every innermost two-way flow in a dictionary: the least that makes a flow table. All
print their counts as one line of JSON.
"""

from __future__ import annotations

import json
import mmap
import re
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    Flows = dict[Hashable, list[int]]


#: What a program can tell of a capture: see :mod:`benchmarks.agreement`.
Counts = dict[str, int]

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
    packets = captured_bytes = 0
    with open(path, "rb") as file:  # noqa: PTH123 - no pathlib in what is measured
        for _, frame in Reader(file):
            captured = len(frame)  # dpkt does not tell the length on the wire
            packets += 1
            captured_bytes += captured
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
            _add(flows, (ip.p, vni, min(src, dst), max(src, dst)), captured)
    return {
        "packets": packets,
        "captured_bytes": captured_bytes,
        "flows": len(flows),
    }


def nfstream_flows(path: str) -> Counts:
    """Let nfstream make flows of the outermost headers, all else switched off."""
    from nfstream import NFStreamer

    counts = {"ip_packets": 0, "ip_bytes": 0, "outer_flows": 0}
    for flow in NFStreamer(
        source=path,
        accounting_mode=1,  # octets of IP packets
        idle_timeout=3600,
        active_timeout=3600,
        n_dissections=0,
        decode_tunnels=False,  # it knows no VXLAN, and takes port 37008 for TZSP
        statistical_analysis=False,
    ):
        counts["ip_packets"] += flow.bidirectional_packets
        counts["ip_bytes"] += flow.bidirectional_bytes
        counts["outer_flows"] += flow.protocol in (6, 17)
    return counts


def decompress(path: str) -> Counts:
    """Decompress a file with the library that ``analyze`` uses, and drop the octets.

    Each in the fastest way that the library has.
    """
    import lz4.frame
    import zstandard
    from isal import igzip

    buffer = memoryview(bytearray(256 << 10))
    octets = 0
    reader: Any  # three libraries', none of them typed
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
        if path.endswith(".lz4"):
            reader = lz4.frame.LZ4FrameDecompressor()
            while count := file.readinto(buffer):
                octets += len(reader.decompress(buffer[:count]))
            return {"capture_bytes": octets}
        if path.endswith(".gz"):
            reader = igzip.IGzipFile(fileobj=file, mode="rb")
        else:
            reader = zstandard.ZstdDecompressor().stream_reader(file)
        while count := reader.readinto(buffer):
            octets += count
    return {"capture_bytes": octets}


def tables(directory: str) -> Counts:
    """Sum up the tables that ``analyze flows`` wrote; not timed."""
    import pyarrow.compute as pc

    import analyzer

    found = analyzer.open_tables(directory)
    flows = found.arrow("flows")

    def total(name: str) -> int:
        columns = [each for each in flows.column_names if each.endswith(name)]
        return sum(pc.sum(flows[column]).as_py() or 0 for column in columns)

    return {
        "packets": sum(capture.packets for capture in found.captures),
        "wire_bytes": sum(capture.wire_bytes for capture in found.captures),
        "ip_packets": total("r_packets"),
        "ip_wire_bytes": total("wire_bytes"),
        "inner_bytes": total("r_bytes"),
        "flows": flows.num_rows,
        "tcp_flows": pc.sum(pc.equal(flows["protocol"], "tcp")).as_py() or 0,
        "retransmits": total("_retransmits"),
    }


def exported_flows(lines: Iterable[str], separator: str | None) -> int:
    """Count two-way five-tuples of TCP and UDP in rows of one-way flows."""
    found = set()
    for line in lines:
        words = line.strip().split(separator)
        if len(words) == 5 and words[0].lower() in {"tcp", "udp"}:
            ends = sorted([(words[1], words[2]), (words[3], words[4])])
            found.add(hash((words[0], *ends)))
    return len(found)


def nfdump(directory: str) -> Counts:
    """Read what nfpcapd wrote with nfdump; not timed."""
    totals = subprocess.run(
        ["nfdump", "-R", directory, "-I"], capture_output=True, text=True, check=True
    ).stdout
    with subprocess.Popen(
        ["nfdump", "-R", directory, "-q", "-o", "fmt:%pr %sa %sp %da %dp"],
        stdout=subprocess.PIPE,
        text=True,
    ) as rows:
        assert rows.stdout is not None
        flows = exported_flows(rows.stdout, None)
    found = dict(re.findall(r"^(\w+): (\d+)$", totals, re.MULTILINE))
    return {
        "ip_packets": int(found["Packets"]),
        "ip_bytes": int(found["Bytes"]),
        "outer_flows": flows,
    }


PEERS: dict[str, Callable[[str], Counts]] = {
    "mmap-struct": mmap_struct,
    "scapy-raw": scapy_raw,
    "scapy": scapy_dissect,
    "dpkt": dpkt_dissect,
    "nfstream": nfstream_flows,
    "decompress": decompress,
    "tables": tables,
    "nfdump": nfdump,
}

if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](sys.argv[2])))
