"""Counts by intervals add up to the counts of all."""

import polars as pl
import pytest

from analyzer.analysis import over_time
from analyzer.errors import QueryError
from tests.analysis.recorded import cluster as recorded_cluster
from tests.analysis.recorded import connections as recorded
from tests.analysis.recorded import spread_of, truth
from tests.analysis.simulated import PODS, START, cluster, connections, drawn


def test_every_interval_has_every_backend():
    rows = over_time(connections(drawn(95)), 1.0, cluster=cluster(), service="web")
    intervals = rows["start_time"].unique()
    assert len(rows) == len(intervals) * 4
    assert (rows["end_time"] - rows["start_time"]).dt.total_seconds().unique().item()
    assert rows["group"].unique().sort().to_list() == list(PODS)
    assert rows["amount"].sum() == 95


def test_intervals_begin_at_multiples_of_their_length():
    rows = over_time(connections(drawn(95)), 2.5, service="web")
    assert (rows["start_time"].dt.epoch("ns") % 2_500_000_000 == 0).all()


def test_shares_of_an_interval_add_up_to_one_or_are_not_known():
    calls = connections(
        [*drawn(10), None], start=[START + at**3 * 10**8 for at in range(11)]
    )
    rows = over_time(calls, 1.0, cluster=cluster(), service="web")
    sums = rows.group_by("start_time").agg(
        pl.col("share").sum(),
        known=pl.col("amount").filter(pl.col("group").is_not_null()).sum(),
    )
    assert sums.filter(pl.col("known") > 0)["share"].to_list() == pytest.approx(
        [1.0] * (sums["known"] > 0).sum()
    )
    assert rows.filter(pl.col("group").is_null())["amount"].sum() == 1
    assert rows.filter(pl.col("group").is_null())["share"].null_count() > 0


@pytest.mark.parametrize("unit", ["connections", "requests", "bytes"])
def test_intervals_of_a_recording_add_up(unit):
    rows = over_time(
        recorded("spread-skewed").lazy(),
        0.05,
        cluster=recorded_cluster("spread-skewed"),
        unit=unit,
    )
    found = spread_of("spread-skewed").backends
    sums = dict(
        rows.group_by("subject", "group")
        .agg(pl.col("amount").sum())
        .select(pl.concat_str("subject", "group"), "amount")
        .rows()
    )
    assert sums == dict(found.select(pl.concat_str("subject", "group"), unit).rows())


def test_intervals_hold_what_conntrack_saw_in_them():
    rows = over_time(
        recorded("spread-skewed").lazy(),
        1.0,
        cluster=recorded_cluster("spread-skewed"),
        service="lb-nginx-ds",
    )
    expected = {}
    for each in truth("spread-skewed"):
        if each["service"] == "default/lb-nginx-ds":
            key = (int(each["start"]), each["backend"]["pod"])
            expected[key] = expected.get(key, 0) + 1
    got = rows.filter(pl.col("amount") > 0).select(
        pl.col("start_time").dt.epoch("s"), "group", "amount"
    )
    assert {(second, pod): n for second, pod, n in got.rows()} == expected


def test_no_connections_give_an_empty_table():
    none = over_time(connections([]), 1.0)
    assert none.is_empty()
    assert none.schema == over_time(connections(drawn(9)), 1.0).schema


def test_too_many_intervals_are_refused():
    with pytest.raises(QueryError, match="rows") as raised:
        over_time(connections(drawn(95)), 1e-7, service="web")
    assert "--over" in raised.value.hint
