"""Namespaces and processes that are ours, each recorded before it is made.

What is not in the record is never touched: ``tear_down`` ends processes by
recorded id and start time (so that a reused id is left alone) and deletes recorded
namespaces; every link lives inside one of them and goes with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RUN_DIRECTORY = Path(tempfile.gettempdir()) / "captures-testbed"
NAMESPACES = RUN_DIRECTORY / "namespaces"
PROCESSES = RUN_DIRECTORY / "processes"  # lines of /proc/PID/stat

PREFIX = "tb-"  # of every namespace's name, so that `ip netns` tells whose they are
LAN = "lan"  # the namespace that holds the LAN's bridge

PATIENCE_S = 2.0  # for processes to end when asked to

RECORD_AND_RUN = 'cat /proc/$$/stat >> "$0" && exec "$@"'

# Programs that this process started; the record on disk knows those of others too.
children: list[subprocess.Popen[str]] = []


class TestbedError(Exception):
    """A program that the testbed runs failed, or is missing."""

    __test__ = False  # pytest would collect the class by its name


class LostEventsError(TestbedError):
    """The kernel could not tell conntrack of an event: on a busy machine, rarely."""


def run(
    command: Sequence[str], *, stdin: str | None = None, timeout: float = 30
) -> str:
    """Run a program to its end and return what it printed."""
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as missing:
        raise TestbedError(f"{command[0]}: program not found") from missing
    if done.returncode:
        raise TestbedError(
            f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}"
        )
    return done.stdout


def inside(name: str, command: Sequence[str]) -> list[str]:
    """Return the command line that runs ``command`` in a namespace."""
    return ["ip", "netns", "exec", PREFIX + name, *command]


def run_inside(
    name: str, command: Sequence[str], *, stdin: str | None = None, timeout: float = 30
) -> str:
    """Run a program in a namespace and return what it printed."""
    return run(inside(name, command), stdin=stdin, timeout=timeout)


def ip(name: str, lines: Iterable[str]) -> None:
    """Run several ``ip`` commands in a namespace as one batch."""
    run(["ip", "-n", PREFIX + name, "-batch", "-"], stdin="\n".join(lines) + "\n")


def sysctl(name: str, settings: dict[str, str]) -> None:
    """Write kernel settings of a namespace."""
    script = "\n".join(
        f"echo {value} > /proc/sys/{key.replace('.', '/')}"
        for key, value in settings.items()
    )
    run_inside(name, ["sh", "-e"], stdin=script + "\n")


def create(name: str) -> None:
    """Make a namespace, recorded first."""
    with NAMESPACES.open("a") as record:
        record.write(PREFIX + name + "\n")
    run(["ip", "netns", "add", PREFIX + name])
    ip(name, ["link set lo up"])


def spawn(
    name: str,
    command: Sequence[str],
    *,
    stdout: IO[str] | int = subprocess.DEVNULL,
    stderr: IO[str] | int = subprocess.DEVNULL,
) -> subprocess.Popen[str]:
    """Start a program in a namespace.

    It records its own process id before it becomes the program: were we killed at
    any moment, nothing would run unrecorded.
    """
    try:
        process = subprocess.Popen(
            ["sh", "-c", RECORD_AND_RUN, PROCESSES, *inside(name, command)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        raise TestbedError("sh: program not found") from missing
    children.append(process)
    return process


@dataclass(frozen=True)
class Process:
    """A process, told by its id and its start: ids are used again."""

    pid: int
    start: int  # in clock ticks since boot

    @classmethod
    def parse(cls, stat: str) -> Process:
        """Read a line of ``/proc/PID/stat`` (proc(5)): fields 1 and 22."""
        fields = stat.rpartition(")")[2].split()  # the name before may hold blanks
        return cls(int(stat.split(maxsplit=1)[0]), int(fields[19]))

    @property
    def is_alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return self.parse(stat) == self and stat.rpartition(")")[2].split()[0] != "Z"


def recorded_processes() -> list[Process]:
    """Read the record of what was started."""
    return [Process.parse(line) for line in read_lines(PROCESSES)]


def prepare() -> None:
    """Remove what an earlier run left behind and start a new record."""
    tear_down()
    RUN_DIRECTORY.mkdir(mode=0o755)
    NAMESPACES.touch()
    PROCESSES.touch()


def tear_down() -> None:
    """End every recorded process, delete every recorded namespace and the record."""
    if not RUN_DIRECTORY.is_dir():
        return
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        alive = [process for process in recorded_processes() if process.is_alive]
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal_number)  # apache2 has workers
        deadline = time.monotonic() + PATIENCE_S
        while any(p.is_alive for p in alive) and time.monotonic() < deadline:
            time.sleep(0.02)
    while children:
        child = children.pop()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
        child.wait(timeout=10)
    existing = set(run(["ip", "netns", "list"]).split())
    names = [name for name in read_lines(NAMESPACES) if name in existing]
    if names:
        run(
            ["ip", "-batch", "-"],
            stdin="".join(f"netns delete {name}\n" for name in names),
        )
    shutil.rmtree(RUN_DIRECTORY)


def read_lines(path: Path) -> list[str]:
    """Return a file's lines, none if it does not exist."""
    return path.read_text().splitlines() if path.exists() else []


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Hold the machine's one testbed: two at a time would share addresses' names."""
    lock = RUN_DIRECTORY.with_suffix(".lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TestbedError(f"{lock}: another testbed command is running") from None
        yield
