"""A scene in the format that a file's name asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.diagram.scene import Scene


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
