"""Flows to connections: many short ones to one Service, all much alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

if TYPE_CHECKING:
    from analyzer.cluster import Cluster
    from benchmarks.service.flows import Busy

pytestmark = pytest.mark.benchmark(group="correlate")

STATED = ["client_ip", "client_port", "backend_ip", "snat_ip", "snat_port"]


def _connections(flows: pl.DataFrame, cluster: Cluster | None) -> pl.DataFrame:
    from analyzer.correlate import correlate

    connections, hops, clocks = correlate(flows.lazy(), cluster)
    done = pl.collect_all([connections.lazy(), hops.lazy(), clocks.lazy()])
    return done[0]


def _check(connections: pl.DataFrame, busy: Busy) -> None:
    owned = (
        connections.select("connection_id", "flow_ids")
        .explode("flow_ids")
        .rename({"flow_ids": "flow_id"})
        .join(busy.truth, on="flow_id", how="left", validate="1:1")
    )
    assert owned.height == busy.truth.height  # every flow is in a row
    joined = owned.group_by("connection_id").agg(pl.col("connection").unique())
    assert joined["connection"].list.len().max() == 1  # no false join
    assert joined.height == busy.load.connections  # no missed join, one row each
    stated = (
        connections.select("connection_id", *STATED)
        .join(joined.explode("connection"), on="connection_id")
        .sort("connection")
        .select(STATED)
        .cast({name: busy.connections.schema[name] for name in STATED})
    )
    assert stated.equals(busy.connections.select(STATED))


@pytest.mark.parametrize("state", ["with", "without"])
def bench_busy_service(benchmark: Any, busy: Busy, state: str) -> None:
    """Correlate flows of every device, with or without cluster state."""
    cluster = busy.load.cluster if state == "with" else None
    connections = benchmark.pedantic(
        _connections, args=(busy.flows, cluster), rounds=3, warmup_rounds=1
    )
    _check(connections, busy)
    benchmark.extra_info |= {
        "flows": busy.flows.height,
        "connections": busy.load.connections,
    }
