"""Find what is to be found of every subject that has traffic."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import polars as pl

from analyzer.analysis.spread.calls import GROUPS, UNITS, possible, subjects
from analyzer.analysis.spread.choice import Proxies
from analyzer.analysis.spread.finding import Finding, find
from analyzer.analysis.spread.significance import holm
from analyzer.analysis.spread.visibility import visibility
from analyzer.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.cluster import Cluster

_ORDER = {"Service": 0, "DaemonSet": 1, "Address": 2}


def findings(
    connections: pl.LazyFrame,
    cluster: Cluster | None,
    service: str | None,
    by: str,
    unit: str,
) -> list[Finding]:
    """Find what is to be found of each subject; p-values are adjusted for all."""
    for value, known in ((by, GROUPS), (unit, UNITS)):
        if value not in known:
            raise QueryError(
                f"{value!r}: connections cannot be counted so",
                hint=f"take one of {', '.join(known)}",
            )
    cluster = _as_of(cluster, connections)
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


def _as_of(cluster: Cluster | None, connections: pl.LazyFrame) -> Cluster | None:
    """Leave out what the cluster had only after the last connection."""
    if cluster is None:
        return None
    last = connections.select(pl.col("end_time").max()).collect().item()
    return cluster if last is None else cluster.as_of(last)


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
    raise QueryError(f"{wanted}: no connections to such a service", hint=hint)
