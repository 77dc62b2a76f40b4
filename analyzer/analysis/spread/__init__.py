"""How evenly connections fall on a service's backends, and whether that is luck."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.analysis.spread.calls import GROUPS, UNITS, possible, subjects
from analyzer.analysis.spread.choice import Proxies
from analyzer.analysis.spread.evenness import effective_number, jain
from analyzer.analysis.spread.finding import Finding, find
from analyzer.analysis.spread.significance import holm
from analyzer.analysis.spread.verdict import verdict
from analyzer.analysis.spread.visibility import visibility
from analyzer.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.cluster import Cluster

__all__ = ["GROUPS", "UNITS", "Spread", "spread"]

_ORDER = {"Service": 0, "DaemonSet": 1, "Address": 2}
_TIME = pl.Datetime("ns", "UTC")


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
        If the service has no traffic.
    """
    return tabulated(findings(connections, cluster, service, by, unit), connections)


def findings(
    connections: pl.LazyFrame,
    cluster: Cluster | None,
    service: str | None,
    by: str,
    unit: str,
) -> list[Finding]:
    """Find what is to be found of each subject; p-values are adjusted for all."""
    proxies = Proxies(cluster)
    calls = subjects(connections, proxies, cluster)
    visible = visibility(calls, _node_names(calls, cluster))
    if service is not None:
        calls = _of_subject(calls, service, possible(connections))
    found = [
        find(
            kind,
            subject,
            of_subject,
            nodes=_backends(kind, subject, proxies, cluster),
            proxies=proxies,
            visible=visible,
            unit=unit,
            by=by,
        )
        for (kind, subject), of_subject in calls.partition_by(
            "subject_kind", "subject", as_dict=True, maintain_order=True
        ).items()
    ]
    _adjust(found)
    return sorted(found, key=lambda each: (_ORDER[each.kind], each.subject))


def _adjust(found: list[Finding]) -> None:
    """Adjust p-values for their number; the same calls are tested once."""
    tested: dict[tuple[int, ...], list[Finding]] = {}
    for each in found:
        if each.significance is not None:
            ids = tuple(each.calls["connection_id"].to_list())
            tested.setdefault(ids, []).append(each)
    p_values = [
        min(each.significance.p_value for each in alike if each.significance)
        for alike in tested.values()
    ]
    for alike, p_value in zip(tested.values(), holm(p_values).tolist(), strict=True):
        for each in alike:
            each.p_adjusted = p_value


def tabulated(found: list[Finding], connections: pl.LazyFrame) -> Spread:
    """Tabulate findings."""
    may_be = possible(connections)
    return Spread(
        pl.concat([_backend_rows(each) for each in found]) if found else pl.DataFrame(),
        pl.DataFrame(
            [
                _subject_row(each, may_be if each.kind == "Service" else {})
                for each in found
            ],
            schema_overrides={"needed": pl.Int64, "p_value": pl.Float64},
        ),
        _change_rows(found),
    )


def _node_names(calls: pl.DataFrame, cluster: Cluster | None) -> set[str]:
    names = {
        name
        for column in ("entry_node", "backend_node", "client_node")
        for name in calls[column].drop_nulls().unique()
    }
    return names | {node.name for node in (cluster.nodes if cluster else ())}


def _backends(
    kind: str, subject: str, proxies: Proxies, cluster: Cluster | None
) -> Mapping[str, str | None]:
    """Name the backends that a subject has by cluster state, with their nodes."""
    namespace, _, name = subject.partition("/")
    if kind == "Service":
        return proxies.backend_names((namespace, name))
    if kind == "DaemonSet":
        return {
            pod.name: pod.node
            for pod in (cluster.pods if cluster else ())
            if (pod.namespace, pod.workload) == (namespace, f"DaemonSet/{name}")
            and not pod.is_finished
        }
    return {}


def _of_subject(
    calls: pl.DataFrame, wanted: str, may_be: Mapping[str, int]
) -> pl.DataFrame:
    """Take one subject's calls.

    Raises
    ------
    QueryError
        If there are none.
    """
    kind, name = "Service", wanted
    for prefix in ("DaemonSet/", "daemonset/", "ds/"):
        if wanted.startswith(prefix):
            kind, name = "DaemonSet", wanted.removeprefix(prefix)
    distinct = calls.select("subject_kind", "subject").unique()
    there = sorted(distinct.rows(), key=lambda each: (_ORDER[each[0]], each[1]))
    fitting = [
        (of_kind, subject)
        for of_kind, subject in there
        if of_kind in (kind, "Address") and name in (subject, subject.partition("/")[2])
    ]
    if len(fitting) == 1:
        return calls.filter(
            (pl.col("subject_kind") == fitting[0][0])
            & (pl.col("subject") == fitting[0][1])
        )
    if fitting:
        names = " and ".join(subject for _, subject in fitting)
        raise QueryError(
            f"{wanted}: {names} have traffic", hint="give the namespace, too"
        )
    if name in may_be:
        raise QueryError(
            f"{wanted}: no connection is surely to this service,"
            f" {may_be[name]:,} may be (seen behind DNAT only)",
            hint="add conntrack's entries with --cluster, or a capture on -i any",
        )
    names_there = [
        subject if of_kind != "DaemonSet" else f"DaemonSet/{subject}"
        for of_kind, subject in there
    ]
    near = get_close_matches(wanted, names_there, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else None
    if hint is None and names_there:
        hint = f"there is traffic to {', '.join(names_there[:8])}"
    raise QueryError(f"{wanted}: no connections to such a service here", hint=hint)


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
        "start_time": found.calls["start_time"].min(),
        "end_time": found.calls["end_time"].max(),
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
