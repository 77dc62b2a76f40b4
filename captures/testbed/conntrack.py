"""conntrack's account of every connection that a node forwarded or made.

A node's kernel writes one entry per connection: the tuple as it arrived
(original) and the tuple that it expects back (reply). Reversed, the reply tuple is
what was sent on. `conntrack -E` tells when entries come, change and go; `-L` what
is left in the end, with counters.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from captures.testbed import netns

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LINE = re.compile(
    r"(?:\[(?P<time>\d+\.\d+)\]\s*)?(?:\[(?P<event>[A-Z]+)\]\s*)?"
    r"ipv[46]\s+\d+\s+(?P<protocol>\S+)\s+\d+\s+(?P<rest>.*)"
)
PAIR = re.compile(r"(\w+)=(\S+)")
STATE = re.compile(r"^(?:\d+\s+)?([A-Z][A-Z_0-9]+)\s")

# What the analyzer must see through, not a connection of somebody's: the tunnel.
VXLAN_PORT = 4789

# The longest that two nodes' entries of one connection may lie apart.
SAME_CONNECTION_S = 1.0


class Tuple(NamedTuple):
    """Addresses and ports of one direction; for ICMP both ports are the id."""

    src: str
    sport: int
    dst: str
    dport: int

    def reversed(self) -> Tuple:
        """Return the other direction."""
        return Tuple(self.dst, self.dport, self.src, self.sport)


@dataclass
class Entry:
    """One conntrack entry of one node, from its first event to its last counters."""

    node: str
    id: str
    protocol: str
    original: Tuple
    reply: Tuple
    start: float = 0.0
    end: float | None = None
    states: list[str] = field(default_factory=list)
    packets: tuple[int, int] = (0, 0)
    bytes: tuple[int, int] = (0, 0)

    @property
    def sent_on(self) -> Tuple:
        """The tuple under which the node sent the packets on."""
        return self.reply.reversed()

    @property
    def rewrites(self) -> bool:
        """Whether this node changed an address or a port."""
        return self.original != self.sent_on

    @property
    def translates_destination(self) -> bool:
        """Whether this node did DNAT."""
        if self.protocol.startswith("icmp"):
            return self.original.dst != self.sent_on.dst
        return self.original[2:] != self.sent_on[2:]


@dataclass(frozen=True)
class Line:
    """One parsed line of ``conntrack -E`` or ``-L``."""

    time: float | None
    event: str | None
    protocol: str
    state: str | None
    original: Tuple
    reply: Tuple
    packets: tuple[int, int] | None
    bytes: tuple[int, int] | None
    id: str


def parse_line(text: str) -> Line | None:
    """Parse one line; None for what is no connection (a summary, an expectation)."""
    match = LINE.match(text.strip())
    if match is None:
        return None
    rest = match["rest"]
    pairs = PAIR.findall(rest)
    directions: list[dict[str, str]] = []
    for key, value in pairs:
        if key == "src":
            directions.append({})
        if directions:
            directions[-1].setdefault(key, value)
    if len(directions) != 2:
        return None
    state = STATE.match(rest)

    def counters(key: str) -> tuple[int, int] | None:
        if key not in directions[0] or key not in directions[1]:
            return None
        return int(directions[0][key]), int(directions[1][key])

    return Line(
        time=float(match["time"]) if match["time"] else None,
        event=match["event"],
        protocol=match["protocol"].replace("icmpv6", "icmp6"),
        state=state[1] if state else None,
        original=tuple_of(directions[0]),
        reply=tuple_of(directions[1]),
        packets=counters("packets"),
        bytes=counters("bytes"),
        id=directions[1].get("id", "") if "sport" in directions[1] else last_id(pairs),
    )


def tuple_of(direction: dict[str, str]) -> Tuple:
    """Build a tuple from one direction's pairs."""
    if "sport" in direction:
        sport, dport = int(direction["sport"]), int(direction["dport"])
    else:
        sport = dport = int(direction.get("id", "0"))
    return Tuple(direction["src"], sport, direction["dst"], dport)


def last_id(pairs: list[tuple[str, str]]) -> str:
    """Return the entry's id; an ICMP direction has an ``id`` of its own before it."""
    return [value for key, value in pairs if key == "id"][-1]


def entries(node: str, events: Iterable[str], listing: Iterable[str]) -> list[Entry]:
    """Follow every entry of a node through its events to its last counters.

    Parameters
    ----------
    node : str
        The node's name.
    events, listing : iterable of str
        Lines of ``conntrack -E -o timestamp,extended,id`` and, taken in the end,
        of ``conntrack -L -o extended,id``.

    Returns
    -------
    list of Entry
        One per connection, in order of time. VXLAN's own UDP flows are left out.
    """
    live: dict[str, Entry] = {}
    found: list[Entry] = []
    for line in filter(None, map(parse_line, events)):
        if is_tunnel(line):
            continue
        if line.event == "NEW":
            entry = Entry(
                node,
                line.id,
                line.protocol,
                line.original,
                line.reply,
                line.time or 0.0,
            )
            live[line.id] = entry
            found.append(entry)
        elif line.id not in live:
            continue  # older than the recording
        entry = live[line.id]
        update(entry, line)
        if line.event == "DESTROY":
            entry.end = line.time
            del live[line.id]
    for line in filter(None, map(parse_line, listing)):
        if line.id in live:
            update(live[line.id], line)
    return found


