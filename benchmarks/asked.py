"""What was asked of the benchmark, as its parts need it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import inputs

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """How to measure.

    Parameters
    ----------
    packets : int
        Frames of the usual capture.
    rounds : int
    order : random.Random
        Draws the order of programs in each round.
    kinds : tuple of str
        Captures to measure on, of :data:`benchmarks.inputs.KINDS`.
    only : tuple of str
        Words; programs are measured whose names have one of them, all if there is none.
    stream : int
        Octets to send through a pipe.
    data : Path
        Where captures are kept.
    """

    packets: int
    rounds: int
    data: Path
    stream: int
    kinds: tuple[str, ...] = tuple(inputs.KINDS)
    only: tuple[str, ...] = ()
    order: random.Random = field(default_factory=lambda: random.Random(1))

    def wants(self, program: str) -> bool:
        """Tell whether a program is to be measured."""
        return not self.only or any(word in program for word in self.only)
