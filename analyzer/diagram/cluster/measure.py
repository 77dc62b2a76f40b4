"""How thick links are, what their labels say, and how much room that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.diagram import words
from analyzer.diagram.cluster.geometry import (
    LABELLED,
    LEAST_BAND,
    MOST_LABELS,
    MOST_THICKNESS,
)

if TYPE_CHECKING:
    from analyzer.diagram.model import Band, Bundle, Picture


class Measure:
    """What a picture shows, and the size of its links."""

    def __init__(self, what: Picture, by: str) -> None:
        self.what = what
        self.by = by
        calls = [each for each in what.bundles if each.step == "call"]
        total = sum(self._amount(band) for each in calls for band in each.bands)
        self.scale = MOST_THICKNESS / max(total, 1)
        if by == "connections":
            self.scale = min(7.0, self.scale)
        self.labelled = {
            id(bundle)
            for step in LABELLED
            for bundle in sorted(self.of(step), key=lambda each: -each.connections)[
                :MOST_LABELS
            ]
        }

    def of(self, step: str) -> list[Bundle]:
        """Give the links of one step."""
        return [each for each in self.what.bundles if each.step == step]

    def thickness(self, bundle: Bundle) -> float:
        """Give how thick a link is."""
        return sum(self.band(band) for band in bundle.bands)

    def _amount(self, band: Band) -> int:
        return band.octets if self.by == "bytes" else band.connections

    def band(self, band: Band) -> float:
        """Give how thick a part of a link is."""
        return max(LEAST_BAND, self._amount(band) * self.scale)

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
        """Give the room that a link takes at one of its ends."""
        thickness = self.thickness(bundle)
        if not labelled or id(bundle) not in self.labelled:
            return thickness + (3 if len(self.of(bundle.step)) <= MOST_LABELS else 1)
        return max(thickness + 2, 12.5 * len(self.label(bundle)) + 4)
