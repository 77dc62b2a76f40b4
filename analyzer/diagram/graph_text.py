"""The graph for programs that draw graphs: Mermaid and Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.analysis.paths import OTHERS, collapse
from analyzer.diagram import words
from analyzer.diagram.cluster.said import host_name
from analyzer.diagram.markup import is_taken, mermaid, quoted, yaml
from analyzer.diagram.model import picture
from analyzer.diagram.palette import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.analysis.paths import Limits, PathGraph
    from analyzer.diagram.model import Bundle, Picture, Vertex

_PLACES = ("entry", "exit", "arrival", "backend")


def fit_mermaid(graph: PathGraph, limits: Limits) -> Picture:
    """Sum up a graph, and more of it than limits ask for until Mermaid draws it."""
    what = picture(collapse(graph, limits))
    chart = write_mermaid(what, title="")
    if is_taken(chart, len(what.bundles)) or limits.less() == limits:
        return what
    return fit_mermaid(graph, limits.less())


def write_mermaid(what: Picture, *, title: str, by: str = "connections") -> str:
    """Write the graph as a Mermaid flow chart, as GitHub and GitLab show it.

    Parameters
    ----------
    what : Picture
    title : str
    by : {'connections', 'bytes'}
        What links are as thick as.
    """
    lines = [
        "---",
        f"title: {yaml(title)}",
        "---",
        "flowchart LR",
    ]
    ids = {key: f"n{number}" for number, key in enumerate(what.vertices)}
    for number, (name, vertices) in enumerate(_clusters(what)):
        indent = "  "
        if name:
            told = mermaid(host_name(name, what))
            lines.append(f'  subgraph node{number}["{told}"]')
            indent = "    "
        for vertex in vertices:
            label = "<br/>".join(mermaid(line) for line in _label(what, vertex))
            lines.append(f'{indent}{ids[vertex.id]}["{label}"]')
        if name:
            lines.append("  end")
    thickness = _thickness(what, by)
    styles = []
    for number, bundle in enumerate(what.bundles):
        arrow = "-->" if _is_seen(bundle) else "-.->"
        label = mermaid(_edge_label(bundle))
        lines.append(f'  {ids[bundle.source]} {arrow}|"{label}"| {ids[bundle.target]}')
        styles.append(
            f"  linkStyle {number} stroke:{_colour(what, bundle)},"
            f"stroke-width:{thickness(bundle):.1f}px"
        )
    return "\n".join([*lines, *styles]) + "\n"


def write_dot(what: Picture, *, title: str, by: str = "connections") -> str:
    """Write the graph in Graphviz's language; ``dot -Tsvg`` draws it.

    Parameters
    ----------
    what, title, by
        As for :func:`write_mermaid`.
    """
    lines = [
        "digraph paths {",
        f"  label={quoted(title)}; labelloc=t; rankdir=LR;",
        '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=10];',
    ]
    for number, (name, vertices) in enumerate(_clusters(what)):
        indent = "  "
        if name:
            told = quoted(host_name(name, what))
            lines += [f"  subgraph cluster_{number} {{", f"    label={told};"]
            indent = "    "
        for vertex in vertices:
            label = "\n".join(_label(what, vertex))
            lines.append(f"{indent}{quoted(vertex.id)} [label={quoted(label)}];")
        if name:
            lines.append("  }")
    thickness = _thickness(what, by)
    for bundle in what.bundles:
        facts = {
            "label": _edge_label(bundle),
            "color": _colour(what, bundle),
            "penwidth": f"{thickness(bundle):.1f}",
            "style": "solid" if _is_seen(bundle) else "dashed",
        }
        told = ", ".join(f"{name}={quoted(value)}" for name, value in facts.items())
        lines.append(f"  {quoted(bundle.source)} -> {quoted(bundle.target)} [{told}];")
    return "\n".join([*lines, "}"]) + "\n"


def _clusters(what: Picture) -> Iterator[tuple[str, list[Vertex]]]:
    """Give what stands on its own, then each node's vertices."""
    loose: list[Vertex] = []
    by_node: dict[str, list[Vertex]] = {}
    for vertex in what.vertices.values():
        if vertex.lane in _PLACES and vertex.node:
            by_node.setdefault(vertex.node, []).append(vertex)
        else:
            loose.append(vertex)
    yield "", loose
    for node in sorted(by_node):
        yield node, by_node[node]


