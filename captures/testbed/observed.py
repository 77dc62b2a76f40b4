"""Count with tshark what each capture shows of each connection.

Independent of the truth (which comes from conntrack) and of the analyzer: the
observed packets per connection, capture and tuple are what the analyzer's flow
tables are held against.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from captures.testbed import netns
from captures.testbed.capture import ANY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FIELDS = (
    "frame.time_epoch",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.id",
    "ip.frag_offset",
    "ip.flags.mf",
    "ipv6.fraghdr.ident",
    "ipv6.fraghdr.offset",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "icmp.type",
    "icmp.ident",
    "icmpv6.type",
    "icmpv6.echo.identifier",
    "vxlan.vni",
    "sll.ifindex",
)
INNERMOST = -1
GRACE_S = 0.03  # by which conntrack may stamp a beginning too late
SHORT_BYTES = 30_000  # towards the client; more may travel in super-frames

Key = tuple[str, str, int, str, int]  # protocol, source, port, destination, port
Datagram = tuple[str, str, str, bool]  # source, destination, identification, tunnel

# When the connection began, its place in the truth, which of its tuples, direction.
Owner = tuple[float, int, int, str]
Owners = dict[Key, list[Owner]]


@dataclass
class Packet:
    """One frame, as far as counting needs it."""

    time: float
    key: Key
    encapsulated: bool
    interface: str | None


@dataclass
class Count:
    """Packets of one connection in one capture under one tuple."""

    packets: Counter[str] = field(default_factory=Counter)
    by_interface: dict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    first: float = float("inf")
    last: float = 0.0


def read(path: Path) -> Iterator[Packet]:
    """Read a capture with tshark; errors that quote packets are passed over.

    A fragment after the first has no ports and counts for its datagram's tuple.
    It may stand before the first in the file: a VXLAN device's receive queues hand
    packets on out of order. Hence two passes.
    """
    command = ["tshark", "-n", "-r", str(path), "-T", "fields"]
    # Each fragment counts where it was seen, not where the datagram was complete.
    command += ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    for name in FIELDS:
        command += ["-e", name]
    command += ["-E", "separator=|", "-E", "occurrence=a", "-E", "aggregator=,"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise netns.TestbedError(f"{path.name}: tshark: {done.stderr.strip()}")
    frames = [
        dict(zip(FIELDS, line.split("|"), strict=True))
        for line in done.stdout.splitlines()
    ]
    datagrams: dict[Datagram, Key] = {}
    keys = []
    for columns in frames:
        key, datagram = key_of(columns)
        keys.append((key, datagram))
        if key is not None and datagram is not None:
            datagrams[datagram] = key
    for columns, (key, datagram) in zip(frames, keys, strict=True):
        if key is None and datagram is not None:
            key = datagrams.get(datagram)
        if key is not None:
            yield Packet(
                float(columns["frame.time_epoch"]),
                key,
                bool(columns["vxlan.vni"]),
                columns["sll.ifindex"] or None,
            )


def key_of(columns: dict[str, str]) -> tuple[Key | None, Datagram | None]:
    """Return a frame's innermost tuple, and its datagram if it is a fragment.

    No tuple: not the first fragment, or no packet of a connection.
    """
    values = {name: text.split(",") for name, text in columns.items() if text}
    tunnels = len(values.get("vxlan.vni", ()))
    errors = set(values.get("icmp.type", [])) - {"0", "8"}
    errors |= set(values.get("icmpv6.type", [])) - {"128", "129"}
    if errors:  # an error quotes another packet; neighbour discovery is nobody's
        return None, None
    prefix = "ip" if "ip.src" in values else "ipv6"  # each has a tunnel of its own
    if f"{prefix}.src" not in values:
        return None, None
    source = values[f"{prefix}.src"][INNERMOST]
    destination = values[f"{prefix}.dst"][INNERMOST]
    identification = fragment_id(values, prefix)
    datagram = None
    if identification is not None:
        datagram = (source, destination, identification, bool(tunnels))
    for protocol, outer in (("tcp", 0), ("udp", tunnels)):
        sources = values.get(f"{protocol}.srcport", [])
        if len(sources) > outer:
            port = int(sources[INNERMOST])
            other = int(values[f"{protocol}.dstport"][INNERMOST])
            return (protocol, source, port, destination, other), datagram
    for protocol, field_name in (
        ("icmp", "icmp.ident"),
        ("icmp6", "icmpv6.echo.identifier"),
    ):
        if field_name in values:
            number = int(values[field_name][0], 0)
            return (protocol, source, number, destination, number), datagram
    return None, datagram


def fragment_id(values: dict[str, list[str]], prefix: str) -> str | None:
    """Return the identification that a fragment shares with its datagram."""
    if prefix == "ipv6":
        return (
            values["ipv6.fraghdr.ident"][-1] if "ipv6.fraghdr.ident" in values else None
        )
    more = values["ip.flags.mf"][INNERMOST] in ("1", "True")
    if more or values["ip.frag_offset"][INNERMOST] != "0":
        return values["ip.id"][INNERMOST]
    return None


def observe(
    truth: Sequence[dict[str, Any]],
    files: Sequence[Path],
    interface_names: dict[str, dict[str, str]],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Count every capture's packets per connection and tuple.

    Parameters
    ----------
    truth : sequence of dict
        Truth records in order of time.
    files : sequence of Path
        Captures, not yet compressed.
    interface_names : dict
        Per host, interface index (as text) to name, for captures of ``any``.

    Returns
    -------
    rows : list of dict
        One per connection, capture, tuple and encapsulation.
    disagreements : list of str
        Where a capture lacks a connection that must be in it, or shows one that
        must not.
    """
    owners = owners_of(truth)
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for path in files:
        counts, strangers = count(path, owners)
        names = interface_names.get(path.name.split(".")[0], {})
        problems += [
            f"{path.name}: {n} packets of nobody: {key}" for key, n in strangers.items()
        ]
        for (index, number, encapsulated), counted in sorted(counts.items()):
            row = {
                "id": truth[index]["id"],
                "file": path.name,
                "tuple": number,
                "encapsulated": encapsulated,
                "packets_orig": counted.packets["orig"],
                "packets_reply": counted.packets["reply"],
                "first": counted.first,
                "last": counted.last,
            }
            if counted.by_interface:
                row["by_interface"] = {
                    names.get(interface, interface): [packets["orig"], packets["reply"]]
                    for interface, packets in sorted(counted.by_interface.items())
                }
            rows.append(row)
    rows.sort(key=lambda row: row["id"])
    problems += misplaced(truth, rows) + miscounted(truth, rows)
    return rows, problems + unlike_drops(truth, rows)


