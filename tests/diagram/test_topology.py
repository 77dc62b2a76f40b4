"""The cluster without traffic: what state says, and nothing more."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner

from analyzer.analysis.paths import Selection, topology
from analyzer.cli import main
from analyzer.cluster import Cluster
from analyzer.diagram.svg import write_svg
from analyzer.diagram.topology import draw_topology
from analyzer.diagram.topology_text import write_topology_dot, write_topology_mermaid
from analyzer.errors import ClusterError, QueryError
from tests.diagram.pictures import assert_apart, assert_whole, groups
from tests.frames import require_program
from tests.recordings import RECORDED, SCENARIOS, cluster
from tests.svg import SVG, assert_valid

REFERENCE = RECORDED.parent / "reference"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_links_are_the_endpoints_of_the_state(scenario):
    told = topology(cluster(scenario))
    drawn = groups(svg(told), "edge")
    pods = {ip for pod in cluster(scenario).pods for ip in pod.ips}
    listed = {
        (f"{each.namespace}/{each.service}", each.address)
        for each in cluster(scenario).endpoints
        if each.ready
        and each.address in pods
        and each.address in set(told.pods.collect()["address"])
    }
    assert {(each["source"], each["target"]) for each in drawn} == listed


def svg(told):
    return ET.fromstring(write_svg(draw_topology(told, title="A", source="b")))  # noqa: S314  ours


def texts(told) -> set[str]:
    return {each.text for each in svg(told).iter(f"{SVG}text")}


def test_the_reference_cluster_as_pasted_is_in_one_picture():
    """VXLAN interfaces, the addresses of Services and the DaemonSets' pods."""
    told = topology(Cluster.load([REFERENCE]))
    assert_valid(write_svg(draw_topology(told, title="A", source="b")))
    assert {
        "vxlan.calico",
        "10.1.235.192",
        "66:c1:17:77:92:d1",
        "VTEP 192.168.2.33",
        "192.168.2.38:8080",
        "any node:30080",
        "10.152.183.123:80",
        "nginx-ds-tkhgg",
        "redis-ds-pfrpl",
    } <= texts(told)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_texts_do_not_overlap(scenario):
    drawing = draw_topology(topology(cluster(scenario)), title="A", source="b")
    assert_whole(drawing)
    assert_apart(drawing.texts())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_svg_is_valid(scenario):
    drawing = draw_topology(topology(cluster(scenario)), title="A", source="b")
    assert_valid(write_svg(drawing))


def test_a_selection_keeps_its_services_and_their_pods():
    told = topology(cluster("loadbalancer"), Selection(services=("lb-redis-ds",)))
    assert set(told.fronts.collect()["service"]) == {"default/lb-redis-ds"}
    assert set(told.pods.collect()["workload"]) == {"DaemonSet/redis-ds"}
    told = topology(cluster("loadbalancer"), Selection(pods=("nginx-ds-tkhgg",)))
    assert set(told.fronts.collect()["service"]) == {"default/lb-nginx-ds"}
    with pytest.raises(QueryError, match="no service"):
        topology(cluster("loadbalancer"), Selection(services=("nothing",)))


def test_state_without_nodes_is_an_error():
    with pytest.raises(ClusterError, match="no nodes") as caught:
        topology(Cluster())
    assert "kubectl get nodes" in caught.value.hint


def test_state_that_does_not_tell_endpoints_says_so():
    shown = texts(topology(Cluster.load([REFERENCE])))
    assert any("does not say which pods are behind" in text for text in shown)


@pytest.mark.parametrize("ending", ["svg", "html", "png", "pdf", "mmd", "dot", "json"])
def test_it_is_drawn_from_the_command_line(tmp_path, ending):
    file = tmp_path / f"cluster.{ending}"
    arguments = ["paths", "--cluster", str(REFERENCE), "-o", str(file)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    assert file.stat().st_size > 1500


def listed(told) -> tuple[list[str], list[tuple[str, str]]]:
    """Give what has a place in a graph, and its links: endpoints and tunnels."""
    services = [f"service/{each}" for each in told.fronts.collect()["service"].unique()]
    pods = [f"pod/{each}" for each in told.pods.collect()["address"]]
    tunnels = [
        f"tunnel/{row['node']}"
        for row in told.hosts.collect().to_dicts()
        if row["tunnel_address"]
    ]
    links = [
        (f"service/{row['service']}", f"pod/{row['address']}")
        for row in told.endpoints.collect().to_dicts()
        if f"pod/{row['address']}" in pods
    ]
    links += [(each, "underlay") for each in tunnels]
    return [*services, *pods, *tunnels, "underlay"], sorted(set(links))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_dot_has_every_service_pod_and_tunnel(scenario):
    told = topology(cluster(scenario))
    text = write_topology_dot(told, title="A")
    vertices, links = listed(told)
    drawn = re.findall(r'^ +"([^"]+)" \[label=', text, re.MULTILINE)
    assert sorted(drawn) == sorted(vertices)
    found = re.findall(r'^  "([^"]+)" -> "([^"]+)" \[', text, re.MULTILINE)
    assert sorted(found) == links


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_mermaid_has_every_service_pod_and_tunnel(scenario):
    told = topology(cluster(scenario))
    text = write_topology_mermaid(told, title="A")
    vertices, links = listed(told)
    defined = re.findall(r'^ +(n\d+)(?:\["|\(\(")', text, re.MULTILINE)
    assert len(defined) == len(set(defined)) == len(vertices)
    found = re.findall(r"^  (n\d+) (?:-->|-\.-) (n\d+)$", text, re.MULTILINE)
    assert len(found) == len(links)
    assert {end for link in found for end in link} <= set(defined)
    nodes = {f'["{each}"]' for each in told.hosts.collect()["node"]}
    subgraphs = re.findall(r"^  subgraph \w+(\[.*\])$", text, re.MULTILINE)
    assert set(subgraphs) == nodes


def test_graphviz_takes_it():
    require_program("dot")
    text = write_topology_dot(topology(cluster("mixed")), title='with "quotes"')
    done = subprocess.run(
        ["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True
    )
    assert "nginx&#45;ds&#45;tkhgg" in done.stdout


def test_an_endpoint_that_is_not_ready_has_no_link():
    told = topology(cluster("drops"), Selection(services=("lb-nginx-ds",)))
    assert set(told.endpoints.collect()["address"]) == {"10.1.69.201"}


def test_the_command_prints_its_tables():
    arguments = ["paths", "--cluster", str(REFERENCE)]
    result = CliRunner().invoke(main, arguments, env={"COLUMNS": "100"})
    assert "addresses of Services" in result.stdout
    assert "10.1.235.192" in result.stdout
    result = CliRunner().invoke(main, [*arguments, "--json"])
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["table"] for row in rows} == {"fronts", "hosts", "pods"}


def test_a_ladder_takes_input():
    arguments = ["paths", "--cluster", str(REFERENCE), "--connection", "1"]
    assert CliRunner().invoke(main, arguments).exit_code == 2
