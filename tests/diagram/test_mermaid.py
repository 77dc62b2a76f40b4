"""Mermaid itself, in a browser, draws what we write for it."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from analyzer.analysis.paths import Limits, collapse, path_edges, path_graph, topology
from analyzer.analysis.paths.ladder import ladder
from analyzer.cluster import Cluster, Endpoint, Node, Pod, Service, ServicePort
from analyzer.diagram.graph_text import fit_mermaid, write_dot, write_mermaid
from analyzer.diagram.ladder_mermaid import write_ladder_mermaid
from analyzer.diagram.ladder_words import Rung, chosen, rungs
from analyzer.diagram.markup import mermaid
from analyzer.diagram.model import picture
from analyzer.diagram.topology_text import write_topology_mermaid
from analyzer.errors import DiagramError
from tests.diagram.browser import ask, needs_browser
from tests.diagram.pictures import graph
from tests.diagram.synthetic import large_cluster
from tests.diagram.test_ladder import CASES
from tests.recordings import RECORDED, SCENARIOS, cluster, tables

DRAW = """
  mermaid.initialize({ startOnLoad: false });
  const told = [];
  for (const chart of charts) {
    try {
      const drawn = await mermaid.render(`chart${told.length}`, chart);
      const room = document.createElement("div");
      room.innerHTML = drawn.svg;
      const all = (what) => [...room.querySelectorAll(what)]
        .map((each) => each.textContent);
      told.push({
        kind: drawn.diagramType,
        nodes: all(".node .nodeLabel"),
        links: all(".edgePaths path").length,
        labels: all(".edgeLabels .edgeLabel .edgeLabel"),
        groups: all(".cluster-label").sort(),
        actors: all("text.actor-box").slice(0, all("text.actor-box").length / 2),
        boxes: all("rect.rect + text"),
        notes: all(".noteText"),
        messages: all(".messageText"),
      });
    } catch (error) {
      told.push({ error: String(error) });
    }
  }
  return told;
