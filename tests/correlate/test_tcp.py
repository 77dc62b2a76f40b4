"""TCP joins across NAT and tunnels by what they leave alone, and by nothing else."""

import pytest

from tests.correlate import ways
from tests.correlate.lab import CLIENT_POD, NODE_A, OUTSIDE, POD_B, TUNNEL_A, node_port
from tests.correlate.simulated import Seen, Wire, tcp


def test_all_sightings_of_a_translated_connection_are_one_row(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port(), tcp(1_000_000, 2_000_000))
    (row,) = wire.connections()
    assert (row["client_ip"], row["client_port"]) == (OUTSIDE, 41000)
    assert (row["destination_ip"], row["destination_port"]) == (NODE_A, 30080)
    assert (row["snat_ip"], row["snat_port"]) == (TUNNEL_A, 52000)
    assert (row["backend_ip"], row["backend_port"]) == (POD_B, 80)
    assert row["client_packets"] == 5
    assert row["points"] == [
        "node-a/eth0",
        "node-a/eth0",
        "node-b/eth0",
        "node-b/cali0",
    ]


def test_connections_at_the_same_time_stay_apart(tmp_path):
    wire = Wire(tmp_path)
    for number in range(20):
        exchange = tcp(70_000 + 7919 * number, 90_000 + 6007 * number)
        wire.carry(node_port((OUTSIDE, 41000 + number), 52000 + number), exchange)
    rows = wire.connections()
    assert len(rows) == 20
    assert all(row["snat_port"] - row["client_port"] == 11000 for row in rows)


@pytest.mark.parametrize("numbers", [(0, 0), (1000, 5000)])
def test_made_up_numbers_join_no_clients(tmp_path, numbers):
    wire = Wire(tmp_path)
    for number in range(3):
        path = node_port((OUTSIDE, 41000 + number), 52000 + number)
        # Hand-made captures have the same numbers in every connection.
        wire.carry(path, tcp(*numbers, tsval=number), at=number / 1000)
    rows = wire.connections()
    fronts = [row for row in rows if row["client_ip"] == OUTSIDE]
    assert sorted(row["client_port"] for row in fronts) == [41000, 41001, 41002]
    assert all(row["backend_ip"] in (None, POD_B) for row in fronts)


def test_made_up_numbers_join_no_ways_of_other_lengths(tmp_path):
    wire = Wire(tmp_path)
    web = ways.pod("web", 2, "node-a")
    own = ways.Ways().direct(ways.node("node-a"), 41000, web, 8080)
    other = ways.Ways().direct(ways.pod("client", 1, "node-c"), 42000, web, 8080)
    at_a = [seen for seen in other.seen if seen.file.startswith("node-a.cali")]
    for n, seen in enumerate((own.seen, at_a)):
        wire.carry(seen, tcp(0, 0, tsval=n), at=n / 1000)
    assert len(wire.connections()) == 2


def test_an_unanswered_call_is_joined_by_its_syn(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port(), tcp(1_000_000, 0, is_answered=False))
    (row,) = wire.connections()
    assert (row["backend_ip"], row["tcp_state"]) == (POD_B, "S0")


def test_the_same_number_with_another_timestamp_is_another_syn(tmp_path):
    wire = Wire(tmp_path)
    before, *behind = node_port()
    wire.carry([before], tcp(1_000_000, 0, is_answered=False, tsval=5))
    wire.carry(behind, tcp(1_000_000, 0, is_answered=False, tsval=6))
    assert len(wire.connections()) == 2


def test_a_five_tuple_used_again_is_another_connection(tmp_path):
    wire = Wire(tmp_path)
    for number in range(3):
        exchange = tcp(1_000_000 + 99_991 * number, 2_000_000 + 77_773 * number)
        wire.carry(node_port(snat=52000 + number), exchange, at=number)
    assert [row["snat_port"] for row in wire.connections()] == [52000, 52001, 52002]


def test_what_a_timeout_has_cut_is_one_connection(tmp_path):
    wire = Wire(tmp_path)
    exchange = tcp(1_000_000, 2_000_000)
    wire.carry(node_port(), exchange[:5])
    wire.carry(node_port(), exchange[5:], at=20)
    (row,) = wire.connections(idle_timeout=10)
    assert row["client_packets"] + row["backend_packets"] == len(exchange)


def test_a_capture_that_began_late_belongs_to_it_too(tmp_path):
    wire = Wire(tmp_path)
    before, *behind = node_port()
    wire.carry([before], tcp(1_000_000, 2_000_000, first=3))
    wire.carry(behind, tcp(1_000_000, 2_000_000))
    (row,) = wire.connections()
    assert (row["client_ip"], row["backend_ip"]) == (OUTSIDE, POD_B)


def test_a_connection_whose_beginning_nobody_saw_is_one_row(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port(), tcp(1_000_000, 2_000_000, first=3))
    (row,) = wire.connections()
    assert (row["client_ip"], row["client_port"]) == (OUTSIDE, 41000)
    assert (row["backend_ip"], row["backend_port"]) == (POD_B, 80)


def test_dnat_alone_leaves_no_snat(tmp_path):
    wire = Wire(tmp_path)
    client = (CLIENT_POD, 33000)
    path = [
        Seen("node-a.cali9.pcap", client, ("10.152.183.50", 80), ttl=64),
        Seen("node-a.vxlan.calico.pcap", client, (POD_B, 80), ttl=63, delay=20),
    ]
    wire.carry(path, tcp(1_000_000, 2_000_000))
    (row,) = wire.connections()
    assert (row["snat_ip"], row["destination_ip"]) == (None, "10.152.183.50")
    assert row["backend_ip"] == POD_B
