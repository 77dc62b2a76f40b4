"""``analyze info``: what captures hold, without writing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from analyzer.cli.options import capture_options, cluster_option
from analyzer.cli.output import Output, output_options

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.cli.options import Points
    from analyzer.cluster import Cluster


@click.command()
@cluster_option
@capture_options
@output_options
def info(
    captures: tuple[Path, ...],
    cluster: Cluster | None,
    points: Points,
    vxlan_ports: tuple[int, ...],
    output: Output,
) -> None:
    """Describe captures without writing tables.

    Says for each capture its format and interfaces, where it was taken, how many
    packets it holds and over what time, which tunnels they went through, and what is
    damaged, cut or missing.

    \b
    Examples:
      analyze info captures/cluster/nodeport/k8s-worker02.ens18.pcapng.gz
      analyze info captures/conformance
      analyze info --json captures/cluster/nodeport
    """
    from analyzer.cli.facts import record
    from analyzer.cli.progress import progress_bar
    from analyzer.cli.summary import print_captures
    from analyzer.cli.trouble import warn_of_trouble
    from analyzer.pipeline import summarise

    with progress_bar("reading") as progress:
        summaries = summarise(
            captures,
            cluster=cluster,
            points=points,
            vxlan_ports=vxlan_ports,
            progress=progress,
        )
    warn_of_trouble(summaries)
    if output.is_for_people:
        print_captures(summaries, output, in_detail=True)
    else:
        records = [record(summary) for summary in summaries]
        output.rows(
            "captures", list(records[0]), [list(each.values()) for each in records]
        )
