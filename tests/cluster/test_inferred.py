"""Packets alone tell nodes, tunnels, blocks and virtual addresses."""

import json

import polars as pl
import pytest

import analyzer
from analyzer.cluster.inferred import as_objects, infer
from tests.frames import CAPTURES

RECORDED = CAPTURES / "cluster"
BLOCKS = {
    "k8s-master": {"10.1.235.192/26", "fd00:10:1:30::/122"},
    "k8s-worker01": {"10.1.79.64/26", "fd00:10:1:31::/122"},
    "k8s-worker02": {"10.1.69.192/26", "fd00:10:1:32::/122"},
    "k8s-worker03": {"10.1.39.192/26", "fd00:10:1:33::/122"},
}


# Nearly every tunnel there leads to one node: its ends do not tell who is who.
STAR = "drops"


@pytest.fixture(
    scope="module",
    params=[
        path.parent.name
        for path in sorted(RECORDED.glob("*/cluster"))
        if path.parent.name != STAR
    ],
)
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
        found = nodes[node.name]
        assert found.addresses
        assert set(found.addresses) <= set(node.internal_ips)
        assert found.vnis == (4096,)
        assert set(found.tunnel_ips) <= set(node.tunnel_ips)
        assert found.pod_blocks
        assert set(found.pod_blocks) <= BLOCKS[node.name]


def test_nodes_whose_names_tunnels_do_not_tell_have_their_address_for_a_name():
    tables = analyzer.build_tables(sorted((RECORDED / STAR).glob("*.pcap*")))
    state = analyzer.Cluster.load([RECORDED / STAR / "cluster"])
    own = {ip: node.name for node in state.nodes for ip in node.internal_ips}
    nodes = infer(tables.flows, tables.connections).nodes
    assert len(nodes) == len(state.nodes)
    for node in nodes:
        (name,) = {own[address] for address in node.addresses}
        assert node.name in (name, *node.addresses)
        assert {state.node_of(address) for address in node.pods} == {name}


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


def test_a_node_has_one_name_for_both_families():
    folder = RECORDED / "dualstack"
    tables = analyzer.build_tables(sorted(folder.glob("*.pcap*")))
    state = analyzer.Cluster.load([folder / "cluster"])
    inferred = infer(tables.flows, tables.connections)
    of_state = {node.name: set(node.internal_ips) for node in state.nodes}
    assert {node.name: set(node.addresses) for node in inferred.nodes} == of_state


def test_what_was_only_called_is_no_pod():
    tables = analyzer.build_tables(sorted((RECORDED / "mixed").glob("*.pcap*")))
    inferred = infer(tables.flows, tables.connections)
    stale = "10.1.69.240"  # the endpoint of a pod that is gone
    called = tables.flows.filter(pl.col("responder_ip").cast(pl.String) == stale)
    assert called.collect().height
    assert stale not in {pod for node in inferred.nodes for pod in node.pods}


def test_who_only_called_may_be_a_node_and_is_no_pod():
    folder = RECORDED / "loadbalancer"
    tables = analyzer.build_tables([folder / "k8s-worker03.ens18.pcap.gz"])
    inferred = infer(tables.flows, tables.connections)
    state = analyzer.Cluster.load([folder / "cluster"])
    pods = {pod for node in inferred.nodes for pod in node.pods}
    assert pods
    assert pods <= {ip for pod in state.pods for ip in pod.ips}


def test_what_kind_of_address_led_elsewhere_is_not_made_up(tmp_path):
    folder = RECORDED / "loadbalancer"
    tables = analyzer.build_tables(sorted(folder.glob("*.pcap*")))
    path = tmp_path / "cluster.json"
    objects = as_objects(infer(tables.flows, tables.connections))
    path.write_text(json.dumps(objects))
    state = analyzer.Cluster.load([path])
    ((service, kind),) = state.services_at("192.168.2.38", 8080, "tcp")
    assert (service.type, kind) == ("Unknown", None)
    (row,) = state.service_table().filter(pl.col("address") == "192.168.2.38").rows()
    assert row[:4] == ("192.168.2.38", 8080, "tcp", None)


def test_a_capture_without_tunnels_tells_no_nodes():
    tables = analyzer.build_tables(CAPTURES / "tcp" / "requests.pcap")
    assert infer(tables.flows, tables.connections).nodes == ()
