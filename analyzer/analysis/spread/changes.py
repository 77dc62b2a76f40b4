"""When did the shares change? Change points in a sequence of choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.analysis.spread.significance import SEED

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]
    Counts = NDArray[np.int64]

_SHUFFLES = 199
_LEVEL = 0.01
#: Pieces that a long sequence is cut into; a change is located among their ends.
_MOST_PIECES = 1_000
_SHORTEST = 8
#: What twice the log-likelihood may fall short of its maximum by within the interval.
_CUTOFF = -2 * np.log(1 - np.sqrt(0.95))


@dataclass(frozen=True)
class Change:
    """A place in a sequence where the shares became others.

    Parameters
    ----------
    at : int
        The first choice after it.
    earliest, latest : int
        Its 95 % interval, in the same terms.
    p_value : float
        Probability of a change as marked in a sequence without one.
    """

    at: int
    earliest: int
    latest: int
    p_value: float


def change_points(chosen: ArrayLike, backends: int) -> list[Change]:
    """Find where in a sequence of choices the shares changed.

    Parameters
    ----------
    chosen : array of int, (n,)
        The backend of each choice, in the order of time.
    backends : int
        How many there are.

    Returns
    -------
    list of Change
        In their order; empty if the sequence looks the same all along.

    Notes
    -----
    The likelihood of two pieces with shares of their own is compared with that of one,
    at every place; how large the best comparison is by chance, shuffled sequences tell.
    What is found cuts the sequence in two, and both are searched in turn (binary
    segmentation). The interval holds the places whose likelihood is close to the best
    one's (D. Siegmund, Biometrika 75, 1988). A sequence of more than a thousand
    choices is looked at in a thousand pieces.
    """
    sequence = np.asarray(chosen, dtype=np.int64)
    ends = _ends(len(sequence))
    found: list[Change] = []
    open_pieces = [(0, len(ends) - 1)]
    while open_pieces:
        first, last = open_pieces.pop()
        change = _best(sequence, ends[first : last + 1], backends)
        if change is not None:
            found.append(change)
            middle = int(np.searchsorted(ends, change.at))
            open_pieces += [(first, middle), (middle, last)]
    return sorted(found, key=lambda change: change.at)


def _ends(length: int) -> Counts:
    """Give the ends of the pieces, the start of the first one included."""
    pieces = min(length, _MOST_PIECES)
    return np.unique(np.linspace(0, length, pieces + 1).round().astype(np.int64))


def _best(sequence: Counts, ends: Counts, backends: int) -> Change | None:
    """Find the most marked change between two places."""
    start, end = int(ends[0]), int(ends[-1])
    if end - start < _SHORTEST or len(ends) < 3:
        return None
    part = sequence[start:end]
    if (part == part[0]).all():
        return None
    inner = ends[1:-1] - start
    gains = _gains(part, inner, backends)
    best = int(np.argmax(gains))
    generator = np.random.default_rng(SEED)
    as_large = sum(
        float(_gains(generator.permutation(part), inner, backends).max())
        >= gains[best] - 1e-9
        for _ in range(_SHUFFLES)
    )
    p_value = (1 + as_large) / (1 + _SHUFFLES)
    if p_value > _LEVEL:
        return None
    near = np.flatnonzero(gains >= gains[best] - _CUTOFF)
    # Between the places that were looked at, nobody knows.
    return Change(
        int(inner[best]) + start,
        int(ends[near[0]]) + 1,
        int(ends[near[-1] + 2]) - 1,
        float(p_value),
    )


def _gains(part: Counts, places: Counts, backends: int) -> Numbers:
    """Compare two pieces with one at each place: twice the gain in log-likelihood."""
    from scipy.special import xlogy

    of_each = np.zeros((len(part) + 1, backends))
    np.cumsum(part[:, None] == np.arange(backends), axis=0, out=of_each[1:])
    before, total = of_each[places], of_each[-1]
    after = total - before
    sizes = np.column_stack([places, len(part) - places]).astype(float)
    gains = (
        xlogy(before, before).sum(axis=1)
        + xlogy(after, after).sum(axis=1)
        - xlogy(sizes, sizes).sum(axis=1)
        - xlogy(total, total).sum()
        + xlogy(len(part), len(part))
    )
    return np.asarray(2 * gains)