def owners_of(truth: Sequence[dict[str, Any]]) -> Owners:
    """Index the truth by every tuple that its packets carry, both ways."""
    owners: Owners = defaultdict(list)
    for index, record in enumerate(truth):
        start = record["start"]
        for number, t in enumerate(record["tuples"]):
            sport, dport = (t.get(k, t.get("icmp_id")) for k in ("sport", "dport"))
            there = (record["proto"], t["src"], sport, t["dst"], dport)
            back = (record["proto"], t["dst"], dport, t["src"], sport)
            owners[there].append((start, index, number, "orig"))
            owners[back].append((start, index, number, "reply"))
    return owners


def count(
    path: Path, owners: Owners
) -> tuple[dict[tuple[int, int, bool], Count], Counter[Key]]:
    """Count one capture: packets per connection, tuple and encapsulation; the rest."""
    counts: dict[tuple[int, int, bool], Count] = defaultdict(Count)
    strangers: Counter[Key] = Counter()
    for packet in read(path):
        owner = owner_of(owners.get(packet.key, []), packet.time)
        if owner is None:
            strangers[packet.key] += 1
            continue
        index, number, direction = owner
        counted = counts[index, number, packet.encapsulated]
        counted.packets[direction] += 1
        counted.first = min(counted.first, packet.time)
        counted.last = max(counted.last, packet.time)
        if packet.interface:
            counted.by_interface[packet.interface][direction] += 1
    return counts, strangers


