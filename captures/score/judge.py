"""One run of the analyzer, judged: its figures, and every finding behind them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from captures.score.claims import Shown, contradictions
from captures.score.evidence import disagreements, missing_candidates
from captures.score.measures import deviations
from captures.score.owners import attribute
from captures.testbed.cluster import family_of
from captures.testbed.topology import NIC

if TYPE_CHECKING:
    import polars as pl

    from captures.score.claims import Row
    from captures.score.classes import Subject
    from captures.score.owners import Flow, Flows
    from captures.score.recording import Recording


@dataclass
class Figures:
    """Counts of connections of the truth, and of rows; ``captures/cluster/SCORE.md``.

    They add up over subjects.
    """

    visible: int = 0
    one_row: int = 0
    missing: int = 0
    duplicated: int = 0
    joinable: int = 0
    joined: int = 0
    eliminable: int = 0
    eliminated: int = 0
    named_service: int = 0
    named_backend: int = 0
    unnamed: int = 0
    wrong: int = 0
    unknown: int = 0
    odd: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(self))
        )

    @property
    def faults(self) -> int:
        """What must not be; unnamed is no fault."""
        unjoined = self.joinable - self.joined
        uneliminated = self.eliminable - self.eliminated
        bad = self.missing + self.duplicated + self.wrong + self.unknown + self.odd
        return bad + unjoined + uneliminated


@dataclass(frozen=True)
class Finding:
    """Something to look at: what sort, which connection, which row, and why."""

    sort: str
    id: str | None
    connection_id: int | None
    reason: str


@dataclass
class Verdict:
    """Figures and findings of one run."""

    figures: Figures = field(default_factory=Figures)
    findings: list[Finding] = field(default_factory=list)

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(self.figures + other.figures, [*self.findings, *other.findings])

    def find(self, sort: str, id_: str | None, row: Row | None, reason: str) -> None:
        """Keep a finding and count it, unless its figure is counted otherwise."""
        number = None if row is None else row["connection_id"]
        self.findings.append(Finding(sort, id_, number, reason))
        if sort in ("missing", "duplicated", "wrong", "unknown", "odd"):
            setattr(self.figures, sort, getattr(self.figures, sort) + 1)


def judge(
    connections: pl.DataFrame,
    flows: pl.DataFrame,
    subject: Subject,
    recording: Recording,
    *,
    has_cluster: bool,
) -> Verdict:
    """Hold a connections table against the truth.

    Parameters
    ----------
    connections, flows : pl.DataFrame
        What the analyzer made of the subject's captures.
    subject : Subject
        Which captures.
    recording : Recording
        Whose truth it is.
    has_cluster : bool
        Whether the analyzer was given cluster state.

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
    attributed = attribute(flows, subject, recording)
    rows_of: dict[str, list[tuple[Row, Shown]]] = defaultdict(list)
    for row in connections.iter_rows(named=True):
        for shown in owners_of(row, attributed, recording, verdict):
            rows_of[shown.record["id"]].append((row, shown))
            examine(row, shown, attributed, recording, verdict)
    visible: dict[str, set[int]] = defaultdict(set)
    for seen in subject.observations(recording):
        visible[seen["id"]].add(seen["tuple"])
    at_entry = seen_at_entry(subject, recording)
    for id_, tuples in visible.items():
        shown = Shown(recording.truth[id_], frozenset(tuples))
        can_eliminate = (
            has_cluster and id_ in at_entry and is_eliminable(shown, recording)
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
    judged = [
        flow
        for number in row["flow_ids"] or ()
        if attributed.are_judged(flow := attributed.by_id[number])
    ]
    for flow in judged:
        owners = attributed.owners[flow["flow_id"]]
        if not owners:
            verdict.find("unknown", None, row, f"the truth has no {described(flow)}")
        for owner in owners:
            tuples[owner.id].add(owner.tuple)
    if not row["flow_ids"]:
        verdict.find("unknown", None, row, "made of no flow")
    if len(tuples) > 1:
        verdict.find("wrong", min(tuples), row, f"holds {', '.join(sorted(tuples))}")
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
    id_ = shown.record["id"]
    flows = [attributed.by_id[number] for number in row["flow_ids"]]
    for reason in (
        *contradictions(row, shown, recording),
        *missing_candidates(row, shown),
    ):
        verdict.find("wrong", id_, row, reason)
    for reason in (
        *disagreements(row, shown),
        *deviations(row, shown, flows, recording),
    ):
        verdict.find("odd", id_, row, reason)


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
    figures.visible += 1
    figures.one_row += len(rows) == 1
    if not rows:
        verdict.find("missing", id_, None, "visible, but in no row")
    for another, _ in rows[1:]:
        reason = f"is in row {rows[0][0]['connection_id']}, too"
        verdict.find("duplicated", id_, another, reason)
    row = rows[0][0] if len(rows) == 1 else None
    if last > 0 and {0, last} <= shown.tuples:
        figures.joinable += 1
        if row is not None and is_joined(row, shown):
            figures.joined += 1
        else:
            verdict.find(
                "unjoined", id_, row, "both tuples are visible, but in no one row"
            )
    if can_eliminate:
        figures.eliminable += 1
        if row is not None and (row["backend_ip"], row["backend_port"]) == (
            shown.backend
        ):
            figures.eliminated += 1
        else:
            reason = f"only {shown.backend} can have got it"
            verdict.find("uneliminated", id_, row, reason)
    if rows:
        service, backend = naming(rows[0][0], shown, has_cluster=has_cluster)
        figures.named_service += service is True
        figures.named_backend += backend is True
        figures.unnamed += False in (service, backend)


def is_joined(row: Row, shown: Shown) -> bool:
    """Whether a row states both sides of the translation."""
    return (
        (row["client_ip"], row["client_port"]) == shown.source(0)
        and (row["destination_ip"], row["destination_port"]) == shown.destination
        and (row["backend_ip"], row["backend_port"]) == shown.backend
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


def seen_at_entry(subject: Subject, recording: Recording) -> set[str]:
    """List connections that came in by the NIC of the node that translated them."""
    return {
        seen["id"]
        for seen in subject.observations(recording)
        if seen["tuple"] == 0
        and not seen["encapsulated"]
        and recording.interface_of(seen) == NIC
        and recording.captures[seen["file"]]["node"]
        == recording.truth[seen["id"]]["entry_node"]
    }


def is_eliminable(shown: Shown, recording: Recording) -> bool:
    """Whether only one pod can have got a connection that did not leave the node."""
    record = shown.record
    service, backend = record["service"], record["backend"]
    last = len(record["tuples"]) - 1
    family = family_of(record["dst"]["ip"])
    return (
        service is not None
        and last not in shown.tuples
        and record["outcome"] == "ok"
        and backend["kind"] == "pod"
        and backend["node"] == record["entry_node"]
        and recording.endpoints[service, backend["node"], family] == 1
    )