def update(entry: Entry, line: Line) -> None:
    """Take a line's state and counters over."""
    if line.state and (not entry.states or entry.states[-1] != line.state):
        entry.states.append(line.state)
    if line.packets is not None and line.bytes is not None:
        entry.packets, entry.bytes = line.packets, line.bytes


def is_tunnel(line: Line) -> bool:
    """Whether this is VXLAN's own flow; one way only, so either port tells."""
    return line.protocol == "udp" and VXLAN_PORT in line.original[1::2]


class Watcher:
    """``conntrack -E`` on one node, into a file."""

    def __init__(self, node: str, path: Path) -> None:
        self.node = node
        self.path = path
        with path.open("w") as output:
            self.process = netns.spawn(
                node,
                [
                    "conntrack",
                    "-E",
                    "-b",
                    str(8 * 1024 * 1024),
                    "-o",
                    "timestamp,extended,id",
                ],
                stdout=output,
                stderr=subprocess.PIPE,
            )
        if self.process.stderr is not None:
            # Its notice about the buffer's size comes when it listens.
            self.process.stderr.readline()

    def stop(self) -> None:
        """End the program and make sure that it lost nothing."""
        self.process.terminate()
        _, complaint = self.process.communicate(timeout=10)
        if "ENOBUFS" in complaint:
            raise netns.LostEventsError(f"{self.node}: conntrack lost events")


def listing(node: str, families: Iterable[str]) -> str:
    """Return ``conntrack -L`` of a node."""
    return "".join(
        netns.run_inside(
            node,
            ["conntrack", "-L", "-f", family.lower(), "-o", "extended,id,ktimestamp"],
        )
        for family in families
    )


def join(
    entries_by_node: dict[str, list[Entry]], home: dict[str, str]
) -> list[list[Entry]]:
    """Join the nodes' entries into connections.

    Two entries belong together if one node sent on exactly what the other received
    and both began within `SAME_CONNECTION_S`.

    Parameters
    ----------
    entries_by_node : dict
        Every node's entries.
    home : dict
        Address to the node that it belongs to (pods', nodes', tunnel addresses):
        the first entry of an unchanged tuple is the one on its sender's node.

    Returns
    -------
    list of list of Entry
        Per connection its entries in the order in which the packets passed.
    """
    everything = sorted(
        (entry for entries in entries_by_node.values() for entry in entries),
        key=lambda entry: entry.start,
    )
    by_original: dict[tuple[str, Tuple], list[Entry]] = {}
    by_sent_on: dict[tuple[str, Tuple], list[Entry]] = {}
    for entry in everything:
        by_original.setdefault((entry.protocol, entry.original), []).append(entry)
        by_sent_on.setdefault((entry.protocol, entry.sent_on), []).append(entry)

    def near(entry: Entry, candidates: list[Entry]) -> list[Entry]:
        fitting = [
            other
            for other in candidates
            if other.node != entry.node
            and abs(other.start - entry.start) < SAME_CONNECTION_S
        ]
        return sorted(fitting, key=lambda other: abs(other.start - entry.start))

    def is_first(entry: Entry) -> bool:
        before = near(entry, by_sent_on.get((entry.protocol, entry.original), []))
        if any(other.original != entry.original for other in before):
            return False
        # Only entries with this very tuple: its sender's node comes first, then a
        # node that rewrites it, then the one that merely delivers it.
        return all(rank(entry) < rank(other) for other in before)

    def rank(entry: Entry) -> tuple[bool, bool]:
        return home.get(entry.original.src) != entry.node, not entry.rewrites

    used: set[int] = set()
    chains: list[list[Entry]] = []
    for entry in everything:
        if id(entry) in used or not is_first(entry):
            continue
        chain = [entry]
        used.add(id(entry))
        while True:
            following = [
                other
                for other in near(
                    chain[-1],
                    by_original.get((entry.protocol, chain[-1].sent_on), []),
                )
                if id(other) not in used
            ]
            if not following:
                break
            chain.append(following[0])
            used.add(id(following[0]))
        chains.append(chain)
    orphans = [entry for entry in everything if id(entry) not in used]
    if orphans:
        raise netns.TestbedError(
            f"{len(orphans)} conntrack entries belong to no connection, "
            f"such as {orphans[0]}"
        )
    return chains
