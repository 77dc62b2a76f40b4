"""Names are those that the evidence allows, and none where it allows several."""

import polars as pl
import pytest

from analyzer.correlate.backends import cut_short
from tests.correlate import lab
from tests.correlate.lab import (
    CLIENT_POD,
    NODE_A,
    NODE_B,
    NODE_PORT,
    OUTSIDE,
    POD_A,
    POD_B,
    SERVICE_IP,
    TUNNEL_A,
    node_port,
)
from tests.correlate.simulated import Seen, Wire, tcp


def test_a_joined_call_is_named_on_both_sides(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port(), tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert (row["service_name"], row["destination_kind"]) == ("web", "NodePort")
    assert (row["backend_pod"], row["backend_node"]) == ("web-b", "node-b")
    assert (row["service_evidence"], row["backend_evidence"]) == ("observed",) * 2
    assert row["entry_node"] == "node-a"


def test_without_cluster_state_nothing_is_named(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port(), tcp(1_000_000, 2_000_000))
    (row,) = wire.connections()
    named = ("service_name", "backend_pod", "backend_workload", "client_pod")
    assert [row[name] for name in named] == [None] * 4
    assert (row["service_evidence"], row["backend_evidence"]) == ("none", "observed")


def local_call(tmp_path, *, with_tunnels):
    wire = Wire(tmp_path)
    if with_tunnels:
        wire.carry(node_port(), tcp(5_000_000, 6_000_000), at=-0.5)
        wire.carry(node_port((OUTSIDE, 41009)), tcp(7_000_000, 8_000_000), at=2)
    wire.carry(node_port((OUTSIDE, 41001), remote=False)[:1], tcp(1_000_000, 2_000_000))
    rows = wire.connections(lab.cluster(tmp_path))
    return next(row for row in rows if row["client_port"] == 41001)


def test_what_left_no_tunnel_was_answered_on_the_node(tmp_path):
    row = local_call(tmp_path, with_tunnels=True)
    assert (row["backend_ip"], row["backend_pod"]) == (POD_A, "web-a")
    assert row["backend_evidence"] == "eliminated"


def test_a_capture_that_shows_no_tunnels_eliminates_nobody(tmp_path):
    row = local_call(tmp_path, with_tunnels=False)
    assert (row["backend_ip"], row["backend_evidence"]) == (None, "ambiguous")
    assert row["candidates"] == [f"{POD_A}:80", f"{POD_B}:80"]


def test_a_call_that_nobody_answered_has_no_backend(tmp_path):
    wire = Wire(tmp_path)
    path = node_port(remote=False)
    wire.carry(path, tcp(1_000_000, 0, is_answered=False))
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert (row["service_name"], row["backend_ip"]) == ("web", None)
    assert row["backend_evidence"] == "none"


def test_a_host_s_own_call_has_candidates_and_no_destination(tmp_path):
    wire = Wire(tmp_path)
    ends = ((TUNNEL_A, 50000), (POD_B, 80))
    wire.carry(
        [Seen("node-b.eth0.pcap", *ends, ttl=64, outer=(NODE_A, NODE_B))],
        tcp(1_000_000, 2_000_000),
    )
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert (row["destination_ip"], row["service_name"]) == (None, None)
    assert row["service_evidence"] == "ambiguous"
    assert row["candidates"] == [f"{POD_B}:80", "default/web"]
    assert (row["backend_pod"], row["client_node"]) == ("web-b", "node-a")


def test_a_masqueraded_call_is_of_the_only_service_that_fits(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port()[2:3], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert (row["service_name"], row["service_evidence"]) == ("web", "unique")
    assert row["destination_ip"] is None
    assert row["entry_node"] == "node-a"


def test_a_pod_s_direct_call_is_told_from_a_translated_one(tmp_path):
    wire = Wire(tmp_path)
    client = (CLIENT_POD, 33000)
    direct = Seen("node-a.cali9.pcap", client, (POD_B, 80), ttl=64)
    wire.carry([direct], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert (row["destination_ip"], row["destination_kind"]) == (POD_B, "Pod")
    assert row["service_name"] is None


def test_what_is_seen_behind_translation_only_is_not_taken_for_a_direct_call(tmp_path):
    wire = Wire(tmp_path)
    behind = Seen("node-a.vxlan.calico.pcap", (CLIENT_POD, 33000), (POD_B, 80), ttl=63)
    wire.carry([behind], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert (row["destination_ip"], row["destination_kind"]) == (None, None)
    assert row["service_evidence"] == "ambiguous"


def test_a_pod_that_reaches_itself_by_its_service_is_a_hairpin(tmp_path):
    wire = Wire(tmp_path)
    path = [
        Seen("node-a.cali5.pcap", (POD_A, 33000), (SERVICE_IP, 80), ttl=64),
        Seen("node-a.cali5.pcap", (NODE_A, 50123), (POD_A, 80), ttl=63, delay=15),
    ]
    wire.carry(path, tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert row["is_hairpin"]
    assert (row["client_pod"], row["backend_pod"]) == ("web-a", "web-a")
    assert row["snat_ip"] == NODE_A


@pytest.mark.parametrize("length", [60, 84, 88])
def test_a_leg_whose_numbers_were_cut_off_eliminates_nobody(length, tmp_path):
    wire = Wire(tmp_path)
    for number in range(3):
        path = node_port((OUTSIDE, 41000 + number), 52000 + number)[:2]
        wire.carry(path, tcp(1_000_000 + number, 2_000_000), at=number)
    wire.cut(length)
    for row in wire.connections(lab.cluster(tmp_path)):
        assert row["backend_ip"] in (None, POD_B)


def tunnels_at(point, outer, inner, *, port=None, number=None):
    is_read = port is None
    return {
        "point": point,
        "protocol": "tcp" if is_read else "udp",
        "tunnel": "vxlan" if is_read else None,
        "responder_port": 80 if is_read else port,
        "originator_ip": inner if is_read else outer,
        "outer_originator_ip": outer if is_read else None,
        "originator_seq_start": number,
        "responder_seq_start": None,
    }


@pytest.mark.parametrize(
    ("flows", "hidden"),
    [
        ([tunnels_at("a", NODE_A, POD_A, number=7)], set()),
        ([tunnels_at("a", NODE_A, POD_A)], {("a", False)}),
        ([tunnels_at("a", "fd00::1", "", port=4789)], {("a", False), ("a", True)}),
        (
            [
                tunnels_at("a", NODE_A, POD_A, number=7),
                tunnels_at("a", "fd00::1", "", port=4789),
                tunnels_at("b", NODE_A, POD_A, number=7),
            ],
            {("a", True)},
        ),
        (
            [
                tunnels_at("a", NODE_A, POD_A, number=7),
                tunnels_at("a", NODE_A, "", port=8472),
            ],
            {("a", False), ("a", True)},
        ),
    ],
)
def test_tunnels_that_were_cut_hide_what_may_be_in_them(flows, hidden):
    schema = {
        name: pl.UInt32 if "_seq_" in name or "_port" in name else pl.String
        for name in flows[0]
    }
    found = cut_short(pl.LazyFrame(flows, schema=schema))
    assert {(row["point"], row["is_v6"]) for row in found.to_dicts()} == hidden


@pytest.mark.parametrize("kind", ["NodePort", "ClusterIP"])
def test_a_node_s_port_that_was_another_service_s_has_no_name(kind, tmp_path):
    wire = Wire(tmp_path)
    path = node_port()
    if kind == "ClusterIP":
        arriving = Seen("node-a.cali9.pcap", (CLIENT_POD, 40000), (SERVICE_IP, 80))
        path = [arriving, *path[1:]]
    wire.carry(path, tcp(1_000_000, 2_000_000))
    port = {"port": 80, "targetPort": 90, "nodePort": NODE_PORT}
    state = lab.cluster(tmp_path, ports=[port])
    (row,) = wire.connections(state)
    assert row["backend_ip"] == POD_B
    # Its own address is a service's for good, whatever port it sends to now.
    name = "web" if kind == "ClusterIP" else None
    assert (row["service_name"], row["destination_kind"]) == (name, kind)
