"""Which captures an analyst may have: all, one kind of device, one single file."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

from captures.score import interfaces
from captures.testbed.capture import ANY
from captures.testbed.topology import NIC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from captures.score.recording import Record, Recording

ALL = "all"
CONNTRACK = "conntrack"
CLASSES = (ALL, "nics", "vxlan", "cali", "any", "one-nic", CONNTRACK)


@dataclass(frozen=True)
class View:
    """One file that the analyzer is given.

    ``file`` is the capture's name in the truth; ``interface`` is set if this is only
    that interface's part of it.
    """

    path: Path
    file: str
    host: str
    interface: str | None = None


@dataclass(frozen=True)
class Subject:
    """Captures that are analysed together, and whether conntrack's text is, too."""

    class_name: str
    views: tuple[View, ...]

    @property
    def has_conntrack(self) -> bool:
        """Whether the nodes' conntrack files are given."""
        return self.class_name == CONNTRACK

    def observations(self, recording: Recording) -> list[Record]:
        """Give the rows of ``observed.jsonl`` that are about these captures."""
        views = {(view.file, view.interface) for view in self.views}
        return [
            seen
            for seen in recording.observed
            if (seen["file"], None) in views
            or (seen["file"], recording.interface_of(seen)) in views
        ]


def subjects(recording: Recording, class_name: str, folder: Path) -> Iterator[Subject]:
    """Give the sets of captures that a class consists of.

    Parameters
    ----------
    recording : Recording
    class_name : str
        One of ``CLASSES``. ``any`` and ``one-nic`` have a subject for each file.
    folder : Path
        Where single interfaces of files that hold several are written.
    """
    if class_name in (ALL, CONNTRACK):
        yield Subject(class_name, tuple(whole(recording)))
        return
    views = [view for view in apart(recording, folder) if is_of(class_name, view)]
    if class_name in ("any", "one-nic"):
        for view in views:
            yield Subject(class_name, (view,))
    elif views:
        yield Subject(class_name, tuple(views))


def is_of(class_name: str, view: View) -> bool:
    """Whether a class has a file."""
    interface = view.interface or view.file.removeprefix(f"{view.host}.")
    starts = {
        "nics": f"{NIC}.",
        "one-nic": f"{NIC}.",
        "vxlan": "vxlan",
        "cali": "cali",
        "any": f"{ANY}.",
    }
    return f"{interface}.".startswith(starts[class_name])


def whole(recording: Recording) -> Iterator[View]:
    """Give every file as it was recorded."""
    for file, capture in recording.captures.items():
        yield View(recording.path(file), file, capture["node"])


def apart(recording: Recording, folder: Path) -> Iterator[View]:
    """Give every file, and in place of one with several interfaces a file for each."""
    for view in whole(recording):
        names = recording.captures[view.file]["interfaces"]
        if len(names) == 1:
            yield view
            continue
        octets = gzip.decompress(view.path.read_bytes())
        for number, interface in enumerate(names):
            path = folder / f"{view.host}.{interface}.pcapng"
            path.write_bytes(interfaces.only(octets, number))
            yield View(path, view.file, view.host, interface)
