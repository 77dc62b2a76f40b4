"""How much of a cluster's state an analyst may have: all, some of it, none."""

from __future__ import annotations

import itertools
import json
import shutil
from typing import TYPE_CHECKING

import polars as pl

import analyzer
from analyzer.cluster.inferred import as_objects, infer
from analyzer.correlate.services import SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from captures.score.claims import Row
    from captures.score.recording import Record, Recording

WHOLE, NONE, INFERRED = "yes", "no", "seen"
_SERVICE_LABEL = "kubernetes.io/service-name"


def _kept(
    recording: Recording, folder: Path, what: str, keep: Callable[[Record], bool]
) -> None:
    """Write kubectl's List without some of its items."""
    path = recording.directory / "cluster" / f"{what}.json"
    listing = json.loads(path.read_text())
    listing["items"] = [item for item in listing["items"] if keep(item)]
    (folder / path.name).write_text(json.dumps(listing))


def _copied(recording: Recording, folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in sorted((recording.directory / "cluster").glob(pattern)):
            shutil.copy(path, folder)


def _services(
    recording: Recording, folder: Path, keep: Callable[[int, str], bool]
) -> None:
    """Write nodes, pods, and some services with their endpoints."""
    path = recording.directory / "cluster" / "services.json"
    items = json.loads(path.read_text())["items"]
    names = [item["metadata"]["name"] for item in items]
    kept = {name for number, name in enumerate(names) if keep(number, name)}
    _copied(recording, folder, "nodes.json", "pods.json")
    _kept(recording, folder, "services", lambda item: item["metadata"]["name"] in kept)
    _kept(
        recording,
        folder,
        "endpointslices",
        lambda item: item["metadata"]["labels"][_SERVICE_LABEL] in kept,
    )


def _kubectl(recording: Recording, folder: Path) -> None:
    _services(recording, folder, lambda _number, _name: True)


def _one_service(recording: Recording, folder: Path) -> None:
    _services(recording, folder, lambda _number, name: name == "kubernetes")


def _some_services(recording: Recording, folder: Path) -> None:
    _services(recording, folder, lambda number, _name: number % 2 == 0)


def _first_services(recording: Recording, folder: Path) -> None:
    _services(recording, folder, lambda number, _name: number < 3)


def _no_services(recording: Recording, folder: Path) -> None:
    _copied(recording, folder, "nodes.json", "pods.json", "*.ip-addr.json")


def _only_services(recording: Recording, folder: Path) -> None:
    _copied(recording, folder, "services.json")


def _some_endpoints(recording: Recording, folder: Path) -> None:
    # Labels in pods.json would tell what the slices do not.
    _copied(recording, folder, "nodes.json", "pod-all-wide.txt", "services.json")
    numbers = itertools.count()
    _kept(recording, folder, "endpointslices", lambda _: next(numbers) % 2 == 0)


def _one_node(recording: Recording, folder: Path) -> None:
    node = recording.nodes[1]
    _copied(recording, folder, f"{node}.iptables-save.txt", f"{node}.nft*.json")


def _pods_of_a_node(recording: Recording, folder: Path) -> None:
    node = recording.nodes[1]
    _copied(recording, folder, "nodes.json", "services.json")
    _kept(recording, folder, "pods", lambda item: item["spec"]["nodeName"] == node)


def _namespace(recording: Recording, folder: Path) -> None:
    _copied(recording, folder, "node-wide.txt", "pod-wide.txt", "svc-wide.txt")


def _tables(recording: Recording, folder: Path) -> None:
    _copied(recording, folder, "node-wide.txt", "pod-all-wide.txt", "svc-all-wide.txt")


#: Kinds of partial state, and who writes the files that one has.
PARTIAL: dict[str, Callable[[Recording, Path], None]] = {
    "lists": _kubectl,
    "tables": _tables,
    "one-ns": _namespace,
    "half": _some_services,
    "first3": _first_services,
    "single": _one_service,
    "no-svc": _no_services,
    "svcs": _only_services,
    "slices": _some_endpoints,
    "rules": _one_node,
    "pods": _pods_of_a_node,
}
STATES = (WHOLE, NONE, *PARTIAL, INFERRED)


def files(
    name: str, recording: Recording, captures: Sequence[Path], folder: Path
) -> list[Path]:
    """Give the files of cluster state of a kind.

    Parameters
    ----------
    name : str
        One of ``STATES``.
    recording : Recording
    captures : sequence of Path
        What is analysed, and what state is inferred from.
    folder : Path
        Where files may be written.
    """
    if name == NONE:
        return []
    if name == WHOLE:
        return [recording.directory / "cluster"]
    target = folder / name
    if name == INFERRED:
        target.mkdir(exist_ok=True)
        tables = analyzer.build_tables(captures)
        objects = as_objects(infer(tables.flows, tables.connections))
        (target / "cluster.json").write_text(json.dumps(objects))
    elif not target.exists():
        target.mkdir()
        PARTIAL[name](recording, target)
    return [target]


def with_true_names(
    connections: pl.DataFrame, inferred: analyzer.Cluster, recording: Recording
) -> pl.DataFrame:
    """Put the truth's names in the place of those that were made up from addresses.

    A service has its name from where it answers, a pod from its address. What the
    recorded cluster does not have there keeps the name that was made up.
    """
    state = analyzer.Cluster.load([recording.directory / "cluster"])
    fronts = ("address", "port", "protocol")
    made_up = {
        f"{row['service_namespace']}/{row['service_name']}": tuple(
            row[name] for name in fronts
        )
        for row in inferred.service_table().iter_rows(named=True)
    }
    truly = {
        tuple(row[name] for name in fronts): row
        for row in state.service_table().iter_rows(named=True)
    }
    services = {old: truly[at] for old, at in made_up.items() if at in truly}
    addresses = state.address_table().filter(pl.col("kind") == "pod")
    pods = {
        row["address"]: (row["name"], row["namespace"])
        for row in addresses.iter_rows(named=True)
    }

    def renamed(row: Row) -> Row:
        service = services.get(f"{row['service_namespace']}/{row['service_name']}")
        if service is not None:
            row |= {name: service[name] for name in SERVICE}
        for end in ("client", "backend"):
            if row[f"{end}_pod"] is not None and row[f"{end}_ip"] in pods:
                row[f"{end}_pod"], row[f"{end}_namespace"] = pods[row[f"{end}_ip"]]
        if row["candidates"]:
            row["candidates"] = [
                "{service_namespace}/{service_name}".format(**services[each])
                if each in services
                else each
                for each in row["candidates"]
            ]
        return row

    rows = [renamed(row) for row in connections.iter_rows(named=True)]
    return pl.DataFrame(rows, schema=connections.schema)
