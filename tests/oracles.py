"""Decoders that share no code with ours, answering in the columns of our tables.

tshark and dpkt read whole captures, scapy reads single frames; Zeek's connection state
and the rule for repeated octets are written down here once more, in plain Python.
"""

from __future__ import annotations

import ipaddress
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from captures.files import (
    ETHERNET,
    IPV4,
    IPV6,
    LINUX_SLL,
    LINUX_SLL2,
    NULL,
)
from tests.frames import require_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Row = dict[str, Any]

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6", 132: "sctp"}
_VXLAN_PORTS = {4789, 8472}
_ERRORS_END_THE_STACK = ("icmp", "icmpv6")


def protocol_name(number: int) -> str:
    """Give the name that our tables use for an IP protocol."""
    return _NAMES.get(number, str(number))


# tshark

_FIELDS = (
    "frame.number",
    "frame.time_epoch",
    "frame.cap_len",
    "frame.len",
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ip.proto",
    "ip.ttl",
    "ip.id",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.hlim",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.window_size_value",
    "tcp.len",
    "udp.srcport",
    "udp.dstport",
    "vxlan.vni",
    "geneve.vni",
    "tcp.analysis.initial_rtt",
)
_PREFERENCES = (
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
    "tcp.desegment_tcp_streams:FALSE",
)


@cache
def tshark_rows(path: Path) -> list[Row]:
    """Read a capture with tshark, one row a frame."""
    command = [require_program("tshark"), "-n", "-r", str(path), "-T", "fields"]
    command += ["-E", "occurrence=a", "-E", "separator=/t", "-E", "aggregator=,"]
    for field in _FIELDS:
        command += ["-e", field]
    for preference in _PREFERENCES:
        command += ["-o", preference]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [_tshark_row(line) for line in output.splitlines()]


def _tshark_row(line: str) -> Row:
    field = dict(zip(_FIELDS, line.split("\t"), strict=True))
    layers = field["frame.protocols"].split(":")
    for kind in _ERRORS_END_THE_STACK:  # what an error quotes is no layer
        if kind in layers:
            layers = layers[: layers.index(kind) + 1]
    counts = {layer: layers.count(layer) for layer in layers}

    def last(name: str, layer: str) -> str | None:
        values = field[name].split(",")
        return values[counts[layer] - 1] if layer in counts else None

    seconds, _, fraction = field["frame.time_epoch"].partition(".")
    row: Row = {
        "frame": int(field["frame.number"]),
        "time": int(seconds) * 10**9 + int(fraction.ljust(9, "0")),
        "captured_length": int(field["frame.cap_len"]),
        "wire_length": int(field["frame.len"]),
        "vni": None,
    }
    networks = [layer for layer in layers if layer in ("ip", "ipv6")]
    if networks:
        inner = networks[-1]
        row["src_ip"] = last(f"{inner}.src", inner)
        row["dst_ip"] = last(f"{inner}.dst", inner)
        row["ttl"] = _number(last("ip.ttl" if inner == "ip" else "ipv6.hlim", inner))
        row["ip_id"] = _number(last("ip.id", "ip")) if inner == "ip" else None
        if inner == "ip":
            row["protocol"] = protocol_name(_number(last("ip.proto", "ip")))
    outer = networks[0] if len(networks) > 1 else None
    row["outer_src"] = field[f"{outer}.src"].split(",")[0] if outer else None
    row["outer_dst"] = field[f"{outer}.dst"].split(",")[0] if outer else None
    for tunnel in ("vxlan", "geneve"):
        if tunnel in counts:
            row["vni"] = _number(last(f"{tunnel}.vni", tunnel))
    transport = layers[layers.index(networks[-1]) + 1 :] if networks else []
    if "tcp" in transport:
        row |= {
            "src_port": _number(last("tcp.srcport", "tcp")),
            "dst_port": _number(last("tcp.dstport", "tcp")),
            "seq": _number(last("tcp.seq_raw", "tcp")),
            "ack": _number(last("tcp.ack_raw", "tcp")),
            "tcp_flags": _number(last("tcp.flags", "tcp")),
            "window": _number(last("tcp.window_size_value", "tcp")),
            "payload_length": _number(last("tcp.len", "tcp")),
        }
        rtt = field["tcp.analysis.initial_rtt"].split(",")[0]
        row["_initial_rtt"] = round(float(rtt) * 10**9) if rtt else None
    elif "udp" in transport:
        row["src_port"] = _number(last("udp.srcport", "udp"))
        row["dst_port"] = _number(last("udp.dstport", "udp"))
    return row


