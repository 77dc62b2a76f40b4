"""Threads of a run: how many, and work that they do ahead."""

from __future__ import annotations

import os
import signal
from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")


def available_threads() -> int:
    """Give the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def leave_signals() -> None:
    """Let no signal reach this thread, nor those that it starts.

    The system gives a signal to any thread that takes it; only in the main thread does
    it end a read that waits, so that Ctrl-C is heard.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def limit_threads(number: int) -> None:
    """Let the libraries below take no more threads than this, for the whole process.

    Parameters
    ----------
    number : int
        At least 1.
    """
    import pyarrow as pa

    # polars reads it when it is imported.
    os.environ["POLARS_MAX_THREADS"] = str(number)
    pa.set_cpu_count(number)
    pa.set_io_thread_count(number)


def writes_behind() -> bool:
    """Tell whether what is written is written in a thread of its own."""
    import pyarrow as pa

    return bool(pa.cpu_count() > 1)


def in_turn(calls: Iterable[Callable[[], T]], threads: int) -> Iterator[T]:
    """Give the results of calls in order, while threads work ahead.

    Parameters
    ----------
    calls : iterable of callable
        Taken when a thread is free for them: `threads` of them are ahead of the result
        that was given last.
    threads : int
        With one, each call is made when its result is asked for.
    """
    if threads == 1:
        for call in calls:
            yield call()
        return
    from concurrent.futures import ThreadPoolExecutor

    ahead: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, initializer=leave_signals) as pool:
        for call in calls:
            ahead.append(pool.submit(call))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
