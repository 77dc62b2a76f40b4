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


LONGEST = 1200.0  # seconds after which a program is taken to hang


def run(
    program: Sequence[str | Path], output: Path, *, longest: float = LONGEST
) -> Usage:
    """Run a program from the folder that holds ``benchmarks/``.

    Parameters
    ----------
    program : sequence of str or Path
        The program, found on ``PATH`` unless it is a path, and its arguments.
    output : Path
        The file that takes its standard output.
    longest : float
        Seconds after which it is ended.

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
    from signal import SIGKILL, Signals

    name = Path(program[0]).name
    launcher = Path(__file__).resolve()
    started = subprocess.Popen(
        [sys.executable, "-I", "-S", launcher, output, *program],
        cwd=launcher.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        told, said = started.communicate(timeout=longest)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{name} took more than {longest:.0f} s") from error
    finally:
        if started.poll() is None:  # Ctrl-C reaches no other session
            os.killpg(started.pid, SIGKILL)
            started.communicate()
    last = " ".join(said.decode(errors="replace").split())[-500:]
    if started.returncode:
        raise RuntimeError(f"{name} cannot be started: {last}")
    status, usage = json.loads(told)
    if status:
        how = f"status {status}" if status > 0 else Signals(-status).name
        raise RuntimeError(f"{name} failed with {how}: {last or 'it said nothing'}")
    used: Usage = usage
    return used


def main() -> None:
    """Run the program named by the arguments; print how it ended and what it used."""
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
    print(json.dumps([os.waitstatus_to_exitcode(status), usage]))


if __name__ == "__main__":
    main()
