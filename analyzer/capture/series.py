"""Files that are one capture: what ``tcpdump -C``, ``-G`` and ``-W`` leave behind."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from analyzer.capture import STANDARD_INPUT, Capture
from analyzer.capture.observation import COMPRESSIONS, FORMATS
from analyzer.errors import CaptureError
from analyzer.tables.captures import CaptureSummary, Damage, Interface

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Packets of several processors may be written a little out of order.
_TOLERANCE = 1_000_000_000  # nanoseconds

# How far to look for the first packet.
_FIRST_OCTETS = 64 * 1024

_ROTATED = re.compile(
    rf"(?P<name>.+(?:{'|'.join(map(re.escape, sorted(FORMATS)))}))\d*", re.IGNORECASE
)

_TIME_STAMP = re.compile(
    r"""
    # dumpcap's number of the file, before or behind the time
    (?:_\d{5,}_(?=20\d{12}(?!\d)))?
    (?<!\d)(?:
        (?:19|20)\d\d[-_]?(?:0[1-9]|1[0-2])[-_]?(?:0[1-9]|[12]\d|3[01])
        (?:[-_.T ]?(?:[01]\d|2[0-3])[-_.:h]?[0-5]\d(?:[-_.:m]?[0-6]\d)?s?Z?)?
      | (?<![a-z])\d{10}(?![a-z])
      | (?<![a-z])(?:[01]\d|2[0-3])[0-5]\d[0-6]\d(?![a-z])
    )(?!\d)
    (?:(?<=\d{14})_\d{5,}(?!\d))?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SEPARATORS = "-_.+ "


@dataclass(frozen=True)
class File:
    """A file of a series, and what it begins with.

    Parameters
    ----------
    path : str
    start : int or None
        Time of its first packet, nanoseconds since the epoch.
    interfaces : tuple of (str or None, int)
        Name and link type of the interfaces described before that packet.
    """

    path: str
    start: int | None = None
    interfaces: tuple[tuple[str | None, int], ...] = ()


@dataclass(frozen=True)
class Series:
    """Files that may be one capture, in order of time.

    Parameters
    ----------
    path : str
        What they have in common; the path of a file that stands alone.
    files : tuple of File
    """

    path: str
    files: tuple[File, ...]

    def continues(self, number: int, end: int | None) -> bool:
        """Tell whether a file goes on where the one before it ended.

        Parameters
        ----------
        number : int
            Of the file in this series, from 1.
        end : int or None
            Time of the last packet before it.
        """
        file = self.files[number]
        return _agree(self.files[0].interfaces, file.interfaces) and (
            end is None or file.start is None or file.start >= end - _TOLERANCE
        )

    def part(self, first: int, end: int | None = None) -> Series:
        """Give some of the files as a series of its own, named by its first."""
        files = self.files[first:end]
        return Series(files[0].path, files)


