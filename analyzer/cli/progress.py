"""A progress bar on standard error, for work that is worth one."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

#: Work that takes less than this shows nothing: a flash is no information.
_PATIENCE_SECONDS = 0.5


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """Show how far reading has come, once it has taken a while.

    Parameters
    ----------
    doing : str
        What is being done, as a label.

    Yields
    ------
    callable or None
        To be called with the octets done and the octets in all (None if unknown);
        None if standard error is no terminal.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    bar = _LateBar(doing)
    try:
        yield bar.update
    finally:
        bar.close()


class _LateBar:
    """A bar that appears after a while and leaves no trace."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._appears_at = time.monotonic() + _PATIENCE_SECONDS
        self._progress: Progress | None = None

    def update(self, done: int, total: int | None) -> None:
        """Take note of the octets done, of a total that may be unknown."""
        if self._progress is None:
            if time.monotonic() < self._appears_at:
                return
            self._progress = _rich_progress()
            self._task = self._progress.add_task(
                self._doing, completed=done, total=total
            )
            self._progress.start()
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._progress is not None:
            self._progress.stop()


def _rich_progress() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
