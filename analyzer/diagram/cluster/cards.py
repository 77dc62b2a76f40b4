"""Draw the cards: nodes with their devices and pods, addresses, clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.analysis.paths import ELSEWHERE, UNSEEN
from analyzer.diagram import words
from analyzer.diagram.cluster.geometry import (
    CHIP,
    CLIENT,
    DEST,
    DEVICE,
    ENTRY,
    FRONT,
    GAP,
    LINE,
    PODS,
    SMALL,
    Row,
    Workload,
    pill,
)
from analyzer.diagram.cluster.said import (
    amount,
    client_lines,
    front_lines,
    host_name,
    host_title,
)
from analyzer.diagram.palette import OTHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.diagram.cluster.plan import Plan
    from analyzer.diagram.model import Vertex
    from analyzer.diagram.scene import Group, Scene


class Cards:
    """Draws the cards of a plan, and notes where each of them stands."""

    def __init__(self, plan: Plan, scene: Scene) -> None:
        self.plan = plan
        self.scene = scene

    def place_rows(self, top: float, bottom: float) -> None:
        """Place the nodes one below the other, and draw them."""
        rows = self.plan.rows
        needed = sum(row.height for row in rows)
        gap: float = GAP
        if len(rows) > 1:
            gap = max(GAP, (bottom - top - needed) / (len(rows) - 1))
        y = top
        if len(rows) == 1:
            y += (bottom - top - needed) / 2
        for row in rows:
            row.y = y
            y += row.height + gap
        for row in rows:
            if row.entry:
                self._entry_card(row)
            if row.dest_height:
                self._dest_card(row)

    def _entry_card(self, row: Row) -> None:
        x, width = ENTRY
        y = row.y + (row.height - row.entry_height) / 2
        host = self.plan.what.hosts.get(row.node)
        group = self.scene.group(
            "host",
            host_title(row.node, self.plan.what),
            node=row.node,
            connections=sum(vertex.connections for vertex in row.entry),
        )
        style = "unseen" if row.node == "?" else "card"
        group.rect(x, y, width, row.entry_height, style, 6)
        self._host_heading(group, row.node, x, y, width, host.address if host else None)
        inner = row.entry_height - 29
        left = sum(
            max(self.plan.into[each.id].height, self.plan.out[each.id].height) + 5
            for each in row.entry
        )
        at = y + 26 + (inner - left) / 2
        for vertex in row.entry:
            height = max(
                self.plan.into[vertex.id].height, self.plan.out[vertex.id].height
            )
            row.spots[vertex.id] = (x + 6, at, DEVICE, height)
            self._device_chip(vertex, x + 6, at, height, host.nic if host else None)
            at += height + 5
        ports = [
            (
                each.id,
                max(self.plan.into[each.id].height, self.plan.out[each.id].height),
            )
            for each in row.exits
        ]
        if row.local_out:
            ports.append(("local", row.local_out.height))
        right = sum(height + 5 for _, height in ports) + (30 if row.refused else 0)
        at = y + 26 + (inner - right) / 2
        for key, height in ports:
            row.spots[f"out:{key}" if key == "local" else key] = (
                x + width - 6 - CHIP,
                at,
                CHIP,
                height,
            )
            if key == "local":
                self._local_chip(x + width - 6 - CHIP, at, height, "stays here")
            else:
                self._tunnel_chip(
                    self.plan.what.vertices[key], x + width - 6 - CHIP, at, height
                )
            at += height + 5
        if row.refused:
            self._refused(row, x + width - 6 - CHIP, at)

    def _dest_card(self, row: Row) -> None:
        x, width = DEST
        y = row.y + (row.height - row.dest_height) / 2
        host = self.plan.what.hosts.get(row.node)
        group = self.scene.group(
            "host", host_title(row.node, self.plan.what), node=row.node
        )
        group.rect(
            x, y, width, row.dest_height, "unseen" if row.node == "?" else "card", 6
        )
        self._host_heading(group, row.node, x, y, width, host.address if host else None)
        inner = row.dest_height - 29
        ports = [
            (
                each.id,
                max(self.plan.into[each.id].height, self.plan.out[each.id].height),
            )
            for each in row.arrivals
        ]
        if row.local_in:
            ports.append(("local", row.local_in.height))
        at = y + 26 + (inner - sum(height + 5 for _, height in ports)) / 2
        for key, height in ports:
            row.spots[f"in:{key}" if key == "local" else key] = (
                x + 6,
                at,
                CHIP,
                height,
            )
            if key == "local":
                self._local_chip(x + 6, at, height, "from here")
            else:
                self._tunnel_chip(self.plan.what.vertices[key], x + 6, at, height)
            at += height + 5
        at = y + 26
        left = x + width - 6 - PODS
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
        name = host_name(node, self.plan.what)
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
            f" {origins[vertex.kind or 'nic']}\n{amount(vertex)}",
            id=vertex.id,
            connections=vertex.connections,
            octets=vertex.octets,
        )
        style = "unseen" if vertex.kind == "unseen" else "chip"
        group.rect(x, y, DEVICE, height, style, 3)
        _name_and_meaning(group, x, y + height / 2, DEVICE, name, meaning)

    def _tunnel_chip(self, vertex: Vertex, x: float, y: float, height: float) -> None:
        host = self.plan.what.hosts.get(vertex.node or "")
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
        lines.append(amount(vertex))
        group = self.scene.group(
            "node",
            "\n".join(lines),
            id=vertex.id,
            connections=vertex.connections,
            octets=vertex.octets,
            address=vertex.address,
        )
        style = "tunnel" if is_tunnel else ("chip" if vertex.kind else "unseen")
        group.rect(x, y, CHIP, height, style, 3)
        _name_and_meaning(group, x, y + height / 2, CHIP, name, meaning)

    def _local_chip(self, x: float, y: float, height: float, text: str) -> None:
        group = self.scene.group(
            "note", "Answered on the node that took the call: no tunnel"
        )
        group.rect(x, y, CHIP, height, "chip", 3)
        _small(group, x, y + height / 2 + 4, CHIP, text)

    def _refused(self, row: Row, x: float, y: float) -> None:
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
        told = words.ending(count, unanswered).removeprefix("backend ")
        text = f"{count:,} {told}"
        row.spots["refused"] = (x, y, CHIP, 24)
        group.rect(x, y, CHIP, 24, "unseen", 3)
        _small(group, x, y + 16, CHIP, text, "alarm" if unanswered else "soft")

    def _workload(self, workload: Workload, x: float, y: float, row: Row) -> None:
        frame = self.scene.group("workload", workload.name)
        frame.rect(x, y, PODS, workload.height, "chip", 4)
        at = y
        if workload.name:
            told = workload.name.replace("/", " ", 1)
            frame.text(x + 8, y + 11.5, told, SMALL, style="soft", room=PODS - 14)
            at += 13
        for key, pod, vertex, lines in workload.pods:
            height = self.plan.into[key].height
            row.spots[key] = (x, at, PODS, height)
            services = pod.services if pod else ()
            title = [
                (pod.pod if pod else None) or (vertex.name if vertex else None) or "",
                (pod.address if pod else None) or "",
                f"made by {pod.workload}" if pod and pod.workload else "",
                f"interface {pod.device} of its node" if pod and pod.device else "",
                f"behind {', '.join(services)}" if services else "",
                amount(vertex) if vertex else "nothing seen",
            ]
            group = self.scene.group(
                "node",
                "\n".join(line for line in title if line),
                id=key,
                connections=vertex.connections if vertex else 0,
                octets=vertex.octets if vertex else 0,
                address=pod.address if pod else None,
            )
            colours = [self.plan.what.colours.get(each, OTHER) for each in services]
            for number, colour in enumerate(colours[:4]):
                part = (height - 6) / min(len(colours), 4)
                group.rect(x + 1.5, at + 3 + number * part, 3, part, "bar", 1, colour)
            top = at + (height - LINE * len(lines)) / 2 + 10.5
            for number, line in enumerate(lines):
                base = top + number * LINE
                room: float = PODS - 16
                if len(line) == 2:
                    text, style = line[1]
                    right = group.text(
                        x + PODS - 6,
                        base,
                        text,
                        SMALL,
                        style=style,
                        anchor="end",
                        room=room * 0.6,
                    )
                    room -= right.width + 5
                text, style = line[0]
                if style == "name":
                    group.text(x + 9, base, text, 11, bold=True, room=room)
                else:
                    group.text(x + 9, base, text, SMALL, style=style, room=room)
            at += height

    def front_card(self, vertex: Vertex, y: float, height: float) -> None:
        """Draw the card of an address that was called."""
        x, width = FRONT
        lines = front_lines(self.plan, vertex)
        title = [
            f"{vertex.kind or 'Address'} {vertex.service or ''}".strip(),
            words.endpoint(vertex.address, vertex.port) if vertex.address else "",
            amount(vertex),
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
            colour = self.plan.what.colours.get(vertex.service, OTHER)
            group.rect(x + 1.5, y + 4, 4, height - 8, "bar", 2, colour)
        has_kind = vertex.address and vertex.kind
        text_height = (17 if has_kind else 0) + LINE * len(lines)
        at = y + (height - text_height) / 2
        if has_kind:
            pill(group, x + 11, at + 1, vertex.kind or "", "kind")
            at += 17
        _lines(group, x + 11, at, width - 18, lines, text_size=11)

    def client_card(self, vertex: Vertex, y: float, height: float) -> None:
        """Draw the card of a client."""
        x, width = CLIENT
        lines = client_lines(vertex)
        group = self.scene.group(
            "node",
            "\n".join([" ".join(text for text, _ in lines), amount(vertex)]),
            id=vertex.id,
            connections=vertex.connections,
            octets=vertex.octets,
        )
        group.rect(x, y, width, height, "card", 6)
        at = y + (height - LINE * len(lines)) / 2
        _lines(group, x + 8, at, width - 14, lines, text_size=SMALL)


def _name_and_meaning(
    group: Group, x: float, middle: float, width: float, name: str, meaning: str
) -> None:
    """Write what a chip is, and below it what that means."""
    base = middle - 2 if meaning else middle + 3
    group.text(
        x + width / 2, base, name, 11, bold=True, anchor="middle", room=width - 6
    )
    if meaning:
        _small(group, x, middle + 11, width, meaning)


def _small(
    group: Group, x: float, base: float, width: float, text: str, style: str = "soft"
) -> None:
    """Write a small text into the middle of a chip."""
    group.text(
        x + width / 2, base, text, SMALL, style=style, anchor="middle", room=width - 6
    )


def _lines(
    group: Group,
    x: float,
    top: float,
    room: float,
    lines: Sequence[tuple[str, str]],
    *,
    text_size: float,
) -> None:
    """Write lines one below the other, each with its style."""
    for number, (text, style) in enumerate(lines):
        base = top + 10.5 + number * LINE
        if style == "name":
            group.text(x, base, text, 12, bold=True, room=room)
        else:
            size = text_size if style == "text" else SMALL
            group.text(x, base, text, size, style=style, room=room)