def _number(text: str | None) -> int | None:
    return int(text, 0) if text else None


# dpkt


def dpkt_rows(path: Path) -> Iterator[Row]:
    """Read a capture with dpkt: addresses, ports and TCP's numbers, innermost."""
    import dpkt

    links = {
        ETHERNET: dpkt.ethernet.Ethernet,
        LINUX_SLL: dpkt.sll.SLL,
        LINUX_SLL2: dpkt.sll2.SLL2,
    }
    with path.open("rb") as file:
        reader = dpkt.pcap.UniversalReader(file)
        link = links[reader.datalink()]
        for _, octets in reader:
            yield _dpkt_row(link(octets).data)


def _dpkt_row(packet: Any) -> Row:
    import dpkt
    from dpkt.utils import inet_to_str

    row: Row = {}
    while isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6):
        if "src_ip" in row:
            row.setdefault("outer_src", row["src_ip"])
            row.setdefault("outer_dst", row["dst_ip"])
        row["src_ip"], row["dst_ip"] = inet_to_str(packet.src), inet_to_str(packet.dst)
        is_v4 = isinstance(packet, dpkt.ip.IP)
        row["ttl"] = packet.ttl if is_v4 else packet.hlim
        row["protocol"] = protocol_name(packet.p)
        transport = packet.data
        packet = None
        if isinstance(transport, dpkt.tcp.TCP | dpkt.udp.UDP):
            row["src_port"], row["dst_port"] = transport.sport, transport.dport
        if isinstance(transport, dpkt.tcp.TCP):
            row |= {
                "seq": transport.seq,
                "ack": transport.ack,
                "tcp_flags": transport.flags & 0xFF,
                "window": transport.win,
            }
        elif isinstance(transport, dpkt.udp.UDP) and transport.dport in _VXLAN_PORTS:
            packet = dpkt.ethernet.Ethernet(transport.data[8:]).data
    return row


# scapy


def scapy_row(octets: bytes, link_type: int = ETHERNET) -> Row:
    """Dissect one frame with scapy, down to the innermost IP header."""
    from scapy.contrib.geneve import GENEVE
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, _IPv6ExtHdr
    from scapy.layers.ipsec import AH
    from scapy.layers.l2 import (
        GRE,
        CookedLinux,
        CookedLinuxV2,
        Dot1AD,
        Dot1Q,
        Ether,
    )
    from scapy.layers.sctp import SCTP
    from scapy.layers.vxlan import VXLAN

    links = {
        ETHERNET: Ether,
        LINUX_SLL: CookedLinux,
        LINUX_SLL2: CookedLinuxV2,
        IPV4: IP,
        IPV6: IPv6,
    }
    by_version = {4: IP, 6: IPv6}
    if link_type == NULL:  # scapy knows the address families of its own system only
        octets = octets[4:]
    link = links.get(link_type) or by_version[octets[0] >> 4]
    tunnels = {VXLAN: "vxlan", GENEVE: "geneve", GRE: "gre"}
    row: Row = {"tunnel": None, "vni": None, "tunnel_depth": 0, "vlan": None}
    carrier, layer = None, link(octets)
    while layer:
        kind = type(layer)
        if isinstance(layer, Dot1Q | Dot1AD):
            row["vlan"] = layer.vlan if row["vlan"] is None else row["vlan"]
        elif kind in tunnels:
            row |= {"tunnel": tunnels[kind], "tunnel_depth": row["tunnel_depth"] + 1}
            row["vni"] = getattr(layer, "vni", row["vni"])
        elif kind in (IP, IPv6):
            if isinstance(carrier, IP | IPv6 | _IPv6ExtHdr):
                row |= {"tunnel": "ipip", "tunnel_depth": row["tunnel_depth"] + 1}
            _note_network(row, layer)
        elif isinstance(layer, _IPv6ExtHdr | IPv6ExtHdrFragment | AH):
            row["protocol"] = protocol_name(layer.nh)
        elif kind in (TCP, UDP, SCTP):
            row |= {"src_port": layer.sport, "dst_port": layer.dport}
            if kind is TCP:
                row |= {
                    "seq": layer.seq,
                    "ack": layer.ack,
                    "tcp_flags": int(layer.flags) & 0xFF,
                    "window": layer.window,
                }
        elif kind is ICMP or row.get("protocol") == "icmp6":
            break  # what an error quotes is no layer
        carrier, layer = layer, layer.payload
    return row


