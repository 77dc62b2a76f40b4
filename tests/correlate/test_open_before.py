"""Connections that were open before captures began, each of which began at its time."""

import itertools
import random

import pytest
from scapy.layers.inet import TCP
from scapy.packet import Raw

from tests.correlate import ways
from tests.correlate.simulated import Segment, Wire, tcp

A, B, C = ways.NODES
WEB = ways.Service("web", "web", "10.152.183.1", 80, 8080, node_port=30080)
POD = ways.pod("web", 2, B)


def talk(seed, count=40):
    """Give requests and answers of a connection that goes on."""
    numbers = random.Random(seed)
    seq, ack = numbers.getrandbits(31), numbers.getrandbits(31)
    segments = []
    for n in range(count):
        asked = TCP(flags="PA", seq=seq + 100 * n, ack=ack + 200 * n) / Raw(b"q" * 100)
        told = TCP(flags="PA", seq=ack + 200 * n, ack=seq + 100 * (n + 1))
        segments.append(Segment(True, 1000 * n, asked))
        segments.append(Segment(False, 1000 * n + 500, told / Raw(b"a" * 200)))
    return segments


@pytest.mark.parametrize("seed", range(12))
def test_its_path_is_in_order(tmp_path, seed):
    begins = random.Random(seed)
    walk = ways.Ways().direct(
        ways.pod("client", 1, A), 41000, ways.pod("web", 2, B), 80
    )
    wire = Wire(tmp_path)
    for seen in walk.seen:
        wire.carry([seen], talk(seed)[begins.randrange(0, 60) :])
    (row,) = wire.connections()
    assert row["points"] == [
        seen.file.removesuffix(".pcap").replace(".", "/", 1) for seen in walk.seen
    ]


def at_one_nic(tmp_path, *walks):
    """Give the rows of what node-a's NIC saw, each connection open before."""
    wire = Wire(tmp_path)
    for n, walk in enumerate(walks):
        seen = [each for each in walk.seen if each.file == "node-a.eth0.pcap"]
        wire.carry(seen, tcp(*ways.numbers(n), first=3), at=n)
    return wire.connections()


def test_a_node_s_address_in_tunnels_is_no_server(tmp_path):
    made = ways.Ways(itertools.count(2000))
    own = made.to_service(ways.node(A), 41000, WEB, "ClusterIP", A, POD)
    (row,) = at_one_nic(tmp_path, own)
    assert (row["client_ip"], row["client_port"]) == ("10.1.1.0", 2000)


def test_whom_several_meet_serves(tmp_path):
    made = ways.Ways()
    calls = [
        made.direct(ways.outsider(n), 1500 + n, ways.node(A), 9100) for n in (0, 1)
    ]
    rows = at_one_nic(tmp_path, *calls)
    assert {row["client_ip"] for row in rows} == set(ways.OUTSIDE)


def test_the_backend_is_no_client_though_masquerading_took_a_lower_port(tmp_path):
    made = ways.Ways(itertools.count(7000))
    call = made.to_service(ways.pod("client", 1, C), 41000, WEB, "NodePort", A, POD)
    (row,) = at_one_nic(tmp_path, call)
    assert (row["client_ip"], row["client_port"]) == ("192.0.2.3", 7000)
    assert (row["snat_ip"], row["snat_port"]) == ("10.1.1.0", 7001)
    assert (row["backend_ip"], row["backend_port"]) == (POD.address, 8080)


@pytest.mark.parametrize("seed", range(12))
def test_captures_of_different_times_show_one_connection(tmp_path, seed):
    times = random.Random(seed)
    made = ways.Ways()
    client = ways.pod("client", 1, C)
    walk = made.to_service(client, 41000, WEB, "NodePort", A, POD)
    wire = Wire(tmp_path)
    for seen in walk.seen:
        begin, end = times.randrange(0, 30), times.randrange(50, 80)
        wire.carry([seen], talk(seed)[begin:end])
    (row,) = wire.connections()
    assert (row["destination_ip"], row["destination_port"]) == walk.destination
    assert (row["backend_ip"], row["backend_port"]) == walk.backend_end


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_port_that_is_used_again_at_once_is_another_connection(tmp_path, missing):
    walk = ways.Ways().direct(
        ways.pod("client", 1, A), 41000, ways.pod("web", 2, B), 80
    )
    wire = Wire(tmp_path)
    wire.carry(walk.seen, tcp(70_000_000, 80_000_000, first=missing))
    wire.carry(walk.seen, tcp(70_900_000, 80_065_537), at=0.05)
    first, second = wire.connections()
    assert first["points"] == second["points"]
    assert len(set(first["points"])) > 2
    assert (first["client_packets"], second["client_packets"]) == (
        {1: 4, 2: 4, 3: 3}[missing],
        5,
    )
