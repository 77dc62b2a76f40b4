"""Read from a table of flows what people want to see first."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from analyzer.tables.batch import text_array

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

_SHOWN = (
    "flow_id",
    "point",
    "protocol",
    "originator_ip",
    "originator_port",
    "responder_ip",
    "responder_port",
    "tunnel",
    "vni",
    "outer_originator_ip",
    "outer_responder_ip",
    "start_time",
    "end_time",
    "originator_packets",
    "responder_packets",
    "wire_bytes",
    "tcp_state",
    "handshake_rtt",
    "originator_isn",
    "originator_retransmits",
    "responder_retransmits",
    "icmp_errors",
    "icmp_type",
    "community_id",
)


@dataclass(frozen=True)
class TopFlows:
    """The largest flows, and counts over all of them.

    Each of ``rows`` has columns of the table, times and durations as nanoseconds, and
    ``points``: all that saw the same conversation, its own first.
    """

    flows: int
    rows: list[dict[str, Any]]
    protocols: dict[str, int]
    tcp_states: dict[str, int]
    points: int
    with_retransmits: int
    with_icmp_errors: int


def top_flows(path: Path, number: int) -> TopFlows:
    """Read the flows with the most octets on the wire.

    Parameters
    ----------
    path : Path
        The flows table, in Arrow's IPC format or Parquet.
    number : int
        Rows wanted. A conversation that was seen at several points gives one, from
        where it took the most octets.

    Notes
    -----
    Only the columns that are shown leave the file. polars would take longer to import
    than pyarrow takes to do this.
    """
    import pyarrow.compute as pc

    flows = _read(path)
    points = counts(flows["point"])
    retransmits = pc.add(
        flows["originator_retransmits"], flows["responder_retransmits"]
    )
    return TopFlows(
        flows=len(flows),
        rows=_largest(flows, number, len(points)),
        protocols=counts(flows["protocol"]),
        tcp_states=counts(flows["tcp_state"]),
        points=len(points),
        with_retransmits=_count_positive(retransmits),
        with_icmp_errors=_count_positive(flows["icmp_errors"]),
    )


def _largest(flows: pa.Table, number: int, points: int) -> list[dict[str, Any]]:
    """Take the largest flow of each of the largest conversations."""
    import pyarrow.compute as pc

    # Each point may see a conversation twice: with and without its tunnel.
    enough = number * 2 * points
    while True:
        rows: dict[object, dict[str, Any]] = {}
        for row in largest_rows(flows, enough, "flow_id", ["wire_bytes"]):
            row["points"] = [row["point"]]
            rows.setdefault(_conversation(row, points), row)
        if len(rows) >= number or enough >= len(flows):
            break
        enough *= 8
    rows = dict(islice(rows.items(), number))
    if points > 1:
        ids = text_array(row["community_id"] or "" for row in rows.values())
        columns = ["flow_id", "community_id", "originator_isn", "point"]
        seen = flows.select(columns)
        others = seen.filter(pc.is_in(seen["community_id"], ids))
        for other in others.to_pylist():
            found = rows.get(_conversation(other, points))
            if found is not None and other["point"] not in found["points"]:
                found["points"].append(other["point"])
    return list(rows.values())


def largest_rows(
    table: pa.Table, wanted: int, key: str, counters: Sequence[str]
) -> list[dict[str, Any]]:
    """Take the largest rows, batch by batch: only of those are all columns read.

    Parameters
    ----------
    table : pa.Table
    wanted : int
        How many, or less if there are not so many.
    key : str
        Column that numbers the rows, ascending; of two that are equally large the first
        is taken.
    counters : sequence of str
        Columns whose sum is a row's size.

    Returns
    -------
    list of dict
        Largest first, times and durations as nanoseconds.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    order = [("size", "descending"), ("key", "ascending")]
    batches = table.to_batches()
    found: list[tuple[int, int, int, int]] = []
    for index, batch in enumerate(batches):
        sizes = batch[counters[0]]
        for name in counters[1:]:
            sizes = pc.add(sizes, batch[name])
        is_any_larger = len(found) < wanted or (
            (pc.max(sizes).as_py() or 0) > -found[-1][0]
        )
        if not is_any_larger:
            continue
        keys = pa.RecordBatch.from_arrays([sizes, batch[key]], ["size", "key"])
        places = pc.select_k_unstable(keys, wanted, order)
        columns = [*keys.take(places).columns, places]
        found.extend(
            (-size, number, index, place)
            for size, number, place in zip(
                *(column.to_pylist() for column in columns), strict=True
            )
        )
        found = heapq.nsmallest(wanted, found)
    rows: list[dict[str, Any]] = []
    for _, _, index, place in found:
        row = batches[index].slice(place, 1)
        rows.extend(_in_nanoseconds(row).to_pylist())
    return rows


def _conversation(row: dict[str, Any], points: int) -> object:
    """Tell conversations apart: by five-tuple, and by SYN if it is used again."""
    if points == 1 or row["community_id"] is None:
        return row["flow_id"]
    return row["community_id"], row["originator_isn"]


def _in_nanoseconds(flows: pa.RecordBatch) -> pa.RecordBatch:
    """Write times as numbers: nanoseconds do not fit into Python's own times."""
    import pyarrow as pa

    for name in ("start_time", "end_time", "handshake_rtt"):
        index = flows.schema.get_field_index(name)
        flows = flows.set_column(index, name, flows[name].cast(pa.int64()))
    return flows


def _read(path: Path) -> pa.Table:
    import pyarrow as pa

    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(path, columns=list(_SHOWN))
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all().select(_SHOWN)


def counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Count each value that is not null, the most frequent first."""
    pairs = [
        (each["values"], each["counts"])
        for each in column.value_counts().to_pylist()
        if each["values"] is not None
    ]
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


def _count_positive(column: pa.ChunkedArray) -> int:
    import pyarrow.compute as pc

    # A number to compare with would import pandas where it is installed.
    return pc.sum(pc.sign(column)).as_py() or 0
