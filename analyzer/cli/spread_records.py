"""Print the tables of a spread as JSON or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from analyzer.cli.output import Output

_NANOSECONDS = "%Y-%m-%dT%H:%M:%S%.9f+00:00"


def print_kinds(output: Output, tables: dict[str, pl.DataFrame]) -> None:
    """Print the rows of several tables, each with the name of what it is about.

    JSON objects have the columns of their table, CSV rows those of all.
    """
    records = [
        {"kind": kind, **record}
        for kind, table in tables.items()
        for record in _as_text(table).iter_rows(named=True)
    ]
    if output.format == "csv":
        names = list(dict.fromkeys(name for each in records for name in each))
        output.rows("", names, [[each.get(name) for name in names] for each in records])
        return
    for record in records:
        output.rows("", list(record), [list(record.values())])


def _as_text(table: pl.DataFrame) -> pl.DataFrame:
    """Write times with all their digits, and counts as whole numbers."""
    whole: Any = [
        name
        for name, dtype in table.schema.items()
        if dtype == pl.Float64
        and (table[name].drop_nulls() % 1 == 0).all()
        and name in _COUNTS
    ]
    return table.with_columns(
        pl.col(pl.Datetime).dt.strftime(_NANOSECONDS), pl.col(whole).cast(pl.Int64)
    )


_COUNTS = frozenset(
    (
        *("connections", "requests", "bytes", "packets", "total", "unknown"),
        *("amount", "other_amount", "other_connections", "other_total"),
    )
)
