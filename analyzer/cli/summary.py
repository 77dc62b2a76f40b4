"""Print what was read: a few lines about one capture, one row each about several."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from analyzer.capture.observation import capture_stem
from analyzer.cli import format as say
from analyzer.cli.facts import (
    cut_frames,
    dropped_packets,
    link_type_name,
    link_types,
    per_second,
    span,
)
from analyzer.cli.output import width
from analyzer.cli.table import Column, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.cli.output import Output
    from analyzer.cli.table import Forms
    from analyzer.tables.captures import CaptureSummary

_MOST_VNIS = 4
#: What gives way on narrow terminals, in this order.
_NARROWING = (
    "tunnels",  # without VNIs
    "point",  # how many, if there are several
    "start",
    "rate",
    "trouble",  # without counts
    "capture",  # without the endings of its name
    "point",
    "link",
)


def print_captures(
    summaries: Sequence[CaptureSummary], output: Output, *, in_detail: bool = False
) -> None:
    """Print for people what was read.

    Parameters
    ----------
    summaries : sequence of CaptureSummary
    output : Output
        Must be the table format.
    in_detail : bool
        Whether to add what only matters when one looks into the capture itself.
    """
    if len(summaries) == 1:
        _print_one(summaries[0], in_detail=in_detail)
    else:
        _print_many(summaries, output, in_detail=in_detail)


def _print_one(summary: CaptureSummary, *, in_detail: bool) -> None:
    facts = list(_details(summary) if in_detail else _facts(summary))
    click.echo(click.style(say.printable(summary.name), bold=True))
    label_width = max(len(label) for label, _ in facts)
    for label, fact in facts:
        click.echo(
            textwrap.fill(
                say.printable(fact),
                width(),
                initial_indent=f"  {label.ljust(label_width)}  ",
                subsequent_indent=" " * (label_width + 4),
            )
        )


def _facts(summary: CaptureSummary) -> Iterator[tuple[str, str]]:
    yield "packets", _packets(summary)
    yield "bytes", _bytes(summary)
    yield "link", (", ".join(link_types(summary)) or "-") + _at(summary)
    if summary.tunnels:
        yield "tunnels", _tunnels(summary)
    yield from _losses(summary)


def _details(summary: CaptureSummary) -> Iterator[tuple[str, str]]:
    packing = f" in {summary.compression}" if summary.compression else ""
    stored = f", {say.size(summary.size)}" if summary.size is not None else ""
    parts = f" in {summary.files} files" if summary.files > 1 else ""
    yield "file", f"{summary.format}{packing}{stored}{parts}"
    yield "packets", _packets(summary)
    yield "bytes", _bytes(summary)
    if summary.start_time is not None and summary.end_time is not None:
        yield "first", say.iso_time(summary.start_time)
        yield "last", say.iso_time(summary.end_time)
    if summary.points:
        label = "points" if len(summary.points) > 1 else "point"
        yield label, ", ".join(summary.points)
    for interface in summary.interfaces:
        counts = (
            ("received", interface.received),
            ("dropped by the kernel", interface.dropped),
        )
        yield (
            "interface",
            ", ".join(
                [
                    interface.name or "without a name",
                    link_type_name(interface.link_type),
                    f"snapshot length {interface.snapshot_length:,}",
                    *(f"{each:,} {what}" for what, each in counts if each is not None),
                ]
            ),
        )
    yield "tunnels", _tunnels(summary) if summary.tunnels else "none"
    yield "without IP", say.plural(summary.non_ip, "packet")
    for (reason, layer), frames in sorted(summary.stops.items()):
        yield "stopped", f"{say.plural(frames, 'frame')} {reason} in {layer}"
    for damage in summary.damage:
        yield "damage", f"at byte {damage.offset:,}: {damage.reason}"


def _packets(summary: CaptureSummary) -> str:
    nanoseconds = span(summary)
    if nanoseconds is None or summary.start_time is None:
        return say.count(summary.packets)
    rate = per_second(summary.packets, summary)
    pace = f" ({rate:,.0f}/s)" if rate is not None and rate >= 1 else ""
    return (
        f"{summary.packets:,} in {say.duration(nanoseconds)}{pace}"
        f" from {say.clock_time(summary.start_time)}"
    )


def _bytes(summary: CaptureSummary) -> str:
    rate = per_second(8 * summary.wire_bytes, summary)
    pace = f" ({say.bit_rate(rate)})" if rate is not None else ""
    captured = ""
    if summary.captured_bytes != summary.wire_bytes:
        captured = f", {say.size(summary.captured_bytes)} captured"
    return f"{say.size(summary.wire_bytes)} on the wire{pace}{captured}"


def _at(summary: CaptureSummary) -> str:
    if not summary.points:
        return ""
    first, *others = summary.points
    return f" at {first}" + (f" and {len(others)} more points" if others else "")


def _tunnels(summary: CaptureSummary) -> str:
    kinds = [
        f"{say.plural(frames, 'packet')} in {kind}"
        for kind, frames in summary.tunnels.items()
    ]
    return ", ".join(kinds) + _vnis(summary)


def _vnis(summary: CaptureSummary) -> str:
    vnis = sorted(summary.vnis, key=lambda vni: -summary.vnis[vni])
    if not vnis:
        return ""
    named = ", ".join(str(vni) for vni in vnis[:_MOST_VNIS])
    more = f" and {len(vnis) - _MOST_VNIS} more" if len(vnis) > _MOST_VNIS else ""
    return f" (VNI {named}{more})"


def _losses(summary: CaptureSummary) -> Iterator[tuple[str, str]]:
    """Say what a reader must know before believing the flows."""
    if dropped := dropped_packets(summary):
        yield "dropped", f"{say.plural(dropped, 'packet')} by the kernel"
    stopped = [
        f"{frames:,} {reason} in {layer}"
        for (reason, layer), frames in sorted(summary.stops.items())
    ]
    if stopped:
        yield "stopped", ", ".join(stopped)
    if summary.damage:
        yield "damage", say.plural(len(summary.damage), "place")


def _print_many(
    summaries: Sequence[CaptureSummary], output: Output, *, in_detail: bool
) -> None:
    table: dict[Column, list[object]] = {
        Column("capture", _name): [each.name for each in summaries],
        number("packets", say.count): [each.packets for each in summaries],
        number("bytes", say.size): [each.wire_bytes for each in summaries],
        number("duration", say.duration): [span(each) for each in summaries],
        Column("link"): [link_types(each) for each in summaries],
        Column("tunnels", _tunnel_forms): list(summaries),
    }
    if in_detail:
        table |= {
            Column("point", _points): [each.points for each in summaries],
            number("start", say.clock_time): [each.start_time for each in summaries],
            number("rate", say.bit_rate): [
                per_second(8 * each.wire_bytes, each) for each in summaries
            ],
        }
    troubles = [_troubles(each) for each in summaries]
    if any(troubles):
        table[Column("trouble", _trouble_forms)] = list(troubles)
    packets = sum(each.packets for each in summaries)
    octets = sum(each.wire_bytes for each in summaries)
    output.rows(
        f"{say.plural(len(summaries), 'capture')}: {say.plural(packets, 'packet')},"
        f" {say.size(octets)} on the wire",
        list(table),
        list(zip(*table.values(), strict=True)),
        narrowing=_NARROWING,
    )


def _name(name: str) -> Forms:
    return name, capture_stem(name)


def _tunnel_forms(summary: CaptureSummary) -> Forms:
    kinds = ", ".join(summary.tunnels) or "-"
    return kinds + _vnis(summary), kinds


def _points(points: list[str]) -> Forms:
    everything = ", ".join(points) or "-"
    return everything, everything if len(points) < 2 else f"{len(points)} points"


def _troubles(summary: CaptureSummary) -> dict[str, int]:
    counts = {
        "damaged": len(summary.damage),
        "dropped": dropped_packets(summary),
        "cut": cut_frames(summary),
    }
    return {what: count for what, count in counts.items() if count}


def _trouble_forms(troubles: dict[str, int]) -> Forms:
    counts = ", ".join(f"{count:,} {what}" for what, count in troubles.items())
    return counts or "-", ", ".join(troubles) or "-"
