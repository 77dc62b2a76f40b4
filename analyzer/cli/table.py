"""Fit a table into a terminal.

A cell may have several forms, the longest first. A table that is too wide takes its
columns through their shorter forms, one step at a time in the order given, and then
leaves columns out; last, the middles of long texts give way to an ellipsis. Rows are
never wrapped: one row is one line, for the eye and for grep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.cli.format import middle_ellipsis, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: One text, or the same said ever shorter.
Forms = str | tuple[str, ...]

_GAP = "  "
_SHORTEST_TEXT = 8


def plain(value: Any) -> Forms:
    """Write any value: lists with commas, None as ``-``."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(str(item) for item in value) or "-"
    return str(value)


def as_given(forms: Forms) -> Forms:
    """Take values that are texts already."""
    return forms


@dataclass(frozen=True)
class Column:
    """One column of rows that a command prints.

    Parameters
    ----------
    name : str
        Key in JSON, heading in CSV and (with spaces for underscores) in tables.
    show : callable
        How a value reads in a table: one text, or several, the longest first.
    align_right : bool
        Whether the column holds numbers.
    is_essential : bool
        Whether the rows make no sense without it, so that it is never left out.
    """

    name: str
    show: Callable[[Any], Forms] = plain
    align_right: bool = False
    is_essential: bool = False

    @property
    def heading(self) -> str:
        """The name as a table shows it."""
        return self.name.replace("_", " ").upper()


def number(name: str, show: Callable[[Any], str]) -> Column:
    """Make a column of numbers that are shown by ``show``, or as ``-`` if None."""
    return Column(
        name, lambda value: "-" if value is None else show(value), align_right=True
    )


@dataclass(frozen=True)
class FittedTable:
    """Lines that fit, and the headings of the columns that did not."""

    heading: str
    lines: list[str]
    left_out: list[str]


def fit(
    columns: Sequence[Column],
    rows: Sequence[Sequence[object]],
    width: int,
    narrowing: Sequence[str] = (),
) -> FittedTable:
    """Lay out rows in at most ``width`` characters.

    Parameters
    ----------
    columns : sequence of Column
    rows : sequence of sequences
        One value per column.
    width : int
        Characters in a line.
    narrowing : sequence of str
        Names of columns, in the order in which they give way. Each mention takes the
        column to its next shorter form; after its last form it is left out, unless it
        is essential. Names of columns that are not there are passed over.
    """
    fitting = [
        _FittingColumn(column, [row[index] for row in rows])
        for index, column in enumerate(columns)
    ]
    by_name = {each.column.name: each for each in fitting}
    for name in narrowing:
        if _total(fitting) <= width:
            break
        if name in by_name:
            by_name[name].narrow()
    while _total(fitting) > width:
        shown = [each for each in fitting if not each.is_left_out]
        widest = max(shown, key=lambda each: each.spare)
        dispensable = [each for each in shown if not each.column.is_essential]
        if widest.spare > 0:
            widest.width -= 1
        elif dispensable and len(shown) > 1:
            dispensable[-1].is_left_out = True
        else:
            break
    shown = [each for each in fitting if not each.is_left_out]
    return FittedTable(
        heading=_line([each.heading for each in shown])[:width],
        lines=[_line(cells)[:width] for cells in zip(*shown, strict=True)],
        left_out=[each.column.name for each in fitting if each.is_left_out],
    )


class _FittingColumn:
    """A column on its way to the width that it will have."""

    def __init__(self, column: Column, values: list[object]) -> None:
        self.column = column
        self.is_left_out = False
        self._cells = [_forms(column.show(value)) for value in values]
        self._align_right = column.align_right or _are_numbers(values)
        self._take_form(0)

    def _take_form(self, form: int) -> None:
        self._form = form
        texts = (cell[min(form, len(cell) - 1)] for cell in self._cells)
        self.width = max(map(len, [self.column.heading, *texts]))

    def narrow(self) -> None:
        """Make room for the next shorter form only, or leave."""
        if self._form + 1 < max(map(len, self._cells), default=0):
            self._take_form(self._form + 1)
        elif not self.column.is_essential:
            self.is_left_out = True

    @property
    def spare(self) -> int:
        """How many characters an ellipsis may save; never those of a number."""
        if self._align_right:
            return 0
        return self.width - max(_SHORTEST_TEXT, len(self.column.heading))

    @property
    def heading(self) -> str:
        """The heading, at the column's width."""
        return self._pad(self.column.heading)

    def __iter__(self) -> Iterator[str]:
        """Give each cell in the longest form that the column has room for."""
        for cell in self._cells:
            fitting = (text for text in cell if len(text) <= self.width)
            text = next(fitting, None)
            yield self._pad(text or middle_ellipsis(cell[-1], self.width))

    def _pad(self, text: str) -> str:
        return text.rjust(self.width) if self._align_right else text.ljust(self.width)


def _forms(shown: Forms) -> tuple[str, ...]:
    texts = (shown,) if isinstance(shown, str) else shown
    return tuple(printable(text) for text in texts)


def _are_numbers(values: list[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool)
        for value in known
    )


def _total(columns: list[_FittingColumn]) -> int:
    shown = [each.width for each in columns if not each.is_left_out]
    return sum(shown) + len(_GAP) * (len(shown) - 1)


def _line(cells: Sequence[str]) -> str:
    return _GAP.join(cells).rstrip()
