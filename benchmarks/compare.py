"""Measure ``analyze flows`` beside other programs, on one capture, in turns.

::

    python -m benchmarks.compare --packets 10M --runs 5 --update-readme

Every program is timed as a whole process, from its start to its end, with the capture
in the page cache. Programs take turns (A B C, A B C, ...) so that whatever else the
machine does meets them all. Slow programs read a prefix of the capture and take fewer
turns; their rate is that of the prefix. Where a program tells what it counted, the
count is checked against the truth: a wrong answer is reported and fails the command.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import inputs
from benchmarks.programs import programs
from benchmarks.quantity import quantity
from benchmarks.report import markdown, summarise

if TYPE_CHECKING:
    from benchmarks.inputs import Capture
    from benchmarks.programs import Peer

RESULTS = inputs.BENCHMARKS / "results"
README = inputs.BENCHMARKS / "README.md"
TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- /table -->)", re.DOTALL)
SLOW = 2.0  # seconds: longer turns are taken SLOW_RUNS times only
SLOW_RUNS = 3


def take_turns(peers: list[Peer], captures: dict[str, Capture], runs: int) -> None:
    """Run every program in turn, round after round."""
    for turn in range(runs):
        for peer in peers:
            if peer.missing or (turn >= SLOW_RUNS and peer.prefix and peer.wall > SLOW):
                continue
            try:
                peer.measure(captures[peer.name])
            except RuntimeError as error:
                peer.missing = str(error)
                peer.runs.clear()
                print(f"{turn + 1}/{runs} {error}", file=sys.stderr)
                continue
            wall = peer.runs[-1]["wall"]
            note = "; ".join(("", *peer.wrong))
            print(f"{turn + 1}/{runs} {peer.name}: {wall:.2f} s{note}", file=sys.stderr)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Measure `analyze flows` beside other programs.",
    )
    parser.add_argument("--packets", type=quantity, default=10_000_000)
    parser.add_argument("--flows", type=quantity, help="default: packets / 33")
    parser.add_argument("--snaplen", type=quantity, help="default: whole frames")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="of a program's name")
    parser.add_argument("--data", type=Path, default=inputs.DATA)
    parser.add_argument("--update-readme", action="store_true")
    asked = parser.parse_args()

    capture = inputs.build(
        asked.packets, flows=asked.flows, snaplen=asked.snaplen, directory=asked.data
    )
    peers = [
        peer
        for peer in programs(asked.data.resolve())
        if not asked.only or any(word in peer.name for word in asked.only)
    ]
    captures = {
        peer.name: inputs.prefix(capture, peer.prefix) if peer.prefix else capture
        for peer in peers
    }
    for path in {capture.path for capture in captures.values()}:
        _warm(path)
    take_turns(peers, captures, asked.runs)

    results = summarise(peers, capture)
    table = markdown(results)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "comparison.json").write_text(json.dumps(results, indent=2) + "\n")
    (RESULTS / "comparison.md").write_text(table)
    print(table, end="")
    if any(peer.wrong for peer in peers):
        return 1
    if asked.update_readme:
        README.write_text(TABLE.sub(lambda _: table, README.read_text()))
    return 0


def _warm(path: Path) -> None:
    """Read a file, so that it is in the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


if __name__ == "__main__":
    sys.exit(main())
