"""Fragments belong to the flow of their datagram, once its first fragment was seen."""

import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment

from captures.ip import fragments
from captures.lab import CLIENT, NODE_A, ethernet, frames
from tests.frames import CONFORMANCE, flow_of, flow_rows, flows_of, packet_rows


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "fragments.pcap"
    path.write_bytes(fragments.build())
    return path


def pieces(number, sport=4_000, size=3_000):
    datagram = IP(src=CLIENT, dst=NODE_A, id=number) / UDP(sport=sport, dport=9)
    return [ethernet() / piece for piece in fragment(datagram / bytes(size), 1_000)]


def test_all_fragments_of_a_datagram_are_in_its_flow():
    flow = flow_of(pieces(1))
    assert (flow["originator_port"], flow["responder_port"]) == (4_000, 9)
    assert flow["originator_packets"] == flow["fragments"] == 4


def test_octets_of_later_fragments_are_payload():
    flow = flow_of(pieces(1))
    assert flow["originator_payload_bytes"] == 3_000
    assert flow["originator_bytes"] == 3_008 + 4 * 20


def test_fragments_of_several_datagrams_may_be_mixed():
    mixed = [
        piece
        for pair in zip(pieces(1, 4_000), pieces(2, 4_001), strict=True)
        for piece in pair
    ]
    found = {flow["originator_port"]: flow["fragments"] for flow in flows_of(mixed)}
    assert found == {4_000: 4, 4_001: 4}


def test_a_number_used_again_belongs_to_the_latest_datagram():
    found = flows_of([*pieces(7, 4_000), *pieces(7, 4_001)])
    packets = {flow["originator_port"]: flow["originator_packets"] for flow in found}
    assert packets == {4_000: 4, 4_001: 4}


def test_a_fragment_whose_first_was_not_seen_has_no_ports():
    flow = flow_of(pieces(1)[1:])
    assert (flow["originator_port"], flow["responder_port"]) == (None, None)
    assert (flow["originator_packets"], flow["fragments"]) == (3, 3)


def echo_pieces():
    ping = IP(src=CLIENT, dst=NODE_A, id=9) / ICMP(id=77, seq=1)
    return [ethernet() / piece for piece in fragment(ping / bytes(3_000), 1_000)]


def test_all_fragments_of_an_echo_are_in_its_flow():
    flow = flow_of(echo_pieces())
    assert (flow["icmp_type"], flow["icmp_id"], flow["fragments"]) == (8, 77, 4)


def test_a_fragment_of_an_unseen_echo_has_no_type():
    flow = flow_of(echo_pieces()[1:])
    assert (flow["icmp_type"], flow["icmp_code"], flow["icmp_id"]) == (None,) * 3


def test_the_sample_is_one_flow_of_each_version(sample):
    found = flow_rows(sample)
    assert [flow["fragments"] for flow in found] == [6, 3]
    assert [flow["originator_port"] for flow in found] == [4_000] * 2
    payload = len(fragments.PAYLOAD)
    assert [f["originator_payload_bytes"] for f in found] == [2 * payload, payload]


def test_in_the_packets_table_only_first_fragments_have_ports(sample):
    rows = packet_rows(sample)
    assert [row["src_port"] is not None for row in rows] == [
        True, False, False, True, False, False, True, False, False,
    ]  # fmt: skip
    assert all(row["is_fragment"] for row in rows)


def test_a_recorded_segment_in_fragments_is_one_flow():
    (flow,) = flow_rows(CONFORMANCE / "zeek_fragmented-3.pcap")
    assert (flow["originator_port"], flow["responder_port"]) == (1_265, 21)
    assert flow["fragments"] == 5


def test_what_is_whole_is_no_fragment():
    packet = ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=1, dport=2)
    assert flow_of(frames([packet]))["fragments"] == 0
