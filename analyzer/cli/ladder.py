"""One connection's packets, as text, as rows or as a picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from analyzer.cli.output import width
from analyzer.errors import DiagramError

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from analyzer.analysis.paths.ladder import Ladder
    from analyzer.cli.inputs import Inputs
    from analyzer.cli.output import Output
    from analyzer.tables import Tables

_KINDS = (".svg", ".html", ".png", ".pdf", ".mmd", ".json")


def show_ladder(
    inputs: Inputs,
    tables: Tables,
    connection: int,
    file: Path | None,
    kind: str | None,
    output: Output,
) -> None:
    """Print or draw the ladder of one connection.

    Raises
    ------
    DiagramError
        If there is no ladder in the format that was asked for.
    TablesError
        If the tables have no packets.
    QueryError
        If there is no such connection.
    """
    if file is not None and kind not in _KINDS:
        raise DiagramError(
            f"{file}: a ladder of packets is no graph, so there is no {kind} of it",
            hint=f"name it {file.stem}.svg; there are {', '.join(_KINDS)}",
        )
    from analyzer.analysis.paths.ladder import ladder

    told = ladder(tables, _packets(inputs, tables), connection)
    if file is not None and kind is not None:
        _draw(told, file, kind)
        return
    if not output.is_for_people:
        rows = told.packets.join(told.places, on="place", maintain_order="left")
        output.rows("packets", rows.columns, rows.iter_rows())
        return
    from analyzer.cli.picture import style
    from analyzer.diagram.ladder_text import draw_ladder_text

    for line in draw_ladder_text(told, width(), style=style):
        click.echo(line)


def _draw(told: Ladder, file: Path, kind: str) -> None:
    from analyzer.cli.picture import keep, written
    from analyzer.diagram.ladder_words import heading

    title, facts = heading(told)
    data: str | bytes
    if kind == ".mmd":
        from analyzer.diagram.ladder_mermaid import write_ladder_mermaid

        data = write_ladder_mermaid(told)
    elif kind == ".json":
        tables = {
            name: getattr(told, name).to_dicts()
            for name in ("places", "packets", "hops")
        }
        data = json.dumps({"title": title, "facts": facts, **tables}, indent=1) + "\n"
    else:
        from analyzer.diagram.ladder_scene import draw_ladder

        data = written(draw_ladder(told), kind, {})
    keep(title, data, file)


def _packets(inputs: Inputs, tables: Tables) -> pl.LazyFrame:
    """Take packets from the tables, else from the captures as far as needed."""
    if inputs.is_tables:
        return tables.packets
    from analyzer.pipeline import scan_packets

    return scan_packets(
        inputs.paths,
        points=inputs.points,
        vxlan_ports=inputs.vxlan_ports,
        cluster=inputs.cluster,
    )