def _label(what: Picture, vertex: Vertex) -> list[str]:
    host = what.hosts.get(vertex.node or "")
    if vertex.lane == "client":
        if vertex.id == f"client/{OTHERS}":
            return [words.plural(vertex.members, "more client")]
        return [each for each in (vertex.name, vertex.address) if each] or ["client"]
    if vertex.lane == "front":
        if vertex.id == f"front/{OTHERS}":
            return [words.plural(vertex.members, "more address", "es")]
        if vertex.address is None:
            kind = vertex.kind
            return [f"{kind} addresses" if kind else "address not seen"]
        called = words.endpoint(vertex.address, vertex.port)
        name = words.short_service(vertex.service) if vertex.service else None
        return [each for each in (vertex.kind, name, called) if each]
    if vertex.lane == "entry":
        device = (host.nic if host else None) or "NIC"
        return [
            {
                "nic": device,
                "pods": "its pods",
                "host": "own calls",
                "unseen": "caller not seen",
            }[vertex.kind or "nic"]
        ]
    if vertex.lane in ("exit", "arrival"):
        if vertex.kind in (None, "routed"):
            name = (host.nic if host else None) or "no tunnel"
            return [name if vertex.kind else "way not seen", vertex.lane]
        device = (host.tunnel_device if host else None) or vertex.kind or "tunnel"
        address = (host.tunnel_address if host else None) or ""
        return [each for each in (device, address, vertex.lane) if each]
    if vertex.lane == "backend":
        if vertex.members > 1:
            return [words.plural(vertex.members, "pod")]
        workload = (vertex.workload or "").replace("/", " ", 1)
        told = [each for each in (vertex.name, vertex.address, workload) if each]
        return told or ["backend"]
    ended = [each for each in what.bundles if each.target == vertex.id]
    return [
        words.ending(
            sum(each.connections for each in ended),
            sum(each.unanswered for each in ended),
        )
    ]


def _edge_label(bundle: Bundle) -> str:
    parts = [f"{bundle.connections:,}"]
    told = words.rate(bundle.per_second)
    if told:
        parts.append(told)
    if bundle.latency is not None:
        parts.append(words.latency(bundle.latency, bundle.clock_bound))
    if bundle.dnat:
        parts.append(f"DNAT {bundle.dnat:,}")
    if bundle.snat:
        parts.append(f"SNAT {bundle.snat:,}")
    if bundle.step == "carry" and bundle.tunnel not in (None, "routed"):
        vni = "" if bundle.vni is None else f" VNI {bundle.vni}"
        parts.append(f"{bundle.tunnel}{vni}")
    if bundle.lost_segments:
        parts.append(f"{bundle.lost_segments:,} lost")
    if bundle.unanswered and bundle.step in ("deliver", "refuse"):
        parts.append(f"{bundle.unanswered:,} unanswered")
    return " · ".join(parts)


def _is_seen(bundle: Bundle) -> bool:
    return all(band.is_observed for band in bundle.bands)


def _colour(what: Picture, bundle: Bundle) -> str:
    services = {band.service for band in bundle.bands}
    if len(services) > 1:
        return OTHER
    return what.colours.get(services.pop() or "", OTHER)


def _thickness(what: Picture, by: str) -> Callable[[Bundle], float]:
    """Give what is all of it the width of ten pixels, and nothing that of one."""

    def amount(bundle: Bundle) -> int:
        return bundle.octets if by == "bytes" else bundle.connections

    total = max(sum(amount(each) for each in what.bundles if each.step == "call"), 1)
    return lambda bundle: 1 + 9 * amount(bundle) / total
