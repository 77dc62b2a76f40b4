"""A directory of tables directories, one for each window of capture time."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analyzer.errors import TablesError
from analyzer.tables import open_tables
from analyzer.tables.directory import entries_of, is_tables_directory

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.tables import Tables

_NAME = re.compile(r"window=([0-9TZ.-]+|none)|\.window-\d+\.partial")


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


def check_windows(directory: Path) -> None:
    """Refuse to write windows into a directory that holds something else.

    Raises
    ------
    TablesError
        If it is a file, or has an entry that is no window.
    """
    for entry in entries_of(directory):
        if not _NAME.fullmatch(entry.name):
            raise TablesError(
                f"{directory}: has {entry.name}, which is no window; left as it is",
                hint="name another directory with -o",
            )


def move_window(made: Path, place: Path) -> Tables:
    """Put the complete tables of a window into its place, in that of older ones."""
    if is_tables_directory(place):
        shutil.rmtree(place)
    made.rename(place)
    return open_tables(place)
