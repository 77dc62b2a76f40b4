"""The command as a user runs it: a whole process, from start to written tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

import analyzer
from benchmarks import process

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.inputs import Capture

pytestmark = pytest.mark.benchmark(group="analyze")

ANALYZE = (sys.executable, "-m", "analyzer")
ROUNDS = 5


@pytest.fixture
def peak_memory(benchmark: Any) -> list[int]:
    """Give a list that every round adds its peak memory to."""
    peaks: list[int] = []
    benchmark.extra_info["peak_memory"] = peaks
    return peaks


def _analyze(
    benchmark: Any, capture: Capture, folder: Path, peaks: list[int], *options: str
) -> analyzer.Tables:
    tables = folder / "tables"
    command: list[str | Path] = [
        *ANALYZE,
        "flows",
        capture.path,
        "-o",
        tables,
        *options,
    ]

    def once() -> None:
        peaks.append(process.run(command, folder / "stdout")["peak_memory"])

    benchmark.pedantic(once, rounds=ROUNDS)
    benchmark.extra_info |= capture.size
    return analyzer.open_tables(tables)


def bench_analyze_flows(
    benchmark: Any, cluster_capture: Capture, tmp_path: Path, peak_memory: list[int]
) -> None:
    """Write the flows table of a cluster's usual mix."""
    tables = _analyze(benchmark, cluster_capture, tmp_path, peak_memory)
    flows = tables.flows.collect()
    truth = cluster_capture.truth
    assert flows.height == truth["flows"]
    assert flows["wire_bytes"].sum() == truth["wire_bytes"] - truth["arp_bytes"]


def bench_analyze_packets(
    benchmark: Any, cluster_capture: Capture, tmp_path: Path, peak_memory: list[int]
) -> None:
    """Write the packets table as well."""
    tables = _analyze(benchmark, cluster_capture, tmp_path, peak_memory, "--packets")
    packets = tables.packets.select("wire_length").collect()
    assert packets.height == cluster_capture.truth["packets"]
    assert packets["wire_length"].sum() == cluster_capture.truth["wire_bytes"]


def bench_analyze_headers(
    benchmark: Any, short_capture: Capture, tmp_path: Path, peak_memory: list[int]
) -> None:
    """Write the flows table of frames cut to 96 octets."""
    tables = _analyze(benchmark, short_capture, tmp_path, peak_memory)
    assert tables.flows.collect().height == short_capture.truth["flows"]


def bench_analyze_nothing(
    benchmark: Any, tmp_path: Path, peak_memory: list[int]
) -> None:
    """Print the help: start-up, which every command pays."""

    def once() -> None:
        peak_memory.append(
            process.run([*ANALYZE, "--help"], tmp_path / "stdout")["peak_memory"]
        )

    benchmark.pedantic(once, rounds=ROUNDS)
    assert "flows" in (tmp_path / "stdout").read_text()
