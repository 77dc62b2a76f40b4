"""Tables of things of which not everything is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.cli.output import Output
    from analyzer.cli.table import Column


def print_known(
    output: Output,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[tuple[object, ...]],
    narrowing: Sequence[str],
) -> None:
    """Print a table without the columns that have nothing to tell."""
    shown = [
        at
        for at, column in enumerate(columns)
        if column.is_essential or any(row[at] not in (None, (), []) for row in rows)
    ]
    if columns[0].name == "namespace" and len({row[0] for row in rows}) == 1:
        title = f"{title} in namespace {rows[0][0]}"
        shown.remove(0)
    output.rows(
        title,
        [columns[at] for at in shown],
        [[row[at] for at in shown] for row in rows],
        narrowing=narrowing,
    )
