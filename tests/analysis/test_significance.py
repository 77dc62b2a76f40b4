"""P-values are what they claim to be: held against scipy, and against simulation."""

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analyzer.analysis.spread.significance import (
    critical_value,
    exact_test,
    g_statistic,
    g_test,
    holm,
    monte_carlo_test,
    significance,
    weighted_test,
)

SIMULATIONS = 2_000
EVEN = np.full(4, 0.25)


def simulated(size, probabilities, seed=7):
    return np.random.default_rng(seed).multinomial(
        size, probabilities, size=SIMULATIONS
    )


def between(found, generator):
    """Draw a p-value between those of at least as far and of farther: it is uniform.

    Where outcomes are few, p-values come in lumps; this takes the lumps apart.
    """
    lump = found.p_value - found.p_farther
    return found.p_farther + lump * generator.random()


def uniformity(p_values):
    return stats.kstest(p_values, "uniform").pvalue


counts = st.lists(st.integers(0, 4), min_size=2, max_size=4).filter(any)
chances = st.lists(st.floats(0.05, 1), min_size=4, max_size=4)


@given(counts, chances)
def test_the_exact_test_adds_up_what_scipy_says_of_each_outcome(observed, weights):
    p = np.array(weights[: len(observed)])
    p /= p.sum()
    total = sum(observed)
    p_value = sum(
        stats.multinomial.pmf(outcome, total, p)
        for outcome in itertools.product(range(total + 1), repeat=len(p))
        if sum(outcome) == total
        and g_statistic(outcome, p) >= g_statistic(observed, p) - 1e-9
    )
    assert exact_test(observed, p).p_value == pytest.approx(p_value, abs=1e-9)


@given(st.integers(1, 60), st.integers(0, 60), st.floats(0.05, 0.95))
def test_two_backends_are_scipy_s_binomial(total, first, probability):
    first = min(first, total)
    observed, p = [first, total - first], [probability, 1 - probability]
    outcomes = np.arange(total + 1)
    by_g = g_statistic(np.column_stack([outcomes, total - outcomes]), p)
    as_far = by_g >= g_statistic(observed, p) - 1e-9
    expected = stats.binom.pmf(outcomes[as_far], total, probability).sum()
    assert exact_test(observed, p).p_value == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.integers(5, 500), min_size=2, max_size=8))
def test_g_is_that_of_scipy(observed):
    p = np.full(len(observed), 1 / len(observed))
    scipy_s = stats.power_divergence(observed, lambda_="log-likelihood")
    assert g_statistic(observed, p) == pytest.approx(scipy_s.statistic, abs=1e-8)


def test_the_g_test_is_scipy_s_but_for_williams_s_correction():
    observed = [130, 95, 110, 90]
    total, k = sum(observed), len(observed)
    corrected = stats.power_divergence(observed, lambda_="log-likelihood").statistic
    corrected /= 1 + (k**2 - 1) / (6 * total * (k - 1))  # as in Sokal and Rohlf
    expected = stats.chi2.sf(corrected, k - 1)
    assert g_test(observed, EVEN).p_value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("observed", "test"),
    [
        ([6, 5, 5, 4], "G-test"),
        ([5, 5, 5, 4], "exact multinomial test"),
        ([60, 40], "exact multinomial test"),
        ([600, 400], "G-test"),
        ([3] * 20, "Monte-Carlo multinomial test"),
    ],
)
def test_the_smallest_expected_count_chooses_the_test(observed, test):
    even = np.full(len(observed), 1 / len(observed))
    assert significance(observed, even).test == test


@pytest.mark.parametrize(
    ("size", "probabilities"),
    [(5, EVEN), (12, EVEN), (19, EVEN), (9, [0.5, 0.3, 0.2]), (30, np.full(10, 0.1))],
)
def test_p_values_of_few_calls_are_uniform_under_chance(size, probabilities):
    generator = np.random.default_rng(11)
    outcomes = simulated(size, probabilities)
    if len(set(probabilities)) == 1:  # who got what does not matter
        outcomes.sort(axis=1)
    test = significance if size < 30 else partial(monte_carlo_test, draws=999)
    found = {tuple(each): test(each, probabilities) for each in outcomes}
    p_values = [between(found[tuple(each)], generator) for each in outcomes]
    assert uniformity(p_values) > 0.01
    # The p-value that is printed errs on the side of chance.
    printed = np.array([found[tuple(each)].p_value for each in outcomes])
    for level in (0.01, 0.05, 0.1):
        assert (printed <= level).mean() <= level + 0.015


@pytest.mark.parametrize(
    ("size", "probabilities"),
    [(1_000, EVEN), (5_000, np.full(10, 0.1)), (2_000, [0.5, 0.3, 0.15, 0.05])],
)
def test_p_values_of_many_calls_are_uniform_under_chance(size, probabilities):
    outcomes = simulated(size, probabilities)
    p_values = [significance(each, probabilities).p_value for each in outcomes]
    assert uniformity(p_values) > 0.01


