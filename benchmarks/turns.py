"""Programs take turns on one capture, so that whatever else happens meets them all."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import process
from benchmarks.agreement import compared, disagreements

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from benchmarks.inputs import Capture
    from benchmarks.programs import Program

SLOW = 5.0  # seconds: longer turns of others are taken SLOW_ROUNDS times only
SLOW_ROUNDS = 3


@dataclass
class Case:
    """A program that reads a capture, and what came of it so far.

    Parameters
    ----------
    program : Program
    capture : Capture
        What it reads: the whole of a capture or a prefix.
    """

    program: Program
    capture: Capture
    runs: list[process.Usage] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    failed: str = ""

    def take_turn(self) -> None:
        """Run the program once, and check its answer."""
        with tempfile.TemporaryDirectory() as name:
            output, folder = Path(name, "stdout"), Path(name, "folder")
            folder.mkdir()
            try:
                used = process.run(
                    self.program.command(self.capture.path, folder), output
                )
                counts = self.program.answer(output, folder)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                self.failed = str(error)
                return
            except (ValueError, KeyError, OSError) as error:
                self.failed = f"its answer cannot be read: {error!r}"
                return
        self.runs.append(used)
        self.checked = compared(counts, self.capture.truth)
        for fault in disagreements(counts, self.capture.truth):
            if fault not in self.wrong:
                self.wrong.append(fault)

    def is_due(self, turn: int) -> bool:
        """Tell whether the program runs in a round."""
        if self.program.missing or self.failed:
            return False
        is_ours = self.program.name.startswith("analyze")
        return turn < SLOW_ROUNDS or is_ours or self.wall <= SLOW

    @property
    def wall(self) -> float:
        """The median time of a turn, in seconds."""
        return statistics.median(run["wall"] for run in self.runs)

    def summary(self) -> dict[str, Any]:
        """Give what was measured, to be written as JSON.

        Returns
        -------
        dict
            ``name``, ``version``, ``flows`` and either ``missing``, ``failed`` or
            times in seconds, memory in octets and rates per second of the capture,
            start-up included.
        """
        about: dict[str, Any] = {
            "name": self.program.name,
            "version": self.program.version,
            "flows": self.program.flows,
        }
        if self.program.missing:
            return about | {"missing": self.program.missing}
        if self.failed:
            return about | {"failed": self.failed}
        walls = [run["wall"] for run in self.runs]
        return about | {
            **self.capture.size,
            "is_prefix": self.capture.is_prefix,
            "wall": walls,
            "median": self.wall,
            "least": min(walls),
            "most": max(walls),
            "packets_per_second": self.capture.size["packets"] / self.wall,
            "bytes_per_second": self.capture.size["bytes"] / self.wall,
            "cpu": statistics.median(run["cpu"] for run in self.runs),
            "peak_memory": max(run["peak_memory"] for run in self.runs),
            "checked": self.checked,
            "wrong": self.wrong,
        }


def take_turns(cases: Sequence[Case], rounds: int, order: random.Random) -> None:
    """Run every program in every round, in another order each time.

    Parameters
    ----------
    cases : sequence of Case
        Those whose program is missing are left alone; one that fails is not run again.
    rounds : int
        Slow programs take part in the first three only.
    order : random.Random
        Draws the order.
    """
    for path in {case.capture.path for case in cases}:
        _warm(path)
    for turn in range(rounds):
        due = [case for case in cases if case.is_due(turn)]
        order.shuffle(due)
        for case in due:
            case.take_turn()
            note = case.failed or "; ".join(
                [f"{case.runs[-1]['wall']:.2f} s", *case.wrong]
            )
            print(f"{turn + 1}/{rounds} {case.program.name}: {note}", file=sys.stderr)


def faults_of(records: Iterable[dict[str, Any]]) -> list[str]:
    """Say which programs failed or were wrong, from their summaries."""
    return [
        f"{record['name']}: {fault}"
        for record in records
        for fault in [*filter(None, [record.get("failed")]), *record.get("wrong", [])]
    ]


def _warm(path: Path) -> None:
    """Read a file, so that it is in the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
