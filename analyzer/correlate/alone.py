"""Flows that belong with no others: each is a connection, seen in one place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from analyzer._cext.alone import Filler
from analyzer._cext.arrays import Arrays
from analyzer.correlate.addresses import in_code_order
from analyzer.correlate.chains import COLUMNS
from analyzer.correlate.clocks import clock_table
from analyzer.tables.batch import BATCH_ROWS, buffers_in_turn
from analyzer.tables.schema import Column, arrow_type
from analyzer.threads import in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer._cext.columns import Columns
    from analyzer.correlate.clocks import Clock
    from analyzer.correlate.legs import Ends
    from analyzer.tables.batch import BatchBuffers

#: Columns of flows in the order of ``cext/alone.pyx``.
_FLOW_COLUMNS = (
    "flow_id",
    "protocol",
    "point",
    *(
        name.format(side)
        for name in (
            "{}_ip",
            "{}_port",
            "outer_{}_ip",
            "{}_packets",
            "{}_bytes",
            "{}_payload_bytes",
            "{}_retransmits",
            "{}_tcp_flags",
            "{}_isn",
            "{}_ttl",
        )
        for side in ("originator", "responder")
    ),
    "originator_seq_start",
    "icmp_type",
    "icmp_id",
    "tunnel",
    "start_time",
    "end_time",
    "tcp_state",
    "handshake_rtt",
    "requests",
    "copies",
)
#: What is filled, in the order of ``cext/alone.pyx``; texts are codes.
_COLUMNS = tuple(
    Column(name, kind, "")
    for name, kind in (
        ("group", "u32"),
        ("flow_id", "u64"),
        ("point", "u32"),
        ("protocol", "u32"),
        ("client", "u64"),
        ("server", "u64"),
        ("client_ttl", "u8"),
        ("client_outer", "u32"),
        ("is_tunneled", "bool"),
        ("node", "u32"),
        ("is_overlay", "bool"),
        ("is_pod_side", "bool"),
        ("raw_start", "i64"),
        ("start", "i64"),
        ("end", "i64"),
        ("is_answered", "bool"),
        ("is_numbered", "bool"),
        ("requests", "u64"),
        ("handshake_rtt", "duration"),
        ("tcp_state", "u32"),
        ("retransmits", "u64"),
        ("client_packets", "u64"),
        ("server_packets", "u64"),
        ("client_bytes", "u64"),
        ("server_bytes", "u64"),
        ("client_payload_bytes", "u64"),
        ("server_payload_bytes", "u64"),
    )
)
_SCHEMA = pa.schema([(column.name, arrow_type(column)) for column in _COLUMNS])
_TEXTS = ("protocol", "node", "tcp_state")


class Alone:
    """Give the connections of flows that belong with no others.

    Parameters
    ----------
    flows : pl.DataFrame
        The flows table.
    is_one : pl.Series
        Which of them are a connection each (bool).
    ends : Ends
        What is known of who is the client.
    places : pl.DataFrame
        What points are, see :func:`analyzer.correlate.addresses.point_places`.
    hosts : pl.DataFrame
        See :func:`analyzer.correlate.sightings.host_names`.
    times : dict of int to Clock
        Each host's clock.
    """

    def __init__(
        self,
        flows: pl.DataFrame,
        is_one: pl.Series,
        ends: Ends,
        places: pl.DataFrame,
        hosts: pl.DataFrame,
        times: dict[int, Clock],
    ) -> None:
        columns = [flows[name].to_physical() for name in _FLOW_COLUMNS]
        self._flows = pl.DataFrame([*columns, is_one.alias("is_one")])
        protocols = flows.select(
            pl.col("protocol").drop_nulls().unique().alias("name")
        ).with_columns(
            is_tcp=pl.col("name") == "tcp",
            is_icmp=pl.col("name").is_in(["icmp", "icmp6"]),
        )
        points = (
            places.join(hosts.select("point", "host"), on="point")
            .join(clock_table(times), on="host", how="left")
            .select(
                "point",
                pl.col("node").to_physical(),
                "is_overlay",
                "is_pod_side",
                *(pl.col(name).fill_null(0) for name in ("offset", "drift", "at")),
            )
        )
        met = ends.met.select("end", pl.col("met").cast(pl.UInt32))
        self._filler = Filler(
            _by_code(protocols, "name"),
            _by_code(points, "point"),
            _arrays(ends.told.to_frame()),
            _arrays(ends.seen.to_frame()),
            _arrays(met),
            _arrays(ends.tunnels.to_frame()),
            _arrays(ends.nodes.to_frame()),
        )

    def parts(self, *, held: int | None) -> Iterator[pl.DataFrame]:
        """Give all connections in parts, in the order of their flows.

        Parameters
        ----------
        held : int or None
            Parts that are in use at a time: the one before them is lost with the next.
            With None, none is.

        Yields
        ------
        pl.DataFrame
            See :func:`analyzer.correlate.chains.chains`.
        """
        threads = pl.thread_pool_size()
        ahead = 0 if threads == 1 else threads
        fresh = buffers_in_turn(_COLUMNS, None if held is None else held + ahead)
        firsts = range(0, self._flows.height, BATCH_ROWS)
        yield from in_turn(
            (partial(self._part, first, *next(fresh)) for first in firsts), threads
        )

    def _part(
        self, first: int, buffers: BatchBuffers, columns: Columns
    ) -> pl.DataFrame:
        part = self._flows[first : first + BATCH_ROWS]
        count = self._filler.fill(_arrays(part), first, columns)
        filled = pl.from_arrow(buffers.batch(count, _SCHEMA))
        assert isinstance(filled, pl.DataFrame)  # noqa: S101  a batch, no column
        every = pl.int_range(count + 1, dtype=pl.Int64, eager=True).to_arrow()
        lists = {
            f"{name}s": pl.Series(
                f"{name}s",
                pa.LargeListArray.from_arrays(every, filled[name].to_arrow()),
            )
            for name in ("flow_id", "point")
        }
        return filled.with_columns(
            *(pl.col(name).cat.to(pl.Categorical) for name in _TEXTS),
            destination="server",
            source="client",
            backend="server",
            **lists,
        ).select(COLUMNS)


def _arrays(frame: pl.DataFrame) -> Arrays:
    return Arrays([column.to_arrow() for column in frame])


def _by_code(frame: pl.DataFrame, name: str) -> Arrays:
    """Give a frame's other columns, a row for each code that a text may have."""
    coded = frame.with_columns(code=pl.col(name).to_physical()).drop(name)
    return _arrays(in_code_order(coded).drop("code"))
