"""``analyze cluster``: what cluster state says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.cluster_nodes import (
    conntrack_records,
    print_conntrack,
    print_rules,
)
from analyzer.cli.format import plural
from analyzer.cli.options import file_option
from analyzer.cli.output import Output, output_options
from analyzer.cli.sparse import print_known
from analyzer.cli.table import Column, Forms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.cluster import Cluster, Endpoint, Remark, Service, ServicePort

_SHORT_NAMES = {
    "DaemonSet": "ds",
    "Deployment": "deploy",
    "ReplicaSet": "rs",
    "StatefulSet": "sts",
}


@click.group()
def cluster() -> None:
    """Show what cluster state says.

    Cluster state is what kubectl prints, and on each node ip addr, iptables-save, nft,
    ipvsadm and conntrack, saved in files: as JSON, YAML or text, also as a terminal
    session or a Markdown page. Every command that takes --cluster reads it; this one
    shows what it makes of it.

    \b
    Examples:
      analyze cluster show captures/reference
    """


@cluster.command()
@click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
)
@file_option(
    "file", "Write what captures tell as cluster state (JSON) that --cluster reads."
)
@output_options
def show(paths: tuple[Path, ...], file: Path | None, output: Output) -> None:
    """Show what was understood of cluster state, and what was not.

    Prints nodes, pods, services, endpoints, what each node's kube-proxy and conntrack
    say, what of it is all there is, and files. PATH is a file or a directory of files,
    named anyhow: what they hold decides. In JSON and CSV, the field "kind" says what a
    row is about.

    Of captures (files, directories without cluster state, or - for standard input),
    shows what the packets tell without any: nodes, their tunnels, pods and blocks, and
    the addresses that led elsewhere. That is inferred, and so marked.

    \b
    Examples:
      analyze cluster show captures/reference/services-round-3.txt
      analyze cluster show captures/cluster/nodeport/cluster
      analyze cluster show --json captures/reference
      analyze cluster show captures/tunnels/vxlan_nodeport.pcap
    """
    from analyzer.cli.inferred import captures_among, show_inferred

    if captures := captures_among(paths):
        show_inferred(captures, file, output)
        return
    if file is not None:
        raise click.UsageError(
            "-o writes what captures tell: name captures, not cluster state"
        )
    from analyzer.cluster import Cluster

    state = Cluster.load(paths)
    if output.is_for_people:
        _print_tables(state, output)
        return
    records = list(_records(state))
    if output.format == "csv":  # one heading for all
        names = list(dict.fromkeys(name for record in records for name in record))
        rows = [[record.get(name) for name in names] for record in records]
        output.rows("cluster", names, rows)
        return
    for record in records:
        output.rows("cluster", list(record), [list(record.values())])


def _records(state: Cluster) -> Iterator[dict[str, Any]]:
    """Describe each object, source and remark by its fields."""
    for kind, things in (
        ("node", state.nodes),
        ("pod", state.pods),
        ("service", state.services),
        ("endpoint", state.endpoints),
        ("interface", state.interfaces),
        ("rule", state.rules),
    ):
        for thing in things:
            record = dataclasses.asdict(thing)
            if kind == "rule":
                record["address_kind"] = record.pop("kind")
            record = {"kind": kind, **record}
            for name in ("labels", "selector"):
                if record.get(name) is not None:
                    record[name] = dict(record[name])
            yield record
    yield from conntrack_records(state)
    yield {
        "kind": "known_in_full",
        **{
            f"{name}_of_ip_versions": sorted(getattr(state.extent, name))
            for name in ("lists", "rules", "pods", "nodes")
        },
    }
    for source in state.sources:
        yield {
            "kind": "source",
            "path": source.path,
            "line": source.line,
            "taken_for": source.kind,
            "objects": source.objects,
            "used": source.used,
        }
    for source in state.sources:
        for remark in source.remarks:
            yield {"kind": "remark", "path": source.path, **dataclasses.asdict(remark)}


def _print_tables(state: Cluster, output: Output) -> None:
    for print_table in (
        _print_nodes,
        _print_pods,
        _print_services,
        _print_endpoints,
        print_rules,
        print_conntrack,
        _print_extent,
        _print_files,
    ):
        print_table(state, output)
        output.text()
    _print_remarks(state, output)


def _print_nodes(state: Cluster, output: Output) -> None:
    print_known(
        output,
        plural(len(state.nodes), "node"),
        [
            Column("node", is_essential=True),
            Column("internal_ip", is_essential=True),
            Column("tunnel_ip"),
            Column("vtep_mac"),
            Column("pod_cidr"),
        ],
        [
            (
                node.name,
                node.internal_ips,
                node.tunnel_ips,
                node.vtep_mac,
                node.pod_cidrs,
            )
            for node in state.nodes
        ],
        narrowing=("pod_cidr",),
    )


def _print_pods(state: Cluster, output: Output) -> None:
    print_known(
        output,
        plural(len(state.pods), "pod"),
        [
            Column("namespace"),
            Column("pod", is_essential=True),
            Column("address", is_essential=True),
            Column("node"),
            Column("workload", _workload_forms),
            Column("state", _state_forms),
        ],
        [
            (
                pod.namespace,
                pod.name,
                pod.ips,
                pod.node,
                pod.workload,
                (pod.phase, pod.host_network),
            )
            for pod in state.pods
        ],
        narrowing=("state", "workload", "state"),
    )


def _print_services(state: Cluster, output: Output) -> None:
    print_known(
        output,
        plural(len(state.services), "service"),
        [
            Column("namespace"),
            Column("service", is_essential=True),
            Column("type"),
            Column("cluster_ip", is_essential=True),
            Column("external_ip"),
            Column("ports", _ports_forms),
            Column("endpoints"),
        ],
        [
            (
                service.namespace,
                service.name,
                service.type,
                service.cluster_ips or ("headless" if service.headless else None),
                service.external_ips or service.external_name,
                [_port(port) for port in service.ports],
                _count_of_endpoints(state, service),
            )
            for service in state.services
        ],
        narrowing=("type", "ports", "endpoints", "namespace"),
    )


def _print_endpoints(state: Cluster, output: Output) -> None:
    """Print a row for each address: a service's ports are mostly the same on all."""
    by_address: dict[tuple[str, str, str], list[Endpoint]] = {}
    for item in state.endpoints:
        key = (item.namespace, item.service, item.address)
        by_address.setdefault(key, []).append(item)
    all_ready = all(item.ready for item in state.endpoints)
    print_known(
        output,
        plural(len(by_address), "endpoint"),
        [
            Column("namespace"),
            Column("service", is_essential=True),
            Column("address", is_essential=True),
            Column("ports", _ports_forms),
            Column("pod"),
            Column("node"),
            Column("ready"),
        ],
        [
            (
                *key,
                [_target(item) for item in items],
                first.pod,
                first.node,
                None if all_ready else first.ready,
            )
            for key, items in by_address.items()
            for first in items[:1]
        ],
        narrowing=("ports", "namespace", "ready"),
    )


