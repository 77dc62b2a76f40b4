"""What NAT and encapsulation leave alone is the same at every point of the path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP

from captures.lab import (
    CLIENT,
    NODE_A,
    POD_A,
    POD_B,
    START,
    Conversation,
    echo,
    ethernet,
    frames,
    in_vxlan,
)
from captures.tunnels import vxlan_nodeport
from tests.frames import as_frames, flow_of, flow_rows, picked

MICROSECOND = 1_000
FINGERPRINTS = (
    "originator_isn",
    "responder_isn",
    "originator_seq_start",
    "originator_seq_end",
    "responder_seq_start",
    "responder_seq_end",
    "originator_syn_window",
    "originator_syn_options",
    "responder_syn_window",
    "responder_syn_options",
    "originator_packet_ids",
    "responder_packet_ids",
)


def datagram(payload, *, src=CLIENT, dst=NODE_A, sport=1, dport=2, ttl=64):
    network = IP(src=src, dst=dst, ttl=ttl)
    return ethernet() / network / UDP(sport=sport, dport=dport) / payload


@pytest.fixture
def both_sides(tmp_path):
    path = tmp_path / "node-a.eth0.pcap"
    path.write_bytes(vxlan_nodeport.build())
    return flow_rows(path)


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_tcp_is_recognised_on_both_sides_of_nat(both_sides, name):
    plain, carried = both_sides
    assert plain[name] == carried[name]
    assert plain[name] is not None


def test_packet_ids_are_the_smallest_in_ascending_order(both_sides):
    for flow in both_sides:
        for side in ("originator", "responder"):
            ids = flow[f"{side}_packet_ids"]
            assert ids == sorted(set(ids))
            assert 1 <= len(ids) <= 4


# Which of the sample's frames, 20 microseconds apart, are whose: the client's segments
# are seen plain first, the server's encapsulated first.
POSITIONS = [
    {"originator": {0, 4, 6, 10, 14}, "responder": {3, 9, 13}},
    {"originator": {1, 5, 7, 11, 15}, "responder": {2, 8, 12}},
]


@pytest.mark.parametrize("side", ["originator", "responder"])
def test_each_packet_id_has_the_time_of_its_packet(both_sides, side):
    for flow, positions in zip(both_sides, POSITIONS, strict=True):
        times = flow[f"{side}_packet_times"]
        assert len(times) == len(flow[f"{side}_packet_ids"])
        assert None not in times
        assert {(time - START) / (20 * MICROSECOND) for time in times} <= positions[
            side
        ]


def segment(flags, payload=b"", options=()):
    header = TCP(sport=1, dport=2, seq=9_000, ack=7_000, flags=flags, options=options)
    return ethernet() / IP(src=CLIENT, dst=NODE_A) / header / payload


def test_an_acknowledgement_is_not_what_is_sent_next():
    following = (segment("A"), segment("PA", b"request"), segment("FA"))
    ids = [flow_of([each])["originator_packet_ids"] for each in following]
    assert len(flow_of(following)["originator_packet_ids"]) == 3
    assert len({id_ for (id_,) in ids}) == 3


def test_offloads_that_join_segments_leave_the_first_one_s_id():
    one, joined = (segment("A", b"x" * length) for length in (1448, 10 * 1448))
    found = [flow_of([each])["originator_packet_ids"] for each in (one, joined)]
    assert found[0] == found[1]


def test_a_cut_header_leaves_the_packet_id():
    inner = segment("PA", b"request", [("Timestamp", (1, 2))])
    whole = as_frames([in_vxlan(inner)])
    cut = [frame.cut(96) for frame in whole]
    assert flow_of(cut)["originator_tcp_flags"] is None
    found = [flow_of(each)["originator_packet_ids"] for each in (whole, cut)]
    assert found[0] == found[1] != []


def test_another_conversation_has_other_packet_ids():
    one, other = Conversation(), Conversation(client_isn=77, server_isn=78)
    first, second = (flow_of(c.handshake()) for c in (one, other))
    shared = set(first["originator_packet_ids"]) & set(second["originator_packet_ids"])
    assert not shared


@given(payload=st.binary(max_size=100))
def test_a_datagram_is_recognised_behind_nat_and_in_a_tunnel(payload):
    before = datagram(payload)
    after = datagram(payload, src=POD_A, dst=POD_B, sport=61_000, dport=80, ttl=63)
    found = [flow_of([frame]) for frame in (before, after, in_vxlan(after))]
    assert len({flow["originator_digest"] for flow in found}) == 1
    assert found[0]["originator_digest"] is not None


@given(one=st.binary(min_size=1, max_size=40), other=st.binary(min_size=1, max_size=40))
def test_datagrams_of_other_content_have_other_digests(one, other):
    first, second = (flow_of([datagram(payload)]) for payload in (one, other))
    same = first["originator_digest"] == second["originator_digest"]
    assert same == (one == other)


def test_the_digest_is_the_first_datagram_s():
    first = flow_of([datagram(b"first")])
    both = flow_of([datagram(b"first"), datagram(b"second")])
    assert first["originator_digest"] == both["originator_digest"]


def test_pings_are_recognised_by_identifier_and_number():
    here = flow_of([ethernet() / echo(CLIENT, NODE_A, number=3)])
    there = flow_of([ethernet() / echo(POD_A, POD_B, number=3)])
    later = flow_of([ethernet() / echo(POD_A, POD_B, number=4)])
    assert here["originator_packet_ids"] == there["originator_packet_ids"]
    assert here["originator_packet_ids"] != later["originator_packet_ids"]


def test_a_reply_has_its_own_fingerprint():
    reply = ethernet() / IP(src=NODE_A, dst=CLIENT) / UDP(sport=2, dport=1) / b"yes"
    flow = flow_of(frames([datagram(b"question"), reply]))
    expected = {"originator_packets": 1, "responder_packets": 1}
    assert picked(flow, expected) == expected
    assert flow["responder_digest"] not in (None, flow["originator_digest"])
