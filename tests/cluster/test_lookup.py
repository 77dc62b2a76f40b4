"""Names for addresses: right, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from analyzer.cluster import Cluster
from tests.cluster.objects import a_list, a_node, a_pod, a_service

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., Cluster]


def names_at(
    cluster: Cluster, ip: str, port: int, protocol: str = "tcp"
) -> list[tuple[str, str]]:
    found = cluster.services_at(ip, port, protocol)
    return [(service.name, kind) for service, kind in found]


def test_an_empty_cluster_knows_nothing() -> None:
    cluster = Cluster()
    assert cluster.name_of("10.1.0.1") is None
    assert cluster.node_of("10.1.0.1") is None
    assert cluster.services_at("10.1.0.1", 80, "tcp") == ()
    assert cluster.address_table().is_empty()
    assert cluster.service_table().is_empty()


def test_text_that_is_no_address_has_no_name(recorded: Cluster) -> None:
    assert recorded.name_of("k8s-master") is None
    assert recorded.node_of("") is None
    assert recorded.services_at("-", 80, "tcp") == ()


def test_addresses_are_found_in_any_spelling(load: Load) -> None:
    cluster = load(
        a_pod("six", "2001:DB8::9"),
        a_service("web", 80, clusterIP="FD00::1"),
    )
    assert cluster.name_of("2001:db8:0:0::9") == "six"
    assert names_at(cluster, "fd00:0::1", 80, "TCP") == [("web", "ClusterIP")]


@pytest.mark.parametrize(
    ("ip", "port", "protocol", "kinds"),
    [
        ("10.0.0.1", 80, "tcp", ["ClusterIP"]),
        ("203.0.113.9", 80, "tcp", ["LoadBalancer"]),
        ("192.0.2.1", 30080, "tcp", ["NodePort"]),
        ("198.51.100.1", 30080, "tcp", ["NodePort"]),
        ("192.0.2.1", 80, "tcp", []),
        ("10.0.0.1", 30080, "tcp", []),
        ("10.0.0.1", 80, "udp", []),
        ("127.0.0.1", 30080, "tcp", []),
        ("10.1.0.64", 30080, "tcp", []),
    ],
)
def test_a_service_answers_at_its_addresses_and_ports_only(
    load: Load, ip: str, port: int, protocol: str, kinds: list[str]
) -> None:
    node = a_node("node-a", "192.0.2.1")
    node["status"]["addresses"].append(
        {"type": "ExternalIP", "address": "198.51.100.1"}
    )
    node["metadata"]["annotations"] = {
        "projectcalico.org/IPv4VXLANTunnelAddr": "10.1.0.64"
    }
    service = a_service(
        "web",
        {"port": 80, "nodePort": 30080},
        type="LoadBalancer",
        clusterIP="10.0.0.1",
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}},
    )
    loopback = [{"ifindex": 1, "ifname": "lo", "addr_info": [{"local": "127.0.0.1"}]}]
    cluster = load(node, service, **{"node-a.ip-addr.json": loopback})
    assert names_at(cluster, ip, port, protocol) == [("web", kind) for kind in kinds]


def test_a_node_answers_at_all_addresses_of_its_own(load: Load) -> None:
    interfaces = [
        {"ifindex": 2, "ifname": "eth1", "addr_info": [{"local": "172.16.0.5"}]},
        {"ifindex": 3, "ifname": "kube-ipvs0", "addr_info": [{"local": "10.0.0.1"}]},
        {"ifindex": 4, "ifname": "eth2", "addr_info": [{"local": "203.0.113.9"}]},
    ]
    cluster = load(
        a_node("node-a", "192.0.2.1"),
        a_service("web", {"port": 80, "nodePort": 30080}, externalIPs=["203.0.113.9"]),
        **{"node-a.ip-addr.json": interfaces},
    )
    assert cluster.name_of("172.16.0.5") == "node-a"
    assert names_at(cluster, "172.16.0.5", 30080) == [("web", "NodePort")]
    assert cluster.name_of("10.0.0.1") is None
    assert cluster.name_of("203.0.113.9") is None, "it moves from node to node"


def test_an_address_that_every_node_has_names_none(load: Load) -> None:
    bridge = [{"ifindex": 9, "ifname": "br0", "addr_info": [{"local": "172.17.0.1"}]}]
    cluster = load(
        a_list(a_node("node-a", "192.0.2.1"), a_node("node-b", "192.0.2.2")),
        **{"node-a.ip-addr.json": bridge, "node-b.ip-addr.json": bridge},
    )
    assert cluster.name_of("172.17.0.1") is None
    assert cluster.node_of("172.17.0.1") is None


def test_pods_of_one_table_share_an_address_on_the_host_network(load: Load) -> None:
    row = "{} 1/1 Running 0 1m 192.0.2.1 node-a <none> <none>\n"
    cluster = load(row.format("agent") + row.format("proxy"))
    assert cluster.name_of("192.0.2.1") == "node-a"
    assert all(pod.host_network for pod in cluster.pods)


def test_pods_of_two_snapshots_had_an_address_one_after_the_other(load: Load) -> None:
    row = "{} 1/1 Running 0 1m 10.1.0.9 node-a <none> <none>\n"
    cluster = load(row.format("old"), row.format("new"))
    assert cluster.name_of("10.1.0.9") is None
    assert cluster.node_of("10.1.0.9") == "node-a", "on that they agree"


def test_running_pods_on_two_nodes_leave_an_address_without_name(load: Load) -> None:
    cluster = load(
        a_pod("here", "10.1.0.9"),
        a_pod("there", "10.1.0.9", nodeName="node-b"),
    )
    assert cluster.name_of("10.1.0.9") is None
    assert cluster.node_of("10.1.0.9") is None


def test_of_several_finished_pods_none_is_named(load: Load) -> None:
    done = [a_pod(f"job-{number}", "10.1.0.9", phase="Succeeded") for number in (1, 2)]
    cluster = load(a_list(*done))
    assert cluster.name_of("10.1.0.9") is None
    assert cluster.node_of("10.1.0.9") == "node-a"


def test_a_pod_on_the_host_network_is_the_node(load: Load) -> None:
    cluster = load(a_pod("agent", "192.0.2.1", hostNetwork=True))
    assert cluster.name_of("192.0.2.1") == "node-a"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_keeps_its_address_until_another_runs(
    load: Load, phase: str
) -> None:
    done = a_pod("done", "10.1.0.9", phase=phase)
    assert load(done).name_of("10.1.0.9") == "done"
    assert load(done, a_pod("new", "10.1.0.9")).name_of("10.1.0.9") == "new"


def test_a_load_balancer_may_have_the_nodes_address(load: Load) -> None:
    cluster = load(
        a_node("node-a", "192.0.2.1"),
        a_service(
            "web", 80, status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
        ),
    )
    assert cluster.name_of("192.0.2.1") == "node-a"
    assert names_at(cluster, "192.0.2.1", 80) == [("web", "LoadBalancer")]


def test_pod_blocks_tell_the_node_of_unknown_addresses(load: Load) -> None:
    cluster = load(
        a_node("node-a", podCIDRs=["10.244.0.0/24", "fd01::/64"]),
        a_node("node-b", podCIDRs=["10.244.1.0/24"]),
        a_pod("p", "10.244.0.7"),
    )
    assert cluster.node_of("10.244.0.99") == "node-a"
    assert cluster.node_of("10.244.1.99") == "node-b"
    assert cluster.node_of("fd01::99") == "node-a"
    assert cluster.node_of("10.244.2.1") is None


def test_a_block_of_two_nodes_tells_neither(load: Load) -> None:
    cluster = load(
        a_node("node-a", podCIDR="10.244.0.0/24"),
        a_node("node-b", podCIDR="10.244.0.0/24"),
    )
    assert cluster.node_of("10.244.0.9") is None


def test_pod_blocks_that_pods_contradict_are_not_believed(load: Load) -> None:
    """Calico hands out addresses without regard to ``spec.podCIDR``."""
    cluster = load(
        a_node("node-a", podCIDR="10.244.0.0/24"),
        a_node("node-b", podCIDR="10.244.1.0/24"),
        a_node("node-c", podCIDR="10.244.2.0/24"),
        a_pod("p", "10.244.1.7", nodeName="node-a"),
    )
    assert cluster.node_of("10.244.1.7") == "node-a"
    assert cluster.node_of("10.244.0.99") is None, "its pod is elsewhere"
    assert cluster.node_of("10.244.1.99") is None, "another's pod is in it"
    assert cluster.node_of("10.244.2.99") == "node-c"


def test_the_address_table_has_one_row_per_address(recorded: Cluster) -> None:
    table = recorded.address_table()
    assert table.columns == ["address", "kind", "name", "namespace", "node", "workload"]
    assert table["address"].is_unique().all()
    rows = {row["address"]: row for row in table.to_dicts()}
    assert rows["10.1.79.75"] == {
        "address": "10.1.79.75",
        "kind": "pod",
        "name": "nginx-ds-6nw9w",
        "namespace": "default",
        "node": "k8s-worker01",
        "workload": "DaemonSet/nginx-ds",
    }
    assert rows["10.1.235.192"]["kind"] == "tunnel"
    assert rows["192.168.2.33"]["kind"] == "node"
    assert rows["10.152.183.1"]["kind"] == "service"
    for ip, row in rows.items():
        name = None if row["kind"] == "service" else row["name"]
        assert recorded.name_of(ip) == name
        assert recorded.node_of(ip) == row["node"]


def test_the_service_table_says_what_services_at_says(reference: Cluster) -> None:
    table = reference.service_table()
    assert table.schema["port"] == pl.UInt16
    keys: dict[Any, list[tuple[str, str]]] = {}
    for row in table.to_dicts():
        key = (row["address"], row["port"], row["protocol"])
        keys.setdefault(key, []).append((row["service_name"], row["kind"]))
    assert len(keys) == 10 + 3 + 5 * 4, "cluster IPs, external IPs, node ports on nodes"
    for key, found in keys.items():
        assert sorted(names_at(reference, *key)) == sorted(found)
    assert len(keys["192.168.2.30", 30379, "tcp"]) == 2
