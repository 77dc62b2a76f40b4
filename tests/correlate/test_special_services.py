"""Services that are not what most are, and addresses that several pods have had."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.cluster.objects import a_service, a_slice
from tests.correlate import lab
from tests.correlate.lab import (
    CLIENT_POD,
    NODE_A,
    NODE_B,
    NODE_PORT,
    OUTSIDE,
    POD_B,
    node_port,
)
from tests.correlate.simulated import START, Seen, Wire, tcp

CLIENT = (CLIENT_POD, 33000)
WEB = {"app": "web"}


def masqueraded(tmp_path, *more, **service):
    """Name a call that only its tunnel shows."""
    wire = Wire(tmp_path)
    wire.carry(node_port()[2:3], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path, *more, **service))
    return row


def test_a_headless_service_is_nobody_s_destination(tmp_path):
    headless = a_service("peers", 80, clusterIP="None", selector=WEB)
    row = masqueraded(tmp_path, headless)
    assert (row["service_name"], row["service_evidence"]) == ("web", "unique")
    assert row["candidates"] is None


def test_a_pod_behind_a_headless_service_alone_is_called_directly(tmp_path):
    wire = Wire(tmp_path)
    call = Seen("node-a.vxlan.calico.pcap", CLIENT, (POD_B, 7000), ttl=63)
    wire.carry([call], tcp(1_000_000, 2_000_000))
    port = {"port": 7000, "targetPort": 7000}
    headless = a_service("peers", port, clusterIP="None", selector=WEB)
    (row,) = wire.connections(lab.cluster(tmp_path, headless))
    assert (row["destination_ip"], row["destination_kind"]) == (POD_B, "Pod")
    assert row["service_name"] is None


def test_an_external_name_is_nobody_s_address(tmp_path):
    outside = a_service("db", type="ExternalName", externalName="db.example.com")
    row = masqueraded(tmp_path, outside)
    assert (row["service_name"], row["service_evidence"]) == ("web", "unique")


def test_a_load_balancer_without_an_address_still_has_its_node_port(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port()[:2], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path, type="LoadBalancer"))
    assert (row["service_name"], row["destination_kind"]) == ("web", "NodePort")
    assert row["backend_pod"] == "web-b"


@pytest.mark.parametrize("known_by", ["externalIPs", "status"])
def test_an_external_address_is_its_service_s(tmp_path, known_by):
    address = "203.0.113.9"
    where = {
        "externalIPs": {"externalIPs": [address]},
        "status": {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}},
    }
    wire = Wire(tmp_path)
    arriving, inner, *_ = node_port()
    arriving = arriving._replace(server=(address, 80))
    wire.carry([arriving, inner], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path, **where[known_by]))
    assert (row["service_name"], row["destination_kind"]) == ("web", "LoadBalancer")
    assert (row["destination_ip"], row["backend_ip"]) == (address, POD_B)
    assert row["entry_node"] == "node-a"


def test_services_over_the_same_pods_are_all_candidates(tmp_path):
    twin = a_service("twin", 80, clusterIP="10.152.183.51", selector=WEB)
    row = masqueraded(tmp_path, twin)
    assert (row["service_name"], row["service_evidence"]) == (None, "ambiguous")
    assert row["candidates"] == ["default/twin", "default/web"]
    assert row["backend_pod"] == "web-b"


def other_on_the_same_node_port():
    port = {"port": 90, "targetPort": 90, "nodePort": NODE_PORT}
    return [
        a_service("later", port, type="NodePort", clusterIP="10.152.183.52"),
        a_slice("later", ("10.1.2.77", 90)),
    ]


def test_of_services_that_had_one_node_port_the_backend_tells_which(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port(), tcp(1_000_000, 2_000_000))
    wire.carry(node_port((OUTSIDE, 41002))[:1], tcp(3_000_000, 4_000_000), at=1)
    cluster = lab.cluster(tmp_path, *other_on_the_same_node_port())
    joined, alone = wire.connections(cluster)
    assert (joined["service_name"], joined["backend_pod"]) == ("web", "web-b")
    assert (alone["service_name"], alone["backend_ip"]) == (None, None)
    assert alone["service_evidence"] == "ambiguous"
    assert alone["candidates"] == ["default/later", "default/web"]


def stayed(tmp_path, **service):
    """Name a call of node-a's port of which nothing left node-a, where tunnels show."""
    wire = Wire(tmp_path)
    wire.carry(node_port(), tcp(5_000_000, 6_000_000), at=-0.5)
    wire.carry(node_port((OUTSIDE, 41009)), tcp(7_000_000, 8_000_000), at=2)
    wire.carry(node_port((OUTSIDE, 41001), remote=False), tcp(1_000_000, 2_000_000))
    rows = wire.connections(lab.cluster(tmp_path, **service))
    return next(row for row in rows if row["client_port"] == 41001)


