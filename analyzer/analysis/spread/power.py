"""How much must be seen to see an imbalance."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from analyzer.analysis.spread.significance import (
    SEED,
    TOLERANCE,
    critical_value,
    g_statistic,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

POWER = 0.8
LEVEL = 0.05
FACTOR = 2.0
_MOST_NUMBERS = 400_000


def favoured(probabilities: ArrayLike, factor: float = FACTOR) -> NDArray[np.float64]:
    """Give the probabilities if the least probable backend were chosen more often.

    Parameters
    ----------
    probabilities : array of float, (k,)
    factor : float
        How much more often, compared with the others.
    """
    chances = np.array(probabilities, dtype=float)
    chances[np.argmin(chances)] *= factor
    return np.asarray(chances / chances.sum())


def choices_needed(
    probabilities: ArrayLike,
    *,
    factor: float = FACTOR,
    power: float = POWER,
    level: float = LEVEL,
) -> int | None:
    """Count the choices after which an imbalance would probably be noticed.

    Parameters
    ----------
    probabilities : array of float, (k,)
        That each backend has under the null hypothesis; zeros do not count.
    factor : float
        The imbalance: the least probable backend is chosen this much more often.
    power : float
        Probability of noticing it.
    level : float
        Probability of an alarm where all is well.

    Returns
    -------
    int or None
        None for a single backend.

    Notes
    -----
    The noncentral chi-square distribution of the test's statistic gives a first guess,
    which errs by a tenth or so; draws with a fixed seed correct it.
    """
    chances = np.asarray(probabilities, dtype=float)
    possible = tuple(chances[chances > 0].tolist())
    return _needed(possible, factor, power, level) if len(possible) > 1 else None


@lru_cache(maxsize=64)
def _needed(
    probabilities: tuple[float, ...], factor: float, power: float, level: float
) -> int:
    from scipy.special import chdtri, chndtrinc

    chances = np.array(probabilities)
    freedom = len(chances) - 1
    critical = float(chdtri(freedom, level))
    noncentrality = float(chndtrinc(critical, freedom, 1 - power))
    other = favoured(chances, factor)
    guess = noncentrality / float(((other - chances) ** 2 / chances).sum())
    too_few, enough = int(guess / 2), ceil(guess * 3)
    while enough - too_few > 1:
        size = (too_few + enough) // 2
        if power_of(size, chances, other, level=level) >= power:
            enough = size
        else:
            too_few = size
    return enough


def power_of(
    size: int, probabilities: ArrayLike, other: ArrayLike, *, level: float = LEVEL
) -> float:
    """Estimate how probably a number of choices shows other probabilities.

    Parameters
    ----------
    size : int
        Independent choices.
    probabilities, other : array of float, (k,)
        Of the null hypothesis, and those that hold.
    level : float
        Probability of an alarm where all is well.
    """
    chances = np.asarray(probabilities, dtype=float)
    generator = np.random.default_rng(SEED)
    draws = max(1_000, min(20_000, _MOST_NUMBERS // len(chances)))
    outcomes = generator.multinomial(size, np.asarray(other), size=draws)
    critical = critical_value(size, chances, level)
    return float((g_statistic(outcomes, chances) >= critical - TOLERANCE).mean())
