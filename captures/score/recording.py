"""A recording: its captures, its truth, and who has which name and address."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from captures.testbed import conntrack, paths, scenarios
from captures.testbed.calico import DEVICE
from captures.testbed.capture import ANY
from captures.testbed.clocks import Clock
from captures.testbed.cluster import family_of
from captures.testbed.topology import NIC

if TYPE_CHECKING:
    from pathlib import Path

Record = dict[str, Any]
Point = tuple[str, str]  # host, interface

EXACT = Clock(0.0)
NANOSECOND = 10**9


@dataclass(frozen=True)
class Recording:
    """A directory that the testbed wrote."""

    directory: Path

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.directory.name

    @cached_property
    def scenario(self) -> Record:
        """What was recorded, and how."""
        described: Record = json.loads((self.directory / "scenario.json").read_text())
        return described

    @cached_property
    def truth(self) -> dict[str, Record]:
        """Every connection, by its id."""
        return {record["id"]: record for record in self._lines("truth.jsonl")}

    @cached_property
    def observed(self) -> list[Record]:
        """What each capture shows of each connection."""
        return self._lines("observed.jsonl")

    @cached_property
    def captures(self) -> dict[str, Record]:
        """The captures, by the name that the truth has for them."""
        return {capture["file"]: capture for capture in self.scenario["captures"]}

    def path(self, file: str) -> Path:
        """Give the compressed file of a capture."""
        return self.directory / f"{file}.gz"

    def clock(self, host: str) -> Clock:
        """Give the clock that a host's captures were written with.

        Recordings of before the testbed gave out wrong clocks do not speak of any.
        """
        given = self.scenario.get("clocks", {}).get(host)
        return Clock(**given) if given else EXACT

    @property
    def began(self) -> int:
        """When captures began, in nanoseconds since 1970.

        Where a recording does not tell, its first connection: only wrong clocks, which
        drift from then on, ask for it.
        """
        first = min(record["start"] for record in self.truth.values())
        seconds: float = self.scenario.get("capture_start", first)
        return round(seconds * NANOSECOND)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """The nodes' names."""
        listing = json.loads((self.directory / "cluster" / "nodes.json").read_text())
        return tuple(item["metadata"]["name"] for item in listing["items"])

    @cached_property
    def node_addresses(self) -> dict[str, str]:
        """Address to node, the overlay devices' addresses among them."""
        return {
            address["local"]: node
            for node in self.nodes
            for link in self._links(node)
            if not link["ifname"].startswith(("lo", "kube-ipvs"))
            for address in link.get("addr_info", ())
        }

    @cached_property
    def interface_names(self) -> dict[tuple[str, int], str]:
        """Node and interface index to name."""
        return {
            (node, link["ifindex"]): link["ifname"]
            for node in self.nodes
            for link in self._links(node)
        }

    @cached_property
    def pods(self) -> dict[str, tuple[str, str | None]]:
        """Pod to its namespace and workload."""
        listing = json.loads((self.directory / "cluster" / "pods.json").read_text())
        return {
            item["metadata"]["name"]: (
                item["metadata"]["namespace"],
                workload(item["metadata"]),
            )
            for item in listing["items"]
        }

    @cached_property
    def endpoints(self) -> Counter[tuple[str, str, str]]:
        """How many ready endpoints each Service, node and address family has."""
        text = (self.directory / "cluster" / "endpointslices.json").read_text()
        found: Counter[tuple[str, str, str]] = Counter()
        for item in json.loads(text)["items"]:
            metadata = item["metadata"]
            name = metadata["labels"]["kubernetes.io/service-name"]
            for endpoint in item.get("endpoints") or ():
                if endpoint.get("conditions", {}).get("ready", True):
                    service = f"{metadata['namespace']}/{name}"
                    node = endpoint.get("nodeName", "")
                    found[service, node, item["addressType"]] += 1
        return found

    def walk(self, record: Record) -> list[Point]:
        """List the devices that a connection's requests cross, in their order."""
        hops = [entry_of(hop, record["proto"]) for hop in record["hops"]]
        if not hops:  # refused before conntrack made an entry: one tuple, no detour
            return [
                (capture["node"], capture["interfaces"][0])
                for seen in record["captures"]["seen"]
                if (capture := self.captures[seen["file"]])
            ]
        seen = paths.sightings(hops, self._map)
        return [(sighting.host, sighting.interface) for sighting in seen]

    def interface_of(self, seen: Record) -> str | None:
        """Say which of a file's interfaces a row of ``observed.jsonl`` is about.

        Such a row does not tell them apart. But what a node sends or gets through the
        tunnel is on its NIC encapsulated and on its VXLAN device bare, and bare on
        the NIC is only what does not go through the tunnel. None for ``any``.
        """
        names: list[str] = self.captures[seen["file"]]["interfaces"]
        if names == [ANY]:
            return None
        if len(names) == 1:
            return names[0]
        key = (seen["id"], seen["file"], seen["tuple"])
        if seen["encapsulated"] or key not in self._tunnelled:
            return NIC
        source = self.truth[seen["id"]]["tuples"][seen["tuple"]]["src"]
        return DEVICE[family_of(source)]

    @cached_property
    def _tunnelled(self) -> set[tuple[str, str, int]]:
        return {
            (seen["id"], seen["file"], seen["tuple"])
            for seen in self.observed
            if seen["encapsulated"]
        }

    @cached_property
    def _map(self) -> paths.Map:
        return paths.Map(scenarios.ALL[self.scenario["scenario"]].cluster)

    def _lines(self, file: str) -> list[Record]:
        text = (self.directory / file).read_text()
        return [json.loads(line) for line in text.splitlines()]

    def _links(self, node: str) -> list[Record]:
        path = self.directory / "cluster" / f"{node}.ip-addr.json"
        links: list[Record] = json.loads(path.read_text())
        return links


def workload(metadata: Record) -> str | None:
    """Name who made a pod; a ReplicaSet is a Deployment's."""
    for owner in metadata.get("ownerReferences", ()):
        kind, name = owner["kind"], owner["name"]
        if kind == "ReplicaSet":
            kind, name = "Deployment", name.rpartition("-")[0]
        return f"{kind}/{name}"
    return None


def entry_of(hop: Record, protocol: str) -> conntrack.Entry:
    """Make of a truth record's hop the conntrack entry that it was written from."""
    original, sent_on = (
        conntrack.Tuple(
            t["src"],
            t.get("sport", t.get("icmp_id")),
            t["dst"],
            t.get("dport", t.get("icmp_id")),
        )
        for t in (hop["orig"], hop["sent_on"])
    )
    return conntrack.Entry(
        hop["node"], hop["ct_id"], protocol, original, sent_on.reversed(), hop["time"]
    )
