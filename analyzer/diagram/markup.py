"""Text as Mermaid and Graphviz take it."""

from __future__ import annotations

import re

# What Mermaid takes at most; a file cannot ask for more (maxEdges, maxTextSize).
MOST_LINKS = 500
_MOST_CHARACTERS = 50_000
_OF_A_TITLE = 500


def mermaid(text: str) -> str:
    """Escape what Mermaid takes for markup."""
    return re.sub(r'[&<>"#;|\\`$\x00-\x1f]', lambda found: f"#{ord(found[0])};", text)


def is_taken(chart: str, links: int) -> bool:
    """Tell if Mermaid draws a chart that has so many links."""
    return links <= MOST_LINKS and len(chart) <= _MOST_CHARACTERS - _OF_A_TITLE


def yaml(text: str) -> str:
    """Quote a title for the front matter of a Mermaid file."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quoted(text: str) -> str:
    """Quote a text for Graphviz."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
