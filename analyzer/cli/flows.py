"""``analyze flows``: captures in, tables of flows out."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analyzer.cli.captures import tables_directory
from analyzer.cli.format import printable
from analyzer.cli.options import capture_options, cluster_option, duration
from analyzer.cli.output import Output, output_options
from analyzer.cli.preload import import_meanwhile, import_pyarrow

if TYPE_CHECKING:
    from analyzer.capture.following import Following
    from analyzer.cli.names import Names
    from analyzer.cli.options import Points
    from analyzer.cluster import Cluster
    from analyzer.pipeline import TableOptions
    from analyzer.tables import Tables

_TOP = 10
_NEEDED_LATER = (
    "concurrent.futures.thread",
    "ctypes",
    "analyzer.correlate",
    "analyzer.cli.flow_table",
)


@click.command()
@cluster_option
@click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the tables into this directory (default: CAPTURE.tables here).",
)
@click.option("--packets", is_flag=True, help="Write a table of all packets, too.")
@click.option("--parquet", is_flag=True, help="Write Parquet instead of Arrow files.")
@click.option(
    "--filter",
    "condition",
    metavar="EXPR",
    help="Keep only flows for which this SQL condition over their columns holds.",
)
@click.option(
    "--idle-timeout",
    metavar="SECONDS",
    type=duration,
    default="5m",
    show_default=True,
    help="End a flow after so long without a packet (30, 30s, 5m, 1h).",
)
@click.option(
    "--active-timeout",
    metavar="SECONDS",
    type=duration,
    help="End a flow after so long even if packets keep coming (default: never).",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Read on when the capture ends, as it grows, until Ctrl-C.",
)
@click.option(
    "--for",
    "seconds",
    metavar="DURATION",
    type=duration,
    help="Stop reading after so long (30, 30s, 5m, 1h).",
)
@capture_options
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(min=1),
    help="Use at most N threads (default: all cores); the tables do not depend on it.",
)
@click.option(
    "--rotate",
    metavar="DURATION",
    type=duration,
    help="Write tables for each window of so much time, over all captures.",
)
@click.option(
    "--strict", is_flag=True, help="Exit with status 1 if a capture is damaged."
)
@click.option(
    "--connections",
    is_flag=True,
    help="Print JSON or CSV of connections, not of flows.",
)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(min=1),
    help=f"Print only the N largest (default: {_TOP} in a table, else all).",
)
@output_options
def flows(
    captures: tuple[Path, ...],
    points: Points,
    vxlan_ports: tuple[int, ...],
    cluster: Cluster | None,
    directory: Path | None,
    packets: bool,
    parquet: bool,
    condition: str | None,
    idle_timeout: float,
    active_timeout: float | None,
    follow: bool,
    seconds: float | None,
    threads: int | None,
    rotate: float | None,
    strict: bool,
    connections: bool,
    top: int | None,
    output: Output,
) -> None:
    """Turn captures into tables of flows and connections.

    CAPTURE is a file (pcap or pcapng, also compressed), a directory of them, a glob,
    or - for standard input; files that tcpdump or dumpcap rotated are one capture.
    Writes a directory of Arrow tables, which polars, pyarrow, pandas and duckdb open,
    and prints what was read, the largest connections (each once, however many captures
    and tuples show it) and the largest flows. JSON and CSV have every flow or, with
    --connections, every connection; times are ISO 8601, durations seconds.

    \b
    Examples:
      analyze flows captures/conformance/tcpdump_vxlan.pcap
      analyze flows captures/cluster/nodeport/k8s-master.ens18.pcap.gz \\
        --cluster captures/cluster/nodeport/cluster
      analyze flows captures/cluster/nodeport -o nodeport.tables --top 20
      analyze flows captures/conformance/zeek_wikipedia.pcap \\
        --filter "protocol = 'tcp' and responder_port = 80" --json
      tcpdump -i any -U -w - | analyze flows - --follow --for 1m
      tcpdump -i any -U -w - | analyze flows - --rotate 5m -o live
      analyze flows captures/cluster/nodeport --rotate 1s -o windows
    """
    from analyzer.cli.names import Names
    from analyzer.cli.progress import progress_bar
    from analyzer.cli.trouble import as_of_captures, refuse_damage, warn_of_trouble
    from analyzer.pipeline import write_tables

    if threads is not None:
        from analyzer.threads import limit_threads

        import_pyarrow()
        limit_threads(threads)
    if threads != 1:
        import_meanwhile(*_NEEDED_LATER)
    following = _following(captures, follow, seconds)
    directory = directory or tables_directory(captures)
    options: TableOptions = {
        "cluster": cluster,
        "points": points,
        "vxlan_ports": vxlan_ports,
        "idle_timeout": idle_timeout,
        "active_timeout": active_timeout,
        "packets": packets,
        "parquet": parquet,
        "filter": condition,
        "threads": threads,
        "following": following,
    }
    if rotate is not None:
        _write_windows(captures, directory, rotate, options, output, strict=strict)
        return
    with progress_bar("reading") as progress:
        tables = write_tables(captures, directory, progress=progress, **options)
    warn_of_trouble(tables.captures)
    names = Names(as_of_captures(cluster, tables.captures))
    _show(tables, directory, names, output, top, connections=connections)
    if strict:
        refuse_damage(tables.captures)


def _write_windows(
    captures: tuple[Path, ...],
    directory: Path,
    every: float,
    options: TableOptions,
    output: Output,
    *,
    strict: bool,
) -> None:
    from analyzer.cli.trouble import refuse_damage, warn_of_trouble
    from analyzer.cli.windows import WindowPrinter
    from analyzer.pipeline import write_windows

    printer = WindowPrinter(output)
    write_windows(captures, directory, every=every, complete=printer, **options)
    warn_of_trouble(printer.captures)
    if strict:
        refuse_damage(printer.captures)


def _following(
    captures: tuple[Path, ...], follow: bool, seconds: float | None
) -> Following | None:
    """Say how reading ends, other than at the end of the captures."""
    if not follow and seconds is None:
        return None
    from analyzer.capture import compression_at
    from analyzer.capture.following import Following

    option = "'--follow'" if follow else "'--for'"
    if len(captures) > 1:
        raise click.BadParameter(
            f"reads one capture, not {len(captures)}; start one command for each",
            param_hint=option,
        )
    path = captures[0]
    if follow and path.is_file() and (compression := compression_at(path)):
        raise click.BadParameter(
            f"{path} is compressed ({compression}) and cannot be read while it grows;"
            " decompress it on the way: tail -c +1 -f FILE | zcat | analyze flows -",
            param_hint=option,
        )
    return Following(growing=follow, seconds=seconds)


def _show(
    tables: Tables,
    directory: Path,
    names: Names,
    output: Output,
    top: int | None,
    *,
    connections: bool,
) -> None:
    if not output.is_for_people:
        from analyzer.cli.flow_records import print_connection_records, print_records

        if connections:
            print_connection_records(tables.connections, output.format, top)
        else:
            print_records(tables.flows, names, output.format, top)
        click.echo(f"analyze: tables are in {printable(str(directory))}", err=True)
        return
    from analyzer.cli.connection_table import (
        print_connection_counts,
        print_connections,
    )
    from analyzer.cli.flow_table import print_counts, print_flows
    from analyzer.cli.summary import print_captures
    from analyzer.cli.top import top_flows

    path = tables.path("flows")
    found = top_flows(path, _TOP if top is None else top)
    print_captures(tables.captures, output)
    click.echo()
    made = tables.arrow("connections")
    print_connection_counts(made)
    print_connections(made, _TOP if top is None else top, output)
    click.echo()
    print_counts(found)
    print_flows(found, names, output)
    click.echo()
    click.echo(f"Tables are in {printable(str(directory))}; to go on:")
    click.echo(f"  {_next_command(tables.path('connections'))}")


def _next_command(path: Path) -> str:
    """Give a command that opens a table, as a shell takes it."""
    read = "read_parquet" if path.suffix == ".parquet" else "read_ipc"
    program = f"import polars as pl; print(pl.{read}({json.dumps(str(path))}))"
    return f"python3 -c {shlex.quote(program)}"
