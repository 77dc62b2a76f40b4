"""How evenly connections fall on a service's backends, and whether that is luck."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.analysis.spread.calls import GROUPS, UNITS, possible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.analysis.spread.finding import Finding
    from analyzer.cluster import Cluster

__all__ = ["GROUPS", "UNITS", "Spread", "spread"]

_TIME = pl.Datetime("ns", "UTC")
_BACKENDS = {
    **dict.fromkeys(("subject_kind", "subject", "by", "group", "node"), pl.String()),
    "clients": pl.UInt32(),
    **dict.fromkeys(UNITS, pl.Float64()),
    "unit": pl.String(),
    **dict.fromkeys(
        ("share", "share_low", "share_high", "expected_share"), pl.Float64()
    ),
    **dict.fromkeys(("is_shown", "is_outstanding"), pl.Boolean()),
    **dict.fromkeys(("first_time", "last_time"), _TIME),
}
_SUBJECTS = {
    **dict.fromkeys(("subject_kind", "subject", "by", "unit"), pl.String()),
    **dict.fromkeys(("total", "unknown"), pl.Float64()),
    "possible": pl.Int64(),
    **dict.fromkeys(("start_time", "end_time"), _TIME),
    "backends": pl.Int64(),
    **dict.fromkeys(("effective_backends", "jain"), pl.Float64()),
    **dict.fromkeys(("null_hypothesis", "told_by", "test"), pl.String()),
    "choices": pl.Int64(),
    **dict.fromkeys(("p_value", "p_adjusted", "p_closer"), pl.Float64()),
    "needed": pl.Int64(),
    "verdict": pl.String(),
    "sentences": pl.List(pl.String),
}


class Spread(NamedTuple):
    """How connections are spread, and what to think of it.

    ``backends`` has one row per subject and backend (or node, client, entry node),
    those of unknown backend in a row with a null ``group``: ``subject_kind`` (Service,
    DaemonSet, or Address where the service is not known), ``subject`` (str), ``by``,
    ``group``, ``node``, ``clients`` (u32), ``connections``, ``requests``, ``bytes``,
    ``packets``, ``duration`` (f64, seconds), ``unit``, ``share``, ``share_low``,
    ``share_high`` (f64, 0 to 1, with the 95 % interval), ``expected_share`` (f64),
    ``is_shown`` (bool: the captures would have shown calls to it),
    ``is_outstanding`` (bool: more or less than chance explains), ``first_time``,
    ``last_time`` (of connections that began).

    ``subjects`` has one row per subject: ``total`` and ``unknown`` (f64, of the unit),
    ``possible`` (connections that may be the service's), ``backends``,
    ``effective_backends``, ``jain``, ``null_hypothesis``, ``told_by`` (rules, endpoints
    or seen), ``test``, ``choices`` (independent ones), ``p_value``, ``p_adjusted`` (by
    Holm's method for all subjects), ``p_closer`` (of counts as even), ``needed``
    (choices that would show a twofold imbalance with 80 % power), ``verdict`` (see
    :class:`analyzer.analysis.spread.verdict.Verdict`), ``sentences``.

    ``changes`` has one row per subject, change and backend: ``time``, ``earliest``,
    ``latest`` (datetime), ``p_value``, ``group``, ``share_before``, ``share_after``.
    """

    backends: pl.DataFrame
    subjects: pl.DataFrame
    changes: pl.DataFrame


def spread(
    connections: pl.LazyFrame,
    *,
    cluster: Cluster | None = None,
    service: str | None = None,
    by: str = "pod",
    unit: str = "connections",
) -> Spread:
    """Count how connections are spread, test it against chance and name causes.

    Parameters
    ----------
    connections : pl.LazyFrame
        The connections table.
    cluster : Cluster, optional
        Tells which endpoints there are and how the proxy chooses.
    service : str, optional
        ``namespace/name`` or name of a service, ``DaemonSet/name``, or the address and
        port of a service without a name; all that have traffic if not given.
    by : {'pod', 'node', 'client', 'entry-node'}
        What to count by. Clients and entry nodes are counted and not tested: nobody
        chooses them.
    unit : {'connections', 'requests', 'bytes', 'packets', 'duration'}
        What to count. What is not connections is tested by giving every connection,
        with what it carries, to a random backend.

    Returns
    -------
    Spread

    Raises
    ------
    QueryError
        If the service has no traffic, or is not to be counted so.
    """
    from analyzer.analysis.spread.search import findings

    return tabulated(findings(connections, cluster, service, by, unit), connections)


def tabulated(found: list[Finding], connections: pl.LazyFrame) -> Spread:
    """Tabulate findings."""
    may_be = possible(connections)
    return Spread(
        pl.concat(
            [pl.DataFrame(schema=_BACKENDS), *(_backend_rows(each) for each in found)]
        ),
        pl.DataFrame(
            [
                _subject_row(each, may_be if each.kind == "Service" else {})
                for each in found
            ],
            schema=_SUBJECTS,
        ),
        _change_rows(found),
    )


def _backend_rows(found: Finding) -> pl.DataFrame:
    return found.groups.select(
        subject_kind=pl.lit(found.kind),
        subject=pl.lit(found.subject),
        by=pl.lit(found.by),
        group="group",
        node="node",
        clients=pl.col("clients").cast(pl.UInt32),
        **{name: pl.col(name) for name in UNITS},
        unit=pl.lit(found.unit),
        share="share",
        share_low="share_low",
        share_high="share_high",
        expected_share="expected_share",
        is_shown="is_shown",
        is_outstanding=pl.col("group")
        .is_in(list(found.outstanding))
        .fill_null(value=False)
        & pl.lit(found.is_uneven),
        first_time="first_time",
        last_time="last_time",
    )


def _subject_row(found: Finding, may_be: Mapping[str, int]) -> dict[str, object]:
    from analyzer.analysis.spread.evenness import effective_number, jain
    from analyzer.analysis.spread.verdict import verdict

    known = found.groups.filter(pl.col("group").is_not_null())
    unknown = found.groups.filter(pl.col("group").is_null())
    amounts = known[found.unit].to_numpy()
    word, sentences = verdict(found, may_be.get(found.subject, 0))
    tested = found.significance
    return {
        "subject_kind": found.kind,
        "subject": found.subject,
        "by": found.by,
        "unit": found.unit,
        "total": float(found.groups[found.unit].sum()),
        "unknown": float(unknown[found.unit].sum()),
        "possible": may_be.get(found.subject, 0),
        "start_time": found.calls["start_time"].to_physical().min(),
        "end_time": found.calls["end_time"].to_physical().max(),
        "backends": len(known),
        "effective_backends": effective_number(amounts),
        "jain": jain(amounts),
        "null_hypothesis": found.null_hypothesis,
        "told_by": found.told_by,
        "test": tested.test if tested else None,
        "choices": found.choices,
        "p_value": tested.p_value if tested else None,
        "p_adjusted": found.p_adjusted,
        "p_closer": tested.p_closer if tested else None,
        "needed": found.needed,
        "verdict": word,
        "sentences": list(sentences),
    }


def _change_rows(found: list[Finding]) -> pl.DataFrame:
    rows = [
        (
            each.kind,
            each.subject,
            backend.time,
            change.earliest,
            change.latest,
            change.p_value,
            backend.name,
            backend.before,
            backend.after,
        )
        for each in found
        for change in each.changes
        for backend in change.backends
    ]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "subject_kind": pl.String,
        "subject": pl.String,
        "time": pl.Int64,
        "earliest": pl.Int64,
        "latest": pl.Int64,
        "p_value": pl.Float64,
        "group": pl.String,
        "share_before": pl.Float64,
        "share_after": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.col("time", "earliest", "latest").cast(_TIME)
    )
