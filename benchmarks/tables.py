"""Markdown tables of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.agreement import WORDS
from benchmarks.quantity import count, digits, mebibytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEAST_MEMORY = 12 << 20  # octets: see process.py


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; headings that begin with ``>`` are those of numbers."""
    lines = [
        f"| {' | '.join(heading.removeprefix('>') for heading in headings)} |",
        f"|{'|'.join('--:' if each.startswith('>') else '---' for each in headings)}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def title(record: dict[str, Any]) -> str:
    """Name a program with its version."""
    return f"{record['name']} {record['version']}".strip()


def unmeasured(record: dict[str, Any]) -> str:
    """Say why there are no numbers, "" if there are some."""
    if "missing" in record:
        return str(record["missing"])
    return f"**failed:** {record['failed']}" if "failed" in record else ""


def seconds(record: dict[str, Any]) -> str:
    """Write the median time and its spread."""
    median, least, most = record["median"], record["least"], record["most"]
    return f"{median:.2f} ({least:.2f} to {most:.2f})"


def packets(record: dict[str, Any]) -> str:
    """Write how many packets were read, and in how many rounds."""
    which = "first " if record["is_prefix"] else ""
    return f"{which}{count(record['packets'])}, {len(record['wall'])} x"


def megabytes(record: dict[str, Any]) -> str:
    """Write how fast a file was read."""
    return f"{record['bytes_per_second'] / 1e6:,.0f}"


def ratio(ours: dict[str, Any] | None, record: dict[str, Any]) -> str:
    """Write how many times as fast we are, in packets per second."""
    if ours is None or unmeasured(ours):
        return ""
    return f"{digits(ours['packets_per_second'] / record['packets_per_second'])} x"


def memory(record: dict[str, Any]) -> str:
    """Write the peak memory, in MiB."""
    peak: int = record["peak_memory"]
    return mebibytes(peak) if peak > LEAST_MEMORY else f"< {mebibytes(LEAST_MEMORY)}"


def agreement(record: dict[str, Any]) -> str:
    """Say what was compared, and what was wrong."""
    if record["wrong"]:
        return f"**wrong:** {'; '.join(record['wrong'])}"
    return ", ".join(WORDS[name] for name in record["checked"]) or "exit status only"


def find(records: Iterable[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """Find a program's record."""
    return next((each for each in records if each["name"] == name), None)
