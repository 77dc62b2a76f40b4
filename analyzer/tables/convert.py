"""Frames of polars as Arrow tables with the types of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from analyzer.tables.schema import TABLES, arrow_schema, arrow_type

if TYPE_CHECKING:
    import polars as pl

    from analyzer.tables.schema import Column


def to_arrow(frame: pl.DataFrame, table: str) -> pa.Table:
    """Give a frame the types of a table; columns of the same names, in any order."""
    return pa.Table.from_arrays(
        [_array(frame[column.name], column) for column in TABLES[table]],
        schema=arrow_schema(table),
    )


def _array(values: pl.Series, column: Column) -> pa.Array:
    import polars as pl

    if column.kind in ("address", "name"):
        return _dictionary(values)
    if column.kind == "names":
        values = values.cast(pl.List(pl.String))
    return values.to_arrow().cast(arrow_type(column))


def _dictionary(values: pl.Series) -> pa.DictionaryArray:
    """Encode texts by a dictionary of those that there are, sorted."""
    import polars as pl

    texts = values.drop_nulls().unique().cast(pl.String).sort()
    if texts.is_empty():
        return pa.nulls(len(values), pa.dictionary(pa.int32(), pa.utf8()))
    categories = texts.cast(pl.Categorical).to_physical()
    codes = values.cast(pl.Categorical).to_physical()
    # Codes are those of the process; a dictionary has its own, from 0.
    dense = codes.replace_strict(
        categories, range(len(categories)), default=None, return_dtype=pl.Int32
    )
    return pa.DictionaryArray.from_arrays(
        dense.to_arrow(), texts.to_arrow().cast(pa.utf8())
    )
