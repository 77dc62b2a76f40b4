"""Random calls in a random cluster, and what may be stated of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.correlate import ways
from tests.correlate.simulated import Segment, Wire, tcp, udp
from tests.correlate.ways import Host, Service, Walk
from tests.frames import rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

_EDGE = "192.0.2.200"


class RandomCluster:
    """Pods on three nodes, services over them, and calls among all of them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        apps = ("web", "dns", "client")
        names = [(app, n) for app in apps for n in range(random.randint(1, 3))]
        self.pods = [
            ways.pod(app, number, random.choice(ways.NODES), last=10 + place)
            for place, (app, number) in enumerate(names)
        ]
        is_local = random.random() < 0.5
        self.services = [
            Service("web", "web", "10.152.183.1", 80, 8080, node_port=30080),
            Service("dns", "dns", "10.152.183.2", 53, 53),
            Service("twin", "web", "10.152.183.3", 80, 8080),
            Service("edge", "web", "10.152.183.4", 8443, 8080, 30443, _EDGE, is_local),
        ][: random.randint(2, 4)]
        ports = iter(lambda: random.randint(1024, 65535), None)
        self._ways = ways.Ways(ports)
        self._ports = random.sample(range(32768, 61000), 100)

    def calls(self, count: int) -> list[Walk]:
        """Give calls of which some device sees something."""
        made = (self._call() for _ in range(100 * count))
        seen = [walk for walk in made if walk is not None and walk.seen]
        return seen[:count]

    def _call(self) -> Walk | None:
        random = self._random
        nodes = [ways.node(name) for name in ways.NODES]
        outside = [ways.outsider(number) for number in range(2)]
        client = random.choice(random.choice([self.pods, nodes, outside]))
        port = random.choice(self._ports)
        self._ports.remove(port)
        self._ports.append(port + 1 if port < 61000 else 32768)
        if random.random() < 0.7:
            return self._to_service(client, port, random.choice(self.services))
        to = random.choice(random.choice([self.pods, nodes, outside]))
        is_routed = client.node is not None or to.kind == "node"
        if to == client or not is_routed:
            return None
        return self._ways.direct(client, port, to, random.choice([22, 53, 8080, 9000]))

    def _to_service(self, client: Host, port: int, service: Service) -> Walk | None:
        random = self._random
        kinds = ["ClusterIP"] if client.node else []
        kinds += ["NodePort"] * (service.node_port is not None)
        kinds += ["LoadBalancer"] * (service.balancer is not None)
        if not kinds:
            return None
        kind = random.choice(kinds)
        at = random.choice(ways.NODES)
        if client.node and kind != "NodePort":
            at = client.node
        backends = [pod for pod in self.pods if pod.name.startswith(service.app)]
        if service.is_local and client.node != at:
            backends = [pod for pod in backends if pod.node == at]
        if not backends:
            return None
        to = random.choice(backends)
        return self._ways.to_service(client, port, service, kind, at, to)


class Recorded:
    """Calls that some points saw, and what the analyzer makes of them."""

    def __init__(
        self,
        random: Random,
        folder: Path,
        exchanges: Iterator[list[Segment]],
        clocks: dict[str, int] | None = None,
        snapshot_length: int | None = None,
    ) -> None:
        cluster = RandomCluster(random)
        self.calls = cluster.calls(random.randint(1, 6))
        told = random.choice([None, None, 0, 1, 2])
        self._state = ways.state(
            folder, cluster.pods, cluster.services[:told], is_whole=told is None
        )
        files = sorted({seen.file for walk in self.calls for seen in walk.seen})
        self._files = set(random.sample(files, random.randint(1, len(files))))
        self._wire = Wire(folder, clocks)
        for number, walk in enumerate(self.calls):
            at = number * random.choice([0.0001, 0.05, 1])
            self._wire.carry(self.seen(walk), next(exchanges), at=at, owner=number)
        if snapshot_length is not None:
            self._wire.cut(snapshot_length)

    def seen(self, walk: Walk) -> list[Any]:
        """Give the places of a walk that were recorded."""
        return [seen for seen in walk.seen if seen.file in self._files]

    def rows(self, *, with_state: bool) -> list[tuple[set[int], dict[str, Any]]]:
        """Give all rows of connections, with the calls whose packets they count."""
        tables = self._wire.tables(self._state if with_state else None)
        flows = {flow["flow_id"]: flow for flow in rows(tables.flows)}
        return [
            (
                {
                    self._wire.owner(flows[id_]["capture"], flows[id_]["first_frame"])
                    for id_ in row["flow_ids"]
                },
                row,
            )
            for row in rows(tables.connections)
        ]

    def visible(self) -> set[int]:
        """Give the numbers of the calls of which some point saw something."""
        return {n for n, walk in enumerate(self.calls) if self.seen(walk)}

    def wrong(self, row: dict[str, Any], walk: Walk) -> dict[str, Any]:
        """Give what a row states that is not so, by column; and what is missing."""
        shown = [(seen.client, seen.server) for seen in self.seen(walk)]
        truth = _truth(walk, shown[0][0])
        stated = {name: row[name] for name in truth if row[name] is not None}
        wrong = {name: it for name, it in stated.items() if it != truth[name]}
        first = walk.seen[0].client, walk.seen[0].server
        last = walk.seen[-1].client, walk.seen[-1].server
        is_translated = first[1] == walk.destination != last[1]
        if is_translated and first in shown and last in shown:
            wrong |= {
                name: None
                for name in ("destination_ip", "backend_ip")
                if row[name] is None
            }
        return wrong


def _truth(walk: Walk, source: ways.End) -> dict[str, Any]:
    client, to = walk.client, walk.backend
    is_pod, is_to_pod = client.kind == "pod", to.kind == "pod"
    snat = walk.seen[-1].client
    return {
        "client_ip": source[0],
        "client_port": source[1],
        "client_pod": client.name if is_pod else None,
        "destination_ip": walk.destination[0],
        "destination_port": walk.destination[1],
        "destination_kind": walk.kind,
        "service_name": walk.service.name if walk.service else None,
        "backend_ip": walk.backend_end[0],
        "backend_port": walk.backend_end[1],
        "backend_pod": to.name if is_to_pod else None,
        "backend_node": to.node,
        "snat_port": snat[1],
    }


def short_calls(random: Random) -> Iterator[list[Segment]]:
    """Give TCP connections from their beginning, answered or not."""
    while True:
        yield tcp(
            random.getrandbits(32),
            random.getrandbits(32),
            tsval=random.getrandbits(31),
            is_answered=random.random() < 0.9,
        )


def questions(random: Random) -> Iterator[list[Segment]]:
    """Give datagrams that are all different, with answers."""
    while True:
        yield udp(random.randbytes(30), random.randbytes(50))


def anything(random: Random) -> Iterator[list[Segment]]:
    """Give all sorts of exchanges, the same again among them, begun or not."""
    calls, asked = short_calls(random), questions(random)
    same = udp(b"the same question", b"the same answer")
    while True:
        exchange = random.choice([next(calls), next(asked), same])
        first = random.choice([0, 0, 0, 1, 3])
        yield exchange[min(first, len(exchange) - 1) :]


def owners(found: list[tuple[set[int], dict[str, Any]]]) -> dict[int, int]:
    """Count the rows of each call."""
    count: dict[int, int] = defaultdict(int)
    for calls, _ in found:
        for call in calls:
            count[call] += 1
    return dict(count)
