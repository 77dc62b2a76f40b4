"""Whether programs found what is there: their counts against the generator's.

No two programs count the same. Therefore a program tells its counts under names whose
definitions are those of :class:`benchmarks.generate.Truth`, and tells only what it
defines likewise; each of them must be equal, and what was compared is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What each count is, in the words of a table.
WORDS = {
    "packets": "frames",
    "wire_bytes": "wire octets",
    "captured_bytes": "captured octets",
    "ip_packets": "IP packets",
    "ip_wire_bytes": "IP wire octets",
    "ip_bytes": "IP octets",
    "inner_bytes": "inner IP octets",
    "flows": "inner flows",
    "tcp_flows": "inner TCP flows",
    "outer_flows": "outer flows",
    "retransmits": "retransmits",
    "capture_bytes": "all octets",
}


def compared(counts: Mapping[str, int], truth: Mapping[str, Any]) -> list[str]:
    """Name the counts that a program told and that are known for its capture."""
    return [name for name in WORDS if name in counts and name in truth]


def disagreements(counts: Mapping[str, int], truth: Mapping[str, Any]) -> list[str]:
    """Say where a program's counts are not those of its capture."""
    return [
        f"{WORDS[name]}: {counts[name]:,} instead of {truth[name]:,}"
        for name in compared(counts, truth)
        if counts[name] != truth[name]
    ]
