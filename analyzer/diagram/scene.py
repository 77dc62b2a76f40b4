"""What a picture consists of, before it is written in any format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.diagram.widths import fit, text_width

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Text:
    """A line of text; ``x`` and ``y`` are the left, middle or right of its baseline."""

    x: float
    y: float
    text: str
    size: float
    style: str = "text"
    bold: bool = False
    anchor: str = "start"

    @property
    def width(self) -> float:
        """How wide it is."""
        return text_width(self.text, self.size, bold=self.bold)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor]
        left = self.x - shift * self.width
        return (
            left,
            self.y - 0.74 * self.size,
            left + self.width,
            self.y + 0.22 * self.size,
        )


@dataclass(frozen=True)
class Rect:
    """A box with rounded corners."""

    x: float
    y: float
    width: float
    height: float
    style: str
    radius: float = 4
    colour: str | None = None


@dataclass(frozen=True)
class Ribbon:
    """A band from left to right, as thick at its one end as at the other."""

    x0: float
    y0: float
    x1: float
    y1: float
    thickness: float
    colour: str
    dashed: bool = False
    service: str | None = None


@dataclass(frozen=True)
class Line:
    """A polyline."""

    points: tuple[tuple[float, float], ...]
    style: str
    colour: str | None = None


Mark = Text | Rect | Ribbon | Line


@dataclass
class Group:
    """Marks that mean one thing, with what is said when one points at it.

    Parameters
    ----------
    kind : str
        ``node``, ``edge``, ``host``, ``note`` and so on.
    title : str
        Said on hover; one line per line.
    facts : dict of str to str or number
        What the marks show, for programs.
    """

    kind: str
    title: str = ""
    facts: dict[str, str | int | float] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 11,
        *,
        style: str = "text",
        bold: bool = False,
        anchor: str = "start",
        room: float | None = None,
    ) -> Text:
        """Add a line of text, shortened to the room that there is."""
        if room is not None:
            text = fit(text, room, size, bold=bold)
        mark = Text(x, y, text, size, style, bold, anchor)
        self.marks.append(mark)
        return mark

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        style: str,
        radius: float = 4,
        colour: str | None = None,
    ) -> None:
        """Add a box."""
        self.marks.append(Rect(x, y, width, height, style, radius, colour))


@dataclass
class Scene:
    """A picture: its size, what it is, and its groups from back to front."""

    width: float
    height: float
    title: str
    description: str
    groups: list[Group] = field(default_factory=list)

    def group(
        self,
        kind: str,
        title: str = "",
        **facts: str | int | float | None,
    ) -> Group:
        """Add a group; facts that are None are not known and left out."""
        known = {name: value for name, value in facts.items() if value is not None}
        group = Group(kind, title, known)
        self.groups.append(group)
        return group

    def texts(self) -> Iterator[Text]:
        """Give all texts."""
        for group in self.groups:
            for mark in group.marks:
                if isinstance(mark, Text):
                    yield mark
