"""Is it luck? Tests of counts against the shares that they should have.

All of them measure the distance between counts and expectation by the likelihood-ratio
statistic G. They differ in how they learn what G is by chance: by listing every
possible outcome, by drawing outcomes, or from the chi-square distribution that G has
in the limit. Nothing here depends on chance but for the draws, whose seed is fixed.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]

#: Below this expected count the chi-square distribution is no good approximation.
SMALLEST_EXPECTED = 5
#: Nor where so few outcomes are possible that G comes in lumps.
_FEW_OUTCOMES = 1_000
#: Outcomes that are listed rather than drawn.
_MOST_OUTCOMES = 50_000
DRAWS = 9_999
SEED = 1
#: Groups of equal weights that are drawn as such; the lighter rest is normal.
_MOST_GROUPS = 512
#: What rounding may move a statistic by.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Significance:
    """How usual counts are under a null hypothesis.

    Parameters
    ----------
    p_value : float
        Probability of counts at least as far from the expected ones.
    p_farther : float
        Probability of counts farther from them. It is less than ``p_value`` by the
        probability of counts just as far, which matters where there are few.
    test : str
        ``exact multinomial test``, ``Monte-Carlo multinomial test``, ``G-test``, ...
    """

    p_value: float
    p_farther: float
    test: str

    @property
    def p_closer(self) -> float:
        """Probability of counts at most as far: small if they are too even."""
        return 1 - self.p_farther


def significance(counts: ArrayLike, probabilities: ArrayLike) -> Significance:
    """Test counts of independent choices against the probabilities of each choice.

    Parameters
    ----------
    counts : array of int, (k,)
    probabilities : array of float, (k,)
        All positive, with sum 1.

    Returns
    -------
    Significance
        Of the G-test where every expected count is five or more and there are many
        possible outcomes; else of the exact test, or of a Monte-Carlo test where there
        are too many to list.
    """
    observed, chances = np.asarray(counts), np.asarray(probabilities, dtype=float)
    total = int(observed.sum())
    if _is_smooth(total, chances):
        return g_test(observed, chances)
    if _outcomes_of(total, chances) <= _MOST_OUTCOMES:
        return exact_test(observed, chances)
    return monte_carlo_test(observed, chances)


def critical_value(total: int, probabilities: ArrayLike, level: float) -> float:
    """Give the G from which on counts are rarer than a level.

    Notes
    -----
    Where :func:`significance` draws outcomes, that of the chi-square distribution.
    """
    from scipy.special import chdtri

    chances = np.asarray(probabilities, dtype=float)
    few = _outcomes_of(total, chances) <= _MOST_OUTCOMES
    if few and not _is_smooth(total, chances):
        statistics, likelihoods = _outcomes(total, tuple(chances.tolist()))
        # Outcomes that are just as far are rare together.
        distinct, which = np.unique(statistics.round(9), return_inverse=True)
        tails = np.bincount(which, likelihoods)[::-1].cumsum()[::-1]
        return float(distinct[tails <= level].min(initial=np.inf))
    return float(chdtri(len(chances) - 1, level)) * correction(total, chances)


def _is_smooth(total: int, chances: Numbers) -> bool:
    """Tell if G is near enough to its chi-square distribution."""
    return bool(
        total * chances.min() >= SMALLEST_EXPECTED
        and _outcomes_of(total, chances) > _FEW_OUTCOMES
    )


def _outcomes_of(total: int, chances: Numbers) -> int:
    """Count the ways to share out a total."""
    return comb(total + len(chances) - 1, total)


def g_statistic(counts: ArrayLike, probabilities: ArrayLike) -> Numbers:
    """Compute G of each row of counts, twice the log of the likelihood ratio.

    Parameters
    ----------
    counts : array, (..., k)
    probabilities : array of float, (k,)
    """
    from scipy.special import xlogy

    observed = np.asarray(counts, dtype=float)
    expected = observed.sum(axis=-1, keepdims=True) * np.asarray(probabilities)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(observed > 0, observed / expected, 1.0)
    # Rounding takes what is zero to a hair less.
    return np.asarray(np.maximum(2 * xlogy(observed, ratio).sum(axis=-1), 0))


def g_test(counts: ArrayLike, probabilities: ArrayLike) -> Significance:
    """Test by the chi-square distribution of G, with Williams's correction."""
    from scipy.special import chdtrc

    chances = np.asarray(probabilities, dtype=float)
    total = float(np.sum(np.asarray(counts)))
    statistic = float(g_statistic(counts, chances)) / correction(total, chances)
    p_value = float(chdtrc(len(chances) - 1, statistic))
    return Significance(p_value, p_value, "G-test")


