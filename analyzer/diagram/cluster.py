"""Lay out the picture of a cluster's traffic: lanes from the outside in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.analysis.paths import ELSEWHERE, OTHERS, UNSEEN
from analyzer.diagram import words
from analyzer.diagram.legend import draw_legend
from analyzer.diagram.palette import OTHER
from analyzer.diagram.scene import Line, Ribbon, Scene
from analyzer.diagram.widths import text_width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from analyzer.diagram.model import Band, Bundle, Picture, Pod, Vertex
    from analyzer.diagram.scene import Group

WIDTH = 1200
_MARGIN = 20
_GAP = 12  # between cards
_LINE = 13.5
_SMALL = 10.5

# Left edge and width of each lane; links run between them.
_CLIENT = (_MARGIN, 118)
_FRONT = (214, 150)
_ENTRY = (464, 236)
_DEST = (866, 314)
_CHIP = 86  # width of a tunnel's device
_DEVICE = 62  # width of the device that a call came in through
_PODS = 180

#: How thick all connections together are.
_MOST_THICKNESS = 210
_LEAST_BAND = 1.4
#: Links of one kind that get a label; of more, the busiest. All tell theirs on hover.
_MOST_LABELS = 40
_LABELLED = ("call", "enter", "carry")


@dataclass
class Port:
    """A side of a card where bundles begin or end, each in a slot of its own."""

    x: float = 0
    y: float = 0
    least: float = 0
    slots: list[tuple[Bundle, float]] = field(default_factory=list)
    centres: dict[int, float] = field(default_factory=dict)

    @property
    def height(self) -> float:
        """What all slots take."""
        return max(self.least, sum(height for _, height in self.slots))

    def place(
        self, x: float, y: float, height: float, order: Callable[[Bundle], float]
    ) -> None:
        """Give each bundle its slot, in an order that keeps links from crossing."""
        self.x, self.y = x, y
        self.slots.sort(key=lambda slot: order(slot[0]))
        spare = (height - sum(each for _, each in self.slots)) / (len(self.slots) + 1)
        at = y
        for bundle, each in self.slots:
            at += spare
            self.centres[id(bundle)] = at + each / 2
            at += each

    def centre(self, bundle: Bundle) -> tuple[float, float]:
        """Give the middle of a bundle's slot."""
        return self.x, self.centres[id(bundle)]


