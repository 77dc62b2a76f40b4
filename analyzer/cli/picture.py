"""Pictures as the command line gives them: files by their endings, colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.format import printable
from analyzer.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from analyzer.diagram.scene import Scene

_COLOURS: dict[str, dict[str, Any]] = {
    "name": {"bold": True},
    "soft": {"dim": True},
    "alarm": {"fg": "red"},
    "mark": {"fg": "cyan"},
}


def style(text: str, name: str) -> str:
    """Give a text its colour in the terminal."""
    return click.style(text, **_COLOURS[name]) if text else text


def written(scene: Scene, kind: str, colours: Mapping[str, str]) -> str | bytes:
    """Write a scene as ``.svg``, ``.html``, ``.png`` or ``.pdf``."""
    from analyzer.diagram.svg import write_svg

    if kind == ".html":
        from analyzer.diagram.html import write_html

        return write_html(scene, colours)
    svg = write_svg(scene)
    if kind == ".svg":
        return svg
    from analyzer.diagram.raster import write_pdf, write_png

    return write_png(svg) if kind == ".png" else write_pdf(svg)


def keep(title: str, data: str | bytes, file: Path) -> None:
    """Write a file that was asked for, whole, and say what is in it."""
    with written_whole(file) as beside:
        beside.write_bytes(data.encode() if isinstance(data, str) else data)
    click.echo(f"{title}: {printable(str(file))}")
