"""Flow records to columns, and tables to files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import analyzer
from benchmarks import stages

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.flows import FlowBuilder
    from benchmarks.inputs import Capture

pytestmark = pytest.mark.benchmark(group="columns")
ROUNDS = 5


def _columns(benchmark: Any, capture: Capture) -> None:
    def setup() -> tuple[tuple[FlowBuilder], dict[str, Any]]:
        return (stages.follow(capture.path),), {}

    rows = benchmark.pedantic(stages.fill_columns, setup=setup, rounds=ROUNDS)
    assert rows == capture.truth["flows"]
    benchmark.extra_info |= {"flows": rows}


def bench_columns_of_cluster_flows(benchmark: Any, cluster_capture: Capture) -> None:
    """Fill the columns of a cluster's usual mix."""
    _columns(benchmark, cluster_capture)


def bench_columns_of_many_flows(benchmark: Any, many_flows_capture: Capture) -> None:
    """Fill a row for every other packet."""
    _columns(benchmark, many_flows_capture)


@pytest.mark.parametrize("parquet", [False, True], ids=["arrow", "parquet"])
def bench_writing_tables(
    benchmark: Any, many_flows_capture: Capture, tmp_path: Path, parquet: bool
) -> None:
    """Write flows, connections, hops and clocks that are in memory."""
    tables = analyzer.build_tables(many_flows_capture.path)
    folder = tmp_path / "tables"
    benchmark.pedantic(
        tables.write, args=(folder,), kwargs={"parquet": parquet}, rounds=ROUNDS
    )
    written = analyzer.open_tables(folder)
    assert written.flows.collect().equals(tables.flows.collect())
    assert written.connections.collect().equals(tables.connections.collect())
    benchmark.extra_info |= {"flows": many_flows_capture.truth["flows"]}
