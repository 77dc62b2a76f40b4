"""Which connection of the truth each flow belongs to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from captures.score.classes import Subject
    from captures.score.recording import Record, Recording

Flow = dict[str, Any]
End = tuple[str, int | None]
Key = tuple[str, str, End, End, bool]  # file, protocol, two ends, encapsulated

TRANSPORTS = ("tcp", "udp")
ECHOES = (0, 8, 128, 129)  # ICMP and ICMPv6: request and reply
# observed.jsonl keeps seconds as floats, exact to a microsecond or so.
TOLERANCE_NS = 100_000
COLUMNS = (
    "flow_id",
    "capture",
    "point",
    "protocol",
    "originator_ip",
    "originator_port",
    "responder_ip",
    "responder_port",
    "tunnel",
    "icmp_type",
    "icmp_id",
)


@dataclass(frozen=True)
class Owner:
    """A connection of the truth, and under which of its tuples a flow shows it."""

    id: str
    tuple: int


@dataclass
class Flows:
    """The flows that connections are made of, each with its owners."""

    by_id: dict[int, Flow]
    owners: dict[int, list[Owner]]

    def are_judged(self, flow: Flow) -> bool:
        """Whether the truth knows flows of this sort: TCP, UDP, echoes of ICMP."""
        return flow["protocol"] in TRANSPORTS or flow["icmp_type"] in ECHOES


def attribute(flows: pl.DataFrame, subject: Subject, recording: Recording) -> Flows:
    """Find every flow's connections.

    Parameters
    ----------
    flows : pl.DataFrame
        The flows table.
    subject : Subject
        The captures that it was built from.
    recording : Recording
        Whose truth it is.

    Returns
    -------
    Flows
        By ``flow_id``. A flow has no owner if the truth does not know it, and several
        if a five-tuple was used anew and the flow table did not tell.

    Notes
    -----
    Five-tuples are used again: a connection owns a flow if tshark saw it in the same
    file, under the same tuple, bare or encapsulated alike, at the same time.
    """
    index = defaultdict(list)
    for seen in subject.observations(recording):
        index[observed_key(seen, recording)].append(seen)
    views = {view.path.name: view for view in subject.views}
    times = flows.select(
        pl.col("start_time", "end_time").dt.timestamp("ns"),
    ).iter_rows()
    by_id: dict[int, Flow] = {}
    owners: dict[int, list[Owner]] = {}
    for flow, (start, end) in zip(
        flows.select(COLUMNS).iter_rows(named=True), times, strict=True
    ):
        view = views[flow["capture"]]
        clock = recording.clock(view.host)
        since_ns = recording.began
        first, last = (clock.right(moment, since_ns) for moment in (start, end))
        by_id[flow["flow_id"]] = flow | {"start": first, "end": last}
        owners[flow["flow_id"]] = [
            Owner(seen["id"], seen["tuple"])
            for seen in index.get(flow_key(flow, view.file), ())
            if first <= seen["last"] * 1e9 + TOLERANCE_NS
            and seen["first"] * 1e9 - TOLERANCE_NS <= last
        ]
    return Flows(by_id, owners)


def observed_key(seen: Record, recording: Recording) -> Key:
    """Give what a row of ``observed.jsonl`` has in common with its flows."""
    record = recording.truth[seen["id"]]
    t = record["tuples"][seen["tuple"]]
    ends = (
        (t["src"], t.get("sport", t.get("icmp_id"))),
        (t["dst"], t.get("dport", t.get("icmp_id"))),
    )
    return (seen["file"], record["proto"], *sorted(ends), seen["encapsulated"])


def flow_key(flow: Flow, file: str) -> Key:
    """Give the same of a flow."""
    is_transport = flow["protocol"] in TRANSPORTS
    ends = tuple(
        (flow[f"{end}_ip"], flow[f"{end}_port"] if is_transport else flow["icmp_id"])
        for end in ("originator", "responder")
    )
    if None in (port for _, port in ends):
        a, b = ends
    else:
        a, b = sorted(ends)
    return (file, flow["protocol"], a, b, flow["tunnel"] is not None)
