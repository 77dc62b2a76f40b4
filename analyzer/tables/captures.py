"""What was read from a capture, apart from its packets."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Damage:
    """A place where a capture does not keep to its format.

    Parameters
    ----------
    reason : str
        What was found there, as part of a sentence.
    offset : int
        Octets from the start of the (decompressed) capture.
    frame : int
        Frames that were read before it.
    """

    reason: str
    offset: int
    frame: int


@dataclass(frozen=True)
class Interface:
    """One interface that a capture describes.

    ``received`` and ``dropped`` are the counts of the interface statistics block
    (pcapng), None where the capture has none.
    """

    name: str | None
    link_type: int
    snapshot_length: int
    received: int | None = None
    dropped: int | None = None


@dataclass
class CaptureSummary:
    """One capture: its file, its interfaces and the totals of its frames.

    Times are nanoseconds since the epoch, None if no frame has one. ``tunnels`` counts
    frames by innermost encapsulation, ``vnis`` by innermost network identifier,
    ``stops`` by (reason, layer) where decoding ended early. ``files`` is how many files
    it was rotated into; their sizes and damages are its own.
    """

    path: str
    name: str
    size: int | None
    format: str
    compression: str | None
    interfaces: list[Interface] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    packets: int = 0
    captured_bytes: int = 0
    wire_bytes: int = 0
    start_time: int | None = None
    end_time: int | None = None
    non_ip: int = 0
    tunnels: dict[str, int] = field(default_factory=dict)
    vnis: dict[int, int] = field(default_factory=dict)
    stops: dict[tuple[str, str], int] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)
    seconds: float = 0.0
    files: int = 1


def to_json(captures: list[CaptureSummary]) -> str:
    """Write summaries as JSON, the same for the same captures."""
    rows = []
    for capture in captures:
        row = asdict(capture)
        del row["seconds"]
        row["vnis"] = sorted(capture.vnis.items())
        row["stops"] = [[*place, count] for place, count in capture.stops.items()]
        rows.append(row)
    return json.dumps(rows)


def from_json(text: str) -> list[CaptureSummary]:
    """Read summaries that :func:`to_json` wrote."""
    captures = []
    for row in json.loads(text):
        row["interfaces"] = [Interface(**values) for values in row["interfaces"]]
        row["damage"] = [Damage(**values) for values in row["damage"]]
        row["vnis"] = dict(row["vnis"])
        row["stops"] = {(reason, layer): count for reason, layer, count in row["stops"]}
        captures.append(CaptureSummary(**row))
    return captures
