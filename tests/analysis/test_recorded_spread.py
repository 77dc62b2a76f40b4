"""What is counted on recordings is what conntrack and the servers' logs say."""

import dataclasses
import re
from collections import Counter
from datetime import UTC, datetime

import polars as pl
import pytest

from analyzer.analysis import spread
from analyzer.cluster.model import Endpoint, Pod
from tests.analysis.recorded import (
    ALL,
    RECORDINGS,
    backend,
    changes,
    cluster,
    connections,
    counted,
    nic_connections,
    services,
    spread_of,
    true_counts,
    truth,
)


def of(service, records):
    return [each for each in records if each["service"] == service]


def test_every_recording_is_here():
    assert set(ALL) == {path.parent.name for path in RECORDINGS.glob("*/truth.jsonl")}


@pytest.mark.parametrize("recording", ALL)
def test_connections_per_backend_are_those_of_conntrack(recording):
    found = spread_of(recording, conntrack=True).backends
    for service in services(recording):
        expected = true_counts(of(service, truth(recording)))
        assert counted(found, service) == expected, service


@pytest.mark.parametrize("recording", ALL)
def test_captures_alone_tell_the_backend_of_every_call_that_they_show(recording):
    found = spread_of(recording).backends
    for service in services(recording):
        calls = [
            each
            for each in of(service, truth(recording))
            if each["captures"]["pre_dnat"]
        ]
        expected = Counter(
            None if is_left_open(each) else backend(each) for each in calls
        )
        assert counted(found, service) == expected, service


def is_left_open(record):
    """Tell if it is a datagram that was seen at its client's device and nowhere else.

    It has no numbers by which it would be recognised behind DNAT, so nothing follows
    from its being in no other capture.
    """
    return record["proto"] == "udp" and len(record["captures"]["seen"]) == 1


@pytest.mark.parametrize("recording", ALL)
def test_requests_per_pod_are_those_of_the_servers_logs(recording):
    calls = connections(recording, conntrack=True)
    found = spread_with_whole_logs(recording, calls)
    told = 0
    for service in services(recording):
        logged = logged_requests(of(service, truth(recording)))
        if logged:
            assert counted(found, service, "requests") == logged, service
            told += sum(logged.values())
    assert told


def spread_with_whole_logs(recording, calls, **asked):
    """Leave out what was open before: its server logged requests that were, too."""
    open_before = [
        (each["client"]["ip"], each["client"]["port"])
        for each in truth(recording)
        if each["open_before_capture"]
    ]
    client = pl.concat_list(pl.col("client_ip").cast(pl.String), "client_port")
    left_out = [[ip, str(port)] for ip, port in open_before]
    kept = calls.filter(~client.is_in(left_out)) if open_before else calls
    return spread(kept.lazy(), cluster=cluster(recording), **asked).backends


def logged_requests(calls):
    """Give the requests that each pod's server logged; none if it kept no log."""
    if not any(each["requests"] for each in calls):
        return {}
    return true_counts(
        [each for each in calls if not each["open_before_capture"]],
        lambda each: each["requests"] or 0,
    )


@pytest.mark.parametrize("recording", ALL)
def test_a_daemon_set_has_the_connections_of_all_its_services(recording):
    found = spread_of(recording).backends
    pods = {
        pod.name: (pod.namespace, pod.workload.removeprefix("DaemonSet/"))
        for pod in cluster(recording).pods
        if pod.workload.startswith("DaemonSet/") and not pod.host_network
    }
    called = [
        each
        for each in truth(recording)
        if backend_pod(each) in pods
        and (each["kind"] != "direct" or may_be_a_call_of_a_service(each))
    ]
    for namespace, name in sorted(set(pods.values())):
        expected = true_counts(
            each for each in called if pods[backend_pod(each)] == (namespace, name)
        )
        subject = f"{namespace}/{name}"
        assert counted(found, subject, kind="DaemonSet") == expected, subject


def may_be_a_call_of_a_service(record):
    """Tell if it was rewritten by its host, before any device, for all one sees."""
    is_far = record["backend"]["node"] != record["client"]["node"]
    return record["client"]["kind"] == "host" and is_far


def test_a_daemon_set_s_connections_of_no_known_service_are_told():
    hosts = [
        each
        for each in truth("clusterip")
        if each["client"]["kind"] == "host"
        and (backend_pod(each) or "").startswith("nginx-ds")
    ]
    assert {each["kind"] for each in hosts} == {"ClusterIP", "direct"}
    found = spread_of("clusterip").subjects.filter(
        pl.col("subject_kind") == "DaemonSet", pl.col("subject") == "default/nginx-ds"
    )
    sentence = found["sentences"].item()[-1]
    assert sentence.startswith(f"{len(hosts)} connections are of no known service")


def backend_pod(record):
    return record["backend"].get("pod")


