"""Generated captures hold what their counts say: other programs count them again."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import dpkt
import pytest

import analyzer
from benchmarks import inputs
from benchmarks.endless import Endless
from benchmarks.generate import generate

ROOT = Path(__file__).parents[2]
PACKETS = 20_000


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("captures")


def five_tuples(path: Path) -> tuple[int, int, int]:
    """Count IP packets, their octets and outermost flows of TCP and UDP with dpkt."""
    packets = octets = 0
    flows = set()
    with path.open("rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            if not isinstance(ip, (dpkt.ip.IP, dpkt.ip6.IP6)):
                continue
            packets += 1
            octets += ip.len if isinstance(ip, dpkt.ip.IP) else ip.plen + 40
            if ip.p in {6, 17}:
                ends = sorted([(ip.src, ip.data.sport), (ip.dst, ip.data.dport)])
                flows.add((ip.p, *ends))
    return packets, octets, len(flows)


@pytest.mark.parametrize("name", ["usual", "many"])
def test_dpkt_counts_the_same_outermost_packets_and_flows(name, data):
    capture = inputs.kind(name, PACKETS, data)
    truth = capture.truth
    expected = truth["ip_packets"], truth["ip_bytes"], truth["outer_flows"]
    assert five_tuples(capture.path) == expected


def test_dpkt_counts_the_same_in_a_prefix(data):
    capture = inputs.prefix(inputs.kind("many", PACKETS, data), 3_000)
    truth = capture.truth
    expected = truth["ip_packets"], truth["ip_bytes"], truth["outer_flows"]
    assert five_tuples(capture.path) == expected


@pytest.mark.parametrize("pcapng", [False, True])
def test_the_same_arguments_write_the_same_octets(pcapng):
    def octets(seed):
        out = io.BytesIO()
        generate(out, packets=5_000, flows=200, seed=seed, pcapng=pcapng)
        return out.getvalue()

    assert octets(1) == octets(1)
    assert octets(1) != octets(2)


@pytest.mark.parametrize("suffix", inputs.COMPRESSIONS)
def test_a_compressed_capture_is_the_same_capture(suffix, data):
    capture = inputs.kind("usual", PACKETS, data)
    compressed = inputs.compress(capture, suffix)
    assert compressed.path.stat().st_size < capture.path.stat().st_size
    [summary] = analyzer.build_tables(compressed.path).captures
    assert summary.packets == PACKETS
    assert summary.wire_bytes == capture.truth["wire_bytes"]


def test_noise_cannot_be_compressed_away(data):
    capture = inputs.kind("usual", PACKETS, data)
    compressed = inputs.compress(capture, ".zst")
    assert compressed.path.stat().st_size > capture.path.stat().st_size / 3


def read(path: Path, passes: int) -> bytes:
    return subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.endless", path),
            *("--passes", str(passes)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout


def test_passes_of_an_endless_capture_are_the_capture_at_later_times(data):
    path = inputs.kind("usual", PACKETS, data).path
    once = list(dpkt.pcap.Reader(io.BytesIO(path.read_bytes())))
    thrice = list(dpkt.pcap.Reader(io.BytesIO(read(path, 3))))
    assert [frame for _, frame in thrice] == [frame for _, frame in once] * 3
    times = [time for time, _ in thrice]
    assert times[:PACKETS] == [time for time, _ in once]
    assert times == sorted(times)
    shift = times[PACKETS] - times[0]
    assert shift > 600
    assert times[2 * PACKETS] - times[PACKETS] == pytest.approx(shift)


def test_every_pass_has_flows_of_its_own(data, tmp_path):
    capture = inputs.kind("usual", PACKETS, data)
    path = tmp_path / "thrice.pcap"
    path.write_bytes(read(capture.path, 3))
    flows = analyzer.build_tables(path).flows.collect()
    assert flows.height == 3 * capture.truth["flows"]


def test_an_endless_capture_ends_when_nobody_reads(data):
    path = inputs.kind("usual", PACKETS, data).path
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.endless", path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as feeding:
        assert len(feeding.stdout.read(50_000_000)) == 50_000_000
        feeding.stdout.close()
        assert feeding.stderr.read() == b""
        assert feeding.wait(timeout=20) == 0


@pytest.mark.parametrize("octets", [b"", b"\n\r\r\n" + bytes(60), b"\xd4\xc3\xb2\xa1"])
def test_what_is_no_pcap_file_with_packets_has_no_passes(octets):
    with pytest.raises(ValueError, match=r"not a little-endian pcap|no packets"):
        Endless(bytearray(octets))
