"""How even shares are, in one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def effective_number(amounts: ArrayLike) -> float:
    """Count the backends that, sharing evenly, would be as concentrated as these.

    Parameters
    ----------
    amounts : array of float
        What each backend got, zeros included.

    Returns
    -------
    float
        The inverse Simpson index (Laakso and Taagepera's effective number): from 1,
        where one got all, to the number of backends; 0 where nobody got anything.
    """
    got = np.asarray(amounts, dtype=float)
    total = float(got.sum())
    return total**2 / float((got**2).sum()) if total else 0.0


def jain(amounts: ArrayLike) -> float:
    """Give Jain's fairness index: from 1/k, where one got all, to 1, where all share.

    Notes
    -----
    R. Jain, D. Chiu, W. Hawe, DEC-TR-301, 1984: the effective number's part of all.
    """
    got = np.asarray(amounts, dtype=float)
    return effective_number(got) / len(got) if len(got) else 0.0
