"""TCP, UDP, SCTP, ICMP and ICMPv6 headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6
from scapy.layers.sctp import SCTP, SCTPChunkData

from captures.lab import CLIENT, CLIENT_6, NODE_A, NODE_A_6, ethernet
from tests.frames import decode_one, picked

BASE = ethernet() / IP(src=CLIENT, dst=NODE_A)
BASE_6 = ethernet() / IPv6(src=CLIENT_6, dst=NODE_A_6)

ports = st.integers(0, 65_535).filter(lambda port: port not in {4789, 6081})
u32 = st.integers(0, 2**32 - 1)
payloads = st.binary(max_size=50)
tcp_options = st.lists(
    st.one_of(
        st.tuples(st.just("MSS"), st.integers(0, 65_535)),
        st.tuples(st.just("WScale"), st.integers(0, 14)),
        st.tuples(st.just("SAckOK"), st.just(b"")),
        st.tuples(st.just("Timestamp"), st.tuples(u32, u32)),
        st.tuples(st.just("NOP"), st.none()),
    ),
    max_size=3,
)


@given(
    sport=ports,
    dport=ports,
    seq=u32,
    ack=u32,
    flags=st.integers(0, 255),
    window=st.integers(0, 65_535),
    options=tcp_options,
    payload=payloads,
    base=st.sampled_from([BASE, BASE_6]),
)
def test_tcp_fields_are_those_that_scapy_wrote(
    sport, dport, seq, ack, flags, window, options, payload, base
):
    segment = TCP(
        sport=sport,
        dport=dport,
        seq=seq,
        ack=ack,
        flags=flags,
        window=window,
        options=options,
    )
    row = decode_one(base / segment / payload)
    expected = {
        "protocol": "tcp",
        "src_port": sport,
        "dst_port": dport,
        "seq": seq,
        "ack": ack,
        "tcp_flags": flags,
        "window": window,
        "payload_length": len(payload),
        "stop_reason": None,
    }
    assert picked(row, expected) == expected


@given(sport=ports, dport=ports, payload=payloads)
def test_udp_fields_are_those_that_scapy_wrote(sport, dport, payload):
    row = decode_one(BASE / UDP(sport=sport, dport=dport) / payload)
    expected = {
        "protocol": "udp",
        "src_port": sport,
        "dst_port": dport,
        "payload_length": len(payload),
        "seq": None,
        "ack": None,
        "tcp_flags": None,
        "window": None,
    }
    assert picked(row, expected) == expected


@given(sport=ports, dport=ports)
def test_sctp_has_ports(sport, dport):
    row = decode_one(BASE / SCTP(sport=sport, dport=dport) / SCTPChunkData(data=b"x"))
    assert (row["protocol"], row["src_port"], row["dst_port"]) == ("sctp", sport, dport)


def test_icmp_has_no_ports():
    row = decode_one(BASE / ICMP(id=9, seq=1) / b"ping")
    assert (row["protocol"], row["src_port"], row["dst_port"]) == ("icmp", None, None)
    assert row["payload_length"] == 4


def test_icmp6_has_no_ports():
    row = decode_one(BASE_6 / ICMPv6EchoRequest(id=9, seq=1))
    assert (row["protocol"], row["src_port"], row["dst_port"]) == ("icmp6", None, None)


@pytest.mark.parametrize(
    "error",
    [
        BASE / ICMP(type=3, code=1) / bytes(IP(src=NODE_A, dst="9.9.9.9") / UDP()),
        BASE / ICMP(type=11) / bytes(IP(src=NODE_A, dst="9.9.9.9") / TCP()),
        BASE_6 / ICMPv6PacketTooBig() / IPv6(src=NODE_A_6, dst="2001:db8::9") / UDP(),
    ],
    ids=["unreachable", "time exceeded", "packet too big"],
)
def test_an_error_is_itself_the_innermost_packet(error):
    row = decode_one(error)
    assert row["src_ip"] in (CLIENT, CLIENT_6)
    assert row["src_port"] is None
    assert (row["tunnel"], row["tunnel_depth"]) == (None, 0)


@pytest.mark.parametrize("offset", [0, 1, 4])
def test_a_tcp_header_shorter_than_it_can_be_is_malformed(offset):
    row = decode_one(BASE / TCP(sport=1, dport=2, dataofs=offset))
    assert (row["stop_reason"], row["stop_layer"]) == ("malformed", "tcp")
    assert (row["src_port"], row["dst_port"]) == (1, 2)


def test_a_udp_length_below_its_header_is_malformed():
    row = decode_one(BASE / UDP(sport=1, dport=2, len=7))
    assert (row["stop_reason"], row["stop_layer"]) == ("malformed", "udp")
    assert (row["src_port"], row["dst_port"]) == (1, 2)


def test_tcp_options_that_contradict_themselves_keep_the_header():
    options = b"\x02\x00\x08\xff"  # an MSS of no length, then a timestamp of 255
    segment = bytes(BASE / TCP(sport=1, dport=2, seq=7, dataofs=6)) + options
    row = decode_one(segment)
    assert (row["src_port"], row["seq"]) == (1, 7)
