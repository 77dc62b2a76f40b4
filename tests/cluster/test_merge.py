"""One object in several files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.objects import a_list, a_node, a_pod, a_service

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.cluster import Cluster

    Load = Callable[..., Cluster]


def test_text_without_a_namespace_joins_the_object_that_json_names(load: Load) -> None:
    cluster = load(
        a_list(
            a_pod("web", "10.1.0.1", namespace="prod"),
            a_pod("web", "10.1.0.2", namespace="test"),
            a_service("web", 80, namespace="prod", clusterIP="10.0.0.1"),
        ),
        "web 1/1 Running 0 1m 10.1.0.2 node-a <none> <none>\n"
        "new 1/1 Running 0 1m 10.1.0.3 node-a <none> <none>\n"
        "web ClusterIP 10.0.0.1 <none> 80/TCP 1m <none>\n",
    )
    assert [(pod.namespace, pod.name) for pod in cluster.pods] == [
        ("default", "new"),
        ("prod", "web"),
        ("test", "web"),
    ]
    assert [service.namespace for service in cluster.services] == ["prod"]


def test_a_later_snapshot_fills_in_what_an_earlier_one_lacks(load: Load) -> None:
    before = "default lb LoadBalancer 10.0.0.1 <pending> 80:30080/TCP 1m a=b\n"
    after = "default lb LoadBalancer 10.0.0.1 192.0.2.9 80:30080/TCP 2m a=b\n"
    waiting = "default web 0/1 Pending 0 1s <none> <none> <none> <none>\n"
    running = "default web 1/1 Running 0 9s 10.1.0.1 node-a <none> <none>\n"
    for files in ((before, after, waiting, running), (running, waiting, after, before)):
        cluster = load(*files)
        (service,) = cluster.services
        assert service.external_ips == ("192.0.2.9",)
        assert len(service.ports) == 1
        (pod,) = cluster.pods
        assert (pod.ips, pod.phase, pod.node) == (("10.1.0.1",), "Running", "node-a")


def test_the_later_phase_counts(load: Load) -> None:
    running, done = (
        a_pod("job", "10.1.0.1", phase=x) for x in ("Running", "Succeeded")
    )
    assert load(running, done).pods == load(done, running).pods
    assert load(running, done).pods[0].is_finished


def test_json_counts_more_than_text(load: Load) -> None:
    cluster = load(
        "default web 1/1 Error 3 1m 10.1.0.1 node-a <none> <none>\n",
        a_pod("web", "10.1.0.1"),
    )
    assert [pod.phase for pod in cluster.pods] == ["Running"]


def test_a_service_made_anew_is_another_service(load: Load) -> None:
    cluster = load(
        a_service("web", {"port": 80, "nodePort": 30080}, clusterIP="10.0.0.1"),
        a_service("web", {"port": 80, "nodePort": 30090}, clusterIP="10.0.0.2"),
    )
    assert [service.cluster_ips for service in cluster.services] == [
        ("10.0.0.1",),
        ("10.0.0.2",),
    ]


def test_a_changed_node_port_keeps_both(load: Load) -> None:
    cluster = load(
        "default web NodePort 10.0.0.1 <none> 80:30080/TCP 1m <none>\n",
        "default web NodePort 10.0.0.1 <none> 80:30090/TCP 1m <none>\n",
        "default web ClusterIP 10.0.0.1 <none> 80/TCP 1m <none>\n",
        a_node("node-a", "192.0.2.1"),
    )
    (service,) = cluster.services
    assert service.type == "NodePort"
    assert sorted(port.node_port or 0 for port in service.ports) == [30080, 30090]
    for port in (30080, 30090):
        assert [kind for _, kind in cluster.services_at("192.0.2.1", port, "tcp")] == [
            "NodePort"
        ]


def test_a_pod_that_moved_is_kept_at_both_addresses(load: Load) -> None:
    cluster = load(
        a_pod("db-0", "10.1.0.1"), a_pod("db-0", "10.1.0.2", nodeName="node-b")
    )
    assert cluster.node_of("10.1.0.1") == "node-a"
    assert cluster.node_of("10.1.0.2") == "node-b"
