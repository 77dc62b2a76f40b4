"""Columns of numbers that compiled code fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from analyzer._cext.arrays import Arrays

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    """Room for an octet per row, which is 0 or 1; see :class:`Numbers`."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._buffer = pa.allocate_buffer(rows)
        self.view = memoryview(self._buffer).cast("B")

    def series(self) -> pl.Series:
        """Give what was filled in (bool)."""
        array = pa.Array.from_buffers(pa.uint8(), self._rows, [None, self._buffer])
        series = pl.from_arrow(array)
        assert isinstance(series, pl.Series)  # noqa: S101  an array, no table
        return series == 1


def arrays(columns: pl.DataFrame | Sequence[pl.Series]) -> Arrays:
    """Give columns of numbers to compiled code."""
    return Arrays([column.rechunk().to_arrow() for column in columns])
