"""Which connections to a pod of the node they came to can only have gone there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captures.testbed.cluster import family_of
from captures.testbed.topology import NIC

if TYPE_CHECKING:
    from captures.score.claims import Shown
    from captures.score.classes import Subject
    from captures.score.recording import Recording


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
