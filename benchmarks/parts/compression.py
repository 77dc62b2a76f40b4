"""See whether compressed captures are read as fast as they can be decompressed."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

from benchmarks import inputs, tables
from benchmarks.charts import PEER, US, bars
from benchmarks.programs import (
    NOT_INSTALLED,
    Program,
    analyze,
    analyze_info,
    first_line,
    parse,
)
from benchmarks.quantity import digits
from benchmarks.turns import Case, faults_of, take_turns

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import altair as alt

    from benchmarks.asked import Asked

LIBRARY = "the library alone"
PROGRAMS = {".gz": ("gzip", "igzip"), ".zst": ("zstd",), ".lz4": ("lz4",)}
HEADINGS = (
    "file",
    ">GB",
    "program",
    ">seconds, median (least to most)",
    ">MB/s of the capture",
    ">to the library alone",
    ">to the slower of it and the plain file",
    ">CPU seconds",
    ">peak MiB",
    "compared",
)


def measure(asked: Asked) -> dict[str, Any]:
    """Let decompressors and ``analyze flows`` take turns on each compressed file."""
    plain = inputs.kind("usual", asked.packets, asked.data)
    files = {}
    for suffix in ("", *inputs.COMPRESSIONS):
        capture = inputs.compress(plain, suffix) if suffix else plain
        cases = [
            Case(each, capture)
            for each in (analyze(), analyze_info(), *_decompressors(suffix))
        ]
        take_turns(cases, asked.rounds, asked.order)
        files[suffix or "plain"] = {
            "bytes": capture.path.stat().st_size,
            "capture_bytes": plain.truth["capture_bytes"],
            "programs": [case.summary() for case in cases],
        }
    return {"files": files}


def _decompressors(suffix: str) -> Iterable[Program]:
    """Give the programs that decompress such a file, to nowhere."""
    if not suffix:
        return
    yield Program(
        LIBRARY,
        lambda capture, _: [
            *(sys.executable, "-m", "benchmarks.peers"),
            *("decompress", capture),
        ],
        lambda output, _: parse(output),
    )
    for name in PROGRAMS[suffix]:
        yield _to_nowhere(name)


def _to_nowhere(name: str) -> Program:
    """Give a decompressor that writes to /dev/null, which takes a shell."""
    words: list[str | Path] = ["sh", "-c", f'exec {name} -dc "$1" >/dev/null', name]
    present = shutil.which(name)
    return Program(
        f"{name} -dc",
        lambda capture, _: [*words, capture],
        lambda _, __: {},
        version=first_line(name, "--version") if present else "",
        missing="" if present else NOT_INSTALLED,
    )


def faults(result: dict[str, Any]) -> list[str]:
    """Say which programs failed or were wrong, and on what."""
    return [
        f"{name}: {fault}"
        for name, file in result["files"].items()
        for fault in faults_of(file["programs"])
    ]


def markdown(result: dict[str, Any]) -> str:
    """Write one row for each file and program."""
    rows = []
    plain = result["files"]["plain"]["programs"]
    for name, file in result["files"].items():
        library = tables.find(file["programs"], LIBRARY)
        for record in file["programs"]:
            start = [name, f"{file['bytes'] / 1e9:.2f}", tables.title(record)]
            why = tables.unmeasured(record)
            if why:
                rows.append([*start, why, *[""] * (len(HEADINGS) - 4)])
                continue
            rows.append(
                [
                    *start,
                    tables.seconds(record),
                    f"{file['capture_bytes'] / record['median'] / 1e6:,.0f}",
                    *_takes(record, library, tables.find(plain, record["name"])),
                    f"{record['cpu']:.2f}",
                    tables.memory(record),
                    tables.agreement(record),
                ]
            )
    return tables.table(HEADINGS, rows)


def _takes(
    record: dict[str, Any],
    library: dict[str, Any] | None,
    plain: dict[str, Any] | None,
) -> tuple[str, str]:
    """Write how many times as long as decompression alone something takes.

    And as long as the slower of what it does at the same time: decompressing the file,
    and all else, which is what it does with the plain one.
    """
    if library is None or library is record or tables.unmeasured(library):
        return "", ""
    least = library["median"]
    alone = f"{digits(record['median'] / least, 3)} x"
    if plain is None or tables.unmeasured(plain):
        return alone, ""
    slower = max(least, plain["median"])
    return alone, f"{digits(record['median'] / slower, 3)} x"


def chart(result: dict[str, Any]) -> alt.VConcatChart:
    """Draw the rates, one panel for each file."""
    import altair as alt

    panels = []
    for name, file in result["files"].items():
        size = file["capture_bytes"]
        rows = [
            {
                "name": each["name"],
                "rate": size / each["median"],
                "least": size / each["most"],
                "most": size / each["least"],
                "text": f"{size / each['median'] / 1e6:,.0f} MB/s",
                "color": US if each["name"].startswith("analyze") else PEER,
            }
            for each in file["programs"]
            if not tables.unmeasured(each)
        ]
        panels.append(bars(rows, name, "octets of the capture a second"))
    return alt.vconcat(*panels).resolve_scale(x="shared")
