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
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._is_first = True
        self._captures: dict[str, CaptureSummary] = {}

    def __call__(self, place: Path, tables: Tables) -> None:
        """Print a window that is complete."""
        for capture in tables.captures:
            self._add(capture)
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

    @property
    def captures(self) -> list[CaptureSummary]:
        """What is amiss with the captures, in the windows that were printed."""
        return list(self._captures.values())

    def _add(self, capture: CaptureSummary) -> None:
        whole = self._captures.setdefault(capture.name, capture)
        if whole is capture:
            return
        whole.packets += capture.packets
        whole.interfaces = capture.interfaces
        whole.damage = list(dict.fromkeys(whole.damage + capture.damage))
        for place, frames in capture.stops.items():
            whole.stops[place] = whole.stops.get(place, 0) + frames

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
