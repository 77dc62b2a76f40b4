"""Frames of polars as Arrow tables with the types of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from analyzer.tables.schema import TABLES, arrow_schema, arrow_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from analyzer.tables.schema import Column


def to_arrow(frame: pl.DataFrame, table: str) -> pa.Table:
    """Give a frame the types of a table; columns of the same names, in any order."""
    return pa.Table.from_batches([Converter(table, frame).batch(frame)])


class Converter:
    """Give frames the types of a table, with dictionaries that all of them share.

    Parameters
    ----------
    table : str
        Name of the table.
    texts : mapping of str to pl.Series
        For each column of names or addresses, what any frame may have in it.

    Attributes
    ----------
    dictionaries : dict of str to Dictionary
        One for each of those columns.
    """

    def __init__(
        self, table: str, texts: Mapping[str, pl.Series] | pl.DataFrame
    ) -> None:
        self._columns = TABLES[table]
        self._schema = arrow_schema(table)
        self.dictionaries: dict[str, Dictionary] = {}
        made: list[tuple[pl.Series, Dictionary]] = []
        for column in self._columns:
            if column.kind in ("address", "name"):
                of_column = texts[column.name]
                same = (each for series, each in made if series is of_column)
                dictionary = next(same, None) or Dictionary(of_column)
                made.append((of_column, dictionary))
                self.dictionaries[column.name] = dictionary

    def batch(self, frame: pl.DataFrame) -> pa.RecordBatch:
        """Convert one frame; its columns have the names of the table's.

        A column of texts may have their places in its dictionary instead (Int32).
        """
        return pa.RecordBatch.from_arrays(
            [self._array(frame[column.name], column) for column in self._columns],
            schema=self._schema,
        )

    def _array(self, values: pl.Series, column: Column) -> pa.Array:
        import polars as pl

        if column.name in self.dictionaries:
            return self.dictionaries[column.name].encode(values)
        if column.kind == "names":
            values = values.cast(pl.List(pl.String))
        return values.to_arrow().cast(arrow_type(column))


class Dictionary:
    """Texts, sorted, and the place of each by the code that the process gave it."""

    def __init__(self, texts: pl.Series) -> None:
        import polars as pl

        distinct = texts.drop_nulls().unique().cast(pl.String).sort()
        codes = distinct.cast(pl.Categorical).to_physical()
        self._texts = distinct.to_arrow().cast(pa.utf8())
        last: int = codes.to_frame("code").select(pl.max("code").fill_null(0)).item()
        places = pl.repeat(None, last + 1, dtype=pl.Int32, eager=True)
        self._places = places.scatter(codes, range(len(codes)))

    def indices(self, values: pl.Series) -> pl.Series:
        """Give texts, all of which must be known, their places (Int32)."""
        import polars as pl

        if values.null_count() == len(values):
            return pl.repeat(None, len(values), dtype=pl.Int32, eager=True)
        found = self._places[values.cast(pl.Categorical).to_physical()]
        assert found.null_count() == values.null_count()  # noqa: S101  all are known
        return found

    def encode(self, values: pl.Series) -> pa.DictionaryArray:
        """Encode texts, or their places."""
        import polars as pl

        indices = values if values.dtype == pl.Int32 else self.indices(values)
        return pa.DictionaryArray.from_arrays(
            indices.to_arrow(), self._texts, safe=False
        )