def entries():
    """Give each NIC by which calls of a service came in, of each recording."""
    for recording in ALL:
        for path in sorted((RECORDINGS / recording).glob("k8s-*.ens18*")):
            node = path.name.split(".")[0]
            for service in services(recording):
                if came_in(recording, node, service):
                    yield recording, path.name, service


def came_in(recording, node, service):
    return [
        each
        for each in of(service, truth(recording))
        if each["entry_node"] == node and each["client"]["kind"] == "external"
    ]


@pytest.mark.parametrize(("recording", "file", "service"), [*entries()])
def test_the_entry_node_s_nic_tells_every_backend_and_request(recording, file, service):
    expected = came_in(recording, file.split(".")[0], service)
    calls = nic_connections(recording, file).filter(pl.col("client_node").is_null())
    found = spread(calls.lazy(), cluster=cluster(recording), service=service)
    assert counted(found.backends, service) == true_counts(expected)
    logged = logged_requests(expected)
    if logged:
        found = spread_with_whole_logs(recording, calls, service=service)
        assert counted(found, service, "requests") == logged


def test_every_call_from_outside_came_in_by_one_of_these_nics():
    covered = sum(
        len(came_in(recording, file.split(".")[0], service))
        for recording, file, service in entries()
    )
    from_outside = [
        each
        for recording in ALL
        for each in truth(recording)
        if each["service"] and each["client"]["kind"] == "external"
    ]
    assert covered == len(from_outside) > 500


def test_entry_nodes_answer_some_of_what_comes_in_themselves():
    assert len([*entries()]) > 30
    for recording in set(ALL) - {"clusterip", "drops"}:
        local = [
            each
            for each in truth(recording)
            if each["client"]["kind"] == "external"
            and each["backend"].get("node") == each["entry_node"]
        ]
        assert local, recording


@pytest.mark.parametrize("recording", ALL)
def test_no_connection_to_a_service_is_dropped(recording):
    found = spread_of(recording)
    totals = dict(
        found.subjects.filter(pl.col("subject_kind") == "Service")
        .select("subject", pl.col("total") + pl.col("possible"))
        .rows()
    )
    for service in services(recording):
        assert totals.get(service, 0) >= len(of(service, truth(recording))), service


def test_unknown_backends_are_a_row_of_their_own():
    found = spread_of("mixed", service="default/empty")
    rows = found.backends.select("group", "connections", "share").rows()
    assert rows == [(None, 4.0, None)]
    assert (
        found.subjects["sentences"].item()[0] == "The service has no ready endpoints."
    )


def test_endpoints_that_got_nothing_are_listed():
    table = spread_of("spread-skewed", service="sticky-apache-ds").backends
    got = dict(table.select("group", "connections").rows())
    assert got == {
        "apache-ds-bmtwp": 47,
        "apache-ds-kzpns": 0,
        "apache-ds-t6th6": 0,
        "apache-ds-xv25j": 0,
    }


def test_what_captures_would_not_show_is_not_said_to_be_nothing():
    table = spread_of("loadbalancer", "k8s-worker01.ens18.pcap.gz").backends
    redis = table.filter(pl.col("subject") == "default/lb-redis-ds")
    assert dict(redis.select("group", "share").rows()) == {
        "redis-ds-bv2t9": 1.0,
        "redis-ds-d2ps6": None,
        "redis-ds-pfrpl": None,
        "redis-ds-zw869": None,
    }


@pytest.mark.parametrize(
    ("file", "subjects"), [(None, 5), ("k8s-master.ens18.pcap.gz", 2)]
)
def test_even_traffic_is_consistent_with_chance(file, subjects):
    found = spread_of("spread-even", file).subjects
    tested = found.filter(pl.col("p_value").is_not_null())
    assert len(tested) == subjects
    assert set(tested["verdict"]) == {"consistent"}


def test_the_pods_that_joined_late_are_named_with_the_moment():
    found = spread_of("spread-skewed")
    row = found.subjects.row(
        by_predicate=pl.col("subject") == "default/lb-nginx-ds", named=True
    )
    assert row["verdict"] == "uneven"
    assert row["p_value"] < 1e-9
    (scenario,) = [
        each["time"] for each in changes("spread-skewed") if "ready" in each["note"]
    ]
    changed = found.changes.filter(
        pl.col("subject") == "default/lb-nginx-ds", pl.col("share_before") == 0
    )
    assert set(changed["group"]) == {"nginx-ds-gvx8m", "nginx-ds-k4ndq"}
    seconds = changed.select(
        pl.col("time", "earliest", "latest").dt.epoch("ns") / 1e9
    ).row(0)
    assert abs(seconds[0] - scenario) < 0.1
    assert seconds[1] <= scenario <= seconds[2]
    assert "nginx-ds-gvx8m and nginx-ds-k4ndq received nothing before" in " ".join(
        row["sentences"]
    )


