"""Endpoints as listed, and derived where nothing lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.cluster.objects import a_list, a_node, a_pod, a_service

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.cluster import Cluster

    Load = Callable[..., Cluster]

WEB = {"labels": {"app": "web"}}


def a_slice(service: str, *addresses: str, **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-abcde",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]} for address in addresses],
        "ports": [{"port": 8080, "protocol": "TCP", "name": ""}],
        **fields,
    }


def sockets(cluster: Cluster) -> list[tuple[str, int | None, str | None]]:
    return [(item.address, item.port, item.protocol) for item in cluster.endpoints]


def test_slices_name_pod_and_node_by_address_if_they_do_not(load: Load) -> None:
    cluster = load(
        a_slice("web", "10.1.0.9", "192.0.2.1", "203.0.113.1"),
        a_pod("web-1", "10.1.0.9"),
        a_node("node-b", "192.0.2.1"),
    )
    assert [(item.address, item.pod, item.node) for item in cluster.endpoints] == [
        ("10.1.0.9", "web-1", "node-a"),
        ("192.0.2.1", None, "node-b"),
        ("203.0.113.1", None, None),
    ]


def test_an_endpoint_is_not_ready_only_if_told_so(load: Load) -> None:
    ready: list[dict[str, Any]] = [
        {},
        {"ready": None},
        {"ready": True},
        {"ready": False},
    ]
    endpoints = [
        {"addresses": [f"10.1.0.{number}"], "conditions": conditions}
        for number, conditions in enumerate(ready)
    ]
    cluster = load(a_slice("web", endpoints=endpoints))
    assert [item.ready for item in cluster.endpoints] == [True, True, True, False]


def test_slices_without_ports_stand_for_all(load: Load) -> None:
    cluster = load(a_slice("web", "10.1.0.9", ports=None))
    assert sockets(cluster) == [("10.1.0.9", None, None)]


def test_a_slice_that_cannot_be_used_whole_is_not_complete(load: Load) -> None:
    cluster = load(
        a_service("web", 80, selector={"app": "web"}),
        a_slice("web", "10.1.0.9", "10.1.0.999"),
        a_pod("web-1", "10.1.0.8", metadata=WEB),
    )
    assert sockets(cluster) == [("10.1.0.9", 8080, "tcp")]
    assert cluster.endpoints_of(cluster.services[0]) is None


def test_names_and_slices_of_no_service_are_reported(load: Load) -> None:
    names = a_slice("web", addressType="FQDN")
    nobody = a_slice("web")
    nobody["metadata"]["labels"] = {}
    unusable = a_slice("web", "10.1.0.9", ports=[{"port": 0}])
    cluster = load(a_list(names, nobody, unusable))
    assert cluster.endpoints == ()
    assert [remark.reason for item in cluster.sources for remark in item.remarks] == [
        "its endpoints are names, not addresses",
        "it has no label kubernetes.io/service-name: no Service uses it",
        "0 is not a port number (1 to 65535)",
        "none of its ports can be used",
    ]


def test_endpoints_objects_tell_the_same_as_slices(load: Load) -> None:
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "web", "namespace": "default"},
        "subsets": [
            {
                "addresses": [
                    {"ip": "10.1.0.9", "targetRef": {"kind": "Pod", "name": "web-1"}}
                ],
                "notReadyAddresses": [{"ip": "10.1.0.8"}],
                "ports": [{"port": 8080}],
            }
        ],
    }
    cluster = load(endpoints, a_slice("web", "10.1.0.9"))
    assert [(item.address, item.ready, item.pod) for item in cluster.endpoints] == [
        ("10.1.0.8", False, None),
        ("10.1.0.9", True, "web-1"),
    ]


def test_selectors_and_labels_tell_what_nothing_lists(load: Load) -> None:
    service = a_service("web", 80, selector={"app": "web"}, clusterIP="10.0.0.1")
    pods = [
        a_pod("ready", "10.1.0.1", "fd00::1", metadata=WEB),
        a_pod("starting", "10.1.0.2", metadata=WEB, ready="False"),
        a_pod("done", "10.1.0.3", metadata=WEB, phase="Succeeded"),
        a_pod("other", "10.1.0.4"),
        a_pod("elsewhere", "10.1.0.5", metadata=WEB, namespace="prod"),
    ]
    cluster = load(service, a_list(*pods, a_node("node-a", "192.0.2.1")))
    endpoints = cluster.endpoints_of(cluster.services[0])
    assert endpoints is not None
    assert [(item.address, item.port, item.ready) for item in endpoints] == [
        ("10.1.0.1", 80, True),
        ("10.1.0.2", 80, False),
    ]


def test_a_named_target_port_is_the_pods_own(load: Load) -> None:
    def pod(name: str, ip: str, port: int) -> dict[str, Any]:
        ports = [{"name": "http", "containerPort": port}]
        return a_pod(name, ip, metadata=WEB, containers=[{"ports": ports}])

    service = a_service(
        "web", {"port": 80, "targetPort": "http"}, selector={"app": "web"}
    )
    cluster = load(service, pod("old", "10.1.0.1", 8080), pod("new", "10.1.0.2", 9090))
    assert sockets(cluster) == [("10.1.0.1", 8080, "tcp"), ("10.1.0.2", 9090, "tcp")]


def test_an_empty_slice_means_no_endpoints(load: Load) -> None:
    cluster = load(
        a_service("web", 80, selector={"app": "web"}),
        a_list(a_slice("web")),
        a_pod("web-1", "10.1.0.9", metadata=WEB),
    )
    assert cluster.endpoints_of(cluster.services[0]) == ()


def test_without_selector_or_labels_nothing_is_known(load: Load) -> None:
    cluster = load(
        a_list(a_service("by-hand", 80), a_service("web", 80, selector={"app": "web"})),
        "default web-1 1/1 Running 0 1m 10.1.0.9 node-a <none> <none>\n",
    )
    assert [cluster.endpoints_of(item) for item in cluster.services] == [None, None]
    assert cluster.endpoints == ()


def test_several_services_over_the_same_pods_have_the_same_endpoints(
    recorded: Cluster,
) -> None:
    targets: dict[str, set[str]] = {}
    for item in recorded.endpoints:
        targets.setdefault(item.service, set()).add(item.address)
    assert targets["clusterip-nginx-ds"] == targets["nodeport-nginx-ds"]
    assert len(targets["clusterip-nginx-ds"]) == 4
