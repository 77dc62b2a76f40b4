"""How far shares may be from those that were counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]

CONFIDENCE = 0.95


def wilson(
    shares: ArrayLike, size: float, confidence: float = CONFIDENCE
) -> tuple[Numbers, Numbers]:
    """Give Wilson's score interval of each share.

    Parameters
    ----------
    shares : array of float
        Counted shares, 0 to 1.
    size : float
        Independent choices that they were counted in; see :func:`effective_size`.
    confidence : float
        Probability that one interval holds the share that it is about.

    Returns
    -------
    lower, upper : array of float

    Notes
    -----
    E. B. Wilson, JASA 22, 1927. Counts are whole, so no such interval holds the share
    with just this probability: for 10 to 30 choices it is 91 to 98 % for one or the
    other share. Over shares or sizes this one comes to 95 % nearest, where others
    (Clopper and Pearson's, Agresti and Coull's, mid-p) are wider than they say.
    """
    from scipy.special import ndtri

    counted = np.asarray(shares, dtype=float)
    z = float(ndtri((1 + confidence) / 2))
    scale = 1 + z**2 / size
    centre = (counted + z**2 / (2 * size)) / scale
    spread = counted * (1 - counted) / size + z**2 / (4 * size**2)
    reach = z * np.sqrt(spread) / scale
    # At the ends rounding would leave a hair of room that is not there.
    lower = np.where(counted == 0, 0.0, np.maximum(centre - reach, 0))
    upper = np.where(counted == 1, 1.0, np.minimum(centre + reach, 1))
    return lower, upper


def newcombe(
    shares: ArrayLike,
    size: float,
    other_shares: ArrayLike,
    other_size: float,
    confidence: float = CONFIDENCE,
) -> tuple[Numbers, Numbers]:
    """Give the interval of each difference, ``shares`` minus ``other_shares``.

    Notes
    -----
    Newcombe's hybrid of two Wilson intervals, method 10 in Statistics in Medicine 17,
    1998, 873-890.
    """
    one, other = np.asarray(shares, float), np.asarray(other_shares, float)
    low, high = wilson(one, size, confidence)
    other_low, other_high = wilson(other, other_size, confidence)
    difference = one - other
    return (
        difference - np.hypot(one - low, other_high - other),
        difference + np.hypot(high - one, other - other_low),
    )


def effective_size(weights: ArrayLike) -> float:
    """Count the equal weights that would vary as much as these do.

    Parameters
    ----------
    weights : array of float
        What each independent choice carries.

    Returns
    -------
    float
        Kish's effective sample size, the number of weights if they are all equal.
    """
    carried = np.asarray(weights, dtype=float)
    squares = float((carried**2).sum())
    return float(carried.sum()) ** 2 / squares if squares else 0.0
