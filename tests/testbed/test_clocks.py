"""A capture's times move as a wrong clock's would, and nothing else changes."""

import gzip

import pytest

from captures.testbed.clocks import Clock, shift
from tests.frames import CAPTURES, packet_rows

SAMPLES = CAPTURES / "cluster" / "loadbalancer"
FILES = {
    "microseconds": "k8s-worker03.calid6dedbab282.pcap.gz",
    "nanoseconds": "k8s-worker03.vxlan.calico.pcap.gz",
    "pcapng, two interfaces": "k8s-worker02.ens18+vxlan.calico.pcapng.gz",
}


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
@pytest.mark.parametrize("clock", [Clock(0.25), Clock(-3.5, 400.0)], ids=str)
def test_every_time_moves_by_offset_and_drift(file, clock, tmp_path):
    path = tmp_path / file.removesuffix(".gz")
    path.write_bytes(gzip.decompress((SAMPLES / file).read_bytes()))
    before = packet_rows(path)
    since = before[0]["time"] / 1e9
    shift(path, clock, since)
    after = packet_rows(path)
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        elapsed = old["time"] / 1e9 - since
        moved = (new["time"] - old["time"]) / 1e9
        expected = clock.offset_s + elapsed * clock.drift_ppm / 1e6
        assert moved == pytest.approx(expected, abs=2e-6)
        old["time"] = new["time"] = None
    assert before == after


def test_a_clock_is_written_as_offset_and_drift():
    assert Clock.parse("0.25") == Clock(0.25)
    assert Clock.parse("-3.5:400") == Clock(-3.5, 400.0)
