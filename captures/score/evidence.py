"""Whether a row's evidence fits its statements, and its candidates hold the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captures.score.claims import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from captures.score.claims import Row, Shown
    from captures.score.recording import Record

NAMING = ("observed", "conntrack", "eliminated", "unique")
EVIDENCE = (*NAMING, "ambiguous", "none")


def disagreements(row: Row, shown: Shown) -> Iterator[str]:
    """Say where a row's evidence does not fit what the row states.

    Notes
    -----
    A service is named by its name or, without cluster state, by the address that the
    client sent; a connection that addresses no service has nothing to name.
    """
    named = {
        "service": row["service_name"] is not None,
        "backend": row["backend_ip"] is not None,
    }
    known = {
        "service": row["destination_ip"] is not None or named["service"],
        "backend": named["backend"],
    }
    for what in ("service", "backend"):
        evidence = row[f"{what}_evidence"]
        if evidence not in EVIDENCE:
            yield f"{what}_evidence {evidence} is no evidence"
        elif evidence in NAMING and not known[what]:
            yield f"{what}_evidence {evidence}, but no {what} is named"
        elif evidence not in NAMING and named[what]:
            yield f"{what}_evidence {evidence}, but a {what} is named"
        elif evidence == "ambiguous" and not row["candidates"]:
            yield f"{what}_evidence ambiguous, but there are no candidates"
    reached = {shown.target(number) for number in shown.tuples}
    if row["backend_evidence"] == "observed" and shown.backend not in reached:
        yield "backend_evidence observed, but the backend is in no flow"


def missing_candidates(row: Row, shown: Shown) -> Iterator[str]:
    """Say what is not among a row's candidates although it is the truth.

    That no service was addressed is always possible, and not listed.
    """
    candidates = row["candidates"] or ()
    record = shown.record
    for what, names in (
        ("service", service_names(record)),
        ("backend", backend_names(shown)),
    ):
        is_listed = not names or names & {*candidates}
        if row[f"{what}_evidence"] == "ambiguous" and not is_listed:
            yield f"candidates {[*candidates]} without the {what} {sorted(names)}"


def service_names(record: Record) -> set[str]:
    """Give what a service may be called among candidates."""
    service = record["service"]
    if service is None:
        return set()
    destination = text((record["dst"]["ip"], record["dst"]["port"]))
    return {
        service,
        f"{service}:{record.get('service_port')}",
        f"{service}:{record['dst']['port']}",
        destination,
    }


def backend_names(shown: Shown) -> set[str]:
    """Give what a backend may be called among candidates."""
    backend = shown.record["backend"]
    if backend["ip"] is None:
        return set()
    return {str(backend["ip"]), text(shown.backend), str(backend["pod"])}
