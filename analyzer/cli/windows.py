"""Print the windows of a rotated run, each as soon as it is complete."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from analyzer.cli.format import count, printable, size

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.cli.output import Output
    from analyzer.tables import Tables
    from analyzer.tables.captures import CaptureSummary

_Row = tuple[str, int, int, int, int, str]
_COLUMNS = ("window", "packets", "bytes", "flows", "connections", "directory")
_LINE = "{:<18} {:>11} {:>7} {:>9} {:>11}  {}"


class WindowPrinter:
    """Print a line for each window: what it has, and where it is.

    Parameters
    ----------
    output : Output
        A line for people, one JSON object, or a line of CSV.

    Attributes
    ----------
    captures : list of CaptureSummary
        Of the window printed last.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._is_first = True
        self.captures: list[CaptureSummary] = []

    def __call__(self, place: Path, tables: Tables) -> None:
        """Print a window that is complete."""
        self.captures = tables.captures
        row = (
            place.name.partition("=")[2],
            sum(capture.packets for capture in tables.captures),
            sum(capture.wire_bytes for capture in tables.captures),
            tables.arrow("flows").num_rows,
            tables.arrow("connections").num_rows,
            str(place),
        )
        if self._output.is_for_people:
            self._print_line(row)
        else:
            self._output.rows("", _COLUMNS, [row], heading=self._is_first)
        self._is_first = False
        sys.stdout.flush()

    def _print_line(self, row: _Row) -> None:
        window, packets, octets, flows, connections, directory = row
        if self._is_first:
            heading = _LINE.format(*map(str.upper, _COLUMNS))
            click.echo(click.style(heading, dim=True))
        click.echo(
            _LINE.format(
                window,
                count(packets),
                size(octets),
                count(flows),
                count(connections),
                printable(directory),
            )
        )