"""


def drawn(charts, folder):
    """Let Mermaid draw charts, and say what texts stand in each."""
    script = Path(find_spec("mermaidx").origin).parent / "assets" / "mermaid.js"
    page = f"""<!doctype html><html><head><meta charset="utf-8">
        <script src="{script.as_uri()}"></script></head><body></body></html>"""
    given = json.dumps(charts).replace("</", "<" + chr(92) + "/")
    told, complaints = ask(page, f"const charts = {given};{DRAW}", folder)
    assert complaints == []
    assert [each.get("error") for each in told] == [None] * len(charts)
    return told


@needs_browser
def test_it_draws_every_node_and_link_of_the_recordings(tmp_path):
    charts = [write_mermaid(picture(graph(each)), title=each) for each in SCENARIOS]
    for scenario, told in zip(SCENARIOS, drawn(charts, tmp_path), strict=True):
        edges = path_edges(graph(scenario).sums, by=()).collect()
        assert told["links"] == edges.height
        counts = [int(each.split(" ")[0].replace(",", "")) for each in told["labels"]]
        assert sorted(counts) == sorted(edges["connections"])
        nodes = graph(scenario).nodes.collect()
        assert len(told["nodes"]) == nodes.height
        pods = nodes.filter(nodes["lane"] == "backend")["name"].drop_nulls()
        assert all(any(pod in each for each in told["nodes"]) for pod in pods)


@needs_browser
def test_it_draws_the_cluster_from_its_state(tmp_path):
    states = {each: cluster(each) for each in SCENARIOS}
    states["reference"] = Cluster.load([RECORDED.parent / "reference"])
    every = {name: topology(state) for name, state in states.items()}
    charts = [write_topology_mermaid(told, title=name) for name, told in every.items()]
    for told, state in zip(drawn(charts, tmp_path), every.values(), strict=True):
        names = state.hosts.collect()["node"].to_list()
        assert told["groups"] == sorted(names)
        pods = state.pods.collect()["address"]
        assert all(any(pod in each for each in told["nodes"]) for pod in pods)


@needs_browser
def test_it_draws_every_packet_of_a_ladder(tmp_path):
    every = [
        ladder(tables(scenario), tables(scenario).packets, number)
        for scenario, number in CASES
    ]
    charts = [write_ladder_mermaid(each) for each in every]
    for known, told in zip(every, drawn(charts, tmp_path), strict=True):
        shown = [each for each in chosen(rungs(known)) if isinstance(each, Rung)]
        assert told["kind"] == "sequence"
        assert len(told["messages"]) == len(shown)
        assert len(told["actors"]) == known.places.height
        hosts = [each.partition("/")[0] for each in known.places["point"]]
        assert set(told["boxes"]) == set(hosts)


NAMES = [
    *('a "b" c', "#35;hash#", "semi;colon", "<b>bold</b>", "<br/>x", "end", "red"),
    *("50 %% of it", "back`tick`", "`md`", "a & b &amp;", "x:y: z", "{curly}", "[x]"),
    *("(round)", "*stars* _lines_", "1. list", "- item", "émile → ü", "| pipe |"),
    *("new\\nline", "$$x$$", "as foo", "rgb(1,2,3) box", "transparent", "'single'"),
]


@needs_browser
def test_names_stand_there_as_they_are(tmp_path):
    flow, sequence = ["flowchart LR"], ["sequenceDiagram"]
    for number, name in enumerate(NAMES):
        escaped = mermaid(name)
        flow += [
            f'  subgraph s{number}["{escaped}"]',
            f'    n{number}["{escaped}"]',
            "  end",
            f'  n{number} -->|"{escaped}"| x',
        ]
        sequence += [
            f"  box transparent {escaped}",
            f"    participant p{number} as {escaped}",
            "  end",
            f"  Note over p{number}: {escaped}",
            f"  p{number}->>p{number}: {escaped}",
        ]
    # Participants come before what is said of them.
    sequence.sort(key=lambda line: line.startswith(("  Note", "  p")))
    told = drawn(["\n".join(each) for each in (flow, sequence)], tmp_path)
    for names in (
        [each for each in told[0]["nodes"] if each != "x"],
        told[0]["groups"],
        told[0]["labels"],
        *(told[1][of] for of in ("actors", "boxes", "notes", "messages")),
    ):
        assert sorted(names) == sorted(NAMES)


@needs_browser
def test_it_draws_what_is_large(tmp_path):
    charts = [
        write_mermaid(fit_mermaid(path_graph(each), Limits()), title="large")
        for each in (
            large_cluster(),
            large_cluster(nodes=300, services=60, connections=20_000),
        )
    ]
    for told in drawn(charts, tmp_path):
        assert 200 < told["links"] <= 500
        texts = told["nodes"] + told["groups"]
        for noun in ("nodes", "clients", "addresses"):
            assert any(re.fullmatch(rf"\d+ more {noun}", each) for each in texts), noun


def test_what_is_summed_up_for_mermaid_loses_nothing():
    whole = path_graph(large_cluster())
    what = fit_mermaid(whole, Limits())
    assert len(what.bundles) <= 500 < len(picture(collapse(whole)).bundles)
    assert what.connections == 20_000
    assert fit_mermaid(graph("mixed"), Limits()) == picture(collapse(graph("mixed")))


@pytest.mark.parametrize("write", [write_mermaid, write_dot])
def test_what_stands_for_several_is_counted(write):
    text = write(picture(collapse(path_graph(large_cluster()))), title="large")
    nodes = path_graph(large_cluster()).nodes.collect()
    clients = nodes.filter(nodes["lane"] == "client").height
    assert f"{clients - 11} more clients" in text
    assert "43 more nodes" in text
    assert re.search(r"\"\d+ pods\"", text)
    assert '"+"' not in re.sub(r"/\+\S*", "", text)


@pytest.mark.parametrize("write", [write_mermaid, write_dot])
def test_links_are_as_thick_as_their_bytes_if_asked(write):
    what = picture(graph("loadbalancer"))
    thickness = re.compile(r'(?:stroke-width:|penwidth=")([\d.]+)')
    for by, amount in (("connections", "connections"), ("bytes", "octets")):
        found = list(map(float, thickness.findall(write(what, title="a", by=by))))
        most = max(what.bundles, key=lambda each: getattr(each, amount))
        assert what.bundles[found.index(max(found))] == most
        assert 1 <= min(found) < max(found) <= 10


def test_a_cluster_that_mermaid_would_not_draw_is_refused():
    numbers = range(600)
    state = Cluster(
        nodes=tuple(Node(f"n{at}", (f"192.0.2.{at}",)) for at in range(200)),
        pods=tuple(
            Pod("default", f"web-{at}", (f"10.1.{at % 200}.{at}",), f"n{at % 200}")
            for at in numbers
        ),
        services=(
            Service(
                "default",
                "web",
                cluster_ips=("10.96.0.1",),
                ports=(ServicePort("tcp", 80),),
                endpoints_known=True,
            ),
        ),
        endpoints=tuple(
            Endpoint("default", "web", f"10.1.{at % 200}.{at}", 80, "tcp")
            for at in numbers
        ),
    )
    with pytest.raises(DiagramError, match="no more than 500 links") as caught:
        write_topology_mermaid(topology(state), title="large")
    assert ".svg" in caught.value.hint
    assert "here are 600 and" in str(caught.value)
