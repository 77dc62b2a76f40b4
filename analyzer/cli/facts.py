"""What can be said about a capture, from its summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.cli.format import iso_time

if TYPE_CHECKING:
    from analyzer.tables.captures import CaptureSummary

# https://www.tcpdump.org/linktypes.html
_LINK_TYPES = {
    0: "BSD loopback",
    1: "Ethernet",
    12: "raw IP",
    14: "raw IP",
    101: "raw IP",
    108: "BSD loopback",
    113: "Linux cooked",
    228: "raw IPv4",
    229: "raw IPv6",
    276: "Linux cooked v2",
}


def span(summary: CaptureSummary) -> int | None:
    """Count the nanoseconds from the first frame to the last."""
    if summary.start_time is None or summary.end_time is None:
        return None
    return summary.end_time - summary.start_time


def per_second(amount: int, summary: CaptureSummary) -> float | None:
    """Average an amount over the time of the capture."""
    nanoseconds = span(summary)
    return amount * 1e9 / nanoseconds if nanoseconds else None


def cut_frames(summary: CaptureSummary) -> int:
    """Count the frames that end inside a header."""
    return sum(
        frames for (reason, _), frames in summary.stops.items() if reason == "truncated"
    )


def dropped_packets(summary: CaptureSummary) -> int | None:
    """Count what the kernel dropped; None if the capture does not say."""
    known = [each.dropped for each in summary.interfaces if each.dropped is not None]
    return sum(known) if known else None


def link_types(summary: CaptureSummary) -> list[str]:
    """Name the link types, each once."""
    names = (link_type_name(each.link_type) for each in summary.interfaces)
    return list(dict.fromkeys(names))


def link_type_name(number: int) -> str:
    """Name a link type; one without a name here keeps its number."""
    return _LINK_TYPES.get(number, f"link type {number}")


def record(summary: CaptureSummary) -> dict[str, Any]:
    """Give all that is known, as JSON has it: times ISO 8601, durations in seconds."""
    nanoseconds = span(summary)
    return {
        "capture": summary.name,
        "path": summary.path,
        "size": summary.size,
        "files": summary.files,
        "format": summary.format,
        "compression": summary.compression,
        "points": summary.points,
        "interfaces": [
            {
                "name": each.name,
                "link_type": link_type_name(each.link_type),
                "snapshot_length": each.snapshot_length,
                "received": each.received,
                "dropped": each.dropped,
            }
            for each in summary.interfaces
        ],
        "packets": summary.packets,
        "captured_bytes": summary.captured_bytes,
        "wire_bytes": summary.wire_bytes,
        "start_time": _iso(summary.start_time),
        "end_time": _iso(summary.end_time),
        "duration": None if nanoseconds is None else nanoseconds / 1e9,
        "packets_per_second": per_second(summary.packets, summary),
        "bits_per_second": per_second(8 * summary.wire_bytes, summary),
        "tunnels": summary.tunnels,
        "vnis": {str(vni): frames for vni, frames in summary.vnis.items()},
        "non_ip": summary.non_ip,
        "stops": [
            {"reason": reason, "layer": layer, "frames": frames}
            for (reason, layer), frames in summary.stops.items()
        ],
        "damage": [
            {"reason": each.reason, "offset": each.offset, "frame": each.frame}
            for each in summary.damage
        ],
        "dropped": dropped_packets(summary),
    }


def _iso(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else iso_time(nanoseconds)
