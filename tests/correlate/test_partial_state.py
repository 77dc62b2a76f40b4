"""From a part of a cluster's state follows what is in it, not that there is no more."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from analyzer.cluster import Cluster, Extent
from analyzer.cluster.inferred import as_objects, infer
from tests.cluster.objects import a_service, a_slice
from tests.correlate import lab
from tests.correlate.lab import (
    CLIENT_POD,
    NODE_A,
    NODE_B,
    NODE_PORT,
    OUTSIDE,
    POD_A,
    POD_B,
    TUNNEL_A,
    node_port,
)
from tests.correlate.simulated import Seen, Wire, tcp

CLIENT = (CLIENT_POD, 33000)
BEHIND = Seen("node-a.vxlan.calico.pcap", CLIENT, (POD_B, 80), ttl=63)
API_SERVER = a_service("kubernetes", 443, clusterIP="10.152.183.254")
BOTH = frozenset({4, 6})


def of_client(rows, client):
    (row,) = (r for r in rows if (r["client_ip"], r["client_port"]) == client)
    return row


def test_what_rules_are_not_about_was_called_by_its_own_address(tmp_path):
    wire = Wire(tmp_path)
    other = BEHIND._replace(server=(POD_B, 9100))
    wire.carry([other], tcp(1_000_000, 2_000_000))
    cluster = lab.cluster(tmp_path)
    (row,) = wire.connections(cluster)
    assert (row["destination_ip"], row["destination_kind"]) == (POD_B, "Pod")
    lists_alone = replace(cluster, extent=replace(cluster.extent, rules=frozenset()))
    (row,) = wire.connections(lists_alone)
    assert (row["destination_ip"], row["backend_ip"]) == (None, POD_B)


def test_beside_one_known_service_there_may_be_others(tmp_path):
    wire = Wire(tmp_path)
    wire.carry([BEHIND], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.saved(tmp_path, API_SERVER))
    assert (row["destination_ip"], row["destination_kind"]) == (None, None)
    assert (row["backend_ip"], row["backend_pod"]) == (POD_B, "web-b")
    assert (row["service_evidence"], row["candidates"]) == ("none", None)


def test_a_node_s_port_may_be_an_unlisted_service_s(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port(), tcp(5_000_000, 6_000_000), at=-0.5)
    wire.carry(node_port((OUTSIDE, 41001), remote=False), tcp(1_000_000, 2_000_000))
    rows = wire.connections(lab.saved(tmp_path, API_SERVER))
    row = of_client(rows, (OUTSIDE, 41001))
    assert (row["destination_ip"], row["destination_port"]) == (NODE_A, NODE_PORT)
    assert (row["backend_ip"], row["backend_evidence"]) == (None, "none")


@pytest.mark.parametrize("more", [[], [API_SERVER]])
def test_an_unknown_address_may_be_an_unlisted_service_s(tmp_path, more):
    wire = Wire(tmp_path)
    call = Seen("node-a.cali9.pcap", CLIENT, ("10.152.183.77", 80))
    wire.carry([call], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.saved(tmp_path, *more))
    assert row["destination_ip"] == "10.152.183.77"
    assert (row["destination_kind"], row["backend_ip"]) == (None, None)


def test_an_address_among_those_of_services_means_that_there_are_others(tmp_path):
    wire = Wire(tmp_path)
    call = Seen("node-a.cali9.pcap", CLIENT, ("10.152.183.77", 80))
    wire.carry([call], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert (row["destination_kind"], row["backend_ip"]) == (None, None)


def test_who_is_outside_is_known_if_pods_and_nodes_are(tmp_path):
    wire = Wire(tmp_path)
    call = Seen("node-a.cali9.pcap", CLIENT, (OUTSIDE, 443))
    wire.carry([call], tcp(1_000_000, 2_000_000))
    cluster = lab.cluster(tmp_path)
    (row,) = wire.connections(cluster)
    assert (row["destination_kind"], row["backend_ip"]) == ("External", OUTSIDE)
    some = replace(cluster, extent=replace(cluster.extent, pods=frozenset()))
    (row,) = wire.connections(some)
    assert (row["destination_ip"], row["destination_kind"]) == (OUTSIDE, None)


def test_a_rewritten_call_of_an_unlisted_front_means_that_there_are_others(tmp_path):
    wire = Wire(tmp_path)
    wire.carry([BEHIND._replace(server=(POD_B, 9100))], tcp(1_000_000, 2_000_000))
    cluster = lab.cluster(tmp_path)
    (row,) = wire.connections(cluster)
    assert row["destination_ip"] == POD_B
    unlisted = node_port((OUTSIDE, 41005))[:2]
    unlisted[0] = unlisted[0]._replace(server=(NODE_A, 31999))
    wire.carry(unlisted, tcp(3_000_000, 4_000_000), at=1)
    row = of_client(wire.connections(cluster), CLIENT)
    assert (row["backend_ip"], row["destination_ip"]) == (POD_B, None)


def test_a_masqueraded_call_of_no_service_means_that_there_are_others(tmp_path):
    wire = Wire(tmp_path)
    wire.carry([BEHIND._replace(server=(POD_B, 9100))], tcp(1_000_000, 2_000_000))
    inner = node_port()[2]._replace(server=(POD_B, 9100))
    wire.carry([inner], tcp(3_000_000, 4_000_000), at=1)
    row = of_client(wire.connections(lab.cluster(tmp_path)), CLIENT)
    assert (row["backend_ip"], row["destination_ip"]) == (POD_B, None)


def test_services_over_one_backend_are_candidates_only_if_all_are_known(tmp_path):
    wire = Wire(tmp_path)
    ends = ((TUNNEL_A, 50000), (POD_B, 80))
    call = Seen("node-b.eth0.pcap", *ends, ttl=64, outer=(NODE_A, NODE_B))
    wire.carry([call], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert row["candidates"] == [f"{POD_B}:80", "default/web"]
    without_endpoints = a_service("by-hand", 80, clusterIP="10.152.183.60")
    (row,) = wire.connections(lab.cluster(tmp_path, without_endpoints))
    assert (row["service_evidence"], row["candidates"]) == ("none", None)


def local_and_remote(tmp_path):
    """Give a call that node-a's NIC shows in a tunnel, and one that stayed there."""
    wire = Wire(tmp_path)
    wire.carry(node_port(), tcp(5_000_000, 6_000_000), at=-0.5)
    wire.carry(node_port((OUTSIDE, 41009)), tcp(7_000_000, 8_000_000), at=2)
    wire.carry(node_port((OUTSIDE, 41001), remote=False), tcp(1_000_000, 2_000_000))
    return wire


