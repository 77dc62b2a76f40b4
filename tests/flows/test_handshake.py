"""The handshake: its round-trip time, initial sequence numbers and SYN options."""

import pytest

from captures.lab import Conversation, frame
from tests.frames import NODEPORT, flow_of, flow_rows, picked
from tests.oracles import RST, tshark_rows

MILLISECOND = 1_000_000
RECORDED = sorted(
    path.name.removesuffix(".gz")
    for path in NODEPORT.glob("*.gz")
    if ".any." not in path.name  # there tshark takes copies for segments
)


def timed(*pairs):
    """Take pictures of (milliseconds, segment) pairs."""
    return [frame(segment, at) for at, segment in pairs]


def test_the_round_trip_is_from_syn_to_the_ack_of_the_syn_ack():
    syn, syn_ack, ack = Conversation().handshake()
    flow = flow_of(timed((0, syn), (30, syn_ack), (42, ack)))
    assert flow["handshake_rtt"] == 42 * MILLISECOND


def test_without_the_last_ack_there_is_no_round_trip():
    syn, syn_ack, _ = Conversation().handshake()
    assert flow_of(timed((0, syn), (30, syn_ack)))["handshake_rtt"] is None


def test_without_the_syn_there_is_no_round_trip():
    _, syn_ack, ack = Conversation().handshake()
    assert flow_of(timed((30, syn_ack), (42, ack)))["handshake_rtt"] is None


def test_a_later_ack_does_not_lengthen_it():
    c = Conversation()
    syn, syn_ack, ack = c.handshake()
    data = c.client("PA", b"?")
    flow = flow_of(timed((0, syn), (30, syn_ack), (42, ack), (99, data)))
    assert flow["handshake_rtt"] == 42 * MILLISECOND


def test_data_with_the_last_ack_ends_the_handshake():
    c = Conversation()
    syn, syn_ack, _ = c.handshake()
    data = c.client("PA", b"?")
    flow = flow_of(timed((0, syn), (30, syn_ack), (50, data)))
    assert flow["handshake_rtt"] == 50 * MILLISECOND


def test_initial_sequence_numbers_are_kept():
    c = Conversation(client_isn=2**32 - 1, server_isn=0)
    flow = flow_of(c.handshake())
    assert (flow["originator_isn"], flow["responder_isn"]) == (2**32 - 1, 0)


def test_without_a_syn_they_are_unknown():
    c = Conversation()
    flow = flow_of(c.handshake()[2:])
    assert (flow["originator_isn"], flow["responder_isn"]) == (None, None)


def test_options_of_the_syn_survive_in_the_flow():
    c = Conversation()
    options = [("MSS", 1_410), ("SAckOK", b""), ("Timestamp", (77, 0)), ("WScale", 7)]
    answer = [("MSS", 1_360), ("NOP", None), ("WScale", 9)]
    flow = flow_of(
        [
            c.client("S", options=options, window=64_240),
            c.server("SA", options=answer, window=65_160),
            c.client("A"),
        ]
    )
    expected = {
        "originator_syn_mss": 1_410,
        "originator_syn_tsval": 77,
        "originator_syn_window": 64_240,
        "originator_syn_window_scale": 7,
        "responder_syn_mss": 1_360,
        "responder_syn_tsval": None,
        "responder_syn_window": 65_160,
        "responder_syn_window_scale": 9,
    }
    assert picked(flow, expected) == expected


def test_the_order_of_options_tells_syns_apart():
    def layout(options):
        return flow_of([Conversation().client("S", options=options)])[
            "originator_syn_options"
        ]

    linux = [("MSS", 1460), ("SAckOK", b""), ("NOP", None), ("WScale", 7)]
    other = [("MSS", 1460), ("NOP", None), ("WScale", 7), ("SAckOK", b"")]
    assert layout(linux) == layout(linux) is not None
    assert layout(linux) != layout(other)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_round_trips_are_tshark_s_initial_rtt(name, nodeport):
    expected = {}
    for row in tshark_rows(nodeport[name]):
        refused = row.get("tcp_flags", 0) & RST  # tshark takes it for the last ACK
        if row.get("_initial_rtt") is not None and not refused:
            tcp = (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"])
            expected[frozenset((tcp[:2], tcp[2:]))] = row["_initial_rtt"]
    found = {
        frozenset(
            (
                (flow["originator_ip"], flow["originator_port"]),
                (flow["responder_ip"], flow["responder_port"]),
            )
        ): flow["handshake_rtt"]
        for flow in flow_rows(nodeport[name])
        if flow["handshake_rtt"] is not None
    }
    assert found == expected


def test_a_syn_with_data_is_counted_as_payload():
    c = Conversation()
    flow = flow_of([c.client("S", b"fast open"), c.server("SA"), c.client("A")])
    assert flow["originator_payload_bytes"] == len(b"fast open")
    assert flow["originator_isn"] == 1_000
