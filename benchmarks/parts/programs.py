"""Compare the whole command with other programs, and their answers with the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import inputs, tables
from benchmarks.charts import PEER, US, bars
from benchmarks.programs import OURS, programs
from benchmarks.quantity import count
from benchmarks.turns import Case, faults_of, take_turns

if TYPE_CHECKING:
    import altair as alt

    from benchmarks.asked import Asked
    from benchmarks.inputs import Capture
    from benchmarks.programs import Program

ONE_THREAD = f"{OURS} --threads 1"
HEADINGS = (
    "program",
    ">packets, rounds",
    ">seconds, median (least to most)",
    ">packets/s",
    ">MB/s",
    ">`analyze flows` is",
    ">with one thread",
    ">CPU seconds",
    ">peak MiB",
    "flows",
    "compared",
)


def measure(asked: Asked) -> dict[str, Any]:
    """Let all programs take turns, one capture after the other."""
    found = [each for each in programs(asked.data) if asked.wants(each.name)]
    captures = {}
    for name in asked.kinds:
        capture = inputs.kind(name, asked.packets, asked.data)
        cases = [
            Case(program, _part(capture, program))
            for program in found
            if name in program.reads
        ]
        take_turns(cases, asked.rounds, asked.order)
        truth = {k: v for k, v in capture.truth.items() if k != "prefixes"}
        captures[name] = {
            "description": inputs.KINDS[name],
            "truth": truth,
            "programs": [case.summary() for case in cases],
        }
    return {"captures": captures}


def _part(capture: Capture, program: Program) -> Capture:
    return inputs.prefix(capture, program.prefix) if program.prefix else capture


def faults(result: dict[str, Any]) -> list[str]:
    """Say which programs failed or were wrong, and on what."""
    return [
        f"{name}: {fault}"
        for name, capture in result["captures"].items()
        for fault in faults_of(capture["programs"])
    ]


def markdown(result: dict[str, Any]) -> str:
    """Write a table for each capture."""
    parts = []
    for name, capture in result["captures"].items():
        truth, records = capture["truth"], capture["programs"]
        share = truth["vxlan_packets"] / truth["packets"]
        parts.append(
            f"**{name}** ({capture['description']}): {count(truth['packets'])} "
            f"packets, {truth['capture_bytes'] / 1e9:.2f} GB, {truth['flows']:,} "
            f"innermost flows, {share:.0%} VXLAN.\n"
        )
        best, single = (tables.find(records, each) for each in (OURS, ONE_THREAD))
        rows = [_row(each, best, single) for each in records]
        parts.append(tables.table(HEADINGS, rows))
    return "\n".join(parts)


def _row(
    record: dict[str, Any], best: dict[str, Any] | None, single: dict[str, Any] | None
) -> list[str]:
    why = tables.unmeasured(record)
    if why:
        return [tables.title(record), why, *[""] * (len(HEADINGS) - 2)]
    return [
        tables.title(record),
        tables.packets(record),
        tables.seconds(record),
        count(record["packets_per_second"]),
        tables.megabytes(record),
        tables.ratio(best, record),
        tables.ratio(single, record),
        f"{record['cpu']:.2f}",
        tables.memory(record),
        record["flows"],
        tables.agreement(record),
    ]


def short(result: dict[str, Any]) -> str:
    """Write the few columns of the usual capture that a README has room for."""
    records = result["captures"]["usual"]["programs"]
    ours = tables.find(records, OURS)
    rows = [
        [
            f"**`{each['name']}`**" if each["name"] == OURS else each["name"],
            count(each["packets_per_second"]),
            tables.ratio(ours, each) if each["name"] != OURS else "",
        ]
        for each in records
        if not tables.unmeasured(each)
    ]
    return tables.table(("", ">packets/s", ">`analyze flows` is"), rows)


def chart(result: dict[str, Any]) -> alt.VConcatChart:
    """Draw the rates of all programs, one panel for each capture."""
    import altair as alt

    slowest = [
        each["packets"] / each["most"]
        for capture in result["captures"].values()
        for each in capture["programs"]
        if not tables.unmeasured(each)
    ]
    lowest = min(slowest, default=1) / 2
    panels = []
    for name, capture in result["captures"].items():
        rows = [
            {
                "name": each["name"],
                "rate": each["packets_per_second"],
                "least": each["packets"] / each["most"],
                "most": each["packets"] / each["least"],
                "text": count(each["packets_per_second"]),
                "color": US if each["name"].startswith("analyze") else PEER,
            }
            for each in capture["programs"]
            if not tables.unmeasured(each)
        ]
        heading = f"{name}: {capture['description']}"
        axis = "packets/s, logarithmic"
        panels.append(bars(rows, heading, axis, lowest=lowest))
    return alt.vconcat(*panels).resolve_scale(x="shared")