def test_session_affinity_does_not_tell_a_backend(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(node_port((OUTSIDE, 41001), remote=False), tcp(1_000_000, 2_000_000))
    cluster = lab.cluster(tmp_path, sessionAffinity="ClientIP")
    (row,) = wire.connections(cluster)
    assert (row["backend_ip"], row["backend_evidence"]) == (None, "ambiguous")


def test_a_local_policy_leaves_the_source_and_the_node_s_own_pods(tmp_path):
    row = stayed(tmp_path, externalTrafficPolicy="Local")
    assert (row["backend_pod"], row["backend_evidence"]) == ("web-a", "eliminated")
    assert row["snat_ip"] is None


def host_pods():
    return [
        lab.a_lab_pod("host-1", NODE_B, "node-b", app="host", hostNetwork=True),
        lab.a_lab_pod("exporter", NODE_B, "node-b", app="exporter", hostNetwork=True),
    ]


def test_of_pods_with_a_node_s_address_the_service_tells_which(tmp_path):
    port = {"port": 80, "targetPort": 8888, "nodePort": 30888}
    service = a_service(
        "host",
        port,
        type="NodePort",
        clusterIP="10.152.183.53",
        selector={"app": "host"},
    )
    wire = Wire(tmp_path)
    arriving = node_port()[0]._replace(server=(NODE_A, 30888))
    leaving = Seen("node-a.eth0.pcap", (NODE_A, 50000), (NODE_B, 8888), 63, 40)
    wire.carry([arriving, leaving], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path, *host_pods(), service))
    assert (row["service_name"], row["backend_ip"]) == ("host", NODE_B)
    assert (row["backend_pod"], row["backend_node"]) == ("host-1", "node-b")


def test_pods_with_a_node_s_address_are_not_told_apart_without_a_service(tmp_path):
    wire = Wire(tmp_path)
    call = Seen("node-b.eth0.pcap", (OUTSIDE, 41000), (NODE_B, 9100))
    wire.carry([call], tcp(1_000_000, 2_000_000))
    (row,) = wire.connections(lab.cluster(tmp_path, *host_pods()))
    assert (row["destination_kind"], row["backend_node"]) == ("Node", "node-b")
    assert row["backend_pod"] is None


GONE = "10.1.2.66"


def finished(name, end):
    state = {"terminated": {"finishedAt": end.isoformat()}}
    status = {"containerStatuses": [{"name": "c", "state": state}]}
    return lab.a_lab_pod(
        name, GONE, "node-b", app="job", phase="Succeeded", ready="False", status=status
    )


def of_the_job(tmp_path, *pods):
    wire = Wire(tmp_path)
    wire.carry(
        [Seen("node-b.cali7.pcap", (GONE, 40000), (POD_B, 80))],
        tcp(1_000_000, 2_000_000),
    )
    (row,) = wire.connections(lab.cluster(tmp_path, *pods))
    return row


THEN = datetime.fromtimestamp(START // 1_000_000_000, UTC)


def test_an_address_that_was_used_again_is_the_running_pod_s(tmp_path):
    running = lab.a_lab_pod("next", GONE, "node-b", app="job")
    row = of_the_job(tmp_path, finished("job-1", THEN.replace(year=2025)), running)
    assert row["client_pod"] == "next"


def test_a_pod_that_ended_after_the_capture_has_its_address(tmp_path):
    row = of_the_job(tmp_path, finished("job-1", THEN.replace(year=2027)))
    assert (row["client_pod"], row["client_node"]) == ("job-1", "node-b")


def test_a_pod_that_had_ended_before_the_capture_called_nobody(tmp_path):
    row = of_the_job(tmp_path, finished("job-1", THEN.replace(year=2025)))
    assert (row["client_ip"], row["client_pod"]) == (GONE, None)
    assert (row["client_namespace"], row["backend_pod"]) == (None, "web-b")


LATE, SINCE = "10.1.2.77", {"startTime": THEN.replace(year=2027).isoformat()}


def test_a_pod_that_was_started_after_the_capture_is_not_named(tmp_path):
    """Its address was somebody else's then."""
    wire = Wire(tmp_path)
    wire.carry(
        [Seen("node-b.cali7.pcap", (LATE, 40000), (POD_B, 80))],
        tcp(1_000_000, 2_000_000),
    )
    late = lab.a_lab_pod("next", LATE, "node-b", status=SINCE)
    (row,) = wire.connections(lab.cluster(tmp_path, late))
    assert (row["client_pod"], row["client_node"]) == (None, None)
    assert row["backend_pod"] == "web-b"


def called(tmp_path, **status):
    """Give the row of a call to a port behind which there is one pod now."""
    wire = Wire(tmp_path)
    wire.carry(
        [Seen("node-a.eth0.pcap", (OUTSIDE, 40000), (NODE_A, 30090), reply_ttl=62)],
        tcp(1_000_000, 2_000_000),
    )
    port = {"port": 70, "targetPort": 7000, "nodePort": 30090}
    service = a_service("new", port, type="NodePort", selector={"app": "new"})
    pod = lab.a_lab_pod("new-1", LATE, "node-b", app="new", status=status)
    (row,) = wire.connections(lab.cluster(tmp_path, service, pod))
    return row


def test_what_was_started_later_is_not_all_that_was_behind_a_service(tmp_path):
    row = called(tmp_path)
    assert (row["backend_pod"], row["backend_evidence"]) == ("new-1", "unique")
    row = called(tmp_path, **SINCE)
    assert (row["service_name"], row["backend_evidence"]) == ("new", "none")
    assert row["backend_pod"] is None
