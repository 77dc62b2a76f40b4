"""Frames of polars as Arrow tables with the types of the schema, and back."""

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


def to_frame(table: pa.Table) -> pl.DataFrame:
    """Give an Arrow table as a frame that shares its memory, as far as that can be.

    Notes
    -----
    polars would look up the code of the text in each row. But codes are numbers in the
    order in which texts appear: those of a dictionary whose texts are new differ from
    its indices by the same number everywhere, and those of the first one do not differ.
    """
    import polars as pl

    columns = dict(zip(table.column_names, table.columns, strict=True))
    texts = {
        name: column.chunk(0).dictionary
        for name, column in columns.items()
        if pa.types.is_dictionary(column.type) and _has_one_dictionary(column)
    }
    indices = {
        name: pa.chunked_array([chunk.indices for chunk in columns[name].chunks])
        for name in texts
    }
    frame = pl.from_arrow(
        pa.Table.from_arrays(list({**columns, **indices}.values()), list(columns)),
        rechunk=False,
    )
    assert isinstance(frame, pl.DataFrame)  # noqa: S101  a table, no column
    # The longest dictionary is the first; codes last as long as their texts do.
    coded = {
        name: pl.Series(texts[name]).cast(pl.Categorical)
        for name in sorted(texts, key=lambda name: -len(texts[name]))
    }
    return frame.with_columns(
        _text(name, each.to_physical()) for name, each in coded.items()
    )


def _has_one_dictionary(column: pa.ChunkedArray) -> bool:
    dictionaries = [chunk.dictionary for chunk in column.chunks]
    return bool(dictionaries) and all(map(dictionaries[0].equals, dictionaries))


def _text(indices: str, codes: pl.Series) -> pl.Expr:
    """Give a column of indices the texts of which these are the codes."""
    import polars as pl

    first = codes[0] if len(codes) else 0
    column = pl.col(indices).reinterpret(signed=False)
    every = pl.int_range(first, first + len(codes), dtype=pl.UInt32, eager=True)
    if not codes.equals(every):
        column = pl.lit(codes).gather(column)
    elif first:
        column = column + pl.lit(first, pl.UInt32)
    return column.cat.to(pl.Categorical).alias(indices)


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
