"""A tables directory on disk: whole files or none, and never anybody else's."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from analyzer.errors import TablesError
from analyzer.tables.captures import from_json, to_json
from analyzer.tables.schema import SCHEMA_VERSION, TABLES, arrow_schema
from analyzer.threads import leave_signals, writes_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import pyarrow as pa

    from analyzer.tables.captures import CaptureSummary

ENDINGS = (".arrow", ".parquet")
_SYNC_WRITE = 2  # SYNC_FILE_RANGE_WRITE of linux/fs.h
_PARTIAL = re.compile(rf"\.(?:{'|'.join(TABLES)})\.[a-z]+\.partial")
_TOOL = b"k8s-capture-analyzer"


def table_metadata(captures: list[CaptureSummary], version: str) -> dict[bytes, bytes]:
    """Say in a table what it was made from, and by what."""
    return {
        b"tool": _TOOL,
        b"tool_version": version.encode(),
        b"schema_version": SCHEMA_VERSION.encode(),
        b"captures": to_json(captures).encode(),
    }


def captures_of(metadata: Mapping[bytes, bytes]) -> list[CaptureSummary]:
    """Read what :func:`table_metadata` wrote."""
    return from_json(metadata[b"captures"].decode())


def table_path(directory: Path, table: str) -> Path | None:
    """Find the file of a table, None if the directory has none."""
    for ending in ENDINGS:
        path = directory / f"{table}{ending}"
        if path.is_file():
            return path
    return None


def read_schema(path: Path) -> pa.Schema:
    """Read the schema of one table's file."""
    import pyarrow as pa

    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            return pq.read_schema(path)
        with pa.memory_map(os.fsencode(path)) as file:
            return pa.ipc.open_file(file).schema
    except (OSError, pa.ArrowInvalid) as error:
        raise TablesError(
            f"{path}: not a table of this tool ({error})",
            hint="make the tables anew with `analyze flows`",
        ) from error


def is_tables_directory(directory: Path) -> bool:
    """Tell whether a directory holds tables that this tool wrote."""
    path = table_path(directory, "flows")
    if path is None:
        return False
    try:
        metadata = read_schema(path).metadata or {}
    except TablesError:
        return False
    return bool(metadata.get(b"tool") == _TOOL)


def entries_of(directory: Path) -> list[Path]:
    """List what a directory to write into holds, nothing if it is still to be made.

    Raises
    ------
    TablesError
        If it is a file.
    """
    if not directory.exists():
        return []
    if not directory.is_dir():
        raise TablesError(
            f"{directory}: exists and is not a directory",
            hint="name another directory with -o",
        )
    return list(directory.iterdir())


def check_directory(directory: Path) -> None:
    """Refuse to write into a directory that is not ours.

    Raises
    ------
    TablesError
        If the directory exists, is not empty and is no tables directory, or is a file.
        Only what a run that was killed left of tables is not in the way.
    """
    others = [
        entry for entry in entries_of(directory) if not _PARTIAL.fullmatch(entry.name)
    ]
    if others and not is_tables_directory(directory):
        raise TablesError(
            f"{directory}: exists and is not a tables directory; left as it is",
            hint="name another directory with -o",
        )


class DirectoryWriter:
    """Write tables beside their places and move them there when all are whole.

    Parameters
    ----------
    directory : Path
        Made if need be; tables of an earlier run in it are replaced.
    parquet : bool
        Write Parquet files instead of Arrow IPC files.

    Notes
    -----
    Used as a context manager: on an exception, Ctrl-C included, no file is left behind
    and what the directory held stays as it was.
    """

    def __init__(self, directory: Path, *, parquet: bool = False) -> None:
        check_directory(directory)
        self.directory = directory
        self._ending = ".parquet" if parquet else ".arrow"
        self._parquet = parquet
        self._partial: dict[str, Path] = {}
        self._made_directory = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._made_directory = not self.directory.exists()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._remove_partial()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        if kind is None:
            try:
                self._wait_for_disk()
            except BaseException:
                self._leave_nothing()
                raise
            self._move_into_place()
            return
        self._leave_nothing()

    def scratch(self, name: str) -> Path:
        """Give the path of a file that is gone when the writer is done."""
        path = self.directory / f".{name}.partial"
        self._stack.callback(path.unlink, missing_ok=True)
        return path

    def path(self, table: str) -> Path:
        """Give the place of a table."""
        return self.directory / f"{table}{self._ending}"

    @property
    def written(self) -> tuple[str, ...]:
        """The tables written so far."""
        return tuple(self._partial)

    def partial(self, table: str) -> Path:
        """Give the file of a table that was written and is not in its place yet."""
        return self._partial[table]

    def write(
        self,
        table: str,
        batches: Iterable[pa.RecordBatch],
        metadata: Mapping[bytes, bytes],
    ) -> None:
        """Write one table whole, beside its place; the disk may be behind.

        Parameters
        ----------
        table : str
            Name of the table.
        batches : iterable of pa.RecordBatch
            With the table's schema; the one before is written while one is taken.
        metadata : mapping of bytes to bytes
            Goes into the schema.
        """
        import pyarrow as pa

        path = self.directory / f".{table}{self._ending}.partial"
        schema = arrow_schema(table).with_metadata(dict(metadata))
        with pa.OSFile(os.fsencode(path), "wb") as file:
            with self._open(file, schema) as writer:
                _write_behind(writer, batches, file.fileno())
            file.flush()
        self._partial[table] = path

    def _open(self, file: pa.NativeFile, schema: pa.Schema) -> Any:
        import pyarrow as pa

        if self._parquet:
            import pyarrow.parquet as pq

            return pq.ParquetWriter(file, schema, compression="zstd")
        return pa.ipc.new_file(file, schema)

    def _wait_for_disk(self) -> None:
        """See that all is there, so that no table can be in its place and empty."""
        for path in self._partial.values():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _leave_nothing(self) -> None:
        self._remove_partial()
        if self._made_directory:
            with suppress(OSError):
                self.directory.rmdir()

    def _remove_partial(self) -> None:
        for path in entries_of(self.directory):
            if _PARTIAL.fullmatch(path.name):
                path.unlink()

    def _move_into_place(self) -> None:
        for table, path in self._partial.items():
            path.replace(self.path(table))
        for table in TABLES:
            for ending in ENDINGS:
                if table not in self._partial or ending != self._ending:
                    (self.directory / f"{table}{ending}").unlink(missing_ok=True)


def _write_behind(
    writer: Any, batches: Iterable[pa.RecordBatch], descriptor: int
) -> None:
    """Write each batch while the next is made, where two threads are allowed."""
    start_writeback = _writeback(descriptor)

    def write(batch: pa.RecordBatch) -> None:
        writer.write_batch(batch)
        start_writeback()

    if not writes_behind():
        for batch in batches:
            write(batch)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, initializer=leave_signals) as thread:
        written = None
        for batch in batches:
            if written is not None:
                written.result()
            written = thread.submit(write, batch)
        if written is not None:
            written.result()


def _writeback(descriptor: int) -> Callable[[], object]:
    """Give what lets the kernel start writing to the disk: fsync has less to wait for.

    The module os has no sync_file_range; other systems than Linux have none, either.
    """
    import ctypes

    start = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if start is None:
        return lambda: None
    to_the_end = ctypes.c_int64(0)
    return partial(start, descriptor, ctypes.c_int64(0), to_the_end, _SYNC_WRITE)
