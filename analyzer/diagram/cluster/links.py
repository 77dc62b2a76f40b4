"""Draw the links between cards, their labels, and where addresses are rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.diagram import words
from analyzer.diagram.cluster.geometry import (
    CHIP,
    CLIENT,
    ENTRY,
    FRONT,
    SMALL,
    node_of,
    pill,
    plated,
)
from analyzer.diagram.cluster.said import (
    edge_title,
)
from analyzer.diagram.palette import OTHER
from analyzer.diagram.scene import Line, Ribbon
from analyzer.diagram.widths import text_width

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.diagram.cluster.plan import Plan
    from analyzer.diagram.model import Bundle, Vertex
    from analyzer.diagram.scene import Group, Scene


class Links:
    """Draws the links of a plan whose cards have their places."""

    def __init__(self, plan: Plan, scene: Scene) -> None:
        self.plan = plan
        self.scene = scene
        self.spots: dict[str, tuple[float, float, float, float]] = {}

    def assign(self, client_y: dict[str, float], front_y: dict[str, float]) -> None:
        """Give every link its place at both ends, ordered so that few cross."""
        spots: dict[str, tuple[float, float, float, float]] = {}
        for row in self.plan.rows:
            spots |= {
                key: spot
                for key, spot in row.spots.items()
                if key != "refused" and not key.endswith(":local")
            }
        for key, y in client_y.items():
            spots[key] = (
                CLIENT[0],
                y,
                CLIENT[1],
                self.plan.client_height(self.plan.what.vertices[key]),
            )
        for key, y in front_y.items():
            spots[key] = (
                FRONT[0],
                y,
                FRONT[1],
                self.plan.front_height(self.plan.what.vertices[key]),
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
            if key in self.plan.into:
                self.plan.into[key].place(x, y, height, by_source)
            if key in self.plan.out:
                self.plan.out[key].place(x + width, y, height, by_target)
        for row in self.plan.rows:
            if row.local_out and row.local_in:
                x, y, width, height = row.spots["out:local"]
                row.local_out.place(x + width, y, height, by_target)
                x, y, width, height = row.spots["in:local"]
                row.local_in.place(x, y, height, by_target)

    def draw(self) -> None:
        """Draw every link."""
        for bundle in self.plan.what.bundles:
            if bundle.step == "refuse":
                continue
            group = self.scene.group(
                "edge",
                edge_title(bundle),
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
        for row in self.plan.rows:
            for bundle in row.refused:
                x, y, _, height = row.spots["refused"]
                start = self.plan.out[bundle.source].centre(bundle)
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
            (each for each in self.plan.rows if each.node == node_of(bundle.source)),
            None,
        )
        is_local = bundle.step == "deliver" and bundle.source.startswith("entry/")
        if not (is_local and row and row.local_out and row.local_in):
            yield (
                self.plan.out[bundle.source].centre(bundle),
                self.plan.into[bundle.target].centre(bundle),
            )
            return
        chip_out = row.local_out.centre(bundle)
        chip_in = row.local_in.centre(bundle)
        yield (
            self.plan.out[bundle.source].centre(bundle),
            (chip_out[0] - CHIP, chip_out[1]),
        )
        yield chip_out, chip_in
        yield (
            (chip_in[0] + CHIP, chip_in[1]),
            self.plan.into[bundle.target].centre(bundle),
        )

    def _ribbons(
        self,
        group: Group,
        bundle: Bundle,
        start: tuple[float, float],
        end: tuple[float, float],
    ) -> None:
        at = -self.plan.thickness(bundle) / 2
        order = {
            service: number for number, service in enumerate(self.plan.what.colours)
        }
        for band in sorted(
            bundle.bands,
            key=lambda each: (order.get(each.service or "", 99), not each.is_observed),
        ):
            thickness = self.plan.band(band)
            middle = at + thickness / 2
            group.marks.append(
                Ribbon(
                    start[0],
                    start[1] + middle,
                    end[0],
                    end[1] + middle,
                    thickness,
                    self.plan.what.colours.get(band.service or "", OTHER),
                    dashed=not band.is_observed,
                    service=band.service or "-",
                )
            )
            at += thickness

    def label_all(self) -> None:
        """Write labels and marks, which go on top of everything."""
        for bundle in self.plan.what.bundles:
            if id(bundle) in self.plan.labelled:
                x, y = self.plan.into[bundle.target].centre(bundle)
                self._label(bundle, x - 7, y)
            elif bundle.lost_segments and bundle.target in self.plan.into:
                self._cross(bundle)
        for row in self.plan.rows:
            if row.local_in:
                count = sum(each.connections for each, _ in row.local_in.slots)
                x, y, _, height = row.spots["in:local"]
                group = self.scene.group(
                    "label", step="local", node=row.node, connections=count
                )
                plated(
                    group,
                    x - 13,
                    y + height / 2 + 4,
                    f"{count:,} without a tunnel",
                    "text",
                )
            for vertex in row.entry:
                self._rewrites(vertex)

    def _label(self, bundle: Bundle, right: float, y: float) -> None:
        lines = self.plan.label(bundle)
        group = self.scene.group(
            "label", step=bundle.step, source=bundle.source, target=bundle.target
        )
        top = y - 12.5 * len(lines) / 2 + 9.6
        for number, (text, style) in enumerate(lines):
            plated(group, right, top + number * 12.5, text, style)

    def _cross(self, bundle: Bundle) -> None:
        """Mark that something was lost on a link that has no label."""
        x, y = self.plan.into[bundle.target].centre(bundle)
        group = self.scene.group(
            "loss",
            f"{bundle.lost_segments:,} segments lost",
            source=bundle.source,
            target=bundle.target,
        )
        for shift in (3.5, -3.5):
            ends = ((x - 14, y - shift), (x - 7, y + shift))
            group.marks.append(Line(ends, "cross"))

    def _rewrites(self, vertex: Vertex) -> None:
        """Mark where addresses are rewritten, and how long a node takes for it."""
        x, y, width, height = self.spots[vertex.id]
        bundles = [each for each in self.plan.what.bundles if each.source == vertex.id]
        dnat = sum(each.dnat for each in bundles)
        snat = sum(each.snat for each in bundles)
        passes = [
            each
            for each in bundles
            if each.latency is not None and each.step == "translate"
        ]
        middle = x + width + (ENTRY[0] + ENTRY[1] - 6 - CHIP - x - width) / 2
        pills = [
            (f"{name} {count:,}", name.lower())
            for name, count in (("DNAT", dnat), ("SNAT", snat))
            if count
        ]
        if self.plan.is_open(vertex):
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
            pill(group, middle - wide / 2, at, text, style)
            at += 15.5
        if len(passes) == 1 and passes[0].latency is not None:
            told = words.latency(passes[0].latency, passes[0].clock_bound)
            wide = text_width(told, SMALL)
            plated(group, middle + wide / 2, at + 9.5, told, "soft")