def find_series(
    paths: Sequence[str], points: Mapping[str, str] | None = None
) -> list[Series]:
    """Find the files that are one capture by their names and their first packets.

    Parameters
    ----------
    paths : sequence of str
        Captures; ``-`` is standard input.
    points : mapping of str to str, optional
        Where they were taken: one capture is taken at one point.

    Returns
    -------
    list of Series
        Each where the first of its files stands in `paths`; most have one file. Whether
        a file begins before the end of another shows when they are read.

    Notes
    -----
    Names may differ by the digits that tcpdump writes behind the ending (``x.pcap3``),
    by a time stamp (a date, a date and time, six digits of a time of day, ten of an
    epoch), and by compression; never by fewer digits, which tell nodes apart.
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[path if path == STANDARD_INPUT else _key(path)].append(path)
    found = {}
    for members in groups.values():
        for series in _joined(members, points or {}):
            for file in series.files:
                found[file.path] = series
    done: dict[int, Series] = {}
    if len(found) < len(paths):  # a file that is given twice is read twice
        return [Series(path, (File(path),)) for path in paths]
    for path in paths:
        done.setdefault(id(found[path]), found[path])
    return list(done.values())


def series_path(path: str | os.PathLike[str]) -> str:
    """Give the path that a file would have if it were not one of a series."""
    path = PurePath(path)
    stem, ending = _split(path.name)
    while found := _TIME_STAMP.search(stem):
        before, after = stem[: found.start()], stem[found.end() :]
        if not before:
            after = after.lstrip(_SEPARATORS)
        stem = before.rstrip(_SEPARATORS) + after
    return os.fspath(path.with_name((stem or "capture") + ending))


def joined_interfaces(files: Iterable[CaptureSummary]) -> list[Interface]:
    """Give each interface of a capture, with the counts that were told last."""
    return [
        _latest([each for each in of_files if each is not None])
        for of_files in zip_longest(*(file.interfaces for file in files))
    ]


def joined_summary(
    name: str, series: Series, files: Sequence[CaptureSummary]
) -> CaptureSummary:
    """Say what a capture is of which these files were read one after the other."""
    if len(series.files) == 1:
        files[0].name = name
        return files[0]
    sizes = [file.size for file in files if file.size is not None]
    compressions = dict.fromkeys(file.compression for file in files if file.compression)
    return CaptureSummary(
        path=series.path,
        name=name,
        size=sum(sizes),
        format=", ".join(dict.fromkeys(file.format for file in files)),
        compression=", ".join(compressions) or None,
        interfaces=joined_interfaces(files),
        damage=[
            Damage(
                f"{damage.reason} in {PurePath(file.path).name}",
                damage.offset,
                damage.frame,
            )
            for file in files
            for damage in file.damage
        ],
        files=len(files),
    )


def _latest(interfaces: list[Interface]) -> Interface:
    """Take the counts of a capture's interface that its last file has."""
    received = [each.received for each in interfaces if each.received is not None]
    dropped = [each.dropped for each in interfaces if each.dropped is not None]
    return Interface(
        interfaces[0].name,
        interfaces[0].link_type,
        interfaces[0].snapshot_length,
        received[-1] if received else None,
        dropped[-1] if dropped else None,
    )


def _without_compression(path: PurePath) -> PurePath:
    return path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path


def _split(name: str) -> tuple[str, str]:
    """Split a file's name into its stem and the ending of its format.

    Digits behind the ending and the ending of a compression belong to neither.
    """
    path = _without_compression(PurePath(name))
    if match := _ROTATED.fullmatch(path.name):
        path = PurePath(match["name"])
    if path.suffix.lower() in FORMATS:
        return path.stem, path.suffix
    return path.name, ""


def _key(path: str) -> str:
    """Give what the paths of files have in common that may be one capture."""
    stem, ending = _split(PurePath(path).name)
    return os.fspath(PurePath(path).with_name(_TIME_STAMP.sub("\0", stem) + ending))


def _joined(paths: list[str], points: Mapping[str, str]) -> list[Series]:
    alone = [Series(path, (File(path),)) for path in paths]
    names = {_without_compression(PurePath(path)) for path in paths}
    given = {points[path] for path in paths if path in points}
    if len(names) < len(paths) or len(paths) == 1 or len(given) > 1:
        return alone
    try:
        files = [_begin(path) for path in paths]
    except (CaptureError, OSError):
        return alone  # and what is wrong with it is told when it is read
    if not all(_agree(file.interfaces, files[0].interfaces) for file in files):
        return alone
    files.sort(key=lambda file: (file.start is None, file.start or 0, file.path))
    return [Series(series_path(paths[0]), tuple(files))]


def _begin(path: str) -> File:
    """Read a file up to its first packet."""
    if not Path(path).is_file():
        raise CaptureError(f"{path}: not a file that can be read twice")
    capture = Capture(path)
    start = None
    with closing(capture.chunks(chunk_size=_FIRST_OCTETS)) as chunks:
        for _ in chunks:
            try:
                start = capture.reader.next_time()
            except LookupError:
                continue
            break
    return File(
        path,
        start,
        tuple((name, kind) for name, kind, *_ in capture.reader.interfaces),
    )


def _agree(
    some: Sequence[tuple[str | None, int]], others: Sequence[tuple[str | None, int]]
) -> bool:
    """Tell whether interfaces of the same number are the same, as far as known."""
    return all(one == other for one, other in zip(some, others, strict=False))
