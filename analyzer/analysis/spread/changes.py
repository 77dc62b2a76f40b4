"""When did the shares change? Change points in a sequence of choices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analyzer.analysis.spread.significance import SEED

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]
    Counts = NDArray[np.int64]

_SHUFFLES = 199
_LEVEL = 0.01
_GAP_LEVEL = 0.001
#: Pieces that a long sequence is cut into; a change is located among their ends.
_MOST_PIECES = 1_000
_SHORTEST = 8
_CONFIDENCE = 0.95
#: What the log-likelihood of the true place falls short of the best one's by, doubled,
#: in the limit of small changes (D. Siegmund, Biometrika 75, 1988).
_LEAST_CUTOFF = -2 * np.log(1 - np.sqrt(_CONFIDENCE))


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
    segmentation). A gap in which one backend is not chosen for too long cuts it, too:
    what comes back may leave the shares of both halves alike.

    The interval holds the places whose likelihood is close to the best one's: as close
    as that of the true place is, 19 times out of 20, in sequences that are drawn with
    the change that was found, and in theory. A sequence of more than a thousand choices
    is looked at in a thousand pieces.
    """
    sequence = np.asarray(chosen, dtype=np.int64)
    ends = _ends(len(sequence))
    found: list[Change] = []
    open_pieces = [(0, len(ends) - 1)]
    while open_pieces:
        first, last = open_pieces.pop()
        piece = ends[first : last + 1]
        change = _best(sequence, piece, backends)
        cuts = [change] if change else _gap(sequence, piece, backends)
        if cuts:
            found += cuts
            places = [int(np.searchsorted(ends, cut.at)) for cut in cuts]
            open_pieces += list(pairwise([first, *places, last]))
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
    as_large = 0
    for _ in range(_SHUFFLES):
        shuffled = _gains(generator.permutation(part), inner, backends)
        as_large += bool(shuffled.max() >= gains[best] - 1e-9)
        if 1 + as_large > _LEVEL * (1 + _SHUFFLES):
            return None
    p_value = (1 + as_large) / (1 + _SHUFFLES)
    return _change(part, ends, best, backends, p_value)


def _change(
    part: Counts, ends: Counts, best: int, backends: int, p_value: float
) -> Change:
    """Give a change its interval."""
    inner = ends[1:-1] - ends[0]
    gains = _gains(part, inner, backends)
    place = int(inner[best])
    shares = [
        np.bincount(side, minlength=backends) / len(side)
        for side in (part[:place], part[place:])
    ]
    generator = np.random.default_rng(SEED)
    shortfalls = []
    for _ in range(_SHUFFLES):
        drawn = np.concatenate(
            [
                generator.choice(backends, size, p=share)
                for size, share in zip((place, len(part) - place), shares, strict=True)
            ]
        )
        again = _gains(drawn, inner, backends)
        shortfalls.append(float(again.max() - again[best]))
    cutoff = max(float(np.quantile(shortfalls, _CONFIDENCE)), _LEAST_CUTOFF)
    near = np.flatnonzero(gains >= gains.max() - cutoff)
    first, last = min(best, int(near[0])), max(best, int(near[-1]))
    # Between the places that were looked at, nobody knows.
    return Change(
        int(ends[best + 1]),
        int(ends[first]) + 1,
        int(ends[last + 2]) - 1,
        float(p_value),
    )


def _gap(sequence: Counts, ends: Counts, backends: int) -> list[Change]:
    """Find where one backend was not chosen for longer than chance explains.

    Notes
    -----
    A run of that many choices of others is to be expected (1 + (n - length) p)
    (1 - p)^length times, where p is the backend's share.
    """
    start, end = int(ends[0]), int(ends[-1])
    size = end - start
    if size < _SHORTEST:
        return []
    best = (1.0, 0, 0)
    for backend in range(backends):
        places = np.flatnonzero(sequence[start:end] == backend)
        if len(places) < 2:
            continue
        lengths = np.diff(places) - 1
        longest = int(np.argmax(lengths))
        length = int(lengths[longest])
        share = len(places) / size
        number = (1 + (size - length) * share) * (1 - share) ** length * backends
        best = min(best, (number, int(places[longest]) + 1, int(places[longest + 1])))
    number, opens, closes = best
    if number > _GAP_LEVEL:
        return []
    inner = ends[1:-1] - start
    cuts = sorted({int(np.argmin(np.abs(inner - place))) for place in (opens, closes)})
    # Each is compared with what is on its two sides, up to the other one.
    last = len(ends) - 1
    windows = [(0, last)]
    if len(cuts) == 2:
        windows = [(0, cuts[1] + 1), (cuts[0] + 1, last)]
    return [
        _change(
            sequence[ends[low] : ends[high]],
            ends[low : high + 1],
            cut - low,
            backends,
            number,
        )
        for cut, (low, high) in zip(cuts, windows, strict=True)
    ]


def _gains(part: Counts, places: Counts, backends: int) -> Numbers:
    """Compare two pieces with one at each place: twice the gain in log-likelihood."""
    # Counts of the pieces between places, rather than of every choice.
    pieces = np.repeat(
        np.arange(len(places) + 1), np.diff(places, prepend=0, append=len(part))
    )
    size = (len(places) + 1) * backends
    counts = np.bincount(pieces * backends + part, minlength=size)
    up_to = counts.reshape(-1, backends).cumsum(axis=0)
    before, total = up_to[:-1], up_to[-1]
    log = _n_log_n(len(part))
    gains = (
        (log[before] + log[total - before]).sum(axis=1)
        - log[places]
        - log[len(part) - places]
        - log[total].sum()
        + log[-1]
    )
    return np.asarray(2 * gains)


@lru_cache(maxsize=8)
def _n_log_n(largest: int) -> Numbers:
    from scipy.special import xlogy

    numbers = np.arange(largest + 1)
    return np.asarray(xlogy(numbers, numbers))
