"""Flows seen apart become connections seen whole: across points, NAT and tunnels."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import pyarrow as pa

from analyzer.correlate.addresses import (
    address_roles,
    node_hosts,
    point_places,
    with_places,
)
from analyzer.correlate.alone import Alone
from analyzer.correlate.backends import cut_short, watched
from analyzer.correlate.chains import chains
from analyzer.correlate.clocks import clocks_table
from analyzer.correlate.company import ALONE, IN_COMPANY, company
from analyzer.correlate.connections import Connections, Names, coded
from analyzer.correlate.conntrack import on_captures_clock, translations, with_conntrack
from analyzer.correlate.filled import in_code_order
from analyzer.correlate.flow_arrays import flow_arrays
from analyzer.correlate.grouping import group, on_one_clock
from analyzer.correlate.hops import hops
from analyzer.correlate.legs import in_path_order, known_ends, oriented
from analyzer.correlate.naming import believed, rewritten
from analyzer.correlate.services import services
from analyzer.correlate.sightings import (
    by_side,
    samples,
    sightings,
)
from analyzer.correlate.survey import by_flows, survey
from analyzer.tables.schema import arrow_schema
from analyzer.threads import writes_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.cluster import Cluster

__all__ = ["Correlated", "correlate", "correlate_in_parts"]


class Correlated(NamedTuple):
    """The tables that correlation makes, see :mod:`analyzer.tables.schema`."""

    connections: pl.DataFrame
    hops: pl.DataFrame
    clocks: pl.DataFrame


class InParts(NamedTuple):
    """The same, with the connections in parts that are made when they are asked for."""

    connections: Iterator[pa.RecordBatch]
    hops: pl.DataFrame
    clocks: pl.DataFrame


def correlate(flows: pl.LazyFrame, cluster: Cluster | None = None) -> Correlated:
    """Join flows of several points, tuples and tunnels into connections.

    Parameters
    ----------
    flows : pl.LazyFrame
        The flows table.
    cluster : Cluster, optional
        Names services, pods and nodes, and tells what conntrack and the proxy's rules
        know. Without it the same flows are joined.

    Returns
    -------
    Correlated
        ``connections``: those that several flows show, then all others, both in the
        order of their first flows.
    """
    found = correlate_in_parts(flows.collect(), cluster)
    connections = pl.from_arrow(
        pa.Table.from_batches(found.connections, arrow_schema("connections"))
    )
    assert isinstance(connections, pl.DataFrame)  # noqa: S101  a table, no column
    return Correlated(connections, found.hops, found.clocks)


def correlate_in_parts(
    flows: pl.DataFrame,
    cluster: Cluster | None,
    *,
    reuse: bool = False,
    forget: Callable[[], object] | None = None,
) -> InParts:
    """Do the same as :func:`correlate`, with a part of the connections at a time.

    Parameters
    ----------
    flows : pl.DataFrame
        The flows table; columns that lie in a mapped file are not copied.
    cluster : Cluster or None
    reuse : bool
        Fill the same buffers again and again: a batch lasts until it is written.
    forget : callable, optional
        Lets the memory go that a mapped file with the flows takes up.
    """
    if cluster is not None and isinstance(last := flows["end_time"].max(), datetime):
        cluster = cluster.as_of(last)
    arrays = flow_arrays(flows, forget)
    seen = survey(flows, arrays)
    told = company(flows, arrays)
    numbered = flows.with_row_index("flow")
    shared = arrays.parts.only(told == IN_COMPANY, numbered).lazy()
    grouped = group(sightings(shared, seen.points), shared, by_flows(seen.spans))
    joined = grouped.sightings
    is_joined = joined["group"].is_duplicated()
    told = told.scatter(joined.filter(~is_joined)["flow"], ALONE)
    roles = address_roles(seen, numbered.lazy(), cluster)
    known = services(roles, cluster)
    joined = joined.filter(is_joined)
    places = point_places(roles, seen.points)
    ends = known_ends(known, roles, joined, numbered.lazy().filter(told == ALONE))
    entries = translations(cluster, roles)
    sampled = samples(shared)
    joined = by_side(oriented(joined, ends))
    paths = in_path_order(
        with_places(joined, places),
        sampled,
        node_hosts(roles, seen.points),
        ends.hosts,
    )
    del joined
    lone = Alone(arrays, told, ends, places, seen.points, grouped.clocks)

    parts = [chains(paths)]
    if entries is not None:
        # What conntrack alone tells of one of them has a say in the names of all.
        parts += lone.parts(held=None)
        entries = on_captures_clock(entries, parts)
    parts = [with_conntrack(part, entries) for part in parts]
    if entries is not None:
        telling = parts
    elif cluster is not None:
        # So have calls that nodes took over, be they seen in one place only.
        codes = roles.filter(pl.col("role") == "tunnel")["code"].implode()
        telling = [
            *parts,
            *(
                with_conntrack(
                    part.filter((pl.col("client") // 65536).is_in(codes)), None
                )
                for part in lone.parts(held=None)
            ),
        ]
    else:
        telling = []
    whose = in_code_order(roles)
    known = believed(telling, whose, known) if telling else known
    names = Names(
        roles=whose,
        coded=coded(whose),
        known=known,
        virtual=pl.concat([rewritten(part) for part in parts]).unique(),
        watched=watched(
            seen.passing,
            on_one_clock(seen.spans, grouped.clocks),
            roles,
            cut_short(flows.lazy()),
        ),
    )
    table = Connections(names, places, most=flows.height, reuse=reuse)
    if entries is None:
        # Those to be named, and one that may be written.
        held = table.ahead + writes_behind() if reuse else None
        more = lone.parts(held=held)
    else:
        more = iter(())
    rest = (with_conntrack(part, None) for part in more)
    return InParts(
        table.batches(chain(parts, rest)),
        hops(paths, sampled, grouped.clocks),
        clocks_table(grouped.clocks, seen.points),
    )
