"""IPv4 and IPv6: addresses, options, extension headers, fragments."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)

from captures.files import pcap
from captures.lab import CLIENT, CLIENT_6, NODE_A, NODE_A_6, ethernet, frame
from captures.tcp import super_frames
from tests.frames import decode, decode_one, packet_rows, picked

addresses = st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n)))
# Addresses that embed an IPv4 address (::/80) are written in either of two ways.
addresses6 = st.integers(2**48, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n)))
octets = st.integers(0, 255)
DATAGRAM = UDP(sport=1, dport=2) / b"payload"


@given(
    src=addresses,
    dst=addresses,
    ttl=octets,
    number=st.integers(0, 65_535),
    words=st.integers(0, 10),
)
def test_ipv4_fields_are_those_that_scapy_wrote(src, dst, ttl, number, words):
    options = [IPOption(b"\x01" * 4)] * words
    header = IP(src=src, dst=dst, ttl=ttl, id=number, options=options)
    row = decode_one(ethernet() / header / DATAGRAM)
    expected = {
        "ip_version": 4,
        "src_ip": src,
        "dst_ip": dst,
        "ttl": ttl,
        "ip_id": number,
        "protocol": "udp",
        "src_port": 1,
        "dst_port": 2,
        "payload_length": 7,
        "is_fragment": False,
        "stop_reason": None,
    }
    assert picked(row, expected) == expected


@given(src=addresses6, dst=addresses6, hop_limit=octets)
def test_ipv6_addresses_are_in_canonical_text(src, dst, hop_limit):
    header = IPv6(src=src, dst=dst, hlim=hop_limit)
    row = decode_one(ethernet() / header / DATAGRAM)
    expected = {
        "ip_version": 6,
        "src_ip": src,
        "dst_ip": dst,
        "ttl": hop_limit,
        "ip_id": None,
        "payload_length": 7,
    }
    assert picked(row, expected) == expected


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),  # the first of two equal runs
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),  # one field is no run
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),  # the longest run
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("64:ff9b::c000:201", "64:ff9b::c000:201"),
        ("::1", "::1"),
        ("::", "::"),
        ("1::", "1::"),
        ("2001:DB8::ABCD", "2001:db8::abcd"),
    ],
)
def test_ipv6_text_follows_rfc_5952(written, canonical):
    row = decode_one(ethernet() / IPv6(src=written, dst="::1") / DATAGRAM)
    assert row["src_ip"] == canonical


extension = st.sampled_from(
    [
        IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]),
        IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 20)]),
        IPv6ExtHdrRouting(addresses=["2001:db8::1", "2001:db8::2"]),
        IPv6ExtHdrFragment(id=1),
    ]
)


@given(chain=st.lists(extension, max_size=5))
def test_extension_headers_are_passed_over(chain):
    packet = ethernet() / IPv6(src=CLIENT_6, dst=NODE_A_6)
    for header in chain:
        packet = packet / header.copy()
    row = decode_one(packet / DATAGRAM)
    assert (row["protocol"], row["src_port"], row["dst_port"]) == ("udp", 1, 2)
    assert row["payload_length"] == 7
    assert row["is_fragment"] is False


def test_an_endless_chain_of_extension_headers_stops_decoding_and_says_so():
    chain = b"\x3c\x00\x01\x04\x00\x00\x00\x00" * 500
    row = decode_one(ethernet() / IPv6(src=CLIENT_6, dst=NODE_A_6, nh=60) / chain)
    assert row["stop_reason"] is not None
    assert row["src_ip"] == CLIENT_6


def test_no_next_header_is_the_end():
    row = decode_one(ethernet() / IPv6(src=CLIENT_6, dst=NODE_A_6, nh=59))
    assert (row["protocol"], row["src_port"]) == ("59", None)


@given(offset=st.integers(0, 2**13 - 1), more=st.booleans())
def test_only_the_first_fragment_has_ports(offset, more):
    flags = "MF" if more else 0
    header = IP(src=CLIENT, dst=NODE_A, proto=17, frag=offset, flags=flags)
    row = decode_one(ethernet() / header / bytes(DATAGRAM))
    assert row["is_fragment"] is bool(offset or more)
    assert row["src_port"] == (None if offset else 1)
    assert (row["protocol"], row["src_ip"]) == ("udp", CLIENT)


@given(offset=st.integers(0, 2**13 - 1), more=st.booleans())
def test_the_same_holds_for_ipv6_fragments(offset, more):
    header = IPv6(src=CLIENT_6, dst=NODE_A_6)
    header = header / IPv6ExtHdrFragment(nh=17, offset=offset, m=int(more), id=5)
    row = decode_one(ethernet() / header / bytes(DATAGRAM))
    assert row["is_fragment"] is bool(offset or more)
    assert row["src_port"] == (None if offset else 1)
    assert row["protocol"] == "udp"


def test_ethernet_padding_is_no_payload():
    ack = IP(src=CLIENT, dst=NODE_A) / TCP(sport=1, dport=2, flags="A")
    row = decode_one(bytes(ethernet() / ack) + b"\0" * 6)
    assert (row["captured_length"], row["payload_length"]) == (60, 0)


@given(number=octets.filter(lambda n: n not in {1, 4, 6, 17, 41, 47, 58, 132}))
def test_other_protocols_are_their_number_as_text(number):
    row = decode_one(ethernet() / IP(src=CLIENT, dst=NODE_A, proto=number) / b"abcd")
    assert (row["protocol"], row["src_port"]) == (str(number), None)


def test_a_length_of_zero_means_all_of_the_frame(write_capture):
    path = write_capture([])
    path.write_bytes(super_frames.build())
    payloads = [row["payload_length"] for row in packet_rows(path)]
    assert payloads == [0, 0, 0, *super_frames.JOINED, 0]


def test_wrong_checksums_do_not_matter():
    packet = IP(src=CLIENT, dst=NODE_A, chksum=1) / UDP(sport=1, dport=2, chksum=2)
    row = decode_one(ethernet() / packet)
    assert (row["src_port"], row["stop_reason"]) == (1, None)


@pytest.mark.parametrize(
    "first_octet",
    [
        pytest.param(0x44, id="a header of 16 octets"),
        pytest.param(0x75, id="version 7"),
    ],
)
def test_an_impossible_ipv4_header_is_malformed(first_octet):
    octets = bytearray(bytes(ethernet() / IP(src=CLIENT, dst=NODE_A) / DATAGRAM))
    octets[14] = first_octet
    row = decode_one(bytes(octets))
    assert (row["stop_reason"], row["stop_layer"]) == ("malformed", "ipv4")
    assert row["src_port"] is None


def test_a_total_length_below_the_header_is_malformed():
    packet = ethernet() / IP(src=CLIENT, dst=NODE_A, len=19) / DATAGRAM
    assert decode_one(packet)["stop_reason"] == "malformed"


def test_a_total_length_above_the_frame_keeps_what_is_there():
    packet = ethernet() / IP(src=CLIENT, dst=NODE_A, len=1_500) / DATAGRAM
    row = decode_one(packet)
    assert (row["src_ip"], row["src_port"]) == (CLIENT, 1)


def test_frames_are_numbered_from_one_in_their_capture(tmp_path):
    paths = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    for path in paths:
        path.write_bytes(pcap([frame(ethernet() / IP() / DATAGRAM)] * 3))
    numbers = [(row["capture"], row["frame"]) for row in packet_rows(paths)]
    assert numbers == [(n, i) for n in ("a.pcap", "b.pcap") for i in (1, 2, 3)]


def test_rows_come_in_the_order_of_the_capture():
    many = [
        ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=port, dport=2)
        for port in (5, 3, 9, 1)
    ]
    assert [row["src_port"] for row in decode(many)] == [5, 3, 9, 1]
