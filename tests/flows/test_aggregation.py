"""The flow table says of every recorded packet what the packets table says."""

from collections import defaultdict
from functools import reduce

import pytest

from tests.frames import (
    CONFORMANCE,
    NODEPORT,
    flow_rows,
    packet_rows,
    sample_captures,
    sample_name,
)

RECORDED = sorted(path.name.removesuffix(".gz") for path in NODEPORT.glob("*.gz"))


def ends_of(row):
    """Give sender and receiver of a packet."""
    return (row["src_ip"], row["src_port"]), (row["dst_ip"], row["dst_port"])


def expected_flows(rows):
    """Add up packets by five-tuple, tunnel and point, each direction by itself."""
    flows = defaultdict(list)
    for row in rows:
        if row["protocol"] is None or row["is_fragment"]:
            continue
        tunnel = row["tunnel"] if row["ethertype"] != 0x0806 else None
        outer = (row["outer_src"], row["outer_dst"]) if tunnel else None
        vni = row["vni"] if tunnel else None
        sender, receiver = ends_of(row)
        key = (row["protocol"], sender, receiver, tunnel, vni, outer, row["point"])
        flows[key].append(row)
    return flows


def sides(flow):
    """Give a flow's key as its originator and as its responder sees it."""
    a = (flow["originator_ip"], flow["originator_port"])
    b = (flow["responder_ip"], flow["responder_port"])
    outer = (flow["outer_originator_ip"], flow["outer_responder_ip"])
    if flow["tunnel"] is None:
        there = back = None
    else:
        there, back = outer, outer[::-1]
    common = (flow["tunnel"], flow["vni"])
    yield "originator", (flow["protocol"], a, b, *common, there, flow["point"])
    yield "responder", (flow["protocol"], b, a, *common, back, flow["point"])


def check(path):
    """Compare both tables of a capture."""
    expected = expected_flows(packet_rows(path))
    counts = defaultdict(lambda: defaultdict(int))
    for flow in flow_rows(path):
        if flow["fragments"]:
            continue
        for side, key in sides(flow):
            counts[key]["packets"] += flow[f"{side}_packets"]
            counts[key]["payload"] += flow[f"{side}_payload_bytes"] or 0
            counts[key]["flags"] |= flow[f"{side}_tcp_flags"] or 0
    seen = {key: dict(count) for key, count in counts.items() if count["packets"]}
    same_ends = {key for key in expected if key[1] == key[2]}
    fragmented = {key for key in expected if key not in seen}
    for key, rows in expected.items():
        if key in same_ends | fragmented:
            continue
        assert seen[key] == {
            "packets": len(rows),
            "payload": sum(row["payload_length"] or 0 for row in rows),
            "flags": reduce(int.__or__, (row["tcp_flags"] or 0 for row in rows), 0),
        }, key
    return len(expected), len(same_ends | fragmented)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_captures_add_up(name, nodeport):
    compared, left_out = check(nodeport[name])
    assert compared > left_out == 0


@pytest.mark.parametrize("path", sample_captures(), ids=sample_name)
def test_samples_add_up(path):
    check(path)


def test_every_frame_with_ip_is_in_one_flow():
    for path in CONFORMANCE.glob("*.pcap"):
        rows = [row for row in packet_rows(path) if row["protocol"] is not None]
        flows = flow_rows(path)
        packets = sum(f["originator_packets"] + f["responder_packets"] for f in flows)
        assert packets == len(rows), path.name
