"""The flows table as compiled code reads it."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from analyzer._cext.arrays import Arrays
from analyzer.correlate.addresses import in_code_order
from analyzer.correlate.filled import arrays
from analyzer.tables.batch import BATCH_ROWS
from analyzer.tables.schema import FLOWS

#: Kinds of columns that are no numbers.
_UNREAD = frozenset({"text", "ids", "times"})


class FlowArrays(NamedTuple):
    """All flows in parts, and their protocols.

    Each of ``parts`` has the columns of :data:`analyzer.tables.schema.FLOWS`, those
    that are no numbers left out; names and addresses are codes. ``protocols`` has a row
    per code: whether it is TCP, UDP, SCTP, and one of ICMP (bool).
    """

    parts: list[Arrays]
    protocols: Arrays


def flow_arrays(flows: pl.DataFrame) -> FlowArrays:
    """Lend the columns of the flows table to compiled code.

    Parameters
    ----------
    flows : pl.DataFrame
        The flows table; of what is in a mapped file, nothing is copied.
    """
    read = {column.name for column in FLOWS if column.kind not in _UNREAD}
    numbers = flows.select(
        pl.col(column.name).to_physical() for column in FLOWS if column.name in read
    )
    parts = [
        Arrays(
            [
                part[column.name].to_arrow() if column.name in read else None
                for column in FLOWS
            ]
        )
        for part in numbers.iter_slices(BATCH_ROWS)
    ]
    protocols = flows.select(
        pl.col("protocol").drop_nulls().unique().alias("name")
    ).select(
        code=pl.col("name").to_physical(),
        **{
            f"is_{names[0]}": pl.col("name").cast(pl.String).is_in(names)
            for names in (["tcp"], ["udp"], ["sctp"], ["icmp", "icmp6"])
        },
    )
    ordered = in_code_order(protocols).drop("code")
    return FlowArrays(parts, arrays(ordered))
