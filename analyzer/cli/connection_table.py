"""Show connections to people: who called which Service, and which pod it was."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli import format as say
from analyzer.cli.flow_table import STATES
from analyzer.cli.output import width
from analyzer.cli.table import Column, as_given, number
from analyzer.cli.top import counts, largest_rows
from analyzer.tables.batch import text_array

if TYPE_CHECKING:
    import pyarrow as pa

    from analyzer.cli.output import Output
    from analyzer.cli.table import Forms

#: What gives way on narrow terminals, in this order.
_NARROWING = (
    "client",  # the name in place of the address
    "service",  # without its address
    "backend",
    "client",  # without its node, and what its source was rewritten to
    "node",  # the backend's alone
    "service",  # without its kind
    "rtt",
    "pkts",
    "evidence",
    "state",
    "node",
)
#: What connections are ordered by.
OCTETS = ("client_bytes", "backend_bytes")
_KNOWN = ("observed", "conntrack", "eliminated", "unique")


def print_connection_counts(connections: pa.Table) -> None:
    """Print how many connections there are, and what is known of them."""
    import pyarrow.compute as pc

    points = pc.count_distinct(pc.list_flatten(connections["points"])).as_py()
    protocols = counts(connections["protocol"])
    states = counts(connections["tcp_state"])
    services = connections["service_name"]
    evidence = [connections[f"{what}_evidence"] for what in ("service", "backend")]
    line = say.plural(sum(protocols.values()), "connection")
    if points > 1:
        line += f" at {points:,} points"
    if protocols:
        of_each = (f"{count:,} {name}" for name, count in protocols.items())
        line += f": {', '.join(of_each)}"
    remarks = {
        "to services": len(services) - services.null_count,
        "backends by elimination": counts(evidence[1]).get("eliminated"),
        "undecided": pc.sum(pc.or_(*map(_are_ambiguous, evidence))).as_py(),
        "unanswered or refused": sum(states.get(name, 0) for name in ("S0", "REJ")),
    }
    found = [f"{count:,} {what}" for what, count in remarks.items() if count]
    if found:
        line += f"; {', '.join(found)}"
    click.echo(textwrap.fill(line, width(), subsequent_indent="  "))


def _are_ambiguous(evidence: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    ambiguous = text_array(["ambiguous"])
    return pa.chunked_array(
        [
            pc.is_in(chunk.dictionary, ambiguous).take(chunk.indices)
            for chunk in evidence.chunks
        ],
        pa.bool_(),
    )


def print_connections(connections: pa.Table, wanted: int, output: Output) -> None:
    """Print the connections with the most octets as a table."""
    rows = largest_rows(connections, wanted, "connection_id", OCTETS)
    table: dict[Column, list[Any]] = {
        Column("client", as_given, is_essential=True): [_client(row) for row in rows],
        Column("service", as_given, is_essential=True): [_service(row) for row in rows],
        Column("backend", as_given, is_essential=True): [_backend(row) for row in rows],
    }
    if any(row["backend_node"] or row["entry_node"] for row in rows):
        table[Column("node", as_given)] = [_nodes(row) for row in rows]
    table |= {
        number("pkts", say.count): [
            row["client_packets"] + row["backend_packets"] for row in rows
        ],
        number("bytes", say.size): [sum(row[name] for name in OCTETS) for row in rows],
        Column("state", as_given): [_state(row) for row in rows],
        Column("evidence", as_given): [_evidence(row) for row in rows],
    }
    if any(row["handshake_rtt"] is not None for row in rows):
        table[number("rtt", say.duration)] = [row["handshake_rtt"] for row in rows]
    output.rows(
        "Top connections by bytes" if len(rows) == wanted else "Connections by bytes",
        list(table),
        list(zip(*table.values(), strict=True)),
        narrowing=_NARROWING,
    )


def _client(row: dict[str, Any]) -> Forms:
    """``192.168.2.100:53124 via 10.1.79.64``: who called, and what the pod saw.

    A pod needs no address beside its name; the clients of a node are told by theirs.
    """
    address = say.endpoint(row["client_ip"], row["client_port"])
    pod, owner = row["client_pod"], row["client_pod"] or row["client_node"]
    in_full = f"{address} {owner}" if owner else address
    via = f" via {row['snat_ip']}" if row["snat_ip"] else ""
    return f"{in_full}{via}", f"{pod or in_full}{via}", pod or address


def _service(row: dict[str, Any]) -> Forms:
    """``lb-nginx-ds (LoadBalancer) 192.168.2.38:8080``, or what is known of it."""
    kind, address = row["destination_kind"], None
    if row["destination_ip"] is not None:
        address = say.endpoint(row["destination_ip"], row["destination_port"])
    if row["service_name"] is not None:
        name = f"{row['service_namespace'] or ''}/{row['service_name']}"
        name = name.removeprefix("/").removeprefix("default/")
        told = f"{name} ({kind})" if kind else name
        return (f"{told} {address}", told, name) if address else (told, name)
    if address is not None:
        return (f"{address} ({kind})", address) if kind else address
    if row["service_evidence"] == "ambiguous":
        return _undecided(row["candidates"])
    return "?"


def _undecided(candidates: list[str] | None) -> Forms:
    if not candidates:
        return "?"
    return f"? {' or '.join(candidates)}", f"? one of {len(candidates)}"


def _backend(row: dict[str, Any]) -> Forms:
    if row["backend_ip"] is None:
        if row["backend_evidence"] == "ambiguous":
            return _undecided(row["candidates"])
        return "?" if row["backend_packets"] else "-"
    address = say.endpoint(row["backend_ip"], row["backend_port"])
    name = row["backend_pod"]
    mark = " (hairpin)" if row["is_hairpin"] else ""
    if name is None:
        return f"{address}{mark}"
    return f"{address} {name}{mark}", f"{name}{mark}"


def _nodes(row: dict[str, Any]) -> Forms:
    entry, backend = row["entry_node"], row["backend_node"]
    if entry and backend and entry != backend:
        return f"{entry} → {backend}", backend
    return backend or entry or "-"


def _state(row: dict[str, Any]) -> Forms:
    if row["tcp_state"] is not None:
        return STATES[row["tcp_state"]]
    return "two-way" if row["backend_packets"] else "one-way"


def _evidence(row: dict[str, Any]) -> Forms:
    """Say how service and backend are known: one word where it is the same."""
    service, backend = row["service_evidence"], row["backend_evidence"]
    if service in (backend, "none"):
        return str(backend)
    if backend == "none":
        return str(service)
    # What is less certain is what one wants to know first.
    weaker = max((service, backend), key=_weakness)
    return f"{service}, {backend}", str(weaker)


def _weakness(evidence: str) -> int:
    return _KNOWN.index(evidence) if evidence in _KNOWN else len(_KNOWN)
