"""What really happened: one record per connection, from conntrack alone.

Every node's entries are joined into chains (conntrack.py), each chain is named
with the cluster's objects, and the servers' logs are held against the result. No
capture is read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from captures.testbed import conntrack, logs, netns, paths
from captures.testbed.cluster import NODES, Cluster, Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from captures.testbed.capture import Capture
    from captures.testbed.conntrack import Entry, Tuple
    from captures.testbed.traffic import Done, Report

Record = dict[str, Any]


def records(
    name: str,
    cluster: Cluster,
    directory: Path,
    captures: Sequence[Capture],
    operations: Sequence[Done],
    capture_start: float,
) -> list[Record]:
    """Build a scenario's truth from the files under ``directory``.

    Parameters
    ----------
    name : str
        The scenario's name, which begins every record's id.
    cluster : Cluster
        The objects, with every Service that ever existed during the run.
    directory : Path
        Holds ``conntrack/NODE.events.txt`` and ``NODE.list.txt``.
    captures : sequence of Capture
        Which devices were recorded into which files.
    operations : sequence of Done
        What was run, and what its clients reported.
    capture_start : float
        When the last capture was ready, in seconds since 1970.

    Returns
    -------
    list of dict
        One per connection in order of time; ``captures/cluster/README.md`` tells
        the fields.
    """
    where = paths.Map(cluster)
    by_node = {node.name: read_entries(directory, node.name) for node in NODES}
    chains = conntrack.join(by_node, where.home)
    told_by = {id(r): done for done in operations for r in done.reports}
    reports = [report for done in operations for report in done.reports]
    found = []
    for chain in chains:
        record = describe(chain, cluster, where)
        report = matching(reports, record, chain[0].start)
        record["op"] = operation_of(record, operations)
        if report is not None:
            reports.remove(report)
            record["op"] = told_by[id(report)].note
            if record["outcome"] == "no-answer" or report.outcome == "rejected-icmp":
                record["outcome"] = report.outcome
        found.append(record)
    # REJECT drops the packet before conntrack confirms it: the only witness is the
    # client, which was told by ICMP or RST at once.
    found += [
        by_hand(report, cluster, where) | {"op": told_by[id(report)].note}
        for report in reports
        if report.outcome == "rejected-icmp"
    ]
    found.sort(key=lambda record: record["start"])
    for number, record in enumerate(found):
        record["id"] = f"{name}-{number:05d}"
        record["open_before_capture"] = record["start"] < capture_start
        record["captures"] = captured_in(record, record.pop("sightings"), captures)
    return [{"id": record["id"], **record} for record in found]


def read_entries(directory: Path, node: str) -> list[Entry]:
    """Read one node's conntrack files."""
    events = directory / "conntrack" / f"{node}.events.txt"
    final = directory / "conntrack" / f"{node}.list.txt"
    return conntrack.entries(
        node, events.read_text().splitlines(), final.read_text().splitlines()
    )


def describe(chain: list[Entry], cluster: Cluster, where: paths.Map) -> Record:
    """Name a chain of entries with the cluster's objects."""
    first, last = chain[0], chain[-1]
    entry = next((e for e in chain if e.translates_destination), first)
    tuples = paths.tuples_of(chain)
    client = where.place(first.original.src)
    kind, service, port_name = addressed(cluster, first.protocol, entry.original)
    backend = backend_of(cluster, where, service, last)
    hairpin = client.kind == "pod" and client.name == backend["pod"]
    changed = last.sent_on[:2] != first.original[:2]
    return {
        "proto": first.protocol,
        "start": first.start,
        "client": {
            "ip": first.original.src,
            "port": port(first, first.original.sport),
            "kind": "host" if client.kind == "node" else client.kind,
            "name": client.name,
            "node": client.node,
        },
        "dst": {
            "ip": first.original.dst,
            "port": port(first, first.original.dport),
        },
        "kind": "hairpin" if hairpin and service else kind,
        "vip_kind": kind,
        "hairpin": hairpin,
        "service": service.full_name if service else None,
        "service_port": port_name,
        "entry_node": entry.node,
        "snat": {"ip": last.sent_on.src, "port": port(last, last.sent_on.sport)}
        if changed
        else None,
        "backend": backend,
        "outcome": outcome(entry),
        "state": entry.states[-1] if entry.states else None,
        "packets": {"orig": entry.packets[0], "reply": entry.packets[1]},
        "bytes": {"orig": entry.bytes[0], "reply": entry.bytes[1]},
        "requests": None,
        "response_bytes": None,
        "tuples": [tuple_json(first.protocol, t) for t in tuples],
        "hops": [hop_json(e) for e in chain],
        "sightings": paths.sightings(chain, where),
    }


