"""One connection's packets: tshark's numbers, conntrack's tuples, and what is lost."""

from __future__ import annotations

import subprocess

import polars as pl
import pytest

from analyzer.analysis.paths.ladder import ladder
from analyzer.errors import QueryError
from tests.frames import require_program
from tests.recordings import RECORDED, SCENARIOS, tables, truth


def of(scenario: str, client: str, port: int):
    """Give the ladder of a client's connection."""
    found = (
        tables(scenario)
        .connections.filter(
            pl.col("client_ip").cast(pl.String) == client, pl.col("client_port") == port
        )
        .collect()
    )
    (number,) = found["connection_id"]
    return ladder(tables(scenario), tables(scenario).packets, number)


@pytest.fixture(scope="module")
def called():
    """Give a LoadBalancer call that a pod on another node answered."""
    return of("loadbalancer", "192.168.2.101", 60870)


def test_places_are_the_tuples_of_conntrack_in_the_order_of_the_path(called):
    (told,) = (
        each
        for each in truth("loadbalancer")
        if each["client"] == {**each["client"], "ip": "192.168.2.101", "port": 60870}
    )
    tuples = [
        {"src": row["src_ip"], "sport": row["src_port"], "dst": row["dst_ip"],
         "dport": row["dst_port"]}
        for row in called.places.to_dicts()
    ]  # fmt: skip
    assert list(dict.fromkeys(map(str, tuples))) == list(map(str, told["tuples"]))
    assert called.places["point"].to_list() == [
        "ext-101/eth0",
        "k8s-worker01/ens18",
        "k8s-worker01/vxlan.calico",
        "k8s-worker01/ens18",
        "k8s-master/ens18",
        "k8s-master/vxlan.calico",
        "k8s-master/cali6fbdebb5386",
    ]
    tunneled = called.places.filter(pl.col("tunnel").is_not_null())
    assert tunneled["place"].to_list() == [3, 4]
    assert set(tunneled["outer_src"]) == {"192.168.2.31"}
    assert set(tunneled["outer_dst"]) == {"192.168.2.30"}


