"""The command ``analyze``: load, ask, show.

Only what every call needs is imported here. A command's module is imported when the
command is called, and imports pyarrow, polars or rich inside its functions.
"""

from __future__ import annotations

import gc
import os

import click

from analyzer.cli.group import CommandGroup, debug_option


@click.command(
    cls=CommandGroup,
    commands_by_name={
        "flows": (
            "analyzer.cli.flows",
            "Turn captures into tables of flows and connections.",
        ),
        "spread": (
            "analyzer.cli.spread",
            "Show how evenly connections fall on pods, and if that is luck.",
        ),
        "info": ("analyzer.cli.info", "Describe captures without writing tables."),
        "paths": (
            "analyzer.cli.paths",
            "Draw the way of connections: Services, nodes, VXLAN, pods.",
        ),
        "cluster": ("analyzer.cli.cluster", "Show what cluster state says."),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(
    package_name="k8s-capture-analyzer",
    prog_name="analyze",
    message="%(prog)s %(version)s",
)
@debug_option
@click.pass_context
def main(context: click.Context) -> None:
    """Answer questions about Kubernetes traffic from packet captures.

    Takes pcap and pcapng files, plain or compressed, from one node or many, and says
    which pods, Services and tunnels the packets belong to.

    \b
    Examples:
      analyze flows captures/conformance/tcpdump_vxlan.pcap
      analyze flows captures/cluster/nodeport/k8s-master.ens18.pcap.gz \\
        --cluster captures/cluster/nodeport/cluster
      analyze info captures/conformance
    """
    # pyarrow imports numpy, whose BLAS would start threads that nothing here uses.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imports make many objects, and next to no garbage.
    gc.set_threshold(200_000)
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        context.color = False
