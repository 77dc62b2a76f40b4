"""The text that the reference cluster's owner pasted, exactly as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.cluster import Cluster

if TYPE_CHECKING:
    from pathlib import Path

NODES = {
    "k8s-master": ("192.168.2.30", "10.1.235.192", "66:d5:cf:d3:6b:7e"),
    "k8s-worker01": ("192.168.2.31", "10.1.79.64", "66:c1:17:77:92:d1"),
    "k8s-worker02": ("192.168.2.32", "10.1.69.192", "66:ff:2b:bc:03:a3"),
    "k8s-worker03": ("192.168.2.33", "10.1.39.192", "66:fc:06:ba:9d:0e"),
}
PODS = {
    "10.1.235.211": ("nginx-ds-tkhgg", "k8s-master"),
    "10.1.235.212": ("apache-ds-t6th6", "k8s-master"),
    "10.1.235.215": ("redis-ds-zw869", "k8s-master"),
    "10.1.79.75": ("nginx-ds-6nw9w", "k8s-worker01"),
    "10.1.79.76": ("apache-ds-xv25j", "k8s-worker01"),
    "10.1.79.79": ("redis-ds-bv2t9", "k8s-worker01"),
    "10.1.69.201": ("nginx-ds-k4ndq", "k8s-worker02"),
    "10.1.69.202": ("apache-ds-bmtwp", "k8s-worker02"),
    "10.1.69.205": ("redis-ds-d2ps6", "k8s-worker02"),
    "10.1.39.199": ("nginx-ds-gvx8m", "k8s-worker03"),
    "10.1.39.200": ("apache-ds-kzpns", "k8s-worker03"),
    "10.1.39.203": ("redis-ds-pfrpl", "k8s-worker03"),
}
# Name: type, cluster IP, external IPs, port, nodePort.
SERVICES = {
    "kubernetes": ("ClusterIP", "10.152.183.1", (), 443, None),
    "clusterip-nginx-ds": ("ClusterIP", "10.152.183.123", (), 80, None),
    "clusterip-apache2-ds": ("ClusterIP", "10.152.183.109", (), 90, None),
    "clusterip-redis-ds": ("ClusterIP", "10.152.183.179", (), 6379, None),
    "nodeport-nginx-ds": ("NodePort", "10.152.183.23", (), 80, 30080),
    "nodeport-apache2-ds": ("NodePort", "10.152.183.61", (), 90, 30090),
    "nodeport-redis-ds": ("NodePort", "10.152.183.165", (), 6379, 30379),
    "lb-nginx-ds": ("LoadBalancer", "10.152.183.130", ("192.168.2.38",), 8080, 30800),
    "lb-apache-ds": ("LoadBalancer", "10.152.183.172", ("192.168.2.36",), 9090, 30900),
    "lb-redis-ds": ("LoadBalancer", "10.152.183.250", ("192.168.2.37",), 6379, 30379),
}
BLOCKS = (
    "nodes",
    "pods",
    "vxlan-interfaces",
    "services-rounds-1-2",
    "services-round-3-pending",
    "services-round-3",
)


def service_facts(cluster: Cluster) -> dict[str, tuple[object, ...]]:
    return {
        service.name: (
            service.type,
            *service.cluster_ips,
            service.external_ips,
            *(item for port in service.ports for item in (port.port, port.node_port)),
        )
        for service in cluster.services
    }


def test_nodes_have_addresses_tunnels_and_macs(reference: Cluster) -> None:
    assert {
        node.name: (*node.internal_ips, *node.tunnel_ips, node.vtep_mac)
        for node in reference.nodes
    } == NODES


def test_every_pod_is_named_and_placed(reference: Cluster) -> None:
    assert {ip: (reference.name_of(ip), reference.node_of(ip)) for ip in PODS} == PODS
    assert len(reference.pods) == len(PODS)
    assert {pod.namespace for pod in reference.pods} == {"default"}


def test_services_of_all_rounds_are_kept(reference: Cluster) -> None:
    assert service_facts(reference) == SERVICES


def test_selectors_stand_in_the_table(reference: Cluster) -> None:
    selectors = {service.name: service.selector for service in reference.services}
    assert selectors["lb-redis-ds"] == (("name", "redis"),)
    assert selectors["kubernetes"] == ()


def test_a_node_port_of_two_rounds_has_two_candidates(reference: Cluster) -> None:
    found = reference.services_at("192.168.2.31", 30379, "tcp")
    assert [(service.name, kind) for service, kind in found] == [
        ("lb-redis-ds", "NodePort"),
        ("nodeport-redis-ds", "NodePort"),
    ]


def test_external_addresses_are_pending_before_metallb(captures: Path) -> None:
    before = Cluster.load([captures / "reference" / "services-round-3-pending.txt"])
    assert all(not service.external_ips for service in before.services)
    assert len(before.services) == 4


def test_labels_are_not_told_so_endpoints_are_unknown(reference: Cluster) -> None:
    assert reference.endpoints == ()
    assert {reference.endpoints_of(item) for item in reference.services} == {None}


def test_interface_indexes_are_known_per_node(reference: Cluster) -> None:
    assert reference.interface_names() == {
        "k8s-master": {11: "vxlan.calico"},
        "k8s-worker01": {5: "vxlan.calico"},
        "k8s-worker02": {25: "vxlan.calico"},
        "k8s-worker03": {5: "vxlan.calico"},
    }


@pytest.mark.parametrize("block", BLOCKS)
def test_no_line_of_a_block_is_left_over(captures: Path, block: str) -> None:
    cluster = Cluster.load([captures / "reference" / f"{block}.txt"])
    assert all(source.used for source in cluster.sources)
    assert [source.remarks for source in cluster.sources if source.remarks] == []


def test_a_markdown_page_says_the_same_as_its_blocks(
    captures: Path, tmp_path: Path, reference: Cluster
) -> None:
    texts = [(captures / "reference" / f"{name}.txt").read_text() for name in BLOCKS]
    page = "# A cluster\n\n| node | IP |\n| --- | --- |\n| ghost | 192.0.2.1 |\n"
    for text in texts:
        page += f"\n### kubectl get svc, say\n```text\n{text}```\nand in words\n"
    (tmp_path / "page").write_text(page)
    from_page = Cluster.load([tmp_path / "page"])
    assert from_page == reference
    assert not any(source.remarks for source in from_page.sources)


def test_one_session_says_the_same_as_its_parts(
    captures: Path, tmp_path: Path, reference: Cluster
) -> None:
    texts = [(captures / "reference" / f"{name}.txt").read_text() for name in BLOCKS]
    (tmp_path / "session").write_text("".join(texts))
    assert Cluster.load([tmp_path / "session"]) == reference


def test_windows_line_ends_and_colours_change_nothing(
    captures: Path, tmp_path: Path, reference: Cluster
) -> None:
    for name in BLOCKS:
        text = (captures / "reference" / f"{name}.txt").read_text()
        text = text.replace("Running", "\x1b[32mRunning\x1b[0m").replace("\n", "\r\n")
        (tmp_path / name).write_bytes(text.encode("utf-16"))
    assert Cluster.load([tmp_path]) == reference
