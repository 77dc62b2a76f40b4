"""What should have been chosen: the null hypothesis, call by call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analyzer.analysis.spread.choice import Choice, Front

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analyzer.analysis.spread.choice import Proxies
    from analyzer.analysis.spread.visibility import Visibility

    Numbers = NDArray[np.float64]

_FRONT = (
    *("service_namespace", "service_name", "service_port_name", "destination_kind"),
    *("entry_node", "is_outside", "is_v6", "is_whole"),
)


@dataclass(frozen=True)
class Expectation:
    """What each call of a subject could have got.

    Parameters
    ----------
    backends : tuple of str
        Who could have been chosen, or was.
    fronts : pl.DataFrame
        One row per kind of call, with ``front``, its number.
    chances : array of float, (fronts, backends)
        Probabilities among what the captures would have shown; a row of zeros where
        nothing can be said.
    even : array of float, (fronts, backends)
        The same if every backend were as likely as the others.
    choices : tuple of Choice
        How each kind of call is answered.
    is_cut : array of bool, (fronts,)
        Whether captures would not have shown all of it.
    """

    backends: tuple[str, ...]
    fronts: pl.DataFrame
    chances: Numbers
    even: Numbers
    choices: tuple[Choice, ...]
    is_cut: NDArray[np.bool_]

    def fronts_of(self, calls: pl.DataFrame) -> NDArray[np.int64]:
        """Give the number of each call's front."""
        joined = calls.join(
            self.fronts,
            on=list(_FRONT),
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        return joined["front"].to_numpy().astype(np.int64)


def expectation(
    calls: pl.DataFrame,
    nodes: Mapping[str, str | None],
    proxies: Proxies,
    visible: Visibility,
) -> Expectation:
    """Say what each call of one subject could have got.

    Parameters
    ----------
    calls : pl.DataFrame
        See :func:`analyzer.analysis.spread.calls.subjects`.
    nodes : mapping of str to str
        The backends that the subject has, as far as that is known, and their nodes.
    proxies : Proxies
    visible : Visibility
    """
    fronts = calls.select(_FRONT).unique(maintain_order=True).with_row_index("front")
    seen = _seen(calls)
    choices = []
    for row in fronts.iter_rows(named=True):
        front = Front(
            row["service_namespace"],
            row["service_name"],
            row["service_port_name"],
            row["destination_kind"],
            row["entry_node"],
            row["is_outside"],
            bool(row["is_v6"]),
        )
        choices.append(proxies.choice(front) or _guess(front, nodes, seen, proxies))
    names = {name for choice in choices for name in choice.probabilities}
    everyone = tuple(sorted({*names, *nodes, *(name for name, _ in seen)}))
    is_shown = np.array(
        [
            [_is_shown(name, row, nodes, visible, seen) for name in everyone]
            for row in fronts.iter_rows(named=True)
        ],
        dtype=bool,
    ).reshape(len(choices), len(everyone))
    told = np.array(
        [
            [choice.probabilities.get(name, 0.0) for name in everyone]
            for choice in choices
        ]
    ).reshape(is_shown.shape)
    return Expectation(
        everyone,
        fronts,
        _scaled(told * is_shown),
        _scaled(is_shown.astype(float)),
        tuple(choices),
        ((told > 0) & ~is_shown).any(axis=1),
    )


def _scaled(chances: Numbers) -> Numbers:
    """Make each row add up to one, or leave it empty."""
    totals = chances.sum(axis=1, keepdims=True)
    return np.asarray(
        np.divide(chances, totals, out=np.zeros_like(chances), where=totals > 0)
    )


def _seen(calls: pl.DataFrame) -> Counter[tuple[str, bool]]:
    """Count the calls that each backend got, by IP version."""
    known = calls.filter(pl.col("backend").is_not_null())
    return Counter(
        {
            (name, bool(is_v6)): n
            for name, is_v6, n in known.group_by("backend", "is_v6").len().rows()
        }
    )


def _guess(
    front: Front,
    nodes: Mapping[str, str | None],
    seen: Mapping[tuple[str, bool], int],
    proxies: Proxies,
) -> Choice:
    """Take all the workload's pods for as likely, else those that answered."""
    if nodes and front.service is None and proxies.are_told:
        return Choice(dict.fromkeys(sorted(nodes), 1 / len(nodes)), "endpoints")
    names = sorted(name for name, is_v6 in seen if is_v6 == front.is_v6)
    if not names:
        return Choice({}, "seen")
    return Choice(dict.fromkeys(names, 1 / len(names)), "seen")


def _is_shown(
    name: str,
    front: Mapping[str, object],
    nodes: Mapping[str, str | None],
    visible: Visibility,
    seen: Mapping[tuple[str, bool], int],
) -> bool:
    """Tell if the captures show this kind of call to this backend."""
    if front["is_whole"]:
        return True
    if not visible.nodes:  # nobody knows where captures were taken
        return (name, bool(front["is_v6"])) in seen
    entry_node = front["entry_node"]
    return visible.shows(
        name, nodes.get(name), None if entry_node is None else str(entry_node)
    )
