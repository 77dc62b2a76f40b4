"""Questions asked of the tables: lazy frames in, frames out."""

from analyzer.analysis.spread import Comparison, Spread, compare, over_time, spread

__all__ = ["Comparison", "Spread", "compare", "over_time", "spread"]
