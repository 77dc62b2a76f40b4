"""Datagrams join across NAT only where nothing else could be meant."""

import pytest

from tests.correlate import ways
from tests.correlate.lab import (
    CLIENT_POD,
    NODE_A,
    NODE_B,
    OUTSIDE,
    POD_A,
    POD_B,
    TUNNEL_A,
)
from tests.correlate.simulated import Seen, Wire, ping, udp

QUERY, ANSWER = b"\x12\x34query for web", b"\x12\x34answer for web"
DNS = ("10.152.183.10", 53)
WEB = ways.Service("web", "web", "10.152.183.1", 80, 8080, node_port=30080)
A, B, C = ways.NODES


def behind(client, server):
    """Give what passes the tunnel's device, forwarded once by either node."""
    device = "node-a.vxlan.calico.pcap"
    return Seen(device, client, server, ttl=63, delay=20, reply_ttl=63)


def dnat(client=(CLIENT_POD, 33000), backend=(POD_B, 53)):
    return [
        Seen("node-a.cali9.pcap", client, DNS, ttl=64, reply_ttl=62),
        behind(client, backend),
    ]


def masqueraded(client, snat, backend=(POD_B, 53)):
    return [
        Seen("node-a.eth0.pcap", client, (NODE_A, 30053), ttl=64, reply_ttl=62),
        behind((TUNNEL_A, snat), backend),
    ]


