"""A connections table as a flawless correlation would make it, told by the truth."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import polars as pl

from captures.score.claims import DESTINATION_KINDS, Shown
from captures.score.measures import device_of
from captures.score.owners import attribute

if TYPE_CHECKING:
    from captures.score.classes import Subject
    from captures.score.recording import Recording

Row = dict[str, Any]

COLUMNS = {
    "connection_id": pl.UInt64,
    "protocol": pl.String,
    "client_ip": pl.String,
    "client_port": pl.UInt16,
    "destination_ip": pl.String,
    "destination_port": pl.UInt16,
    "destination_kind": pl.String,
    "service_namespace": pl.String,
    "service_name": pl.String,
    "service_port_name": pl.String,
    "entry_node": pl.String,
    "snat_ip": pl.String,
    "snat_port": pl.UInt16,
    "backend_ip": pl.String,
    "backend_port": pl.UInt16,
    "backend_pod": pl.String,
    "backend_namespace": pl.String,
    "backend_workload": pl.String,
    "backend_node": pl.String,
    "client_pod": pl.String,
    "client_namespace": pl.String,
    "client_node": pl.String,
    "is_hairpin": pl.Boolean,
    "client_packets": pl.UInt64,
    "backend_packets": pl.UInt64,
    "client_bytes": pl.UInt64,
    "backend_bytes": pl.UInt64,
    "backend_payload_bytes": pl.UInt64,
    "requests": pl.UInt64,
    "tcp_state": pl.String,
    "service_evidence": pl.String,
    "backend_evidence": pl.String,
    "candidates": pl.List(pl.String),
    "flow_ids": pl.List(pl.UInt64),
    "points": pl.List(pl.String),
}
STATES = {"ok": "SF", "refused": "REJ", "no-answer": "S0"}


def table(rows: list[Row]) -> pl.DataFrame:
    """Make a connections table of rows."""
    return pl.DataFrame(rows, schema=COLUMNS, strict=False)


HOP_COLUMNS = {
    "connection_id": pl.UInt64,
    "direction": pl.String,
    "from_point": pl.String,
    "to_point": pl.String,
    "latency_p50": pl.Duration("ns"),
    "latency_p99": pl.Duration("ns"),
    "clock_bound": pl.Duration("ns"),
    "lost_segments": pl.UInt64,
    "capture_loss": pl.Boolean,
}


def hop_table(rows: list[Row]) -> pl.DataFrame:
    """Make a hops table of rows."""
    return pl.DataFrame(rows, schema=HOP_COLUMNS)


def told_rows(flows: pl.DataFrame, subject: Subject, recording: Recording) -> list[Row]:
    """Make a row for every connection that the flows show."""
    attributed = attribute(flows, subject, recording)
    made_of: dict[str, list[int]] = defaultdict(list)
    tuples: dict[str, set[int]] = defaultdict(set)
    for number, owners in attributed.owners.items():
        for owner in owners:
            made_of[owner.id].append(number)
            tuples[owner.id].add(owner.tuple)
    rows = []
    for number, (id_, flow_ids) in enumerate(made_of.items()):
        shown = Shown(recording.truth[id_], frozenset(tuples[id_]))
        points = {attributed.by_id[flow]["point"] for flow in flow_ids}
        row = told(shown, recording)
        row["connection_id"] = number
        row["flow_ids"] = flow_ids
        row["points"] = in_order(points, recording.walk(shown.record), recording)
        rows.append(row)
    return rows


def told(shown: Shown, recording: Recording) -> Row:
    """State everything that these tuples tell of a connection."""
    record, client = shown.record, shown.record["client"]
    shows_all = 0 in shown.tuples
    backend = record["backend"]
    shows_backend = len(record["tuples"]) - 1 in shown.tuples and backend["ip"]
    row: Row = dict.fromkeys(COLUMNS) | {"protocol": record["proto"]}
    row["client_ip"], row["client_port"] = shown.source(shown.earliest)
    row |= {"service_evidence": "none", "backend_evidence": "none"}
    if shows_all:
        pod = client["name"] if client["kind"] == "pod" else None
        direct = DESTINATION_KINDS.get(backend["kind"])
        namespace, _, name = (record["service"] or "").partition("/")
        row |= {
            "destination_ip": record["dst"]["ip"],
            "destination_port": record["dst"]["port"],
            "destination_kind": record["vip_kind"] if name else direct,
            "service_namespace": namespace or None,
            "service_name": name or None,
            "service_port_name": record["service_port"],
            "service_evidence": "observed" if name else "none",
            "entry_node": record["entry_node"],
            "client_pod": pod,
            "client_namespace": recording.pods[pod][0] if pod else None,
            "client_node": client["node"],
        }
    if shows_backend:
        pod = backend["pod"]
        namespace, workload = recording.pods[pod] if pod else (None, None)
        snat = record["snat"] or {"ip": None, "port": None}
        row |= {
            "backend_ip": backend["ip"],
            "backend_port": backend["port"],
            "backend_pod": pod,
            "backend_namespace": namespace,
            "backend_workload": workload,
            "backend_node": backend["node"],
            "backend_evidence": "observed",
            "is_hairpin": record["hairpin"],
        }
        if shows_all:
            row |= {"snat_ip": snat["ip"], "snat_port": snat["port"]}
    row |= {
        "client_packets": record["packets"]["orig"],
        "backend_packets": record["packets"]["reply"],
        "client_bytes": record["bytes"]["orig"],
        "backend_bytes": record["bytes"]["reply"],
        "requests": record["requests"],
        "backend_payload_bytes": record["response_bytes"],
        "tcp_state": STATES.get(record["outcome"])
        if record["proto"] == "tcp"
        else None,
    }
    return row


def in_order(
    points: set[str], walk: list[tuple[str, str]], recording: Recording
) -> list[str]:
    """Put points into the order of the way."""

    def place(point: str) -> int:
        device = device_of(point, recording)
        return walk.index(device) if device in walk else -1

    return sorted(points, key=place)
