"""Cluster state, from text and from packets, and the names that it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from analyzer.cluster import Cluster
from analyzer.cluster.inferred import infer
from analyzer.pipeline import correlate_again
from benchmarks import inputs
from benchmarks.service.load import ENTRY

if TYPE_CHECKING:
    from analyzer.tables import Tables
    from benchmarks.service.load import Load

pytestmark = pytest.mark.benchmark(group="names")

STATE = inputs.BENCHMARKS.parent / "captures/cluster/loadbalancer/cluster"


def bench_loading_state(benchmark: Any) -> None:
    """Read the recorded cluster: kubectl's lists, proxy rules, addresses."""
    cluster = benchmark(Cluster.load, [STATE])
    names = {service.name for service in cluster.services}
    assert {"kubernetes", "lb-nginx-ds"} <= names
    assert cluster.rules


def bench_inferring_state(benchmark: Any, busy_tables: tuple[Tables, Load]) -> None:
    """Tell nodes, pods and virtual addresses from flows and connections."""
    tables, load = busy_tables
    inferred = benchmark(infer, tables.flows, tables.connections)
    assert len(inferred.nodes) == load.nodes
    pods = {pod for node in inferred.nodes for pod in node.pods}
    # Those on the entry node are reached without a tunnel.
    assert len(pods) == (load.backend_node != ENTRY).sum()
    benchmark.extra_info |= {"connections": load.connections}


def bench_naming_anew(benchmark: Any, busy_tables: tuple[Tables, Load]) -> None:
    """Join and name connections of tables that were written without cluster state."""
    tables, load = busy_tables
    named = benchmark.pedantic(
        correlate_again, args=(tables, load.cluster), rounds=3, warmup_rounds=1
    )
    connections = named.connections.select(
        pl.col("service_name", "backend_pod").cast(pl.String)
    ).collect()
    assert connections.height == load.connections
    assert connections["service_name"].unique().to_list() == [
        load.cluster.services[0].name
    ]
    assert connections["backend_pod"].n_unique() == load.backends
    benchmark.extra_info |= {"connections": load.connections}
