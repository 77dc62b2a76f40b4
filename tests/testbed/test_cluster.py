"""The objects are the documented cluster's, and kubectl's files come from them."""

import ipaddress
import json
from dataclasses import replace

import pytest

from captures.testbed import state
from captures.testbed.cluster import (
    HOST_NETWORK_POD,
    NODES,
    PODS,
    ROUND_1,
    ROUND_2,
    ROUND_3,
    Service,
)

# As the cluster's owner pasted them; blanks collapsed.
PASTED_PODS = """\
nginx-ds-tkhgg 1/1 Running 0 23m 10.1.235.211 k8s-master <none> <none>
apache-ds-xv25j 1/1 Running 0 23m 10.1.79.76 k8s-worker01 <none> <none>
nginx-ds-gvx8m 1/1 Running 0 23m 10.1.39.199 k8s-worker03 <none> <none>
"""
PASTED_SERVICES = {
    "clusterip-nginx-ds": "ClusterIP 10.152.183.123 <none> 80/TCP name=nginx",
    "nodeport-redis-ds": "NodePort 10.152.183.165 <none> 6379:30379/TCP name=redis",
    "lb-nginx-ds": "LoadBalancer 10.152.183.130 192.168.2.38 8080:30800/TCP name=nginx",
    "kubernetes": "ClusterIP 10.152.183.1 <none> 443/TCP <none>",
}


def files(cluster):
    return {
        name: json.loads(text) if name.endswith(".json") else text
        for name, text in state.kubectl_files(cluster).items()
    }


def test_pods_lie_in_their_node_s_block():
    for pod in PODS:
        node = next(node for node in NODES if node.name == pod.node)
        if not pod.host_network:
            assert ipaddress.ip_address(pod.ip) in ipaddress.ip_network(node.block)
            assert ipaddress.ip_address(pod.ip6) in ipaddress.ip_network(node.block6)


def test_veth_names_are_those_that_calico_gave():
    names = {pod.name: pod.cali for pod in PODS}
    assert names["nginx-ds-6nw9w"] == "cali35a23045ecb"
    assert names["coredns-7745f9f87f-8qkzr"] == "cali0d3c5285abe"


def test_wide_pods_read_as_pasted():
    lines = [
        " ".join(line.split()) for line in files(ROUND_1)["pod-wide.txt"].splitlines()
    ]
    for line in PASTED_PODS.splitlines():
        assert line in lines


def test_wide_services_read_as_pasted():
    text = files(ROUND_2)["svc-wide.txt"] + files(ROUND_3)["svc-wide.txt"]
    rows = {line.split()[0]: line.split() for line in text.splitlines()}
    for name, pasted in PASTED_SERVICES.items():
        row = rows[name]
        assert " ".join([*row[1:5], row[6]]) == pasted


def test_endpoint_slices_list_the_pods_that_a_service_selects():
    slices = files(ROUND_3)["endpointslices.json"]["items"]
    (found,) = [s for s in slices if s["metadata"]["generateName"] == "lb-redis-ds-"]
    pods = {e["targetRef"]["name"]: e["addresses"] for e in found["endpoints"]}
    assert pods["redis-ds-d2ps6"] == ["10.1.69.205"]
    assert len(pods) == 4
    assert found["ports"] == [{"name": "", "port": 6379, "protocol": "TCP"}]


def test_an_unready_pod_is_listed_but_is_no_endpoint():
    service = ROUND_3.service("lb-redis-ds")
    unready = replace(service, not_ready=frozenset({"redis-ds-d2ps6"}))
    cluster = ROUND_3.with_service(unready)
    slices = files(cluster)["endpointslices.json"]["items"]
    (found,) = [s for s in slices if s["metadata"]["generateName"] == "lb-redis-ds-"]
    ready = [e["conditions"]["ready"] for e in found["endpoints"]]
    assert sorted(ready) == [False, True, True, True]
    assert len(cluster.endpoints(unready, unready.ports[0])) == 3


def test_a_completed_pod_keeps_its_address_in_kubectl_but_gets_no_traffic():
    pods = files(ROUND_1)["pods.json"]["items"]
    same = [p for p in pods if p["status"]["podIP"] == "10.1.69.205"]
    phases = {p["metadata"]["name"]: p["status"]["phase"] for p in same}
    assert phases == {"redis-ds-d2ps6": "Running", "db-migrate-7h2sx": "Succeeded"}


def test_a_host_network_pod_has_its_node_s_address():
    cluster = replace(ROUND_3, pods=(*PODS, HOST_NETWORK_POD))
    pods = files(cluster)["pods.json"]["items"]
    (pod,) = [p for p in pods if p["metadata"]["name"] == HOST_NETWORK_POD.name]
    assert pod["spec"]["hostNetwork"] is True
    assert pod["status"]["podIP"] == pod["status"]["hostIP"] == "192.168.2.33"


@pytest.mark.parametrize("dual", [False, True])
def test_families_appear_where_kubernetes_puts_them(dual):
    written = files(replace(ROUND_3, ipv6=dual))
    count = 2 if dual else 1
    services = {
        s["metadata"]["name"]: s["spec"] for s in written["services.json"]["items"]
    }
    assert len(services["lb-nginx-ds"]["clusterIPs"]) == count
    assert len(services["kubernetes"]["clusterIPs"]) == 1
    assert all(
        len(p["status"]["podIPs"]) == count for p in written["pods.json"]["items"]
    )
    types = {s["addressType"] for s in written["endpointslices.json"]["items"]}
    assert len(types) == count


def test_identifiers_do_not_change_from_one_recording_to_the_next():
    assert state.kubectl_files(ROUND_3) == state.kubectl_files(ROUND_3)


def test_a_service_is_replaced_where_it_stood():
    changed = replace(ROUND_3.service("lb-apache-ds"), cluster_ip="10.152.183.9")
    names = [s.name for s in ROUND_3.with_service(changed).services]
    assert names == [s.name for s in ROUND_3.services]
    added = ROUND_3.with_service(Service("new", "10.152.183.8", ()))
    assert added.services[-1].name == "new"
