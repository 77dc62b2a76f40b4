"""Run a program and measure it as a whole: time, processor time, peak memory.

A program's peak memory, as the kernel reports it, is never less than that of the
process that started it. Therefore this module starts programs from a bare interpreter
of its own, which it also is: ``python -I -S process.py OUTPUT PROGRAM...``.
"""

from __future__ import annotations

import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TypedDict

    class Usage(TypedDict):
        """What a program used: seconds, seconds and octets."""

        wall: float
        cpu: float
        peak_memory: int


def run(program: Sequence[str | Path], output: Path) -> Usage:
    """Run a program from the folder that holds ``benchmarks/``.

    Parameters
    ----------
    program : sequence of str or Path
        The program, found on ``PATH`` unless it is a path, and its arguments.
    output : Path
        The file that takes its standard output.

    Returns
    -------
    Usage
        ``wall`` and ``cpu`` in seconds, ``peak_memory`` in octets. About 10 MiB is
        the least that can be told: what the bare interpreter takes.

    Raises
    ------
    RuntimeError
        The program failed; the message holds the end of what it said.
    """
    import subprocess
    from pathlib import Path

    launcher = Path(__file__).resolve()
    done = subprocess.run(
        [sys.executable, "-I", "-S", launcher, output, *program],
        cwd=launcher.parent.parent,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        raise RuntimeError(f"{Path(program[0]).name} failed: {said}")
    usage: Usage = json.loads(done.stdout)
    return usage


def main() -> int:
    """Run the program named by the arguments; print what it used."""
    output, *program = sys.argv[1:]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    redirect = [(os.POSIX_SPAWN_OPEN, 1, output, flags, 0o644)]
    start = time.perf_counter()
    child = os.posix_spawnp(program[0], program, os.environ, file_actions=redirect)
    _, status, used = os.wait4(child, 0)
    wall = time.perf_counter() - start
    usage: Usage = {
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_memory": used.ru_maxrss * 1024,
    }
    print(json.dumps(usage))
    return int(status != 0)


if __name__ == "__main__":
    sys.exit(main())
