"""Find the captures that a command line names: files, directories, globs."""

from __future__ import annotations

import glob
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

STDIN = Path("-")


def find_captures(arguments: Iterable[str]) -> tuple[Path, ...]:
    """Find the captures that were named, each once, in the order of the arguments.

    Parameters
    ----------
    arguments : iterable of str
        Files, ``-``, directories (their captures, sorted by name) and globs.
    """
    found = [path for argument in arguments for path in _expand(argument)]
    return tuple(dict.fromkeys(found))


def _expand(argument: str) -> Iterator[Path]:
    path = Path(argument)
    if path == STDIN:
        if sys.stdin.isatty():
            raise CaptureError(
                "standard input is a terminal, not a capture",
                hint="pipe one in: tcpdump -i any -w - | analyze flows -",
            )
        yield STDIN
    elif path.is_dir():
        yield from _captures_in(path)
    elif path.exists():
        yield path
    elif glob.has_magic(argument):
        matches = sorted(glob.glob(argument))  # noqa: PTH207 (the shell's rules)
        if not matches:
            raise CaptureError(
                f"{argument}: no file matches this pattern",
                hint="check the spelling; directories can be named as such",
            )
        for match in matches:
            yield from _expand(match)
    else:
        raise CaptureError(f"{argument}: no such file or directory", hint=_like(path))


def _like(path: Path) -> str:
    """Suggest a file of a similar name."""
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    from difflib import get_close_matches

    names = [each.name for each in path.parent.iterdir()]
    like = get_close_matches(path.name, names, n=1)
    if like:
        return f"did you mean {path.parent / like[0]}?"
    return f"the current directory is {Path.cwd()}"


def _captures_in(directory: Path) -> Sequence[Path]:
    from analyzer.capture import is_capture

    files = sorted(path for path in directory.iterdir() if path.is_file())
    captures = [path for path in files if is_capture(path)]
    if not captures:
        raise CaptureError(
            f"{directory}: no captures in this directory"
            f" (looked at the first octets of {len(files)} files)",
            hint="directories inside it are not searched; name them",
        )
    return captures


def tables_directory(captures: Sequence[Path]) -> Path:
    """Name the directory for the tables of some captures.

    ``X.tables`` for one capture ``X.pcap.gz``, rotated or not, ``capture.tables`` for
    several or for standard input; always in the current directory.
    """
    from analyzer.capture.observation import capture_stem
    from analyzer.capture.series import series_path

    name = captures[0].name
    if len(captures) > 1:
        common = {series_path(capture) for capture in captures}
        name = Path(common.pop()).name if len(common) == 1 else "capture"
    return Path(("capture" if name == "-" else capture_stem(name)) + ".tables")
