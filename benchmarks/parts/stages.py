"""See where the time goes: nanoseconds for each packet, stage by stage."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks import inputs, tables
from benchmarks.quantity import count
from benchmarks.stages import FLOOR, NAMES, REST, STAGES, WHOLE, nanoseconds

if TYPE_CHECKING:
    import altair as alt

    from benchmarks.asked import Asked

KINDS = ("usual", "short", "many")
MOST_ROUNDS = 3
INSIDE = ("read", "decode", "flow table")
PER_FLOW = ("columns", "write flows", "correlate", "write connections", NAMES.name)
DOES = {
    **{stage.name: stage.does for stage in (*STAGES, NAMES)},
    REST: "the summary that is printed, and what is moved between stages",
    WHOLE: "`analyze flows --threads 1`, as a process",
    FLOOR: "read, decode and a flow table, as a process",
}


def measure(asked: Asked) -> dict[str, Any]:
    """Time the stages of each capture, in a process of their own."""
    captures = {}
    for name in filter(KINDS.__contains__, asked.kinds):
        capture = inputs.kind(name, asked.packets, asked.data)
        rounds = min(asked.rounds, MOST_ROUNDS)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks", "stages", capture.path),
                *("--rounds", str(rounds), "--json"),
            ],
            cwd=inputs.BENCHMARKS.parent,
            stdout=subprocess.PIPE,
            check=True,
        )
        captures[name] = json.loads(done.stdout)
    return {"captures": captures}


def faults(_: dict[str, Any]) -> list[str]:
    """Say nothing: what fails here raises."""
    return []


def markdown(result: dict[str, Any]) -> str:
    """Write one row for each stage, one column for each capture."""
    captures = result["captures"]
    each = {name: nanoseconds(found) for name, found in captures.items()}
    flows = {name: nanoseconds(found, "flows") for name, found in captures.items()}
    rows = [
        [
            _strong(stage, stage),
            DOES[stage],
            *(_strong(stage, f"{each[name].get(stage, 0):,.1f}") for name in captures),
            *(
                f"{flows[name][stage]:,.0f}" if stage in PER_FLOW else ""
                for name in captures
            ),
        ]
        for stage in DOES
        if any(stage in found for found in each.values())
    ]
    headings = [f">{name}, ns/packet" for name in captures]
    headings += [f">{name}, ns/flow" for name in captures]
    sizes = "; ".join(
        f"{name}: {count(found['packets'])} packets, {count(found['flows'])} flows, "
        f"{count(found['connections'])} connections"
        for name, found in captures.items()
    )
    text = f"{sizes}.\n\n{tables.table(['stage', 'does', *headings], rows)}"
    ratios = [
        f"{name} {found[FLOOR] / sum(found[stage] for stage in INSIDE):.2f} "
        f"({found[FLOOR] / found[WHOLE]:.2f})"
        for name, found in each.items()
        if FLOOR in found
    ]
    if ratios:
        text += (
            "\nReading, decoding and the flow table on one thread, as a share of the "
            f"C floor's rate (in brackets: the whole command): {', '.join(ratios)}.\n"
        )
    return text


def _strong(stage: str, text: str) -> str:
    return f"**{text}**" if stage == WHOLE else text


def chart(result: dict[str, Any]) -> alt.Chart:
    """Draw the stages of each capture as one bar."""
    import altair as alt

    order = [*(stage.name for stage in STAGES), REST]
    rows = [
        {"capture": name, "stage": stage, "at": at, "ns": max(found[stage], 0)}
        for name, result_ in result["captures"].items()
        for found in [nanoseconds(result_)]
        for at, stage in enumerate(order)
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            y=alt.Y("capture:N", title=None, sort=None),
            x=alt.X("ns:Q", title="ns for each packet, one thread"),
            color=alt.Color(
                "stage:N",
                sort=order,
                title=None,
                scale=alt.Scale(domain=order, scheme="tableau10"),
            ),
            order=alt.Order("at:Q"),
        )
        .properties(
            title=alt.Title("analyze flows, where the time goes", anchor="start"),
            width=420,
            height={"step": 34},
        )
    )


def listing(found: dict[str, Any]) -> str:
    """Write the stages of one capture for a terminal."""
    each = nanoseconds(found)
    whole = each[WHOLE]
    sizes = (
        f"{count(found['packets'])} packets, {count(found['flows'])} flows, "
        f"{count(found['connections'])} connections"
    )
    lines = [
        sizes,
        f"{'ns/packet':>10} {'share':>6}  stage",
        *(
            f"{took:10.1f} {took / whole:6.0%}  {name}: {DOES[name]}"
            for name, took in each.items()
        ),
    ]
    return "\n".join(lines) + "\n"
