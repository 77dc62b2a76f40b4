"""Packets, octets and payload of a flow, each side's and on the wire."""

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP

from captures.lab import CLIENT, NODE_A, Conversation, ethernet, frame, frames, in_vxlan
from captures.tcp import requests, super_frames
from captures.tunnels import vxlan_arp, vxlan_snaplen_96
from tests.frames import decode, flow_of, flow_rows, flows_of, picked


@given(
    there=st.lists(st.integers(0, 1_400), min_size=1, max_size=5),
    back=st.lists(st.integers(0, 1_400), max_size=5),
)
def test_octets_are_counted_by_side_and_layer(there, back):
    ports = UDP(sport=5_000, dport=53), UDP(sport=53, dport=5_000)
    ways = IP(src=CLIENT, dst=NODE_A), IP(src=NODE_A, dst=CLIENT)
    packets = [ethernet() / ways[0] / ports[0] / (b"x" * size) for size in there]
    packets += [ethernet() / ways[1] / ports[1] / (b"x" * size) for size in back]
    flow = flow_of(packets)
    expected = {
        "originator_packets": len(there),
        "responder_packets": len(back),
        "originator_payload_bytes": sum(there),
        "responder_payload_bytes": sum(back),
        "originator_bytes": sum(there) + 28 * len(there),
        "responder_bytes": sum(back) + 28 * len(back),
        "wire_bytes": sum(there + back) + 42 * len(there + back),
    }
    assert picked(flow, expected) == expected


def test_in_a_tunnel_bytes_are_the_innermost_packet_s_and_wire_bytes_the_frame_s():
    inner = ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=1, dport=2) / b"12345"
    whole = in_vxlan(inner)
    flow = flow_of([whole])
    assert flow["originator_bytes"] == 33
    assert flow["originator_payload_bytes"] == 5
    assert flow["wire_bytes"] == len(whole)


def test_padding_is_on_the_wire_only():
    packet = bytes(ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=1, dport=2))
    flow = flow_of([packet + bytes(18)])
    assert (flow["originator_bytes"], flow["wire_bytes"]) == (28, 60)
    assert flow["originator_payload_bytes"] == 0


def test_lengths_come_from_headers_where_a_capture_is_cut():
    packet = ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=1, dport=2)
    flow = flow_of([frame(packet / (b"x" * 1_000)).cut(50)])
    assert flow["originator_payload_bytes"] == 1_000
    assert (flow["originator_bytes"], flow["wire_bytes"]) == (1_028, 1_042)


def test_96_octets_of_vxlan_still_make_the_flow(tmp_path):
    path = tmp_path / "node-a.eth0.pcap"
    path.write_bytes(vxlan_snaplen_96.build())
    (flow,) = flow_rows(path)
    expected = {
        "protocol": "tcp",
        "originator_port": 40_000,
        "responder_port": 80,
        "originator_packets": 3,
        "responder_packets": 1,
        "originator_bytes": 40 + 40 + 540,
        "tunnel": "vxlan",
        "originator_seq_start": 1_000,
        "responder_seq_start": 900_000,
        "originator_isn": None,
        "originator_tcp_flags": None,
        "originator_payload_bytes": None,
        "handshake_rtt": None,
        "tcp_state": None,
    }
    assert picked(flow, expected) == expected


def test_super_frames_count_what_was_on_the_link(tmp_path):
    path = tmp_path / "super.pcap"
    path.write_bytes(super_frames.build())
    (flow,) = flow_rows(path)
    payload = sum(super_frames.JOINED)
    assert flow["responder_payload_bytes"] == payload
    assert flow["responder_bytes"] == payload + 4 * 40
    assert flow["responder_seq_end"] == 900_001 + payload
    assert flow["responder_retransmits"] == 0


def test_sequence_numbers_span_what_each_side_sent():
    c = Conversation()
    flow = flow_of([*c.handshake(), c.client("PA", b"12345"), *c.goodbye()])
    assert flow["originator_seq_start"] == 1_000
    assert flow["originator_seq_end"] == 1_000 + 1 + 5 + 1
    assert flow["responder_seq_start"] == 900_000
    assert flow["responder_seq_end"] == 900_002


def test_requests_are_the_times_the_originator_spoke_again(tmp_path):
    path = tmp_path / "requests.pcap"
    path.write_bytes(requests.build())
    (flow,) = flow_rows(path)
    assert flow["requests"] == 3


def test_a_connection_without_payload_has_no_requests():
    c = Conversation()
    assert flow_of([*c.handshake(), *c.goodbye()])["requests"] == 0


def test_a_request_sent_again_is_no_second_request():
    c = Conversation()
    opening, request = c.handshake(), c.client("PA", b"GET /")
    flow = flow_of([*opening, request, request, c.server("PA", b"200")])
    assert flow["requests"] == 1


def test_a_speech_of_the_responder_first_is_no_request():
    c = Conversation()
    opening = c.handshake()
    banner = [c.server("PA", b"220 ready"), c.client("PA", b"HELO"), c.server("A")]
    assert flow_of([*opening, *banner])["requests"] == 1


def test_time_to_live_is_that_of_each_side_s_first_packet():
    def packet(src, dst, ttl):
        sport, dport = (1, 2) if src == CLIENT else (2, 1)
        return (
            ethernet()
            / IP(src=src, dst=dst, ttl=ttl)
            / TCP(sport=sport, dport=dport, flags="A")
        )

    flow = flow_of(
        [
            packet(CLIENT, NODE_A, 63),
            packet(NODE_A, CLIENT, 64),
            packet(CLIENT, NODE_A, 1),
        ]
    )
    assert (flow["originator_ttl"], flow["responder_ttl"]) == (63, 64)


def test_arp_in_vxlan_counts_for_the_outer_datagram_s_flow(tmp_path):
    path = tmp_path / "arp.pcap"
    path.write_bytes(vxlan_arp.build())
    found = flow_rows(path)
    assert {flow["tunnel"] for flow in found} == {None}
    assert {flow["protocol"] for flow in found} == {"udp"}
    packets = sum(f["originator_packets"] + f["responder_packets"] for f in found)
    assert packets == 2


@given(seed=st.integers(0, 2**32 - 1))
def test_flows_and_packets_tell_the_same_totals(seed):
    chance = seed
    packets = []
    for _ in range(20):
        chance = (chance * 1_103_515_245 + 12_345) % 2**31
        sport, size = 5_000 + chance % 3, chance >> 4 & 255
        packets.append(
            ethernet()
            / IP(src=CLIENT, dst=NODE_A)
            / UDP(sport=sport, dport=9)
            / bytes(size)
        )
    rows, found = decode(frames(packets)), flows_of(frames(packets))
    assert sum(f["originator_packets"] for f in found) == len(rows)
    assert sum(f["wire_bytes"] for f in found) == sum(r["wire_length"] for r in rows)
    payload = sum(f["originator_payload_bytes"] for f in found)
    assert payload == sum(r["payload_length"] for r in rows)
