"""Measure ``analyze`` beside other programs: see ``benchmarks/README.md``.

::

    python -m benchmarks --size 10M --rounds 5 --update-docs
    python -m benchmarks stages CAPTURE
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import charts, documents, inputs, machine
from benchmarks.asked import Asked
from benchmarks.parts import compression, memory, programs, stages, threads
from benchmarks.quantity import count, quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS: dict[str, Any] = {
    "programs": programs,
    "threads": threads,
    "compression": compression,
    "memory": memory,
    "stages": stages,
}
RESULTS = inputs.BENCHMARKS / "results"
TRIAL = 10_000_000  # packets: with fewer, start-up is too much of the time
FIRST_PAGE = inputs.BENCHMARKS.parent / "README.md"
PAGES = {
    **dict.fromkeys(PARTS, inputs.BENCHMARKS / "README.md"),
    "stages": inputs.BENCHMARKS.parent / "docs/performance.md",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.command == "stages":
        return _stages(asked)
    if asked.update_docs and (asked.only or asked.captures != list(inputs.KINDS)):
        parser.error("--update-docs needs all programs and all captures")
    wanted = Asked(
        packets=asked.size,
        rounds=asked.rounds,
        data=asked.data.resolve(),
        stream=asked.stream,
        kinds=tuple(asked.captures),
        only=tuple(asked.only),
        order=random.Random(asked.seed),
    )
    about = machine.describe(wanted.data) | {
        "packets_asked": asked.size,
        "rounds": asked.rounds,
        "seed": asked.seed,
    }
    asked.results.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    for name in asked.parts:
        print(f"== {name}", file=sys.stderr)
        part = PARTS[name]
        result = {"machine": about, **part.measure(wanted)}
        found += [f"{name}: {fault}" for fault in part.faults(result)]
        text = _write(name, result, asked.results)
        print(f"## {name}\n\n{text}")
    for fault in found:
        print(f"benchmarks: {fault}", file=sys.stderr)
    if found:
        return 1
    if asked.update_docs:
        for name in asked.parts:
            _update(name, asked.results)
    return 0


def _write(name: str, result: dict[str, Any], results: Path) -> str:
    """Write a part's JSON, table and chart; give the table."""
    about = result["machine"]
    text = machine.sentence(about)
    text += f" {about['rounds']} rounds, order drawn from seed {about['seed']}."
    if about["packets_asked"] < TRIAL:
        text += (
            f" **A trial run with {count(about['packets_asked'])} packets, to be "
            "measured again:** start-up is a large part of these times."
        )
    text += f"\n\n{PARTS[name].markdown(result)}"
    (results / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (results / f"{name}.md").write_text(text)
    charts.save(PARTS[name].chart(result), results / f"{name}.svg")
    return text


def _update(name: str, results: Path) -> None:
    """Put a part's table into the documents that show it; no trial on the first."""
    documents.replace(PAGES[name], name, (results / f"{name}.md").read_text())
    result = json.loads((results / f"{name}.json").read_text())
    if name == "programs" and result["machine"]["packets_asked"] >= TRIAL:
        documents.replace(FIRST_PAGE, "speed", programs.short(result))


def _stages(asked: argparse.Namespace) -> int:
    from benchmarks.stages import time_stages

    result = time_stages(asked.capture.resolve(), asked.rounds)
    print(json.dumps(result) if asked.json else stages.listing(result), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure `analyze` beside other programs, and check all answers.",
    )
    parser.add_argument(
        "--size",
        type=quantity,
        default=10_000_000,
        metavar="N",
        help="packets of the usual capture, such as 500k (default: 10M)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the order in each round (default: 1)"
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        metavar="PART",
        help=f"of {', '.join(PARTS)} (default: all)",
    )
    parser.add_argument(
        "--captures",
        nargs="+",
        choices=inputs.KINDS,
        default=list(inputs.KINDS),
        metavar="NAME",
        help=f"of {', '.join(inputs.KINDS)} (default: all)",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", default=[], help="of a program's name"
    )
    parser.add_argument(
        "--stream",
        type=quantity,
        default=20_000_000_000,
        metavar="OCTETS",
        help="to send through a pipe, such as 100G (default: 20G)",
    )
    parser.add_argument("--data", type=Path, default=inputs.DATA, help="for captures")
    parser.add_argument("--results", type=Path, default=RESULTS, help="for results")
    parser.add_argument(
        "--update-docs",
        action="store_true",
        help="put the tables into the documents that show them",
    )
    commands = parser.add_subparsers(dest="command", metavar="")
    of_stages = commands.add_parser(
        "stages", help="tell where the time goes on one capture"
    )
    of_stages.add_argument("capture", type=Path)
    of_stages.add_argument("--rounds", type=int, default=3)
    of_stages.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
