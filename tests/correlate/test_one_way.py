"""Captures that took one direction only, as ``tcpdump dst host`` does."""

import pytest

from tests.correlate import ways
from tests.correlate.simulated import SECOND, Wire, tcp, udp
from tests.frames import rows

A, B, _ = ways.NODES
CLIENT, POD = ways.outsider(0), ways.pod("web", 2, B)
WEB = ways.Service("web", "web", "10.152.183.1", 80, 8080, node_port=30080)
THERE, BACK, BOTH = (True,), (False,), (True, False)


def recorded(tmp_path, exchanges, kept, clocks=None):
    """Let calls pass; `kept` has the directions that each of the devices shows."""
    wire = Wire(tmp_path, clocks)
    made = ways.Ways()
    for n, exchange in enumerate(exchanges):
        walk = made.to_service(CLIENT, 41000 + n, WEB, "NodePort", A, POD)
        for number, seen in enumerate(walk.seen):
            directions = kept[number % len(kept)]
            shown = [each for each in exchange if each.from_client in directions]
            wire.carry([seen], shown, at=n)
    return wire


def calls(count=3):
    return [tcp(*ways.numbers(n), tsval=n) for n in range(count)]


KEPT = pytest.mark.parametrize(
    "kept", [(BOTH, THERE), (THERE, BOTH), (BOTH, BACK), (THERE, BACK), (THERE,)]
)


@KEPT
def test_a_connection_is_one_row(tmp_path, kept):
    found = recorded(tmp_path, calls(), kept).connections()
    assert [row["client_port"] for row in found] == [41000, 41001, 41002]
    for row in found:
        assert (row["client_ip"], row["backend_ip"]) == (CLIENT.address, POD.address)
        assert row["client_packets"] == 5
        assert row["backend_packets"] == (0 if kept == (THERE,) else 3)


@KEPT
def test_what_a_filter_left_out_is_not_lost(tmp_path, kept):
    for hop in rows(recorded(tmp_path, calls(), kept).tables().hops):
        assert hop["lost_segments"] in (None, 0)
        assert not hop["capture_loss"]


def test_clocks_that_one_direction_links_are_not_compared(tmp_path):
    first_host, second_host = [BOTH] * 3, [THERE] * 3
    wire = recorded(tmp_path, calls(), first_host + second_host, {B: SECOND})
    tables = wire.tables()
    assert all(row["host"] == row["reference"] for row in rows(tables.clocks))
    between = [
        hop
        for hop in rows(tables.hops)
        if hop["from_point"].split("/")[0] != hop["to_point"].split("/")[0]
    ]
    assert between
    assert all(hop["latency_p50"] is None for hop in between)


def test_replies_that_never_arrive_are_lost(tmp_path):
    wire = recorded(tmp_path, calls(), [BOTH])
    walk = ways.Ways().to_service(CLIENT, 45000, WEB, "NodePort", A, POD)
    exchange = tcp(*ways.numbers(9))[:2]
    for seen in walk.seen:
        is_at_pod = seen.file.startswith("node-b")
        wire.carry([seen], exchange[: 1 + is_at_pod], at=1)
    tables = wire.tables()
    (id_,) = (
        row["connection_id"]
        for row in rows(tables.connections)
        if row["client_port"] == 45000
    )
    lost = [
        (hop["from_point"], hop["to_point"], hop["lost_segments"])
        for hop in rows(tables.hops)
        if hop["connection_id"] == id_ and hop["lost_segments"]
    ]
    assert lost == [("node-b/eth0", "node-a/eth0", 1)]


def test_datagrams_of_which_replies_alone_were_seen_have_a_client(tmp_path):
    exchange = udp(b"a question", b"an answer")
    wire = recorded(tmp_path, [exchange], [BACK])
    for row in wire.connections():
        assert (row["client_ip"], row["client_port"]) in {
            (CLIENT.address, 41000),
            ("10.1.1.0", 50000),
        }
