"""Show what captures tell of a cluster, without any cluster state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from analyzer.capture import is_capture
from analyzer.cli import format as say
from analyzer.cli.captures import STDIN, find_captures
from analyzer.cli.table import Column, number
from analyzer.errors import AnalyzerError, CaptureError, ClusterError

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.cli.output import Output
    from analyzer.cli.table import Forms
    from analyzer.cluster.inferred import Inferred, InferredService


def captures_among(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Give the captures that were named, none if it is cluster state that was.

    A directory is one of captures if it has some and nothing in it is cluster state;
    standard input always is a capture.

    Raises
    ------
    ClusterError
        If captures and others were named.
    """
    of_captures = [_holds_captures(path) for path in paths]
    if not any(of_captures):
        return ()
    if not all(of_captures):
        other = paths[of_captures.index(False)]
        raise ClusterError(
            f"{other}: not a capture, but others are",
            hint="show captures or cluster state, not both at once",
        )
    return find_captures(map(str, paths))


def _holds_captures(path: Path) -> bool:
    if path == STDIN:
        return True
    if not path.is_dir():
        return _is_capture(path)
    if not any(_is_capture(file) for file in path.iterdir() if file.is_file()):
        return False
    from analyzer.cluster import Cluster

    return not any(source.used for source in Cluster.load([path]).sources)


def _is_capture(path: Path) -> bool:
    """Take what cannot be read for none: whoever reads it says why."""
    try:
        return is_capture(path)
    except (OSError, CaptureError):
        return False


def show_inferred(
    captures: tuple[Path, ...], file: Path | None, output: Output
) -> None:
    """Print what captures tell, and write it as cluster state if asked to."""
    from analyzer.cluster.inferred import as_objects, infer
    from analyzer.pipeline import build_tables

    tables = build_tables(captures)
    inferred = infer(tables.flows, tables.connections)
    if output.is_for_people:
        _print(inferred, output)
    else:
        _print_records(inferred, output)
    if file is not None:
        text = json.dumps(as_objects(inferred), indent=2) + "\n"
        try:
            file.write_text(text)
        except OSError as error:
            raise AnalyzerError(
                f"{file}: {(error.strerror or str(error)).lower()}",
                hint="name another file with -o",
            ) from None
        click.echo(f"analyze: cluster state, inferred, is in {file}", err=True)


def _print(inferred: Inferred, output: Output) -> None:
    output.rows(
        f"{say.plural(len(inferred.nodes), 'node')}"
        " (inferred from packets; pod blocks are a guess)",
        [
            Column("node", is_essential=True),
            "addresses",
            "tunnel_ips",
            "pod_blocks",
            "pods",
            "vnis",
        ],
        [
            (
                node.name,
                node.addresses,
                node.tunnel_ips,
                node.pod_blocks,
                len(node.pods),
                node.vnis,
            )
            for node in inferred.nodes
        ],
    )
    output.text()
    fronts = "address" if len(inferred.services) == 1 else "addresses"
    output.rows(
        f"{len(inferred.services)} {fronts} that led elsewhere (inferred from packets)",
        [
            Column("address", is_essential=True),
            "protocol",
            "kind",
            Column("backends", _list_forms, is_essential=True),
            number("connections", say.count),
        ],
        [
            (
                say.endpoint(service.address, service.port),
                service.protocol,
                service.kind,
                _backends(service),
                service.connections,
            )
            for service in inferred.services
        ],
        narrowing=("backends",),
    )


def _list_forms(texts: list[str]) -> Forms:
    if len(texts) < 2:
        return ", ".join(texts)
    return ", ".join(texts), f"{texts[0]} +{len(texts) - 1}"


def _backends(service: InferredService) -> list[str]:
    return [say.endpoint(*backend) for backend in service.backends]


def _print_records(inferred: Inferred, output: Output) -> None:
    names = (
        "kind",
        "is_inferred",
        "name",
        "addresses",
        "tunnel_ips",
        "pod_blocks",
        "pods",
        "vnis",
        "address",
        "port",
        "protocol",
        "address_kind",
        "backends",
        "connections",
    )
    records = [
        {
            "kind": "node",
            "name": node.name,
            "addresses": node.addresses,
            "tunnel_ips": node.tunnel_ips,
            "pod_blocks": node.pod_blocks,
            "pods": node.pods,
            "vnis": node.vnis,
        }
        for node in inferred.nodes
    ] + [
        {
            "kind": "service",
            "address": service.address,
            "port": service.port,
            "protocol": service.protocol,
            "address_kind": service.kind,
            "backends": _backends(service),
            "connections": service.connections,
        }
        for service in inferred.services
    ]
    rows = [
        [True if name == "is_inferred" else record.get(name) for name in names]
        for record in records
    ]
    output.rows("cluster", names, rows)
