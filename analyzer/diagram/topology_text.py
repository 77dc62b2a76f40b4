"""The cluster without traffic for programs that draw graphs: Mermaid and Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.diagram import words
from analyzer.diagram.markup import MOST_LINKS, is_taken, mermaid, quoted, yaml
from analyzer.diagram.topology import front_words, topology_colours
from analyzer.errors import DiagramError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.analysis.paths import Topology

_UNDERLAY = "underlay"


class _Graph(NamedTuple):
    """What is drawn: lines of text by id, in groups, and links between ids.

    A link has its Service, or None for that of a node's tunnel to all others.
    """

    services: Mapping[str, list[str]]
    nodes: Mapping[str, Mapping[str, list[str]]]
    links: list[tuple[str, str, str | None]]
    has_tunnels: bool


def write_topology_mermaid(told: Topology, *, title: str) -> str:
    """Write Services, nodes, pods and tunnels as a Mermaid flow chart.

    Raises
    ------
    DiagramError
        If there are more of them than Mermaid draws.
    """
    graph, colours = _graph(told), topology_colours(told)
    names = [*graph.services, *(each for of in graph.nodes.values() for each in of)]
    ids = {name: f"n{number}" for number, name in enumerate([*names, _UNDERLAY])}
    lines = ["---", f"title: {yaml(title)}", "---", "flowchart LR"]

    def vertex(name: str, text: list[str], indent: str) -> str:
        label = "<br/>".join(map(mermaid, text))
        return f'{indent}{ids[name]}["{label}"]'

    lines += [vertex(name, text, "  ") for name, text in graph.services.items()]
    for number, (node, members) in enumerate(graph.nodes.items()):
        lines.append(f'  subgraph node{number}["{mermaid(node)}"]')
        lines += [vertex(name, text, "    ") for name, text in members.items()]
        lines.append("  end")
    if graph.has_tunnels:
        lines.append(f'  {ids[_UNDERLAY]}(("between nodes"))')
    styles = []
    for number, (source, target, service) in enumerate(graph.links):
        arrow = "-->" if service else "-.-"
        lines.append(f"  {ids[source]} {arrow} {ids[target]}")
        if service:
            styles.append(f"  linkStyle {number} stroke:{colours[service]}")
    chart = "\n".join([*lines, *styles]) + "\n"
    if not is_taken(chart, len(graph.links)):
        raise DiagramError(
            f"Mermaid draws no more than {MOST_LINKS} links and some 50,000 characters,"
            f" and here are {len(graph.links):,} and {len(chart):,}",
            hint="choose with --service or --pod; or end its name in .svg or .dot",
        )
    return chart


def write_topology_dot(told: Topology, *, title: str) -> str:
    """Write Services, nodes, pods and tunnels in Graphviz's language."""
    graph, colours = _graph(told), topology_colours(told)
    lines = [
        "digraph cluster {",
        f"  label={quoted(title)}; labelloc=t; rankdir=LR;",
        '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];',
    ]

    def vertex(name: str, text: list[str], indent: str) -> str:
        return f"{indent}{quoted(name)} [label={quoted(chr(10).join(text))}];"

    lines += [vertex(name, text, "  ") for name, text in graph.services.items()]
    for number, (node, members) in enumerate(graph.nodes.items()):
        lines += [f"  subgraph cluster_{number} {{", f"    label={quoted(node)};"]
        lines += [vertex(name, text, "    ") for name, text in members.items()]
        lines.append("  }")
    if graph.has_tunnels:
        lines.append(f'  {quoted(_UNDERLAY)} [label="between nodes", shape=ellipse];')
    for source, target, service in graph.links:
        how = (
            f"color={quoted(colours[service])}" if service else "style=dashed, dir=none"
        )
        lines.append(f"  {quoted(source)} -> {quoted(target)} [{how}];")
    return "\n".join([*lines, "}"]) + "\n"


def _graph(told: Topology) -> _Graph:
    services: dict[str, list[str]] = {}
    for row in told.fronts.collect().to_dicts():
        name = f"service/{row['service']}"
        lines = services.setdefault(name, [words.short_service(row["service"])])
        lines.append(f"{row['kind']} {front_words(row)}")
    hosts = told.hosts.collect().to_dicts()
    nodes: dict[str, dict[str, list[str]]] = {row["node"]: {} for row in hosts}
    pods = [each for each in told.pods.collect().to_dicts() if each["node"] in nodes]
    for row in pods:
        nodes[row["node"]][f"pod/{row['address']}"] = _told(
            row["pod"], row["address"], (row["workload"] or "").replace("/", " ", 1)
        )
    links: list[tuple[str, str, str | None]] = []
    listed = told.endpoints.select("service", "address").unique()
    for row in listed.sort("service", "address").collect().to_dicts():
        source, target = f"service/{row['service']}", f"pod/{row['address']}"
        if source in services and any(target in each for each in nodes.values()):
            links.append((source, target, row["service"]))
    tunnels = [row for row in hosts if row["tunnel_address"]]
    for row in tunnels:
        name = f"tunnel/{row['node']}"
        nodes[row["node"]][name] = _tunnel(row)
        links.append((name, _UNDERLAY, None))
    return _Graph(services, nodes, links, bool(tunnels))


def _tunnel(row: dict[str, Any]) -> list[str]:
    vtep = f"VTEP {row['address']}" if row["address"] else None
    name = row["tunnel_device"] or "tunnel"
    return _told(name, row["tunnel_address"], row["vtep_mac"], vtep)


def _told(*lines: str | None) -> list[str]:
    return [line for line in lines if line]
