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

    codes: dict[str, pl.Series] = {}
    kept = []  # codes last as long as the texts do
    longest_first = sorted(
        (each for each in table.schema if pa.types.is_dictionary(each.type)),
        key=lambda field: (
            -sum(len(each.dictionary) for each in table[field.name].chunks)
        ),
    )
    for field in longest_first:
        chunks = table[field.name].chunks
        texts = chunks[0].dictionary if chunks else None
        if texts is None or any(not each.dictionary.equals(texts) for each in chunks):
            continue
        kept.append(pl.Series(texts).cast(pl.Categorical))
        codes[field.name] = kept[-1].to_physical()
        table = table.set_column(
            table.column_names.index(field.name),
            field.name,
            pa.chunked_array([each.indices for each in chunks]),
        )
    frame = pl.from_arrow(table, rechunk=False)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101  a table, no column
    return frame.with_columns(_text(name, of_texts) for name, of_texts in codes.items())


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
