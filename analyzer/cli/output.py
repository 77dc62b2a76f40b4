"""The formats in which commands print rows: a table for people, JSON lines, CSV."""

from __future__ import annotations

import csv
import functools
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar, cast

import click

from analyzer.cli.table import Column, fit

_Command = TypeVar("_Command", bound=Callable[..., Any])

#: Characters in a line where standard output is not a terminal and COLUMNS is not set.
_WIDTH_OF_A_FILE = 100


def width() -> int:
    """Count the characters in a line of standard output."""
    return shutil.get_terminal_size((_WIDTH_OF_A_FILE, 24)).columns


def write_text(text: str) -> None:
    """Write much text to standard output, all of it.

    Where Python's output is not buffered (``PYTHONUNBUFFERED``), ``sys.stdout.write``
    drops what the system did not take at once, and the error that would follow.
    """
    sys.stdout.flush()
    octets = memoryview(text.encode())
    while octets:
        octets = octets[sys.stdout.buffer.write(octets) :]


@dataclass(frozen=True)
class Output:
    """Where a command puts its results, in the format that was asked for.

    Parameters
    ----------
    format : {'table', 'json', 'csv'}
        For people, as one JSON object a line, or as CSV with a heading.
    """

    format: str

    @property
    def is_for_people(self) -> bool:
        """Whether text beside the rows is welcome."""
        return self.format == "table"

    def rows(
        self,
        title: str,
        columns: Sequence[str | Column],
        rows: Iterable[Sequence[object]],
        *,
        narrowing: Sequence[str] = (),
        heading: bool = True,
    ) -> None:
        """Print rows.

        Parameters
        ----------
        title : str
            Line above a table; JSON and CSV do without.
        columns : sequence of str or Column
            Names, also the keys in JSON.
        rows : iterable of sequences
            One value per column. JSON and CSV are written as the rows come.
        narrowing : sequence of str
            Names of the columns that give way if the table is too wide, see
            :func:`analyzer.cli.table.fit`.
        heading : bool
            False where CSV rows follow those of an earlier call.
        """
        complete = [
            each if isinstance(each, Column) else Column(each) for each in columns
        ]
        names = [column.name for column in complete]
        if self.format == "json":
            for row in rows:
                record = dict(zip(names, row, strict=True))
                sys.stdout.write(json.dumps(record, default=_json_value) + "\n")
        elif self.format == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            if heading:
                writer.writerow(names)
            writer.writerows(map(_csv_value, row) for row in rows)
        else:
            self._table(title, complete, list(rows), narrowing)

    def text(self, line: str = "") -> None:
        """Print a line for people; JSON and CSV do without."""
        if self.is_for_people:
            click.echo(line)

    def _table(
        self,
        title: str,
        columns: Sequence[Column],
        rows: Sequence[Sequence[object]],
        narrowing: Sequence[str],
    ) -> None:
        click.echo(click.style(title, bold=True))
        if not rows:
            click.echo("  none")
            return
        table = fit(columns, rows, width(), narrowing)
        click.echo(click.style(table.heading, dim=True))
        click.echo("\n".join(table.lines))
        if table.left_out:
            left_out = ", ".join(name.replace("_", " ") for name in table.left_out)
            note = f"(no room in {width()} columns for: {left_out})"
            click.echo(click.style(note, dim=True))


def _json_value(value: object) -> object:
    """Stand in for what JSON lacks: ISO 8601 times, durations in seconds, text."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def _csv_value(value: object) -> object:
    """Write lists and mappings as JSON, so that they can be read back."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        return json.dumps(value, default=_json_value)
    return _json_value(value)


def output_options(command: _Command) -> _Command:
    """Add ``--format`` and ``--json``; the command takes ``output: Output``."""

    @click.option(
        "--format",
        "format_name",
        type=click.Choice(["table", "json", "csv"]),
        default=None,
        help="Print a table (the default), one JSON object a line, or CSV.",
    )
    @click.option("--json", "is_json", is_flag=True, help="Same as --format json.")
    @functools.wraps(command)
    def with_output(
        *args: Any, format_name: str | None, is_json: bool, **kwargs: Any
    ) -> Any:
        if is_json and format_name not in (None, "json"):
            raise click.UsageError(f"--json contradicts --format {format_name}")
        output = Output("json" if is_json else format_name or "table")
        return command(*args, output=output, **kwargs)

    return cast("_Command", with_output)
