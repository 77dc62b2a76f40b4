"""The paths as text: what is in it, and that it fits."""

from __future__ import annotations

import re

import polars as pl
import pytest

from analyzer.analysis.paths import path_routes
from analyzer.diagram.graph_text import write_dot
from analyzer.diagram.model import picture
from analyzer.diagram.text import draw_text
from tests.diagram.pictures import graph, scene
from tests.recordings import SCENARIOS, tables


def lines(scenario: str, width: int, *, named: bool = True) -> list[str]:
    found = graph(scenario, named=named)
    nanoseconds = pl.selectors.duration().dt.total_nanoseconds()
    routes = path_routes(found.sums).with_columns(nanoseconds).collect().to_dicts()
    return list(
        draw_text(picture(found), routes, width, title="Paths", source="a recording")
    )


@pytest.mark.parametrize("width", [40, 60, 80, 100, 119, 120, 160])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_lines_fit(scenario, width):
    for named in (True, False):
        assert max(map(len, lines(scenario, width, named=named))) <= min(width, 120)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_counts_on_branches_add_up_to_all_connections(scenario):
    """The first line of an address counts what its branches count together."""
    total = tables(scenario).connections.select(pl.len()).collect().item()
    fronts = entries = 0
    for line in lines(scenario, 100):
        if found := re.fullmatch(r"[├└]─ .* (\d+)", line):
            entries += int(found[1])
        elif found := re.fullmatch(r"\S.* (\d+) · [\d.]+/s", line):
            fronts += int(found[1])
    assert fronts == entries == total


def test_a_branch_says_tunnel_pod_latency_and_count():
    whole = lines("loadbalancer", 80)
    front = next(i for i, line in enumerate(whole) if "192.168.2.38:8080" in line)
    assert re.fullmatch(
        r"lb-nginx-ds LoadBalancer 192.168.2.38:8080 +43 · 66/s", whole[front]
    )
    assert re.fullmatch(
        r"├─ k8s-worker01 \(ens18\)  DNAT 37, SNAT 37 +37", whole[front + 2]
    )
    assert re.fullmatch(
        r"│  ├═ VXLAN to k8s-worker02 +nginx-ds-k4ndq +[\d.]+ ± [\d.]+ µs +12",
        whole[front + 3],
    )


def test_what_follows_without_a_capture_is_drawn_otherwise():
    whole = lines("loadbalancer", 80)
    at = next(i for i, line in enumerate(whole) if "by elimination" in line)
    assert "╌ on this node" in whole[at - 1]
    assert "redis-ds-pfrpl" in whole[at - 1]


def test_routes_add_up_to_the_connections_of_the_tables():
    for scenario in SCENARIOS:
        routes = path_routes(graph(scenario).sums).collect()
        connections = tables(scenario).connections.collect()
        assert routes["connections"].sum() == connections.height
        octets = connections["client_bytes"].sum() + connections["backend_bytes"].sum()
        assert routes["octets"].sum() == octets


def test_an_answer_by_an_unknown_backend_is_no_refusal():
    """DNS to a pod beside its client, captured at the client only; and nobody's."""
    of_dns = next(
        line for line in lines("clusterip", 120) if "backend not known" in line
    )
    assert "✗" not in of_dns
    assert not any("no backend" in line for line in lines("clusterip", 120))
    refused = [line for line in lines("mixed", 120) if "no backend" in line]
    assert refused
    assert all("✗" in line for line in refused)
    for scenario, said in (("clusterip", "1 not known"), ("mixed", "2 no backend")):
        assert said in {text.text for text in scene(scenario).texts()}
    assert '"backend not known"' in write_dot(picture(graph("clusterip")), title="a")
    assert '"no backend"' in write_dot(picture(graph("mixed")), title="a")
