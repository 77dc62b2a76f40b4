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
    return pa.Table.from_arrays(
        [_array(frame[column.name], column) for column in TABLES[table]],
        schema=arrow_schema(table),
    )


def dictionaries(table: str, texts: Mapping[str, pl.Series]) -> dict[str, Dictionary]:
    """Make the dictionaries of a table's columns of addresses and names.

    Parameters
    ----------
    table : str
        Name of the table.
    texts : mapping of str to pl.Series
        For each of those columns what may be in it; columns that have the same series
        share a dictionary.
    """
    made: list[tuple[pl.Series, Dictionary]] = []
    found = {}
    for column in TABLES[table]:
        if column.kind in ("address", "name"):
            of_column = texts[column.name]
            same = (each for series, each in made if series is of_column)
            dictionary = next(same, None) or Dictionary(of_column)
            made.append((of_column, dictionary))
            found[column.name] = dictionary
    return found


class Dictionary:
    """Texts, sorted, and the place of each by the code that the process gave it.

    Attributes
    ----------
    texts : pa.StringArray
    places : pl.Series
        One row per code (Int32), null if none of the texts has it.
    """

    def __init__(self, texts: pl.Series) -> None:
        import polars as pl

        distinct = texts.drop_nulls().unique().cast(pl.String).sort()
        codes = distinct.cast(pl.Categorical).to_physical()
        self.texts = distinct.to_arrow().cast(pa.utf8())
        last: int = codes.to_frame("code").select(pl.max("code").fill_null(0)).item()
        places = pl.repeat(None, last + 1, dtype=pl.Int32, eager=True)
        self.places = places.scatter(codes, range(len(codes)))

    def indices(self, values: pl.Series) -> pl.Series:
        """Give texts, all of which must be known, their places (Int32)."""
        import polars as pl

        if values.null_count() == len(values):
            return pl.repeat(None, len(values), dtype=pl.Int32, eager=True)
        found = self.places[values.cast(pl.Categorical).to_physical()]
        assert found.null_count() == values.null_count()  # noqa: S101  all are known
        return found


def _array(values: pl.Series, column: Column) -> pa.Array:
    import polars as pl

    if column.kind in ("address", "name"):
        dictionary = Dictionary(values)
        indices = dictionary.indices(values).to_arrow()
        return pa.DictionaryArray.from_arrays(indices, dictionary.texts, safe=False)
    if column.kind == "names":
        values = values.cast(pl.List(pl.String))
    return values.to_arrow().cast(arrow_type(column))