def _note_network(row: Row, header: Any) -> None:
    if "src_ip" in row:
        row.setdefault("outer_src", row["src_ip"])
        row.setdefault("outer_dst", row["dst_ip"])
        for name in ("src_port", "dst_port"):
            row.pop(name, None)
    row["ip_version"] = header.version
    row["src_ip"], row["dst_ip"] = canonical(header.src), canonical(header.dst)
    if header.version == 4:
        row |= {"ttl": header.ttl, "ip_id": header.id}
        row["protocol"] = protocol_name(header.proto)
    else:
        row |= {"ttl": header.hlim, "ip_id": None}
        row["protocol"] = protocol_name(header.nh)


# Zeek


class Segment(NamedTuple):
    """What a TCP state machine needs to know of a segment."""

    from_originator: bool
    flags: int
    payload_length: int = 0


def zeek_conn_state(segments: Iterable[Segment]) -> str:
    """Give Zeek's conn_state of a conversation.

    The state machine of Zeek's TCPSessionAdapter.cc, and conn_state() of its script
    base/protocols/conn/main.zeek, as far as one conversation needs them.
    """
    now = {True: "inactive", False: "inactive"}
    before = dict(now)

    def become(side: bool, state: str) -> None:
        before[side], now[side] = now[side], state

    for side, flags, length in segments:
        syn, ack, fin, rst = (bool(flags & bit) for bit in (SYN, ACK, FIN, RST))
        peer = not side
        if now[side] == "inactive":
            if syn and side:
                become(side, "syn-ack sent" if ack else "syn sent")
            elif syn:
                if now[peer] == "syn sent":
                    become(peer, "established")
                become(side, "established")
            if fin:
                become(side, "closed")
            if rst:
                become(side, "reset")
            early_ack = not side and not length and now[peer] == "syn sent"
            if now[side] == "inactive" and not early_ack:
                missed_syn = ack and now[peer] == "established"
                become(side, "established" if missed_syn else "partial")
        elif now[side] in ("syn sent", "syn-ack sent"):
            if fin:
                become(side, "closed")
            if rst:
                become(side, "reset")
        elif now[side] in ("established", "partial"):
            if fin and not rst:
                become(side, "closed")
                if now[peer] == "reset" and before[peer] == "closed":
                    become(peer, "closed")
            if rst:
                become(side, "reset")
        elif now[side] == "closed" and rst and now[peer] != "closed":
            become(side, "reset")
    return _name_of(now[True], now[False])


def _name_of(originator: str, responder: str) -> str:
    originator_idle = originator in ("inactive", "partial")
    responder_idle = responder in ("inactive", "partial")
    if responder == "reset":
        if originator in ("syn sent", "syn-ack sent"):
            return "REJ"
        return "RSTRH" if originator_idle else "RSTR"
    if originator == "reset":
        return "RSTOS0" if responder_idle else "RSTO"
    if originator == "closed" and responder == "closed":
        return "SF"
    if originator == "closed":
        return "SH" if responder_idle else "S2"
    if responder == "closed":
        return "SHR" if originator_idle else "S3"
    if originator == "syn sent" and responder == "inactive":
        return "S0"
    if originator == responder == "established":
        return "S1"
    return "OTH"


def repeated_segments(
    segments: Iterable[tuple[int, int]], *, partly: bool = False
) -> int:
    """Count the segments, as (seq, payload octets), all of whose octets came before.

    ``partly`` counts those, too, of which some octets came before.

    One octet just before the highest sequence number is a keep-alive probe (RFC 9293,
    section 3.8.4), not a repetition.
    """
    seen: set[int] = set()
    highest = None
    repeated = 0
    for seq, length in segments:
        if not length:
            continue
        octets = range(seq, seq + length)
        probe = length == 1 and highest is not None and seq == highest - 1
        known = [octet in seen for octet in octets]
        if not probe and (any(known) if partly else all(known)):
            repeated += 1
        seen.update(octets)
        highest = max(highest or 0, seq + length)
    return repeated


def canonical(address: str) -> str:
    """Give an address in the one form that our tables use."""
    return str(ipaddress.ip_address(address))
