"""What is found does not depend on how many octets are read at a time."""

import gzip

import pytest

import analyzer
from tests.frames import NODEPORT, rows, sample_captures, sample_name

WHOLE = 4 << 20


def tables(path, chunk_size):
    """Read packets and flows, so many octets at a time."""
    packets = rows(analyzer.scan_packets(path, chunk_size=chunk_size))
    built = analyzer.build_tables(path, chunk_size=chunk_size)
    return packets, rows(built.flows), [s.damage for s in built.captures]


@pytest.mark.parametrize("chunk_size", [7, 61, 4096])
@pytest.mark.parametrize("path", sample_captures(), ids=sample_name)
def test_every_sample_is_the_same_in_chunks(path, chunk_size):
    assert tables(path, chunk_size) == tables(path, WHOLE)


def test_one_octet_at_a_time_is_enough():
    path = next(path for path in sample_captures() if path.name == "sections.pcapng")
    assert tables(path, 1) == tables(path, WHOLE)


@pytest.mark.parametrize("chunk_size", [997, 65_536])
@pytest.mark.parametrize(
    "name", ["k8s-master.any.pcap.gz", "k8s-worker02.ens18.pcapng.gz"]
)
def test_recorded_captures_are_the_same_in_chunks(name, chunk_size, tmp_path):
    path = tmp_path / name.removesuffix(".gz")
    path.write_bytes(gzip.decompress((NODEPORT / name).read_bytes()))
    assert tables(path, chunk_size) == tables(path, WHOLE)
