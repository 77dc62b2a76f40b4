"""kube-proxy's virtual servers as ``ipvsadm -Ln`` and ``ipvsadm -Sn`` list them.

    TCP  10.152.183.130:8080 rr persistent 10800
      -> 10.1.39.199:80               Masq    1      0          0
    -A -t 10.152.183.130:8080 -s rr -p 10800
    -a -t 10.152.183.130:8080 -r 10.1.39.199:80 -m -w 1

They name no services, and a NodePort is a virtual server at each of the node's
addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.cluster import values
from analyzer.cluster.found import Found, Ruleset
from analyzer.cluster.model import Backend, ProxyRule
from analyzer.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.cluster.split import TextPart

_LISTED = re.compile(
    r"\s*(?P<protocol>TCP|UDP|SCTP)\s+(?P<socket>\S+)(?:\s+(?P<scheduler>[a-z]+))?"
    r"(?P<flags>.*)$"
)
_LISTED_SERVER = re.compile(r"\s*-> (?P<socket>\S+)\s+[A-Z]\w+\s+(?P<weight>\d+)\b")
_SAVED = re.compile(
    r"\s*-(?P<what>[Aa]) -(?P<protocol>[tu]|-sctp-service) (?P<rest>.*)$"
)
_SAVED_PROTOCOLS = {"t": "tcp", "u": "udp", "-sctp-service": "sctp"}
_PERSISTENT = re.compile(r"\bpersistent\b|(?:^|\s)-p\b")

# Those that take no notice of weights but for zero, which means none anymore.
_UNWEIGHTED = frozenset({"rr", "lc", "lblc", "lblcr", "dh", "sh", "nq"})


@dataclass(slots=True)
class _Virtual:
    """A virtual server and its real servers, each with its weight."""

    line: int
    protocol: str
    socket: tuple[str, int | None]
    scheduler: str | None
    is_persistent: bool
    servers: list[tuple[tuple[str, int | None], int]] = field(default_factory=list)


def read(part: TextPart, path: str) -> Found:
    """Read a list of virtual servers.

    Parameters
    ----------
    part : TextPart
        A part of the kind ``ipvsadm``.
    path : str
        The file, for the report.

    Returns
    -------
    Found
        With one ruleset, whose rules have neither kinds nor services.
    """
    found = Found(path, part.line, "ipvsadm", host=part.host)
    rules = []
    for virtual in _virtual_servers(part, found):
        address, port = virtual.socket
        if port is None:
            continue
        rules.append(
            ProxyRule(
                "ipvs",
                port,
                virtual.protocol,
                address=address,
                ip_version=values.ip_version(address),
                affinity=virtual.is_persistent,
                scheduler=virtual.scheduler,
                backends=tuple(_backends(virtual)),
            )
        )
    if rules:
        found.rulesets.append(Ruleset(rules))
    found.used = bool(rules)
    return found


def _virtual_servers(part: TextPart, found: Found) -> Iterable[_Virtual]:
    virtual: dict[tuple[str, tuple[str, int | None]], _Virtual] = {}
    present: _Virtual | None = None
    for number, line in enumerate(part.lines, part.line):
        try:
            if match := _LISTED_SERVER.match(line):
                if present:
                    server = values.socket(match["socket"])
                    present.servers.append((server, int(match["weight"])))
            elif match := _LISTED.match(line):
                present = _Virtual(
                    number,
                    values.protocol(match["protocol"]),
                    values.socket(match["socket"]),
                    match["scheduler"],
                    _PERSISTENT.search(match["flags"]) is not None,
                )
                virtual[present.protocol, present.socket] = present
            elif match := _SAVED.match(line):
                present = None
                _add_saved(match, number, virtual)
            elif line.startswith("FWM "):
                present = None  # by firewall mark: not kube-proxy's
        except ClusterError as error:
            present = None
            found.remark(number, line.strip(), str(error))
    return virtual.values()


def _add_saved(
    match: re.Match[str],
    number: int,
    virtual: dict[tuple[str, tuple[str, int | None]], _Virtual],
) -> None:
    """Take over a line of ``ipvsadm -S``."""
    words = match["rest"].split()
    protocol = _SAVED_PROTOCOLS[match["protocol"]]
    socket = values.socket(words[0])
    options = dict(zip(words[1:], [*words[2:], ""], strict=True))
    if match["what"] == "A":
        virtual[protocol, socket] = _Virtual(
            number, protocol, socket, options.get("-s"), "-p" in options
        )
    elif (protocol, socket) in virtual:
        weight = options.get("-w", "1")
        server = values.socket(options.get("-r", ""))
        virtual[protocol, socket].servers.append(
            (server, int(weight) if weight.isdecimal() else 1)
        )


def _backends(virtual: _Virtual) -> Iterator[Backend]:
    weights = {
        server: min(weight, 1) if virtual.scheduler in _UNWEIGHTED else weight
        for server, weight in virtual.servers
    }
    total = sum(weights.values())
    for (address, port), weight in sorted(
        weights.items(), key=lambda item: (item[0][0], item[0][1] or 0)
    ):
        yield Backend(address, port, weight / total if total else 0.0)
