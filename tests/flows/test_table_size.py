"""The flow table at a size where its index grows, empties and is used again."""

import random
import struct

import polars as pl
import pytest

import analyzer

SECOND = 1_000_000_000
FLOWS = 120_000
PACKETS = 300_000
PORTS = 60_000


def datagram(flow: int) -> bytes:
    host, port = divmod(flow, PORTS)
    ip = struct.pack(
        "!BBHHHBBHII", 0x45, 0, 32, 0, 0, 64, 17, 0, 0x0A000000 | host, 0x0A600001
    )
    return ip + struct.pack("!HHHHI", 1024 + port, 53, 12, 0, flow)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """Datagrams of many flows over 100 s, and the rows that a 1 s timeout gives."""
    rng = random.Random(7)
    path = tmp_path_factory.mktemp("size") / "many.pcap"
    last = {}
    flow = rows = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 101))
        for time in sorted(rng.randrange(100 * SECOND) for _ in range(PACKETS)):
            if rng.random() > 0.3:  # else neighbours are of one flow, as they often are
                flow = rng.randrange(FLOWS)
            rows += time - last.get(flow, -2 * SECOND) > SECOND
            last[flow] = time
            octets = datagram(flow)
            head = divmod(time, SECOND)
            file.write(struct.pack("<IIII", *head, len(octets), len(octets)) + octets)
    return path, rows


# Each run has another hash seed.
@pytest.mark.parametrize("run", range(4))
def test_no_flow_is_split_or_joined_when_slots_are_used_again(capture, run):  # noqa: ARG001
    path, rows = capture
    flows = analyzer.build_tables(path, idle_timeout=1.0).flows
    counted, packets = (
        flows.select(pl.len(), pl.col("originator_packets").sum()).collect().row(0)
    )
    assert (counted, packets) == (rows, PACKETS)


def test_without_timeouts_every_flow_has_one_row(capture):
    path, _ = capture
    flows = analyzer.build_tables(path, idle_timeout=1000.0).flows
    keys = flows.select("originator_ip", "originator_port").collect()
    assert len(keys) == keys.n_unique()
