"""A scene as one HTML file that needs no other: details, filter, pan, zoom, dark."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from analyzer.diagram.palette import STYLES
from analyzer.diagram.svg import write_svg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.diagram.scene import Scene

#: Nothing is loaded, from nowhere.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_html(scene: Scene, colours: Mapping[str, str]) -> str:
    """Write a scene as an HTML page.

    Parameters
    ----------
    scene : Scene
    colours : mapping of str to str
        Services that one can choose, with their colours.

    Returns
    -------
    str
        The page. Pointing at a part (or reaching it with the Tab key) shows its
        details, a service's button leaves only what is of that service, the wheel and
        dragging zoom and pan. Light or dark as the reader's system is, until chosen.
    """
    parts = files("analyzer.diagram")
    style = parts.joinpath("page.css").read_text("utf-8")
    script = parts.joinpath("page.js").read_text("utf-8")
    buttons = "".join(
        f'<button type="button" class="service" aria-pressed="false"'
        f' data-service="{escape(service)}">'
        f'<span class="swatch" style="background:{colour}"></span>'
        f"{escape(service)}</button>"
        for service, colour in colours.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(scene.title)}</title>\n"
        f"<style>\n{style}{_dark()}</style>\n</head>\n<body>\n"
        '<header role="toolbar" aria-label="What to show">'
        f'<span id="services">{buttons}</span>'
        '<span id="tools"><button type="button" id="out" title="Smaller">−</button>'  # noqa: RUF001  the sign
        '<button type="button" id="in" title="Larger">+</button>'
        '<button type="button" id="whole">Whole picture</button>'
        '<button type="button" id="theme">Light or dark</button></span></header>\n'
        f'<main id="view">{write_svg(scene, element_id="picture")}</main>\n'
        '<aside id="details" aria-live="polite" hidden></aside>\n'
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _dark() -> str:
    """Give the rules for dark: chosen, or the system's and not chosen otherwise."""
    rules = []
    for name, (_, dark) in STYLES.items():
        told = ";".join(f"{key}:{value}" for key, value in dark.items())
        if told:
            rules.append((f"#picture .{name}", told))
    chosen = "".join(
        f":root[data-theme=dark] {selector}{{{told}}}\n" for selector, told in rules
    )
    system = "".join(
        f":root:not([data-theme=light]) {selector}{{{told}}}\n"
        for selector, told in rules
    )
    return f"{chosen}@media (prefers-color-scheme: dark) {{\n{system}}}\n"
