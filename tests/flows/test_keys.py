"""What one flow is: five-tuple, tunnel, observation point; when a new one starts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q

from captures.files import Frame
from captures.lab import (
    CLIENT,
    NODE_A,
    NODE_B,
    POD_A,
    POD_B,
    Conversation,
    ethernet,
    frame,
    frames,
    in_vxlan,
)
from captures.tcp import port_reuse
from captures.tunnels import vxlan_nodeport
from tests.frames import CONFORMANCE, flow_of, flow_rows, flows_of, picked

SECOND = 1_000  # milliseconds


def datagram(src=CLIENT, dst=NODE_A, sport=5_000, dport=53):
    return ethernet() / IP(src=src, dst=dst) / UDP(sport=sport, dport=dport) / b"query"


def reply(**how):
    return datagram(src=NODE_A, dst=CLIENT, sport=53, dport=5_000, **how)


def test_both_directions_are_one_flow():
    flow = flow_of([datagram(), reply(), datagram()])
    expected = {
        "protocol": "udp",
        "originator_ip": CLIENT,
        "originator_port": 5_000,
        "responder_ip": NODE_A,
        "responder_port": 53,
        "originator_packets": 2,
        "responder_packets": 1,
    }
    assert picked(flow, expected) == expected


def test_the_sender_of_the_first_packet_is_the_originator():
    assert flow_of([reply(), datagram()])["originator_ip"] == NODE_A


def test_the_sender_of_a_late_syn_is_the_originator():
    c = Conversation()
    syn, syn_ack, ack = c.handshake()
    flow = flow_of([syn_ack, syn, ack])
    assert (flow["originator_ip"], flow["responder_ip"]) == (CLIENT, NODE_A)
    assert (flow["originator_packets"], flow["responder_packets"]) == (2, 1)


def test_the_receiver_of_a_first_syn_ack_is_the_originator():
    c = Conversation()
    flow = flow_of(c.handshake()[1:])
    assert (flow["originator_ip"], flow["originator_packets"]) == (CLIENT, 1)
    # What the SYN-ACK acknowledges is the number of the SYN that was not seen.
    assert (flow["originator_isn"], flow["responder_isn"]) == (1_000, 900_000)


@pytest.mark.parametrize("change", ["sport", "dport", "src", "dst"])
def test_another_value_of_the_five_tuple_is_another_flow(change):
    other = {"sport": 5_001, "dport": 54, "src": NODE_B, "dst": NODE_B}[change]
    assert len(flows_of([datagram(), datagram(**{change: other})])) == 2


@given(
    a=st.integers(0, 65_535).filter(lambda port: port not in {4789, 6081}),
    b=st.integers(0, 65_535).filter(lambda port: port not in {4789, 6081}),
)
def test_ends_of_one_address_are_told_apart_by_their_ports(a, b):
    there = datagram(src=NODE_A, dst=NODE_A, sport=a, dport=b)
    back = datagram(src=NODE_A, dst=NODE_A, sport=b, dport=a)
    flow = flow_of([there, back, there])
    packets = (flow["originator_packets"], flow["responder_packets"])
    assert packets == ((3, 0) if a == b else (2, 1))
    assert (flow["originator_port"], flow["responder_port"]) == (a, b)


def test_tunnels_keep_equal_five_tuples_apart():
    inner = ethernet() / datagram()["IP"]
    found = flows_of(
        [datagram(), in_vxlan(inner, vni=1), in_vxlan(inner, vni=2), datagram()]
    )
    assert [(flow["tunnel"], flow["vni"]) for flow in found] == [
        (None, None),
        ("vxlan", 1),
        ("vxlan", 2),
    ]
    assert [flow["originator_packets"] for flow in found] == [2, 1, 1]


def test_tunnel_endpoints_are_an_unordered_pair():
    there = in_vxlan(ethernet() / datagram()["IP"], source_port=50_001)
    back = in_vxlan(
        ethernet() / reply()["IP"], src=NODE_B, dst=NODE_A, source_port=60_002
    )
    flow = flow_of([there, back])
    expected = {
        "outer_originator_ip": NODE_A,
        "outer_responder_ip": NODE_B,
        "originator_packets": 1,
        "responder_packets": 1,
    }
    assert picked(flow, expected) == expected


def test_outer_ends_follow_the_originator_where_the_reply_was_seen_first():
    c = Conversation(client=POD_A, server=POD_B)
    syn, syn_ack, ack = (ethernet() / s["IP"] for s in c.handshake())
    back = in_vxlan(syn_ack, src=NODE_B, dst=NODE_A)
    flow = flow_of([back, in_vxlan(syn), in_vxlan(ack)])
    assert (flow["originator_ip"], flow["outer_originator_ip"]) == (POD_A, NODE_A)


def test_other_tunnel_endpoints_are_another_flow():
    inner = ethernet() / datagram()["IP"]
    found = flows_of([in_vxlan(inner), in_vxlan(inner, dst=CLIENT)])
    assert [flow["outer_responder_ip"] for flow in found] == [NODE_B, CLIENT]


def test_a_nodeport_connection_is_two_flows_at_the_entry_node(tmp_path):
    path = tmp_path / "node-a.eth0.pcap"
    path.write_bytes(vxlan_nodeport.build())
    plain, carried = flow_rows(path)
    assert (plain["tunnel"], carried["tunnel"]) == (None, "vxlan")
    for name in ("originator_isn", "responder_isn", "tcp_state", "handshake_rtt"):
        assert plain[name] == carried[name] is not None
    assert plain["tcp_state"] == "SF"


def test_the_vlan_is_that_of_the_first_packet():
    tagged = ethernet() / Dot1Q(vlan=9) / datagram()["IP"]
    (flow,) = flows_of([tagged, datagram()])[:1]
    assert flow["vlan"] == 9


def test_a_syn_with_another_isn_starts_a_new_flow():
    first = Conversation()
    second = Conversation(client_isn=5_000_000)
    found = flows_of([*first.handshake(), *second.handshake()])
    assert [flow["originator_isn"] for flow in found] == [1_000, 5_000_000]
    assert [flow["originator_packets"] for flow in found] == [2, 2]


def test_a_syn_with_the_same_isn_does_not():
    c = Conversation()
    syn = c.client("S")
    assert len(flows_of([syn, syn, c.server("SA"), c.client("A")])) == 1


def test_the_sample_of_one_five_tuple_is_three_flows(tmp_path):
    path = tmp_path / "reuse.pcap"
    path.write_bytes(port_reuse.build())
    found = flow_rows(path)
    assert [flow["tcp_state"] for flow in found] == ["SF", "S1", "OTH"]
    assert [flow["originator_isn"] for flow in found] == [1_000, 5_000_000, None]


@pytest.mark.parametrize(("silence", "count"), [(9 * SECOND, 1), (11 * SECOND, 2)])
def test_silence_longer_than_the_idle_timeout_ends_a_flow(silence, count):
    found = flows_of([frame(datagram(), at) for at in (0, silence)], idle_timeout=10.0)
    assert len(found) == count
    assert sum(flow["originator_packets"] for flow in found) == 2


def test_silence_is_measured_from_the_last_packet():
    every_second = [frame(datagram(), i * SECOND) for i in range(30)]
    assert len(flows_of(every_second, idle_timeout=10.0)) == 1


def test_the_idle_timeout_is_five_minutes_unless_told():
    def found(silence):
        return flows_of([frame(datagram(), at) for at in (0, silence)])

    assert len(found(299 * SECOND)) == 1
    assert len(found(301 * SECOND)) == 2


def test_the_active_timeout_ends_a_flow_that_never_rests():
    every_second = [frame(datagram(), i * SECOND) for i in range(30)]
    found = flows_of(every_second, active_timeout=10.0)
    assert len(found) == 3
    assert sum(flow["originator_packets"] for flow in found) == 30
    assert len(flows_of(every_second)) == 1


def test_a_flow_s_parts_keep_their_originator():
    back_and_forth = [
        frame(reply() if i % 2 else datagram(), i * SECOND) for i in range(21)
    ]
    found = flows_of(back_and_forth, active_timeout=5.0)
    assert len(found) > 1
    assert len({frozenset((f["originator_ip"], f["responder_ip"])) for f in found}) == 1


def test_start_and_end_are_the_first_and_last_packet_s():
    flow = flow_of([frame(datagram(), at) for at in (0, 5, 20)])
    assert flow["end_time"] - flow["start_time"] == 20_000_000


def test_times_do_not_need_to_be_in_order():
    flow = flow_of([frame(datagram(), at) for at in (10, 0, 5)])
    assert flow["end_time"] - flow["start_time"] == 10_000_000


def test_flows_are_numbered_from_zero_in_the_order_of_their_first_frame():
    packets = [datagram(sport=port) for port in (9, 5, 7, 9, 5, 1)]
    found = flows_of(packets)
    assert [flow["originator_port"] for flow in found] == [9, 5, 7, 1]
    assert [flow["flow_id"] for flow in found] == [0, 1, 2, 3]
    assert [flow["first_frame"] for flow in found] == [1, 2, 3, 6]


def test_thousands_of_flows_stay_apart():
    packets = frames(
        bytes(datagram(src=f"10.{i >> 8}.{i & 255}.1", sport=i)) for i in range(5_000)
    )
    found = flows_of(packets * 2)
    assert len(found) == 5_000
    assert {flow["originator_packets"] for flow in found} == {2}


def test_what_is_no_ip_is_no_flow():
    assert flow_rows(CONFORMANCE / "zeek_linuxsll-arp.pcap") == []


def cut_after_numbers(segments):
    """Cut TCP headers before their flags, as -s 96 does inside VXLAN."""
    octets = [bytes(ethernet() / segment["IP"]) for segment in segments]
    return [Frame(each[: 14 + 20 + 12], n, len(each)) for n, each in enumerate(octets)]


def test_where_flags_are_cut_off_a_syn_elsewhere_begins_a_flow():
    first = Conversation()
    second = Conversation(client_isn=50_000_000, server_isn=90_000_000)
    found = flows_of(cut_after_numbers([*first.handshake(), *second.handshake()]))
    assert [flow["originator_packets"] for flow in found] == [2, 2]


def test_where_flags_are_cut_off_a_repeated_syn_begins_none():
    syn, *rest = Conversation().handshake()
    assert len(flows_of(cut_after_numbers([syn, syn, *rest]))) == 1
