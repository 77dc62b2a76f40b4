"""Frames to the flows table, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import analyzer

if TYPE_CHECKING:
    from benchmarks.inputs import Capture

pytestmark = pytest.mark.benchmark(group="flows")


def _flows(capture: Capture) -> pl.DataFrame:
    flows: pl.DataFrame = analyzer.build_tables(capture.path).flows.collect()
    return flows


def _check(flows: pl.DataFrame, truth: dict[str, Any]) -> None:
    packets = flows["originator_packets"] + flows["responder_packets"]
    assert flows.height == truth["flows"]
    assert packets.sum() == truth["packets"] - truth["arp_packets"]
    assert flows["wire_bytes"].sum() == truth["wire_bytes"] - truth["arp_bytes"]
    assert flows["vni"].count() == truth["vxlan_flows"]
    assert (flows["protocol"] == "tcp").sum() == truth["tcp_flows"]
    assert flows["originator_retransmits"].sum() == truth["retransmits"]
    assert flows["responder_retransmits"].sum() == truth["retransmits"]


def bench_cluster_flows(benchmark: Any, cluster_capture: Capture) -> None:
    """Follow a cluster's usual mix: long flows and short, sizes by Zipf's law."""
    flows = benchmark(_flows, cluster_capture)
    _check(flows, cluster_capture.truth)
    states = set(flows.filter(pl.col("protocol") == "tcp")["tcp_state"].cast(pl.String))
    assert states == {"SF", "REJ"}
    benchmark.extra_info |= cluster_capture.size


def bench_flows_of_headers(benchmark: Any, short_capture: Capture) -> None:
    """Follow frames cut to 96 octets: VXLAN shows no TCP flags then."""
    flows = benchmark(_flows, short_capture)
    _check(flows, short_capture.truth)
    benchmark.extra_info |= short_capture.size


def bench_many_flows(benchmark: Any, many_flows_capture: Capture) -> None:
    """Follow flows of two packets: the table grows with nearly every other packet."""
    flows = benchmark(_flows, many_flows_capture)
    _check(flows, many_flows_capture.truth)
    benchmark.extra_info |= many_flows_capture.size
