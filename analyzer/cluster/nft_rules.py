"""What kube-proxy's nftables table says, whether it came as text or as JSON.

    services -> vmap @service-ips, @service-nodeports
    external-x -> service-x or, for externalTrafficPolicy Local, local-x
    service-x, local-x -> one of endpoint-y -> dnat

The names of chains tell the service: ``service-FY5PMXPG-kube-system/kube-dns/udp/dns``.
Elements of ``no-endpoint-services`` lead to no such chain; a comment may name theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from analyzer.cluster import values
from analyzer.cluster.found import Ruleset
from analyzer.cluster.model import ProxyRule
from analyzer.cluster.port_names import PortName, port_name
from analyzer.cluster.proxy_chains import choose
from analyzer.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.cluster.found import Found
    from analyzer.cluster.model import ServiceKind
    from analyzer.cluster.proxy_chains import Step

_CHAIN = re.compile(
    r"[a-z]+-[A-Z2-7]{8}-"
    r"(?P<namespace>[a-z0-9.-]+)/(?P<service>[a-z0-9.-]+)/[a-z]+/(?P<port>[a-z0-9-]*)$"
)

_REJECTS = "reject-chain"
_FRONTS = (
    "service-ips",
    "service-nodeports",
    "no-endpoint-services",
    "no-endpoint-nodeports",
)

#: Versions of the families that kube-proxy has tables for.
IP_VERSIONS: dict[object, Literal[4, 6]] = {"ip": 4, "ip6": 6}


class Element(NamedTuple):
    """An element of a verdict map: its key, and the chain or ``drop``."""

    key: tuple[str, ...]
    verdict: str
    comment: str = ""


@dataclass(slots=True)
class NftTable:
    """kube-proxy's table for one address family; ``line`` is where it starts."""

    line: int
    ip_version: Literal[4, 6]
    maps: dict[str, list[Element]] = field(default_factory=dict)
    sets: dict[str, list[str]] = field(default_factory=dict)
    chains: dict[str, list[Step]] = field(default_factory=dict)

    def add_to(self, found: Found) -> None:
        """Add what the table says to a part."""
        rules = dict.fromkeys(self._rules(found))
        if rules:
            found.rulesets.append(Ruleset(list(rules)))
            if self.maps.keys() >= set(_FRONTS) and not found.remarks:
                found.ruled.add(self.ip_version)
        for text in self.sets.get("nodeport-ips", ()):
            try:
                found.own_addresses.add(values.address(text))
            except ClusterError as error:
                found.remark(self.line, text, str(error))

    def _rules(self, found: Found) -> Iterator[ProxyRule]:
        for name in _FRONTS:
            for element in self.maps.get(name, ()):
                try:
                    yield from self._rules_of(element)
                except ClusterError as error:
                    found.remark(self.line, " . ".join(element.key), str(error))

    def _rules_of(self, element: Element) -> Iterator[ProxyRule]:
        address = None
        if len(element.key) == 3:
            address = values.address(element.key[0])
        elif len(element.key) != 2:
            raise ClusterError("not an address, a protocol and a port")
        protocol = values.protocol(element.key[-2])
        port = values.port(element.key[-1])
        chain = _CHAIN.match(element.verdict)
        name = (
            PortName(chain["namespace"], chain["service"], chain["port"] or None)
            if chain
            else port_name(element.comment)
        )
        told = ProxyRule(
            "nftables",
            port,
            protocol,
            address=address,
            ip_version=self.ip_version,
            kind=self._kind(address, element.verdict),
            namespace=name.namespace,
            service=name.service,
            port_name=name.port_name,
        )
        if element.verdict == "drop":  # externalTrafficPolicy Local, no local endpoint
            yield replace(told, scope="local", backends=())
        elif element.verdict == _REJECTS:
            yield replace(told, backends=())
        else:
            choice = choose(self.chains, element.verdict, _is_local_chain)
            yield from choice.rules(told)

    def _kind(self, address: str | None, verdict: str) -> ServiceKind:
        if address is None:
            return "NodePort"
        is_internal = verdict.startswith(("service-", "local-"))
        if is_internal or address in self.sets.get("cluster-ips", ()):
            return "ClusterIP"
        return "LoadBalancer"


def _is_local_chain(name: str) -> bool:
    return name.startswith("local-")
