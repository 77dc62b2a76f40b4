"""A segment is a retransmission if all of its octets were seen at this point before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.formats import cooked_v1, cooked_v2
from captures.lab import CLIENT, Conversation
from captures.tcp import retransmissions
from tests.frames import NODEPORT, flow_of, flow_rows, packet_rows
from tests.oracles import FIN, SYN, repeated_segments

RECORDED = sorted(
    path.name.removesuffix(".gz")
    for path in NODEPORT.glob("*.gz")
    if ".any." not in path.name  # copies are no segments of their own there
)


def retransmits(flow):
    return flow["originator_retransmits"], flow["responder_retransmits"]


def test_octets_that_were_seen_count():
    c = Conversation()
    opening, data = c.handshake(), c.client("PA", b"data")
    assert retransmits(flow_of([*opening, data, data, data])) == (2, 0)


def test_each_side_counts_its_own():
    c = Conversation()
    opening, data = c.handshake(), c.server("PA", b"data")
    assert retransmits(flow_of([*opening, data, data])) == (0, 1)


def test_a_hole_that_is_filled_late_is_no_retransmission():
    c = Conversation()
    start = c.next[1] + 1
    flow = flow_of(
        [
            *c.handshake(),
            c.server("A", b"first", seq=start),
            c.server("A", b"third", seq=start + 10),
            c.server("A", b"secnd", seq=start + 5),
        ]
    )
    assert retransmits(flow) == (0, 0)


def test_a_filled_hole_sent_again_is_one():
    c = Conversation()
    start = c.next[1] + 1
    second = {"payload": b"secnd", "seq": start + 5}
    flow = flow_of(
        [
            *c.handshake(),
            c.server("A", b"first", seq=start),
            c.server("A", b"third", seq=start + 10),
            c.server("A", **second),
            c.server("A", **second),
        ]
    )
    assert retransmits(flow) == (0, 1)


def test_two_segments_sent_again_as_one_are_one_retransmission():
    c = Conversation()
    start = c.next[0] + 1
    flow = flow_of(
        [
            *c.handshake(),
            c.client("A", b"abc"),
            c.client("A", b"def"),
            c.client("A", b"abcdef", seq=start),
        ]
    )
    assert retransmits(flow) == (1, 0)


def test_a_part_of_a_super_frame_sent_again_is_one():
    c = Conversation()
    start = c.next[1] + 1
    flow = flow_of(
        [
            *c.handshake(),
            c.server("A", b"x" * 20_000),
            c.server("A", b"x" * 1_448, seq=start + 1_448 * 3),
        ]
    )
    assert retransmits(flow) == (0, 1)


def test_keep_alive_probes_are_none():
    c = Conversation()
    opening = [*c.handshake(), c.client("PA", b"data"), c.server("A")]
    probes = [c.client("A", b"\0", seq=c.next[0] - 1), c.server("A")] * 3
    assert retransmits(flow_of(opening + probes)) == (0, 0)


def test_probes_without_an_octet_are_none():
    c = Conversation()
    opening = [*c.handshake(), c.client("PA", b"data"), c.server("A")]
    probes = [c.client("A", seq=c.next[0] - 1), c.server("A")] * 3
    assert retransmits(flow_of(opening + probes)) == (0, 0)


def test_repeated_acknowledgements_are_none():
    c = Conversation()
    assert retransmits(flow_of([*c.handshake(), *[c.client("A")] * 5])) == (0, 0)


def test_a_repeated_syn_is_a_retransmission_within_one_flow():
    c = Conversation()
    syn = c.client("S")
    flow = flow_of([syn, syn, syn, c.server("SA"), c.client("A")])
    assert retransmits(flow) == (2, 0)


def test_a_repeated_syn_ack_is_a_retransmission_of_the_responder():
    c = Conversation()
    syn, syn_ack = c.client("S"), c.server("SA")
    assert retransmits(flow_of([syn, syn_ack, syn_ack, c.client("A")])) == (0, 1)


def test_sequence_numbers_wrap():
    c = Conversation(client_isn=2**32 - 5)
    opening = c.handshake()
    data = [c.client("PA", bytes([i]) * 4) for i in range(4)]
    assert retransmits(flow_of([*opening, *data])) == (0, 0)
    assert retransmits(flow_of([*opening, *data, data[0], data[3]])) == (2, 0)


@given(
    pieces=st.lists(
        st.tuples(st.integers(0, 12), st.integers(2, 5)), min_size=1, max_size=10
    )
)
def test_octets_that_are_new_are_never_a_retransmission(pieces):
    c = Conversation()
    opening = c.handshake()
    segments = [(c.next[0] + 3 * at, length) for at, length in pieces]
    sent = [c.client("PA", b"x" * length, seq=seq) for seq, length in segments]
    found = flow_of([*opening, *sent])["originator_retransmits"]
    assert found <= repeated_segments(segments, partly=True)


@given(st.data())
def test_whatever_is_sent_again_without_a_hole_counts(data):
    c = Conversation()
    opening = c.handshake()
    start = c.next[0]
    segments, sent = [], []
    for _ in range(data.draw(st.integers(1, 8))):
        end = c.next[0]
        if end - start > 4 and data.draw(st.booleans()):
            seq = data.draw(st.integers(start, end - 3))
            length = data.draw(st.integers(2, end - seq))
        else:
            seq, length = end, data.draw(st.integers(2, 9))
        segments.append((seq, length))
        sent.append(c.client("PA", b"x" * length, seq=seq))
    found = flow_of([*opening, *sent])["originator_retransmits"]
    assert found == repeated_segments(segments)


def test_the_sample_tells_who_repeated_what(tmp_path):
    path = tmp_path / "retransmissions.pcap"
    path.write_bytes(retransmissions.build())
    (flow,) = flow_rows(path)
    syn_and_question, joined = 2, 1
    assert retransmits(flow) == (syn_and_question, joined)
    assert flow["originator_ip"] == CLIENT


@pytest.mark.parametrize("sample", [cooked_v1, cooked_v2], ids=["SLL", "SLL2"])
def test_sightings_at_several_interfaces_are_copies_not_retransmissions(
    sample, tmp_path
):
    path = tmp_path / "node-a.any.pcap"
    path.write_bytes(sample.build())
    for flow in flow_rows(path):
        assert retransmits(flow) == (0, 0)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_flows_repeat_what_the_plain_rule_says(name, nodeport):
    sent = {}
    for row in packet_rows(nodeport[name]):
        if row["protocol"] != "tcp":
            continue
        way = (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"])
        sent.setdefault(way, []).append(row)
    expected = {way: plain_rule(segments) for way, segments in sent.items()}
    for flow in flow_rows(nodeport[name]):
        if flow["protocol"] != "tcp":
            continue
        a = (flow["originator_ip"], flow["originator_port"])
        b = (flow["responder_ip"], flow["responder_port"])
        found = retransmits(flow)
        assert found == (expected.get((*a, *b), 0), expected.get((*b, *a), 0)), (a, b)


def plain_rule(rows):
    """Count repetitions; SYN and FIN occupy a sequence number each (RFC 9293, 3.4)."""
    if len({row["seq"] for row in rows if row["tcp_flags"] & SYN}) > 1:
        pytest.fail("a five-tuple is used twice here: the rule needs more care")
    segments = [
        (
            row["seq"],
            row["payload_length"] + bool(row["tcp_flags"] & SYN),
        )
        for row in rows
        if not row["tcp_flags"] & FIN or row["payload_length"]
    ]
    return repeated_segments(segments)
