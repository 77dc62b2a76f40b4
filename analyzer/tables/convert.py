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
        texts = values.drop_nulls().unique().cast(pl.String).sort()
        codes = values.cast(pl.Enum(texts)).to_physical().cast(pl.Int32)
        return pa.DictionaryArray.from_arrays(
            codes.to_arrow(), texts.to_arrow().cast(pa.utf8())
        )
    if column.kind == "names":
        values = values.cast(pl.List(pl.String))
    return values.to_arrow().cast(arrow_type(column))
