"""The cluster without traffic, as tables or as a picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.analysis.paths import Selection
    from analyzer.cli.output import Output
    from analyzer.cluster import Cluster

_TITLES = {"fronts": "addresses of Services", "hosts": "nodes", "pods": "pods"}


def show_topology(
    cluster: Cluster,
    selection: Selection,
    file: Path | None,
    kind: str | None,
    output: Output,
) -> None:
    """Print or draw what cluster state says could reach what.

    Raises
    ------
    ClusterError, QueryError
        See :func:`analyzer.analysis.paths.topology`.
    """
    from analyzer.analysis.paths import topology
    from analyzer.cli import format as say

    told = topology(cluster, selection)
    if file is None or kind is None:
        for name, title in _TITLES.items():
            rows = getattr(told, name).collect()
            if output.is_for_people:
                output.rows(title, rows.columns, rows.iter_rows())
                output.text()
            else:
                columns = ["table", *rows.columns]
                lines = ([name, *row] for row in rows.iter_rows())
                output.rows(title, columns, lines)
        return
    from analyzer.cli.picture import keep, written

    services = told.fronts.select("service").unique().collect().height
    nodes = say.plural(len(cluster.nodes), "node")
    title = f"{say.plural(services, 'Service')} on {nodes}"
    source = "from cluster state alone, without traffic"
    data: str | bytes
    if kind == ".json":
        tables = {
            name: table.collect().to_dicts()
            for name, table in zip(told._fields, told, strict=True)
        }
        data = json.dumps({"title": title, **tables}, indent=1) + "\n"
    elif kind in (".mmd", ".dot"):
        from analyzer.diagram import topology_text

        write = {
            ".mmd": topology_text.write_topology_mermaid,
            ".dot": topology_text.write_topology_dot,
        }
        data = write[kind](told, title=title)
    else:
        from analyzer.diagram.topology import draw_topology, topology_colours

        scene = draw_topology(told, title=title, source=source)
        data = written(scene, kind, topology_colours(told))
    keep(title, data, file)
