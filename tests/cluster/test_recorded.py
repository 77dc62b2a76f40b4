"""A recorded cluster: kubectl's JSON, the same as YAML and as tables."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from analyzer.cluster import Cluster, Extent

if TYPE_CHECKING:
    from pathlib import Path

OBJECTS = ("nodes", "pods", "services", "endpointslices")


def objects_of(directory: Path, name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads((directory / f"{name}.json").read_text())
    return content


@pytest.fixture(scope="module")
def from_json(recorded_files: Path) -> Cluster:
    return Cluster.load([recorded_files / f"{name}.json" for name in OBJECTS])


def test_everything_is_counted(recorded: Cluster) -> None:
    assert len(recorded.nodes) == 4
    assert len(recorded.pods) == 29
    assert len(recorded.services) == 8
    assert len(recorded.endpoints) == 31
    assert len(recorded.interfaces) == 30
    assert not any(source.remarks for source in recorded.sources)


def test_every_service_has_its_endpoints(recorded: Cluster) -> None:
    for service in recorded.services:
        endpoints = recorded.endpoints_of(service)
        assert endpoints is not None
        pods = {endpoint.pod for endpoint in endpoints}
        if service.name.endswith("nginx-ds"):
            assert pods == {
                f"nginx-ds-{end}" for end in ("6nw9w", "gvx8m", "k4ndq", "tkhgg")
            }


def test_workloads_are_daemon_sets_deployments_and_jobs(recorded: Cluster) -> None:
    workloads = {pod.name: pod.workload for pod in recorded.pods}
    assert workloads["nginx-ds-tkhgg"] == "DaemonSet/nginx-ds"
    assert workloads["coredns-7745f9f87f-8qkzr"] == "Deployment/coredns"
    assert workloads["db-migrate-7h2sx"] == "Job/db-migrate"
    assert workloads["controller-56c4696b5-9vwpm"] == "Deployment/controller"


def test_a_running_pod_has_the_address_that_a_finished_one_had(
    recorded: Cluster,
) -> None:
    assert recorded.name_of("10.1.69.205") == "redis-ds-d2ps6"


def test_host_network_pods_leave_the_address_to_the_node(recorded: Cluster) -> None:
    assert recorded.name_of("192.168.2.30") == "k8s-master"
    on_host = [pod.name for pod in recorded.pods if pod.host_network]
    assert len(on_host) == 8


def test_the_finished_job_ended(recorded: Cluster) -> None:
    (job,) = (pod for pod in recorded.pods if pod.is_finished)
    assert job.end_time is not None
    assert job.start_time is not None
    assert job.end_time >= job.start_time


@pytest.mark.parametrize("style", ["List", "documents", "sequence"])
def test_yaml_says_the_same_as_json(
    recorded_files: Path, tmp_path: Path, from_json: Cluster, style: str
) -> None:
    for name in OBJECTS:
        content = objects_of(recorded_files, name)
        items = content["items"]
        assert isinstance(items, list)
        if style == "documents":
            text = yaml.safe_dump_all(items, explicit_start=name == "pods")
        else:
            text = yaml.safe_dump(content if style == "List" else items)
        (tmp_path / name).write_text(text)
    told = Cluster.load([tmp_path])
    if style != "List":  # there may be others than those
        assert [each for each in told.services if each.endpoints_known] == []
        assert told.extent == Extent()
        known = (replace(each, endpoints_known=True) for each in told.services)
        told = replace(told, services=tuple(known))
    assert told == from_json


def test_all_objects_in_one_file_say_the_same(
    recorded_files: Path, tmp_path: Path, from_json: Cluster
) -> None:
    documents = [objects_of(recorded_files, name) for name in OBJECTS]
    (tmp_path / "all").write_text("\n".join(map(json.dumps, documents)))
    assert Cluster.load([tmp_path / "all"]) == from_json
    (tmp_path / "all").write_text("".join(map(json.dumps, documents)))
    assert Cluster.load([tmp_path / "all"]) == from_json


def test_typed_lists_need_not_repeat_the_kind(
    recorded_files: Path, tmp_path: Path, from_json: Cluster
) -> None:
    kinds = ("Node", "Pod", "Service", "EndpointSlice")
    for name, kind in zip(OBJECTS, kinds, strict=True):
        content = objects_of(recorded_files, name)
        items = content["items"]
        assert isinstance(items, list)
        raw = {
            "kind": f"{kind}List",
            "apiVersion": items[0]["apiVersion"],
            "items": [
                {key: item[key] for key in item if key not in ("kind", "apiVersion")}
                for item in items
            ],
        }
        (tmp_path / name).write_text(json.dumps(raw))
    assert Cluster.load([tmp_path]) == from_json


def test_tables_agree_with_json(recorded_files: Path, from_json: Cluster) -> None:
    text = Cluster.load(
        [
            recorded_files / "node-wide.txt",
            recorded_files / "pod-all-wide.txt",
            recorded_files / "svc-all-wide.txt",
        ]
    )
    assert [(node.name, node.internal_ips) for node in text.nodes] == [
        (node.name, node.internal_ips) for node in from_json.nodes
    ]
    assert [
        (pod.namespace, pod.name, pod.ips, pod.node, pod.phase, pod.host_network)
        for pod in text.pods
    ] == [
        (pod.namespace, pod.name, pod.ips, pod.node, pod.phase, pod.host_network)
        for pod in from_json.pods
    ]
    for told, wanted in zip(text.services, from_json.services, strict=True):
        assert (told.name, told.namespace, told.type) == (
            wanted.name,
            wanted.namespace,
            wanted.type,
        )
        assert told.cluster_ips == wanted.cluster_ips
        assert told.selector == wanted.selector
        assert [(port.port, port.protocol, port.node_port) for port in told.ports] == [
            (port.port, port.protocol, port.node_port) for port in wanted.ports
        ]


def test_tables_beside_json_add_nothing(
    recorded_files: Path, from_json: Cluster
) -> None:
    names = [f"{name}.json" for name in OBJECTS]
    names += [file.name for file in recorded_files.glob("*-wide.txt")]
    assert len(names) == 9
    assert Cluster.load(recorded_files / name for name in names) == from_json


def test_ip_addr_text_agrees_with_json(recorded_files: Path, recorded: Cluster) -> None:
    text = Cluster.load(
        [recorded_files / "nodes.json", *recorded_files.glob("*.ip-d-addr.txt")]
    )
    assert text.interfaces == recorded.interfaces
    assert text.nodes == recorded.nodes


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_files_does_not_matter(recorded_files: Path, seed: int) -> None:
    files = sorted(recorded_files.iterdir())
    shuffled = random.Random(seed).sample(files, len(files))
    one, other = Cluster.load(files), Cluster.load(shuffled)
    assert one == other
    assert one.sources == other.sources


def test_what_other_tools_print_is_recognised(
    recorded_files: Path, captures: Path
) -> None:
    conntrack = captures / "cluster" / "nodeport" / "conntrack"
    cluster = Cluster.load([recorded_files, conntrack])
    unused = {source.kind for source in cluster.sources if not source.used}
    assert unused == {"bridge fdb", "ethtool -k", "ip neigh", "ip route"}
    assert not any(source.remarks for source in cluster.sources)