def port(entry: Entry, number: int) -> int | None:
    """Return a port; ICMP has none."""
    return None if entry.protocol.startswith("icmp") else number


def tuple_json(protocol: str, t: Tuple) -> Record:
    """Write a tuple; ICMP's id takes the place of ports."""
    if protocol.startswith("icmp"):
        return {"src": t.src, "dst": t.dst, "icmp_id": t.sport}
    return {"src": t.src, "sport": t.sport, "dst": t.dst, "dport": t.dport}


def hop_json(entry: Entry) -> Record:
    """Write one node's conntrack entry."""
    return {
        "node": entry.node,
        "ct_id": entry.id,
        "time": entry.start,
        "orig": tuple_json(entry.protocol, entry.original),
        "sent_on": tuple_json(entry.protocol, entry.sent_on),
        "packets": {"orig": entry.packets[0], "reply": entry.packets[1]},
        "bytes": {"orig": entry.bytes[0], "reply": entry.bytes[1]},
    }


def addressed(
    cluster: Cluster, protocol: str, original: Tuple
) -> tuple[str, Service | None, str | None]:
    """Find the Service port that a tuple addresses: kind, Service, port name."""
    nodes = {node.address(family) for node in NODES for family in ("IPv4", "IPv6")}
    for service in cluster.services:
        for service_port in service.ports:
            if service_port.protocol != protocol:
                continue
            for family in cluster.families:
                address = (original.dst, original.dport)
                if address == (service.vip(family), service_port.port):
                    return "ClusterIP", service, service_port.name or None
                if address == (service.external_ip(family), service_port.port):
                    return "LoadBalancer", service, service_port.name or None
            if original.dst in nodes and original.dport == service_port.node_port:
                return "NodePort", service, service_port.name or None
    return "direct", None, None


def backend_of(
    cluster: Cluster, where: paths.Map, service: Service | None, entry: Entry
) -> Record:
    """Name who got the connection."""
    last = entry.sent_on
    place = where.place(last.dst)
    pod = place.name if place.kind == "pod" else None
    kind = place.kind
    if place.kind == "node":
        for candidate in cluster.services if service is None else (service,):
            for service_port in candidate.ports:
                for family in cluster.families:
                    for endpoint in cluster.endpoints(candidate, service_port, family):
                        if endpoint.pod and (endpoint.ip, endpoint.port) == last[2:]:
                            pod, kind = endpoint.pod, "host-network"
    return {
        "ip": last.dst,
        "port": port(entry, last.dport),
        "pod": pod,
        "kind": kind,
        "node": place.node,
    }


def outcome(entry: Entry) -> str:
    """Say how a connection ended, as far as conntrack can tell."""
    if entry.protocol != "tcp":
        return "ok" if entry.packets[1] else "no-answer"
    if "ESTABLISHED" in entry.states or entry.packets[1] > 1:
        return "ok"
    return "refused" if entry.packets[1] or "CLOSE" in entry.states else "no-answer"


def matching(reports: list[Report], record: Record, start: float) -> Report | None:
    """Find the client's report of a connection: same tuple, nearest in time."""
    client, dst = record["client"], record["dst"]
    key = (client["ip"], client["port"], dst["ip"], dst["port"])
    fitting = [r for r in reports if r.protocol == record["proto"] and r.tuple == key]
    return min(fitting, key=lambda r: abs(r.time - start), default=None)


