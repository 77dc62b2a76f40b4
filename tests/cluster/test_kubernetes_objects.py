"""Objects in JSON, with all that they may hold or lack."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.cluster import Cluster, ServicePort
from tests.cluster.objects import a_list, a_node, a_pod, a_service, a_slice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[..., Cluster]


def reasons(cluster: Cluster) -> list[tuple[str, str]]:
    return [
        (remark.text, remark.reason)
        for source in cluster.sources
        for remark in source.remarks
    ]


def test_a_node_has_all_its_addresses(load: Load) -> None:
    node = a_node(
        "node-a", podCIDR="10.244.1.0/24", podCIDRs=["10.244.1.0/24", "fd01::/64"]
    )
    node["status"]["addresses"] = [
        {"type": "InternalIP", "address": "192.0.2.1"},
        {"type": "InternalIP", "address": "2001:DB8:0::1"},
        {"type": "ExternalIP", "address": "198.51.100.1"},
        {"type": "Hostname", "address": "node-a"},
    ]
    node["metadata"]["annotations"] = {
        "projectcalico.org/IPv4VXLANTunnelAddr": "10.1.0.64",
        "projectcalico.org/IPv6VXLANTunnelAddr": "fd00::64",
        "projectcalico.org/VXLANTunnelMACAddr": "66:AA:00:00:00:01",
    }
    (found,) = load(node).nodes
    assert found.internal_ips == ("192.0.2.1", "2001:db8::1")
    assert found.external_ips == ("198.51.100.1",)
    assert found.pod_cidrs == ("10.244.1.0/24", "fd01::/64")
    assert found.tunnel_ips == ("10.1.0.64", "fd00::64")
    assert found.vtep_mac == "66:aa:00:00:00:01"


def test_zones_are_told_by_the_node_s_label_and_the_endpoint_s_hints(
    load: Load,
) -> None:
    node = a_node("node-a")
    node["metadata"]["labels"] = {"topology.kubernetes.io/zone": "east"}
    ends = a_slice("web", ("10.1.0.1", 80), ("10.1.0.2", 80))
    ends["endpoints"][0]["hints"] = {"forZones": [{"name": "east"}, {"name": "west"}]}
    found = load(a_list(node, a_node("node-b"), a_service("web", 80), ends))
    assert {each.name: each.zone for each in found.nodes} == {
        "node-a": "east",
        "node-b": None,
    }
    assert {each.address: each.for_zones for each in found.endpoints} == {
        "10.1.0.1": ("east", "west"),
        "10.1.0.2": (),
    }


def test_nodes_are_told_by_the_endpoint_s_hints(load: Load) -> None:
    ends = a_slice("web", ("10.1.0.1", 80))
    ends["endpoints"][0]["hints"] = {
        "forZones": [{"name": "east"}],
        "forNodes": [{"name": "node-a"}, {"name": None}],
    }
    (found,) = load(a_list(a_service("web", 80), ends)).endpoints
    assert (found.for_nodes, found.for_zones) == (("node-a",), ("east",))


def test_hints_that_are_none_are_passed_over(load: Load) -> None:
    ends = a_slice("web", ("10.1.0.1", 80))
    ends["endpoints"][0]["hints"] = {"forZones": [{"name": None}, 7, {}]}
    (found,) = load(a_list(a_service("web", 80), ends)).endpoints
    assert found.for_zones == ()


def test_a_service_is_dual_stack_with_external_addresses(load: Load) -> None:
    service = a_service(
        "web",
        {
            "name": "http",
            "port": 80,
            "targetPort": "http",
            "nodePort": 30080,
            "protocol": "TCP",
        },
        type="LoadBalancer",
        clusterIP="10.0.0.1",
        clusterIPs=["10.0.0.1", "fd00::1"],
        externalIPs=["203.0.113.5"],
        externalTrafficPolicy="Local",
        sessionAffinity="ClientIP",
        status={
            "loadBalancer": {"ingress": [{"ip": "203.0.113.9"}, {"hostname": "x"}]}
        },
    )
    (found,) = load(service).services
    assert found.cluster_ips == ("10.0.0.1", "fd00::1")
    assert found.external_ips == ("203.0.113.9", "203.0.113.5")
    assert found.ports == (ServicePort("tcp", 80, "http", "http", 30080),)
    assert found.external_traffic_policy == "Local"
    assert found.session_affinity == "ClientIP"


def test_headless_and_external_names_have_no_address(load: Load) -> None:
    cluster = load(
        a_service("db", 9042, clusterIP="None", clusterIPs=["None"]),
        a_service("out", type="ExternalName", externalName="db.example.com"),
    )
    db, out = cluster.services
    assert (db.headless, db.cluster_ips) == (True, ())
    assert (out.headless, out.external_name) == (False, "db.example.com")
    assert reasons(cluster) == []


@pytest.mark.parametrize(
    ("owner", "labels", "workload"),
    [
        ({"kind": "DaemonSet", "name": "d"}, {}, "DaemonSet/d"),
        ({"kind": "StatefulSet", "name": "s"}, {}, "StatefulSet/s"),
        ({"kind": "ReplicaSet", "name": "web-5d9"}, {}, "ReplicaSet/web-5d9"),
        (
            {"kind": "ReplicaSet", "name": "web-5d9"},
            {"pod-template-hash": "5d9"},
            "Deployment/web",
        ),
        ({"kind": "Node", "name": "node-a"}, {}, None),
        ({"kind": "Thing", "name": "t", "controller": False}, {}, None),
    ],
)
def test_the_controller_is_the_workload(
    load: Load, owner: dict[str, Any], labels: dict[str, str], workload: str | None
) -> None:
    owners = [{"controller": True, **owner}]
    pod = a_pod("p", "10.1.0.9", metadata={"ownerReferences": owners, "labels": labels})
    (found,) = load(pod).pods
    assert found.workload == workload


def test_other_groups_have_kinds_of_the_same_name(load: Load) -> None:
    cluster = load(
        {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": "k"},
        },
        {
            "apiVersion": "projectcalico.org/v3",
            "kind": "Node",
            "metadata": {"name": "c"},
        },
        a_list({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}),
    )
    assert (cluster.services, cluster.nodes) == ((), ())
    assert {(source.kind, source.used) for source in cluster.sources} == {
        ("Service (JSON)", False),
        ("Node (JSON)", False),
        ("ConfigMap (JSON)", False),
    }


def test_calico_tells_the_address_blocks(load: Load) -> None:
    def block(node: str, cidr: str, state: str) -> dict[str, Any]:
        return {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "BlockAffinity",
            "metadata": {"name": f"{node}-{cidr}"},
            "spec": {"node": node, "cidr": cidr, "state": state},
        }

    cluster = load(
        a_node("node-a", "192.0.2.1"),
        block("node-a", "10.1.0.64/26", "confirmed"),
        block("node-b", "10.1.0.128/26", "pending"),
    )
    (node,) = cluster.nodes
    assert node.pod_cidrs == ("10.1.0.64/26",)
    assert cluster.node_of("10.1.0.99") == "node-a"
    assert cluster.node_of("10.1.0.129") is None


def test_what_cannot_be_used_is_reported_by_object(load: Load) -> None:
    nameless = a_pod("x")
    del nameless["metadata"]["name"]
    cluster = load(
        a_list(
            a_pod("bad-ip", "10.1.0.300", "10.1.0.9"),
            nameless,
            a_service("bad-port", 80, 0, {"port": 81, "protocol": "IGMP"}),
        )
    )
    assert reasons(cluster) == [
        ("Pod default/bad-ip", "'10.1.0.300' is not an IP address"),
        ("Pod default/without a name", "it has no metadata.name"),
        ("Service default/bad-port", "0 is not a port number (1 to 65535)"),
        ("Service default/bad-port", "'IGMP' is not TCP, UDP or SCTP"),
    ]
    assert [pod.ips for pod in cluster.pods] == [("10.1.0.9",)]
    assert [port.port for port in cluster.services[0].ports] == [80]


def test_json_of_other_kinds_is_counted(load: Load) -> None:
    cluster = load('{"a": 1}\n{"b": 2}\n3\n', "[1, 2]", '[{"a": 1}]')
    kinds = {(source.kind, source.objects, source.used) for source in cluster.sources}
    assert ("no Kubernetes object (JSON)", 2, False) in kinds


NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(thing: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        thing.items()
        if isinstance(thing, dict)
        else enumerate(thing)
        if isinstance(thing, list)
        else ()
    )
    for key, value in items:
        found += places(value, (*path, key))
    return found


@given(data=st.data())
def test_any_field_may_hold_anything(
    tmp_path: Path, recorded_files: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["nodes", "pods", "services", "endpointslices"]))
    content = json.loads((recorded_files / f"{name}.json").read_text())
    content["items"] = copy.deepcopy(content["items"][:2])
    for _ in range(3):
        *path, last = data.draw(st.sampled_from(places(content)))
        target = content
        for key in path:
            target = target[key]
        target[last] = data.draw(NOISE)
    (tmp_path / "noise").write_text(json.dumps(content))
    Cluster.load([tmp_path / "noise"])
