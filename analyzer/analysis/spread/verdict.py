"""The verdict on one subject: a word, and sentences for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.analysis.spread import causes, wording
from analyzer.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.analysis.spread.finding import Finding

#: More even than chance if so even counts are as rare as this.
_TOO_EVEN = 0.01
_MOST_NAMED = 3


class Verdict(NamedTuple):
    """What to think of the counts.

    ``word`` is ``consistent``, ``uneven``, ``explained`` (uneven, as the traffic policy
    has it), ``too even``, ``counted`` (there is nothing to hold it against) or
    ``untested``. The first of ``sentences`` is the verdict, the others are causes and
    what to bear in mind.
    """

    word: str
    sentences: tuple[str, ...]


def verdict(found: Finding, possible: int) -> Verdict:
    """Judge a subject, after p-values were adjusted for the number of subjects."""
    word, sentence = _judge(found)
    return Verdict(word, (sentence, *_causes(found), *_caveats(found, possible)))


def _judge(found: Finding) -> tuple[str, str]:
    known = found.groups.filter(
        pl.col("group").is_not_null() & (pl.col("connections") > 0)
    )
    if known.is_empty() and found.is_without_endpoints:
        return "untested", "The service has no ready endpoints."
    if known.is_empty():
        return "untested", "The backend of no connection is known."
    if found.by in ("client", "entry-node"):
        return "counted", _most(found, known)
    if found.significance is None:
        return _without_test(found, known)
    shown = wording.p_value(found.significance.p_value)
    if found.is_uneven:
        return "uneven", f"{_not_chance(found)} ({shown}): {_outstanding(found)}."
    if found.significance.p_value <= causes.LEVEL:
        adjusted = wording.p_value(found.p_adjusted or 1.0)
        shown += f", but {adjusted} after Holm's correction for all that is tested here"
    if found.evenly is not None and found.evenly.p_value <= causes.LEVEL:
        return "explained", _explained(found, shown)
    if found.unit != "connections":
        return "consistent", (
            f"Consistent with a random backend for each of"
            f" {plural(found.choices, _choice(found))}, whatever it carries"
            f" ({shown})."
        )
    closer = found.significance.p_closer
    if found.is_round_robin:
        return "consistent", f"Consistent with IPVS's round robin ({shown})."
    if closer <= _TOO_EVEN:
        return "too even", (
            f"More even than random choice would be ({wording.p_value(closer)} for"
            " such even counts): backends take turns, as IPVS's round robin does."
        )
    total = ", all in all" if found.changes else ""
    return "consistent", f"Consistent with {_choice_in_words(found)}{total} ({shown})."


def _explained(found: Finding, shown: str) -> str:
    if found.is_local:
        return (
            "Uneven, as traffic policy Local makes it, which keeps calls on"
            f" the node that takes them in; consistent with that ({shown})."
        )
    return (
        "Uneven, as topology hints make it, which keep calls"
        f" {wording.place(found.kept_in)}; consistent with that ({shown})."
    )


def _without_test(found: Finding, known: pl.DataFrame) -> tuple[str, str]:
    if found.is_local:
        return "explained", (
            "Traffic policy Local keeps calls on the node that takes them in:"
            f" shares are those of the entry nodes ({_most(found, known)})"
        )
    if found.kept_in:
        return "explained", (
            f"Topology hints keep calls {wording.place(found.kept_in)}, with no choice"
            f" left: shares are those of what they came in by ({_most(found, known)})"
        )
    listed = found.groups.filter(pl.col("group").is_not_null())
    if len(listed) == 1:
        return "untested", f"{listed['group'][0]} is the only backend: no choice."
    if found.told_by == "seen" and len(known) == 1:
        return "untested", (
            f"Only {known['group'][0]} is known to have answered; cluster state"
            " (--cluster) would tell which others could have."
        )
    return "untested", (
        "Not tested: these captures show no connection that could have gone to another"
        " backend."
    )


def _choice(found: Finding) -> str:
    if found.is_partly_by_client:
        return "client" if found.is_by_client else "choice"
    return "connection"


def _choice_in_words(found: Finding) -> str:
    if found.is_by_client:
        return (
            "a random choice for each client, which then stays"
            f" ({plural(found.choices, 'client')})"
        )
    if found.told_by == "rules":
        return "kube-proxy's random choice"
    return "a random choice among equals"


def _not_chance(found: Finding) -> str:
    if found.unit != "connections":
        do = "does" if found.unit == "duration" else "do"
        return f"{found.unit.capitalize()} {do} not follow from chance"
    if found.is_by_client:
        return "Not a random choice for each client"
    if found.is_round_robin:
        return "Not round robin"
    if found.told_by == "rules":
        return "Not kube-proxy's random choice"
    return "Not a random choice among equals"


def _outstanding(found: Finding) -> str:
    rows = {row["group"]: row for row in found.groups.iter_rows(named=True)}
    texts = []
    for name in found.outstanding[:_MOST_NAMED]:
        row = rows[name]
        got = wording.percent(row["share"] or 0.0) if row["connections"] else "nothing"
        texts.append(
            f"{name} got {got} instead of {wording.percent(row['expected_share'])}"
        )
    return wording.listed(texts)


def _most(found: Finding, known: pl.DataFrame) -> str:
    """Say who has the most of it."""
    top = known.sort(found.unit, "group", descending=[True, False]).row(0, named=True)
    nouns = {"client": "client", "entry-node": "entry node", "node": "node"}
    among = plural(len(known), nouns.get(found.by, "backend"))
    share = wording.percent(top["share"] or 0.0)
    return f"{top['group']} has {share} of all {found.unit}, among {among}."


def _causes(found: Finding) -> Iterator[str]:
    yield from wording.changes(found.changes)
    for heavy in found.heavy:
        yield wording.heavy(
            heavy, [_named(found, each[0]) for each in heavy.connections]
        )
    yield from found.remarks


def _named(found: Finding, connection: int) -> str:
    call = found.calls.row(
        by_predicate=pl.col("connection_id") == connection, named=True
    )
    port = "" if call["client_port"] is None else f":{call['client_port']}"
    return f"{call['client']}{port} (connection {connection})"


def _caveats(found: Finding, possible: int) -> Iterator[str]:
    unknown = int(found.groups.filter(pl.col("group").is_null())["connections"].sum())
    if unknown and found.by in ("pod", "node"):
        told = found.calls.filter(pl.col("backend").is_null())
        refused = int((told["backend_packets"] == 0).sum())
        text = f"The backend of {plural(unknown, 'connection')} is not known"
        if refused:
            text += f", {refused:,} of them without any answer"
        yield f"{text}: left out of shares and test."
    nameless = found.calls.filter(
        pl.col("service_name").is_null() & pl.col("backend").is_not_null()
    )
    if found.kind == "DaemonSet" and len(nameless):
        yield (
            f"{plural(len(nameless), 'connection')}"
            f" {'is' if len(nameless) == 1 else 'are'} of no known service: seen behind"
            " DNAT only, or straight to the pod by a node, which looks the same."
        )
    if possible:
        yield (
            f"{plural(possible, 'more connection')} may be to this service,"
            " seen behind DNAT only; conntrack's entries (--cluster) tell."
        )
