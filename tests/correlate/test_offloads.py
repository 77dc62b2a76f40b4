"""Frames that hold several segments at one point and one at another (GRO, TSO)."""

import pytest
from scapy.layers.inet import TCP
from scapy.packet import Raw

from tests.correlate import ways
from tests.correlate.simulated import SECOND, Segment, Wire, tcp
from tests.frames import rows

A, B, _ = ways.NODES
MSS = 1460
COUNT = 40
OUTSIDER = ways.outsider(0)
WEB = ways.Service("web", "web", "10.152.183.1", 80, 8080, node_port=30080)
ISN, SERVER_ISN = ways.numbers(0)
REQUEST = b"GET /large HTTP/1.0\r\n\r\n"


def download(joined, *, lost=(), first=0):
    """Give a download whose segments a point sees `joined` at a time, but some."""
    handshake = tcp(ISN, SERVER_ISN)[:3]
    ack = ISN + 1 + len(REQUEST)
    begin = SERVER_ISN + 1
    asked = TCP(flags="PA", seq=ISN + 1, ack=begin) / Raw(REQUEST)
    exchange = [*handshake, Segment(True, 900, asked)]
    kept = [number for number in range(COUNT) if number not in lost]
    while kept:
        frame = [kept.pop(0)]
        while kept and len(frame) < joined and kept[0] == frame[-1] + 1:
            frame.append(kept.pop(0))
        header = TCP(flags="A", seq=begin + MSS * frame[0], ack=ack)
        layer = header / Raw(b"x" * MSS * len(frame))
        exchange.append(Segment(False, 2000 + 20 * frame[0], layer))
    for number in range(4, COUNT + 1, 4):
        told = TCP(flags="A", seq=ack, ack=begin + MSS * number)
        exchange.append(Segment(True, 2500 + 20 * number, told))
    end = begin + MSS * COUNT
    exchange += [
        Segment(True, 5000, TCP(flags="FA", seq=ack, ack=end)),
        Segment(False, 5400, TCP(flags="FA", seq=end, ack=ack + 1)),
        Segment(True, 5800, TCP(flags="A", seq=ack + 1, ack=end + 1)),
    ]
    return sorted(exchange, key=lambda each: each.at)[first:]


def recorded(tmp_path, joined, *, lost=(), first=0, clocks=None, around=True):
    """Let a download pass whose frames are joined otherwise at every device."""
    wire = Wire(tmp_path, clocks)
    web = ways.pod("web", 2, B)
    made = ways.Ways()
    walk = made.to_service(OUTSIDER, 41000, WEB, "NodePort", A, web)
    for n, seen in enumerate(walk.seen):
        # What is lost was seen at the pod's device and nowhere else.
        is_behind = n < len(walk.seen) - 1
        exchange = download(joined[n % len(joined)], lost=lost * is_behind, first=first)
        wire.carry([seen], exchange)
    for n, at in enumerate((-5, 5) if around else ()):
        other = made.to_service(OUTSIDER, 50000 + n, WEB, "NodePort", A, web)
        wire.carry(other.seen, tcp(*ways.numbers(n + 1)), at=at)
    return wire


def of_the_download(tables):
    (row,) = (row for row in rows(tables.connections) if row["client_port"] == 41000)
    id_ = row["connection_id"]
    return row, [hop for hop in rows(tables.hops) if hop["connection_id"] == id_]


JOINED = pytest.mark.parametrize("joined", [(1, 10), (44, 1, 8)])


@JOINED
def test_a_connection_is_one_row_with_all_its_octets(tmp_path, joined):
    row, _ = of_the_download(recorded(tmp_path, joined).tables())
    assert (row["client_ip"], row["backend_ip"]) == (OUTSIDER.address, "10.1.2.12")
    assert row["backend_payload_bytes"] == MSS * COUNT
    assert row["client_payload_bytes"] == len(REQUEST)
    assert row["retransmits"] == 0


@JOINED
def test_a_connection_that_was_open_before_is_one_row(tmp_path, joined):
    wire = recorded(tmp_path, joined, first=4, around=False)
    row, _ = of_the_download(wire.tables())
    assert (row["client_ip"], row["backend_ip"]) == (OUTSIDER.address, "10.1.2.12")


@JOINED
def test_what_was_joined_is_not_lost(tmp_path, joined):
    _, hops = of_the_download(recorded(tmp_path, joined).tables())
    assert {(hop["lost_segments"], hop["capture_loss"]) for hop in hops} == {(0, False)}


@pytest.mark.parametrize("joined", [(1, 1), (1, 10), (10, 1), (40, 40)])
def test_segments_count_that_are_lost_not_frames(tmp_path, joined):
    wire = recorded(tmp_path, joined, lost=(5, 6, 17))
    _, hops = of_the_download(wire.tables())
    lost = {
        (hop["from_point"], hop["lost_segments"])
        for hop in hops
        if hop["lost_segments"]
    }
    assert lost == {("node-b/caliweb-2", 3)}


@JOINED
def test_latencies_are_right_within_their_bounds(tmp_path, joined):
    tables = recorded(tmp_path, joined, clocks={B: 2 * SECOND}).tables()
    _, hops = of_the_download(tables)
    assert any(hop["segments"] for hop in hops)
    for hop in hops:
        if hop["segments"]:
            # From each device to the next it takes 20 us.
            assert abs(hop["latency_p50"] - 20_000) <= hop["clock_bound"]
            assert abs(hop["latency_p99"] - 20_000) <= hop["clock_bound"]


@JOINED
def test_clocks_are_right_within_their_bounds(tmp_path, joined):
    tables = recorded(tmp_path, joined, clocks={B: 2 * SECOND}).tables()
    (row,) = (row for row in rows(tables.clocks) if row["host"] != row["reference"])
    truth = 2 * SECOND if row["host"] == B else -2 * SECOND
    assert abs(row["offset"] - truth) <= row["bound"] < 200_000
