"""The flows table as compiled code reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer._cext.arrays import Arrays
from analyzer.correlate.filled import arrays, in_code_order
from analyzer.tables.batch import BATCH_ROWS
from analyzer.tables.schema import FLOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Kinds of columns that are no numbers.
_UNREAD = frozenset({"text", "ids", "times"})


class Parts:
    """Flows, a part at a time, of which no more than that need be in memory.

    Parameters
    ----------
    parts : list of Arrays
    forget : callable, optional
        Lets the memory go that a mapped file takes up; called after each part.
    """

    def __init__(
        self, parts: list[Arrays], forget: Callable[[], object] | None = None
    ) -> None:
        self._parts = parts
        self._forget = forget

    @property
    def rows(self) -> list[int]:
        """Flows of each part."""
        return [len(part) for part in self._parts]

    def only(self, wanted: pl.Series, flows: pl.DataFrame) -> pl.DataFrame:
        """Give the rows (bool) that are wanted of the table that this is of."""
        found = [flows.clear()]
        first = 0
        for part in self:
            rows = slice(first, first + len(part))
            if wanted[rows].any():
                found.append(flows[rows].filter(wanted[rows]))
            first = rows.stop
        return pl.concat(found)

    def __iter__(self) -> Iterator[Arrays]:
        for part in self._parts:
            yield part
            if self._forget is not None:
                self._forget()


class FlowArrays(NamedTuple):
    """All flows in parts, and their protocols.

    Each of ``parts`` has the columns of :data:`analyzer.tables.schema.FLOWS`, those
    that are no numbers left out; names and addresses are codes. ``protocols`` has a row
    per code: whether it is TCP, UDP, SCTP, and one of ICMP (bool).
    """

    parts: Parts
    protocols: Arrays


def flow_arrays(
    flows: pl.DataFrame, forget: Callable[[], object] | None = None
) -> FlowArrays:
    """Lend the columns of the flows table to compiled code.

    Parameters
    ----------
    flows : pl.DataFrame
        The flows table; of what is in a mapped file, nothing is copied.
    forget : callable, optional
        See :class:`Parts`.
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
    return FlowArrays(Parts(parts, forget), arrays(ordered))
