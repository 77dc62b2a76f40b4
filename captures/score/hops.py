"""Hops between observation points, held against the way that packets took."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from captures.score.measures import device_of, is_subsequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from captures.score.recording import Point, Record, Recording

# All hosts of the testbed are one machine: longer than this is no latency.
LONGEST_NS = 50_000_000

Finding = tuple[int, str]  # connection_id, what is odd


def deviations(
    hops: pl.DataFrame, owner: dict[int, Record], recording: Recording
) -> Iterator[Finding]:
    """Say which hops cannot be.

    Parameters
    ----------
    hops : pl.DataFrame
        The hops table.
    owner : dict
        By ``connection_id``, the truth's record; rows with none or several are not in
        it.
    recording : Recording
        Whose truth it is.

    Yields
    ------
    tuple of (int, str)
        The row of ``connections`` and the reason.
    """
    numbers = hops.with_columns(
        pl.col("latency_p50", "latency_p99", "clock_bound").dt.total_nanoseconds()
    )
    for hop in numbers.iter_rows(named=True):
        record = owner.get(hop["connection_id"])
        if record is not None:
            for reason in of_hop(hop, record, recording):
                place = f"{hop['from_point']} to {hop['to_point']}"
                yield hop["connection_id"], f"hop {place}: {reason}"


def of_hop(hop: Record, record: Record, recording: Recording) -> Iterator[str]:
    """Say what is odd about one hop."""
    devices = [device_of(hop[f"{end}_point"], recording) for end in ("from", "to")]
    if hop["direction"] == "to_client":
        devices.reverse()
    known = [device for device in devices if device]
    if len({*known}) > 1 and not is_subsequence(known, recording.walk(record)):
        yield f"not on the way {hop['direction']}"
    latency, bound = hop["latency_p50"], hop["clock_bound"]
    if latency is not None:
        if bound is None:
            yield "a latency without a bound"
        elif not -bound <= latency <= LONGEST_NS + bound:
            yield f"latency {latency} ns, bound {bound} ns"
    if hop["capture_loss"]:
        yield "capture_loss, but no capture lost a packet"
    lost = hop["lost_segments"]
    if lost is not None and len(known) == 2:
        truly = dropped(known, hop["direction"], record, recording)
        if lost not in truly:
            wanted = " or ".join(map(str, sorted(truly)))
            yield f"{lost} lost segments, truly {wanted}"


def dropped(
    devices: list[Point], direction: str, record: Record, recording: Recording
) -> set[int]:
    """Count the packets that rules dropped between two devices on the way.

    Packets may cross a device twice, before and after the tunnel: then there is a
    number for each time.
    """
    walk = recording.walk(record)
    is_reply = direction == "to_client"
    places = {
        (begin, end)
        for begin, here in enumerate(walk)
        for end, there in enumerate(walk)
        if begin < end and [here, there] == devices
    }
    steps = [
        ("/".join(there), "/".join(here))
        if is_reply
        else ("/".join(here), "/".join(there))
        for here, there in pairwise(walk)
    ]
    return {
        sum(
            drop["packets"]
            for drop in record.get("dropped", ())
            if (drop["direction"] == "reply") == is_reply
            and (drop["after"], drop["before"]) in steps[begin:end]
        )
        for begin, end in places
    } or {0}
