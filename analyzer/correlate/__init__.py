"""Flows seen apart become connections seen whole: across points, NAT and tunnels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.correlate.addresses import address_roles, node_hosts, with_places
from analyzer.correlate.backends import watched
from analyzer.correlate.chains import chains
from analyzer.correlate.clocks import clocks_table
from analyzer.correlate.connections import connections_table
from analyzer.correlate.conntrack import with_conntrack
from analyzer.correlate.grouping import group
from analyzer.correlate.hops import hops
from analyzer.correlate.legs import in_path_order, oriented
from analyzer.correlate.services import services
from analyzer.correlate.sightings import by_side, samples, sightings

if TYPE_CHECKING:
    from analyzer.cluster import Cluster

__all__ = ["Correlated", "correlate"]


class Correlated(NamedTuple):
    """The tables that correlation makes, see :mod:`analyzer.tables.schema`."""

    connections: pl.DataFrame
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
    numbered = flows.with_row_index("flow")
    grouped = group(sightings(numbered), numbered)
    roles = address_roles(numbered, grouped.sightings, cluster)
    known = services(roles, cluster)
    servers = pl.concat(
        [known.fronts.select("end"), known.endpoints.select("end").drop_nulls()]
    )
    seen = by_side(oriented(grouped.sightings, servers))
    grouped = grouped._replace(sightings=pl.DataFrame())
    seen = with_places(seen, roles, numbered)
    is_several = seen["group"].is_duplicated()
    ordered = in_path_order(
        seen.filter(is_several), samples(numbered), node_hosts(roles)
    )
    alone = seen.filter(~is_several).with_columns(leg=pl.lit(0, pl.UInt32))
    found = pl.concat([chains(ordered), chains(alone)])
    watched_nodes = watched(seen, numbered, roles)
    del seen, alone  # as large as all that follows
    connections = with_conntrack(found, roles, cluster)
    return Correlated(
        connections_table(connections, roles, known, watched_nodes),
        hops(ordered, flows, grouped.clocks),
        clocks_table(grouped.clocks, numbered),
    )
