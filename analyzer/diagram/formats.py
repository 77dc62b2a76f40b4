"""Which format a file's name asks for, and how it is written."""

from __future__ import annotations

import os
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


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file whole or not at all: beside it, then in its place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        beside.write_bytes(data.encode() if isinstance(data, str) else data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
