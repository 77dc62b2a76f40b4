"""Text as Mermaid and Graphviz take it."""

from __future__ import annotations

import re


def mermaid(text: str) -> str:
    """Escape what Mermaid takes for markup."""
    return re.sub(r'[&<>"#;|\x00-\x1f]', lambda found: f"#{ord(found[0])};", text)


def identifier(text: str) -> str:
    """Make a name of a Mermaid subgraph."""
    return "node_" + re.sub(r"\W", "_", text)


def yaml(text: str) -> str:
    """Quote a title for the front matter of a Mermaid file."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quoted(text: str) -> str:
    """Quote a text for Graphviz."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
