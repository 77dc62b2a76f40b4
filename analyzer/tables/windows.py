"""A directory of tables directories, one for each window of capture time."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analyzer.errors import TablesError
from analyzer.tables import open_tables
from analyzer.tables.directory import entries_of, is_tables_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from analyzer.tables import Tables

_NAME = re.compile(r"window=([0-9TZ.-]+|none)")
_PARTIAL = re.compile(r"\.window-\d+\.partial")


def window_name(start: int | None) -> str:
    """Name the directory of a window, as a Hive partition.

    Parameters
    ----------
    start : int, optional
        Nanoseconds since the epoch; None if no frame of the window has a time.
    """
    if start is None:
        return "window=none"
    seconds, rest = divmod(start, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H%M%S")
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"window={text}{fraction}Z"


def partial_path(directory: Path, number: int) -> Path:
    """Give the place of a window's tables until they are complete."""
    return directory / f".window-{number}.partial"


@contextmanager
def hold_directory(directory: Path) -> Iterator[None]:
    """Keep a directory for the windows of one run, as a context manager.

    Made if need be, and removed in the end if it is empty. What a run that was killed
    left of windows that were not complete is removed.

    Raises
    ------
    TablesError
        If it is a file, has an entry that is no window, or is held by another run.
    """
    for entry in entries_of(directory):
        if not (_NAME.fullmatch(entry.name) or _PARTIAL.fullmatch(entry.name)):
            raise TablesError(
                f"{directory}: has {entry.name}, which is no window; left as it is",
                hint="name another directory with -o",
            )
    made = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        _lock(descriptor, directory)
        for entry in entries_of(directory):
            if _PARTIAL.fullmatch(entry.name):
                shutil.rmtree(entry)
        yield
    finally:
        os.close(descriptor)
        if made:
            with suppress(OSError):
                directory.rmdir()


def _lock(descriptor: int, directory: Path) -> None:
    """Take the lock of a directory, which ends with the process however it ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TablesError(
            f"{directory}: another run is writing windows into it",
            hint="name another directory with -o, or end that run with Ctrl-C",
        ) from error
    except OSError:
        return  # a file system without locks


def move_window(made: Path, place: Path) -> Tables:
    """Put the complete tables of a window into its place, in that of older ones."""
    if is_tables_directory(place):
        shutil.rmtree(place)
    made.rename(place)
    return open_tables(place)
