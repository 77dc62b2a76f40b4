"""How evenly many connections fall on a Service's pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from analyzer.analysis import over_time, spread
from analyzer.analysis.spread.chart import bar_chart

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.tables import Tables
    from benchmarks.service.load import Load

pytestmark = pytest.mark.benchmark(group="spread")
ROUNDS = 3


@pytest.mark.parametrize("unit", ["connections", "bytes"])
def bench_spread(benchmark: Any, busy_tables: tuple[Tables, Load], unit: str) -> None:
    """Count, test against chance, look for changes and find the words."""
    tables, load = busy_tables
    found = benchmark.pedantic(
        spread,
        args=(tables.connections,),
        kwargs={"cluster": load.cluster, "unit": unit},
        rounds=ROUNDS,
    )
    service = found.backends.filter(pl.col("subject_kind") == "Service")
    assert service["group"].drop_nulls().len() == load.backends
    assert service["connections"].sum() == load.connections
    benchmark.extra_info |= {"connections": load.connections}


def bench_spread_over_time(benchmark: Any, busy_tables: tuple[Tables, Load]) -> None:
    """Count by seconds."""
    tables, load = busy_tables
    rows = benchmark.pedantic(
        over_time,
        args=(tables.connections, 1.0),
        kwargs={"cluster": load.cluster},
        rounds=ROUNDS,
    )
    service = rows.filter(pl.col("subject_kind") == "Service")
    assert service["amount"].sum() == load.connections
    benchmark.extra_info |= {"connections": load.connections}


def bench_chart(
    benchmark: Any, busy_tables: tuple[Tables, Load], tmp_path: Path
) -> None:
    """Draw it: the renderer starts once and is warm then."""
    tables, load = busy_tables
    found = spread(tables.connections, cluster=load.cluster)
    path = tmp_path / "spread.svg"
    benchmark.pedantic(
        lambda: bar_chart(found).save(path), rounds=ROUNDS, warmup_rounds=1
    )
    assert "</svg>" in path.read_text()
