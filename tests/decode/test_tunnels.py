"""VXLAN, Geneve, GRE and IP in IP, alone and in each other."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, Dot1Q
from scapy.layers.vxlan import VXLAN

from captures.lab import (
    CLIENT,
    CLIENT_6,
    NODE_A,
    NODE_A_6,
    NODE_B,
    POD_A,
    POD_B,
    ethernet,
    frame,
    in_vxlan,
)
from tests.frames import decode_one, picked

vnis = st.integers(0, 2**24 - 1)
INNERMOST = IP(src=POD_A, dst=POD_B) / TCP(sport=40_000, dport=80, seq=7, flags="S")


def outer(depth: int, version: int = 4):
    """Give the IP header of a tunnel, told apart by its depth."""
    if version == 4:
        return IP(src=f"198.51.100.{depth}", dst=f"203.0.113.{depth}")
    return IPv6(src=f"2001:db8:100::{depth}", dst=f"2001:db8:200::{depth}")


def vxlan(inner, header, vni):
    return header / UDP(sport=50_000, dport=4789) / VXLAN(vni=vni) / ethernet() / inner


def geneve(inner, header, vni):
    option = GeneveOptions(classid=0x102, type=1, data=b"\0" * 8)
    carrier = header / UDP(sport=50_000, dport=6081)
    return carrier / GENEVE(vni=vni, options=[option]) / ethernet() / inner


def gre(inner, header, _vni):
    proto = 0x0800 if inner.version == 4 else 0x86DD
    return header / GRE(proto=proto, key_present=1, key=5) / inner


def ip_in_ip(inner, header, _vni):
    return header / inner


TUNNELS = {"vxlan": vxlan, "geneve": geneve, "gre": gre, "ipip": ip_in_ip}


@given(vni=vnis, version=st.sampled_from([4, 6]))
@pytest.mark.parametrize("name", TUNNELS)
def test_a_tunnel_is_named_and_its_inside_read(name, vni, version):
    row = decode_one(ethernet() / TUNNELS[name](INNERMOST, outer(1, version), vni))
    header = outer(1, version)
    expected = {
        "tunnel": name,
        "tunnel_depth": 1,
        "vni": vni if name in ("vxlan", "geneve") else None,
        "outer_src": header.src,
        "outer_dst": header.dst,
        "src_ip": POD_A,
        "dst_ip": POD_B,
        "src_port": 40_000,
        "dst_port": 80,
        "seq": 7,
        "ip_version": 4,
        "stop_reason": None,
    }
    assert picked(row, expected) == expected


@given(
    stack=st.lists(
        st.tuples(st.sampled_from(sorted(TUNNELS)), st.sampled_from([4, 6]), vnis),
        min_size=2,
        max_size=4,
    )
)
def test_in_a_stack_the_outermost_addresses_and_the_innermost_vni_count(stack):
    def wrap(inner, layer):
        depth, (name, version, vni) = layer
        return TUNNELS[name](inner, outer(depth, version), vni)

    layers = list(enumerate(stack, start=1))
    row = decode_one(ethernet() / reduce(wrap, reversed(layers), INNERMOST))
    networks = [vni for name, _, vni in stack if name in ("vxlan", "geneve")]
    expected = {
        "tunnel": stack[-1][0],
        "tunnel_depth": len(stack),
        "vni": networks[-1] if networks else None,
        "outer_src": outer(1, stack[0][1]).src,
        "outer_dst": outer(1, stack[0][1]).dst,
        "src_ip": POD_A,
        "dst_port": 80,
    }
    assert picked(row, expected) == expected


def test_an_endless_stack_of_tunnels_stops_and_says_so():
    packet = INNERMOST
    for _ in range(200):
        packet = IP(src=NODE_A, dst=NODE_B) / packet
    row = decode_one(ethernet() / packet)
    assert row["stop_reason"] == "unsupported"
    assert row["outer_src"] == NODE_A


@given(vni=vnis)
def test_ports_that_are_named_carry_vxlan_too(vni):
    packet = in_vxlan(ethernet() / INNERMOST, vni=vni, port=8472)
    assert decode_one(packet)["tunnel"] is None
    row = decode_one(packet, vxlan_ports=[8472])
    assert (row["tunnel"], row["vni"], row["src_ip"]) == ("vxlan", vni, POD_A)


def test_naming_a_port_keeps_the_assigned_one():
    packet = in_vxlan(ethernet() / INNERMOST)
    assert decode_one(packet, vxlan_ports=[8472])["tunnel"] == "vxlan"


def test_a_reply_from_the_vxlan_port_is_no_vxlan():
    udp = ethernet() / IP(src=NODE_A, dst=NODE_B) / UDP(sport=4789, dport=50_000)
    row = decode_one(udp / b"\x08\0\0\0\0\0\x01\0 not an Ethernet frame at all")
    assert (row["tunnel"], row["src_port"]) == (None, 4789)


def test_vxlan_without_its_flag_is_malformed():
    octets = bytearray(bytes(in_vxlan(ethernet() / INNERMOST)))
    octets[42] = 0
    row = decode_one(bytes(octets))
    assert (row["stop_reason"], row["stop_layer"]) == ("malformed", "vxlan")
    assert (row["src_ip"], row["dst_port"]) == (NODE_A, 4789)


def test_arp_inside_keeps_the_outer_datagram_and_the_vni():
    row = decode_one(in_vxlan(ethernet() / ARP(psrc=POD_A, pdst=POD_B), vni=42))
    expected = {
        "tunnel": "vxlan",
        "vni": 42,
        "tunnel_depth": 1,
        "ethertype": 0x0806,
        "protocol": "udp",
        "src_ip": NODE_A,
        "dst_ip": NODE_B,
        "stop_reason": None,
    }
    assert picked(row, expected) == expected


@pytest.mark.parametrize(
    "header",
    [
        GRE(proto=0x0800),
        GRE(proto=0x0800, chksum_present=1),
        GRE(proto=0x0800, key_present=1, key=7),
        GRE(proto=0x0800, seqnum_present=1, sequence_number=7),
        GRE(
            proto=0x0800,
            chksum_present=1,
            key_present=1,
            key=7,
            seqnum_present=1,
            sequence_number=7,
        ),
    ],
    ids=["bare", "checksum", "key", "sequence", "all"],
)
def test_gre_optional_fields_are_passed_over(header):
    row = decode_one(ethernet() / IP(src=NODE_A, dst=NODE_B) / header / INNERMOST)
    assert (row["tunnel"], row["src_ip"], row["src_port"]) == ("gre", POD_A, 40_000)


def test_gre_carries_ethernet_too():
    bridged = GRE(proto=0x6558) / ethernet() / INNERMOST
    row = decode_one(ethernet() / IP(src=NODE_A, dst=NODE_B) / bridged)
    assert (row["tunnel"], row["tunnel_depth"], row["src_ip"]) == ("gre", 1, POD_A)


@pytest.mark.parametrize(
    ("outside", "inside"),
    [(o, i) for o in (NODE_A, NODE_A_6) for i in (CLIENT, CLIENT_6)],
)
def test_ip_in_ip_works_for_all_four_pairs(outside, inside):
    def header(address):
        kind = IPv6 if ":" in address else IP
        return kind(src=address, dst=address)

    row = decode_one(ethernet() / header(outside) / header(inside) / UDP(sport=5))
    assert (row["tunnel"], row["vni"]) == ("ipip", None)
    assert (row["outer_src"], row["src_ip"], row["src_port"]) == (outside, inside, 5)


def test_the_vlan_is_the_outermost_frame_s():
    inner = ethernet() / Dot1Q(vlan=40) / INNERMOST
    carried = in_vxlan(inner)
    tagged = ethernet() / Dot1Q(vlan=10) / carried["IP"]
    assert decode_one(tagged)["vlan"] == 10


def test_an_error_about_a_tunnelled_packet_is_not_tunnelled_itself():
    quoted = bytes(in_vxlan(ethernet() / INNERMOST)["IP"])
    error = ethernet() / IP(src=NODE_B, dst=NODE_A) / ICMP(type=3, code=3) / quoted
    row = decode_one(error)
    assert (row["protocol"], row["tunnel"], row["outer_src"]) == ("icmp", None, None)


def test_96_octets_of_vxlan_hold_ports_and_numbers_but_no_flags():
    segment = INNERMOST.copy()
    segment[TCP].ack = 99
    whole = bytes(in_vxlan(ethernet() / segment / b"payload"))
    row = decode_one(frame(whole).cut(96))
    expected = {
        "src_ip": POD_A,
        "src_port": 40_000,
        "dst_port": 80,
        "seq": 7,
        "ack": 99,
        "tcp_flags": None,
        "window": None,
        "payload_length": None,
        "stop_reason": "truncated",
        "stop_layer": "tcp",
        "captured_length": 96,
        "wire_length": len(whole),
    }
    assert picked(row, expected) == expected
