"""The state of a TCP conversation is the one that Zeek would log."""

import pytest

from captures.lab import CLIENT, NODE_A, Conversation
from captures.tcp.connection_states import FIRST_PORT, build, scripts
from tests.frames import CONFORMANCE, flow_of, flow_rows, flows_of
from tests.oracles import ACK, Segment, zeek_conn_state

SCRIPTS = scripts()
PREFIXES = [
    pytest.param(segments[:count], id=f"{state}, {count} segments")
    for state, segments in SCRIPTS.items()
    for count in range(1, len(segments) + 1)
]


def oracle(segments):
    """Ask the oracle, whose originator is the sender of the SYN if there was one."""
    return zeek_conn_state(
        Segment(s["IP"].src == CLIENT, int(s["TCP"].flags), len(s["TCP"].payload))
        for s in segments
    )


@pytest.mark.parametrize("state", SCRIPTS)
def test_each_state_is_reached(state):
    flow = flow_of(SCRIPTS[state])
    assert flow["tcp_state"] == state
    assert (flow["originator_ip"], flow["responder_ip"]) == (CLIENT, NODE_A)


@pytest.mark.parametrize("segments", PREFIXES)
def test_every_beginning_of_a_conversation_has_zeek_s_state(segments):
    assert flow_of(segments)["tcp_state"] == oracle(segments)


def test_the_sample_has_one_flow_of_each_state(tmp_path):
    path = tmp_path / "states.pcap"
    path.write_bytes(build())
    found = {
        flow["originator_port"] - FIRST_PORT: flow["tcp_state"]
        for flow in flow_rows(path)
    }
    assert found == dict(enumerate(SCRIPTS))


def closed_from_both_sides():
    c = Conversation()
    return [*c.handshake(), c.server("FA"), c.client("FA"), c.server("A")]


def reset_after_both_fins():
    c = Conversation()
    return [*c.handshake(), *c.goodbye(), c.client("R")]


def reset_instead_of_a_second_fin():
    c = Conversation()
    return [*c.handshake(), c.server("FA"), c.client("RA")]


def syn_that_was_missed():
    c = Conversation()
    return c.handshake()[1:]


def syn_sent_again():
    c = Conversation()
    syn = c.client("S")
    return [syn, syn, c.server("SA"), c.client("A"), *c.goodbye()]


@pytest.mark.parametrize(
    ("script", "state"),
    [
        (closed_from_both_sides, "SF"),
        (reset_after_both_fins, "SF"),
        (reset_instead_of_a_second_fin, "RSTO"),
        (syn_that_was_missed, "S1"),
        (syn_sent_again, "SF"),
    ],
)
def test_less_tidy_conversations_have_zeek_s_state_too(script, state):
    segments = script()
    assert oracle(segments) == state
    assert flow_of(segments)["tcp_state"] == state


def test_what_is_not_tcp_has_no_state():
    assert {
        flow["tcp_state"]
        for flow in flow_rows(CONFORMANCE / "zeek_wikipedia.pcap")
        if flow["protocol"] != "tcp"
    } == {None}


def test_flags_are_gathered_by_side():
    c = Conversation()
    flow = flow_of([*c.handshake(), c.client("PA", b"?"), c.server("RA")])
    assert flow["originator_tcp_flags"] == 0x02 | ACK | 0x08
    assert flow["responder_tcp_flags"] == 0x02 | ACK | 0x04


def test_a_page_load_has_the_states_that_zeek_logs():
    states = {
        flow["originator_port"]: flow["tcp_state"]
        for flow in flow_rows(CONFORMANCE / "zeek_wikipedia.pcap")
        if flow["protocol"] == "tcp"
    }
    established = [35_642, 48_649, *range(49_996, 50_002)]
    midway, answered_unasked = 35_634, 6_705
    expected = dict.fromkeys(established, "S1") | {
        midway: "OTH",
        answered_unasked: "OTH",
    }
    assert states == expected


def test_two_flows_never_share_a_state_machine():
    first, second = Conversation(client_port=1), Conversation(client_port=2)
    mixed = [
        segment
        for pair in zip(first.handshake(), second.handshake(), strict=True)
        for segment in pair
    ]
    mixed += [first.client("RA"), *second.goodbye()]
    states = {f["originator_port"]: f["tcp_state"] for f in flows_of(mixed)}
    assert states == {1: "RSTO", 2: "SF"}
