"""Sightings into connections: the order in which evidence is asked."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from analyzer.correlate import midstream, tcp
from analyzer.correlate.clocks import Clock, clock_table, clocks
from analyzer.correlate.datagrams import exchanges
from analyzer.correlate.sightings import details, samples


class Grouped(NamedTuple):
    """What belongs together, and the clocks that told so.

    ``sightings`` has one row per flow that belongs to a connection, ``start`` and
    ``end`` on the clock of the reference host, and ``group`` (u32, the least flow of
    the connection). ``clocks`` has each host's clock.
    """

    sightings: pl.DataFrame
    clocks: dict[int, Clock]


def group(seen: pl.DataFrame, flows: pl.LazyFrame) -> Grouped:
    """Group sightings into connections.

    Parameters
    ----------
    seen : pl.DataFrame
        See :func:`analyzer.correlate.sightings.sightings`.
    flows : pl.LazyFrame
        The flows table with its row index as ``flow``.

    Notes
    -----
    Initial sequence numbers come first: they need no clock, and tell the clocks that
    all other evidence needs.
    """
    is_tcp = pl.col("protocol") == "tcp"
    of_tcp = tcp.with_numbers(seen.filter(is_tcp))
    heads = tcp.heads(of_tcp)
    firsts = of_tcp.join(
        heads.filter(pl.col("flow") != pl.col("head")), on="flow", how="anti"
    )
    groups = tcp.by_both_numbers(firsts)
    times = clocks(seen, groups, samples(flows))
    firsts = on_one_clock(firsts, times)

    def rest() -> pl.DataFrame:
        return firsts.join(groups, on="flow", how="anti")

    def known() -> pl.DataFrame:
        return firsts.join(groups, on="flow")

    for number in ("client_isn", "server_isn"):
        if rest().height:
            groups = pl.concat([groups, *tcp.by_one_number(rest(), known(), number)])
    if rest().height:
        groups = pl.concat([groups, midstream.by_same_tuple(rest(), known())])
    if rest().height:
        groups = pl.concat([groups, midstream.by_last_numbers(rest(), known())])
    if rest().height:
        ids = flows.select(
            "flow",
            packet_ids=pl.concat_list("originator_packet_ids", "responder_packet_ids"),
        )
        found = midstream.by_agreeing_packets(rest(), known(), ids)
        groups = pl.concat([groups, found])
        groups = pl.concat([groups, midstream.by_same_tuple(rest(), known())])
        alone = tcp.in_runs(rest().lazy(), "ends", gap=midstream.TIME_SLACK)
        groups = pl.concat([groups, alone.collect()])
    pieces = heads.join(groups, left_on="head", right_on="flow").select("flow", "group")
    groups = pl.concat([groups, pieces.join(groups, on="flow", how="anti")])
    others = on_one_clock(seen.filter(~is_tcp), times)
    groups = pl.concat([groups, exchanges(details(others, flows))])
    return Grouped(on_one_clock(seen, times).join(groups, on="flow"), times)


def on_one_clock(seen: pl.DataFrame, times: dict[int, Clock]) -> pl.DataFrame:
    """Set ``start`` and ``end`` back to what the reference's clock showed."""
    if all(clock.offset == 0 and clock.drift == 0 for clock in times.values()):
        return seen

    def corrected(name: str) -> pl.Expr:
        since = (pl.col(name) - pl.col("at").cast(pl.Int64)).cast(pl.Float64)
        shift = pl.col("offset") + pl.col("drift") * since
        return (pl.col(name) - shift.round().cast(pl.Int64)).alias(name)

    return (
        seen.lazy()
        .join(clock_table(times).lazy(), on="host", how="left", maintain_order="left")
        .with_columns(corrected("start"), corrected("end"))
        .drop("reference", "offset", "drift", "bound", "at")
        .collect()
    )