def natural(text: str | None) -> tuple[object, ...]:
    """Order names with numbers by the numbers; what has no name last."""
    if text is None:
        return (1,)
    parts = re.split(r"(\d+)", text)
    return (
        0,
        *((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts),
    )


def draw_cluster(
    what: Picture, *, title: str, source: str, by: str = "connections"
) -> Scene:
    """Draw who called what, which node took it, and which pod answered.

    Parameters
    ----------
    what : Picture
    title : str
        Heading.
    source : str
        Where it is from, in a few words.
    by : {'connections', 'bytes'}
        What the width of links tells.

    Returns
    -------
    Scene
        1200 wide, as high as needed.
    """
    return _Layout(what, title, source, by).draw()


class _Layout:
    def __init__(self, what: Picture, title: str, source: str, by: str) -> None:
        self.what = what
        self.scene = Scene(WIDTH, 0, title, _description(what))
        self.source = source
        self.by = by
        calls = [each for each in what.bundles if each.step == "call"]
        total = sum(self._amount(band) for each in calls for band in each.bands)
        self.scale = _MOST_THICKNESS / max(total, 1)
        if by == "connections":
            self.scale = min(7.0, self.scale)
        self.out: dict[str, Port] = {}
        self.into: dict[str, Port] = {}
        self.nodes = self._node_order()
        self.labelled = {
            id(bundle)
            for step in _LABELLED
            for bundle in sorted(self.of(step), key=lambda each: -each.connections)[
                :_MOST_LABELS
            ]
        }

    # Thickness and labels of links.

    def thickness(self, bundle: Bundle) -> float:
        return sum(self._band(band) for band in bundle.bands)

    def _amount(self, band: Band) -> int:
        return band.octets if self.by == "bytes" else band.connections

    def _band(self, band: Band) -> float:
        return max(_LEAST_BAND, self._amount(band) * self.scale)

    def label(self, bundle: Bundle) -> list[tuple[str, str]]:
        """Give the lines of a link's label, with their styles."""
        counts = [f"{bundle.connections:,}", words.rate(bundle.per_second)]
        line = " · ".join(each for each in counts if each)
        lines = []
        measured = ""
        if bundle.latency is not None:
            measured = words.latency(bundle.latency, bundle.clock_bound)
        if bundle.step in ("carry", "deliver") and measured:
            line = f"{line} · {measured}"
            measured = ""
        lines.append((line, "text"))
        if measured and bundle.step != "translate":
            lines.append((measured, "soft"))
        if bundle.lost_segments:
            lines.append((f"{bundle.lost_segments:,} lost", "alarm"))
        return lines

    def slot(self, bundle: Bundle, *, labelled: bool) -> float:
        thickness = self.thickness(bundle)
        if not labelled or id(bundle) not in self.labelled:
            return thickness + (3 if len(self.of(bundle.step)) <= _MOST_LABELS else 1)
        return max(thickness + 2, 12.5 * len(self.label(bundle)) + 4)

    def _node_order(self) -> list[str]:
        found = {
            each.split("/")[1]
            for each in self.what.vertices
            if each.split("/")[0] in ("entry", "exit", "arrival", "backend")
        }
        found |= {pod.node for pod in self.what.pods if pod.node}
        special = {OTHERS: 1, "outside": 2, "?": 3}
        return sorted(found, key=lambda each: (special.get(each, 0), natural(each)))

    def of(self, step: str) -> list[Bundle]:
        return [each for each in self.what.bundles if each.step == step]

    # The picture.

    def draw(self) -> Scene:
        top = self._heading()
        rows, bottom = self._rows(top)
        order = {node: number for number, node in enumerate(self.nodes)}
        fronts = self._stacked("front", "enter", lambda each: order[_node(each.target)])
        place = {vertex.id: at for at, vertex in enumerate(fronts)}
        clients = self._stacked("client", "call", lambda each: place[each.target])
        heights = {vertex.id: self._front_height(vertex) for vertex in fronts} | {
            vertex.id: self._client_height(vertex) for vertex in clients
        }
        for stack in (fronts, clients):
            needed = sum(heights[each.id] for each in stack)
            bottom = max(bottom, top + needed + _GAP * (len(stack) - 1))
        self._lanes(top, bottom)
        links_at = len(self.scene.groups)
        self._place_rows(rows, top, bottom)
        front_y = _spread(fronts, heights, top, bottom)
        client_y = _spread(clients, heights, top, bottom)
        for vertex in fronts:
            self._front_card(vertex, front_y[vertex.id], heights[vertex.id])
        for vertex in clients:
            self._client_card(vertex, client_y[vertex.id], heights[vertex.id])
        self._assign(client_y, front_y)
        drawn = self.scene.groups[links_at:]
        del self.scene.groups[links_at:]
        self.scene.groups += [each for each in drawn if each.kind == "host"]
        self._links()
        self.scene.groups += [each for each in drawn if each.kind != "host"]
        self._labels()
        below = self._example(bottom + 24) if self.what.example else bottom + 26
        self.scene.height = draw_legend(
            self.scene, self.what, below, self._legend_facts(), self.by
        )
        return self.scene

    def _heading(self) -> float:
        group = self.scene.group("heading")
        group.text(
            _MARGIN,
            30,
            self.scene.title,
            19,
            style="heading",
            bold=True,
            room=WIDTH - 2 * _MARGIN,
        )
        group.text(_MARGIN, 49, self.source, 12, style="soft", room=WIDTH - 2 * _MARGIN)
        tunnels = {each.vni for each in self.of("carry") if each.vni is not None}
        vnis = f" VNI {', '.join(map(str, sorted(tunnels)))}." if tunnels else ""
        lanes = (
            (_CLIENT, "Clients", "who calls"),
            (_FRONT, "Address called", "of a Service: no pod has it"),
            (
                _ENTRY,
                "Node that takes the call",
                (
                    "kube-proxy's rules choose the pod here: DNAT writes its address"
                    " into the packet, SNAT makes answers come back this way"
                ),
            ),
            (
                (_ENTRY[0] + _ENTRY[1] + 8, _DEST[0] - _ENTRY[0] - _ENTRY[1] - 16),
                "VXLAN",
                f"node to node inside UDP, the pod's packet untouched.{vnis}",
            ),
            (
                _DEST,
                "Node of the backend, its pods",
                "vxlan.calico unpacks, the pod's own interface delivers",
            ),
        )
        lowest = 0.0
        for (x, width), name, meaning in lanes:
            style = "overlaytext" if name == "VXLAN" else "heading"
            group.text(x, 78, name, 13, style=style, bold=True, room=width)
            for number, line in enumerate(wrapped(meaning, width, _SMALL)):
                y = 93 + number * 12.5
                group.text(x, y, line, _SMALL, style="soft")
                lowest = max(lowest, y)
        return lowest + 16

    def _lanes(self, top: float, bottom: float) -> None:
        group = self.scene.group("lane")
        left = _ENTRY[0] + _ENTRY[1]
        group.rect(left, top - 6, _DEST[0] - left, bottom - top + 12, "overlay", 0)

    # Nodes: the same row for what they take and for what they answer.

    def _rows(self, top: float) -> tuple[list[_Row], float]:
        rows = []
        for node in self.nodes:
            row = _Row(node)
            row.entry = [
                vertex
                for vertex in self.what.vertices.values()
                if vertex.lane == "entry" and _node(vertex.id) == node
            ]
            row.exits = self._of_node("exit", node)
            row.arrivals = self._of_node("arrival", node)
            self._ports(row)
            rows.append(row)
        height = sum(row.height for row in rows) + _GAP * max(len(rows) - 1, 0)
        return rows, top + height

    def _of_node(self, lane: str, node: str) -> list[Vertex]:
        return [
            vertex
            for vertex in self.what.vertices.values()
            if vertex.lane == lane and _node(vertex.id) == node
        ]

    def _ports(self, row: _Row) -> None:
        for vertex in row.entry:
            is_open = self._is_open(vertex)
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
            if bundle.source.startswith("entry/") and _node(bundle.source) == row.node
        ]
        if local:
            slots = [(each, self.slot(each, labelled=False)) for each in local]
            row.local_out = Port(least=20, slots=list(slots))
            row.local_in = Port(least=20, slots=list(slots))
        row.refused = [
            bundle for bundle in self.of("refuse") if _node(bundle.source) == row.node
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

    def _backends(self, row: _Row) -> None:
        """Group the pods of a node by who made them."""
        ids = {
            vertex.id: vertex
            for vertex in self.what.vertices.values()
            if vertex.lane == "backend" and _node(vertex.id) == row.node
        }
        pods = {
            f"backend/{row.node}/{pod.address}": pod
            for pod in self.what.pods
            if (pod.node or "?") == row.node
            or f"backend/{row.node}/{pod.address}" in ids
        }
        groups: dict[str, _Workload] = {}
        for key in sorted(
            {*ids, *pods},
            key=lambda each: (
                _workload_of(pods.get(each), ids.get(each)),
                natural(pods[each].pod if each in pods else each),
            ),
        ):
            pod, vertex = pods.get(key), ids.get(key)
            name = _workload_of(pod, vertex)[1]
            group = groups.setdefault(name, _Workload(name))
            into = self.into[key] = Port()
            for bundle in self.of("deliver"):
                if bundle.target == key:
                    slot = self.slot(bundle, labelled=False)
                    into.slots.append((bundle, slot))
            lines = self._pod_lines(key, pod, vertex)
            into.least = _LINE * len(lines) + 4
            group.pods.append((key, pod, vertex, lines))
            group.height += into.height
        for group in groups.values():
            group.height += 15 if group.name else 2
        row.groups = list(groups.values())

    def _pod_lines(
        self, key: str, pod: Pod | None, vertex: Vertex | None
    ) -> list[list[tuple[str, str]]]:
        """Give lines of (text, style), the second of a line at its right end."""
        address = pod.address if pod else (vertex.address if vertex else None)
        if vertex is not None and vertex.members > 1:
            lines = [[(words.plural(vertex.members, "pod"), "name")]]
            bundles = [each for each in self.of("deliver") if each.target == key]
            return lines + [[each] for each in self._delivered(bundles)]
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
        bundles = [each for each in self.of("deliver") if each.target == key]
        if not bundles:
            lines.append([("nothing seen", "soft")])
            return lines
        lines += [[each] for each in self._delivered(bundles)]
        return lines

    def _delivered(self, bundles: list[Bundle]) -> list[tuple[str, str]]:
        lines: list[tuple[str, str]] = []
        for bundle in bundles:
            way = " here" if bundle.source.startswith("entry/") else ""
            (first, style), *more = self.label(bundle)
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

    def _place_rows(self, rows: list[_Row], top: float, bottom: float) -> None:
        needed = sum(row.height for row in rows)
        gap: float = _GAP
        if len(rows) > 1:
            gap = max(_GAP, (bottom - top - needed) / (len(rows) - 1))
        y = top
        if len(rows) == 1:
            y += (bottom - top - needed) / 2
        for row in rows:
            row.y = y
            y += row.height + gap
        # Links are ordered by where their other ends are: places first, then slots.
        self.rows = rows
        for row in rows:
            if row.entry:
                self._entry_card(row)
            if row.dest_height:
                self._dest_card(row)

    def _entry_card(self, row: _Row) -> None:
        x, width = _ENTRY
        y = row.y + (row.height - row.entry_height) / 2
        host = self.what.hosts.get(row.node)
        group = self.scene.group(
            "host",
            _host_title(row.node, self.what),
            node=row.node,
            connections=sum(vertex.connections for vertex in row.entry),
        )
        style = "unseen" if row.node == "?" else "card"
        group.rect(x, y, width, row.entry_height, style, 6)
        self._host_heading(group, row.node, x, y, width, host.address if host else None)
        inner = row.entry_height - 29
        left = sum(
            max(self.into[each.id].height, self.out[each.id].height) + 5
            for each in row.entry
        )
        at = y + 26 + (inner - left) / 2
        for vertex in row.entry:
            height = max(self.into[vertex.id].height, self.out[vertex.id].height)
            row.spots[vertex.id] = (x + 6, at, _DEVICE, height)
            self._device_chip(vertex, x + 6, at, height, host.nic if host else None)
            at += height + 5
        ports = [
            (each.id, max(self.into[each.id].height, self.out[each.id].height))
            for each in row.exits
        ]
        if row.local_out:
            ports.append(("local", row.local_out.height))
        right = sum(height + 5 for _, height in ports) + (30 if row.refused else 0)
        at = y + 26 + (inner - right) / 2
        for key, height in ports:
            row.spots[f"out:{key}" if key == "local" else key] = (
                x + width - 6 - _CHIP,
                at,
                _CHIP,
                height,
            )
            if key == "local":
                self._local_chip(x + width - 6 - _CHIP, at, height, "stays here")
            else:
                self._tunnel_chip(
                    self.what.vertices[key], x + width - 6 - _CHIP, at, height
                )
            at += height + 5
        if row.refused:
            self._refused(row, x + width - 6 - _CHIP, at)

    def _dest_card(self, row: _Row) -> None:
        x, width = _DEST
        y = row.y + (row.height - row.dest_height) / 2
        host = self.what.hosts.get(row.node)
        group = self.scene.group(
            "host", _host_title(row.node, self.what), node=row.node
        )
        group.rect(
            x, y, width, row.dest_height, "unseen" if row.node == "?" else "card", 6
        )
        self._host_heading(group, row.node, x, y, width, host.address if host else None)
        inner = row.dest_height - 29
        ports = [
            (each.id, max(self.into[each.id].height, self.out[each.id].height))
            for each in row.arrivals
        ]
        if row.local_in:
            ports.append(("local", row.local_in.height))
        at = y + 26 + (inner - sum(height + 5 for _, height in ports)) / 2
        for key, height in ports:
            row.spots[f"in:{key}" if key == "local" else key] = (
                x + 6,
                at,
                _CHIP,
                height,
            )
            if key == "local":
                self._local_chip(x + 6, at, height, "from here")
            else:
                self._tunnel_chip(self.what.vertices[key], x + 6, at, height)
            at += height + 5
        at = y + 26
        left = x + width - 6 - _PODS
        spare = (inner - sum(each.height + 5 for each in row.groups)) / (
            len(row.groups) + 1
        )
        for workload in row.groups:
            at += max(spare, 0)
            self._workload(workload, left, at, row)
            at += workload.height + 5

    def _host_heading(
        self,
        group: Group,
        node: str,
        x: float,
        y: float,
        width: float,
        address: str | None,
    ) -> None:
        name = _host_name(node, self.what)
        room: float = width - 16
        if address:
            told = group.text(
                x + width - 8,
                y + 17,
                address,
                11,
                style="soft",
                anchor="end",
                room=width / 2,
            )
            room -= told.width + 8
        group.text(x + 8, y + 17, name, 12.5, bold=True, room=room)

    def _device_chip(
        self, vertex: Vertex, x: float, y: float, height: float, nic: str | None
    ) -> None:
        names = {
            "nic": (nic or "NIC", "network"),
            "pods": ("cali*", "its pods"),
            "host": ("host", "own calls"),
            "unseen": ("not seen", "who called"),
        }
        name, meaning = names[vertex.kind or "nic"]
        origins = {
            "nic": "the network",
            "pods": "its own pods",
            "host": "itself",
            "unseen": "whom no capture shows: it lent them its address",
        }
        group = self.scene.group(
            "node",
            f"{vertex.node or 'node not known'}: calls that came from"
            f" {origins[vertex.kind or 'nic']}\n{_amount(vertex)}",
            id=vertex.id,
            connections=vertex.connections,
            octets=vertex.octets,
        )
        style = "unseen" if vertex.kind == "unseen" else "chip"
        group.rect(x, y, _DEVICE, height, style, 3)
        middle = x + _DEVICE / 2
        group.text(
            middle,
            y + height / 2 - 2,
            name,
            11,
            bold=True,
            anchor="middle",
            room=_DEVICE - 6,
        )
        group.text(
            middle,
            y + height / 2 + 11,
            meaning,
            _SMALL,
            style="soft",
            anchor="middle",
            room=_DEVICE - 4,
        )

    def _tunnel_chip(self, vertex: Vertex, x: float, y: float, height: float) -> None:
        host = self.what.hosts.get(vertex.node or "")
        is_tunnel = vertex.kind not in (None, "routed")
        if is_tunnel:
            name = (host.tunnel_device if host else None) or vertex.kind or "tunnel"
            meaning = (host.tunnel_address if host else None) or ""
        elif vertex.id.startswith("arrival/outside/"):
            name, meaning = "network", "no tunnel"
        elif vertex.kind == "routed":
            name, meaning = (host.nic if host else None) or "NIC", "no tunnel"
        else:
            name, meaning = "way not seen", ""
        lines = [f"{vertex.node or 'node not known'}: {name} {meaning}".rstrip()]
        if is_tunnel and vertex.address:
            lines.append(f"tunnel's end (VTEP) {vertex.address}")
        lines.append(_amount(vertex))
        group = self.scene.group(
            "node",
            "\n".join(lines),
            id=vertex.id,
            connections=vertex.connections,
            octets=vertex.octets,
            address=vertex.address,
        )
        style = "tunnel" if is_tunnel else ("chip" if vertex.kind else "unseen")
        group.rect(x, y, _CHIP, height, style, 3)
        middle = x + _CHIP / 2
        shift = 0 if meaning else 5
        group.text(
            middle,
            y + height / 2 - 2 + shift,
            name,
            11,
            bold=True,
            anchor="middle",
            room=_CHIP - 6,
        )
        if meaning:
            group.text(
                middle,
                y + height / 2 + 11,
                meaning,
                _SMALL,
                style="soft",
                anchor="middle",
                room=_CHIP - 6,
            )

    def _local_chip(self, x: float, y: float, height: float, text: str) -> None:
        group = self.scene.group(
            "note", "Answered on the node that took the call: no tunnel"
        )
        group.rect(x, y, _CHIP, height, "chip", 3)
        group.text(
            x + _CHIP / 2,
            y + height / 2 + 4,
            text,
            _SMALL,
            style="soft",
            anchor="middle",
            room=_CHIP - 6,
        )

    def _refused(self, row: _Row, x: float, y: float) -> None:
        count = sum(each.connections for each in row.refused)
        unanswered = sum(each.unanswered for each in row.refused)
        unseen: dict[str, int] = {}
        for bundle in row.refused:
            for evidence, number in bundle.unseen().items():
                unseen[evidence] = unseen.get(evidence, 0) + number
        group = self.scene.group(
            "edge",
            f"{words.plural(count, 'connection')} without a known backend,"
            f" {unanswered:,} unanswered",
            step="refuse",
            connections=count,
            unanswered=unanswered,
        )
        text = f"{count:,} no backend"
        row.spots["refused"] = (x, y, _CHIP, 24)
        group.rect(x, y, _CHIP, 24, "unseen", 3)
        style = "alarm" if unanswered else "soft"
        group.text(
            x + _CHIP / 2,
            y + 16,
            text,
            _SMALL,
            style=style,
            anchor="middle",
            room=_CHIP - 6,
        )

    def _workload(self, workload: _Workload, x: float, y: float, row: _Row) -> None:
        frame = self.scene.group("workload", workload.name)
        frame.rect(x, y, _PODS, workload.height, "chip", 4)
        at = y
        if workload.name:
            told = workload.name.replace("/", " ", 1)
            frame.text(x + 8, y + 11.5, told, _SMALL, style="soft", room=_PODS - 14)
            at += 13
        for key, pod, vertex, lines in workload.pods:
            height = self.into[key].height
            row.spots[key] = (x, at, _PODS, height)
            services = pod.services if pod else ()
            title = [
                (pod.pod if pod else None) or (vertex.name if vertex else None) or "",
                (pod.address if pod else None) or "",
                f"made by {pod.workload}" if pod and pod.workload else "",
                f"interface {pod.device} of its node" if pod and pod.device else "",
                f"behind {', '.join(services)}" if services else "",
                _amount(vertex) if vertex else "nothing seen",
            ]
            group = self.scene.group(
                "node",
                "\n".join(line for line in title if line),
                id=key,
                connections=vertex.connections if vertex else 0,
                octets=vertex.octets if vertex else 0,
                address=pod.address if pod else None,
            )
            colours = [self.what.colours.get(each, OTHER) for each in services]
            for number, colour in enumerate(colours[:4]):
                part = (height - 6) / min(len(colours), 4)
                group.rect(x + 1.5, at + 3 + number * part, 3, part, "bar", 1, colour)
            top = at + (height - _LINE * len(lines)) / 2 + 10.5
            for number, line in enumerate(lines):
                base = top + number * _LINE
                room: float = _PODS - 16
                if len(line) == 2:
                    text, style = line[1]
                    right = group.text(
                        x + _PODS - 6,
                        base,
                        text,
                        _SMALL,
                        style=style,
                        anchor="end",
                        room=room * 0.6,
                    )
                    room -= right.width + 5
                text, style = line[0]
                if style == "name":
                    group.text(x + 9, base, text, 11, bold=True, room=room)
                else:
                    group.text(x + 9, base, text, _SMALL, style=style, room=room)
            at += height

    # Clients and the addresses they called.

    def _stacked(
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

    def _front_lines(self, vertex: Vertex) -> list[tuple[str, str]]:
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
                ("address not captured", "name"),
                ("rewritten where no capture", "soft"),
                ("was taken", "soft"),
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
        note = self._front_note(vertex)
        if note:
            lines.append((note, "soft"))
        for evidence, count in self._unseen_calls(vertex).items():
            if evidence == "none":  # there was no cluster state to know it from
                continue
            lines.append(
                (f"{count:,} {words.EVIDENCE.get(evidence, evidence)}", "soft")
            )
        return lines

    def _unseen_calls(self, vertex: Vertex) -> dict[str, int]:
        counts: dict[str, int] = {}
        for bundle in self.of("call"):
            if bundle.target == vertex.id:
                for evidence, count in bundle.unseen().items():
                    counts[evidence] = counts.get(evidence, 0) + count
        return counts

    def _front_note(self, vertex: Vertex) -> str | None:
        if vertex.kind == "ClusterIP":
            return "on no interface at all"
        if vertex.kind == "NodePort":
            return f"a port of {vertex.node or 'a node'}"
        if vertex.kind == "LoadBalancer":
            nodes = sorted(
                {
                    _node(each.target)
                    for each in self.of("enter")
                    if each.source == vertex.id and each.target.endswith("/nic")
                },
                key=natural,
            )
            if len(nodes) == 1:
                return f"announced by {nodes[0]}"
            if nodes:
                return f"comes in at {len(nodes)} nodes"
        return None

    def _front_height(self, vertex: Vertex) -> float:
        lines = self._front_lines(vertex)
        kind = 17 if vertex.address and vertex.kind else 0
        text = 10 + kind + _LINE * len(lines)
        return max(
            text, self.into[vertex.id].height + 6, self.out[vertex.id].height + 6
        )

    def _front_card(self, vertex: Vertex, y: float, height: float) -> None:
        x, width = _FRONT
        lines = self._front_lines(vertex)
        title = [
            f"{vertex.kind or 'Address'} {vertex.service or ''}".strip(),
            words.endpoint(vertex.address, vertex.port) if vertex.address else "",
            _amount(vertex),
        ]
        if vertex.id in (UNSEEN, ELSEWHERE):
            title[0] = "The address that was called is not known"
        group = self.scene.group(
            "node",
            "\n".join(line for line in title if line),
            id=vertex.id,
            connections=vertex.connections,
            octets=vertex.octets,
            service=vertex.service,
        )
        group.rect(
            x,
            y,
            width,
            height,
            "unseen" if vertex.id in (UNSEEN, ELSEWHERE) else "card",
            6,
        )
        if vertex.service is not None:
            colour = self.what.colours.get(vertex.service, OTHER)
            group.rect(x + 1.5, y + 4, 4, height - 8, "bar", 2, colour)
        has_kind = vertex.address and vertex.kind
        text_height = (17 if has_kind else 0) + _LINE * len(lines)
        at = y + (height - text_height) / 2
        if has_kind:
            _pill(group, x + 11, at + 1, vertex.kind or "", "kind")
            at += 17
        for number, (text, style) in enumerate(lines):
            base = at + 10.5 + number * _LINE
            if style == "name":
                group.text(x + 11, base, text, 12, bold=True, room=width - 18)
            else:
                size = 11 if style == "text" else _SMALL
                group.text(x + 11, base, text, size, style=style, room=width - 18)

    def _client_lines(self, vertex: Vertex) -> list[tuple[str, str]]:
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

    def _client_height(self, vertex: Vertex) -> float:
        text = 10 + _LINE * len(self._client_lines(vertex))
        return max(text, self.out[vertex.id].height + 6)

    def _client_card(self, vertex: Vertex, y: float, height: float) -> None:
        x, width = _CLIENT
        lines = self._client_lines(vertex)
        group = self.scene.group(
            "node",
            "\n".join([" ".join(text for text, _ in lines), _amount(vertex)]),
            id=vertex.id,
            connections=vertex.connections,
            octets=vertex.octets,
        )
        group.rect(x, y, width, height, "card", 6)
        at = y + (height - _LINE * len(lines)) / 2
        for number, (text, style) in enumerate(lines):
            base = at + 10.5 + number * _LINE
            if style == "name":
                group.text(x + 8, base, text, 12, bold=True, room=width - 14)
            else:
                group.text(x + 8, base, text, _SMALL, style=style, room=width - 14)

    # Links.

    def _assign(self, client_y: dict[str, float], front_y: dict[str, float]) -> None:
        """Give every link its place at both ends, ordered so that few cross."""
        spots: dict[str, tuple[float, float, float, float]] = {}
        for row in self.rows:
            spots |= {
                key: spot
                for key, spot in row.spots.items()
                if key != "refused" and not key.endswith(":local")
            }
        for key, y in client_y.items():
            spots[key] = (
                _CLIENT[0],
                y,
                _CLIENT[1],
                self._client_height(self.what.vertices[key]),
            )
        for key, y in front_y.items():
            spots[key] = (
                _FRONT[0],
                y,
                _FRONT[1],
                self._front_height(self.what.vertices[key]),
            )
        self.spots = spots
        middle = {key: y + height / 2 for key, (_, y, _, height) in spots.items()}

        def by_target(bundle: Bundle) -> float:
            if bundle.target == "end":
                return 1e9
            return middle[bundle.target]

        def by_source(bundle: Bundle) -> float:
            return middle[bundle.source]

        for key, (x, y, width, height) in spots.items():
            if key in self.into:
                self.into[key].place(x, y, height, by_source)
            if key in self.out:
                self.out[key].place(x + width, y, height, by_target)
        for row in self.rows:
            if row.local_out and row.local_in:
                x, y, width, height = row.spots["out:local"]
                row.local_out.place(x + width, y, height, by_target)
                x, y, width, height = row.spots["in:local"]
                row.local_in.place(x, y, height, by_target)

    def _links(self) -> None:
        for bundle in self.what.bundles:
            if bundle.step == "refuse":
                continue
            group = self.scene.group(
                "edge",
                self._edge_title(bundle),
                step=bundle.step,
                source=bundle.source,
                target=bundle.target,
                connections=bundle.connections,
                octets=bundle.octets,
                per_second=None
                if bundle.per_second is None
                else round(bundle.per_second, 6),
                latency_ns=None if bundle.latency is None else round(bundle.latency),
                clock_bound_ns=None
                if bundle.clock_bound is None
                else round(bundle.clock_bound),
                measured=bundle.measured,
                lost_segments=bundle.lost_segments,
                dnat=bundle.dnat,
                snat=bundle.snat,
                unanswered=bundle.unanswered,
                services=" ".join(
                    sorted({band.service or "-" for band in bundle.bands})
                ),
            )
            for start, end in self._ways(bundle):
                self._ribbons(group, bundle, start, end)
        for row in self.rows:
            for bundle in row.refused:
                x, y, _, height = row.spots["refused"]
                start = self.out[bundle.source].centre(bundle)
                group = self.scene.group(
                    "edge",
                    step="refuse",
                    source=bundle.source,
                    target="end",
                    connections=bundle.connections,
                )
                self._ribbons(group, bundle, start, (x, y + height / 2))

    def _ways(
        self, bundle: Bundle
    ) -> Iterable[tuple[tuple[float, float], tuple[float, float]]]:
        """Give the stretches on which a link is drawn, in its order."""
        row = next(
            (each for each in self.rows if each.node == _node(bundle.source)), None
        )
        is_local = bundle.step == "deliver" and bundle.source.startswith("entry/")
        if not (is_local and row and row.local_out and row.local_in):
            yield (
                self.out[bundle.source].centre(bundle),
                self.into[bundle.target].centre(bundle),
            )
            return
        chip_out = row.local_out.centre(bundle)
        chip_in = row.local_in.centre(bundle)
        yield self.out[bundle.source].centre(bundle), (chip_out[0] - _CHIP, chip_out[1])
        yield chip_out, chip_in
        yield (chip_in[0] + _CHIP, chip_in[1]), self.into[bundle.target].centre(bundle)

    def _ribbons(
        self,
        group: Group,
        bundle: Bundle,
        start: tuple[float, float],
        end: tuple[float, float],
    ) -> None:
        at = -self.thickness(bundle) / 2
        order = {service: number for number, service in enumerate(self.what.colours)}
        for band in sorted(
            bundle.bands,
            key=lambda each: (order.get(each.service or "", 99), not each.is_observed),
        ):
            thickness = self._band(band)
            middle = at + thickness / 2
            group.marks.append(
                Ribbon(
                    start[0],
                    start[1] + middle,
                    end[0],
                    end[1] + middle,
                    thickness,
                    self.what.colours.get(band.service or "", OTHER),
                    dashed=not band.is_observed,
                    service=band.service or "-",
                )
            )
            at += thickness

    def _edge_title(self, bundle: Bundle) -> str:
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
                f" {words.octets(bundle.octets)}"
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
                f"{bundle.tunnel}{vni} {bundle.outer_client_ip} →"
                f" {bundle.outer_backend_ip}"
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

    # Labels go on top of everything.

    def _labels(self) -> None:
        for bundle in self.what.bundles:
            if id(bundle) in self.labelled:
                x, y = self.into[bundle.target].centre(bundle)
                self._label(bundle, x - 7, y)
            elif bundle.lost_segments and bundle.target in self.into:
                self._cross(bundle)
        for row in self.rows:
            if row.local_in:
                count = sum(each.connections for each, _ in row.local_in.slots)
                x, y, _, height = row.spots["in:local"]
                group = self.scene.group(
                    "label", step="local", node=row.node, connections=count
                )
                _plated(
                    group,
                    x - 13,
                    y + height / 2 + 4,
                    f"{count:,} without a tunnel",
                    "text",
                )
            for vertex in row.entry:
                self._rewrites(vertex)

    def _label(self, bundle: Bundle, right: float, y: float) -> None:
        lines = self.label(bundle)
        group = self.scene.group(
            "label", step=bundle.step, source=bundle.source, target=bundle.target
        )
        top = y - 12.5 * len(lines) / 2 + 9.6
        for number, (text, style) in enumerate(lines):
            _plated(group, right, top + number * 12.5, text, style)

    def _cross(self, bundle: Bundle) -> None:
        """Mark that something was lost on a link that has no label."""
        x, y = self.into[bundle.target].centre(bundle)
        group = self.scene.group(
            "loss",
            f"{bundle.lost_segments:,} segments lost",
            source=bundle.source,
            target=bundle.target,
        )
        for shift in (3.5, -3.5):
            ends = ((x - 14, y - shift), (x - 7, y + shift))
            group.marks.append(Line(ends, "cross"))

    def _is_open(self, vertex: Vertex) -> bool:
        """Tell whether calls came in whose address is not known."""
        return any(
            each.source in (UNSEEN, ELSEWHERE) and each.target == vertex.id
            for each in self.of("enter")
        )

    def _rewrites(self, vertex: Vertex) -> None:
        """Mark where addresses are rewritten, and how long a node takes for it."""
        x, y, width, height = self.spots[vertex.id]
        bundles = [each for each in self.what.bundles if each.source == vertex.id]
        dnat = sum(each.dnat for each in bundles)
        snat = sum(each.snat for each in bundles)
        passes = [
            each
            for each in bundles
            if each.latency is not None and each.step == "translate"
        ]
        middle = x + width + (_ENTRY[0] + _ENTRY[1] - 6 - _CHIP - x - width) / 2
        pills = [
            (f"{name} {count:,}", name.lower())
            for name, count in (("DNAT", dnat), ("SNAT", snat))
            if count
        ]
        if self._is_open(vertex):
            pills.append(("DNAT ?", "unseen"))
        tall = 15.5 * len(pills) + (13 if len(passes) == 1 else 0)
        at = y + (height - tall) / 2
        group = self.scene.group(
            "rewrite",
            "\n".join(
                line
                for line, count in (
                    (
                        (
                            f"DNAT: the Service's address becomes the pod's in {dnat:,}"
                            " connections"
                        ),
                        dnat,
                    ),
                    (
                        (
                            f"SNAT: the client's address becomes this node's in"
                            f" {snat:,} connections"
                        ),
                        snat,
                    ),
                )
                if count
            ),
            id=vertex.id,
            dnat=dnat,
            snat=snat,
        )
        for text, style in pills:
            wide = text_width(text, 9.5, bold=True) + 10
            _pill(group, middle - wide / 2, at, text, style)
            at += 15.5
        if len(passes) == 1 and passes[0].latency is not None:
            told = words.latency(passes[0].latency, passes[0].clock_bound)
            wide = text_width(told, _SMALL)
            _plated(group, middle + wide / 2, at + 9.5, told, "soft")

    def _example(self, top: float) -> float:
        """Follow one packet's addresses through the lanes."""
        told = self.what.example or {}
        group = self.scene.group(
            "example",
            f"connection {told['connection_id']}: analyze paths --connection"
            f" {told['connection_id']} shows each packet of it",
            connection=told["connection_id"],
        )
        client, called, source, backend = (
            words.endpoint(told[f"{end}_ip"], told[f"{end}_port"])
            if told[f"{end}_ip"]
            else None
            for end in ("client", "destination", "snat", "backend")
        )
        source = source or client
        left, right = _CLIENT[0], _DEST[0] + _DEST[1]
        group.rect(left, top, right - left, 52, "lane", 6)
        columns = [
            ((_CLIENT[0] + 8, 330), "One packet's addresses", client, called),
            (
                (_ENTRY[0] + 8, _ENTRY[1] - 12),
                f"rewritten in {told['entry_node']}",
                source,
                backend,
            ),
        ]
        if told["outer_client_ip"]:
            where = (_ENTRY[0] + _ENTRY[1] + 8, _DEST[0] - _ENTRY[0] - _ENTRY[1] - 16)
            vni = "" if told["vni"] is None else f", VNI {told['vni']}"
            outer = told["outer_client_ip"], told["outer_backend_ip"]
            columns.append((where, f"in {told['tunnel']}{vni}", *outer))
        columns.append(
            (
                (_DEST[0] + 8, _DEST[1] - 16),
                f"unpacked in {told['backend_node']}"
                if told["outer_client_ip"]
                else f"delivered in {told['backend_node']}",
                source,
                backend,
            )
        )
        for (x, room), name, here, there in columns:
            is_outer = name.startswith("in ")
            style = "overlaytext" if is_outer else "soft"
            group.text(x, top + 15, name, _SMALL, style=style, room=room)
            group.text(x, top + 30, f"from {here}", 11, bold=True, room=room)
            group.text(x, top + 44, f"to {there}", 11, bold=True, room=room)
        return top + 74

    def _legend_facts(self) -> set[str]:
        """Name what the legend has to explain."""
        facts = set()
        bundles = self.what.bundles
        if any(not band.is_observed for each in bundles for band in each.bands):
            facts.add("unseen")
        if any(each.dnat for each in bundles):
            facts.add("dnat")
        if any(each.snat for each in bundles):
            facts.add("snat")
        if any(each.tunnel not in (None, "routed") for each in self.of("carry")):
            facts.add("tunnel")
        if any(each.latency is not None for each in bundles):
            facts.add("latency")
        return facts


@dataclass
class _Workload:
    name: str
    height: float = 0
    pods: list[tuple[str, Pod | None, Vertex | None, list[list[tuple[str, str]]]]] = (
        field(default_factory=list)
    )


@dataclass
class _Row:
    node: str
    y: float = 0
    entry_height: float = 0
    dest_height: float = 0
    entry: list[Vertex] = field(default_factory=list)
    exits: list[Vertex] = field(default_factory=list)
    arrivals: list[Vertex] = field(default_factory=list)
    refused: list[Bundle] = field(default_factory=list)
    groups: list[_Workload] = field(default_factory=list)
    local_out: Port | None = None
    local_in: Port | None = None
    spots: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)

    @property
    def height(self) -> float:
        return max(self.entry_height, self.dest_height)


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Break a text into lines at spaces."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _node(vertex: str) -> str:
    return vertex.split("/")[1]


def _host_name(node: str, what: Picture) -> str:
    if node == OTHERS:
        return words.plural(what.hosts[node].members, "more node")
    return {"?": "node not known", "outside": "outside the cluster"}.get(node, node)


def _workload_of(pod: Pod | None, vertex: Vertex | None) -> tuple[int, str]:
    name = (pod.workload if pod else None) or (vertex.workload if vertex else None)
    return (0, name) if name else (1, "")


def _amount(vertex: Vertex) -> str:
    count = words.plural(vertex.connections, "connection")
    return f"{count}, {words.octets(vertex.octets)}"


def _host_title(node: str, what: Picture) -> str:
    host = what.hosts.get(node)
    if node == OTHERS:
        return f"{_host_name(node, what)}, those with the least connections"
    if host is None:
        return "Node not known" if node == "?" else "Outside the cluster"
    lines = [f"Node {node}"]
    if host.address:
        lines.append(f"{host.nic or 'address'} {host.address}")
    if host.tunnel_address:
        lines.append(f"{host.tunnel_device or 'tunnel'} {host.tunnel_address}")
    return "\n".join(lines)


def _pill(group: Group, x: float, y: float, text: str, style: str) -> None:
    width = text_width(text, 9.5, bold=True) + 10
    group.rect(x, y, width, 13.5, style, 6.5)
    ink = "soft" if style == "unseen" else "inverse"
    group.text(x + 5, y + 10.2, text, 9.5, style=ink, bold=True)


def _plated(group: Group, right: float, y: float, text: str, style: str) -> None:
    width = text_width(text, _SMALL)
    group.rect(right - width - 2.5, y - 9.2, width + 5, 12, "plate", 3)
    group.text(right, y, text, _SMALL, style=style, anchor="end")


def _spread(
    stack: list[Vertex], heights: dict[str, float], top: float, bottom: float
) -> dict[str, float]:
    """Distribute cards over the height of the picture."""
    needed = sum(heights[each.id] for each in stack)
    spare = (bottom - top - needed) / (len(stack) + 1 if len(stack) < 3 else len(stack))
    places = {}
    y = top + (spare if len(stack) < 3 else spare / 2)
    for vertex in stack:
        places[vertex.id] = y
        y += heights[vertex.id] + spare
    return places


def _description(what: Picture) -> str:
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
