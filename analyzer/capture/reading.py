"""Captures as they are read: one after the other, or window by window together."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.capture import CHUNK_SIZE, STANDARD_INPUT, Capture, check_readable
from analyzer.capture.following import Following
from analyzer.capture.series import find_series

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from typing import Self

    from analyzer.capture.series import Series

    Progress = Callable[[int, int | None], None]


@dataclass
class Window:
    """A window of capture time.

    Parameters
    ----------
    length : int
        Nanoseconds.
    start : int, optional
        Nanoseconds since the epoch, a multiple of the length; None before a frame has
        said which window it is.
    """

    length: int
    start: int | None = None

    def has(self, time: int | None) -> bool:
        """Tell whether a frame of this time may be in the window, or be late for it."""
        return time is None or self.start is None or time < self.start + self.length


class Captures:
    """The captures of a run, each of which is read once; a context manager.

    Parameters
    ----------
    paths : sequence of str
        In the order in which they are read; ``-`` is standard input.
    points : mapping of path to str, optional
        Where they were taken: files that are one capture were taken at one point.
    following : Following, optional
        Says when to read on and when to end; at each capture's end if not given.
    progress : callable, optional
        Told the octets read so far and those of all files, None for a stream.
    chunk_size : int
        Octets to read at a time.

    Attributes
    ----------
    points : dict of str to str
        As given.
    window : Window or None
        What is read of them before the next call of :meth:`next_window`; all that there
        is if it is never called.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        points: Mapping[str | os.PathLike[str], str] | None = None,
        following: Following | None = None,
        progress: Progress | None = None,
        chunk_size: int = CHUNK_SIZE,
    ) -> None:
        for path in paths:
            check_readable(path)
        self.points = {os.fspath(path): name for path, name in (points or {}).items()}
        found = find_series(paths, self.points)
        self._names = _capture_names([series.path for series in found], paths)
        self._following = following or Following()
        told = _Progress(paths, progress, is_endless=self._following.growing)
        self._advance = told.advance
        self._chunk_size = chunk_size
        self._readings = [self._reading_of(series) for series in found]
        self._waiting = self._readings[::-1]
        self.window: Window | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for reading in self._readings:
            reading.close()

    def next_window(self, length: int) -> bool:
        """Go to the next window of capture time in which a capture has frames.

        Parameters
        ----------
        length : int
            Nanoseconds. Windows begin at multiples of it since the epoch.

        Returns
        -------
        bool
            False when all captures have ended.
        """
        self._readings = [each for each in self._readings if not each.has_ended]
        times = [each.look() for each in self._readings]
        first = min((time for time in times if time is not None), default=None)
        self.window = Window(length, None if first is None else first - first % length)
        self._waiting = [
            reading
            for reading, time in zip(self._readings, times, strict=True)
            if self.window.has(time)
        ][::-1]
        return bool(self._readings)

    def take(self) -> Reading | None:
        """Give the next capture that is to be read, None when there is no other."""
        return self._waiting.pop() if self._waiting else None

    @property
    def window_start(self) -> int | None:
        """Nanoseconds since the epoch; None if no frame of the window has a time."""
        return None if self.window is None else self.window.start

    @property
    def waiting(self) -> bool:
        """A capture is still to be read, in the window if there is one."""
        return bool(self._waiting)

    def name(self, series: Series) -> str:
        """Give the name that the tables have for a capture."""
        return self._names[series.path]

    def _reading_of(self, series: Series) -> Reading:
        return Reading(
            series, self._following, self._chunk_size, self._advance, self._part
        )

    def _part(self, reading: Reading, series: Series) -> None:
        """Read files of a capture as one of their own, after it."""
        part = self._reading_of(series)
        self._readings.insert(self._readings.index(reading) + 1, part)
        if self.window is None or self.window.has(series.files[0].start):
            self._waiting.append(part)


