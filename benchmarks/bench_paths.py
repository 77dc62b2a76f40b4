"""The ways that many connections took: the graph, and its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from analyzer.analysis.paths import Limits, collapse, path_graph, path_routes
from analyzer.diagram.cluster import draw_cluster
from analyzer.diagram.model import picture
from analyzer.diagram.svg import write_svg

if TYPE_CHECKING:
    from analyzer.analysis.paths import PathGraph
    from analyzer.tables import Tables
    from benchmarks.service.load import Load

pytestmark = pytest.mark.benchmark(group="paths")
ROUNDS = 3


def _graph(tables: Tables, load: Load) -> PathGraph:
    """Make the graph and collect its tables, which are lazy, but for single steps."""
    graph = path_graph(tables, load.cluster)
    names = [name for name in graph._fields if name != "steps"]
    made = pl.collect_all([getattr(graph, name) for name in names])
    lazy = (frame.lazy() for frame in made)
    return graph._replace(**dict(zip(names, lazy, strict=True)))


def bench_path_graph(benchmark: Any, busy_tables: tuple[Tables, Load]) -> None:
    """Group connections that are alike, split them into steps, add the steps up."""
    tables, load = busy_tables
    graph = benchmark.pedantic(_graph, args=(tables, load), rounds=ROUNDS)
    calls = graph.edges.filter(pl.col("step") == "call").collect()
    assert calls["connections"].sum() == load.connections
    benchmark.extra_info |= {"connections": load.connections}


def bench_path_routes(benchmark: Any, busy_tables: tuple[Tables, Load]) -> None:
    """Add up the connections that took the same way."""
    tables, load = busy_tables
    sums = _graph(tables, load).sums
    routes = benchmark.pedantic(
        lambda: path_routes(sums).collect(), rounds=ROUNDS, warmup_rounds=1
    )
    assert routes["connections"].sum() == load.connections
    benchmark.extra_info |= {"connections": load.connections}


def bench_path_picture(benchmark: Any, busy_tables: tuple[Tables, Load]) -> None:
    """Lay the graph out and write it as SVG."""
    tables, load = busy_tables
    graph = _graph(tables, load)

    def draw() -> str:
        what = picture(collapse(graph, Limits()))
        return write_svg(draw_cluster(what, title="paths", source="benchmark"))

    svg = benchmark.pedantic(draw, rounds=ROUNDS, warmup_rounds=1)
    assert svg.rstrip().endswith("</svg>")
    assert load.cluster.services[0].name in svg
