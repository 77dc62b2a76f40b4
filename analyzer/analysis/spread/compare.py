"""Two captures, or two services, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from analyzer.analysis.spread import causes, wording
from analyzer.analysis.spread.finding import COLUMNS
from analyzer.analysis.spread.intervals import effective_size, newcombe
from analyzer.analysis.spread.search import findings
from analyzer.analysis.spread.significance import (
    Significance,
    holm,
    homogeneity,
    weighted_homogeneity,
)
from analyzer.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analyzer.analysis.spread.finding import Finding
    from analyzer.cluster import Cluster

_MOST_NAMED = 4


class Comparison(NamedTuple):
    """How two spreads differ.

    ``backends`` has one row per subject and backend (or node, client, entry node) that
    either has: ``subject_kind``, ``subject``, ``against`` (str, the other subject),
    ``by``, ``group``, ``unit``, ``amount``, ``other_amount`` (f64, of the unit),
    ``connections``, ``other_connections``, ``share``, ``other_share``, ``difference``
    (f64, the first minus the other), ``difference_low``, ``difference_high`` (its 95 %
    interval), ``is_outstanding`` (bool: it differs by more than chance explains),
    ``status`` (str: both, appeared, vanished). Connections that the captures show for
    some backends only are left out, if there are others.

    ``subjects`` has one row per subject: ``total``, ``other_total``, ``left_out``,
    ``other_left_out`` (connections), ``choices``, ``other_choices`` (independent ones),
    ``test``, ``p_value``, ``p_adjusted`` (by
    Holm's method for all subjects), ``verdict`` (alike, different or untested),
    ``sentences``.
    """

    backends: pl.DataFrame
    subjects: pl.DataFrame


def compare(
    connections: pl.LazyFrame,
    other: pl.LazyFrame,
    *,
    cluster: Cluster | None = None,
    service: str | None = None,
    other_service: str | None = None,
    by: str = "pod",
    unit: str = "connections",
) -> Comparison:
    """Compare two spreads, backend by backend.

    Parameters
    ----------
    connections, other : pl.LazyFrame
        Connections tables; the same one twice to compare two services.
    cluster : Cluster, optional
        Of both.
    service, other_service : str, optional
        Which subject to take of each, see :func:`analyzer.analysis.spread.spread`. If
        only the first is given, both have it; if none is, all subjects that both have
        are compared.
    by, unit : str
        As for :func:`analyzer.analysis.spread.spread`.

    Raises
    ------
    QueryError
        If there is nothing to compare.
    """
    ours = findings(connections, cluster, service, by, unit)
    theirs = _against(other, cluster, other_service or service, by, unit)
    if service is not None:
        pairs = list(zip(ours, theirs, strict=True))
    else:
        by_name = {(each.kind, each.subject): each for each in theirs}
        pairs = [
            (each, by_name[each.kind, each.subject])
            for each in ours
            if (each.kind, each.subject) in by_name
        ]
    if not pairs:
        names = wording.listed(each.subject for each in [*ours, *theirs])
        traffic = f"traffic to {names}" if names else "no traffic to any"
        raise QueryError(
            f"the two have no service in common (there is {traffic})",
            hint="name one with --service, and the other one with --against-service",
        )
    compared = [_compare(one, another) for one, another in pairs]
    tested = [each for each in compared if each.significance is not None]
    p_values = [each.significance.p_value for each in tested if each.significance]
    for each, p_value in zip(tested, holm(p_values).tolist(), strict=True):
        each.p_adjusted = p_value
    return Comparison(
        pl.concat([_backend_rows(each) for each in compared]),
        pl.DataFrame(
            [_subject_row(each) for each in compared],
            schema_overrides={
                "test": pl.String,
                "p_value": pl.Float64,
                "p_adjusted": pl.Float64,
            },
        ),
    )


def _against(
    connections: pl.LazyFrame,
    cluster: Cluster | None,
    service: str | None,
    by: str,
    unit: str,
) -> list[Finding]:
    """Find what to compare with; say of which of the two it is that it lacks."""
    try:
        return findings(connections, cluster, service, by, unit)
    except QueryError as error:
        raise QueryError(f"{error}, in what to compare with", hint=error.hint) from None


@dataclass
class _Compared:
    ours: Finding
    theirs: Finding
    rows: pl.DataFrame
    choices: tuple[int, int]
    significance: Significance | None
    outstanding: list[str]
    left_out: tuple[int, int]
    p_adjusted: float | None = None

    @property
    def is_different(self) -> bool:
        return self.p_adjusted is not None and self.p_adjusted <= causes.LEVEL


class _Choices(NamedTuple):
    """Independent choices of one side: names of groups, and what each carries."""

    chosen: NDArray[np.int64]
    weights: NDArray[np.float64]


def _compare(ours: Finding, theirs: Finding) -> _Compared:
    calls = _comparable(ours, theirs)
    names = sorted(
        {
            name
            for found in (ours, theirs)
            for name in found.groups["group"].drop_nulls()
        }
    )
    one, other = (
        _choices(found, of_found, names)
        for found, of_found in zip((ours, theirs), calls, strict=True)
    )
    significance, outstanding = None, []
    if len(one.chosen) and len(other.chosen) and len(names) > 1:
        significance = _test(one, other, len(names))
        outstanding = [names[at] for at in _outstanding(one, other, len(names))]
    rows = _amounts(ours, calls[0]).join(
        _amounts(theirs, calls[1]).rename(
            {"amount": "other_amount", "connections": "other_connections"}
        ),
        on="group",
        how="full",
        coalesce=True,
        nulls_equal=True,
    )
    listed = pl.DataFrame({"group": names}, schema={"group": pl.String})
    rows = (
        rows.join(listed, on="group", how="full", coalesce=True)
        .with_columns(pl.exclude("group").fill_null(0))
        .sort("group", nulls_last=True)
    )
    return _Compared(
        ours,
        theirs,
        _with_differences(rows, one, other),
        (len(one.chosen), len(other.chosen)),
        significance,
        outstanding,
        (len(ours.calls) - len(calls[0]), len(theirs.calls) - len(calls[1])),
    )


def _comparable(ours: Finding, theirs: Finding) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Leave out calls that captures show for some backends only.

    Captures that were taken at other points would make them differ. Where there are no
    others on either side, they are all there is.
    """
    fair = ours.calls.filter("is_fair"), theirs.calls.filter("is_fair")
    if fair[0].is_empty() and fair[1].is_empty():
        return ours.calls, theirs.calls
    return fair


def _amounts(found: Finding, calls: pl.DataFrame) -> pl.DataFrame:
    return calls.group_by(group=pl.col(COLUMNS[found.by])).agg(
        amount=pl.col(found.unit).sum(), connections=pl.len()
    )


def _choices(found: Finding, calls: pl.DataFrame, names: list[str]) -> _Choices:
    known = calls.with_columns(
        group=pl.col(COLUMNS[found.by]), weight=pl.col(found.unit)
    ).filter(pl.col("group").is_not_null())
    if found.is_partly_by_client:
        known = known.group_by(
            "client", "entry_node", "group", maintain_order=True
        ).agg(pl.col("weight").sum())
    known = known.filter(pl.col("weight") > 0)
    chosen = known["group"].replace_strict(
        names, range(len(names)), return_dtype=pl.Int64
    )
    return _Choices(chosen.to_numpy(), known["weight"].to_numpy())


def _test(one: _Choices, other: _Choices, backends: int) -> Significance:
    weights = np.concatenate([one.weights, other.weights])
    if len(np.unique(weights)) == 1:
        return homogeneity(
            np.bincount(one.chosen, minlength=backends),
            np.bincount(other.chosen, minlength=backends),
        )
    return weighted_homogeneity(*one, *other, backends)


def _outstanding(one: _Choices, other: _Choices, backends: int) -> list[int]:
    """Find whose shares differ by more than chance explains, or else the most."""
    from scipy.special import ndtr

    shares = [
        np.bincount(each.chosen, each.weights, backends) / each.weights.sum()
        for each in (one, other)
    ]
    sizes = [effective_size(each.weights) for each in (one, other)]
    pooled = (shares[0] * sizes[0] + shares[1] * sizes[1]) / sum(sizes)
    error = np.sqrt(pooled * (1 - pooled) * (1 / sizes[0] + 1 / sizes[1]))
    off = np.abs(
        np.divide(
            shares[0] - shares[1], error, out=np.zeros_like(error), where=error > 0
        )
    )
    order = np.argsort(-off, kind="stable")
    p_values = holm(2 * ndtr(-off))
    return [int(at) for at in order if p_values[at] <= causes.LEVEL] or [int(order[0])]


def _with_differences(
    rows: pl.DataFrame, one: _Choices, other: _Choices
) -> pl.DataFrame:
    """Add shares, their differences and the intervals of those."""
    known = rows.filter(pl.col("group").is_not_null())
    empty: list[float | None] = [None] * len(rows)
    columns = dict.fromkeys(
        ("share", "other_share", "difference", "difference_low", "difference_high"),
        empty,
    )
    amounts = known["amount"].to_numpy(), known["other_amount"].to_numpy()
    if all(each.sum() > 0 for each in amounts):
        shares = [each / each.sum() for each in amounts]
        low, high = newcombe(
            shares[0],
            effective_size(one.weights),
            shares[1],
            effective_size(other.weights),
        )
        unknown = [None] * (len(rows) - len(known))
        values = (*shares, shares[0] - shares[1], low, high)
        columns = {
            name: [*each.tolist(), *unknown]
            for name, each in zip(columns, values, strict=True)
        }
    return rows.with_columns(
        pl.Series(name, values, pl.Float64) for name, values in columns.items()
    )


def _backend_rows(each: _Compared) -> pl.DataFrame:
    ours = each.ours
    here, there = pl.col("connections") > 0, pl.col("other_connections") > 0
    return each.rows.select(
        subject_kind=pl.lit(ours.kind),
        subject=pl.lit(ours.subject),
        against=pl.lit(each.theirs.subject),
        by=pl.lit(ours.by),
        group="group",
        unit=pl.lit(ours.unit),
        amount="amount",
        other_amount="other_amount",
        connections="connections",
        other_connections="other_connections",
        share="share",
        other_share="other_share",
        difference="difference",
        difference_low="difference_low",
        difference_high="difference_high",
        is_outstanding=pl.col("group")
        .is_in(each.outstanding if each.is_different else [])
        .fill_null(value=False),
        status=pl.when(here & ~there)
        .then(pl.lit("appeared"))
        .when(there & ~here)
        .then(pl.lit("vanished"))
        .otherwise(pl.lit("both")),
    )


def _subject_row(each: _Compared) -> dict[str, object]:
    tested = each.significance
    word = "different" if each.is_different else "alike" if tested else "untested"
    return {
        "subject_kind": each.ours.kind,
        "subject": each.ours.subject,
        "against": each.theirs.subject,
        "by": each.ours.by,
        "unit": each.ours.unit,
        "total": float(each.rows["amount"].sum()),
        "other_total": float(each.rows["other_amount"].sum()),
        "left_out": each.left_out[0],
        "other_left_out": each.left_out[1],
        "choices": each.choices[0],
        "other_choices": each.choices[1],
        "test": tested.test if tested else None,
        "p_value": tested.p_value if tested else None,
        "p_adjusted": each.p_adjusted,
        "verdict": word,
        "sentences": list(_sentences(each)),
    }


def _sentences(each: _Compared) -> Iterator[str]:
    yield _verdict(each)
    known = each.rows.filter(pl.col("group").is_not_null())
    new = known.filter((pl.col("other_connections") == 0) & (pl.col("connections") > 0))
    gone = known.filter(
        (pl.col("connections") == 0) & (pl.col("other_connections") > 0)
    )
    if len(new):
        yield f"Only here: {wording.listed(new['group'])}."
    if len(gone):
        yield f"Only there: {wording.listed(gone['group'])}."
    if any(each.left_out):
        here, there = each.left_out
        yield (
            f"Left out are {here:,} connections here and {there:,} there that were seen"
            " only behind DNAT, where the captures do not show every backend."
        )


def _verdict(each: _Compared) -> str:
    if each.significance is None:
        return "Not tested: one of the two has no connection to compare."
    shown = wording.p_value(each.significance.p_value)
    if not each.is_different:
        if each.significance.p_value <= causes.LEVEL:
            adjusted = wording.p_value(each.p_adjusted or 1.0)
            shown += f", but {adjusted} after Holm's correction"
        return f"Shares are no more different than chance makes them ({shown})."
    rows = {row["group"]: row for row in each.rows.iter_rows(named=True)}
    texts = [
        f"{name} has {wording.percent(rows[name]['share'])} instead of"
        f" {wording.percent(rows[name]['other_share'])}"
        for name in each.outstanding[:_MOST_NAMED]
    ]
    return f"Shares differ ({shown}): {wording.listed(texts)}."