@pytest.mark.parametrize(
    ("size", "probabilities"),
    [(20, EVEN), (40, EVEN), (104, EVEN), (45, [1 / 3] * 3), (100, [0.5, 0.45, 0.05])],
)
def test_the_g_test_rejects_as_often_as_it_says(size, probabilities):
    outcomes = np.random.default_rng(3).multinomial(size, probabilities, size=20_000)
    distinct, times = np.unique(outcomes, axis=0, return_counts=True)
    found = [significance(each, probabilities) for each in distinct]
    assert {each.test for each in found} == {"G-test"}
    is_alarm = [each.p_value <= 0.05 for each in found]
    # By chance it is off by more than 0.006 once in ten thousand times.
    assert times[is_alarm].sum() / 20_000 == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("probability", [0.5, 0.7, 0.9])
def test_two_backends_never_alarm_more_often_than_is_said(probability):
    """A chi-square test would, by half: their few outcomes make lumps."""
    for total in (10, 16, 33, 50, 80, 100, 300):
        outcomes = np.arange(total + 1)
        alarms = [
            significance(each, [probability, 1 - probability]).p_value <= 0.05
            for each in zip(outcomes, total - outcomes, strict=True)
        ]
        assert stats.binom.pmf(outcomes, total, probability)[alarms].sum() <= 0.05


@pytest.mark.parametrize("share", [5, 7, 30, 330])
@pytest.mark.parametrize("backends", [2, 3, 7])
def test_counts_that_are_just_even_are_nothing_but_usual(backends, share):
    found = significance([share] * backends, np.full(backends, 1 / backends))
    assert found.p_value == pytest.approx(1)


@pytest.mark.parametrize(
    ("size", "probabilities"),
    [(12, EVEN), (77, [0.5, 0.5]), (60, [0.6, 0.4]), (104, EVEN), (400, [0.8, 0.2])],
)
def test_alarms_begin_at_the_critical_value(size, probabilities):
    outcomes = np.unique(simulated(size, probabilities), axis=0)
    critical = critical_value(size, probabilities, 0.05)
    is_far = g_statistic(outcomes, probabilities) >= critical - 1e-9
    p_values = [significance(each, probabilities).p_value for each in outcomes]
    assert 0 < is_far.sum() < len(outcomes)
    assert is_far.tolist() == [value <= 0.05 for value in p_values]


def test_drawing_outcomes_agrees_with_listing_them():
    for observed in ([5, 3, 8, 1], [1, 1, 1, 9], [4, 4, 4, 4]):
        drawn, listed = monte_carlo_test(observed, EVEN), exact_test(observed, EVEN)
        assert drawn.p_value == pytest.approx(listed.p_value, abs=0.015)
        assert drawn.p_closer == pytest.approx(listed.p_closer, abs=0.015)


def test_a_drawn_p_value_is_the_same_every_time():
    assert monte_carlo_test([3] * 20, [0.05] * 20) == monte_carlo_test(
        [3] * 20, [0.05] * 20
    )


def weighted(weights, chosen, ways, chances, **how):
    totals = np.bincount(chosen, weights, np.shape(chances)[1])
    return weighted_test(totals, weights, ways, chances, **how)


@pytest.mark.parametrize("sizes", ["equal", "some heavy", "all different"])
def test_p_values_of_weighted_calls_are_uniform_under_chance(sizes):
    generator = np.random.default_rng(5)
    chances = np.array([EVEN, [0.5, 0.5, 0, 0]])
    p_values = []
    for seed in range(SIMULATIONS):
        ways = np.repeat([0, 1], [20, 10])
        chosen = np.array([generator.choice(4, p=chances[way]) for way in ways])
        weights = {
            "equal": np.ones(30),
            "some heavy": np.where(generator.random(30) < 0.1, 50.0, 1.0),
            "all different": generator.lognormal(5, 1.5, 30),
        }[sizes]
        found = weighted(weights, chosen, ways, chances, draws=199, seed=seed)
        p_values.append(between(found, generator))
    assert uniformity(p_values) > 0.01


def test_the_lightest_of_many_weights_may_be_taken_together():
    generator = np.random.default_rng(6)
    chances, ways = EVEN[None, :], np.zeros(1_500, int)
    p_values = []
    for seed in range(SIMULATIONS):
        chosen = generator.integers(0, 4, 1_500)
        weights = generator.lognormal(8, 1.5, 1_500)
        found = weighted(weights, chosen, ways, chances, draws=199, seed=seed)
        p_values.append(found.p_value)
    assert uniformity(p_values) > 0.01


def test_weights_that_are_all_one_are_counts():
    chosen = np.repeat([0, 1, 2, 3], [9, 2, 4, 1])
    found = weighted(np.ones(16), chosen, np.zeros(16, int), EVEN[None, :])
    pearson = [
        (stats.multinomial.pmf(outcome, 16, EVEN), sum((np.array(outcome) - 4) ** 2))
        for outcome in itertools.product(range(17), repeat=4)
        if sum(outcome) == 16
    ]
    expected = sum(mass for mass, distance in pearson if distance >= 38)
    assert found.p_value == pytest.approx(expected, abs=0.015)


def test_holm_s_correction_is_that_of_his_paper():
    # Holm 1979: multiply the smallest by their number, the next by one less, ...
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]).tolist() == [1, 1]
    assert holm([]).tolist() == []
