"""Sightings into connections: the order in which evidence is asked."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import polars as pl

from analyzer._cext.clocks import correct
from analyzer.correlate import midstream, tcp
from analyzer.correlate.clocks import (
    Clock,
    are_one,
    clocks,
    clocks_by_host,
)
from analyzer.correlate.datagrams import PAUSE, exchanges
from analyzer.correlate.filled import arrays, by_number, filled_frame
from analyzer.correlate.sightings import by_side, samples
from analyzer.tables.schema import Column


class Grouped(NamedTuple):
    """What belongs together, and the clocks that told so.

    ``sightings`` has one row per flow that belongs to a connection, ``start`` and
    ``end`` on the clock of the reference host, and ``group`` (u32, the least flow of
    the connection). ``clocks`` has each host's clock.
    """

    sightings: pl.DataFrame
    clocks: dict[int, Clock]


def group(seen: pl.DataFrame, flows: pl.LazyFrame, hosts: list[int]) -> Grouped:
    """Group sightings into connections.

    Parameters
    ----------
    seen : pl.DataFrame
        See :func:`analyzer.correlate.sightings.sightings`.
    flows : pl.LazyFrame
        The flows table with its row index as ``flow``.
    hosts : list of int
        All that captured, who saw the most flows first.

    Notes
    -----
    Initial sequence numbers come first: they need no clock, and tell the clocks that
    all other evidence needs.
    """
    of_tcp = tcp.numbered(seen)
    heads = tcp.heads(of_tcp)
    later = heads.filter(pl.col("flow") != pl.col("head"))
    firsts = of_tcp.join(later, on="flow", how="anti") if later.height else of_tcp
    groups = tcp.by_both_numbers(firsts)
    times = clocks(hosts, seen, _certain(seen, groups), samples(flows))
    seen = on_one_clock(seen, times)
    if groups.height < firsts.height:
        numbered = tcp.numbered(seen).join(later, on="flow", how="anti")
        groups = _with_less_evidence(numbered, groups, flows)
    found = [
        groups,
        later.join(groups, left_on="head", right_on="flow").select("flow", "group"),
    ]
    others = seen.lazy().filter(pl.col("protocol") != "tcp").collect()
    if others.height:
        found.append(exchanges(by_side(others), times))
    groups = pl.concat(found)
    group = by_number(groups["flow"], groups["group"])
    seen = (
        seen.lazy()
        .with_columns(group=group.gather(seen["flow"], null_on_oob=True))
        .filter(pl.col("group").is_not_null())
        .collect()
    )
    return Grouped(seen, times)


def _certain(seen: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Add to groups of TCP the datagrams of one tuple: the same, whoever saw them."""
    datagrams = seen.lazy().filter(pl.col("protocol") != "tcp")
    same = tcp.in_runs(datagrams, "ends", gap=PAUSE).collect()
    return pl.concat([groups, same])


def _with_less_evidence(
    firsts: pl.DataFrame, groups: pl.DataFrame, flows: pl.LazyFrame
) -> pl.DataFrame:
    """Group the sightings of TCP of which not both initial numbers are known."""
    rest = firsts.join(groups, on="flow", how="anti")
    sure = groups["group"].unique().implode()

    def take(found: pl.DataFrame) -> None:
        nonlocal groups, rest
        groups = pl.concat([groups, found])
        rest = rest.join(found, on="flow", how="anti")

    def known(*keys: str) -> pl.DataFrame:
        """Give grouped sightings that have a key in common with the rest."""
        alike = rest.lazy().select(keys).unique()
        return (
            firsts.lazy()
            .join(alike, on=keys, how="semi")
            .join(groups.lazy(), on="flow")
            .collect()
        )

    for number in ("client_isn", "server_isn"):
        if rest.height:
            take(tcp.by_one_number(rest, known(number), number))
    if rest.height:
        alike = known("ends")
        rest = midstream.attributable(rest, alike)
        take(midstream.by_same_tuple(rest, alike))
    if rest.height:
        take(midstream.by_last_numbers(rest, known("last_numbers")))
    if rest.height:
        take(midstream.by_agreeing_packets(rest, firsts, groups, flows))
    if rest.height:
        take(midstream.by_same_tuple(rest, known("ends")))
    if rest.height:
        take(tcp.in_runs(rest.lazy(), "ends", gap=tcp.TIME_SLACK).collect())
    return midstream.merged(
        groups.with_columns(is_sure=pl.col("group").is_in(sure)), firsts
    )


def on_one_clock(seen: pl.DataFrame, times: dict[int, Clock]) -> pl.DataFrame:
    """Set ``start`` and ``end`` back to what the reference's clock showed."""
    if are_one(times):
        return seen
    times_of = [Column(name, "i64", "") for name in ("start", "end")]
    read, hosts = arrays([seen["start"], seen["end"]]), arrays([seen["host"]])
    clock = arrays(clocks_by_host(times).select("offset", "drift", "at"))
    timed = filled_frame(times_of, seen.height, partial(correct, read, hosts, clock))
    return seen.lazy().with_columns(timed).collect()
