"""Warn of what is missing from captures: damage, drops, frames cut short."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analyzer.cli.facts import cut_frames
from analyzer.cli.failure import warn
from analyzer.cli.format import percent, plural
from analyzer.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.cluster import Cluster
    from analyzer.tables.captures import CaptureSummary

_MOST_WARNINGS = 8
#: Enough for Ethernet, IPv6, UDP, VXLAN, Ethernet, IPv6 and TCP with its options.
_SNAPSHOT_FOR_HEADERS = 192


def warn_of_trouble(summaries: Sequence[CaptureSummary]) -> None:
    """Print on standard error what the captures lack; the first few of many."""
    warnings = [
        *(each for summary in summaries for each in _damage(summary)),
        *(each for summary in summaries for each in _drops(summary)),
        *(each for summary in summaries for each in _cuts(summary)),
    ]
    shown = warnings[:_MOST_WARNINGS]
    for number, (message, hint) in enumerate(shown, start=1):
        is_said_again = number < len(shown) and shown[number][1] == hint
        warn(message, None if is_said_again else hint)
    more = len(warnings) - len(shown)
    if more > 0:
        warn(f"and {plural(more, 'warning')} more", "analyze info --json has them all")


def as_of_captures(
    cluster: Cluster | None, summaries: Sequence[CaptureSummary]
) -> Cluster | None:
    """Give cluster state as it can have been then; warn of pods that came later."""
    last = max((each.end_time for each in summaries if each.end_time), default=None)
    if cluster is None or last is None:
        return cluster
    then = cluster.as_of(datetime.fromtimestamp(last / 1e9, UTC))
    late = len(cluster.pods) - len(then.pods)
    if late:
        warn(
            f"{late:,} of {plural(len(cluster.pods), 'pod')} of the cluster state"
            " were started after the last packet, and are not named",
            "save cluster state when you capture: pods and their addresses change",
        )
    return then


def refuse_damage(summaries: Sequence[CaptureSummary]) -> None:
    """Fail if a capture is damaged: what ``--strict`` asks for."""
    damaged = [summary.path for summary in summaries if summary.damage]
    if damaged:
        raise CaptureError(
            f"damaged: {', '.join(damaged[:3])}"
            + (f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""),
            hint="all else was read; without --strict this is a warning only",
        )


def _damage(summary: CaptureSummary) -> Iterator[tuple[str, str | None]]:
    for damage in summary.damage:
        place = f"at byte {damage.offset:,}, after {plural(damage.frame, 'frame')}"
        yield f"{summary.path}: {damage.reason} ({place})", None


def _drops(summary: CaptureSummary) -> Iterator[tuple[str, str | None]]:
    hint = "capture with a larger buffer (tcpdump -B 65536) or a narrower filter"
    for interface in summary.interfaces:
        if interface.dropped:
            where = f"{summary.path}: {interface.name or 'interface'}"
            dropped = plural(interface.dropped, "packet")
            if interface.received:
                share = percent(interface.dropped, interface.received)
                dropped = f"{interface.dropped:,} of {interface.received:,} ({share})"
            yield f"{where}: the kernel dropped {dropped}", hint


def _cuts(summary: CaptureSummary) -> Iterator[tuple[str, str | None]]:
    frames = cut_frames(summary)
    if not frames:
        return
    layers = [layer for reason, layer in summary.stops if reason == "truncated"]
    message = (
        f"{summary.path}: {frames:,} of {plural(summary.packets, 'frame')}"
        f" ({percent(frames, summary.packets)}) end inside a header"
        f" ({', '.join(sorted(layers))})"
    )
    shortest = min((each.snapshot_length for each in summary.interfaces), default=0)
    hint = None
    if 0 < shortest < _SNAPSHOT_FOR_HEADERS:
        hint = (
            f"the snapshot length was {shortest}; tcpdump -s {_SNAPSHOT_FOR_HEADERS}"
            " keeps every header, tunnels included"
        )
    yield message, hint