@pytest.mark.parametrize("file", [None, "k8s-worker01.ens18.pcap.gz"])
def test_the_pod_that_left_the_moment_and_the_long_lived_connection_are_named(file):
    found = spread_of("spread-unready", file, conntrack=file is None)
    row = found.subjects.row(
        by_predicate=pl.col("subject") == "default/lb-nginx-ds", named=True
    )
    assert row["verdict"] == "uneven"
    told = " ".join(row["sentences"])
    assert "nginx-ds-k4ndq got" in row["sentences"][0]
    assert "nginx-ds-k4ndq received nothing after" in told
    (left,) = [each["time"] for each in changes("spread-unready")]
    (change,) = found.changes.filter(
        pl.col("subject") == "default/lb-nginx-ds"
    ).to_dicts()
    assert (change["group"], change["share_after"]) == ("nginx-ds-k4ndq", 0)
    assert abs(change["time"].timestamp() - left) < 1
    assert change["earliest"].timestamp() <= left <= change["latest"].timestamp()
    longest = max(
        of("default/lb-nginx-ds", truth("spread-unready")),
        key=lambda each: each["requests"],
    )
    client = longest["client"]
    named = f"one long-lived connection, {client['ip']}:{client['port']} "
    assert f"Requests are less even than connections: {backend_pod(longest)}" in told
    assert named in told


def test_rules_of_another_time_are_told_with_the_moment():
    """With the rules that hold once the pod has left, its calls are impossible."""
    before = cluster("spread-unready")
    (address,) = {
        ip for pod in before.pods if pod.name == "nginx-ds-k4ndq" for ip in pod.ips
    }
    after = dataclasses.replace(
        before,
        endpoints=tuple(each for each in before.endpoints if each.address != address),
        rules=tuple(
            dataclasses.replace(
                rule,
                backends=tuple(
                    each for each in rule.backends or () if each.address != address
                ),
            )
            for rule in before.rules
        ),
    )
    found = spread(
        connections("spread-unready", conntrack=True).lazy(),
        cluster=after,
        service="lb-nginx-ds",
    )
    (told,) = [
        each for each in found.subjects["sentences"].item() if "another time" in each
    ]
    moment = re.search(r"received 4 connections \(none after (\d\d:\d\d:\d\d)", told)[1]
    last = connections("spread-unready", conntrack=True).filter(
        pl.col("backend_pod").cast(pl.String) == "nginx-ds-k4ndq",
        pl.col("service_name").cast(pl.String) == "lb-nginx-ds",
    )["start_time"]
    assert moment == last.max().strftime("%H:%M:%S")


def test_affinity_makes_the_client_the_unit():
    row = spread_of("spread-skewed", service="sticky-apache-ds").subjects.row(
        0, named=True
    )
    assert (row["verdict"], row["choices"]) == ("consistent", 2)
    assert row["p_value"] == pytest.approx(0.25, abs=0.02)  # both clients on one of 4
    assert "ClientIP affinity" in row["null_hypothesis"]


def test_a_local_traffic_policy_explains_what_it_does():
    row = spread_of("mixed", service="local-nginx-ds").subjects.row(0, named=True)
    assert row["verdict"] == "explained"
    assert "Local" in row["sentences"][0]


@pytest.mark.parametrize(
    ("unit", "measure"), [("Bytes", "response_bytes"), ("Requests", "requests")]
)
def test_the_long_lived_connection_that_carries_most_is_named(unit, measure):
    found = spread_of("loadbalancer", conntrack=True, service="lb-nginx-ds")
    sentences = found.subjects["sentences"].item().to_list()
    (told,) = [text for text in sentences if text.startswith(unit)]
    pod = re.search(r"(nginx-ds-\w+) has", told)[1]
    to_pod = [
        each
        for each in of("default/lb-nginx-ds", truth("loadbalancer"))
        if backend_pod(each) == pod
    ]
    client = max(to_pod, key=lambda each: each[measure])["client"]
    assert f"one long-lived connection, {client['ip']}:{client['port']} " in told


def test_a_nic_off_the_way_is_no_reason_to_call_a_service_uneven():
    subjects = spread_of("nodeport", "k8s-worker03.ens18.pcap.gz").subjects
    assert not set(subjects["verdict"]) & {"uneven", "too even"}


@pytest.mark.parametrize("year", [2020, 2099])
def test_a_pod_that_was_started_after_the_capture_did_not_go_without(year):
    told = cluster("spread-even")
    service = "nodeport-nginx-ds"
    late = Pod(
        "default",
        "nginx-ds-late0",
        ips=("10.1.39.250",),
        node="k8s-worker03",
        start_time=datetime(year, 1, 1, tzinfo=UTC),
    )
    behind = Endpoint(
        "default", service, late.ips[0], 80, "tcp", node=late.node, pod=late.name
    )
    state = dataclasses.replace(
        told,
        pods=(*told.pods, late),
        endpoints=(*told.endpoints, behind),
        rules=(),
    )
    found = spread(connections("spread-even").lazy(), cluster=state, service=service)
    sentences = " ".join(found.subjects["sentences"].item())
    assert (late.name in sentences) == (year == 2020)
    assert (late.name in found.backends["group"].to_list()) == (year == 2020)