def stayed(wire, cluster):
    return of_client(wire.connections(cluster), (OUTSIDE, 41001))


def test_some_endpoints_eliminate_nobody_and_are_no_candidates(tmp_path):
    wire = local_and_remote(tmp_path)
    cluster = lab.cluster(tmp_path)
    assert stayed(wire, cluster)["backend_evidence"] == "eliminated"
    some = replace(cluster, extent=Extent(lists=BOTH, pods=BOTH, nodes=BOTH))
    row = stayed(wire, some)
    assert (row["service_name"], row["backend_ip"]) == ("web", None)
    assert (row["backend_evidence"], row["candidates"]) == ("none", None)


def test_an_answer_of_none_of_the_endpoints_means_that_there_are_others(tmp_path):
    wire = local_and_remote(tmp_path)
    stale = a_slice("web", (POD_A, 80), ("10.1.2.99", 80))
    row = stayed(wire, lab.cluster(tmp_path, stale))
    assert (row["service_name"], row["backend_ip"]) == ("web", None)
    assert row["backend_evidence"] == "none"


def test_an_endpoint_of_an_unknown_node_may_be_on_this_one(tmp_path):
    wire = local_and_remote(tmp_path)
    more = a_slice("web", (POD_A, 80), (POD_B, 80), ("10.1.2.99", 80))
    row = stayed(wire, lab.cluster(tmp_path, more))
    assert (row["backend_ip"], row["backend_evidence"]) == (None, "ambiguous")
    assert row["candidates"] == [f"{POD_A}:80", "10.1.2.99:80"]


@pytest.mark.parametrize(
    ("unready", "evidence", "backend", "candidates"),
    [
        (POD_A, "eliminated", POD_A, None),
        ("10.1.2.99", "ambiguous", None, [f"{POD_A}:80", "10.1.2.99:80"]),
    ],
)
def test_an_endpoint_that_is_not_ready_may_have_been(
    unready, evidence, backend, candidates, tmp_path
):
    wire = local_and_remote(tmp_path)
    others = {POD_A, POD_B, "10.1.2.99"} if backend is None else {POD_A, POD_B}
    slices = a_slice("web", *((ip, 80) for ip in sorted(others)))
    for endpoint in slices["endpoints"]:
        if endpoint["addresses"] == [unready]:
            endpoint["conditions"] = {"ready": False}
    row = stayed(wire, lab.cluster(tmp_path, slices))
    assert (row["backend_ip"], row["backend_evidence"]) == (backend, evidence)
    assert row["candidates"] == candidates


def test_an_endpoint_of_an_unknown_port_is_not_passed_over(tmp_path):
    wire = local_and_remote(tmp_path)
    more = a_slice("web", (POD_B, 80))
    anything = a_slice("web", (POD_A, 80)) | {"ports": None}
    port = {"port": 80, "targetPort": "http", "nodePort": NODE_PORT}
    row = stayed(wire, lab.cluster(tmp_path, more, anything, ports=[port]))
    assert (row["backend_ip"], row["backend_evidence"]) == (None, "none")


def test_what_packets_told_eliminates_nobody(tmp_path):
    wire = local_and_remote(tmp_path)
    tables = wire.tables()
    path = tmp_path / "inferred.json"
    path.write_text(json.dumps(as_objects(infer(tables.flows, tables.connections))))
    row = stayed(wire, Cluster.load([path]))
    assert row["service_name"] == "node-port-30080-tcp"
    assert (row["backend_ip"], row["backend_evidence"]) == (None, "none")


def test_a_node_behind_one_that_is_not_known_is_no_entry(tmp_path):
    wire = Wire(tmp_path)
    path = [
        Seen("node-z.cali9.pcap", ("10.1.9.9", 33000), (POD_B, 9100)),
        Seen("node-b.cali0.pcap", ("10.1.9.9", 33000), (POD_B, 9100), 62, 120),
    ]
    wire.carry(path, tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path))
    assert row["points"] == ["node-z/cali9", "node-b/cali0"]
    assert (row["backend_node"], row["entry_node"]) == ("node-b", None)
