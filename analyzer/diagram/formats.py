"""Which format a file's name asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.errors import DiagramError

if TYPE_CHECKING:
    from pathlib import Path

#: Endings of file names, with what they stand for.
FORMATS = {
    ".svg": "SVG",
    ".html": "HTML",
    ".png": "PNG",
    ".pdf": "PDF",
    ".mmd": "Mermaid",
    ".dot": "Graphviz",
    ".json": "JSON",
}


def format_of(path: Path) -> str:
    """Tell the format from a file's ending.

    Raises
    ------
    DiagramError
        If no format has the ending.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        told = f"ends in {ending}" if ending else "has no ending"
        raise DiagramError(
            f"{path}: its name {told}, which is no format of pictures",
            hint=f"name it {path.stem}.svg; there are {', '.join(FORMATS)}",
        )
    return ending
