"""As many calls as are said to be needed show an imbalance as often as is said."""

import numpy as np
import pytest
from statsmodels.stats.power import GofChisquarePower

from analyzer.analysis.spread.evenness import effective_number, jain
from analyzer.analysis.spread.power import choices_needed, favoured
from analyzer.analysis.spread.significance import significance

UNEVEN = [0.5, 0.3, 0.2]


def noticed(size, probabilities, other):
    """Measure by the test itself how often counts of other probabilities alarm."""
    drawn = np.random.default_rng(99).multinomial(size, other, size=4_000)
    distinct, times = np.unique(drawn, axis=0, return_counts=True)
    alarms = [significance(each, probabilities).p_value <= 0.05 for each in distinct]
    return times[alarms].sum() / times.sum()


@pytest.mark.parametrize(
    "probabilities",
    [[0.5] * 2, [0.9, 0.1], [1 / 3] * 3, [0.25] * 4, [0.1] * 10, UNEVEN],
)
def test_power_is_what_simulation_finds(probabilities):
    size = choices_needed(probabilities)
    power = noticed(size, probabilities, favoured(probabilities))
    assert power == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("backends", [2, 3, 4, 8, 16])
def test_the_number_is_near_the_one_of_statsmodels(backends):
    even = np.full(backends, 1 / backends)
    effect = np.sqrt(((favoured(even) - even) ** 2 / even).sum())
    theirs = GofChisquarePower().solve_power(
        effect, alpha=0.05, power=0.8, n_bins=backends
    )
    # Theirs takes the statistic for noncentral chi-square, which it is in the limit.
    assert choices_needed(even) == pytest.approx(theirs, rel=0.35)


def test_a_smaller_imbalance_needs_more():
    assert choices_needed([0.25] * 4, factor=1.2) > choices_needed([0.25] * 4) * 10


def test_one_backend_has_nothing_to_show():
    assert choices_needed([1.0]) is None
    assert choices_needed([1.0, 0.0]) is None


def test_impossible_backends_do_not_count():
    assert choices_needed([0.5, 0.5, 0.0]) == choices_needed([0.5, 0.5])


def test_evenness_goes_from_one_of_all_to_all():
    assert (effective_number([7, 0, 0, 0]), jain([7, 0, 0, 0])) == (1, 0.25)
    assert (effective_number([5, 5, 5, 5]), jain([5, 5, 5, 5])) == (4, 1)
    assert (effective_number([0, 0]), jain([0, 0]), jain([])) == (0, 0, 0)
    # Jain, Chiu, Hawe 1984, example: shares 50, 30, 50.
    assert jain([50, 30, 50]) == pytest.approx(0.955, abs=0.001)
