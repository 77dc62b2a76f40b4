"""The headers of every kind of frame, as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.traffic.plan import ICMP, IPV6, TCP, UDP, VLAN, VXLAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

VNI = 4096
MSS_OPTION = 1410  # a pod's MTU of 1450 without IP and TCP headers
IPV6_NETWORK = 0xFD00_0010_0001_0000  # the upper half of every IPv6 address

# A layout's number: what carries the frame, times this, plus what it speaks.
LAYOUTS_PER_KIND = 4
SYN_LAYOUT = 3  # TCP again, with the options of a SYN
ARP_LAYOUT = 4 * LAYOUTS_PER_KIND

Fields = list[tuple[str, str]]

PCAP_RECORD: Fields = [
    ("seconds", "<u4"),
    ("microseconds", "<u4"),
    ("captured_length", "<u4"),
    ("wire_length", "<u4"),
]
PCAPNG_RECORD: Fields = [
    ("block_type", "<u4"),
    ("block_length", "<u4"),
    ("interface", "<u4"),
    ("time_high", "<u4"),
    ("time_low", "<u4"),
    ("captured_length", "<u4"),
    ("wire_length", "<u4"),
]
ETHERNET: Fields = [("mac_dst", "V6"), ("mac_src", "V6"), ("ethertype", ">u2")]
TAG: Fields = [("vlan", ">u2"), ("tagged_ethertype", ">u2")]
IPV4_HEADER: Fields = [
    ("version", "u1"),
    ("tos", "u1"),
    ("length", ">u2"),
    ("id", ">u2"),
    ("fragment", ">u2"),
    ("ttl", "u1"),
    ("protocol", "u1"),
    ("checksum", ">u2"),
    ("src", ">u4"),
    ("dst", ">u4"),
]
IPV6_HEADER: Fields = [
    ("version", ">u4"),
    ("length", ">u2"),
    ("protocol", "u1"),
    ("ttl", "u1"),
    ("src_network", ">u8"),
    ("src", ">u8"),
    ("dst_network", ">u8"),
    ("dst", ">u8"),
]
PORTS: Fields = [("sport", ">u2"), ("dport", ">u2")]
UDP_HEADER: Fields = [*PORTS, ("udp_length", ">u2"), ("udp_checksum", ">u2")]
VXLAN_HEADER: Fields = [("vxlan_flags", ">u4"), ("vni", ">u4")]
TCP_HEADER: Fields = [
    *PORTS,
    ("seq", ">u4"),
    ("ack", ">u4"),
    ("data_offset", "u1"),
    ("flags", "u1"),
    ("window", ">u2"),
    ("tcp_checksum", ">u2"),
    ("urgent", ">u2"),
]
TIMESTAMPS: Fields = [("timestamps", ">u2"), ("tsval", ">u4"), ("tsecr", ">u4")]
OPTIONS: Fields = [("padding", ">u2"), *TIMESTAMPS]
SYN_OPTIONS: Fields = [
    ("mss", ">u4"),
    ("sack_permitted", ">u2"),
    *TIMESTAMPS,
    ("window_scale", ">u4"),
]
ICMP_HEADER: Fields = [
    ("icmp_type", "u1"),
    ("icmp_code", "u1"),
    ("icmp_checksum", ">u2"),
    ("icmp_id", ">u2"),
    ("icmp_sequence", ">u2"),
]
ARP_PAYLOAD: Fields = [
    ("arp", "V8"),
    ("sender_mac", "V6"),
    ("sender", ">u4"),
    ("target_mac", "V6"),
    ("target", ">u4"),
    ("arp_padding", "V18"),  # to Ethernet's least length
]

# What never changes in a header. Transport checksums stay zero, as hosts that leave
# them to the network card are seen to send them.
CONSTANTS: dict[str, int | bytes] = {
    "block_type": 6,
    "fragment": 0x4000,  # don't fragment
    "ttl": 64,
    "src_network": IPV6_NETWORK,
    "dst_network": IPV6_NETWORK,
    "vxlan_flags": 0x08000000,
    "vni": VNI << 8,
    "timestamps": 0x080A,
    "padding": 0x0101,
    "mss": 0x02040000 | MSS_OPTION,
    "sack_permitted": 0x0402,
    "window_scale": 0x01030307,
    "arp": bytes.fromhex("0001080006040001"),
}
OUTER = "outer_"


def _prefixed(fields: Fields) -> Fields:
    return [(OUTER + name, kind) for name, kind in fields]


class Layout:
    """The headers of one kind of frame, as a record with its constants filled in."""

    def __init__(self, record: Fields, kind: int, transport: int) -> None:
        headers: Fields = []
        values: dict[str, int] = {}
        if kind == VXLAN:
            headers += _prefixed(ETHERNET + IPV4_HEADER + UDP_HEADER) + VXLAN_HEADER
            values |= {
                "outer_ethertype": 0x0800,
                "outer_version": 0x45,
                "outer_protocol": 17,
                "outer_dport": 4789,
            }
        headers += ETHERNET
        if kind == VLAN:
            headers += TAG
            values |= {"ethertype": 0x8100, "tagged_ethertype": 0x0800}
        elif kind == IPV6:
            values |= {"ethertype": 0x86DD}
        else:
            values |= {"ethertype": 0x0800}
        headers += IPV6_HEADER if kind == IPV6 else IPV4_HEADER
        values |= {"version": 0x60000000 if kind == IPV6 else 0x45}
        headers += {
            TCP: TCP_HEADER + OPTIONS,
            SYN_LAYOUT: TCP_HEADER + SYN_OPTIONS,
            UDP: UDP_HEADER,
            ICMP: ICMP_HEADER,
        }[transport]
        icmp = 58 if kind == IPV6 else 1
        values |= {
            TCP: {"protocol": 6, "data_offset": 0x80},
            SYN_LAYOUT: {"protocol": 6, "data_offset": 0xA0},
            UDP: {"protocol": 17},
            ICMP: {"protocol": icmp},
        }[transport]
        self._finish(record, headers, values)

    def _finish(self, record: Fields, headers: Fields, values: dict[str, int]) -> None:
        self.dtype = np.dtype(record + headers)
        self.template = np.zeros((), self.dtype)
        for name in self.dtype.names or ():
            constant = values.get(name, CONSTANTS.get(name.removeprefix(OUTER)))
            if constant is not None:
                self.template[name] = constant
        self.length = np.dtype(headers).itemsize

    def rows(self, count: int) -> Array:
        """Give ``count`` records to be completed."""
        rows = np.empty(count, self.dtype)
        rows[:] = self.template
        return rows

    def after(self, name: str) -> int:
        """Count the octets of the frame from field ``name`` on."""
        assert self.dtype.fields is not None
        return self.dtype.itemsize - self.dtype.fields[name][1]


class ArpLayout(Layout):
    """An ARP request in a frame of Ethernet's least length."""

    def __init__(self, record: Fields) -> None:
        self._finish(record, ETHERNET + ARP_PAYLOAD, {"ethertype": 0x0806})
