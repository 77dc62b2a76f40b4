"""Packets alone tell nodes, tunnels, blocks and virtual addresses."""

import json

import pytest

import analyzer
from analyzer.cluster.inferred import as_objects, infer
from tests.frames import CAPTURES

RECORDED = CAPTURES / "cluster"
BLOCKS = {
    "k8s-master": ("10.1.235.192/26",),
    "k8s-worker01": ("10.1.79.64/26",),
    "k8s-worker02": ("10.1.69.192/26",),
    "k8s-worker03": ("10.1.39.192/26",),
}


@pytest.fixture(scope="module", params=["nodeport", "loadbalancer"])
def recording(request):
    folder = RECORDED / request.param
    tables = analyzer.build_tables(sorted(folder.glob("*.pcap*")))
    state = analyzer.Cluster.load([folder / "cluster"])
    return infer(tables.flows, tables.connections), state


def test_nodes_are_those_of_the_cluster(recording):
    inferred, state = recording
    nodes = {node.name: node for node in inferred.nodes}
    assert nodes.keys() == {node.name for node in state.nodes}
    for node in state.nodes:
        assert nodes[node.name].addresses == node.internal_ips
        assert nodes[node.name].vnis == (4096,)
        assert set(nodes[node.name].tunnel_ips) <= set(node.tunnel_ips)
    assert {name: node.pod_blocks for name, node in nodes.items()} == BLOCKS


def test_pods_are_on_the_nodes_of_the_cluster(recording):
    inferred, state = recording
    for node in inferred.nodes:
        assert node.pods
        for address in node.pods:
            assert state.node_of(address) == node.name


def test_virtual_addresses_lead_to_endpoints_of_their_services(recording):
    inferred, state = recording
    assert inferred.services
    for front in inferred.services:
        ((service, kind),) = state.services_at(
            front.address, front.port, front.protocol
        )
        endpoints = {(each.address, each.port) for each in state.endpoints_of(service)}
        assert set(front.backends) <= endpoints
        assert front.kind in (None, kind)


def test_what_was_inferred_can_be_read_as_cluster_state(recording, tmp_path):
    inferred, _ = recording
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps(as_objects(inferred)))
    state = analyzer.Cluster.load([path])
    assert [source.remarks for source in state.sources if source.remarks] == []
    assert {node.name for node in state.nodes} == {node.name for node in inferred.nodes}
    for front in inferred.services:
        assert state.services_at(front.address, front.port, front.protocol)


def test_a_capture_without_tunnels_tells_no_nodes():
    tables = analyzer.build_tables(CAPTURES / "tcp" / "requests.pcap")
    assert infer(tables.flows, tables.connections).nodes == ()
