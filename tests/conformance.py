"""Compares what the analyzer reads from captures with ``expected.json``.

The folder's README says what every key means. ``python -m tests.conformance FOLDER``
checks any folder of the same shape: captures, ``expected.json`` and
``expected_frames.csv``.
"""

from __future__ import annotations

import csv
import ipaddress
import json
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import analyzer
from analyzer.pipeline import summarise
from tests.frames import Row, rows

#: UDP ports that count as VXLAN in the expectations, besides 4789.
VXLAN_PORTS = [8472]

NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}
_HAVE_PORTS = {"tcp", "udp", "sctp"}
_ARP = {0x0806, 0x8035}  # the reverse kind, too
_LIMIT = 20


class Differences:
    """Collects what differs, in words that can be read."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def compare(self, where: str, found: object, expected: object) -> None:
        """Note a difference, if it is one."""
        if found != expected:
            self.lines.append(f"{where}: found {found!r}, expected {expected!r}")

    def __str__(self) -> str:
        shown = self.lines[:_LIMIT]
        if len(self.lines) > _LIMIT:
            shown.append(f"... and {len(self.lines) - _LIMIT} more")
        return "\n".join(shown)


@cache
def expectations(folder: Path) -> dict[str, Any]:
    """Read the counts and flows of every capture of a folder."""
    found = json.loads((folder / "expected.json").read_text())
    return {name: each for name, each in found.items() if not name.startswith("_")}


@cache
def expected_frames(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Read the expected frames of every capture of a folder."""
    frames: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (folder / "expected_frames.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            frames[row["capture"]].append(row)
    return frames


def differences(folder: Path, name: str) -> Differences:
    """Read one capture in every way and compare."""
    found = Differences()
    path = folder / name
    expected = expectations(folder)[name]
    frames = expected_frames(folder).get(name, [])
    packets = rows(analyzer.scan_packets(path, vxlan_ports=VXLAN_PORTS))
    tables = analyzer.build_tables(path, vxlan_ports=VXLAN_PORTS)
    flows = rows(tables.flows)

    _compare_summary(found, path, expected)
    _compare_counts(found, packets, frames, expected)
    for row, frame in zip(packets, frames, strict=False):
        _compare_frame(found, row, frame)
    _compare_innermost_flows(found, flows, expected, frames)
    _compare_outer_pairs(found, packets, expected, frames)
    return found


def _compare_summary(found: Differences, path: Path, expected: dict[str, Any]) -> None:
    (summary,) = summarise([path], vxlan_ports=VXLAN_PORTS)
    found.compare("summary packets", summary.packets, expected["packets"])
    found.compare("summary octets", summary.captured_bytes, expected["cap_bytes"])
    found.compare("summary wire octets", summary.wire_bytes, expected["wire_bytes"])
    file = expected["file"]
    found.compare("format", summary.format.partition(" ")[0], file["format"])
    link_types = {interface.link_type for interface in summary.interfaces}
    found.compare("link types", link_types, set(file["link_types"]))
    found.compare("interfaces", len(summary.interfaces), file["interfaces"])
    found.compare("damaged", bool(summary.damage), expected["status"] != "ok")


def _compare_counts(
    found: Differences,
    packets: list[Row],
    frames: list[dict[str, str]],
    expected: dict[str, Any],
) -> None:
    """Compare the totals; frames that are no fair measure are left out of both."""
    found.compare("packets", len(packets), expected["packets"])
    found.compare("frames listed", len(frames), expected["packets"])
    measured = [
        packet
        for packet, frame in zip(packets, frames, strict=False)
        if frame["skip"] == "False"
    ]

    def total(column: str) -> int:
        return sum(packet[column] for packet in packets)

    found.compare("captured octets", total("captured_length"), expected["cap_bytes"])
    found.compare("wire octets", total("wire_length"), expected["wire_bytes"])
    cut = sum(p["captured_length"] < p["wire_length"] for p in packets)
    found.compare("cut frames", cut, expected["snapped"])
    times = [p["time"] for p in packets if p["time"] is not None]
    found.compare("in order", times == sorted(times), expected["time_ordered"])
    tagged = sum(p["vlan"] is not None for p in measured)
    found.compare("VLAN frames", tagged, expected["vlan"])
    arp = [p for p in measured if p["ethertype"] in _ARP]
    found.compare("ARP frames", len(arp), expected["arp"] + expected["arp_inner"])
    inner_arp = sum(p["ip_version"] is not None for p in arp)
    found.compare("ARP frames in tunnels", inner_arp, expected["arp_inner"])
    other = sum(p["ip_version"] is None for p in measured) - expected["arp"]
    non_ip = expected["non_ip"] - expected["skip"]
    found.compare("frames neither IP nor ARP", other, non_ip)
    fragments = sum(p["is_fragment"] is True for p in measured)
    found.compare("fragments", fragments, expected["frag"])
    tunnelled = sum(p["outer_src"] is not None for p in measured if p not in arp)
    found.compare("tunnelled frames", tunnelled, expected["tunneled"])
    protocols = Counter(
        f"v{p['ip_version']}/{number(p['protocol'])}"
        for p in measured
        if p["protocol"] is not None
    )
    found.compare("protocols", dict(protocols), expected["by_proto"])


def _compare_frame(found: Differences, row: Row, frame: dict[str, str]) -> None:
    where = f"frame {frame['frame']}"

    def compare(column: str, expected: object) -> None:
        found.compare(f"{where} {column}", row[column], expected)

    compare("frame", int(frame["frame"]))
    compare("time", _integer(frame["ts_ns"]))
    compare("captured_length", int(frame["cap_len"]))
    compare("wire_length", int(frame["wire_len"]))
    if frame["skip"] == "True":
        found.compare(f"{where} is reported", row["stop_reason"] is not None, True)
        return
    vlans = [int(vlan) for vlan in frame["vlans"].split(",") if vlan]
    if vlans:
        found.compare(f"{where} vlan is one of its tags", row["vlan"] in vlans, True)
    else:
        compare("vlan", None)
    tunnels = frame["tunnels"].split("+") if frame["tunnels"] else []
    compare("tunnel", tunnels[-1] if tunnels else None)
    compare("tunnel_depth", len(tunnels))
    vnis = [int(vni) for vni in frame["vnis"].split(",") if vni]
    compare("vni", vnis[-1] if vnis else None)
    compare("ip_version", _integer(frame["in_ver"]))
    compare("src_ip", frame["in_src"] or None)
    compare("dst_ip", frame["in_dst"] or None)
    # Around what is no IP, the outermost header is the innermost one as well.
    encapsulated = int(frame["n_ip"]) > 1 or "inner_nonip" in frame["traps"]
    compare("outer_src", frame["outer_src"] if encapsulated else None)
    compare("outer_dst", frame["outer_dst"] if encapsulated else None)
    if not frame["in_proto"]:
        compare("protocol", None)
        return
    found.compare(f"{where} protocol", number(row["protocol"]), int(frame["in_proto"]))
    first = frame["in_frag"] != "2"
    ports = row["protocol"] in _HAVE_PORTS and first
    compare("src_port", int(frame["in_sport"]) if ports else None)
    compare("dst_port", int(frame["in_dport"]) if ports else None)
    compare("is_fragment", frame["in_frag"] != "0")
    if frame["in_ver"] == "4":
        compare("ip_id", _integer(frame["in_ipid"]))
    if frame["tcp_seq"]:
        compare("seq", int(frame["tcp_seq"]))
        compare("ack", int(frame["tcp_ack"]))
        compare("tcp_flags", _integer(frame["tcp_flags"]))
    # tshark gives a fragment the payload that its datagram's header announces.
    whole = frame["in_frag"] == "0"
    if frame["l4_payload"] and whole and "inner_nonip" not in frame["traps"]:
        compare("payload_length", int(frame["l4_payload"]))


def _compare_innermost_flows(
    found: Differences,
    flows: list[Row],
    expected: dict[str, Any],
    frames: list[dict[str, str]],
) -> None:
    """Compare flows by (version, protocol, two ends), without ports where tainted."""
    innermost = [f for f in expected["flows"] if f["layer"] == "innermost"]
    tainted = {
        (flow["ver"], flow["proto"], flow["a"], flow["b"])
        for flow in innermost
        if flow["tainted"]
    }
    wanted: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for flow in innermost:
        if flow["skipped"]:
            continue
        a, b = (flow["a"], flow["aport"]), (flow["b"], flow["bport"])
        key = _flow_key(flow["ver"], flow["proto"], a, b, tainted)[0]
        _add(wanted[key], flow["packets"], flow["packets_ab"], flow["wire_bytes"])
        _stretch(wanted[key], flow["first_ns"], flow["last_ns"])
    got: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for flow in flows:
        a = (flow["originator_ip"], flow["originator_port"] or 0)
        b = (flow["responder_ip"], flow["responder_port"] or 0)
        version = ipaddress.ip_address(a[0]).version
        key, flipped = _flow_key(version, number(flow["protocol"]), a, b, tainted)
        sent, answered = flow["originator_packets"], flow["responder_packets"]
        from_a = sent + answered if a == b else answered if flipped else sent
        _add(got[key], sent + answered, from_a, flow["wire_bytes"])
        _stretch(got[key], flow["start_time"], flow["end_time"])
    skipped = sum(frame["skip"] == "True" for frame in frames)
    for key in wanted.keys() | got.keys():
        if skipped and key not in wanted:
            continue
        found.compare(f"flow {key}", dict(got[key]), dict(wanted[key]))
    if not tainted and not skipped:
        found.compare("flows", len(got), expected["flows_innermost"])


def _compare_outer_pairs(
    found: Differences,
    packets: list[Row],
    expected: dict[str, Any],
    frames: list[dict[str, str]],
) -> None:
    """Compare who spoke to whom in the outermost IP headers.

    The packets table has no outer ports, so ports and protocols fall together.
    """
    wanted: Counter[frozenset[str]] = Counter()
    for flow in expected["flows"]:
        if flow["layer"] == "outer":
            wanted[frozenset((flow["a"], flow["b"]))] += flow["packets"]
    got: Counter[frozenset[str]] = Counter()
    for packet, frame in zip(packets, frames, strict=False):
        src = packet["outer_src"] or packet["src_ip"]
        dst = packet["outer_dst"] or packet["dst_ip"]
        if src is not None and frame["skip"] == "False":
            got[frozenset((src, dst))] += 1
    found.compare("outer pairs", got, wanted)


def _flow_key(
    version: int,
    protocol: int,
    a: tuple[str, int],
    b: tuple[str, int],
    tainted: set[tuple[Any, ...]],
) -> tuple[tuple[Any, ...], bool]:
    """Give the flow's key, and whether its ends had to change places."""
    flipped = _place(a) > _place(b)
    if flipped:
        a, b = b, a
    if (version, protocol, a[0], b[0]) in tainted:
        return (version, protocol, a[0], b[0]), flipped
    return (version, protocol, a, b), flipped


def _place(end: tuple[str, int]) -> tuple[bytes, int]:
    return ipaddress.ip_address(end[0]).packed, end[1]


def _add(counts: Counter[str], packets: int, from_a: int, wire_bytes: int) -> None:
    counts["packets"] += packets
    counts["packets_ab"] += from_a
    counts["wire_bytes"] += wire_bytes


def _stretch(counts: Counter[str], first: int | None, last: int | None) -> None:
    if first is None or last is None:
        return
    counts["first"] = min(counts.get("first", first), first)
    counts["last"] = max(counts.get("last", last), last)


def number(protocol: str) -> int:
    """Give a protocol's number."""
    return NUMBERS.get(protocol) or int(protocol)


def _integer(text: str) -> int | None:
    return int(text) if text else None


def main(folder: Path) -> int:
    """Check every capture of a folder, print what differs."""
    failed = 0
    for name in expectations(folder):
        found = differences(folder, name)
        if found.lines:
            failed += 1
            print(f"{name}\n{found}\n")  # noqa: T201 - this is the command's answer
    total = len(expectations(folder))
    print(f"{total - failed} of {total} captures as expected")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
