"""Which cards there are, in which order, and how much room each takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.analysis.paths import ELSEWHERE, OTHERS, UNSEEN
from analyzer.diagram import words
from analyzer.diagram.cluster.geometry import (
    GAP,
    LINE,
    Port,
    Row,
    Workload,
    natural,
    node_of,
)
from analyzer.diagram.cluster.measure import Measure
from analyzer.diagram.cluster.said import (
    client_lines,
    front_lines,
    pod_lines,
    workload_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.diagram.model import Bundle, Picture, Vertex


class Plan(Measure):
    """The cards of a picture before they have their places."""

    def __init__(self, what: Picture, by: str) -> None:
        super().__init__(what, by)
        self.out: dict[str, Port] = {}
        self.into: dict[str, Port] = {}
        self.rows: list[Row] = []
        self.nodes = self._node_order()

    def _node_order(self) -> list[str]:
        found = {
            each.split("/")[1]
            for each in self.what.vertices
            if each.split("/")[0] in ("entry", "exit", "arrival", "backend")
        }
        found |= {pod.node for pod in self.what.pods if pod.node}
        special = {OTHERS: 1, "outside": 2, "?": 3}
        return sorted(found, key=lambda each: (special.get(each, 0), natural(each)))

    def make_rows(self) -> float:
        """Make a row for each node; give what all of them take."""
        for node in self.nodes:
            row = Row(node)
            row.entry = [
                vertex
                for vertex in self.what.vertices.values()
                if vertex.lane == "entry" and node_of(vertex.id) == node
            ]
            row.exits = self._of_node("exit", node)
            row.arrivals = self._of_node("arrival", node)
            self._ports(row)
            self.rows.append(row)
        heights = sum(row.height for row in self.rows)
        return heights + GAP * max(len(self.rows) - 1, 0)

    def _of_node(self, lane: str, node: str) -> list[Vertex]:
        return [
            vertex
            for vertex in self.what.vertices.values()
            if vertex.lane == lane and node_of(vertex.id) == node
        ]

    def _ports(self, row: Row) -> None:
        for vertex in row.entry:
            is_open = self.is_open(vertex)
            into = self.into[vertex.id] = Port(least=62 if is_open else 46)
            out = self.out[vertex.id] = Port()
            for bundle in self.of("enter"):
                if bundle.target == vertex.id:
                    slot = self.slot(bundle, labelled=True)
                    into.slots.append((bundle, slot))
            for bundle in self.what.bundles:
                if bundle.source == vertex.id:
                    out.slots.append((bundle, self.slot(bundle, labelled=False)))
        for vertex in row.exits:
            into = self.into[vertex.id] = Port()
            out = self.out[vertex.id] = Port(least=34)
            for bundle in self.what.bundles:
                if bundle.target == vertex.id:
                    into.slots.append((bundle, self.slot(bundle, labelled=False)))
                elif bundle.source == vertex.id:
                    out.slots.append((bundle, self.slot(bundle, labelled=False)))
        for vertex in row.arrivals:
            into = self.into[vertex.id] = Port(least=34)
            out = self.out[vertex.id] = Port()
            for bundle in self.what.bundles:
                if bundle.target == vertex.id:
                    into.slots.append((bundle, self.slot(bundle, labelled=True)))
                elif bundle.source == vertex.id:
                    out.slots.append((bundle, self.slot(bundle, labelled=False)))
        local = [
            bundle
            for bundle in self.of("deliver")
            if bundle.source.startswith("entry/") and node_of(bundle.source) == row.node
        ]
        if local:
            slots = [(each, self.slot(each, labelled=False)) for each in local]
            row.local_out = Port(least=20, slots=list(slots))
            row.local_in = Port(least=20, slots=list(slots))
        row.refused = [
            bundle for bundle in self.of("refuse") if node_of(bundle.source) == row.node
        ]
        self._backends(row)
        left = sum(
            max(self.into[each.id].height, self.out[each.id].height) + 5
            for each in row.entry
        )
        right = sum(
            max(self.into[each.id].height, self.out[each.id].height) + 5
            for each in row.exits
        )
        right += row.local_out.height + 5 if row.local_out else 0
        right += 30 if row.refused else 0
        row.entry_height = 26 + max(left, right) + 3 if row.entry else 0
        left = sum(
            max(self.into[each.id].height, self.out[each.id].height) + 5
            for each in row.arrivals
        )
        left += row.local_in.height + 5 if row.local_in else 0
        right = sum(group.height + 5 for group in row.groups)
        row.dest_height = 26 + max(left, right) + 3 if row.groups or row.arrivals else 0

    def _backends(self, row: Row) -> None:
        """Group the pods of a node by who made them."""
        ids = {
            vertex.id: vertex
            for vertex in self.what.vertices.values()
            if vertex.lane == "backend" and node_of(vertex.id) == row.node
        }
        pods = {
            f"backend/{row.node}/{pod.address}": pod
            for pod in self.what.pods
            if (pod.node or "?") == row.node
            or f"backend/{row.node}/{pod.address}" in ids
        }
        groups: dict[str, Workload] = {}
        for key in sorted(
            {*ids, *pods},
            key=lambda each: (
                workload_of(pods.get(each), ids.get(each)),
                natural(pods[each].pod if each in pods else each),
                natural(each),
            ),
        ):
            pod, vertex = pods.get(key), ids.get(key)
            name = workload_of(pod, vertex)[1]
            group = groups.setdefault(name, Workload(name))
            into = self.into[key] = Port()
            for bundle in self.of("deliver"):
                if bundle.target == key:
                    slot = self.slot(bundle, labelled=False)
                    into.slots.append((bundle, slot))
            lines = pod_lines(self, key, pod, vertex)
            into.least = LINE * len(lines) + 4
            group.pods.append((key, pod, vertex, lines))
            group.height += into.height
        for group in groups.values():
            group.height += 15 if group.name else 2
        row.groups = list(groups.values())
        host = self.what.hosts.get(row.node)
        if host and host.idle_pods:
            row.groups.append(self._idle(row, host.idle_pods))

    def _idle(self, row: Row, count: int) -> Workload:
        """Make a line for the pods without traffic that have no room."""
        key = f"idle/{row.node}"
        self.into[key] = Port(least=LINE + 4)
        text = f"{words.plural(count, 'more pod')} without traffic"
        group = Workload("", height=LINE + 6)
        group.pods.append((key, None, None, [[(text, "soft")]]))
        return group

    def stacked(
        self, lane: str, step: str, place: Callable[[Bundle], float]
    ) -> list[Vertex]:
        """Order the cards of a lane by where their links go."""
        pulls: dict[str, tuple[float, float]] = {}
        for bundle in self.of(step):
            weight, pull = pulls.get(bundle.source, (0.0, 0.0))
            count = bundle.connections
            pulls[bundle.source] = weight + count, pull + count * place(bundle)
        found = [each for each in self.what.vertices.values() if each.lane == lane]
        for vertex in found:
            into = self.into[vertex.id] = Port()
            out = self.out[vertex.id] = Port()
            for bundle in self.what.bundles:
                if bundle.source == vertex.id:
                    slot = self.slot(bundle, labelled=False)
                    out.slots.append((bundle, slot))
                elif bundle.target == vertex.id:
                    slot = self.slot(bundle, labelled=True)
                    into.slots.append((bundle, slot))

        def key(vertex: Vertex) -> tuple[object, ...]:
            weight, pull = pulls.get(vertex.id, (0, 0))
            return (pull / weight if weight else 1e9, natural(vertex.id))

        return sorted(found, key=key)

    def front_height(self, vertex: Vertex) -> float:
        """Give the height of an address's card."""
        lines = front_lines(self, vertex)
        kind = 17 if vertex.address and vertex.kind else 0
        text = 10 + kind + LINE * len(lines)
        return max(
            text, self.into[vertex.id].height + 6, self.out[vertex.id].height + 6
        )

    def client_height(self, vertex: Vertex) -> float:
        """Give the height of a client's card."""
        text = 10 + LINE * len(client_lines(vertex))
        return max(text, self.out[vertex.id].height + 6)

    def is_open(self, vertex: Vertex) -> bool:
        """Tell whether calls came in whose address is not known."""
        return any(
            each.source in (UNSEEN, ELSEWHERE) and each.target == vertex.id
            for each in self.of("enter")
        )
