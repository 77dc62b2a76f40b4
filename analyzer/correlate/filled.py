"""Columns that compiled code reads and fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from analyzer._cext.arrays import Arrays
from analyzer._cext.columns import Columns
from analyzer.tables.batch import BatchBuffers
from analyzer.tables.schema import arrow_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.tables.schema import Column


class Numbers:
    """Room for a column of u32.

    Parameters
    ----------
    rows : int

    Attributes
    ----------
    view : memoryview
        What to fill.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._buffer = pa.allocate_buffer(4 * rows)
        self.view = memoryview(self._buffer).cast("B").cast("I")

    def series(self) -> pl.Series:
        """Give what was filled in, without copying it."""
        array = pa.Array.from_buffers(pa.uint32(), self._rows, [None, self._buffer])
        series = pl.from_arrow(array)
        assert isinstance(series, pl.Series)  # noqa: S101  an array, no table
        return series


class Marks:
    """An octet per row, 0 until it is made 1; see :class:`Numbers`."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.view = memoryview(bytearray(rows))

    def series(self) -> pl.Series:
        """Give what was filled in (bool)."""
        buffers = [None, pa.py_buffer(self.view)]
        series = pl.from_arrow(pa.Array.from_buffers(pa.uint8(), self._rows, buffers))
        assert isinstance(series, pl.Series)  # noqa: S101  an array, no table
        return series == 1


def by_number(numbers: pl.Series, values: pl.Series) -> pl.Series:
    """Put each value where its number (u32) says; where none does is null."""
    last: int = numbers.to_frame("n").select(pl.max("n").fill_null(0)).item()
    room = pl.repeat(None, last + 1, dtype=values.dtype, eager=True)
    return room.scatter(numbers, values)


def in_code_order(coded: pl.DataFrame) -> pl.DataFrame:
    """Order rows by their ``code`` (u32), so that a code is a row's number.

    A code that no row has is one of nulls.
    """
    last = coded.select(pl.col("code").max().fill_null(0)).item()
    codes = pl.DataFrame({"code": pl.int_range(last + 1, dtype=pl.UInt32, eager=True)})
    return codes.join(coded, on="code", how="left", maintain_order="left")


def arrays(columns: pl.DataFrame | Sequence[pl.Series]) -> Arrays:
    """Give columns of numbers to compiled code."""
    return Arrays([column.rechunk().to_arrow() for column in columns])


def filled_frame(
    columns: Sequence[Column], rows: int, fill: Callable[[Columns], int | None]
) -> pl.DataFrame:
    """Make a frame that compiled code fills.

    Parameters
    ----------
    columns : sequence of Column
        What it has; the codes of texts are numbers.
    rows : int
        How many to have room for.
    fill : callable
        Fills columns, and says how many rows if they are not all.
    """
    buffers = BatchBuffers(columns, rows=(rows // 64 + 1) * 64)
    count = fill(Columns(buffers.rows, buffers.data, buffers.validity, buffers.offsets))
    schema = pa.schema([(column.name, arrow_type(column)) for column in columns])
    frame = pl.from_arrow(buffers.batch(rows if count is None else count, schema))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101  a batch, no column
    return frame
