"""Connections as several capture points would show them, written by scapy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

import analyzer
from captures.files import Frame, pcap
from tests.frames import rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
End = tuple[str, int]


class Seen(NamedTuple):
    """One place on a connection's path, and what the packets look like there.

    ``delay`` (us) is how long the client's packets take there, ``back`` how much sooner
    than at the client the server's pass; as long by default.
    """

    file: str
    client: End
    server: End
    ttl: int = 64
    delay: int = 0
    outer: tuple[str, str] | None = None
    reply_ttl: int = 64
    back: int | None = None


class Segment(NamedTuple):
    """A packet of an exchange: who sends it, when (us), and what it holds."""

    from_client: bool
    at: int
    layer: Any
    identification: int = 1


def tcp(
    isn: int,
    server_isn: int,
    *,
    tsval: int = 7,
    is_answered: bool = True,
    request: bytes = b"GET / HTTP/1.0\r\n\r\n",
    response: bytes = b"HTTP/1.0 200 OK\r\n\r\n" * 20,
    first: int = 0,
) -> list[Segment]:
    """Give a short connection; without its first packets, it was open before."""
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (tsval, 0))]
    asked, told = isn + 1 + len(request), server_isn + 1 + len(response)

    def packet(flags: str, seq: int, ack: int, payload: bytes = b"") -> Any:
        layer = TCP(flags=flags, seq=seq % 2**32, ack=ack % 2**32)
        if "S" in flags:
            layer.options = options
        return layer / Raw(payload) if payload else layer

    opening = Segment(True, 0, packet("S", isn, 0))
    if not is_answered:
        return [opening, opening._replace(at=1_000_000)]
    return [
        opening,
        Segment(False, 400, packet("SA", server_isn, isn + 1)),
        Segment(True, 800, packet("A", isn + 1, server_isn + 1)),
        Segment(True, 900, packet("PA", isn + 1, server_isn + 1, request)),
        Segment(False, 1300, packet("PA", server_isn + 1, asked, response)),
        Segment(True, 1700, packet("FA", asked, told)),
        Segment(False, 2100, packet("FA", told, asked + 1)),
        Segment(True, 2500, packet("A", asked + 1, told + 1)),
    ][first:]


def udp(request: bytes, response: bytes | None) -> list[Segment]:
    """Give a question and its answer, if there is one."""
    packets = [Segment(True, 0, UDP() / Raw(request))]
    if response is not None:
        packets.append(Segment(False, 400, UDP() / Raw(response)))
    return packets


def ping(identifiers: dict[str, int], count: int = 2) -> list[Segment]:
    """Give echoes; `identifiers` has the id that each file shows."""
    return [
        Segment(
            kind == 8, 1000 * number + 400 * (kind == 0), (kind, number, identifiers)
        )
        for number in range(count)
        for kind in (8, 0)
    ]


def _octets(seen: Seen, segment: Segment) -> bytes:
    ends = (seen.client, seen.server)
    src, dst = ends if segment.from_client else ends[::-1]
    layer = segment.layer
    if isinstance(layer, tuple):
        kind, number, identifiers = layer
        layer = ICMP(type=kind, id=identifiers[seen.file], seq=number) / Raw(b"p" * 40)
    else:
        layer = layer.copy()
        layer.sport, layer.dport = src[1], dst[1]
    ttl = seen.ttl if segment.from_client else seen.reply_ttl
    number = segment.identification
    packet = IP(src=src[0], dst=dst[0], ttl=ttl, id=number) / layer
    if seen.outer is not None:
        outer = seen.outer if segment.from_client else seen.outer[::-1]
        packet = (
            IP(src=outer[0], dst=outer[1])
            / UDP(sport=40000, dport=4789)
            / VXLAN(vni=4096, flags="Instance")
            / Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")
            / packet
        )
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)


class Wire:
    """Captures that grow as connections pass.

    ``clocks`` has by how much (ns) each host's clock is wrong in the beginning,
    ``drifts`` how much faster than time it runs.
    """

    def __init__(
        self,
        folder: Path,
        clocks: dict[str, int] | None = None,
        drifts: dict[str, float] | None = None,
    ) -> None:
        self._folder = folder
        self._clocks = clocks or {}
        self._drifts = drifts or {}
        self._frames: dict[str, list[tuple[Frame, int]]] = {}

    def carry(
        self,
        path: Iterable[Seen],
        exchange: list[Segment],
        *,
        at: float = 0,
        owner: int = 0,
    ) -> None:
        """Let every place of a path see an exchange that begins `at` seconds."""
        for seen in path:
            host = seen.file.split(".")[0]
            back = seen.delay if seen.back is None else seen.back
            for segment in exchange:
                delay = seen.delay if segment.from_client else -back
                passed = round(at * SECOND) + (segment.at + delay) * 1000
                drift = round(passed * self._drifts.get(host, 0))
                time = START + passed + drift + self._clocks.get(host, 0)
                octets = _octets(seen, segment)
                frame = Frame(octets, time, len(octets))
                self._frames.setdefault(seen.file, []).append((frame, owner))

    def cut(self, length: int) -> None:
        """Keep the first octets of every frame, as ``tcpdump -s`` does."""
        for name, frames in self._frames.items():
            self._frames[name] = [(frame.cut(length), owner) for frame, owner in frames]

    def files(self) -> list[Path]:
        """Write what was seen; give the files."""
        paths = []
        for name in sorted(self._frames):
            path = self._folder / name
            path.write_bytes(pcap(frame for frame, _ in self._in_order(name)))
            paths.append(path)
        return paths

    def owner(self, file: str, number: int) -> int:
        """Say whose a frame is, by its number from 1."""
        return self._in_order(file)[number - 1][1]

    def _in_order(self, file: str) -> list[tuple[Frame, int]]:
        return sorted(self._frames[file], key=lambda each: each[0].time)

    def tables(self, cluster: analyzer.Cluster | None = None, **how: Any) -> Any:
        """Build the tables of all captures."""
        return analyzer.build_tables(self.files(), cluster=cluster, **how)

    def connections(
        self, cluster: analyzer.Cluster | None = None, **how: Any
    ) -> list[dict[str, Any]]:
        """Give the connections of all captures as plain rows."""
        return rows(self.tables(cluster, **how).connections)
