"""The graph as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from analyzer.analysis.paths import PathGraph


def write_json(graph: PathGraph, *, title: str, source: str) -> str:
    """Write the graph as JSON.

    Returns
    -------
    str
        An object: ``title``, ``source``, and lists of objects named as the tables of
        :class:`analyzer.analysis.paths.PathGraph`: ``nodes``, ``edges``, ``hosts``,
        ``pods``. Durations are nanoseconds, what is not known is null.
    """
    tables = {
        name: _records(getattr(graph, name))
        for name in ("nodes", "edges", "hosts", "pods")
    }
    whole: dict[str, Any] = {"title": title, "source": source, **tables}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _records(frame: pl.LazyFrame) -> list[dict[str, Any]]:
    import polars as pl

    durations = pl.selectors.duration()
    named = durations.dt.total_nanoseconds().name.suffix("_ns")
    return frame.with_columns(named).drop(durations).collect().to_dicts()