def misplaced(
    truth: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]
) -> list[str]:
    """Compare where connections were seen with where they must be."""
    expected = {
        (record["id"], seen["file"], seen["tuple"], seen["encapsulated"])
        for record in truth
        for seen in record["captures"]["seen"]
    }
    found = {
        (row["id"], row["file"], row["tuple"], row["encapsulated"]) for row in rows
    }
    hidden = {r["id"] for r in truth} - {identifier for identifier, *_ in expected}
    return [
        *(f"{identifier}: on no device that was captured" for identifier in hidden),
        *(
            f"{i}: {verdict} {file} (tuple {number}, encapsulated {encapsulated})"
            for verdict, places in (
                ("not in", expected - found),
                ("unexpected in", found - expected),
            )
            for i, file, number, encapsulated in sorted(places)
        ),
    ]


def miscounted(
    truth: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]
) -> list[str]:
    """Compare short TCP connections' packets with conntrack's count of them.

    Long ones have super-frames, which are cut differently from device to device,
    and `any` shows every packet once per device.
    """
    by_id = {record["id"]: record for record in truth}
    problems = []
    for row in rows:
        record = by_id[row["id"]]
        counted = record["packets"]
        is_comparable = (
            record["proto"] == "tcp"
            and record["outcome"] == "ok"
            and not record["open_before_capture"]
            and not record.get("dropped")
            and record["bytes"]["reply"] < SHORT_BYTES
            and f".{ANY}." not in row["file"]
        )
        both_ways = (row["packets_orig"], row["packets_reply"])
        if is_comparable and both_ways != (counted["orig"], counted["reply"]):
            problems.append(f"{row}: conntrack counted {counted}")
    return problems


def unlike_drops(
    truth: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]
) -> list[str]:
    """Compare what devices show with what the rules dropped between them.

    From one device to the next on the way, as many packets are missing as a rule
    between the two counted, and none without a rule. What is dropped from the first
    packet on ends at the device before the rule.
    """
    counted = {
        (row["id"], row["file"], row["tuple"], row["encapsulated"]): row
        for row in rows
        if f".{ANY}." not in row["file"]
    }
    problems = []
    for record in truth:
        drops = record.get("dropped", ())
        seen = record["captures"]["seen"] if drops else []
        for direction, way in (("orig", seen), ("reply", seen[::-1])):
            shown = [
                (device_of(each["file"]), row[f"packets_{direction}"])
                for each in way
                if (row := counted.get((record["id"], *each.values())))
            ]
            if shown and (rest := lost_for_good(drops, direction, shown)):
                shown.append(rest)
            for (here, before), (there, after) in pairwise(shown):
                dropped = sum(
                    drop["packets"]
                    for drop in drops
                    if drop["direction"] == direction
                    and (drop["after"], drop["before"]) == (here, there)
                )
                if before - after != dropped:
                    problems.append(
                        f"{record['id']}: {direction}: {here} shows {before} and "
                        f"{there} {after}, but {dropped} were dropped"
                    )
    return problems


def lost_for_good(
    drops: Sequence[dict[str, Any]], direction: str, shown: Sequence[tuple[str, int]]
) -> tuple[str, int] | None:
    """Name the device behind the last one, if a rule let nothing through to it."""
    last, _ = shown[-1]
    for drop in drops:
        if (drop["direction"], drop["after"]) == (direction, last):
            return drop["before"], 0
    return None


def device_of(file: str) -> str:
    """Name the device of a capture that has one: ``host/interface``."""
    host, _, rest = file.partition(".")
    return f"{host}/{rest.rpartition('.')[0]}"


def owner_of(candidates: list[Owner], moment: float) -> tuple[int, int, str] | None:
    """Choose among connections that used one tuple: the latest that had begun.

    conntrack stamps an event when it reads it, after the packet: hence some grace.
    """
    begun = [c for c in candidates if c[0] - GRACE_S <= moment]
    chosen = max(begun or candidates, default=None)
    return None if chosen is None else chosen[1:]


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
