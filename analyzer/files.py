"""Files that are whole or not there at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write to; move it there if nothing went wrong.

    Errors of the system name the file itself.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield beside
        beside.replace(path)
    except OSError as error:
        if error.filename == os.fspath(beside):
            error.filename = os.fspath(path)
        raise
    finally:
        beside.unlink(missing_ok=True)
