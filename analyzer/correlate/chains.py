"""One row per connection: where its path begins and ends, and what stands for it."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from analyzer._cext.chains import reduce
from analyzer.correlate.filled import Numbers, arrays, filled_frame
from analyzer.correlate.legs import PLACE, Paths, connections_of
from analyzer.tables.schema import Column

_AT_FIRST = (
    "protocol",
    "client",
    "client_ttl",
    "client_outer",
    "is_tunneled",
    "is_overlay",
    "is_pod_side",
    "raw_start",
)
_WHOLE = (
    "start",
    "end",
    "is_answered",
    "is_numbered",
    "requests",
    "handshake_rtt",
    "node",
)
_COUNTERS = tuple(
    f"{side}_{name}"
    for side in ("client", "server")
    for name in ("packets", "bytes", "payload_bytes")
)
#: What pieces of one flow have a part of each.
_NUMBERS = (*_COUNTERS, "retransmits", "requests")
#: What is known of a connection.
COLUMNS = (
    "group",
    *_AT_FIRST,
    "destination",
    "source",
    "backend",
    "tcp_state",
    *_COUNTERS,
    "retransmits",
    "flow_ids",
    "points",
    *_WHOLE,
)
#: What is read of sightings, in the order of ``cext/chains.pyx``.
_SEEN = (
    *PLACE,
    "lane",
    "copies",
    "protocol",
    "client",
    "server",
    "client_ttl",
    "is_overlay",
    "is_pod_side",
    "node",
    "raw_start",
    "start",
    "end",
    "is_answered",
    "is_numbered",
    "handshake_rtt",
    "tcp_state",
    *_NUMBERS,
)
#: What is filled, in the order of ``cext/chains.pyx``; texts are codes.
_FILLED = tuple(
    Column(name, kind, "")
    for name, kind in (
        ("group", "u32"),
        ("protocol", "u32"),
        ("client", "u64"),
        ("destination", "u64"),
        ("source", "u64"),
        ("backend", "u64"),
        ("client_ttl", "u8"),
        ("client_outer", "u32"),
        ("is_tunneled", "bool"),
        ("is_overlay", "bool"),
        ("is_pod_side", "bool"),
        ("node", "u32"),
        ("raw_start", "i64"),
        ("start", "i64"),
        ("end", "i64"),
        ("is_answered", "bool"),
        ("is_numbered", "bool"),
        ("handshake_rtt", "duration"),
        ("tcp_state", "u32"),
        *((name, "u64") for name in _NUMBERS),
    )
)
_TEXTS = ("protocol", "node", "tcp_state")


def chains(paths: Paths) -> pl.DataFrame:
    """Reduce sightings to connections.

    Parameters
    ----------
    paths : Paths

    Returns
    -------
    pl.DataFrame
        One row per connection, sorted by ``group``: ``protocol``, ``client`` and
        ``destination`` (u64, the ends of the first tuple), ``source`` and ``backend``
        (those of the last), ``client_ttl``, ``client_outer``, ``is_tunneled``,
        ``is_overlay``, ``is_pod_side`` and ``raw_start`` (where its path begins),
        ``node`` (the first on the way of the first tuple), ``start``, ``end``,
        ``is_answered``, ``is_numbered`` (bool) and ``handshake_rtt`` (the longest) of
        all, the counters and ``tcp_state`` of one of them, ``flow_ids`` and ``points``
        (lists, in the order of the path; points as codes).

    Notes
    -----
    What timeouts have cut counts as one: pieces of one lane are added up. Counters are
    those of the sighting with the most payload, then with a state, then with the most
    packets; one that counts copies of other interfaces is worse than any that does not.
    Of a side of which that one has no packets (on ``lo``), each counter is the most
    that any sighting has. A place that several captures show is listed once.
    """
    return pl.concat(_reduced(part) for part in paths.parts(*_SEEN, "flow_id"))


def _reduced(ordered: pl.DataFrame) -> pl.DataFrame:
    """Reduce some sightings in path order."""
    count = connections_of(ordered)
    flow_ends, point_ends = Numbers(count + 1), Numbers(count + 1)
    points = Numbers(ordered.height)
    seen = arrays(ordered.select(pl.col(_SEEN).to_physical()))
    filled = filled_frame(
        _FILLED,
        count,
        lambda columns: reduce(
            seen,
            columns,
            flow_ends.view,
            points.view,
            point_ends.view,
        ),
    )
    last: int = point_ends.series()[-1]
    return filled.with_columns(
        *(pl.col(name).cat.to(pl.Categorical) for name in _TEXTS),
        flow_ids=_lists(ordered["flow_id"], flow_ends.series()),
        points=_lists(points.series()[:last], point_ends.series()),
    ).select(COLUMNS)


def _lists(values: pl.Series, ends: pl.Series) -> pl.Series:
    """Cut a column into lists, each of which ends where the next one begins."""
    return pl.Series(
        pa.LargeListArray.from_arrays(ends.cast(pl.Int64).to_arrow(), values.to_arrow())
    )
