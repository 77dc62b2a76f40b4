"""Ethernet: EtherType, VLAN tags, and what is no IP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, LLC, SNAP, Dot1AD, Dot1Q, Dot3

from captures.lab import CLIENT, NODE_A, ethernet
from tests.frames import decode, decode_one

PACKET = IP(src=CLIENT, dst=NODE_A) / UDP(sport=1, dport=2)
vlan_ids = st.integers(0, 4095)


@given(vlan=vlan_ids, priority=st.integers(0, 7), dei=st.integers(0, 1))
def test_a_tag_gives_its_vlan_id_without_priority(vlan, priority, dei):
    row = decode_one(ethernet() / Dot1Q(vlan=vlan, prio=priority, dei=dei) / PACKET)
    assert (row["vlan"], row["src_ip"], row["src_port"]) == (vlan, CLIENT, 1)


@given(outer=vlan_ids, inner=vlan_ids)
def test_of_two_tags_the_outermost_counts(outer, inner):
    provider = ethernet() / Dot1AD(vlan=outer) / Dot1Q(vlan=inner) / PACKET
    customer = ethernet() / Dot1Q(vlan=outer) / Dot1Q(vlan=inner) / PACKET
    for row in decode([provider, customer]):
        assert (row["vlan"], row["dst_ip"], row["dst_port"]) == (outer, NODE_A, 2)


def test_a_frame_without_a_tag_has_no_vlan():
    assert decode_one(ethernet() / PACKET)["vlan"] is None


@pytest.mark.parametrize("tags", [3, 4])
def test_more_tags_than_two_are_passed_over(tags):
    frame = ethernet()
    for tag in range(tags):
        frame = frame / Dot1Q(vlan=tag + 1)
    row = decode_one(frame / PACKET)
    assert (row["vlan"], row["src_ip"]) == (1, CLIENT)


def test_endless_tags_stop_decoding_and_say_so():
    row = decode_one(bytes(ethernet(type=0x8100))[:12] + b"\x81\x00\x00\x01" * 200)
    assert row["stop_reason"] is not None
    assert row["src_ip"] is None


def test_arp_is_a_row_without_ip_columns():
    row = decode_one(ethernet() / ARP(psrc=CLIENT, pdst=NODE_A))
    assert row["ethertype"] == 0x0806
    assert row["stop_reason"] is None
    silent = ("ip_version", "protocol", "src_ip", "dst_ip", "src_port", "ttl", "ip_id")
    assert [row[name] for name in silent] == [None] * len(silent)


def test_ethertype_is_that_of_the_innermost_header():
    assert decode_one(ethernet() / Dot1Q(vlan=5) / PACKET)["ethertype"] == 0x0800


def test_an_802_3_length_is_no_ethertype():
    spanning_tree = Dot3(dst="01:80:c2:00:00:00", src="02:00:00:00:00:01") / LLC()
    row = decode_one(spanning_tree / (b"\0" * 35))
    assert row["ip_version"] is None
    assert row["ethertype"] is None


def test_a_snap_frame_is_counted_and_nothing_is_guessed():
    snap = Dot3(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / LLC() / SNAP()
    row = decode_one(snap / (b"\0" * 40))
    assert row["frame"] == 1
    assert row["ip_version"] is None


def test_an_unknown_ethertype_is_kept():
    row = decode_one(ethernet(type=0x88CC) / b"lldp")
    assert (row["ethertype"], row["ip_version"]) == (0x88CC, None)
