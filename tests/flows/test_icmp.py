"""ICMP: exchanges by identifier, and errors counted for the flow that they quote."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6

from captures.ip import icmp_errors
from captures.lab import (
    CLIENT,
    CLIENT_6,
    NODE_A,
    NODE_A_6,
    NODE_B,
    POD_A,
    POD_B,
    Conversation,
    echo,
    ethernet,
    frames,
    in_vxlan,
)
from tests.frames import flow_of, flow_rows, flows_of, picked

PORT_UNREACHABLE = {"type": 3, "code": 3}


def error_about(packet, sender=NODE_A, quoted=28):
    """Send an error back to the packet's source, quoting its first octets."""
    network = packet["IP"]
    back = IP(src=sender, dst=network.src) / ICMP(**PORT_UNREACHABLE)
    return ethernet() / back / bytes(network)[:quoted]


def of_protocol(found, protocol):
    return [flow for flow in found if flow["protocol"] == protocol]


def test_a_ping_and_its_answers_are_one_flow_without_ports():
    packets = [
        ethernet() / echo(*ends, number=number, reply=ends[0] == NODE_A)
        for number in range(3)
        for ends in ((CLIENT, NODE_A), (NODE_A, CLIENT))
    ]
    expected = {
        "protocol": "icmp",
        "originator_ip": CLIENT,
        "originator_port": None,
        "responder_port": None,
        "originator_packets": 3,
        "responder_packets": 3,
        "icmp_type": 8,
        "icmp_code": 0,
        "icmp_id": 7,
    }
    assert picked(flow_of(packets), expected) == expected


def test_two_pings_at_once_are_told_apart_by_their_identifier():
    packets = [
        ethernet() / echo(CLIENT, NODE_A, number=1, identifier=identifier)
        for identifier in (1, 2, 1)
    ]
    found = [
        (flow["icmp_id"], flow["originator_packets"]) for flow in flows_of(packets)
    ]
    assert found == [(1, 2), (2, 1)]


def test_an_error_is_counted_for_the_flow_that_it_quotes():
    query = ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=5, dport=6) / b"hi"
    (quoted,) = of_protocol(flows_of([query, error_about(query)]), "udp")
    assert (quoted["icmp_errors"], quoted["originator_packets"]) == (1, 1)
    assert quoted["responder_packets"] == 0


def test_an_error_is_a_packet_of_its_own_flow():
    query = ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=5, dport=6) / b"hi"
    (error,) = of_protocol(flows_of([query, error_about(query)]), "icmp")
    assert (error["icmp_type"], error["icmp_code"]) == (3, 3)
    assert (error["originator_ip"], error["icmp_errors"]) == (NODE_A, 0)


def test_a_router_s_error_is_counted_too():
    c = Conversation()
    syn = c.client("S")
    found = flows_of([syn, error_about(syn, sender=NODE_B), c.server("SA")])
    (tcp,) = of_protocol(found, "tcp")
    assert tcp["icmp_errors"] == 1


def test_an_error_about_a_reply_is_counted_for_the_same_flow():
    query = ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=5, dport=6) / b"hi"
    answer = ethernet() / IP(src=NODE_A, dst=CLIENT) / UDP(sport=6, dport=5) / b"yes"
    found = flows_of([query, answer, error_about(answer, sender=CLIENT)])
    (udp,) = of_protocol(found, "udp")
    assert udp["icmp_errors"] == 1


def test_an_error_about_an_unseen_flow_makes_none():
    query = ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=5, dport=6) / b"hi"
    (flow,) = flows_of([error_about(query)])
    assert flow["protocol"] == "icmp"


def test_an_error_inside_a_tunnel_is_counted_for_the_flow_in_that_tunnel():
    inner = ethernet() / IP(src=POD_A, dst=POD_B) / UDP(sport=5, dport=6) / b"hi"
    outside = inner.copy()
    error = error_about(inner, sender=POD_B)
    carried = in_vxlan(error, src=NODE_B, dst=NODE_A)
    found = of_protocol(flows_of([outside, in_vxlan(inner), carried]), "udp")
    assert [(flow["tunnel"], flow["icmp_errors"]) for flow in found] == [
        (None, 0),
        ("vxlan", 1),
    ]


@pytest.mark.parametrize("quoted", range(28))
def test_a_quotation_without_ports_is_counted_for_nobody(quoted):
    query = ethernet() / IP(src=CLIENT, dst=NODE_A) / UDP(sport=5, dport=6) / b"hi"
    (udp,) = of_protocol(flows_of([query, error_about(query, quoted=quoted)]), "udp")
    assert udp["icmp_errors"] == (1 if quoted >= 24 else 0)


def test_an_icmp6_error_is_counted_as_well():
    query = IPv6(src=CLIENT_6, dst=NODE_A_6) / UDP(sport=5, dport=6) / b"hi"
    error = IPv6(src=NODE_A_6, dst=CLIENT_6) / ICMPv6DestUnreach(code=4) / bytes(query)
    found = flows_of([ethernet() / query, ethernet() / error])
    (udp,) = of_protocol(found, "udp")
    assert udp["icmp_errors"] == 1


def test_the_sample_s_errors_are_counted(tmp_path):
    path = tmp_path / "errors.pcap"
    path.write_bytes(icmp_errors.build())
    found = {
        flow["originator_port"]: flow["icmp_errors"]
        for flow in flow_rows(path)
        if flow["originator_port"]
    }
    assert found == {5_000: 1, 5_001: 1, 5_002: 2}


def test_a_truncated_error_is_a_packet_all_the_same():
    query = ethernet() / IP(src=CLIENT, dst=NODE_A) / TCP(sport=5, dport=6)
    (cut,) = frames([error_about(query)])
    found = flows_of([cut.cut(40)])
    assert [flow["protocol"] for flow in found] == ["icmp"]