def correction(total: float, probabilities: Numbers) -> float:
    """Give what G is too large by in a sample of this size.

    Notes
    -----
    D. A. Williams, Biometrika 63, 1976. It takes the mean of G to that of the
    chi-square distribution; without it the test rejects too often.
    """
    freedom = len(probabilities) - 1
    return float(1 + ((1 / probabilities).sum() - 1) / (6 * total * freedom))


def exact_test(counts: ArrayLike, probabilities: ArrayLike) -> Significance:
    """Test by the probability of every possible outcome."""
    observed, chances = np.asarray(counts), np.asarray(probabilities, dtype=float)
    statistics, likelihoods = _outcomes(int(observed.sum()), tuple(chances.tolist()))
    at_least, farther = _tails(statistics, float(g_statistic(observed, chances)))
    return Significance(
        min(1.0, float(likelihoods[at_least].sum())),
        min(1.0, float(likelihoods[farther].sum())),
        "exact multinomial test",
    )


def monte_carlo_test(
    counts: ArrayLike,
    probabilities: ArrayLike,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Significance:
    """Test by outcomes that are drawn; the observed one counts as one of them."""
    observed, chances = np.asarray(counts), np.asarray(probabilities, dtype=float)
    generator = np.random.default_rng(seed)
    outcomes = generator.multinomial(int(observed.sum()), chances, size=draws)
    at_least, farther = _tails(
        g_statistic(outcomes, chances), float(g_statistic(observed, chances))
    )
    return _drawn(at_least, farther, draws, "Monte-Carlo multinomial test")


def weighted_test(
    totals: ArrayLike,
    weights: ArrayLike,
    ways: ArrayLike,
    probabilities: ArrayLike,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Significance:
    """Test sums of weights, where each weight goes to one backend as a whole.

    Parameters
    ----------
    totals : array of float, (k,)
        Observed sum of the weights that went to each backend.
    weights : array of float, (m,)
        Of independent choices: what each connection carries, or each client.
    ways : array of int, (m,)
        Which row of probabilities each choice had.
    probabilities : array of float, (f, k)
        Of each way to choose; zero where it cannot lead.

    Returns
    -------
    Significance
        By Pearson's distance of the totals from their expectation, among draws of
        every choice.

    """
    chances = np.asarray(probabilities, dtype=float)
    sums = drawn_sums(
        weights, ways, chances, draws=draws, generator=np.random.default_rng(seed)
    )
    carried = np.bincount(
        np.asarray(ways), np.asarray(weights, float), minlength=len(chances)
    )
    expected = carried @ chances
    possible = expected > 0

    def distance(sums: Numbers) -> Numbers:
        off = sums[..., possible] - expected[possible]
        return np.asarray((off**2 / expected[possible]).sum(axis=-1))

    at_least, farther = _tails(
        distance(sums), float(distance(np.asarray(totals, dtype=float)))
    )
    return _drawn(at_least, farther, draws, "Monte-Carlo test")


def drawn_sums(
    weights: ArrayLike,
    ways: ArrayLike,
    probabilities: ArrayLike,
    *,
    draws: int,
    generator: np.random.Generator,
) -> Numbers:
    """Draw what each backend gets if every weight goes to one as a whole.

    Parameters
    ----------
    weights, ways, probabilities
        As for :func:`weighted_test`.
    draws : int
    generator : np.random.Generator

    Returns
    -------
    array of float, (draws, k)

    Notes
    -----
    Choices of equal weight and probabilities are drawn together. If there are many
    different ones, only the heaviest are: the sum of the lighter ones is normal.
    """
    choices = np.column_stack([np.asarray(weights, float), np.asarray(ways, float)])
    groups, sizes = np.unique(choices, axis=0, return_counts=True)
    each = groups[:, 0]
    chances = np.asarray(probabilities, float)[groups[:, 1].astype(np.int64)]
    importance = each**2 * sizes
    order = np.argsort(-importance, kind="stable")
    drawn, rest = order[:_MOST_GROUPS], order[_MOST_GROUPS:]
    sums = np.zeros((draws, chances.shape[1]))
    is_single = sizes[drawn] == 1
    for group in drawn[~is_single]:
        sums += each[group] * generator.multinomial(
            sizes[group], chances[group], size=draws
        )
    single = drawn[is_single]
    for way in np.unique(groups[single, 1]):
        of_way = single[groups[single, 1] == way]
        sums += _drawn_singly(each[of_way], chances[of_way[0]], draws, generator)
    if len(rest):
        light, shares = importance[rest], chances[rest]
        covariance = np.diag(light @ shares) - (shares * light[:, None]).T @ shares
        mean = (each[rest] * sizes[rest]) @ shares
        sums += generator.multivariate_normal(
            mean, covariance, size=draws, check_valid="ignore", method="eigh"
        )
    return sums


def _drawn_singly(
    weights: Numbers, chances: Numbers, draws: int, generator: np.random.Generator
) -> Numbers:
    """Draw sums of weights that each go to one backend."""
    backends = len(chances)
    bounds = np.cumsum(chances)[:-1]
    chosen = np.searchsorted(bounds, generator.random((draws, len(weights))), "right")
    places = (np.arange(draws)[:, None] * backends + chosen).ravel()
    loads = np.broadcast_to(weights, chosen.shape).ravel()
    sums = np.bincount(places, loads, draws * backends).astype(float)
    return sums.reshape(draws, backends)


def homogeneity(
    counts: ArrayLike, other: ArrayLike, *, draws: int = DRAWS, seed: int = SEED
) -> Significance:
    """Test if two counts of independent choices have the same shares.

    Parameters
    ----------
    counts, other : array of int, (k,)

    Returns
    -------
    Significance
        By the G-test, with Williams's correction, where all expected counts are five or
        more, else by drawing tables with the same sums.
    """
    from scipy.special import chdtrc

    table = np.array([counts, other], dtype=np.int64)
    table = table[:, table.sum(axis=0) > 0]
    sizes, totals = table.sum(axis=1), table.sum(axis=0)
    expected = np.outer(sizes, totals) / sizes.sum()
    statistic = float(_g_of_table(table[:1], sizes, totals)[0])
    if table.shape[1] < 2:
        return Significance(1.0, 1.0, "G-test of homogeneity")
    if expected.min() >= SMALLEST_EXPECTED:
        p_value = float(chdtrc(table.shape[1] - 1, statistic / _of_table(table)))
        return Significance(p_value, p_value, "G-test of homogeneity")
    generator = np.random.default_rng(seed)
    first = generator.multivariate_hypergeometric(
        totals, int(sizes[0]), size=draws, method="marginals"
    )
    at_least, farther = _tails(_g_of_table(first, sizes, totals), statistic)
    return _drawn(at_least, farther, draws, "Monte-Carlo test of homogeneity")


def weighted_homogeneity(
    chosen: ArrayLike,
    weights: ArrayLike,
    other_chosen: ArrayLike,
    other_weights: ArrayLike,
    backends: int,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Significance:
    """Test if two sets of weights have the same shares.

    Parameters
    ----------
    chosen, other_chosen : array of int
        The backend of each independent choice.
    weights, other_weights : array of float
        What it carries.
    backends : int
        How many there are.

    Returns
    -------
    Significance
        By draws in which every choice, whatever it carries, has the probabilities that
        both sets have together.
    """
    pooled = np.bincount(
        np.concatenate([np.asarray(chosen), np.asarray(other_chosen)]),
        minlength=backends,
    ).astype(float)
    pooled /= pooled.sum()
    generator = np.random.default_rng(seed)
    shares, drawn = [], []
    for picks, carried in ((chosen, weights), (other_chosen, other_weights)):
        load = np.asarray(carried, dtype=float)
        total = load.sum()
        shares.append(np.bincount(np.asarray(picks), load, backends) / total)
        ways = np.zeros(len(load), dtype=np.int64)
        drawn.append(
            drawn_sums(load, ways, pooled[None, :], draws=draws, generator=generator)
            / total
        )

    def distance(differences: Numbers) -> Numbers:
        possible = pooled > 0
        squares = differences[..., possible] ** 2 / pooled[possible]
        return np.asarray(squares.sum(axis=-1))

    at_least, farther = _tails(
        distance(drawn[0] - drawn[1]), float(distance(shares[0] - shares[1]))
    )
    return _drawn(at_least, farther, draws, "Monte-Carlo test of homogeneity")


def _of_table(table: NDArray[np.int64]) -> float:
    """Give Williams's correction of a table of two rows."""
    total, freedom = table.sum(), table.shape[1] - 1
    of_rows = (total / table.sum(axis=1)).sum() - 1
    of_columns = (total / table.sum(axis=0)).sum() - 1
    return float(1 + of_rows * of_columns / (6 * total * freedom))


def _g_of_table(
    first: NDArray[np.int64], sizes: NDArray[np.int64], totals: NDArray[np.int64]
) -> Numbers:
    """Compute G of tables of two rows, from their first rows and their sums."""
    from scipy.special import xlogy

    statistics = 2 * (
        xlogy(first, first).sum(axis=-1)
        + xlogy(totals - first, totals - first).sum(axis=-1)
        - xlogy(sizes, sizes).sum()
        - xlogy(totals, totals).sum()
        + xlogy(sizes.sum(), sizes.sum())
    )
    # Rounding takes what is zero to a hair less.
    return np.asarray(np.maximum(statistics, 0))


def holm(p_values: ArrayLike) -> Numbers:
    """Adjust p-values for their number, by Holm's step-down method."""
    given = np.asarray(p_values, dtype=float)
    order = np.argsort(given, kind="stable")
    steps = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


@functools.lru_cache(maxsize=8)
def _outcomes(total: int, probabilities: tuple[float, ...]) -> tuple[Numbers, Numbers]:
    """List G and the probability of every way to share out a total."""
    from scipy.special import gammaln, xlogy

    parts = len(probabilities)
    # Stars and bars: where the bars stand among the stars.
    places = np.array(list(combinations(range(total + parts - 1), parts - 1)), int)
    walls = np.full((len(places), 1), -1)
    ends = np.full((len(places), 1), total + parts - 1)
    outcomes = np.diff(np.hstack([walls, places.reshape(-1, parts - 1), ends])) - 1
    logarithms = (
        gammaln(total + 1)
        - gammaln(outcomes + 1).sum(axis=1)
        + xlogy(outcomes, np.array(probabilities)).sum(axis=1)
    )
    return g_statistic(outcomes, probabilities), np.exp(logarithms)


def _tails(
    statistics: Numbers, observed: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which are at least as large as the observed one, and which are larger."""
    margin = TOLERANCE * max(1.0, abs(observed))
    return statistics >= observed - margin, statistics > observed + margin


def _drawn(
    at_least: NDArray[np.bool_], farther: NDArray[np.bool_], draws: int, test: str
) -> Significance:
    return Significance(
        (1 + int(at_least.sum())) / (1 + draws), int(farther.sum()) / (1 + draws), test
    )
