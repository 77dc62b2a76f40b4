"""One scenario from the first namespace to the last file."""

from __future__ import annotations

import copy
import gzip
import json
import shutil
import time
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from captures.testbed import (
    capture,
    clocks,
    conntrack,
    drops,
    kubeproxy,
    netns,
    observed,
    scenarios,
    servers,
    state,
    topology,
    traffic,
    truth,
)
from captures.testbed.cluster import NODES, Cluster

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from captures.testbed.kubeproxy import Mode
    from captures.testbed.scenarios import Scenario
    from captures.testbed.traffic import Done

ATTEMPTS = 3  # a truth with a hole is no truth, and waiting does not fill it


def up(cluster: Cluster, mode: Mode, *, offload: bool = True) -> dict[str, float]:
    """Build a cluster and start its servers; say how long each part took."""
    began = time.monotonic()
    netns.prepare()
    topology.build(cluster, offload=offload)
    kubeproxy.sync(cluster, mode)
    built = time.monotonic()
    servers.start(cluster)
    return {
        "network_s": round(built - began, 2),
        "servers_s": round(time.monotonic() - built, 2),
    }


def record(
    scenario: Scenario,
    destination: Path,
    mode: Mode | None = None,
    wrong_clocks: Mapping[str, clocks.Clock] = MappingProxyType({}),
) -> None:
    """Build the cluster, drive the traffic, and write everything that it left.

    Parameters
    ----------
    scenario : Scenario
        What to do.
    destination : Path
        The directory to write; a recording that is there already is replaced.
    mode : {"iptables", "nftables"}, optional
        kube-proxy's mode; by default the scenario's.
    wrong_clocks : mapping, optional
        Host to clock: that host's captures show another time. The times in
        ``truth.jsonl`` and ``observed.jsonl`` stay right.

    Raises
    ------
    TestbedError
        If a capture lost packets, or if conntrack, the servers' logs and the
        captures do not agree on every connection.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            work = attempt_to_record(scenario, mode or scenario.mode, wrong_clocks)
        except netns.LostEventsError:
            if attempt == ATTEMPTS:
                raise
        else:
            publish(work, destination)
            return


def attempt_to_record(
    scenario: Scenario, mode: Mode, wrong_clocks: Mapping[str, clocks.Clock]
) -> Path:
    """Record a scenario from scratch; return the directory that holds it."""
    took = up(scenario.cluster, mode, offload=scenario.offload)
    work = netns.RUN_DIRECTORY / "recording"
    (work / "conntrack").mkdir(parents=True)
    (work / "logs").mkdir()

    watchers = [
        conntrack.Watcher(node.name, work / "conntrack" / f"{node.name}.events.txt")
        for node in NODES
    ]
    if scenario.is_state_old:
        state.write(scenario.cluster, work / "cluster", mode)
    background = [traffic.start(operation) for operation in scenario.before_capture]
    taken = copy.deepcopy(list(scenario.captures))
    capture_start = capture.start(taken, work)
    began = time.monotonic()
    done, final_cluster, changes = perform(scenario, mode, background)
    took["traffic_s"] = round(time.monotonic() - began, 2)
    reports = capture.stop(taken, work)
    finish_conntrack(watchers, scenario.cluster, work)
    collect_logs(scenario.cluster, work)
    if not scenario.is_state_old:
        state.write(final_cluster, work / "cluster", mode)

    records = truth.records(
        scenario.name, scenario.cluster, work, taken, done, capture_start
    )
    problems = truth.check_logs(records, scenario.cluster, work)
    dropping = [step for step in scenario.steps if isinstance(step, drops.Drop)]
    problems += drops.attach(records, dropping)
    rows, disagreements = observed.observe(
        records, [work / c.file for c in taken], state.interface_names()
    )
    observed.write_jsonl(work / "truth.jsonl", records)
    observed.write_jsonl(work / "observed.jsonl", rows)
    observed.write_jsonl(work / "ops.jsonl", [d.as_json() for d in done])
    write_json(work / "summary.json", truth.summary(records))
    write_json(
        work / "scenario.json",
        {
            "scenario": scenario.name,
            "title": scenario.title,
            "proxy_mode": mode,
            "offload": scenario.offload,
            "ipv6": scenario.cluster.ipv6,
            "took": took,
            "capture_start": capture_start,
            "changes": changes,
            "clocks": {host: asdict(clock) for host, clock in wrong_clocks.items()},
            "announcers": scenario.cluster.announcers or None,
            "captures": reports,
        },
    )
    problems += disagreements
    if problems:
        shown = "\n  ".join(problems[:20])
        raise netns.TestbedError(
            f"{scenario.name}: {len(problems)} disagreements:\n  {shown}"
        )
    for item in taken:
        if item.host in wrong_clocks:
            clocks.shift(work / item.file, wrong_clocks[item.host], capture_start)
        compress(work / item.file)
    return work


def perform(
    scenario: Scenario,
    mode: Mode,
    background: Sequence[traffic.Running],
) -> tuple[list[Done], Cluster, list[dict[str, Any]]]:
    """Do the scenario's steps; return what was done and what changed meanwhile."""
    done: list[Done] = []
    running = [*background]
    cluster = scenario.cluster
    changes: list[dict[str, Any]] = []
    for step in scenario.steps:
        if isinstance(step, scenarios.Pause):
            time.sleep(step.seconds)
        elif isinstance(step, scenarios.Resync):
            before, cluster = cluster, cluster.with_service(step.service)
            kubeproxy.sync(cluster, mode, before)
            changes.append({"time": time.time(), "note": step.note})
        elif isinstance(step, scenarios.Background):
            running.append(traffic.start(step.operation))
        elif isinstance(step, scenarios.Setting):
            netns.sysctl(step.host, {step.key: step.value})
        elif isinstance(step, drops.Drop):
            drops.install(step)
        else:
            done.append(traffic.run(step))
    done += [each.wait() for each in running]
    return done, cluster, changes


def finish_conntrack(
    watchers: Sequence[conntrack.Watcher], cluster: Cluster, work: Path
) -> None:
    """Take every node's final list, then end the watchers."""
    for watcher in watchers:
        path = work / "conntrack" / f"{watcher.node}.list.txt"
        path.write_text(conntrack.listing(watcher.node, cluster.families))
        watcher.stop()


def collect_logs(cluster: Cluster, work: Path) -> None:
    """Copy every server's log."""
    for pod in cluster.pods:
        source = netns.RUN_DIRECTORY / "pods" / pod.name / "access.log"
        if source.exists():
            shutil.copyfile(source, work / "logs" / f"{pod.name}.log")


def write_json(path: Path, value: object) -> None:
    """Write one indented JSON document."""
    path.write_text(json.dumps(value, indent=1) + "\n")


def compress(path: Path) -> None:
    """Replace a capture by its gzip form, the same bytes for the same packets."""
    with (
        path.open("rb") as plain,
        path.with_name(path.name + ".gz").open("wb") as out,
        gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed,
    ):
        shutil.copyfileobj(plain, packed)
    path.unlink()


def publish(work: Path, destination: Path) -> None:
    """Put a finished recording in its place; a README there stays."""
    destination.mkdir(parents=True, exist_ok=True)
    for old in destination.iterdir():
        if old.name == "README.md":
            continue
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    shutil.copytree(work, destination, dirs_exist_ok=True)
