"""Frames to the packets table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import analyzer

if TYPE_CHECKING:
    from benchmarks.inputs import Capture

pytestmark = pytest.mark.benchmark(group="decode")


def _decode(capture: Capture) -> pl.DataFrame:
    packets: pl.DataFrame = analyzer.scan_packets(capture.path).collect()
    return packets


def _check(packets: pl.DataFrame, truth: dict[str, Any]) -> None:
    assert packets.height == truth["packets"]
    assert packets["wire_length"].sum() == truth["wire_bytes"]
    assert packets["vni"].count() == truth["vxlan_packets"]
    assert packets["stop_reason"].null_count() == truth["packets"]
    protocols = dict(packets["protocol"].cast(pl.String).value_counts().iter_rows())
    icmp = protocols.get("icmp", 0) + protocols.get("icmp6", 0)
    assert protocols["tcp"] == truth["tcp_packets"]
    assert protocols["udp"] == truth["udp_packets"]
    assert icmp == truth["icmp_packets"]


def bench_cluster_frames(benchmark: Any, cluster_capture: Capture) -> None:
    """Decode a cluster's usual mix, every column."""
    packets = benchmark(_decode, cluster_capture)
    _check(packets, cluster_capture.truth)
    benchmark.extra_info |= cluster_capture.size


def bench_vxlan_frames(benchmark: Any, vxlan_capture: Capture) -> None:
    """Decode two stacks of headers per frame."""
    packets = benchmark(_decode, vxlan_capture)
    _check(packets, vxlan_capture.truth)
    benchmark.extra_info |= vxlan_capture.size


def bench_plain_frames(benchmark: Any, plain_capture: Capture) -> None:
    """Decode one stack of headers per frame."""
    packets = benchmark(_decode, plain_capture)
    _check(packets, plain_capture.truth)
    benchmark.extra_info |= plain_capture.size


def bench_three_columns(benchmark: Any, cluster_capture: Capture) -> None:
    """Decode the usual mix, but ask for little: projection must reach the decoder."""

    def ask() -> pl.DataFrame:
        packets = analyzer.scan_packets(cluster_capture.path)
        answer: pl.DataFrame = (
            packets.group_by("vni")
            .agg(pl.len().alias("packets"), pl.col("wire_length").sum())
            .sort("vni")
            .collect()
        )
        return answer

    answer = benchmark(ask)
    truth = cluster_capture.truth
    plain = truth["packets"] - truth["vxlan_packets"]
    assert answer["vni"].to_list() == [None, 4096]
    assert answer["packets"].to_list() == [plain, truth["vxlan_packets"]]
    assert answer["wire_length"].sum() == truth["wire_bytes"]
    benchmark.extra_info |= cluster_capture.size


def bench_first_thousand(benchmark: Any, cluster_capture: Capture) -> None:
    """Stop after a thousand rows: the limit must reach the decoder."""

    def ask() -> pl.DataFrame:
        packets = analyzer.scan_packets(cluster_capture.path)
        head: pl.DataFrame = packets.head(1000).collect()
        return head

    packets = benchmark(ask)
    assert packets["frame"].to_list() == list(range(1, 1001))
    benchmark.extra_info |= {"packets": 1000, "bytes": 0}
