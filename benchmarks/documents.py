"""Put what was measured between the marks in documents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace(document: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``.

    Raises
    ------
    ValueError
        The document has no such marks, or several of them.
    """
    pattern = re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- /{name} -->)", re.DOTALL)
    before = document.read_text()
    if before.count(f"<!-- {name} -->\n") != 1 or not pattern.search(before):
        raise ValueError(f"{document.name} has no one pair of marks <!-- {name} -->")
    document.write_text(pattern.sub(lambda _: text, before))
