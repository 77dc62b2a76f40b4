"""Two spreads side by side: shares that differ are told, those that do not are not."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from analyzer.analysis import compare
from analyzer.analysis.spread.significance import homogeneity, weighted_homogeneity
from analyzer.errors import QueryError
from tests.analysis.recorded import (
    cluster as recorded_cluster,
)
from tests.analysis.recorded import connections as recorded_connections
from tests.analysis.recorded import spread_of
from tests.analysis.simulated import PODS, cluster, connections, drawn

EVEN = (0.25,) * 4


def compared(one, other, **asked):
    asked = {"cluster": cluster(), "service": "web", **asked}
    found = compare(one, other, **asked)
    row = found.subjects.row(0, named=True)
    return row, " ".join(row["sentences"]), found.backends


def test_the_g_test_of_a_table_is_scipy_s_but_for_williams_s_correction():
    table = np.array([[30, 25, 41, 19], [22, 31, 20, 40]])
    theirs = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    n, rows, columns = table.sum(), table.sum(axis=1), table.sum(axis=0)
    # Sokal and Rohlf, Biometry, box 17.8.
    williams = 1 + (n * (1 / rows).sum() - 1) * (n * (1 / columns).sum() - 1) / (
        6 * n * 3
    )
    expected = stats.chi2.sf(theirs.statistic / williams, 3)
    assert homogeneity(*table).p_value == pytest.approx(expected)


def test_small_tables_agree_with_fisher_s_exact_test():
    for one, other in (([3, 5], [7, 1]), ([5, 1], [3, 4]), ([7, 2], [2, 2])):
        theirs = stats.fisher_exact([one, other]).pvalue
        assert homogeneity(one, other).p_value == pytest.approx(theirs, abs=0.02)


@pytest.mark.parametrize(
    ("sizes", "probabilities"),
    [
        ((12, 20), EVEN),
        ((30, 25), (0.4, 0.3, 0.2, 0.1)),
        ((30, 80), EVEN),
        ((150, 400), EVEN),
        ((3_000, 2_000), (0.5, 0.3, 0.15, 0.05)),
    ],
)
def test_p_values_of_tables_are_uniform_under_chance(sizes, probabilities):
    generator = np.random.default_rng(8)
    p_values = []
    for seed in range(2_000):
        one, other = (generator.multinomial(size, probabilities) for size in sizes)
        found = homogeneity(one, other, draws=199, seed=seed)
        lump = found.p_value - found.p_farther
        p_values.append(found.p_farther + lump * generator.random())
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("sizes", [(20, 30), (60, 90), (300, 200)])
def test_p_values_of_weights_are_near_uniform_under_chance(sizes):
    generator = np.random.default_rng(8)
    p_values = []
    for seed in range(2_000):
        sides = [
            (generator.integers(0, 4, size), generator.lognormal(5, 1, size))
            for size in sizes
        ]
        found = weighted_homogeneity(*sides[0], *sides[1], 4, draws=199, seed=seed)
        p_values.append(found.p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("share", [5, 30, 31, 330])
@pytest.mark.parametrize("backends", [1, 2, 3, 7])
def test_what_is_compared_with_itself_is_no_different(backends, share):
    counts = np.full(backends, share)
    assert homogeneity(counts, counts).p_value == pytest.approx(1)
    assert homogeneity(counts, 2 * counts).p_value == pytest.approx(1)


@pytest.mark.parametrize("sizes", [(25, 40), (150, 400)])
def test_even_traffic_seldom_differs_from_even_traffic(sizes):
    words = [
        compared(
            connections(drawn(sizes[0], seed=seed)),
            connections(drawn(sizes[1], seed=1_000 + seed)),
        )[0]["verdict"]
        for seed in range(100)
    ]
    assert words.count("different") < 8
    assert words.count("alike") == 100 - words.count("different")


def test_the_same_service_at_two_times_is_alike():
    row, text, rows = compared(
        connections(drawn(90, seed=1)), connections(drawn(200, seed=2))
    )
    assert (row["verdict"], row["total"], row["other_total"]) == ("alike", 90, 200)
    assert "no more different than chance" in text
    assert rows["status"].to_list() == ["both"] * 4


def test_shares_that_differ_are_named_with_intervals():
    row, text, rows = compared(
        connections(drawn(300, (0.1, 0.3, 0.3, 0.3), seed=1)),
        connections(drawn(300, seed=2)),
    )
    assert row["verdict"] == "different"
    assert "web-a has" in text
    web_a = rows.filter(pl.col("group") == "web-a").row(0, named=True)
    assert web_a["is_outstanding"]
    assert web_a["difference_low"] <= -0.15 <= web_a["difference_high"] < 0
    assert rows["difference"].sum() == pytest.approx(0)


def test_pods_that_appeared_and_vanished_are_told():
    old = connections([pod for pod in drawn(80, seed=1) if pod != "web-d"])
    new = connections([pod for pod in drawn(80, seed=2) if pod != "web-a"])
    _, text, rows = compared(new, old)
    assert dict(rows.select("group", "status").rows()) == {
        "web-a": "vanished",
        "web-b": "both",
        "web-c": "both",
        "web-d": "appeared",
    }
    assert "Only here: web-d." in text
    assert "Only there: web-a." in text


def test_two_services_over_the_same_pods_are_compared():
    table = pl.concat(
        [
            connections(drawn(90, seed=1)),
            connections(drawn(90, (0.7, 0.1, 0.1, 0.1), seed=2), service_name="shop"),
        ]
    )
    row, _, rows = compared(table, table, other_service="shop")
    assert (row["subject"], row["against"]) == ("default/web", "default/shop")
    assert row["verdict"] == "different"
    assert rows["group"].to_list() == list(PODS)


def test_what_both_have_is_compared_where_none_is_named():
    one = connections(drawn(60, seed=1))
    found = compare(one, connections(drawn(60, seed=2)), cluster=cluster())
    kinds = ["Service", "DaemonSet"]
    assert found.subjects["subject_kind"].to_list() == kinds


def test_a_service_that_only_one_of_them_has_is_told():
    one = connections(drawn(9), backend_workload=None)
    other = connections(drawn(9), backend_workload=None, service_name="shop")
    with pytest.raises(QueryError, match="such a service, in what to compare with"):
        compare(one, other, service="web")
    with pytest.raises(QueryError, match=r"such a service$"):
        compare(one, other, service="shop")


def test_nothing_in_common_is_told():
    one = connections(drawn(9), backend_workload=None)
    other = connections(drawn(9), backend_workload=None, service_name="shop")
    with pytest.raises(QueryError, match="no service in common"):
        compare(one, other)


@pytest.mark.parametrize("unit", ["requests", "bytes"])
def test_one_heavy_connection_makes_no_difference(unit):
    calls = drawn(80, seed=3)
    heavy = np.where(np.arange(80) == 5, 5_000_000, 700).tolist()
    column = {"requests": "requests", "bytes": "backend_bytes"}[unit]
    row, _, _ = compared(
        connections(calls, **{column: heavy}),
        connections(drawn(80, seed=4)),
        unit=unit,
    )
    assert row["verdict"] == "alike"


@pytest.mark.parametrize("by", ["node", "client", "entry-node"])
def test_it_is_compared_by_what_was_asked(by):
    one, other = (connections(drawn(60, seed=seed)) for seed in (1, 2))
    _, _, rows = compared(one, other, by=by)
    assert rows["amount"].sum() == rows["other_amount"].sum() == 60


def test_captures_from_other_points_are_no_difference():
    state = recorded_cluster("spread-even")
    found = compare(
        recorded_connections("spread-even").lazy(),
        recorded_connections(
            "spread-even", "k8s-worker02.ens18+vxlan.calico.pcapng.gz"
        ).lazy(),
        cluster=state,
    )
    assert "different" not in set(found.subjects["verdict"])


def test_the_recorded_round_with_late_pods_differs_from_the_even_one():
    one, other = (
        recorded_connections(name).lazy() for name in ("spread-skewed", "loadbalancer")
    )
    found = compare(
        one, other, cluster=recorded_cluster("spread-skewed"), service="lb-nginx-ds"
    )
    assert found.subjects["verdict"].item() == "different"
    counts = dict(found.backends.select("group", "amount").rows())
    ours = spread_of("spread-skewed", service="lb-nginx-ds").backends
    assert counts == dict(ours.select("group", "connections").rows())
