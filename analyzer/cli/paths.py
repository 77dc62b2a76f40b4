"""``analyze paths``: which way connections took, as a picture or as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from analyzer.cli.inputs import find_inputs
from analyzer.cli.options import (
    cluster_option,
    file_option,
    point_option,
    vxlan_port_option,
)
from analyzer.cli.output import Output, output_options, width

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.analysis.paths import Limits, PathGraph
    from analyzer.cluster import Cluster
    from analyzer.diagram.model import Picture
    from analyzer.tables import Tables


@click.command()
@click.argument(
    "arguments", metavar="[INPUT]...", nargs=-1, type=click.Path(allow_dash=True)
)
@click.option(
    "--service",
    "services",
    metavar="[NS/]NAME",
    multiple=True,
    help="Keep only calls of this Service. Repeatable.",
)
@click.option(
    "--pod",
    "pods",
    metavar="[NS/]NAME",
    multiple=True,
    help="Keep only connections of this pod, on either end. Repeatable.",
)
@click.option(
    "--client",
    "clients",
    metavar="WHO",
    multiple=True,
    help="Keep only calls by this address, network, pod or node. Repeatable.",
)
@click.option(
    "--connection",
    "connection",
    metavar="ID",
    type=click.IntRange(min=0),
    help="Show each packet of this connection on its way instead.",
)
@file_option(
    "file", "Write a picture: .svg, .html, .png, .pdf, .mmd (Mermaid), .dot, .json."
)
@click.option(
    "--by",
    type=click.Choice(["connections", "bytes"]),
    default="connections",
    show_default=True,
    help="Let links be as wide as this.",
)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(min=2),
    help="Draw the N busiest clients, addresses and nodes; sum up the others"
    " (default: 12, 20 and 8).",
)
@cluster_option
@point_option
@vxlan_port_option
@output_options
def paths(
    arguments: tuple[str, ...],
    services: tuple[str, ...],
    pods: tuple[str, ...],
    clients: tuple[str, ...],
    connection: int | None,
    file: Path | None,
    by: str,
    top: int | None,
    cluster: Cluster | None,
    named_points: tuple[tuple[str, Path], ...],
    vxlan_ports: tuple[int, ...],
    output: Output,
) -> None:
    """Draw the way of connections: Services, nodes, VXLAN, pods.

    INPUT is captures or a directory of tables. From the left: who called; the address
    they called (LoadBalancer, NodePort, ClusterIP); the node that took the call, where
    DNAT and SNAT happen; the tunnel; the node and the pod that answered. Links tell
    connections, their rate, and the median latency with the bound of the clocks; what
    no capture shows is dashed. Without -o, a tree of the same for the terminal.

    Without INPUT, draws what the cluster state says could reach what.

    With --connection, the ladder of one connection: its packets at each observation
    point, what was rewritten between them, and what was lost. It takes packets:
    captures, or tables that `analyze flows --packets` wrote.

    \b
    Examples:
      analyze paths captures/cluster/loadbalancer \\
        --cluster captures/cluster/loadbalancer/cluster -o paths.svg
      analyze paths captures/cluster/nodeport --client 192.168.2.100
      analyze paths captures/cluster/loadbalancer --connection 37
      analyze paths --cluster captures/reference -o cluster.html
      analyze paths captures/cluster/loadbalancer --json
    """
    from analyzer.analysis.paths import Selection, path_graph
    from analyzer.diagram.formats import format_of

    kind = format_of(file) if file else None
    selection = Selection(services, pods, clients)
    if not arguments:
        if cluster is None or clients or connection is not None:
            raise click.UsageError("Missing argument 'INPUT...'.")
        from analyzer.cli.topology import show_topology

        show_topology(cluster, selection, file, kind, output)
        return
    inputs = find_inputs(
        arguments, cluster=cluster, named_points=named_points, vxlan_ports=vxlan_ports
    )
    tables = inputs.tables()
    if connection is not None:
        from analyzer.cli.ladder import show_ladder

        show_ladder(inputs, tables, connection, file, kind, output)
        return
    graph = path_graph(tables, cluster, selection)
    if file is None or kind is None:
        _show(graph, tables, output, top)
        return
    _draw(graph, tables, file, kind, by, top)


def _show(graph: PathGraph, tables: Tables, output: Output, top: int | None) -> None:
    """Print routes: a tree for people, else rows."""
    import polars as pl

    from analyzer.analysis.paths import collapse, path_routes
    from analyzer.cli.picture import style
    from analyzer.diagram.model import picture
    from analyzer.diagram.text import draw_text

    if not output.is_for_people:
        rows = path_routes(graph.sums).collect()
        output.rows("paths", rows.columns, rows.iter_rows())
        return
    graph = collapse(graph, _limits(top))
    routes = path_routes(graph.sums)
    durations = pl.selectors.duration()
    told = routes.with_columns(durations.dt.total_nanoseconds()).collect().to_dicts()
    what = picture(graph)

    title, source = _titles(what, tables)
    for line in draw_text(what, told, width(), title=title, source=source, style=style):
        click.echo(line)


def _draw(
    graph: PathGraph, tables: Tables, file: Path, kind: str, by: str, top: int | None
) -> None:
    from analyzer.analysis.paths import collapse
    from analyzer.cli.picture import keep
    from analyzer.diagram.model import picture

    if kind == ".mmd":
        from analyzer.diagram.graph_text import fit_mermaid

        what = fit_mermaid(graph, _limits(top))
    elif kind == ".json":  # for programs, which can take all of it
        what = picture(graph)
    else:
        what = picture(collapse(graph, _limits(top)))
    title, source = _titles(what, tables)
    data: str | bytes
    if kind == ".json":
        from analyzer.diagram.graph_json import write_json

        data = write_json(graph, title=title, source=source)
    elif kind in (".mmd", ".dot"):
        from analyzer.diagram.graph_text import write_dot, write_mermaid

        write = write_mermaid if kind == ".mmd" else write_dot
        data = write(what, title=title, by=by)
    else:
        from analyzer.cli.picture import written
        from analyzer.diagram.cluster import draw_cluster

        scene = draw_cluster(what, title=title, source=source, by=by)
        data = written(scene, kind, what.colours)
    keep(title, data, file)


def _limits(top: int | None) -> Limits:
    from analyzer.analysis.paths import Limits

    return Limits() if top is None else Limits(top, top, top)


def _titles(what: Picture, tables: Tables) -> tuple[str, str]:
    """Say what a picture shows, and where it is from."""
    from analyzer.cli import format as say

    services = len(what.colours)
    title = f"Paths of {say.plural(what.connections, 'connection')}"
    if services == 1:
        title += f" to {next(iter(what.colours)).removeprefix('default/')}"
    elif services:
        title += f" to {services} Services"
    starts = [each.start_time for each in tables.captures if each.start_time]
    when = f" from {say.clock_time(min(starts))}" if starts else ""
    hosts = {point.split("/")[0] for each in tables.captures for point in each.points}
    captures = say.plural(len(tables.captures), "capture")
    where = f" at {say.plural(len(hosts), 'host')}" if hosts else ""
    seconds = say.duration(round(what.seconds * 1e9))
    return title, f"{seconds}{when}, drawn from {captures}{where}"
