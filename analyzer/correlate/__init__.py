"""Flows seen apart become connections seen whole: across points, NAT and tunnels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.correlate.addresses import address_roles, node_hosts
from analyzer.correlate.chains import chains
from analyzer.correlate.clocks import clocks_table
from analyzer.correlate.grouping import group
from analyzer.correlate.connections import connections_table
from analyzer.correlate.conntrack import with_conntrack
from analyzer.correlate.hops import hops
from analyzer.correlate.legs import in_path_order, oriented
from analyzer.correlate.services import services
from analyzer.correlate.sightings import details, samples, sightings

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
        ``connections`` in the order of their first packets, on the clock of the host
        that ``clocks`` names as reference.
    """
    numbered = flows.with_row_index("flow")
    grouped = group(sightings(numbered), numbered)
    roles = address_roles(numbered, grouped.sightings, cluster)
    known = services(roles, cluster)
    servers = pl.concat(
        [known.fronts.select("end"), known.endpoints.select("end").drop_nulls()]
    )
    seen = details(oriented(grouped.sightings, servers), numbered)
    is_several = pl.col("group").is_duplicated()
    ordered = in_path_order(
        seen.filter(is_several), samples(numbered), node_hosts(roles)
    )
    connections = chains(ordered, seen.filter(~is_several))
    connections = with_conntrack(connections, roles, cluster)
    connections = connections_table(connections, seen, numbered, roles, known)
    numbers = connections.select("connection_id", "group")
    measured = hops(ordered, samples(numbered), grouped.clocks)
    return Correlated(
        connections.drop("group"),
        measured.join(numbers, on="group", maintain_order="left").sort(
            "connection_id", maintain_order=True
        ),
        clocks_table(grouped.clocks, numbered),
    )
