"""Clocks are recovered within their bounds, and hops are timed by them."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.correlate.lab import OUTSIDE, node_port
from tests.correlate.simulated import SECOND, Wire, tcp
from tests.frames import rows


def busy(folder, clocks, count=30):
    wire = Wire(folder, clocks)
    for number in range(count):
        path = node_port((OUTSIDE, 41000 + number), 52000 + number)
        exchange = tcp(1_000_000 + 7919 * number, 2_000_000 + 6007 * number)
        wire.carry(path, exchange, at=number / 10)
    return wire.tables()


@settings(max_examples=10)  # each writes and reads four captures
@given(shift=st.integers(-3 * SECOND, 3 * SECOND))
def test_an_offset_is_right_within_its_bound(tmp_path_factory, shift):
    tables = busy(tmp_path_factory.mktemp("clocks"), {"node-b": shift})
    clocks = {row["host"]: row for row in rows(tables.clocks)}
    (reference,) = {row["reference"] for row in clocks.values()}
    (other,) = clocks.keys() - {reference}
    truth = shift if other == "node-b" else -shift
    assert abs(clocks[other]["offset"] - truth) <= clocks[other]["bound"]
    assert clocks[other]["bound"] <= 100_000


def test_connections_are_joined_whatever_the_clocks(tmp_path):
    tables = busy(tmp_path, {"node-b": 2_900_000_000})
    connections = tables.connections.collect()
    assert len(connections) == 30
    assert connections["points"].list.len().unique().to_list() == [4]


@pytest.mark.parametrize("shift", [0, 1_500_000_000])
def test_latencies_are_right_within_their_bounds(tmp_path, shift):
    hops = [
        row
        for row in rows(busy(tmp_path, {"node-b": shift}).hops)
        if row["direction"] == "to_backend"
    ]
    truth = {0: 40_000, 1: 50_000, 2: 30_000}
    for row in hops:
        assert abs(row["latency_p50"] - truth[row["hop"]]) <= row["clock_bound"]
        assert row["segments"] >= 3
        assert (row["lost_segments"], row["capture_loss"]) == (0, False)


def test_both_directions_have_the_same_places_in_reverse(tmp_path):
    hops = rows(busy(tmp_path, {}, count=3).hops)
    for _, of_one in itertools.groupby(hops, key=lambda row: row["connection_id"]):
        ways = {"to_backend": [], "to_client": []}
        for row in sorted(of_one, key=lambda row: row["hop"]):
            ways[row["direction"]].append((row["from_point"], row["to_point"]))
        assert ways["to_client"] == [hop[::-1] for hop in ways["to_backend"][::-1]]


def test_what_was_lost_on_the_way_counts(tmp_path):
    wire = Wire(tmp_path)
    for number in range(3):
        path = node_port((OUTSIDE, 41000 + number), 52000 + number)
        exchange = tcp(1_000_000 + 7919 * number, 2_000_000 + 6007 * number)
        wire.carry(path, exchange, at=number)
    before, *behind = node_port((OUTSIDE, 41900), 52900)
    unanswered = tcp(9_000_000, 0, is_answered=False)
    wire.carry([before], unanswered, at=0.5)
    wire.carry(behind, unanswered[1:], at=0.5)
    tables = wire.tables()
    lost = rows(tables.hops.filter(direction="to_backend"))
    assert sum(row["lost_segments"] or 0 for row in lost) == 1