def by_hand(report: Report, cluster: Cluster, where: paths.Map) -> Record:
    """Describe a refused connection of which conntrack kept no entry."""
    original = conntrack.Tuple(*report.tuple)
    client = where.place(original.src)
    kind, service, port_name = addressed(cluster, report.protocol, original)
    node = client.node
    if node is None:
        place = where.place(original.dst)
        node = place.node or cluster.announcers.get(original.dst)
    if node is None:
        raise netns.TestbedError(f"{report}: rejected by no node of ours")
    entry = conntrack.Entry(
        node, "", report.protocol, original, original.reversed(), report.time
    )
    seen = paths.sightings([entry], where)
    # It came to this node and no further.
    last = next((i for i, s in enumerate(seen) if s.host == node), -1)
    reached = [] if client.kind == "node" else seen[: last + 1]
    record = describe([entry], cluster, where)
    return record | {
        "kind": kind,
        "service": service.full_name if service else None,
        "service_port": port_name,
        "backend": {
            "ip": None,
            "port": None,
            "pod": None,
            "kind": "none",
            "node": None,
        },
        "outcome": report.outcome,
        "state": None,
        "packets": {"orig": 1, "reply": 0},
        "bytes": {"orig": None, "reply": None},
        "hops": [],
        "by_hand": True,
        "sightings": reached,
    }


def captured_in(
    record: Record, seen: Sequence[paths.Sighting], captures: Sequence[Capture]
) -> Record:
    """List the files that must show a connection."""
    tuples = record["tuples"]
    original = (tuples[0]["dst"], tuples[0].get("dport"))
    dnat_at = next(
        (i for i, t in enumerate(tuples) if (t["dst"], t.get("dport")) != original),
        len(tuples),
    )
    rows: list[Record] = []
    lists: dict[str, list[str]] = {
        "pre_dnat": [],
        "post_dnat": [],
        "encapsulated": [],
        "direct": [],
    }
    for sighting in seen:
        for capture in captures:
            if not capture.shows(sighting.host, sighting.interface):
                continue
            row = {
                "file": capture.file,
                "tuple": sighting.tuple,
                "encapsulated": sighting.encapsulated,
            }
            if row in rows:
                continue
            rows.append(row)
            if sighting.encapsulated:
                group = "encapsulated"
            elif not record["service"]:
                group = "direct"
            elif sighting.tuple < dnat_at:
                group = "pre_dnat"
            else:
                group = "post_dnat"
            if capture.file not in lists[group]:
                lists[group].append(capture.file)
    return {**lists, "seen": rows}


def operation_of(record: Record, operations: Sequence[Done]) -> str | None:
    """Name the command during which a client opened a connection."""
    return next(
        (
            done.note
            for done in operations
            if done.netns == record["client"]["name"]
            and done.start <= record["start"] <= done.end
        ),
        None,
    )


def check_logs(truth: list[Record], cluster: Cluster, directory: Path) -> list[str]:
    """Hold the truth against the servers' logs; return every disagreement."""
    seen: dict[str, list[logs.Visit]] = {}
    for pod in cluster.pods:
        if pod.server is None or pod.server == "client":
            continue
        lines = (directory / "logs" / f"{pod.name}.log").read_text().splitlines()
        seen[pod.name] = logs.visits(pod.name, pod.server, lines)
    return logs.attach(truth, seen)


def summary(truth: Iterable[Record]) -> Mapping[str, Mapping[str, Record]]:
    """Add up per Service and kind, and per pod: connections, requests, bytes."""
    totals: dict[str, dict[str, Record]] = {}
    for record in truth:
        pod = record["backend"]["pod"]
        if record["service"] is None or pod is None or record["outcome"] != "ok":
            continue
        key = f"{record['service']} {record['vip_kind']}"
        total = totals.setdefault(key, {}).setdefault(
            pod, {"connections": 0, "requests": 0, "bytes_to_client": 0}
        )
        total["connections"] += 1
        total["requests"] += record["requests"] or 0
        total["bytes_to_client"] += record["bytes"]["reply"] or 0
    return totals
