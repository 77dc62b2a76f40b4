"""Packets that vanish on purpose, counted by the rule that drops them.

The rules are nftables' own, in a table beside kube-proxy's and Calico's: what they
count is a witness of its own, apart from conntrack and from the captures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from captures.testbed import netns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TABLE = "testbed_drops"

# Behind an outer UDP header: 8 octets of VXLAN, 14 of Ethernet, 20 of IPv4.
ENCAPSULATED_SOURCE_PORT = "@th,400,16"


@dataclass(frozen=True)
class Drop:
    """From now on, some packets of a client's connections vanish between two devices.

    Parameters
    ----------
    name : str
        Of the counter.
    host : str
        The namespace that has the rule.
    family, hook : str
        Of the chain, in nftables' words.
    match : str
        Which packets.
    client : tuple of str and int or None
        Address and port of the connections that lose packets; None for every port.
    direction : {"orig", "reply"}
        From the client, or to it.
    after, before : str
        Devices as ``host/interface``: the last one to show the packets, and the next
        one on the way.
    """

    name: str
    host: str
    family: Literal["inet", "netdev"]
    hook: str
    match: str
    client: tuple[str, int | None]
    direction: Literal["orig", "reply"]
    after: str
    before: str

    def is_of(self, record: dict[str, Any]) -> bool:
        """Whether a connection of the truth loses packets here."""
        ip, port = self.client
        client = record["client"]
        return bool(client["ip"] == ip and port in (None, client["port"]))


def install(drop: Drop) -> None:
    """Write the rule."""
    chain = f"{drop.family} {TABLE} drop_{drop.name}"
    script = f"""
add table {drop.family} {TABLE}
add counter {chain}
add chain {chain} {{ type filter hook {drop.hook} priority 0; }}
add rule {chain} {drop.match} counter name drop_{drop.name} drop
"""
    netns.run_inside(drop.host, ["nft", "-f", "-"], stdin=script)


def counted(drop: Drop) -> int:
    """Give the number of packets that a rule dropped so far."""
    command = ["nft", "-j", "list", "counter", drop.family, TABLE, f"drop_{drop.name}"]
    found = json.loads(netns.run_inside(drop.host, command))["nftables"]
    (packets,) = (each["counter"]["packets"] for each in found if "counter" in each)
    return int(packets)


def attach(truth: Iterable[dict[str, Any]], drops: Sequence[Drop]) -> list[str]:
    """Write what was dropped into the one connection that it is about.

    Returns
    -------
    list of str
        The drops that are of no connection, or of several.
    """
    records = [*truth]
    problems = []
    for drop in drops:
        owners = [record for record in records if drop.is_of(record)]
        packets = counted(drop)
        if len(owners) != 1 or not packets:
            problems.append(
                f"drop {drop.name}: {packets} packets of {len(owners)} connections"
            )
        for record in owners:
            record.setdefault("dropped", []).append(
                {
                    "direction": drop.direction,
                    "after": drop.after,
                    "before": drop.before,
                    "packets": packets,
                }
            )
    return problems
