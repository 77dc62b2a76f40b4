"""Connections that were open before captures began, each of which began at its time."""

import random

import pytest
from scapy.layers.inet import TCP
from scapy.packet import Raw

from tests.correlate import ways
from tests.correlate.simulated import Segment, Wire

A, B, C = ways.NODES


def talk(seed, count=40):
    """Give requests and answers of a connection that goes on."""
    numbers = random.Random(seed)
    seq, ack = numbers.getrandbits(31), numbers.getrandbits(31)
    segments = []
    for n in range(count):
        asked = TCP(flags="PA", seq=seq + 100 * n, ack=ack + 200 * n) / Raw(b"q" * 100)
        told = TCP(flags="PA", seq=ack + 200 * n, ack=seq + 100 * (n + 1))
        segments.append(Segment(True, 1000 * n, asked))
        segments.append(Segment(False, 1000 * n + 500, told / Raw(b"a" * 200)))
    return segments


@pytest.mark.parametrize("seed", range(12))
def test_its_path_is_in_order(tmp_path, seed):
    begins = random.Random(seed)
    walk = ways.Ways().direct(
        ways.pod("client", 1, A), 41000, ways.pod("web", 2, B), 80
    )
    wire = Wire(tmp_path)
    for seen in walk.seen:
        wire.carry([seen], talk(seed)[begins.randrange(0, 60) :])
    (row,) = wire.connections()
    assert row["points"] == [
        seen.file.removesuffix(".pcap").replace(".", "/", 1) for seen in walk.seen
    ]
