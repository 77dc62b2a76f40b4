"""SVG as PNG and PDF, without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.errors import DiagramError

if TYPE_CHECKING:
    from types import ModuleType

#: Pixels for each unit of the SVG: sharp on the screens that there are.
_SCALE = 2


def write_png(svg: str) -> bytes:
    """Give an SVG as PNG, twice as wide as it says."""
    data: bytes = _converter("PNG").svg_to_png(svg, scale=_SCALE)
    return data


def write_pdf(svg: str) -> bytes:
    """Give an SVG as PDF, with its texts as texts."""
    data: bytes = _converter("PDF").svg_to_pdf(svg)
    return data


def _converter(kind: str) -> ModuleType:
    try:
        import vl_convert
    except ImportError as error:
        raise DiagramError(
            f"{kind} needs the package vl-convert-python, which is not installed",
            hint="pip install 'k8s-capture-analyzer[pictures]', or write .svg or .html",
        ) from error
    return vl_convert
