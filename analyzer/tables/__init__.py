"""The named tables of one analysis, in memory or in a directory."""

from __future__ import annotations

from functools import partial
from mmap import ACCESS_READ, MADV_DONTNEED, mmap
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import TablesError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    import polars as pl
    import pyarrow as pa

    from analyzer.tables.captures import CaptureSummary

__all__ = ["Tables", "open_tables"]


class Tables:
    """Flows, packets and what they were read from.

    Parameters
    ----------
    tables : dict of str to pa.Table or Path
        Each table in memory, or the file that holds it.
    captures : list of CaptureSummary
        What was read.

    Examples
    --------
    >>> tables = open_tables("capture.tables")  # doctest: +SKIP
    >>> tables.flows.filter(pl.col("tunnel") == "vxlan").collect()  # doctest: +SKIP
    """

    def __init__(
        self, tables: dict[str, pa.Table | Path], captures: list[CaptureSummary]
    ) -> None:
        self._tables = tables
        self.captures = captures

    def __contains__(self, table: object) -> bool:
        return table in self._tables

    @property
    def flows(self) -> pl.LazyFrame:
        """One row per two-way flow, tunnel and observation point."""
        return self.scan("flows")

    @property
    def connections(self) -> pl.LazyFrame:
        """One row per connection, however many points saw it."""
        return self.scan("connections")

    @property
    def hops(self) -> pl.LazyFrame:
        """One row per connection, direction and pair of successive points."""
        return self.scan("hops")

    @property
    def clocks(self) -> pl.LazyFrame:
        """One row per capture host: its clock against the reference's."""
        return self.scan("clocks")

    @property
    def packets(self) -> pl.LazyFrame:
        """One row per captured frame; only there if it was asked for."""
        return self.scan("packets")

    def scan(self, table: str) -> pl.LazyFrame:
        """Give a table as a lazy frame.

        Raises
        ------
        TablesError
            If there is no such table.
        """
        source = self._tables.get(table)
        if source is None:
            raise TablesError(
                f"there is no {table} table here",
                hint="`analyze flows --packets` writes one"
                if table == "packets"
                else None,
            )
        return lazy(source)

    def arrow(self, table: str) -> pa.Table:
        """Give a table as an Arrow table; one on disk is mapped into memory."""
        source = self._tables[table]
        return read_arrow(source) if isinstance(source, Path) else source

    def path(self, table: str) -> Path:
        """Give the file of a table that is on disk."""
        source = self._tables[table]
        if not isinstance(source, Path):
            raise TablesError(f"the {table} table is in memory, not in a file")
        return source

    def write(
        self, directory: str | os.PathLike[str], *, parquet: bool = False
    ) -> None:
        """Write all tables into a directory.

        Parameters
        ----------
        directory : path
            Made if need be; tables of an earlier run in it are replaced.
        parquet : bool
            Write Parquet files instead of Arrow IPC files.

        Raises
        ------
        TablesError
            If the directory exists and is not a tables directory.
        """
        from analyzer.tables.directory import DirectoryWriter

        with DirectoryWriter(Path(directory), parquet=parquet) as writer:
            for name in self._tables:
                table = self.arrow(name).unify_dictionaries()
                writer.write(name, table.to_batches(), table.schema.metadata or {})


def read_arrow(path: Path) -> pa.Table:
    """Read a table's file; one of Arrow IPC is mapped into memory."""
    return map_arrow(path)[0]


def map_arrow(path: Path) -> tuple[pa.Table, Callable[[], object] | None]:
    """Read a table's file, and give what lets go of the memory that a map takes up.

    What is read again after that comes from the file again. None if there is no map.
    """
    import pyarrow as pa

    if ".parquet" in path.suffixes:
        import pyarrow.parquet as pq

        return pq.read_table(path, memory_map=True), None
    with path.open("rb") as file:
        mapped = mmap(file.fileno(), 0, access=ACCESS_READ)
    table = pa.ipc.open_file(pa.py_buffer(mapped)).read_all()
    return table, partial(mapped.madvise, MADV_DONTNEED)


def lazy(source: pa.Table | Path) -> pl.LazyFrame:
    """Give a table, in memory or in a file, as a lazy frame."""
    import polars as pl

    if not isinstance(source, Path):
        frame = pl.from_arrow(source)
        assert isinstance(frame, pl.DataFrame)  # noqa: S101  a table, no column
        return frame.lazy()
    if ".parquet" in source.suffixes:
        return pl.scan_parquet(source)
    return pl.scan_ipc(source)


def open_tables(directory: str | os.PathLike[str]) -> Tables:
    """Open a directory that ``analyze flows`` or :meth:`Tables.write` wrote.

    Raises
    ------
    TablesError
        If the directory holds no tables, or one of them is damaged.
    """
    from analyzer.tables.directory import (
        captures_of,
        is_tables_directory,
        read_schema,
        table_path,
    )
    from analyzer.tables.schema import TABLES

    directory = Path(directory)
    if not is_tables_directory(directory):
        raise TablesError(
            f"{directory}: not a tables directory",
            hint="`analyze flows CAPTURE` writes one",
        )
    tables: dict[str, pa.Table | Path] = {}
    metadata: dict[str, Mapping[bytes, bytes]] = {}
    for table in TABLES:
        if path := table_path(directory, table):
            tables[table] = path
            metadata[table] = read_schema(path).metadata
    return Tables(tables, captures_of(metadata["flows"]))
