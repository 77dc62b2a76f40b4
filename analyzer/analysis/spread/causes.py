"""Why shares are as they are: changes, nodes, clients that stay, heavy connections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analyzer.analysis.spread.changes import change_points
from analyzer.analysis.spread.significance import (
    Significance,
    holm,
    significance,
    weighted_test,
)

if TYPE_CHECKING:
    from analyzer.analysis.spread.changes import Change
    from analyzer.analysis.spread.draws import Draws

LEVEL = 0.05
#: For what is looked for unasked.
_STRICT = 0.01
_FEWEST_STICKY = 4
#: A share differs from another one noticeably if by so much.
_NOTICEABLE = 0.1
#: One connection is worth naming if it carries so much of what its backend got.
_HEAVY = 0.25
_MOST_HEAVY = 3
#: A connection is long-lived if it lasts so many times the usual.
_LONG = 10


def tested(draws: Draws) -> Significance | None:
    """Test choices against their probabilities; None where nothing was to choose."""
    open_ = draws.take(draws.is_open & draws.is_possible)
    if not len(open_):
        return None
    if open_.are_alike:
        chances = open_.chances[open_.ways[0]]
        counts = np.bincount(open_.chosen, minlength=len(chances))
        return significance(counts[chances > 0], chances[chances > 0])
    return weighted_test(open_.totals, open_.weights, open_.ways, open_.chances)


def outstanding(draws: Draws, *, level: float = LEVEL) -> list[int]:
    """Find the backends that got more or less than chance explains.

    Returns
    -------
    list of int
        Their indices, the most surprising first: those of which the normal
        approximation says so at this level, after Holm's correction, or else the one
        that is farthest off.
    """
    from scipy.special import ndtr

    open_ = draws.take(draws.is_open & draws.is_possible)
    deviations = np.sqrt(open_.variances)
    off = np.divide(
        open_.totals - open_.expected,
        deviations,
        out=np.zeros_like(deviations),
        where=deviations > 0,
    )
    order = np.argsort(-np.abs(off), kind="stable")
    p_values = holm(2 * ndtr(-np.abs(off)))
    return [int(at) for at in order if p_values[at] <= level] or [int(order[0])]


@dataclass(frozen=True)
class Changed:
    """One backend's share before and after a change.

    ``time`` (nanoseconds since the epoch) is the first choice of it if it got nothing
    before, the last one if it got nothing after, else the first with the new shares.
    """

    name: str
    before: float
    after: float
    time: int


@dataclass(frozen=True)
class ShareChange:
    """A moment at which shares became others.

    Parameters
    ----------
    earliest, latest : int
        Its 95 % interval, nanoseconds since the epoch.
    p_value : float
        Of there being no change at all.
    backends : tuple of Changed
        Those whose shares it is about, most changed first.
    """

    earliest: int
    latest: int
    p_value: float
    backends: tuple[Changed, ...]


def share_changes(draws: Draws, *, level: float) -> list[ShareChange]:
    """Find when the shares changed, and whose.

    Parameters
    ----------
    draws : Draws
    level : float
        Probability of finding a change where there is none.

    Notes
    -----
    Only choices from the same backends are compared: those of the most frequent way.
    """
    open_ = draws.take(draws.is_open & draws.is_possible)
    if not len(open_):
        return []
    most = np.argmax(np.bincount(open_.ways))
    alike = open_.take(open_.ways == most)
    found = [
        each
        for each in change_points(alike.chosen, len(alike.backends))
        if each.p_value <= level
    ]
    ends = [0, *(change.at for change in found), len(alike)]
    return [
        _share_change(alike, change, before, after)
        for change, before, after in zip(found, ends[:-2], ends[2:], strict=True)
    ]


def _share_change(draws: Draws, change: Change, start: int, end: int) -> ShareChange:
    from scipy.special import ndtr

    size = len(draws.backends)
    before = np.bincount(draws.chosen[start : change.at], minlength=size)
    after = np.bincount(draws.chosen[change.at : end], minlength=size)
    shares = before / before.sum(), after / after.sum()
    pooled = (before + after) / (before.sum() + after.sum())
    error = np.sqrt(pooled * (1 - pooled) * (1 / before.sum() + 1 / after.sum()))
    off = np.divide(
        shares[1] - shares[0], error, out=np.zeros_like(error), where=error > 0
    )
    order = np.argsort(-np.abs(off), kind="stable")
    p_values = holm(2 * ndtr(-np.abs(off)))
    changed = [int(at) for at in order if p_values[at] <= LEVEL] or [int(order[0])]
    whole = slice(start, end)
    times, chosen = draws.times[whole], draws.chosen[whole]

    def moment(at: int) -> int:
        if before[at] and after[at]:
            return int(draws.times[change.at])
        return int(times[chosen == at][0 if after[at] else -1])

    return ShareChange(
        # Since the last choice that is surely of the old shares.
        int(draws.times[max(change.earliest - 1, 0)]),
        int(draws.times[min(change.latest, len(draws) - 1)]),
        change.p_value,
        tuple(
            Changed(
                draws.backends[at],
                float(shares[0][at]),
                float(shares[1][at]),
                moment(at),
            )
            for at in changed
        ),
    )


def silences(draws: Draws, *, level: float) -> list[ShareChange]:
    """Find backends that got nothing at the end, or at first, for longer than chance.

    Parameters
    ----------
    draws : Draws
    level : float
        Probability of finding any where all are chosen with their probabilities.

    Returns
    -------
    list of ShareChange
        One per backend and end of the time, each about this backend alone.

    Notes
    -----
    The probability of so long a silence is the product, over its choices, of not
    having taken the backend; corrected for both ends of all backends (Bonferroni).
    The interval begins with the backend's own choice, and goes on until the silence
    has a probability of 5 %: had it been chosen from still, one of these would have
    taken it. Backends that got nothing at all did not fall out.
    """
    open_ = draws.take(draws.is_open & draws.is_possible)
    got = np.bincount(open_.chosen, minlength=len(draws.backends)) > 0
    tests = 2 * max(int(got.sum()), 1)
    found = []
    for at in np.flatnonzero(got):
        passed_over = 1 - open_.chances[open_.ways, at]
        own = np.flatnonzero(open_.chosen == at)
        for is_end in (True, False):
            silent = (
                passed_over[own[-1] + 1 :] if is_end else passed_over[: own[0]][::-1]
            )
            probabilities = np.cumprod(silent)
            if not len(silent) or probabilities[-1] * tests > level:
                continue
            until = int(np.argmax(probabilities <= LEVEL)) + 1
            bound = own[-1] if is_end else own[0]
            earliest, latest = sorted((bound, bound + until * (1 if is_end else -1)))
            # Of what is neither silence nor before the backend's first choice.
            share = len(own) / (len(open_) - len(silent))
            found.append(
                ShareChange(
                    int(open_.times[earliest]),
                    int(open_.times[latest]),
                    float(min(probabilities[-1] * tests, 1.0)),
                    (
                        Changed(
                            draws.backends[at],
                            share if is_end else 0.0,
                            0.0 if is_end else share,
                            int(open_.times[bound]),
                        ),
                    ),
                )
            )
    return found


def odd_entry_nodes(draws: Draws, *, level: float = LEVEL) -> dict[str, float]:
    """Find the nodes through which calls fall unevenly, if others' fall evenly.

    Returns
    -------
    dict of str to float
        Their p-values after Holm's correction; empty if all or none of them are odd.
    """
    found = {
        name: of_node.p_value
        for number, name in enumerate(draws.entry_nodes)
        if (of_node := tested(draws.take(draws.entries == number))) is not None
    }
    if len(found) < 2:
        return {}
    adjusted = dict(zip(found, holm(list(found.values())).tolist(), strict=True))
    odd = {name: value for name, value in adjusted.items() if value <= level}
    return odd if len(odd) < len(found) else {}


def clients_stay(calls: pl.DataFrame) -> bool:
    """Tell if every client that called again got the backend that it had before.

    Parameters
    ----------
    calls : pl.DataFrame
        Of one subject, seen as their clients sent them.

    Notes
    -----
    At least two backends must have such clients (else it may be the only one that
    works), and chance must not explain it: the probability that calls fall so by
    themselves, with the shares that backends have, is under one percent.
    """
    known = calls.filter(pl.col("is_whole") & pl.col("backend").is_not_null())
    by_client = known.group_by("client", "entry_node", "service_name", "is_v6").agg(
        calls=pl.len(),
        backends=pl.col("backend").n_unique(),
        backend=pl.col("backend").first(),
    )
    again = by_client.filter(pl.col("calls") > 1)
    if again["backend"].n_unique() < 2 or (again["backends"] > 1).any():
        return False
    calls_of = again.group_by("backend").agg(pl.col("calls").sum())["calls"].to_numpy()
    shares = calls_of / calls_of.sum()
    repeats = again["calls"].to_numpy()
    if len(known) < _FEWEST_STICKY:
        return False
    alike = np.log((shares[None, :] ** repeats[:, None]).sum(axis=1))
    return bool(alike.sum() < np.log(_STRICT))


def stay_on_entry_node(calls: pl.DataFrame) -> bool:
    """Tell if calls from outside were answered where they came in, and only there."""
    from_outside = calls.filter(
        pl.col("is_outside")
        & pl.col("is_whole")
        & pl.col("backend_node").is_not_null()
        & pl.col("entry_node").is_not_null()
    )
    is_at_home = from_outside["backend_node"] == from_outside["entry_node"]
    nodes = max(calls["backend_node"].n_unique(), 2)
    by_chance = float(nodes) ** -len(from_outside)
    return is_at_home.all() and by_chance < _STRICT


@dataclass(frozen=True)
class Heavy:
    """What makes a unit less even than connections are.

    Parameters
    ----------
    unit : str
    backend : str
        Who has the most of it beyond its share of connections.
    share, connection_share : float
        What it has of the unit, and of connections.
    connections : tuple of (int, float, bool)
        The connections that carry most of it: their id, their part of all of the unit,
        and whether they last much longer than usual.
    """

    unit: str
    backend: str
    share: float
    connection_share: float
    connections: tuple[tuple[int, float, bool], ...]


def heavy_connections(calls: pl.DataFrame, unit: str) -> Heavy | None:
    """Find the connections that make a unit less even than connections are."""
    known = calls.filter(pl.col("backend").is_not_null())
    total = known[unit].sum()
    if not total:
        return None
    shares = (
        known.group_by("backend")
        .agg(share=pl.col(unit).sum() / total, of_all=pl.len() / len(known))
        .with_columns(more=pl.col("share") - pl.col("of_all"))
        .sort("more", "backend", descending=[True, False])
    )
    top = shares.row(0, named=True)
    if top["more"] < _NOTICEABLE:
        return None
    usual = float(np.median(known["duration"].to_numpy()))
    largest = (
        known.filter(pl.col("backend") == top["backend"])
        .top_k(_MOST_HEAVY, by=[unit, -pl.col("connection_id").cast(pl.Int64)])
        .filter(pl.col(unit) >= _HEAVY * top["share"] * total)
        .sort(unit, "connection_id", descending=[True, False])
    )
    if largest.is_empty():
        return None
    return Heavy(
        unit,
        top["backend"],
        top["share"],
        top["of_all"],
        tuple(
            (number, amount / total, duration > _LONG * usual)
            for number, amount, duration in largest.select(
                "connection_id", unit, lasted="duration"
            ).rows()
        ),
    )


@dataclass(frozen=True)
class Impossible:
    """A backend that was chosen although it could not be.

    Parameters
    ----------
    name : str
    choices : int
    until, since : int, optional
        When it was chosen last or first (nanoseconds since the epoch), where that is
        too far from the end or from the beginning of the choices to be chance.
    """

    name: str
    choices: int
    until: int | None = None
    since: int | None = None


def impossible(draws: Draws) -> list[Impossible]:
    """Count the choices of backends that could not be chosen.

    Notes
    -----
    All of its choices are among the first m of n with probability C(m, k) / C(n, k),
    were they spread over the whole time.
    """
    found = []
    for at in np.unique(draws.chosen[~draws.is_possible]):
        own = np.flatnonzero((draws.chosen == at) & ~draws.is_possible)
        size, count = len(draws), len(own)
        ends = int(own[-1]) + 1, size - int(own[0])
        is_gone, is_new = (
            math.comb(end, count) <= LEVEL * math.comb(size, count) for end in ends
        )
        found.append(
            Impossible(
                draws.backends[at],
                count,
                until=int(draws.times[own[-1]]) if is_gone else None,
                since=int(draws.times[own[0]]) if is_new else None,
            )
        )
    return found
