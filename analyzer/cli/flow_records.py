"""Print all columns of flows or connections, and names, as JSON or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.cli.connection_table import OCTETS
from analyzer.cli.output import write_text
from analyzer.tables.schema import CONNECTIONS, FLOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from analyzer.cli.names import Names
    from analyzer.tables.schema import Column

_ROWS_AT_A_TIME = 65_536
#: From this column on, what NAT leaves alone: of use for correlation only.
_FIRST_FINGERPRINT = "originator_syn_tsval"


def print_records(
    flows: pl.LazyFrame, names: Names, format_name: str, number: int | None
) -> None:
    """Print one record for each flow.

    Parameters
    ----------
    flows : pl.LazyFrame
        The flows table.
    names : Names
    format_name : {'json', 'csv'}
    number : int, optional
        Only so many, those with the most octets on the wire; all by default.

    Notes
    -----
    Times are ISO 8601 with nanoseconds, durations are seconds. The columns that serve
    correlation alone stay in the table.
    """
    if number is not None:
        flows = flows.top_k(number, by="wire_bytes").sort(
            "wire_bytes", "flow_id", descending=[True, False]
        )
    with_names = _naming(flows, names)
    columns = [column.name for column in FLOWS]
    shown = FLOWS[: columns.index(_FIRST_FINGERPRINT)]
    _print(flows, lambda some: with_names(_in_text(some, shown)), format_name)


def print_connection_records(
    connections: pl.LazyFrame, format_name: str, number: int | None
) -> None:
    """Print one record for each connection.

    Parameters
    ----------
    connections : pl.LazyFrame
        The connections table.
    format_name : {'json', 'csv'}
    number : int, optional
        Only so many, those with the most octets; all by default.

    Notes
    -----
    Times and durations are as for flows. CSV has lists as texts, one space between.
    """
    import polars as pl

    if number is not None:
        connections = _largest(connections, number)
    lists = [name for name, kind, _ in CONNECTIONS if kind in ("ids", "names")]
    joined = pl.col(lists).cast(pl.List(pl.String)).list.join(" ")

    def in_text(some: pl.LazyFrame) -> pl.LazyFrame:
        records = _in_text(some, CONNECTIONS)
        return records.with_columns(joined) if format_name == "csv" else records

    _print(connections, in_text, format_name)


def _largest(connections: pl.LazyFrame, wanted: int) -> pl.LazyFrame:
    """Take the connections with the most octets, largest first, with ``octets``."""
    import polars as pl

    octets = pl.sum_horizontal(OCTETS)
    earlier = -pl.col("connection_id").cast(pl.Int64)
    return (
        connections.with_columns(octets=octets)
        .top_k(wanted, by=["octets", earlier])
        .sort("octets", "connection_id", descending=[True, False])
    )


def _print(
    rows: pl.LazyFrame,
    in_text: Callable[[pl.LazyFrame], pl.LazyFrame],
    format_name: str,
) -> None:
    """Print rows, some at a time."""
    first = 0
    while True:
        records = in_text(rows.slice(first, _ROWS_AT_A_TIME)).collect()
        if format_name == "csv":
            write_text(records.write_csv(include_header=first == 0))
        else:
            write_text(records.write_ndjson())
        if len(records) < _ROWS_AT_A_TIME:
            return
        first += _ROWS_AT_A_TIME


def _in_text(rows: pl.LazyFrame, shown: Sequence[Column]) -> pl.LazyFrame:
    """Take the columns for people and programs, in types that JSON and CSV have."""
    import polars as pl

    in_text = {
        "time": lambda column: column.dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ"),
        "duration": lambda column: column.dt.total_nanoseconds() / 1e9,
        "address": lambda column: column.cast(pl.String),
        "name": lambda column: column.cast(pl.String),
    }
    return rows.select(
        in_text.get(column.kind, lambda column: column)(pl.col(column.name))
        for column in shown
    )


def _naming(
    flows: pl.LazyFrame, names: Names
) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    """Look up each address once and return what adds the names to flows."""
    import polars as pl

    addresses = {
        address
        for side in ("originator_ip", "responder_ip")
        for address in flows.select(side).unique().collect()[side]
        if address is not None
    }
    owners = {address: names.of(address) for address in addresses}
    services = names.services()
    nodes = {address: names.node(address) for address in addresses}

    def with_names(records: pl.LazyFrame) -> pl.LazyFrame:
        return records.with_columns(
            pl.col(f"{side}_ip")
            .replace_strict(mapping, default=None, return_dtype=pl.String)
            .alias(f"{side}_{what}")
            for what, mapping in (("name", owners), ("node", nodes))
            for side in ("originator", "responder")
        ).join(
            services,
            left_on=["responder_ip", "responder_port", "protocol"],
            right_on=["address", "port", "protocol"],
            how="left",
            maintain_order="left",
        )

    return with_names
