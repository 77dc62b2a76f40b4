"""Whether a row counts and orders what the truth counts and orders."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from captures.testbed.observed import SHORT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from captures.score.claims import Row, Shown
    from captures.score.owners import Flow
    from captures.score.recording import Point, Record, Recording

CONTRADICTORY_STATES = {  # Zeek's conn_state by how the connection truly ended
    "ok": {"S0", "REJ", "RSTOS0", "SH"},
    "refused": {"S1", "SF", "S2", "S3", "RSTO", "RSTR"},
    "no-answer": {"S1", "SF", "S2", "S3", "RSTO", "RSTR", "REJ"},
    "rejected-icmp": {"S1", "SF", "S2", "S3", "RSTO", "RSTR"},
}


def deviations(
    row: Row, shown: Shown, flows: Sequence[Flow], recording: Recording
) -> Iterator[str]:
    """Say which of a row's measures are not those of the truth.

    A short snaplen leaves some unknown: null is no deviation.
    """
    record = shown.record
    contradictory = CONTRADICTORY_STATES.get(record["outcome"], set())
    if loses(record, "reply"):
        contradictory = contradictory - {"S1"}  # where the answers still were
    if row["tcp_state"] in contradictory:
        yield f"tcp_state {row['tcp_state']}, truly {record['outcome']}"
    if is_countable(shown, flows):
        yield from strange_counts(row, record, recording)
    yield from path_deviations(row, shown, flows, recording)


def loses(record: Record, direction: str) -> bool:
    """Whether a rule dropped packets of this direction."""
    return any(drop["direction"] == direction for drop in record.get("dropped", ()))


def strange_counts(row: Row, record: Record, recording: Recording) -> Iterator[str]:
    """Compare a row's counts with the truth's.

    Where rules dropped packets, devices have different counts, and a row may have any
    of them; octets are then passed over.
    """
    if not record.get("dropped"):
        for column, counted in counts(record):
            if row[column] not in (None, counted):
                yield f"{column} {row[column]}, truly {counted}"
        return
    seen = [each for each in recording.observed if each["id"] == record["id"]]
    for side, direction in (("client", "orig"), ("backend", "reply")):
        possible = {each[f"packets_{direction}"] for each in seen}
        stated = row[f"{side}_packets"]
        if stated is not None and stated not in possible:
            yield f"{side}_packets {stated}, on no device: {sorted(possible)}"


def is_countable(shown: Shown, flows: Sequence[Flow]) -> bool:
    """Whether every capture shows what conntrack counted.

    Long connections have super-frames, which are cut differently from device to
    device; fragments count singly; and `lo` shows each direction under another tuple.
    """
    record = shown.record
    return (
        record["proto"] == "tcp"
        and record["outcome"] == "ok"
        and not record["open_before_capture"]
        and record["bytes"]["reply"] < SHORT_BYTES
        and not any(flow["point"].endswith("/lo") for flow in flows)
    )


def counts(record: Record) -> Iterator[tuple[str, int]]:
    """Give a connection's true counts by column."""
    yield "client_packets", record["packets"]["orig"]
    yield "backend_packets", record["packets"]["reply"]
    yield "client_bytes", record["bytes"]["orig"]
    yield "backend_bytes", record["bytes"]["reply"]
    if record["requests"] is not None:
        yield "requests", record["requests"]
    if record["response_bytes"] is not None and not is_older(record):
        yield "backend_payload_bytes", record["response_bytes"]


def is_older(record: Record) -> bool:
    """Whether a recording counts apache's response bytes without their headers.

    Such recordings do not name the service's port either.
    """
    return "service_port" not in record


def path_deviations(
    row: Row, shown: Shown, flows: Sequence[Flow], recording: Recording
) -> Iterator[str]:
    """Compare the points with the flows' own, and their order with the way taken."""
    points = row["points"] or []
    own = {flow["point"] for flow in flows}
    if {*points} != own:
        yield f"points {sorted(points)}, but its flows' are {sorted(own)}"
    walk = recording.walk(shown.record)
    devices = (device_of(point, recording) for point in points)
    # Two captures of one device may be two points.
    stated = [device for device, _ in groupby(devices) if device]
    if not is_subsequence(stated, walk):
        yield f"points {points}, but the way is {'  '.join(map('/'.join, walk))}"


def device_of(point: str, recording: Recording) -> Point | None:
    """Name the device of an observation point; None if the point does not tell.

    Without cluster state an SLL2 capture's devices are numbers, and a file of several
    interfaces begins with more than the host. On `lo` a tuple is no direction.
    """
    host, _, interface = point.rpartition("/")
    host = host.partition(".")[0]
    number = interface.removeprefix("if")
    if interface != number and number.isdecimal():
        interface = recording.interface_names.get((host, int(number)), interface)
    is_known = interface not in ("any", "lo", "capture")
    return (host, interface) if is_known else None


def is_subsequence(part: Sequence[Point], whole: Sequence[Point]) -> bool:
    """Whether a sequence comes in another, in its order."""
    rest = iter(whole)
    return all(point in rest for point in part)
