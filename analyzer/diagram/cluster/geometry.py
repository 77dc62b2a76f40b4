"""Where things stand in the cluster's picture: lanes, slots and rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.diagram.widths import text_width

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.diagram.model import Bundle, Pod, Vertex
    from analyzer.diagram.scene import Group

WIDTH = 1200
MARGIN = 20
GAP = 12  # between cards
LINE = 13.5
SMALL = 10.5

# Left edge and width of each lane; links run between them.
CLIENT = (MARGIN, 118)
FRONT = (214, 150)
ENTRY = (464, 236)
DEST = (866, 314)
CHIP = 86  # width of a tunnel's device
DEVICE = 62  # width of the device that a call came in through
PODS = 180

#: How thick all connections together are.
MOST_THICKNESS = 210
LEAST_BAND = 1.4
#: Links of one kind that get a label; of more, the busiest. All tell theirs on hover.
MOST_LABELS = 40
LABELLED = ("call", "enter", "carry")


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


@dataclass
class Workload:
    """The pods of one node that one workload made."""

    name: str
    height: float = 0
    pods: list[tuple[str, Pod | None, Vertex | None, list[list[tuple[str, str]]]]] = (
        field(default_factory=list)
    )


@dataclass
class Row:
    """One node: the card for calls it takes, and the one for those it answers."""

    node: str
    y: float = 0
    entry_height: float = 0
    dest_height: float = 0
    entry: list[Vertex] = field(default_factory=list)
    exits: list[Vertex] = field(default_factory=list)
    arrivals: list[Vertex] = field(default_factory=list)
    refused: list[Bundle] = field(default_factory=list)
    groups: list[Workload] = field(default_factory=list)
    local_out: Port | None = None
    local_in: Port | None = None
    spots: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)

    @property
    def height(self) -> float:
        """What the taller card takes."""
        return max(self.entry_height, self.dest_height)


def natural(text: str | None) -> tuple[object, ...]:
    """Order names with numbers by the numbers; what has no name last."""
    if text is None:
        return (1,)
    parts = re.split(r"(\d+)", text)
    return (
        0,
        *((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts),
    )


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


def node_of(vertex: str) -> str:
    """Take the node from a vertex's id."""
    return vertex.split("/")[1]


def pill(group: Group, x: float, y: float, text: str, style: str) -> None:
    """Draw a word on a coloured pill."""
    width = text_width(text, 9.5, bold=True) + 10
    group.rect(x, y, width, 13.5, style, 6.5)
    ink = "soft" if style == "unseen" else "inverse"
    group.text(x + 5, y + 10.2, text, 9.5, style=ink, bold=True)


def plated(group: Group, right: float, y: float, text: str, style: str) -> None:
    """Write a text, right-aligned, on a plate that dims what is behind it."""
    width = text_width(text, SMALL)
    group.rect(right - width - 2.5, y - 9.2, width + 5, 12, "plate", 3)
    group.text(right, y, text, SMALL, style=style, anchor="end")


def spread(
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
