"""Losses are counted where both points' captures span a connection, nowhere else."""

import polars as pl

import analyzer
from tests.correlate import ways
from tests.correlate.simulated import Wire, tcp
from tests.correlate.ways import numbers
from tests.frames import CAPTURES, rows

A, B, _ = ways.NODES
WAY = ways.Ways().direct(ways.pod("client", 1, A), 41000, ways.pod("web", 2, B), 8080)
FULL = tuple(seen for seen in WAY.seen if ".eth0." in seen.file)
FIRST, BEHIND = FULL
ALL = tcp(*numbers(1))


def spanning(tmp_path):
    """Give captures that begin before everything else and end after it."""
    wire = Wire(tmp_path)
    for n, at in enumerate((-5, 5)):
        path = [seen._replace(client=(seen.client[0], 50000 + n)) for seen in FULL]
        wire.carry(path, tcp(*numbers(90 + n)), at=at)
    return wire


def every_hop_of_the_call(wire):
    tables = wire.tables()
    (id_,) = (
        row["connection_id"]
        for row in rows(tables.connections)
        if row["client_port"] == 41000
    )
    hops = [hop for hop in rows(tables.hops) if hop["connection_id"] == id_]
    return sorted(hops, key=lambda hop: (hop["direction"], hop["hop"]))


def hops_of_the_call(wire):
    return {hop["direction"]: hop for hop in every_hop_of_the_call(wire)}


def without(number):
    return [segment for n, segment in enumerate(ALL) if n != number]


def test_more_behind_than_before_was_lost_by_the_capture(tmp_path):
    wire = spanning(tmp_path)
    wire.carry([FIRST], without(3))
    wire.carry([BEHIND], ALL)
    hop = hops_of_the_call(wire)["to_backend"]
    assert (hop["lost_segments"], hop["capture_loss"]) == (0, True)


def later(segments):
    return [segment._replace(at=segment.at + 3_000_000) for segment in segments]


def test_nothing_is_lost_where_a_capture_had_not_begun(tmp_path):
    wire = Wire(tmp_path)
    wire.carry([FIRST], ALL[:3])
    wire.carry(FULL, later(ALL[3:]))
    for hop in hops_of_the_call(wire).values():
        assert (hop["lost_segments"], hop["capture_loss"]) == (None, False)


def test_nothing_is_lost_where_a_capture_had_ended(tmp_path):
    wire = Wire(tmp_path)
    wire.carry(FULL, ALL[:4])
    wire.carry([FIRST], later(ALL[4:]))
    for hop in hops_of_the_call(wire).values():
        assert (hop["lost_segments"], hop["capture_loss"]) == (None, False)


def test_one_point_has_no_hops(tmp_path):
    wire = Wire(tmp_path)
    wire.carry([FIRST], ALL)
    assert rows(wire.tables().hops) == []


def test_an_acknowledgement_that_was_lost_is_no_request_later(tmp_path):
    wire = spanning(tmp_path)
    wire.carry([FIRST], ALL)
    wire.carry([BEHIND], without(2))
    hop = hops_of_the_call(wire)["to_backend"]
    assert hop["latency_p99"] <= 20_000 + hop["clock_bound"]


def test_a_request_that_did_not_arrive_is_lost(tmp_path):
    wire = spanning(tmp_path)
    wire.carry([FIRST], ALL)
    wire.carry([BEHIND], without(3))
    hops = hops_of_the_call(wire)
    assert hops["to_backend"]["lost_segments"] == 1
    assert hops["to_client"]["lost_segments"] == 0
    assert not hops["to_backend"]["capture_loss"]


def test_an_answer_that_did_not_arrive_is_lost(tmp_path):
    wire = spanning(tmp_path)
    wire.carry([FIRST], without(4))
    wire.carry([BEHIND], ALL)
    assert hops_of_the_call(wire)["to_client"]["lost_segments"] == 1


def test_routes_that_differ_there_and_back_lose_nothing(tmp_path):
    wire = Wire(tmp_path)
    for n, at in enumerate((-5, 5)):
        # All devices show both directions of something.
        path = [seen._replace(client=(seen.client[0], 50000 + n)) for seen in WAY.seen]
        wire.carry(path, tcp(*numbers(90 + n)), at=at)
    for seen in WAY.seen:
        bare = seen._replace(outer=None)
        if "eth0" in seen.file:
            wire.carry([bare], [each for each in ALL if each.from_client])
        elif "vxlan" in seen.file:
            wire.carry([bare], [each for each in ALL if not each.from_client])
        else:
            wire.carry([bare], ALL)
    taken = {}
    for hop in every_hop_of_the_call(wire):
        taken.setdefault(hop["direction"], []).append(
            (hop["from_point"], hop["to_point"], hop["lost_segments"])
        )
    client, server = "node-a/caliclient-1", "node-b/caliweb-2"
    assert taken == {
        "to_backend": [
            (client, "node-a/eth0", 0),
            ("node-a/eth0", "node-b/eth0", 0),
            ("node-b/eth0", server, 0),
        ],
        "to_client": [
            (server, "node-b/vxlan.calico", 0),
            ("node-b/vxlan.calico", "node-a/vxlan.calico", 0),
            ("node-a/vxlan.calico", client, 0),
        ],
    }


def test_octets_that_a_snapshot_length_cut_off_are_not_lost():
    capture = CAPTURES / "cluster" / "spread-even" / "k8s-worker01.ens18.pcap.gz"
    tables = analyzer.build_tables(capture)
    cut = pl.any_horizontal(
        pl.col("originator_payload_bytes", "responder_payload_bytes").is_null()
    )
    flows = tables.flows.filter(cut).select("flow_id")
    hops = (
        tables.connections.explode("flow_ids")
        .join(flows, left_on="flow_ids", right_on="flow_id")
        .select("connection_id")
        .unique()
        .join(tables.hops, on="connection_id")
        .collect()
    )
    assert hops.height > 50
    assert hops["lost_segments"].null_count() == hops.height
    assert not hops["capture_loss"].any()