def test_a_query_through_a_cluster_ip_is_one_row(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(dnat(), udp(QUERY, ANSWER))
    (row,) = wire.connections()
    assert (row["destination_ip"], row["backend_ip"]) == (DNS[0], POD_B)
    assert row["snat_ip"] is None


def test_a_masqueraded_query_is_one_row(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(masqueraded((OUTSIDE, 40000), 51000), udp(QUERY, ANSWER))
    (row,) = wire.connections()
    assert (row["client_ip"], row["snat_ip"]) == (OUTSIDE, TUNNEL_A)


def test_two_clients_with_the_same_query_at_once_stay_apart(tmp_path):
    wire = Wire(tmp_path)
    for number in range(2):
        path = masqueraded((OUTSIDE, 40000 + number), 51000 + number)
        wire.carry(path, udp(QUERY, ANSWER), at=number / 1000)
    rows = wire.connections()
    assert all(row["snat_ip"] is None for row in rows)
    assert {row["client_port"] for row in rows} == {40000, 40001, 51000, 51001}


def test_what_senders_number_tells_equal_queries_apart(tmp_path):
    wire = Wire(tmp_path)
    for number in range(5):
        path = masqueraded((OUTSIDE, 40000 + number), 51000 + number)
        exchange = [
            each._replace(identification=700 + number) for each in udp(QUERY, ANSWER)
        ]
        wire.carry(path, exchange, at=number / 10_000)
    rows = wire.connections()
    assert sorted(row["snat_port"] - row["client_port"] for row in rows) == [11000] * 5


def long(name):
    """Give a query and an answer of which VXLAN and 96 octets leave the start only."""
    return udp(QUERY + name * 9, ANSWER + name * 12)


def in_tunnel(client, snat):
    path = masqueraded(client, snat)
    return [path[0], path[1]._replace(file="node-a.eth0.pcap", outer=(NODE_A, NODE_B))]


def test_a_masqueraded_query_that_was_cut_is_one_row(tmp_path):
    wire = Wire(tmp_path)
    for number in range(3):
        exchange = [
            each._replace(identification=700 + number) for each in long(b"more")
        ]
        path = in_tunnel((OUTSIDE, 40000 + number), 51000 + number)
        wire.carry(path, exchange, at=number / 10_000)
    wire.cut(96)
    rows = wire.connections()
    assert sorted(row["snat_port"] - row["client_port"] for row in rows) == [11000] * 3


def test_queries_whose_known_rest_differs_stay_apart(tmp_path):
    wire = Wire(tmp_path)
    for file, name, path in (
        ("node-a.eth0.pcap", b"here", in_tunnel((OUTSIDE, 40000), 51000)[:1]),
        ("node-a.vxlan.calico.pcap", b"more", masqueraded((OUTSIDE, 40001), 51001)[1:]),
    ):
        wire.carry([path[0]._replace(file=file)], long(name))
    assert len(wire.connections()) == 2


def test_one_query_to_two_servers_is_two_rows(tmp_path):
    wire = Wire(tmp_path)
    client = (CLIENT_POD, 33000)
    for server in (POD_A, POD_B):
        path = [Seen("node-a.cali9.pcap", client, (server, 53), ttl=64)]
        wire.carry(path, udp(QUERY, ANSWER))
    assert {row["backend_ip"] for row in wire.connections()} <= {None, POD_A, POD_B}
    assert len(wire.connections()) == 2


def test_unanswered_datagrams_with_the_same_payload_stay_apart(tmp_path):
    wire = Wire(tmp_path)
    inside = [
        Seen(
            "node-a.eth0.pcap",
            (CLIENT_POD, 1),
            (POD_B, 9),
            63,
            0,
            ("1.1.1.1", "2.2.2.2"),
        )
    ]
    outside = [Seen("node-a.eth0.pcap", (OUTSIDE, 2), (NODE_A, 9), 64)]
    wire.carry(inside, udp(b"hello", None))
    wire.carry(outside, udp(b"hello", None), at=0.01)
    assert len(wire.connections()) == 2


def test_an_echo_whose_identifier_was_rewritten_is_one_row(tmp_path):
    wire = Wire(tmp_path)
    path = [
        Seen("node-a.cali9.pcap", (CLIENT_POD, 0), (OUTSIDE, 0), ttl=64, reply_ttl=63),
        Seen("node-a.eth0.pcap", (NODE_A, 0), (OUTSIDE, 0), ttl=63, delay=30),
    ]
    wire.carry(path, ping({"node-a.cali9.pcap": 77, "node-a.eth0.pcap": 5001}))
    (row,) = wire.connections()
    assert (row["client_ip"], row["snat_ip"]) == (CLIENT_POD, NODE_A)
    assert (row["destination_ip"], row["backend_ip"]) == (OUTSIDE, OUTSIDE)
    assert row["snat_port"] is None


@pytest.mark.parametrize("with_state", [True, False])
def test_a_leg_to_a_pod_is_not_followed_by_another_pod_s(tmp_path, with_state):
    web = [ways.pod("web", 1, C), ways.pod("web", 2, B)]
    cluster = ways.state(tmp_path, web, [WEB])
    wire = Wire(tmp_path)
    made = ways.Ways()
    same = udp(b"the same question", b"the same answer")
    own = made.to_service(ways.node(C), 41000, WEB, "ClusterIP", C, web[0])
    wire.carry(own.seen, same)
    other = made.to_service(ways.outsider(0), 42000, WEB, "NodePort", C, web[1])
    at_b = [seen for seen in other.seen if seen.file.startswith(B)]
    wire.carry(at_b, same, at=0.0001)
    assert len(wire.connections(cluster if with_state else None)) == 2


@pytest.mark.parametrize("with_state", [True, False])
def test_two_legs_in_tunnels_are_of_two_clients(tmp_path, with_state):
    client, web = ways.pod("client", 1, A), ways.pod("web", 2, B)
    cluster = ways.state(tmp_path, [client, web], [WEB])
    wire = Wire(tmp_path)
    made = ways.Ways()
    same = udp(b"the same question", b"the same answer")
    own = made.to_service(ways.node(A), 41000, WEB, "ClusterIP", A, web)
    pods = made.to_service(client, 42000, WEB, "ClusterIP", A, web)
    for n, walk in enumerate((own, pods)):
        seen = [each for each in walk.seen if ".vxlan." in each.file]
        wire.carry(seen, same, at=n / 1000)
    assert len(wire.connections(cluster if with_state else None)) == 2
