"""Write a scene as SVG: one file that needs no other."""

from __future__ import annotations

import re
from functools import singledispatch
from xml.sax.saxutils import escape, quoteattr

from analyzer.diagram.palette import STYLES
from analyzer.diagram.scene import Group, Line, Mark, Rect, Ribbon, Scene, Text
from analyzer.diagram.widths import FONTS

#: What XML 1.0 does not allow even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_svg(scene: Scene, *, element_id: str | None = None) -> str:
    """Write a scene as an SVG document.

    Parameters
    ----------
    scene : Scene
    element_id : str, optional
        Id of the root element, if it becomes a part of a page.

    Returns
    -------
    str
        It holds no scripts and refers to nothing outside. Texts are texts; ``title``
        and ``desc`` say what it shows to those who cannot see it; the numbers that
        groups show stand in their ``data-`` attributes, too.
    """
    width, height = _number(scene.width), _number(scene.height)
    name = "" if element_id is None else f" id={quoteattr(element_id)}"
    declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
    root = (
        f'<svg{name} xmlns="http://www.w3.org/2000/svg" width="{width}"'
        f' height="{height}" viewBox="0 0 {width} {height}" role="img"'
        f' aria-labelledby="title desc" font-family="{FONTS}"'
        ' text-rendering="geometricPrecision">\n'
    )
    parts = [
        declaration if element_id is None else "",
        root,
        f'<title id="title">{_text(scene.title)}</title>\n',
        f'<desc id="desc">{_text(scene.description)}</desc>\n',
        f'<style type="text/css">{_styles()}</style>\n',
        f'<rect class="page" width="{width}" height="{height}"/>\n',
    ]
    parts += [_group(group) for group in scene.groups]
    parts.append("</svg>\n")
    return "".join(parts)


def _styles() -> str:
    rules = []
    for name, (light, _) in STYLES.items():
        told = ";".join(f"{key}:{value}" for key, value in light.items())
        if told:
            rules.append(f".{name}{{{told}}}")
    return "".join(rules)


def _group(group: Group) -> str:
    facts = "".join(
        f" data-{name.replace('_', '-')}={_attribute(value)}"
        for name, value in group.facts.items()
    )
    title = f"<title>{_text(group.title)}</title>" if group.title else ""
    marks = "".join(_mark(mark) for mark in group.marks)
    return f'<g class="{group.kind}"{facts}>{title}{marks}</g>\n'


@singledispatch
def _mark(mark: Mark) -> str:
    raise TypeError(f"no mark: {mark!r}")


@_mark.register
def _(mark: Text) -> str:
    anchor = "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
    weight = ' font-weight="bold"' if mark.bold else ""
    return (
        f'<text class="{mark.style}" x="{_number(mark.x)}" y="{_number(mark.y)}"'
        f' font-size="{_number(mark.size)}"{weight}{anchor}'
        f' textLength="{_number(mark.width)}" lengthAdjust="spacingAndGlyphs">'
        f"{_text(mark.text)}</text>"
    )


@_mark.register
def _(mark: Rect) -> str:
    colour = f' fill="{mark.colour}"' if mark.colour else ""
    return (
        f'<rect class="{mark.style}" x="{_number(mark.x)}" y="{_number(mark.y)}"'
        f' width="{_number(mark.width)}" height="{_number(mark.height)}"'
        f' rx="{_number(mark.radius)}"{colour}/>'
    )


@_mark.register
def _(mark: Ribbon) -> str:
    half = mark.thickness / 2
    bend = (mark.x1 - mark.x0) * 0.5

    def curve(shift: float, *, back: bool) -> str:
        here = (mark.x0, mark.y0 + shift)
        there = (mark.x1, mark.y1 + shift)
        first = (mark.x0 + bend, mark.y0 + shift)
        second = (mark.x1 - bend, mark.y1 + shift)
        if back:
            here, there, first, second = there, here, second, first
        places = (first, second, there)
        path = " ".join(f"{_number(x)} {_number(y)}" for x, y in places)
        start = "L" if back else "M"
        return f"{start}{_number(here[0])} {_number(here[1])}C{path}"

    above, below = curve(-half, back=False), curve(half, back=True)
    opacity = 0.13 if mark.dashed else 0.5
    service = (
        "" if mark.service is None else f" data-service={_attribute(mark.service)}"
    )
    band = (
        f'<path class="band"{service} d="{above}{below}Z" fill="{mark.colour}"'
        f' fill-opacity="{opacity}"/>'
    )
    if not mark.dashed:
        return band
    return (
        f'{band}<path class="outline"{service} d="{above}{curve(half, back=False)}"'
        f' fill="none" stroke="{mark.colour}" stroke-width="1.1"'
        ' stroke-dasharray="5 3"/>'
    )


@_mark.register
def _(mark: Line) -> str:
    places = " ".join(f"{_number(x)},{_number(y)}" for x, y in mark.points)
    colour = f' stroke="{mark.colour}"' if mark.colour else ""
    return f'<polyline class="{mark.style}" points="{places}"{colour}/>'


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))


def _attribute(value: str | float) -> str:
    return quoteattr(_FORBIDDEN.sub("\ufffd", str(value)))
