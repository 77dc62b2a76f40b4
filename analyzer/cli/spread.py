"""``analyze spread``: how evenly connections fall on backends, and is that luck."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import click

from analyzer.cli.format import printable
from analyzer.cli.inputs import input_options
from analyzer.cli.options import duration, file_option
from analyzer.cli.output import Output, output_options

if TYPE_CHECKING:
    from pathlib import Path

    from altair import VConcatChart

    from analyzer.cli.inputs import Inputs


class _Asked(TypedDict):
    service: str | None
    by: str
    unit: str


@click.command()
@click.option(
    "--service",
    metavar="NS/NAME",
    help="Only this service; DaemonSet/NAME for a DaemonSet, ADDRESS:PORT for a"
    " service without a name.",
)
@click.option(
    "--by",
    type=click.Choice(["pod", "node", "client", "entry-node"]),
    metavar="BY",
    default="pod",
    show_default=True,
    help="Count by pod, node, client or entry-node.",
)
@click.option(
    "--unit",
    type=click.Choice(["connections", "requests", "bytes", "packets", "duration"]),
    metavar="UNIT",
    default="connections",
    show_default=True,
    help="Count connections, requests, bytes, packets or duration.",
)
@click.option(
    "--against",
    metavar="INPUT",
    type=click.Path(allow_dash=True),
    multiple=True,
    help="Compare with other captures or tables. Repeatable.",
)
@click.option(
    "--against-service",
    metavar="NS/NAME",
    help="Compare --service with this one, of --against or else of INPUT.",
)
@click.option(
    "--over",
    "every",
    metavar="TIME",
    type=duration,
    help="Count interval by interval (500ms, 1s, 5m).",
)
@file_option("chart", "Draw a chart, too: FILE.svg, FILE.png or FILE.html.")
@input_options
@output_options
def spread(
    inputs: Inputs,
    service: str | None,
    by: str,
    unit: str,
    against: tuple[str, ...],
    against_service: str | None,
    every: float | None,
    chart: Path | None,
    output: Output,
) -> None:
    """Show how evenly connections fall on pods, and if that is luck.

    INPUT is captures (files, directories, globs, - for standard input) or a tables
    directory. Prints for each service with traffic, and for each DaemonSet across its
    services, what every backend got, with its 95 % interval and the share that it
    should have; endpoints that got nothing; the probability of such counts by chance;
    and in words what to think of it, since when, and why.

    With --cluster, the proxy's rules say which shares to expect. Several services are
    several tests: their p-values are held against 5 % after Holm's correction.

    With --against, says which shares differ from those of other captures, or of
    another service over the same pods, and whether that is luck.

    \b
    Examples:
      analyze spread captures/cluster/loadbalancer \\
        --cluster captures/cluster/loadbalancer/cluster
      analyze spread captures/cluster/spread-skewed --service lb-nginx-ds \\
        --cluster captures/cluster/spread-skewed/cluster
      analyze spread captures/cluster/loadbalancer --by node --unit bytes --json \\
        --cluster captures/cluster/loadbalancer/cluster
      analyze spread captures/cluster/spread-skewed --service lb-nginx-ds \\
        --against captures/cluster/loadbalancer \\
        --cluster captures/cluster/spread-skewed/cluster
      analyze spread captures/cluster/spread-skewed --over 50ms -o spread.svg
    """
    is_comparison = bool(against) or against_service is not None
    if against_service is not None and service is None:
        raise click.UsageError("--against-service needs --service to compare with")
    if is_comparison and every is not None:
        raise click.UsageError("--over and --against do not go together")
    if chart is not None:
        from analyzer.analysis.spread.chart import check_format

        check_format(chart)
    asked: _Asked = {"service": service, "by": by, "unit": unit}
    if is_comparison:
        other = inputs.beside(against) if against else None
        _compare(inputs, other, against_service, asked, chart, output)
    elif every is not None:
        _show_over_time(inputs, every, asked, chart, output)
    else:
        _show(inputs, asked, chart, output)


def _show(inputs: Inputs, asked: _Asked, chart: Path | None, output: Output) -> None:
    from analyzer.analysis import spread as find_spread

    tables = inputs.tables()
    found = find_spread(tables.connections, cluster=inputs.cluster, **asked)
    if output.is_for_people:
        from analyzer.cli.spread_table import print_spread

        print_spread(found, output)
    else:
        from analyzer.cli.spread_records import print_kinds

        print_kinds(
            output,
            {
                "backend": found.backends,
                "subject": found.subjects,
                "change": found.changes,
            },
        )
    if chart is not None:
        from analyzer.analysis.spread.chart import bar_chart

        _save(bar_chart(found) if len(found.subjects) else None, chart)


def _show_over_time(
    inputs: Inputs, every: float, asked: _Asked, chart: Path | None, output: Output
) -> None:
    from analyzer.analysis import over_time

    tables = inputs.tables()
    rows = over_time(tables.connections, every, cluster=inputs.cluster, **asked)
    if output.is_for_people:
        from analyzer.cli.spread_table import print_over_time

        print_over_time(rows, output)
    else:
        from analyzer.cli.spread_records import print_kinds

        print_kinds(output, {"interval": rows})
    if chart is not None:
        from analyzer.analysis.spread.chart import time_chart

        _save(time_chart(rows) if len(rows) else None, chart)


def _compare(
    inputs: Inputs,
    other: Inputs | None,
    other_service: str | None,
    asked: _Asked,
    chart: Path | None,
    output: Output,
) -> None:
    from analyzer.analysis import compare

    tables = inputs.tables()
    found = compare(
        tables.connections,
        (other.tables() if other else tables).connections,
        cluster=inputs.cluster,
        other_service=other_service,
        **asked,
    )
    if output.is_for_people:
        from analyzer.cli.spread_table import print_comparison

        print_comparison(found, output)
    else:
        from analyzer.cli.spread_records import print_kinds

        print_kinds(output, {"backend": found.backends, "subject": found.subjects})
    if chart is not None:
        from analyzer.analysis.spread.chart import difference_chart

        _save(difference_chart(found), chart)


def _save(chart: VConcatChart | None, path: Path) -> None:
    if chart is None:
        told = printable(str(path))
        click.echo(f"analyze: there is nothing to draw, so no {told}", err=True)
        return
    from analyzer.analysis.spread.chart import save

    save(chart, path)
    click.echo(f"analyze: chart is in {printable(str(path))}", err=True)
