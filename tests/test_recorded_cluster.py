"""A recorded cluster: what tshark and conntrack counted is what the flow table says."""

import json
from collections import Counter

import pytest

import analyzer
from tests.frames import NODEPORT, flow_rows, packet_rows
from tests.oracles import Segment, tshark_rows, zeek_conn_state

SCENARIO = json.loads((NODEPORT / "scenario.json").read_text())
CAPTURED = {each["file"]: each["captured"] for each in SCENARIO["captures"]}
FILES = sorted(CAPTURED)
ALONE = [file for file in FILES if ".any." not in file]  # every packet seen once


def records(name):
    return [json.loads(line) for line in (NODEPORT / name).read_text().splitlines()]


TRUTH = {record["id"]: record for record in records("truth.jsonl")}
OBSERVED = records("observed.jsonl")
STATES = {"ok": "SF", "refused": "REJ", "no-answer": "S0"}


def observed_key(record):
    """Give the five-tuple of an observation, and whether it was encapsulated."""
    connection = TRUTH[record["id"]]
    ends = connection["tuples"][record["tuple"]]
    client, server = (ends["src"], ends["sport"]), (ends["dst"], ends["dport"])
    return connection["proto"], client, server, record["encapsulated"]


def flow_key(flow, *, flipped=False):
    """Give the same of a flow, from one end or the other."""
    a = (flow["originator_ip"], flow["originator_port"])
    b = (flow["responder_ip"], flow["responder_port"])
    if flipped:
        a, b = b, a
    return flow["protocol"], a, b, flow["tunnel"] is not None


@pytest.mark.parametrize("file", FILES)
def test_every_captured_packet_is_a_row(file, nodeport):
    (summary,) = analyzer.build_tables(nodeport[file]).captures
    assert len(packet_rows(nodeport[file])) == CAPTURED[file]
    assert (summary.packets, summary.damage) == (CAPTURED[file], [])


@pytest.mark.parametrize("file", FILES)
def test_packets_each_way_are_those_that_tshark_counted(file, nodeport):
    expected = Counter()
    for record in OBSERVED:
        if record["file"] == file:
            protocol, client, server, inside = observed_key(record)
            expected[protocol, client, server, inside] += record["packets_orig"]
            expected[protocol, server, client, inside] += record["packets_reply"]
    found = Counter()
    for flow in flow_rows(nodeport[file]):
        found[flow_key(flow)] += flow["originator_packets"]
        found[flow_key(flow, flipped=True)] += flow["responder_packets"]
    assert {key: found[key] for key in expected} == dict(expected)


@pytest.mark.parametrize("file", FILES)
def test_first_and_last_packet_are_when_tshark_saw_them(file, nodeport):
    times = {}
    for flow in flow_rows(nodeport[file]):
        for flipped in (False, True):
            key = flow_key(flow, flipped=flipped)
            start, end = times.get(key, (flow["start_time"], flow["end_time"]))
            times[key] = min(start, flow["start_time"]), max(end, flow["end_time"])
    for record in OBSERVED:
        if record["file"] == file:
            start, end = times[observed_key(record)]
            # observed.jsonl keeps seconds as floats, exact to a microsecond or so.
            assert start == pytest.approx(record["first"] * 1e9, abs=2_000)
            assert end == pytest.approx(record["last"] * 1e9, abs=2_000)


@pytest.mark.parametrize("file", FILES)
def test_the_client_of_conntrack_is_the_originator(file, nodeport):
    clients = {observed_key(r)[:3] for r in OBSERVED if r["file"] == file}
    backwards = {(protocol, b, a) for protocol, a, b in clients}
    found = {flow_key(flow)[:3] for flow in flow_rows(nodeport[file])}
    assert not found & backwards


@pytest.mark.parametrize("file", FILES)
def test_the_outcome_is_the_state(file, nodeport):
    states = {flow_key(flow): flow["tcp_state"] for flow in flow_rows(nodeport[file])}
    for record in OBSERVED:
        if record["file"] == file:
            outcome = TRUTH[record["id"]]["outcome"]
            assert states[observed_key(record)] == STATES[outcome], record["id"]


@pytest.mark.parametrize("file", ALONE)
def test_states_are_those_of_zeek_s_rules_on_tshark_s_packets(file, nodeport):
    segments = {}
    for row in tshark_rows(nodeport[file]):
        if "seq" in row:
            ends = ((row["src_ip"], row["src_port"]), (row["dst_ip"], row["dst_port"]))
            inside = row["outer_src"] is not None
            segments.setdefault((frozenset(ends), inside), []).append((ends[0], row))
    checked = 0
    for flow in flow_rows(nodeport[file]):
        if flow["protocol"] != "tcp":
            continue
        _, a, b, inside = flow_key(flow)
        conversation = [
            Segment(sender == a, row["tcp_flags"], row["payload_length"])
            for sender, row in segments[frozenset((a, b)), inside]
        ]
        assert flow["tcp_state"] == zeek_conn_state(conversation), (a, b)
        checked += 1
    assert checked == len(segments)


@pytest.mark.parametrize("file", FILES)
def test_payload_towards_the_client_is_what_nginx_says_it_sent(file, nodeport):
    flows = {flow_key(flow): flow for flow in flow_rows(nodeport[file])}
    for record in OBSERVED:
        connection = TRUTH[record["id"]]
        if record["file"] != file or "nginx" not in str(connection["service"]):
            continue
        flow = flows[observed_key(record)]
        if not flow["responder_retransmits"] and not flow["copies"]:
            assert flow["responder_payload_bytes"] == connection["response_bytes"]


@pytest.mark.parametrize("file", ALONE)
def test_requests_are_those_that_the_clients_made(file, nodeport):
    flows = {flow_key(flow): flow for flow in flow_rows(nodeport[file])}
    for record in OBSERVED:
        requests = TRUTH[record["id"]]["requests"]
        if record["file"] == file and requests is not None:  # redis keeps no log
            assert flows[observed_key(record)]["requests"] == requests, record["id"]


def test_every_point_is_the_node_and_interface_of_its_file(nodeport):
    for capture in SCENARIO["captures"]:
        (summary,) = analyzer.build_tables(nodeport[capture["file"]]).captures
        (interface,) = capture["interfaces"]
        stem = capture["file"].removesuffix(".pcapng").removesuffix(".pcap")
        host = stem.removesuffix(f".{interface}")
        if interface == "any":
            assert all(point.startswith(host) for point in summary.points)
        else:
            assert [point.rpartition("/")[2] for point in summary.points] == [interface]


def test_all_captures_at_once_are_the_captures_one_by_one(nodeport):
    together = flow_rows([nodeport[file] for file in FILES])
    apart = [flow for file in FILES for flow in flow_rows(nodeport[file])]
    for number, flow in enumerate(apart):
        flow["flow_id"] = number
    assert together == apart
