"""What a row of ``connections`` states, held against one connection of the truth.

Nothing stated (null) is never wrong here; that it should have been stated is for
``judge`` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from captures.score.recording import Record, Recording

Row = dict[str, Any]

DESTINATION_KINDS = {  # of what is addressed directly
    "pod": "Pod",
    "host-network": "Node",
    "node": "Node",
    "external": "External",
}


@dataclass(frozen=True)
class Shown:
    """A connection of the truth, and which of its tuples a row's flows show."""

    record: Record
    tuples: frozenset[int]

    @property
    def earliest(self) -> int:
        """The first tuple on the way that is shown."""
        return min(self.tuples)

    def source(self, number: int) -> tuple[str, int | None]:
        """Give the source of one of its tuples."""
        t = self.record["tuples"][number]
        return t["src"], t.get("sport")

    def target(self, number: int) -> tuple[str, int | None]:
        """Give the destination of one of its tuples."""
        t = self.record["tuples"][number]
        return t["dst"], t.get("dport")

    @property
    def destination(self) -> tuple[str, int | None]:
        """Give what the client addressed."""
        return self.record["dst"]["ip"], self.record["dst"]["port"]

    @property
    def backend(self) -> tuple[str | None, int | None]:
        """Give the address that got the connection."""
        return self.record["backend"]["ip"], self.record["backend"]["port"]


def contradictions(row: Row, shown: Shown, recording: Recording) -> Iterator[str]:
    """Say which statements of a row the truth contradicts.

    Parameters
    ----------
    row : dict
        A row of ``connections``.
    shown : Shown
        The connection that the row's flows belong to.
    recording : Recording
        Names the truth's pods, nodes and workloads.

    Yields
    ------
    str
        The column and both values.
    """
    record = shown.record
    if row["protocol"] != record["proto"]:
        yield f"protocol {row['protocol']}, truly {record['proto']}"
    yield from client_claims(row, shown, recording)
    yield from destination_claims(row, shown)
    yield from translation_claims(row, shown, recording)
    yield from backend_claims(row, shown, recording)


def client_claims(row: Row, shown: Shown, recording: Recording) -> Iterator[str]:
    """Compare who the client is."""
    stated = row["client_ip"], row["client_port"]
    sources = [shown.source(number) for number in range(shown.earliest + 1)]
    client = shown.record["client"]
    if stated not in sources:
        yield f"client {text(stated)}, truly {' or '.join(map(text, sources))}"
    if stated == sources[0]:
        pod = client["name"] if client["kind"] == "pod" else None
        node = client["node"]
    else:  # what masquerading made of it
        pod, node = None, recording.node_addresses.get(row["client_ip"])
    namespace = recording.pods[pod][0] if pod else None
    yield from differing(row, "client_pod", pod)
    yield from differing(row, "client_namespace", namespace)
    yield from differing_node(row, "client_node", node, recording)


def destination_claims(row: Row, shown: Shown) -> Iterator[str]:
    """Compare what was addressed."""
    record = shown.record
    stated = row["destination_ip"], row["destination_port"]
    if stated[0] is not None and stated != shown.destination:
        yield f"destination {text(stated)}, truly {text(shown.destination)}"
    kind = record["vip_kind"]
    if kind == "direct":
        kind = DESTINATION_KINDS.get(record["backend"]["kind"])
    yield from differing(row, "destination_kind", kind)
    namespace, _, name = (record["service"] or "").partition("/")
    yield from differing(row, "service_namespace", namespace or None)
    yield from differing(row, "service_name", name or None)
    if "service_port" in record:  # not in older recordings
        yield from differing(row, "service_port_name", record["service_port"])


def translation_claims(row: Row, shown: Shown, recording: Recording) -> Iterator[str]:
    """Compare where addresses were rewritten, and to what."""
    record = shown.record
    yield from differing_node(row, "entry_node", record["entry_node"], recording)
    last = len(record["tuples"]) - 1
    stated = row["snat_ip"], row["snat_port"]
    # What the last point saw that saw it at all, or what the backend saw.
    truly = {shown.source(number) for number in (max(shown.tuples), last)}
    truly -= {shown.source(0)}
    if stated[0] is not None and stated not in truly:
        wanted = " or ".join(map(text, sorted(truly))) or "not rewritten"
        yield f"snat {text(stated)}, truly {wanted}"
    if row["is_hairpin"] is True or row["backend_ip"] is not None:
        yield from differing(row, "is_hairpin", record["hairpin"])


def backend_claims(row: Row, shown: Shown, recording: Recording) -> Iterator[str]:
    """Compare who got the connection."""
    backend = shown.record["backend"]
    stated = row["backend_ip"], row["backend_port"]
    if stated[0] is not None and stated != shown.backend:
        yield f"backend {text(stated)}, truly {text(shown.backend)}"
    pod = backend["pod"]
    namespace, workload = recording.pods[pod] if pod else (None, None)
    yield from differing(row, "backend_pod", pod)
    yield from differing(row, "backend_namespace", namespace)
    yield from differing(row, "backend_workload", workload)
    yield from differing_node(row, "backend_node", backend["node"], recording)


def differing(row: Row, column: str, truly: object) -> Iterator[str]:
    """Compare one column."""
    if row[column] is not None and row[column] != truly:
        yield f"{column} {row[column]}, truly {truly}"


def differing_node(
    row: Row, column: str, truly: str | None, recording: Recording
) -> Iterator[str]:
    """Compare a node's name; without cluster state it may be one of its addresses."""
    stated = recording.node_addresses.get(row[column], row[column])
    if stated is not None and stated != truly:
        yield f"{column} {row[column]}, truly {truly}"


def text(end: tuple[str | None, int | None]) -> str:
    """Write an address and a port."""
    ip, port = end
    if ip is None or port is None:
        return str(ip)
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
