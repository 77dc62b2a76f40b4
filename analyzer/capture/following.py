"""When reading ends, besides at the end of a capture: at Ctrl-C, or after a while."""

from __future__ import annotations

import math
import select
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Self

# How often a file that grows is looked at, and Ctrl-C: a library that takes signals may
# let a read go on after them.
_POLL_SECONDS = 0.2

# Ctrl-C reaches the program at the other end of a pipe, too, which writes what it has
# and goes.
_GRACE_SECONDS = 1.0


class Following:
    """Read on at the end of a file, or for so long only.

    As a context manager it starts the clock and lets Ctrl-C end reading: what has been
    written by then is still read, for a second at most. A second Ctrl-C interrupts.

    Parameters
    ----------
    growing : bool
        Read on when a file ends, until Ctrl-C. A stream ends at its end.
    seconds : float, optional
        End reading after so long.

    Attributes
    ----------
    ended : bool
        Reading was ended here, and not by the capture.
    """

    def __init__(self, *, growing: bool = False, seconds: float | None = None) -> None:
        self.growing = growing
        self.ended = False
        self._seconds = math.inf if seconds is None else seconds
        self._deadline = math.inf
        self._has_begun = self._is_interrupted = False
        self._handles_interrupt = False

    def __enter__(self) -> Self:
        self._deadline = time.monotonic() + self._seconds
        self._handles_interrupt = (
            self.growing and threading.current_thread() is threading.main_thread()
        )
        if self._handles_interrupt:
            self._handler_before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handles_interrupt:
            signal.signal(signal.SIGINT, self._handler_before or signal.SIG_DFL)

    def read(self, read: Callable[[], int | None], stream: int | None) -> int:
        """Read, once there is something to read.

        Parameters
        ----------
        read : callable
            Gives how many octets it has read, 0 at the end.
        stream : int or None
            Descriptor of what may keep its reader waiting, None for a file.

        Returns
        -------
        int
            What `read` gave; 0 when reading is to end, too.
        """
        while self._awaits(stream):
            count = read()
            if count or stream is not None or not self.growing:
                return count or 0
            if self._is_interrupted:
                break
            time.sleep(min(_POLL_SECONDS, max(self._left(), 0.0)))
        self.ended = True
        return 0

    def _awaits(self, stream: int | None) -> bool:
        """Wait until a stream has octets or its end; False when time is up before."""
        self._has_begun = True
        while (left := self._left()) > 0:
            wait = min(left, _POLL_SECONDS)
            if stream is None or select.select([stream], [], [], wait)[0]:
                return True
        return False

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        if self._is_interrupted or not self._has_begun:
            raise KeyboardInterrupt
        self._is_interrupted = True
        self._deadline = min(self._deadline, time.monotonic() + _GRACE_SECONDS)
