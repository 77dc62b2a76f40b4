"""Questions asked of the tables: lazy frames in, frames out."""

from analyzer.analysis.spread import Spread, spread

__all__ = ["Spread", "spread"]
