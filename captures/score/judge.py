"""One run of the analyzer, judged."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from captures.score import hops
from captures.score.claims import Shown, contradictions
from captures.score.elimination import is_eliminable, seen_at_entry
from captures.score.evidence import disagreements, missing_candidates
from captures.score.measures import deviations
from captures.score.owners import attribute
from captures.score.verdict import Verdict

if TYPE_CHECKING:
    import polars as pl

    from captures.score.claims import Row
    from captures.score.classes import Subject
    from captures.score.owners import Flow, Flows
    from captures.score.recording import Record, Recording


@dataclass(frozen=True)
class Made:
    """The tables that the analyzer made of a subject's captures."""

    connections: pl.DataFrame
    hops: pl.DataFrame
    flows: pl.DataFrame


def judge(
    made: Made,
    subject: Subject,
    recording: Recording,
    *,
    has_cluster: bool,
    is_whole: bool = True,
) -> Verdict:
    """Hold connections and hops against the truth.

    Parameters
    ----------
    made : Made
        What the analyzer made of the subject's captures.
    subject : Subject
        Which captures.
    recording : Recording
        Whose truth it is.
    has_cluster : bool
        Whether the analyzer was given cluster state.
    is_whole : bool
        Whether that was all of it, so that what is left over must be told.

    Returns
    -------
    Verdict
        Figures, and a finding for everything that is not as it must be.

    Notes
    -----
    Rows without a flow of TCP, UDP or an ICMP echo are passed over: the truth has no
    ICMP errors, neighbour discovery or multicast reports. A connection has as many
    rows as hold one of its flows, whatever the rows state.
    """
    verdict = Verdict()
    attributed = attribute(made.flows, subject, recording)
    rows_of: dict[str, list[tuple[Row, Shown]]] = defaultdict(list)
    owner: dict[int, Record] = {}
    for row in made.connections.iter_rows(named=True):
        owners = owners_of(row, attributed, recording, verdict)
        for shown in owners:
            rows_of[shown.record["id"]].append((row, shown))
            examine(row, shown, attributed, recording, verdict)
        if len(owners) == 1:
            owner[row["connection_id"]] = owners[0].record
    for number, reason in hops.deviations(made.hops, owner, recording):
        verdict.find("odd", owner[number]["id"], number, reason)
    visible: dict[str, set[int]] = defaultdict(set)
    for seen in subject.observations(recording):
        visible[seen["id"]].add(seen["tuple"])
    at_entry = seen_at_entry(subject, recording)
    for id_, tuples in visible.items():
        shown = Shown(recording.truth[id_], frozenset(tuples))
        can_eliminate = (
            has_cluster
            and is_whole
            and id_ in at_entry
            and is_eliminable(shown, recording)
        )
        count(
            shown,
            rows_of.get(id_, []),
            verdict,
            has_cluster=has_cluster,
            can_eliminate=can_eliminate,
        )
    return verdict


def owners_of(
    row: Row, attributed: Flows, recording: Recording, verdict: Verdict
) -> list[Shown]:
    """Find a row's connection by its flows; more than one is a false join."""
    tuples: dict[str, set[int]] = defaultdict(set)
    number = row["connection_id"]
    judged = [
        flow
        for flow_id in row["flow_ids"] or ()
        if attributed.are_judged(flow := attributed.by_id[flow_id])
    ]
    for flow in judged:
        for owner in attributed.owners[flow["flow_id"]]:
            tuples[owner.id].add(owner.tuple)
    strange = [flow for flow in judged if not attributed.owners[flow["flow_id"]]]
    if strange or not row["flow_ids"]:
        flow_text = described(strange[0]) if strange else "connection without flows"
        verdict.find("unknown", None, number, f"the truth has no {flow_text}")
    if len(tuples) > 1:
        verdict.find("wrong", min(tuples), number, f"holds {', '.join(sorted(tuples))}")
    return [
        Shown(recording.truth[id_], frozenset(numbers))
        for id_, numbers in sorted(tuples.items())
    ]


def described(flow: Flow) -> str:
    """Write a flow in a line."""
    ends = (
        f"{flow[f'{end}_ip']}:{flow[f'{end}_port']}"
        for end in ("originator", "responder")
    )
    return f"{flow['protocol']} {' > '.join(ends)} at {flow['point']}"


def examine(
    row: Row,
    shown: Shown,
    attributed: Flows,
    recording: Recording,
    verdict: Verdict,
) -> None:
    """Find what is wrong or odd about a row."""
    id_, number = shown.record["id"], row["connection_id"]
    flows = [attributed.by_id[flow_id] for flow_id in row["flow_ids"]]
    for reason in (
        *contradictions(row, shown, recording),
        *missing_candidates(row, shown),
    ):
        verdict.find("wrong", id_, number, reason)
    for reason in (
        *disagreements(row, shown),
        *deviations(row, shown, flows, recording),
    ):
        verdict.find("odd", id_, number, reason)


def count(
    shown: Shown,
    rows: list[tuple[Row, Shown]],
    verdict: Verdict,
    *,
    has_cluster: bool,
    can_eliminate: bool,
) -> None:
    """Count a visible connection in the figures."""
    figures, record = verdict.figures, shown.record
    id_, last = record["id"], len(record["tuples"]) - 1
    row = rows[0][0] if len(rows) == 1 else None
    number = None if row is None else row["connection_id"]
    figures.visible += 1
    figures.one_row += len(rows) == 1
    if not rows:
        verdict.find("missing", id_, None, "visible, but in no row")
    for another, _ in rows[1:]:
        reason = f"is in row {rows[0][0]['connection_id']}, too"
        verdict.find("duplicated", id_, another["connection_id"], reason)
    if last > 0 and {0, last} <= shown.tuples:
        figures.joinable += 1
        if row is not None and is_joined(row, shown):
            figures.joined += 1
        else:
            verdict.find(
                "unjoined", id_, number, "both tuples are visible, but in no one row"
            )
    if can_eliminate:
        figures.eliminable += 1
        if row is not None and (row["backend_ip"], row["backend_port"]) == (
            shown.backend
        ):
            figures.eliminated += 1
        else:
            reason = f"only {shown.backend} can have got it"
            verdict.find("uneliminated", id_, number, reason)
    if rows:
        service, backend = naming(rows[0][0], shown, has_cluster=has_cluster)
        figures.named_service += service is True
        figures.named_backend += backend is True
        figures.unnamed += False in (service, backend)


def is_joined(row: Row, shown: Shown) -> bool:
    """Whether a row states both sides of the translation.

    The last tuple that was captured need not be the backend's: a node's port may be a
    service's. Then the row may leave the backend open.
    """
    return (
        (row["client_ip"], row["client_port"]) == shown.source(0)
        and (row["destination_ip"], row["destination_port"]) == shown.destination
        and (row["backend_ip"], row["backend_port"]) in (shown.backend, (None, None))
    )


def naming(
    row: Row, shown: Shown, *, has_cluster: bool
) -> tuple[bool | None, bool | None]:
    """Say whether a row names Service and backend; None if there is none to name.

    Without cluster state an address is a name.
    """
    service, backend = shown.record["service"], shown.record["backend"]
    service_column = "service_name" if has_cluster else "destination_ip"
    by_pod = has_cluster and backend["pod"]
    backend_column = "backend_pod" if by_pod else "backend_ip"
    return (
        row[service_column] is not None if service else None,
        row[backend_column] is not None if backend["ip"] else None,
    )
