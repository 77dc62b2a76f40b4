"""What is lost of frames that hold several segments at one place and one at another."""

import pytest
from scapy.layers.inet import TCP
from scapy.packet import Raw

from analyzer.analysis.paths.ladder import ladder
from tests.correlate import ways
from tests.correlate.simulated import Segment, Wire, tcp
from tests.frames import rows

A, B, _ = ways.NODES
WALK = ways.Ways().direct(ways.pod("client", 1, A), 41000, ways.pod("web", 2, B), 8080)
WAY = [seen for seen in WALK.seen if ".vxlan" not in seen.file]
MSS = 1460
ISN, SERVER_ISN = ways.numbers(1)
REQUEST = b"GET /large HTTP/1.0\r\n\r\n"
BEGIN, ASKED = SERVER_ISN + 1, ISN + 1 + len(REQUEST)
WHOLE, EACH = [(0, 1, 2, 3)], [(0,), (1,), (2,), (3,)]


def download(frames, again=()):
    """Give a download of four segments: those of each frame, and those sent again."""
    answer = TCP(flags="PA", seq=ISN + 1, ack=BEGIN) / Raw(REQUEST)
    exchange = [*tcp(ISN, SERVER_ISN)[:3], Segment(True, 900, answer)]
    for at, sent in ((2_000, frames), (300_000, again)):
        for frame in sent:
            header = TCP(flags="A", seq=BEGIN + MSS * frame[0], ack=ASKED)
            layer = header / Raw(b"x" * MSS * len(frame))
            exchange.append(Segment(False, at + 20 * frame[0], layer))
    end = BEGIN + MSS * 4
    told = TCP(flags="A", seq=ASKED, ack=end)
    return [*exchange, Segment(True, 400_000, told)]


def recorded(tmp_path, at_places):
    """Let each place on the way, from the client's on, see its frames."""
    wire = Wire(tmp_path)
    for seen, frames in zip(WAY, at_places, strict=True):
        wire.carry([seen], download(*frames))
    for n, at in enumerate((-5, 5)):
        around = [seen._replace(client=(seen.client[0], 50000 + n)) for seen in WAY]
        wire.carry(around, tcp(*ways.numbers(n + 2)), at=at)
    return wire.tables(packets=True)


CASES = {
    "whole and cut, nothing is lost": (
        [(EACH,), (EACH,), (WHOLE,), (WHOLE,)],
        [],
    ),
    "cut and joined again, nothing is lost": (
        [(WHOLE,), ([(0, 1), (2, 3)],), (EACH,), (WHOLE,)],
        [],
    ),
    "a segment of a frame that was whole before": (
        [([(0,), (1,), (3,)], [(2,)])] * 2 + [(WHOLE, [(2,)])] * 2,
        [(0, 4, 2)],
    ),
    "a segment that was a frame of its own before": (
        [([(0,), (1,), (3,)], [(2,)])] * 2 + [(EACH, [(2,)]), (WHOLE, [(2,)])],
        [(2, 1, 2)],
    ),
    "a segment that was missing in a joined frame": (
        [([(0, 1), (3,)], [(2,)])] * 2 + [(EACH, [(2,)]), (WHOLE, [(2,)])],
        [(2, 1, 2)],
    ),
    "a segment that was sent again in another such frame": (
        [([(0,), (1,), (3,)], [(2,), (3,)])] * 2 + [(WHOLE, [(2, 3)])] * 2,
        [(0, 4, 2)],
    ),
    "a whole frame": (
        [([], EACH)] * 2 + [(WHOLE, WHOLE)] * 2,
        [(0, 4, 2)],
    ),
    "a segment of a frame at the first place": (
        [([(0,), (1,), (3,)], [(2,)])] * 3 + [(WHOLE, [(2,)])],
        [(0, 4, 3)],
    ),
    "a segment that the first place missed": (
        [([(0,), (1,), (2,)], [(3,)])] + [(EACH, [(3,)])] * 2 + [(WHOLE, [(3,)])],
        [(3, 1, 1)],
    ),
    "a segment that looks the same when it is sent again": (
        [([(0,), (1,), (3,)], [(2,)])] * 2 + [(EACH, [(2,)])] * 2,
        [(2, 1, 2)],
    ),
}


@pytest.mark.parametrize(("at_places", "expected"), CASES.values(), ids=CASES)
def test_a_loss_is_marked_at_the_last_place_that_saw_all_of_it(
    tmp_path, at_places, expected
):
    tables = recorded(tmp_path, at_places)
    (number,) = (
        row["connection_id"]
        for row in rows(tables.connections)
        if row["client_port"] == 41000
    )
    told = ladder(tables, tables.packets, number)
    places = [seen.file.removesuffix(".pcap").replace(".", "/") for seen in WAY]
    assert told.places["point"].to_list() == places
    lost = [
        ((row["seq"] - 1) // MSS, row["payload_length"] // MSS, row["place"])
        for row in told.packets.filter("vanished").to_dicts()
    ]
    assert lost == expected
    assert all(
        since < 200_000_000 for since in told.packets.filter("vanished")["since"]
    )
    assert told.packets["is_retransmission"].any() == bool(expected)
    hops = [row for row in rows(tables.hops) if row["connection_id"] == number]
    assert {row["from_point"] for row in hops if row["lost_segments"]} == {
        places[place] for _, _, place in expected
    }
