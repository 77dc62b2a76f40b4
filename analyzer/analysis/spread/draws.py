"""Calls as draws: independent choices of backends, and what each carries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analyzer.analysis.spread.expectation import Expectation

    Numbers = NDArray[np.float64]
    Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Draws:
    """Independent choices, in the order of time.

    Parameters
    ----------
    backends : tuple of str
        What was chosen from: names of backends, or of nodes.
    chances : array of float, (f, k)
        Different ways to choose: the probability of each backend.
    ways : array of int, (m,)
        Which of them each choice had.
    chosen : array of int, (m,)
        Index of the backend that it took.
    weights : array of float, (m,)
        What went to the backend by that choice.
    times : array of int, (m,)
        When it was made, nanoseconds since the epoch.
    connections : array of int, (m,)
        The connection by which it was made first.
    entry_nodes : tuple of str
        Where choices were made.
    entries : array of int, (m,)
        Index of the node where each was made; -1 if that is not known.
    """

    backends: tuple[str, ...]
    chances: Numbers
    ways: Indices
    chosen: Indices
    weights: Numbers
    times: Indices
    connections: Indices
    entry_nodes: tuple[str, ...]
    entries: Indices

    def __len__(self) -> int:
        return len(self.chosen)

    def take(self, which: NDArray[np.bool_]) -> Draws:
        """Keep some of the choices."""
        return replace(
            self,
            ways=self.ways[which],
            chosen=self.chosen[which],
            weights=self.weights[which],
            times=self.times[which],
            connections=self.connections[which],
            entries=self.entries[which],
        )

    @property
    def totals(self) -> Numbers:
        """What each backend got."""
        return np.bincount(self.chosen, self.weights, len(self.backends)).astype(float)

    @property
    def by_way(self) -> Numbers:
        """What was carried by the choices of each way."""
        return np.bincount(self.ways, self.weights, len(self.chances)).astype(float)

    @property
    def expected(self) -> Numbers:
        """What each backend should have got."""
        return np.asarray(self.by_way @ self.chances)

    @property
    def variances(self) -> Numbers:
        """How much what each backend gets varies by chance."""
        squares = np.bincount(self.ways, self.weights**2, len(self.chances))
        return np.asarray(squares @ (self.chances * (1 - self.chances)))

    @property
    def is_open(self) -> NDArray[np.bool_]:
        """Whether more than one backend could be chosen."""
        return np.asarray((self.chances > 0).sum(axis=1) > 1)[self.ways]

    @property
    def is_possible(self) -> NDArray[np.bool_]:
        """Whether what was chosen is what could be chosen; so if nobody can tell."""
        is_untold = self.chances.sum(axis=1, keepdims=True) == 0
        is_possible = (self.chances > 0) | is_untold
        return np.asarray(is_possible[self.ways, self.chosen])

    @property
    def are_alike(self) -> bool:
        """Whether all have the same weight and the same probabilities."""
        return len(np.unique(self.weights)) == len(np.unique(self.ways)) == 1


def draws(
    calls: pl.DataFrame,
    expected: Expectation,
    unit: str,
    *,
    sticky: NDArray[np.bool_],
) -> tuple[Draws, Draws]:
    """Take the independent choices out of calls.

    Parameters
    ----------
    calls : pl.DataFrame
        Of one subject; those of unknown backend are left out.
    expected : Expectation
    unit : str
        What a choice carries.
    sticky : array of bool, (fronts,)
        In which of the expectation's fronts clients stay with their backends, so that
        a client is one choice at each node.

    Returns
    -------
    tuple of Draws
        As the rules say, and with every backend as likely, whatever the rules say.
    """
    entry_nodes = tuple(calls["entry_node"].drop_nulls().unique().sort())
    numbers = {name: number for number, name in enumerate(expected.backends)}
    known = calls.filter(pl.col("backend").is_not_null())
    known = known.with_columns(
        way=pl.Series(expected.fronts_of(known), dtype=pl.Int64),
        chosen=pl.col("backend").replace_strict(
            list(numbers), list(numbers.values()), default=None, return_dtype=pl.Int64
        ),
        weight=pl.col(unit),
        time=pl.col("start_time").dt.epoch("ns"),
        connection=pl.col("connection_id").cast(pl.Int64),
    )
    if sticky.any():
        stays = pl.col("way").is_in(np.flatnonzero(sticky).tolist())
        alone = pl.when(~stays).then("connection")
        known = known.group_by(
            "client", "entry_node", "chosen", "way", alone=alone, maintain_order=True
        ).agg(pl.col("weight").sum(), pl.col("time", "connection").first())
    found = Draws(
        expected.backends,
        expected.chances,
        known["way"].to_numpy(),
        known["chosen"].to_numpy(),
        known["weight"].to_numpy(),
        known["time"].to_numpy(),
        known["connection"].to_numpy(),
        entry_nodes,
        known["entry_node"]
        .replace_strict(
            entry_nodes,
            range(len(entry_nodes)),
            default=-1,
            return_dtype=pl.Int64,
        )
        .to_numpy(),
    )
    even = replace(found, chances=expected.even)
    return _with_ways_once(found), _with_ways_once(even)


def by_node(found: Draws, nodes: Mapping[str, str | None]) -> Draws:
    """Take choices of backends for choices of their nodes."""
    names = [nodes.get(name) or name for name in found.backends]
    distinct = tuple(sorted(set(names)))
    numbers = np.array([distinct.index(name) for name in names], dtype=np.int64)
    chances = np.zeros((len(found.chances), len(distinct)))
    np.add.at(chances.T, numbers, found.chances.T)
    merged = replace(
        found, backends=distinct, chances=chances, chosen=numbers[found.chosen]
    )
    return _with_ways_once(merged)


def _with_ways_once(found: Draws) -> Draws:
    """Take ways to choose that are the same for one."""
    chances, numbers = np.unique(found.chances, axis=0, return_inverse=True)
    return replace(found, chances=chances, ways=numbers[found.ways])
