"""Questions asked of the tables: lazy frames in, frames out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from analyzer.analysis.spread import Spread, spread

if TYPE_CHECKING:
    from analyzer.analysis.spread.compare import Comparison, compare
    from analyzer.analysis.spread.over_time import over_time

__all__ = ["Comparison", "Spread", "compare", "over_time", "spread"]

# Imported when first used: who asks for paths need not wait for statistics.
_HOMES = {
    "Comparison": "analyzer.analysis.spread.compare",
    "compare": "analyzer.analysis.spread.compare",
    "over_time": "analyzer.analysis.spread.over_time",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
