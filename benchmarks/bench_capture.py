"""One pass over the frames: every format and compression, no table made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from analyzer.capture import CHUNK_SIZE
from analyzer.pipeline import summarise

if TYPE_CHECKING:
    from benchmarks.inputs import Capture

pytestmark = pytest.mark.benchmark(group="capture")


def _pass_over(benchmark: Any, capture: Capture) -> None:
    [summary] = benchmark(summarise, [capture.path])
    truth = capture.truth
    assert summary.packets == truth["packets"]
    assert summary.wire_bytes == truth["wire_bytes"]
    assert summary.non_ip == truth["arp_packets"]
    assert summary.tunnels == {"vxlan": truth["vxlan_packets"]}
    assert not summary.damage
    benchmark.extra_info |= capture.size


def bench_reading_alone(benchmark: Any, cluster_capture: Capture) -> None:
    """Copy the file from the page cache: what no reader of it can be faster than."""
    buffer = bytearray(CHUNK_SIZE)

    def read() -> int:
        octets = 0
        with cluster_capture.path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                octets += count
        return octets

    assert benchmark(read) == cluster_capture.truth["capture_bytes"]
    benchmark.extra_info |= cluster_capture.size


def bench_pcap(benchmark: Any, cluster_capture: Capture) -> None:
    """Whole frames in the classic format."""
    _pass_over(benchmark, cluster_capture)


def bench_pcap_of_headers(benchmark: Any, short_capture: Capture) -> None:
    """Frames cut to 96 octets: time per packet rather than per octet."""
    _pass_over(benchmark, short_capture)


def bench_pcapng(benchmark: Any, pcapng_capture: Capture) -> None:
    """Enhanced packet blocks."""
    _pass_over(benchmark, pcapng_capture)


def bench_gzip(benchmark: Any, gzip_capture: Capture) -> None:
    """Bound by decompression."""
    _pass_over(benchmark, gzip_capture)


def bench_zstd(benchmark: Any, zstd_capture: Capture) -> None:
    """Bound by decompression, but less so."""
    _pass_over(benchmark, zstd_capture)


def bench_lz4(benchmark: Any, lz4_capture: Capture) -> None:
    """Bound by decompression, in blocks of 64 KiB."""
    _pass_over(benchmark, lz4_capture)