def _print_files(state: Cluster, output: Output) -> None:
    objects: dict[tuple[str, str, bool], int] = {}
    for source in state.sources:
        key = (source.path, source.kind, source.used)
        objects[key] = objects.get(key, 0) + source.objects
    print_known(
        output,
        plural(len({source.path for source in state.sources}), "file"),
        [
            Column("file", _path_forms, is_essential=True),
            Column("taken_for", is_essential=True),
            Column("objects", align_right=True),
            Column("used"),
        ],
        [(path, kind, count, used) for (path, kind, used), count in objects.items()],
        narrowing=("file",),
    )


def _print_extent(state: Cluster, output: Output) -> None:
    extent = state.extent
    print_known(
        output,
        "known in full",
        [Column("what", is_essential=True), Column("of", is_essential=True)],
        [
            (name, _versions_text(versions))
            for name, versions in (
                ("services, by lists", extent.lists),
                ("services, by rules", extent.rules),
                ("pods", extent.pods),
                ("nodes", extent.nodes),
            )
        ],
        narrowing=(),
    )


def _versions_text(versions: frozenset[int]) -> str | None:
    return " and ".join(f"IPv{version}" for version in sorted(versions)) or None


def _print_remarks(state: Cluster, output: Output) -> None:
    remarks = [
        (f"{source.path}:{_lines(remark)}", remark.text, remark.reason)
        for source in state.sources
        for remark in source.remarks
    ]
    print_known(
        output,
        "not understood",
        [
            Column("where", _path_forms, is_essential=True),
            Column("what", is_essential=True),
            Column("why", is_essential=True),
        ],
        remarks,
        narrowing=("where",),
    )


def _path_forms(path: str) -> Forms:
    return path, Path(path).name


def _workload_forms(workload: str | None) -> Forms:
    """Write ``DaemonSet/nginx-ds``, or with kubectl's short name ``ds/nginx-ds``."""
    if workload is None:
        return "-"
    kind, _, name = workload.partition("/")
    return workload, f"{_SHORT_NAMES.get(kind, kind)}/{name}"


def _state_forms(state: tuple[str | None, bool]) -> Forms:
    phase, host_network = state
    if not host_network:
        return phase or "-"
    return f"{phase or 'Running'}, host network", "host network"


def _ports_forms(ports: list[str]) -> Forms:
    if len(ports) < 2:
        return ports[0] if ports else "-"
    return ", ".join(ports), f"{ports[0]} +{len(ports) - 1}"


def _port(port: ServicePort) -> str:
    """Write a port as kubectl does: ``80/TCP``, ``80:30080/TCP``."""
    node_port = f":{port.node_port}" if port.node_port else ""
    return f"{port.port}{node_port}/{port.protocol.upper()}"


def _count_of_endpoints(state: Cluster, service: Service) -> str:
    """Count addresses rather than endpoints, of which each port is one."""
    endpoints = state.endpoints_of(service)
    if endpoints is None:
        return "not known"
    ready = {item.address for item in endpoints if item.ready}
    every = {item.address for item in endpoints}
    return str(len(every)) if ready == every else f"{len(ready)} of {len(every)} ready"


def _target(item: Endpoint) -> str:
    port = "any" if item.port is None else str(item.port)
    return f"{port}/{item.protocol.upper()}" if item.protocol else port


def _lines(remark: Remark) -> str:
    if remark.lines == 1:
        return str(remark.line)
    return f"{remark.line}-{remark.line + remark.lines - 1}"