class Reading:
    """One capture as it is read: its files in turn, one of which is open.

    Parameters
    ----------
    series : Series
        The files.
    following : Following
        Says when to read on and when to end.
    chunk_size : int
        Octets to read at a time.
    progress : callable
        Told how many octets of the file have been read since it was told last.
    part : callable
        Told when files turn out to be a capture of their own.

    Attributes
    ----------
    series : Series
        The files that are this capture, as far as is known by now.
    """

    def __init__(
        self,
        series: Series,
        following: Following,
        chunk_size: int,
        progress: Callable[[int], None],
        part: Callable[[Reading, Series], None],
    ) -> None:
        self.series = series
        self._following = following
        self._chunk_size = chunk_size
        self._progress = progress
        self._part = part
        self._capture: Capture | None = None
        self._chunks: Generator[None] | None = None
        self._opened = 0
        self._frames = 0
        self._end: int | None = None

    @property
    def has_ended(self) -> bool:
        """All files have been read."""
        return self._capture is None and self._opened == len(self.series.files)

    def look(self) -> int | None:
        """Find the time of the next frame, None if it has none or there is none."""
        if self._opened == 0 and len(self.series.files) > 1:
            return self.series.files[0].start
        if self._capture is None:
            self._capture = self._open()
        while True:
            try:
                return self._capture.reader.next_time()
            except LookupError:
                if not self._fill():
                    return None

    def files(self, window: Window | None) -> Iterator[Capture]:
        """Give the files that are to be read now, one after the other.

        Parameters
        ----------
        window : Window, optional
            Of which files are read; they are read to their ends if not given.

        Notes
        -----
        Before the next file is asked for, `fillings` of this one must have been read,
        and `reach` be told.
        """
        while self._capture is not None or self._goes_on(self._end):
            if self._capture is None:
                self._capture = self._open()
            reader = self._capture.reader
            if window is not None:
                reader.open_window(window.length, window.start)
            yield self._capture
            if window is not None and window.start is None:
                window.start = reader.window_start
            if reader.window_full:
                self._goes_on(reader.next_time())
                return
            self._frames = reader.frames
            self._capture = None

    def fillings(self) -> Iterator[None]:
        """Fill the buffer of the file's reader, until the file or its window ends."""
        assert self._capture is not None  # noqa: S101  `files` gave it
        yield  # the window before may have left frames in the buffer
        while not self._capture.reader.window_full and self._fill():
            yield

    def reach(self, time: int | None) -> None:
        """Note the latest time of the frames that were read."""
        if time is not None:
            self._end = time if self._end is None else max(self._end, time)

    def close(self) -> None:
        """Let go of the file that is open."""
        if self._capture is not None:
            self._capture.close()

    def _goes_on(self, end: int | None) -> bool:
        """Tell whether there is another file, which may begin at this time.

        If it began before, it is a capture of its own, with those after it.
        """
        place = self._opened
        if place == len(self.series.files):
            return False
        if place == 0 or self.series.continues(place, end):
            return True
        rest = self.series.part(place)
        self.series = replace(self.series, files=self.series.files[:place])
        self._part(self, rest)
        return False

    def _open(self) -> Capture:
        capture = Capture(
            self.series.files[self._opened].path,
            following=self._following,
            frames=self._frames,
        )
        self._opened += 1
        self._chunks = capture.chunks(
            chunk_size=self._chunk_size, progress=self._progress
        )
        return capture

    def _fill(self) -> bool:
        assert self._chunks is not None  # noqa: S101  a file is open
        try:
            next(self._chunks)
        except StopIteration:
            return False
        return True


class _Progress:
    """Octets of files read so far, and those of all files."""

    def __init__(
        self, paths: Sequence[str], report: Progress | None, *, is_endless: bool
    ) -> None:
        self._report = report
        self._done = 0
        self._total: int | None = None
        if not (report is None or is_endless or STANDARD_INPUT in paths):
            self._total = sum(Path(path).stat().st_size for path in paths)

    def advance(self, octets: int) -> None:
        self._done += octets
        if self._report is not None:
            self._report(self._done, self._total)


def _capture_names(captures: Sequence[str], files: Sequence[str]) -> dict[str, str]:
    """Name each path by its last part, or in full where two captures share that."""
    names = {
        path: "stdin" if path == STANDARD_INPUT else Path(path).name
        for path in (*captures, *files)
    }
    count = Counter(names[path] for path in captures)
    return {path: path if count[name] > 1 else name for path, name in names.items()}
