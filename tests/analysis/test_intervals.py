"""Intervals hold what they are about as often as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analyzer.analysis.spread.intervals import effective_size, newcombe, wilson


@given(st.integers(1, 5_000), st.integers(0, 5_000), st.floats(0.5, 0.999))
def test_wilson_s_interval_is_scipy_s(size, count, confidence):
    count = min(count, size)
    scipy_s = stats.binomtest(count, size).proportion_ci(confidence, method="wilson")
    low, high = wilson([count / size], size, confidence)
    assert low[0] == pytest.approx(scipy_s.low, abs=1e-9)
    assert high[0] == pytest.approx(scipy_s.high, abs=1e-9)


def coverage(size, share):
    """Add up the probabilities of the counts whose interval holds the share."""
    counts = np.arange(size + 1)
    low, high = wilson(counts / size, size)
    return stats.binom.pmf(counts, size, share)[(low <= share) & (share <= high)].sum()


@pytest.mark.parametrize("backends", [2, 3, 4, 6, 10, 30])
@pytest.mark.parametrize(
    "sizes", [(10, 30), (20, 60), (60, 200), (200, 600), (2_000, 2_400)]
)
def test_intervals_cover_nineteen_times_out_of_twenty(backends, sizes):
    # For one size it goes up and down by a step, counts being whole.
    covered = np.mean([coverage(size, 1 / backends) for size in range(*sizes)])
    assert covered == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("size", [10, 12, 15, 20, 25, 30, 60, 400])
def test_intervals_of_any_share_cover_for_each_size(size):
    covered = np.mean([coverage(size, share) for share in np.linspace(0.02, 0.98, 481)])
    assert covered == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("size", range(10, 31))
def test_no_share_is_covered_much_less_for_any_small_size(size):
    worst = min(coverage(size, share) for share in np.linspace(0.05, 0.95, 181))
    assert worst > 0.83  # at the ends of steps, as in Agresti and Coull 1998, figure 4


@pytest.mark.parametrize("size", [10, 20, 30, 100, 1_000, 10_000])
@pytest.mark.parametrize("backends", [2, 4, 8])
def test_intervals_of_all_backends_cover_in_simulation(size, backends):
    generator = np.random.default_rng(2)
    truth = generator.dirichlet(np.full(backends, 5), size=10_000)
    drawn = generator.multinomial(size, truth)
    low, high = wilson(drawn / size, size)
    covered = ((low <= truth) & (truth <= high)).mean()
    assert covered == pytest.approx(0.95, abs=0.015)


def test_newcombe_s_interval_is_that_of_his_table():
    # Newcombe 1998, table II, method 10: 56/70 against 48/80 and 9/10 against 3/10.
    for one, size, other, other_size, expected in (
        (56, 70, 48, 80, (0.0524, 0.3339)),
        (9, 10, 3, 10, (0.1705, 0.8090)),
        (10, 10, 0, 20, (0.6791, 1.0)),
    ):
        low, high = newcombe([one / size], size, [other / other_size], other_size)
        assert (low[0], high[0]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "sizes", [(10, 15), (20, 30), (40, 60), (200, 100), (1_000, 1_000)]
)
def test_intervals_of_differences_cover_in_simulation(sizes):
    generator = np.random.default_rng(4)
    one, other = np.array([0.3, 0.5, 0.2]), np.array([0.4, 0.35, 0.25])
    hits = []
    for _ in range(2_000):
        shares = generator.multinomial(sizes[0], one) / sizes[0]
        others = generator.multinomial(sizes[1], other) / sizes[1]
        low, high = newcombe(shares, sizes[0], others, sizes[1])
        hits.append((low <= one - other) & (one - other <= high))
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_equal_weights_count_each_and_unequal_ones_less():
    assert effective_size([3, 3, 3]) == pytest.approx(3)
    assert effective_size([97, 1, 1, 1]) < 1.1
    assert effective_size([]) == 0


@pytest.mark.parametrize("spread_out", [0.5, 1.0])
def test_intervals_of_weighted_shares_cover_about_as_often(spread_out):
    generator = np.random.default_rng(9)
    hits = []
    for _ in range(2_000):
        weights = generator.lognormal(0, spread_out, 300)
        shares = np.bincount(generator.integers(0, 4, 300), weights) / weights.sum()
        low, high = wilson(shares, effective_size(weights))
        hits.append((low <= 0.25) & (high >= 0.25))
    assert np.mean(hits) == pytest.approx(0.95, abs=0.02)
