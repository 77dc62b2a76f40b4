"""Clocks that drift, three of them, and clocks that nothing links."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.correlate import ways
from tests.correlate.simulated import SECOND, START, Wire, tcp, udp
from tests.correlate.ways import numbers
from tests.frames import rows

A, B, C = ways.NODES
SHIFT = st.integers(-3 * SECOND, 3 * SECOND)
DRIFT = st.floats(-100e-6, 100e-6)
DELAY = st.integers(1, 150)


def between(client, server, *, delay=20, back=20):
    """Give the NICs' view of a call from a pod of one node to a pod of another."""
    call = ways.Ways().direct(
        ways.pod("client", 1, client), 41000, ways.pod("web", 2, server), 8080
    )
    first, second = (seen for seen in call.seen if ".eth0." in seen.file)
    return [first._replace(delay=0), second._replace(delay=delay, back=back)]


def carry(wire, path, *, count=12, seconds=10.0, first=0):
    """Let calls pass, one after the other, each from another port."""
    for n in range(first, first + count):
        seen = [each._replace(client=(each.client[0], 41000 + n)) for each in path]
        wire.carry(seen, tcp(*numbers(n)), at=n * seconds / count)


def compared(wire):
    """Give the clocks that were compared with another."""
    found = rows(wire.tables().clocks)
    return [row for row in found if row["host"] != row["reference"]]


def deviation(row, clocks, drifts):
    """Say how far a row of clocks is from the truth at its time."""
    host = row["host"]
    passed = (row["time"] - START - clocks.get(host, 0)) / (1 + drifts.get(host, 0))

    def shown(host):
        return clocks.get(host, 0) + drifts.get(host, 0) * passed

    return abs(row["offset"] - (shown(host) - shown(row["reference"])))


@settings(max_examples=8)  # each writes two captures
@given(shift=SHIFT, drift=DRIFT, there=DELAY, back=DELAY)
@example(shift=0, drift=1e-6, there=1, back=93)
def test_an_offset_is_right_within_its_bound_though_clocks_drift(
    tmp_path_factory, shift, drift, there, back
):
    clocks, drifts = {B: shift}, {B: drift}
    wire = Wire(tmp_path_factory.mktemp("drift"), clocks, drifts)
    carry(wire, between(A, B, delay=there, back=back))
    (row,) = compared(wire)
    assert deviation(row, clocks, drifts) <= row["bound"]
    assert row["bound"] < 2 * (there + back) * 1000 + 5000


def test_a_drift_is_found_in_minutes(tmp_path):
    wire = Wire(tmp_path, drifts={B: 50e-6})
    carry(wire, between(A, B), count=40, seconds=120)
    (row,) = compared(wire)
    sign = 1 if row["host"] == B else -1
    assert row["drift_ppm"] * sign == pytest.approx(50, abs=1)


@settings(max_examples=5)  # each writes three captures
@given(b=SHIFT, c=SHIFT)
def test_three_hosts_have_one_reference(tmp_path_factory, b, c):
    clocks = {B: b, C: c}
    wire = Wire(tmp_path_factory.mktemp("three"), clocks)
    carry(wire, between(A, B), count=6)
    carry(wire, between(B, C), count=6, first=6)
    found = compared(wire)
    assert len(found) == 2
    assert len({row["reference"] for row in found}) == 1
    for row in found:
        assert deviation(row, clocks, {}) <= row["bound"] < 200_000


def test_hosts_that_share_no_packet_are_their_own_references(tmp_path):
    wire = Wire(tmp_path, {B: SECOND})
    first, second = between(A, B)
    carry(wire, [first], count=3)
    carry(wire, [second], count=3, first=3)
    assert compared(wire) == []
    assert len(rows(wire.tables().clocks)) == 2


def test_no_latency_between_clocks_that_nothing_links(tmp_path):
    wire = Wire(tmp_path, {B: SECOND})
    wire.carry(between(A, B), tcp(*numbers(1), is_answered=False))
    hops = rows(wire.tables().hops)
    assert len(hops) == 2
    for hop in hops:
        assert {hop["from_point"], hop["to_point"]} == {f"{A}/eth0", f"{B}/eth0"}
        assert (hop["latency_p50"], hop["clock_bound"]) == (None, None)


def test_packets_that_a_capture_lost_do_not_move_clocks(tmp_path):
    wire = Wire(tmp_path, {B: SECOND})
    path = between(A, B)
    for n in range(8):
        exchange = tcp(*numbers(n))
        for seen, lost in zip(path, (n % 8, (n + 3) % 8), strict=True):
            kept = [segment for i, segment in enumerate(exchange) if i != lost]
            port = 41000 + n
            wire.carry([seen._replace(client=(seen.client[0], port))], kept, at=n)
    (row,) = compared(wire)
    assert deviation(row, {B: SECOND}, {}) <= row["bound"] < 200_000


def test_datagrams_that_repeat_do_not_move_clocks(tmp_path):
    wire = Wire(tmp_path)
    first, second = between(A, B)
    beat = udp(b"are you there", b"I am")
    for n in range(4):
        wire.carry([first, second][: 1 + (n > 1)], beat, at=5 * n)
    for row in compared(wire):
        assert deviation(row, {}, {}) <= row["bound"]


def test_datagrams_that_repeat_have_no_latency(tmp_path):
    wire = Wire(tmp_path)
    first, second = between(A, B)
    carry(wire, [first, second], count=6, first=1)
    beat = udp(b"are you there", b"I am")
    for n in range(4):
        wire.carry([first, second][: 1 + (n > 1)], beat, at=5 * n)
    for hop in rows(wire.tables().hops):
        if hop["latency_p99"] is not None:
            assert abs(hop["latency_p99"] - 20_000) <= hop["clock_bound"]


@pytest.mark.parametrize("slow", [0, 1, 2, 3])
def test_who_is_passed_twice_does_not_move_clocks(slow, tmp_path):
    wire = Wire(tmp_path, {B: SECOND})
    carry(wire, between(A, B))
    service = ways.Service("web", "web", "10.152.183.50", 80, 8080, 30080)
    client, server = ways.pod("client", 1, A), ways.pod("web", 2, A)
    for n in range(12, 24):
        # By the other node's port, and back to a pod of the client's own node.
        call = ways.Ways().to_service(client, 41000 + n, service, "NodePort", B, server)
        at_nics = [seen for seen in call.seen if ".eth0." in seen.file]
        assert [seen.file.split(".")[0] for seen in at_nics] == [A, B, B, A]
        late = [seen._replace(delay=seen.delay + 70) for seen in at_nics[slow:]]
        wire.carry(at_nics[:slow] + late, tcp(*numbers(n)), at=n / 10)
    (row,) = compared(wire)
    assert deviation(row, {B: SECOND}, {}) <= row["bound"] < 50_000
