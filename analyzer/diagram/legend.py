"""Explain what a picture's colours, dashes and numbers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.diagram import words
from analyzer.diagram.palette import OTHER
from analyzer.diagram.scene import Line, Ribbon
from analyzer.diagram.widths import text_width

if TYPE_CHECKING:
    from analyzer.diagram.model import Picture
    from analyzer.diagram.scene import Group, Scene

_LEFT = 20
_ROW = 20


def draw_legend(
    scene: Scene, what: Picture, top: float, facts: set[str], by: str
) -> float:
    """Draw the legend; give the height of the whole picture."""
    group = scene.group("legend")
    group.rect(_LEFT, top - 8, scene.width - 2 * _LEFT, 1, "lane", 0)
    x, y = float(_LEFT), top + 12

    def entry(width: float) -> tuple[float, float]:
        nonlocal x, y
        if x > _LEFT and x + width > scene.width - _LEFT:
            x, y = float(_LEFT), y + _ROW
        place = (x, y)
        x += width + 22
        return place

    used = [*what.colours]
    named = [each for each in used if what.colours[each] != OTHER]
    for service in named:
        text = words.short_service(service)
        at, base = entry(24 + text_width(text, 11))
        _swatch(group, at, base, what.colours[service])
        group.text(at + 24, base, text, 11)
    if len(used) > len(named) or _has_none(what):
        rest = len(used) - len(named)
        text = "no Service, or not known which"
        if rest:
            text = f"{words.plural(rest, 'other Service')}, or none"
        at, base = entry(24 + text_width(text, 11))
        _swatch(group, at, base, OTHER)
        group.text(at + 24, base, text, 11)
    x, y = float(_LEFT), y + _ROW
    if "unseen" in facts:
        text = "dashed: not captured here; follows from what was (evidence in words)"
        at, base = entry(30 + text_width(text, 11))
        _swatch(group, at, base, OTHER, dashed=True)
        group.text(at + 24, base, text, 11, style="soft")
    for key, style, meaning in (
        ("dnat", "dnat", "destination rewritten: Service address to pod address"),
        ("snat", "snat", "source rewritten to the node's own address"),
    ):
        if key not in facts:
            continue
        name = style.upper()
        wide = text_width(name, 9.5, bold=True) + 10
        at, base = entry(wide + 6 + text_width(meaning, 11))
        group.rect(at, base - 10.2, wide, 13.5, style, 6.5)
        group.text(at + 5, base, name, 9.5, style="inverse", bold=True)
        group.text(at + wide + 6, base, meaning, 11, style="soft")
    if "tunnel" in facts:
        text = "interface of the overlay, with its address"
        at, base = entry(24 + text_width(text, 11))
        group.rect(at, base - 9, 18, 11, "tunnel", 3)
        group.text(at + 24, base, text, 11, style="soft")
    if any(each.lost_segments for each in what.bundles):
        text = "lost: seen before, not behind, where it was captured"
        at, base = entry(15 + text_width(text, 11))
        for shift in (3.5, -3.5):
            ends = ((at, base - 4 - shift), (at + 7, base - 4 + shift))
            group.marks.append(Line(ends, "cross"))
        group.text(at + 13, base, text, 11, style="soft")
    drawn = {vertex.node for vertex in what.vertices.values()}
    drawn |= {pod.node for pod in what.pods}
    hidden = [
        each
        for each in what.hosts.values()
        if each.idle_pods and each.node not in drawn
    ]
    if hidden:
        pods = words.plural(sum(each.idle_pods for each in hidden), "pod")
        nodes = words.plural(sum(each.members for each in hidden), "node")
        text = f"not drawn: {pods} without traffic on {nodes} without any"
        at, base = entry(text_width(text, 11))
        group.text(at, base, text, 11, style="soft")
    numbers = "11 · 17/s"
    meaning = "connections, and per second; width is their " + (
        "number" if by == "connections" else "bytes"
    )
    if "latency" in facts:
        numbers = "11 · 17/s · 3.5 ± 5.8 µs"
        meaning += "; median latency ± what the clocks leave open"
    wide = text_width(numbers, 11, bold=True)
    at, base = entry(wide + 8 + text_width(meaning, 11))
    group.text(at, base, numbers, 11, bold=True)
    group.text(at + wide + 8, base, meaning, 11, style="soft")
    return y + 18


def _has_none(what: Picture) -> bool:
    return any(band.service is None for each in what.bundles for band in each.bands)


def _swatch(
    group: Group, x: float, base: float, colour: str, *, dashed: bool = False
) -> None:
    group.marks.append(Ribbon(x, base - 4, x + 18, base - 4, 9, colour, dashed))
