"""See what each further thread brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import inputs, tables
from benchmarks.charts import lines
from benchmarks.machine import cores
from benchmarks.programs import analyze
from benchmarks.quantity import count, digits
from benchmarks.turns import Case, faults_of, take_turns

if TYPE_CHECKING:
    import altair as alt

    from benchmarks.asked import Asked

KINDS = ("usual", "short", "many")
HEADINGS = (
    "capture",
    ">threads",
    ">seconds, median (least to most)",
    ">packets/s",
    ">times one thread",
    ">CPU seconds",
    ">peak MiB",
    "compared",
)


def numbers(most: int) -> list[int]:
    """Give 1, 2, 4 and so on, and the most that there are."""
    doubled = [1 << power for power in range(most.bit_length())]
    return sorted({*doubled, most})


def measure(asked: Asked) -> dict[str, Any]:
    """Let ``analyze flows`` with each number of threads take turns."""
    captures = {}
    for name in filter(KINDS.__contains__, asked.kinds):
        capture = inputs.kind(name, asked.packets, asked.data)
        threads = numbers(cores())
        cases = [Case(analyze(number), capture) for number in threads]
        take_turns(cases, asked.rounds, asked.order)
        captures[name] = [
            case.summary() | {"threads": number}
            for number, case in zip(threads, cases, strict=True)
        ]
    return {"captures": captures}


def faults(result: dict[str, Any]) -> list[str]:
    """Say which runs failed or were wrong, and on what."""
    return [
        f"{name}: {fault}"
        for name, records in result["captures"].items()
        for fault in faults_of(records)
    ]


def markdown(result: dict[str, Any]) -> str:
    """Write one row for each capture and number of threads."""
    rows = []
    for name, records in result["captures"].items():
        for record in records:
            start = [name, str(record["threads"])]
            why = tables.unmeasured(record)
            if why:
                rows.append([*start, why, *[""] * (len(HEADINGS) - 3)])
                continue
            rows.append(
                [
                    *start,
                    tables.seconds(record),
                    count(record["packets_per_second"]),
                    _times(records[0], record),
                    f"{record['cpu']:.2f}",
                    tables.memory(record),
                    tables.agreement(record),
                ]
            )
    return tables.table(HEADINGS, rows)


def _times(single: dict[str, Any], record: dict[str, Any]) -> str:
    if tables.unmeasured(single):
        return ""
    return f"{digits(record['packets_per_second'] / single['packets_per_second'])} x"


def chart(result: dict[str, Any]) -> alt.Chart:
    """Draw the rate over the number of threads, a line for each capture."""
    rows = [
        {"name": name, "x": each["threads"], "y": each["packets_per_second"] / 1e6}
        for name, records in result["captures"].items()
        for each in records
        if not tables.unmeasured(each)
    ]
    heading = "analyze flows --threads N"
    return lines(rows, heading, "threads", "million packets/s", points=True)