def test_numbers_and_ttl_are_those_of_tshark(called):
    require_program("tshark")
    capture = RECORDED / "loadbalancer" / "ext-101.eth0.pcapng.gz"
    fields = ("frame.number", "tcp.seq", "tcp.ack", "tcp.len", "ip.ttl", "tcp.flags")
    shown = subprocess.run(
        ["tshark", "-r", capture, "-Y", "tcp.port == 60870", "-T", "fields",
         *(word for field in fields for word in ("-e", field))],
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    asked = [
        tuple(int(value, 0) for value in line.split("\t"))
        for line in shown.stdout.splitlines()
    ]
    here = called.packets.filter(pl.col("place") == 0)
    given = here.select(
        "frame", "seq", pl.col("ack").fill_null(0), "payload_length", "ttl", "tcp_flags"
    )
    assert list(given.iter_rows()) == asked


def test_each_packet_is_seen_at_each_place_once(called):
    packets = called.packets
    assert packets.select("packet", "place").is_duplicated().sum() == 0
    counts = packets.group_by("packet").len()["len"]
    assert set(counts) == {called.places.height}
    connection = called.connection
    total = connection["client_packets"] + connection["backend_packets"]
    assert packets["packet"].n_unique() == total


def test_times_grow_along_the_way(called):
    for (_, direction), of_packet in called.packets.group_by("packet", "direction"):
        times = of_packet.sort("place", descending=direction == "to_client")["since"]
        # As far as clocks of different hosts can be compared.
        assert (times.diff().drop_nulls() > -10_000).all()
    assert called.packets["since"].min() == 0


def test_hops_are_the_medians_of_what_two_places_saw(called):
    for row in called.hops.to_dicts():
        of_direction = called.packets.filter(pl.col("direction") == row["direction"])
        here = of_direction.filter(pl.col("place") == row["place"]).sort("packet")
        there = of_direction.filter(pl.col("place") == row["place"] + 1).sort("packet")
        passed = there["time"] - here["time"]
        sign = 1 if row["direction"] == "to_backend" else -1
        assert row["packets"] == here.height
        assert row["latency"] == round(sign * passed.median())


def test_a_packet_that_the_next_place_did_not_see_has_vanished(called):
    number = called.connection["connection_id"]
    whole = tables("loadbalancer").packets
    request = called.packets.filter(
        pl.col("payload_length") > 0, pl.col("direction") == "to_backend"
    )
    behind = request.filter(pl.col("place") >= 4).select("capture", "frame")
    # The tunnel's far side never got it; `any` of that node did not, either.
    gone = pl.concat(
        [
            behind,
            whole.filter(
                pl.col("capture").cast(pl.String).str.starts_with("k8s-master."),
                pl.col("payload_length") == request["payload_length"][0],
                pl.col("src_port") == called.places["src_port"][3],
            )
            .select(pl.col("capture").cast(pl.String), "frame")
            .collect(),
        ]
    ).unique()
    left = whole.with_columns(pl.col("capture").cast(pl.String)).join(
        gone.lazy(), on=["capture", "frame"], how="anti"
    )
    told = ladder(tables("loadbalancer"), left, number).packets
    vanished = told.filter("vanished")
    assert vanished["place"].to_list() == [3]
    assert vanished["packet"].to_list() == request["packet"].unique().to_list()


def test_a_segment_that_passed_before_is_sent_again():
    stale = of("mixed", "10.1.39.204", 37478)
    again = stale.packets.filter(pl.col("place") == 0)["is_retransmission"]
    assert again.to_list() == [False, True, True, True]
    assert stale.connection["retransmits"] == again.sum()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_vanished_and_little_was_sent_again_in_the_recordings(scenario):
    """They lost no packet; super-frames are cut and joined on their way."""
    connections = tables(scenario).connections.collect()
    packets = tables(scenario).packets.collect().lazy()
    for row in connections.select("connection_id", "retransmits").to_dicts():
        told = ladder(tables(scenario), packets, row["connection_id"])
        assert not told.packets["vanished"].any()
        at_first = told.packets.group_by("packet").agg(
            pl.col("is_retransmission").any()
        )
        assert bool(row["retransmits"]) == at_first["is_retransmission"].any()


DROPPED = [each for each in truth("drops") if "dropped" in each]


def dropped_ladder(record):
    return of("drops", record["client"]["ip"], record["client"]["port"])


@pytest.mark.parametrize("record", DROPPED, ids=lambda each: each["op"])
def test_packets_vanish_where_a_rule_dropped_them_and_nowhere_else(record):
    told = dropped_ladder(record)
    (dropped,) = record["dropped"]
    vanished = told.packets.filter("vanished").join(told.places, on="place")
    direction = {"orig": "to_backend", "reply": "to_client"}[dropped["direction"]]
    assert set(vanished["point"]) == {dropped["after"]}
    assert set(vanished["direction"]) == {direction}
    assert vanished.height == dropped["packets"]
    step = 1 if direction == "to_backend" else -1
    (place,) = set(vanished["place"])
    assert told.places["point"][place + step] == dropped["before"]


def test_packets_that_vanished_were_sent_again_if_they_carried_something():
    for record in DROPPED:
        if record["outcome"] != "ok":
            continue
        packets = dropped_ladder(record).packets
        lost = packets.filter(pl.col("vanished") & (pl.col("payload_length") > 0))
        again = packets.filter("is_retransmission")
        assert lost.height
        keys = ["direction", "seq", "payload_length"]
        assert lost.join(again, on=keys, how="anti").is_empty()


def test_nothing_vanishes_beside_the_rules():
    connections = tables("drops").connections.collect()
    clients = {(each["client"]["ip"], each["client"]["port"]) for each in DROPPED}
    others = [
        row["connection_id"]
        for row in connections.to_dicts()
        if (row["client_ip"], row["client_port"]) not in clients
    ]
    assert len(others) == len(truth("drops")) - len(DROPPED)
    for number in others:
        told = ladder(tables("drops"), tables("drops").packets, number)
        assert not told.packets["vanished"].any()
        assert told.places["is_seen"].all()


def test_the_place_that_others_went_on_to_is_one_that_did_not_see_it():
    (record,) = (
        each
        for each in DROPPED
        if each["dropped"][0]["before"].endswith("cali33daab9904f")
    )
    places = dropped_ladder(record).places
    assert places["is_seen"].to_list() == [True] * (places.height - 1) + [False]
    last, behind = places.tail(2).to_dicts()
    assert behind["point"] == record["dropped"][0]["before"]
    ends = ("src_ip", "src_port", "dst_ip", "dst_port")
    assert [behind[end] for end in ends] == [last[end] for end in ends]


def test_a_connection_that_is_not_there_is_an_error():
    with pytest.raises(QueryError, match="no connection 9999") as caught:
        ladder(tables("loadbalancer"), tables("loadbalancer").packets, 9999)
    assert "0 to 77" in caught.value.hint


def test_packets_of_other_captures_are_an_error():
    none = tables("loadbalancer").packets.head(0)
    with pytest.raises(QueryError, match="none of the packets"):
        ladder(tables("loadbalancer"), none, 37)
