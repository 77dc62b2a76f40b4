"""What a ladder says of its connection, places and packets."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from analyzer.diagram import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.analysis.paths.ladder import Ladder

#: Packets that are drawn; of more, the middle is left out.
MOST_PACKETS = 60
_FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"))


@dataclass
class Rung:
    """One packet: what it is, and when each place saw it.

    ``times`` are nanoseconds since the connection's first packet, by place.
    """

    number: int
    is_forward: bool
    what: str
    numbers: str
    times: dict[int, int] = field(default_factory=dict)
    is_retransmission: bool = False
    vanished_at: int | None = None

    def in_order(self) -> list[tuple[int, int]]:
        """Give (place, time) in the order of the packet's way."""
        return sorted(self.times.items(), reverse=not self.is_forward)

    @property
    def start(self) -> int:
        """When it was first seen."""
        return min(self.times.values())


def rungs(ladder: Ladder) -> list[Rung]:
    """Give the packets in order."""
    found: dict[int, Rung] = {}
    for row in ladder.packets.iter_rows(named=True):
        rung = found.get(row["packet"])
        if rung is None:
            is_forward = row["direction"] == "to_backend"
            rung = found[row["packet"]] = Rung(
                row["packet"], is_forward, _what(row), _numbers(row)
            )
        rung.times[row["place"]] = row["since"]
        rung.is_retransmission |= row["is_retransmission"]
        if row["vanished"]:
            rung.vanished_at = row["place"]
    return [found[number] for number in sorted(found)]


def chosen(all_rungs: list[Rung]) -> list[Rung | int]:
    """Leave out the middle of many packets; a number stands for how many."""
    if len(all_rungs) <= MOST_PACKETS:
        return [*all_rungs]
    head = MOST_PACKETS * 2 // 3
    tail = MOST_PACKETS - head
    # What was lost or sent again is what one looks for.
    middle = [
        rung
        for rung in all_rungs[head:-tail]
        if rung.is_retransmission or rung.vanished_at is not None
    ][: MOST_PACKETS // 3]
    kept: list[Rung | int] = [*all_rungs[:head]]
    at = head
    for rung in [*middle, all_rungs[-tail]]:
        if rung.number > at:
            kept.append(rung.number - at)
        if rung.number < len(all_rungs) - tail:
            kept.append(rung)
        at = rung.number + 1
    return [*kept, *all_rungs[-tail:]]


def _what(row: dict[str, Any]) -> str:
    flags = row["tcp_flags"]
    if flags is None:
        return "packet"
    told = [name for bit, name in _FLAGS if flags & bit]
    if len(told) > 1 and "ACK" in told and row["payload_length"]:
        told.remove("ACK")
    return " ".join(told) or "no flags"


def _numbers(row: dict[str, Any]) -> str:
    parts = []
    if row["seq"] is not None:
        parts.append(f"seq {row['seq']:,}")
    if row["ack"] is not None:
        parts.append(f"ack {row['ack']:,}")
    if row["payload_length"]:
        parts.append(f"{row['payload_length']:,} B")
    return "  ".join(parts)


def heading(ladder: Ladder) -> tuple[str, str]:
    """Give a title and what is known of the connection."""
    told = ladder.connection
    client = _named(told["client_pod"], told["client_ip"], told["client_port"])
    called = ""
    if told["destination_ip"]:
        name = told["service_name"]
        called = _named(name, told["destination_ip"], told["destination_port"])
        called = f" → {called}"
    backend = ""
    is_other = told["destination_ip"] != told["backend_ip"]
    if told["backend_ip"] and is_other:
        backend = _named(told["backend_pod"], told["backend_ip"], told["backend_port"])
        backend = f" → {backend}"
    title = f"Connection {told['connection_id']}: {client}{called}{backend}"
    facts = [f"{told['protocol']}"]
    if told["tcp_state"]:
        facts.append(f"state {told['tcp_state']}")
    facts.append(f"service known: {told['service_evidence']}")
    facts.append(f"backend known: {told['backend_evidence']}")
    again = told["retransmits"]
    if isinstance(again, int) and again:
        facts.append(f"{words.plural(again, 'segment')} sent again")
    seen = ladder.packets
    if not (seen["direction"] == "to_client").any():
        last = ladder.places["point"][max(seen["place"].to_list())]
        behind = ladder.places.filter(~pl.col("is_seen"))["point"].to_list()
        not_at = f", not at {behind[0]}" if behind else ""
        facts.insert(0, f"no answer, last seen at {last}{not_at}")
    return title, ", ".join(facts)


def _named(name: object, address: object, port: object) -> str:
    end = words.endpoint(str(address), port if isinstance(port, int) else None)
    return f"{name} {end}" if name else end


def tuples(ladder: Ladder) -> list[tuple[str, str]]:
    """Give the source and the destination at each place."""
    return [
        (
            words.endpoint(row["src_ip"], row["src_port"]),
            words.endpoint(row["dst_ip"], row["dst_port"]),
        )
        for row in ladder.places.iter_rows(named=True)
    ]


def rewrites(ladder: Ladder) -> list[tuple[int, list[str]]]:
    """Tell behind which place what was rewritten."""
    told = tuples(ladder)
    found = []
    for place, (here, there) in enumerate(pairwise(told)):
        names = []
        if here[1] != there[1]:
            names.append("DNAT")
        if here[0] != there[0]:
            names.append("SNAT")
        if names:
            found.append((place, names))
    return found


def runs(values: Iterable[object]) -> list[tuple[int, int, Any]]:
    """Give runs of equal values: first, last, value."""
    found: list[tuple[int, int, Any]] = []
    for place, value in enumerate(values):
        if found and found[-1][2] == value:
            found[-1] = (found[-1][0], place, value)
        else:
            found.append((place, place, value))
    return found


def measured(ladder: Ladder, place: int, direction: str) -> str | None:
    """Give the latency behind a place, with its bound."""
    for row in ladder.hops.iter_rows(named=True):
        if row["place"] == place and row["direction"] == direction:
            return words.latency(max(row["latency"], 0), row["clock_bound"])
    return None


def step(nanoseconds: int) -> str:
    """Write the time since the place before, in microseconds."""
    value = nanoseconds / 1000
    if abs(value) >= 9_999.5:
        return f"{value / 1000:+.0f} ms"
    return f"{value:+.0f}" if abs(value) >= 9.95 else f"{value:+.1f}"
