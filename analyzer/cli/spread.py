"""``analyze spread``: how evenly connections fall on backends, and is that luck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from analyzer.cli.inputs import input_options
from analyzer.cli.output import Output, output_options

if TYPE_CHECKING:
    from analyzer.cli.inputs import Inputs


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
@input_options
@output_options
def spread(
    inputs: Inputs,
    service: str | None,
    by: str,
    unit: str,
    against: tuple[str, ...],
    against_service: str | None,
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
    """
    if against_service is not None and service is None:
        raise click.UsageError("--against-service needs --service to compare with")
    if against or against_service is not None:
        _compare(inputs, service, by, unit, against, against_service, output)
        return
    from analyzer.analysis import spread as find_spread

    tables = inputs.tables()
    found = find_spread(
        tables.connections,
        cluster=inputs.cluster,
        service=service,
        by=by,
        unit=unit,
    )
    if output.is_for_people:
        from analyzer.cli.spread_table import print_spread

        print_spread(found, output)
    else:
        from analyzer.cli.spread_records import print_records

        print_records(found, output)


def _compare(
    inputs: Inputs,
    service: str | None,
    by: str,
    unit: str,
    against: tuple[str, ...],
    against_service: str | None,
    output: Output,
) -> None:
    from analyzer.analysis import compare

    other = inputs.beside(against) if against else None
    tables = inputs.tables()
    found = compare(
        tables.connections,
        (other.tables() if other else tables).connections,
        cluster=inputs.cluster,
        service=service,
        other_service=against_service,
        by=by,
        unit=unit,
    )
    if output.is_for_people:
        from analyzer.cli.spread_table import print_comparison

        print_comparison(found, output)
    else:
        from analyzer.cli.spread_records import print_kinds

        print_kinds(output, {"backend": found.backends, "subject": found.subjects})
