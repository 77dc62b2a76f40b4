"""What the cluster's picture says of its parts, in lines and on hover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.analysis.paths import ELSEWHERE, OTHERS, UNSEEN
from analyzer.diagram import words
from analyzer.diagram.cluster.geometry import (
    natural,
    node_of,
)

if TYPE_CHECKING:
    from analyzer.diagram.cluster.measure import Measure
    from analyzer.diagram.model import Bundle, Picture, Pod, Vertex


def description(what: Picture) -> str:
    """Say in sentences what the picture shows, for those who cannot see it."""
    calls = [each for each in what.bundles if each.step == "call"]
    carried = sum(
        each.connections
        for each in what.bundles
        if each.step == "carry" and each.tunnel not in (None, "routed")
    )
    counts = (
        words.plural(what.connections, "connection"),
        words.plural(len({each.source for each in calls}), "client"),
        words.plural(len({each.target for each in calls}), "called address", "es"),
    )
    sentences = ["{} from {} to {}.".format(*counts)]
    dnat = sum(each.dnat for each in what.bundles)
    snat = sum(each.snat for each in what.bundles)
    sentences.append(
        f"DNAT was seen in {dnat:,}, SNAT in {snat:,}; {carried:,} were carried"
        " between nodes in a tunnel."
    )
    for bundle in what.bundles:
        if bundle.step == "deliver":
            vertex = what.vertices[bundle.target]
            name = vertex.name or vertex.address or "a backend"
            where = f" on {vertex.node}" if vertex.node else ""
            sentences.append(
                f"{name}{where} got {words.plural(bundle.connections, 'connection')}."
            )
    return " ".join(sentences)


def host_name(node: str, what: Picture) -> str:
    """Name a node, or those that are summed up."""
    if node == OTHERS:
        return words.plural(what.hosts[node].members, "more node")
    return {"?": "node not known", "outside": "outside the cluster"}.get(node, node)


def host_title(node: str, what: Picture) -> str:
    """Say what is known of a node."""
    host = what.hosts.get(node)
    if node == OTHERS:
        return f"{host_name(node, what)}, those with the least connections"
    if host is None:
        return "Node not known" if node == "?" else "Outside the cluster"
    lines = [f"Node {node}"]
    if host.address:
        lines.append(f"{host.nic or 'address'} {host.address}")
    if host.tunnel_address:
        lines.append(f"{host.tunnel_device or 'tunnel'} {host.tunnel_address}")
    return "\n".join(lines)


def amount(vertex: Vertex) -> str:
    """Say how many connections pass a vertex, and their octets."""
    count = words.plural(vertex.connections, "connection")
    return f"{count}, {words.size(vertex.octets)}"


def workload_of(pod: Pod | None, vertex: Vertex | None) -> tuple[int, str]:
    """Name who made a pod, with a rank that sorts what nobody made last."""
    name = (pod.workload if pod else None) or (vertex.workload if vertex else None)
    return (0, name) if name else (1, "")


def pod_lines(
    measure: Measure, key: str, pod: Pod | None, vertex: Vertex | None
) -> list[list[tuple[str, str]]]:
    """Give lines of (text, style), the second of a line at its right end."""
    address = pod.address if pod else (vertex.address if vertex else None)
    if vertex is not None and vertex.members > 1:
        lines = [[(words.plural(vertex.members, "pod"), "name")]]
        bundles = [each for each in measure.of("deliver") if each.target == key]
        return lines + [[each] for each in delivered(measure, bundles)]
    name = pod.pod if pod and pod.pod else (vertex.name if vertex else None)
    if name is None:
        is_node = vertex is not None and vertex.kind == "node"
        name = "the node itself" if is_node else None
    if name and address:
        lines = [[(name, "name"), (address, "soft")]]
    else:
        lines = [[(name or address or "?", "name")]]
    if pod and pod.device:
        lines.append([(pod.device, "soft")])
    bundles = [each for each in measure.of("deliver") if each.target == key]
    if not bundles:
        lines.append([("nothing seen", "soft")])
        return lines
    lines += [[each] for each in delivered(measure, bundles)]
    return lines


def delivered(measure: Measure, bundles: list[Bundle]) -> list[tuple[str, str]]:
    """Say what came to a pod, in lines of (text, style)."""
    lines: list[tuple[str, str]] = []
    for bundle in bundles:
        way = " here" if bundle.source.startswith("entry/") else ""
        (first, style), *more = measure.label(bundle)
        lines.append((first + (way if len(bundles) > 1 else ""), style))
        lines += more
    unseen: dict[str, int] = {}
    for bundle in bundles:
        for evidence, count in bundle.unseen().items():
            unseen[evidence] = unseen.get(evidence, 0) + count
    lines += [
        (f"{count:,} {words.EVIDENCE.get(evidence, evidence)}", "soft")
        for evidence, count in unseen.items()
    ]
    unanswered = sum(each.unanswered for each in bundles)
    if unanswered:
        lines.append((f"{unanswered:,} unanswered", "alarm"))
    return lines


def front_lines(measure: Measure, vertex: Vertex) -> list[tuple[str, str]]:
    """Describe an address that was called, in lines of (text, style)."""
    if vertex.id == f"front/{OTHERS}":
        return [(words.plural(vertex.members, "more address", "es"), "name")]
    if vertex.id == UNSEEN:
        return [
            ("address not seen", "name"),
            ("rewritten in the host before", "soft"),
            ("any device shows it", "soft"),
        ]
    if vertex.id == ELSEWHERE:
        return [
            ("address not known", "name"),
            ("rewritten, if at all, where", "soft"),
            ("no capture was taken", "soft"),
        ]
    direct = {"Pod": "pod", "Node": "node", "External": "outside"}
    if vertex.service is None and vertex.kind in direct:
        return [
            (f"{direct[vertex.kind]} addresses", "name"),
            ("called directly: no Service", "soft"),
        ]
    called = words.endpoint(vertex.address or "?", vertex.port)
    if vertex.protocol not in (None, "tcp"):
        called = f"{called} {vertex.protocol}"
    lines = [(called, "name")]
    if vertex.name:
        lines = [(vertex.name, "name"), (called, "text")]
    note = front_note(measure, vertex)
    if note:
        lines.append((note, "soft"))
    for evidence, count in unseen_calls(measure, vertex).items():
        if evidence == "none":  # there was no cluster state to know it from
            continue
        lines.append((f"{count:,} {words.EVIDENCE.get(evidence, evidence)}", "soft"))
    return lines


def unseen_calls(measure: Measure, vertex: Vertex) -> dict[str, int]:
    """Count calls by the evidence that stands in for a sighting."""
    counts: dict[str, int] = {}
    for bundle in measure.of("call"):
        if bundle.target == vertex.id:
            for evidence, count in bundle.unseen().items():
                counts[evidence] = counts.get(evidence, 0) + count
    return counts


def front_note(measure: Measure, vertex: Vertex) -> str | None:
    """Say where an address is."""
    if vertex.kind == "ClusterIP":
        return "on no interface at all"
    if vertex.kind == "NodePort":
        return f"a port of {vertex.node or 'a node'}"
    if vertex.kind == "LoadBalancer":
        nodes = sorted(
            {
                node_of(each.target)
                for each in measure.of("enter")
                if each.source == vertex.id and each.target.endswith("/nic")
            },
            key=natural,
        )
        if len(nodes) == 1:
            return f"announced by {nodes[0]}"
        if nodes:
            return f"comes in at {len(nodes)} nodes"
    return None


def client_lines(vertex: Vertex) -> list[tuple[str, str]]:
    """Describe a client, in lines of (text, style)."""
    if vertex.id == f"client/{OTHERS}":
        return [(words.plural(vertex.members, "more client"), "name")]
    if vertex.kind == "pod":
        lines = [(vertex.name or "pod", "name"), (vertex.address or "", "text")]
        if vertex.node:
            lines.append((f"pod on {vertex.node}", "soft"))
        return lines
    if vertex.kind == "node":
        return [(vertex.name or "node", "name"), ("the node itself", "soft")]
    if vertex.kind == "behind":
        return [(vertex.name or "node", "name"), ("or who came in there", "soft")]
    if vertex.kind is None:
        return [(vertex.address or "?", "name")]
    return [(vertex.address or "?", "name"), ("outside the cluster", "soft")]


def edge_title(bundle: Bundle) -> str:
    """Say all that is known of a link."""
    lines = [
        {
            "call": "call",
            "enter": "into the node that takes the call",
            "translate": "through the node that takes the call",
            "carry": "between nodes",
            "deliver": "to the backend",
        }[bundle.step],
        (
            f"{words.plural(bundle.connections, 'connection')},"
            f" {words.size(bundle.octets)}"
        ),
    ]
    if bundle.per_second is not None:
        lines[1] += f", {words.rate(bundle.per_second)}"
    if bundle.latency is not None:
        lines.append(
            f"median latency {words.latency(bundle.latency, bundle.clock_bound)}"
            f" ({bundle.measured:,} measured)"
        )
    if bundle.dnat:
        lines.append(f"DNAT in {bundle.dnat:,}")
    if bundle.snat:
        lines.append(f"SNAT in {bundle.snat:,}")
    if bundle.step == "carry" and bundle.outer_client_ip:
        vni = f" VNI {bundle.vni}" if bundle.vni is not None else ""
        lines.append(
            f"{bundle.tunnel}{vni} {bundle.outer_client_ip} → {bundle.outer_backend_ip}"
        )
    for band in bundle.bands:
        how = "seen" if band.is_observed else "not captured"
        if band.evidence not in (None, "observed"):
            how += f", {words.EVIDENCE.get(band.evidence, band.evidence)}"
        lines.append(f"{band.connections:,} {band.service or 'no Service'}: {how}")
    if bundle.lost_segments:
        lines.append(f"{bundle.lost_segments:,} segments lost")
    if bundle.unanswered:
        lines.append(f"{bundle.unanswered:,} unanswered")
    return "\n".join(lines)
