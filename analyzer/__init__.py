"""Which Service, which pod, which tunnel: answers from Kubernetes packet captures.

Examples
--------
>>> import analyzer
>>> tables = analyzer.build_tables("node-a.pcap")  # doctest: +SKIP
>>> tables.flows.head().collect()  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from analyzer.errors import (
    AnalyzerError,
    CaptureError,
    ClusterError,
    QueryError,
    TablesError,
    UnknownFormatError,
)

if TYPE_CHECKING:
    from analyzer.cluster import Cluster
    from analyzer.pipeline import build_tables, scan_packets
    from analyzer.tables import Tables, open_tables

__version__ = "0.1.0"

__all__ = [
    "AnalyzerError",
    "CaptureError",
    "Cluster",
    "ClusterError",
    "QueryError",
    "Tables",
    "TablesError",
    "UnknownFormatError",
    "__version__",
    "build_tables",
    "open_tables",
    "scan_packets",
]

# Imported when first used: a command's start-up pays only for what it needs.
_HOMES = {
    "Cluster": "analyzer.cluster",
    "Tables": "analyzer.tables",
    "build_tables": "analyzer.pipeline",
    "open_tables": "analyzer.tables",
    "scan_packets": "analyzer.pipeline",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
