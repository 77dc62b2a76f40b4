"""From addresses to names.

A wrong name is worse than none. Where several objects hold an address, only what they
all agree on is told; where several services have a port, all of them are given.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analyzer.cluster.hosts import is_tunnel
from analyzer.cluster.model import UNKNOWN_TYPE
from analyzer.cluster.pod_blocks import PodBlocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.cluster.model import Interface, Node, Pod, Service, ServiceKind

AddressKind = Literal["node", "tunnel", "pod", "service"]

_Port = tuple[int, str]  # port, protocol
_Socket = tuple[str, int, str]  # address, port, protocol
_Front = tuple["Service", "ServiceKind | None"]  # and what the address is to it

# Devices that hold addresses of services, or the same address on every node.
_NOT_THE_NODES_OWN = re.compile(
    r"lo|kube-ipvs\d*|nodelocaldns|dummy\d*|docker\d*|br-[0-9a-f]+|(cni-)?podman\d*"
    r"|virbr\d*|lx[cd]br\d*"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Whose an address is; None where that is not known or not certain."""

    address: str
    kind: AddressKind
    name: str | None = None
    namespace: str | None = None
    node: str | None = None
    workload: str | None = None


class AddressIndex:
    """Look-ups over the objects of one cluster."""

    def __init__(
        self,
        nodes: tuple[Node, ...],
        pods: tuple[Pod, ...],
        services: tuple[Service, ...],
        interfaces: tuple[Interface, ...],
    ) -> None:
        self.addresses = _addresses(nodes, pods, services, interfaces)
        self._blocks = PodBlocks(
            nodes,
            (
                (item.address, item.node)
                for item in self.addresses.values()
                if item.kind in ("pod", "tunnel") and item.node
            ),
        )
        fronts: dict[_Socket, dict[_Front, str | None]] = defaultdict(dict)
        node_ports: dict[_Port, dict[_Front, str | None]] = defaultdict(dict)
        for service in services:
            own: ServiceKind | None = "ClusterIP"
            if service.type == UNKNOWN_TYPE:
                own = None
            for port in service.ports:
                for ip in service.cluster_ips:
                    socket = (ip, port.port, port.protocol)
                    fronts[socket][service, own] = port.name
                for ip in service.external_ips:
                    socket = (ip, port.port, port.protocol)
                    fronts[socket][service, "LoadBalancer"] = port.name
                if port.node_port:
                    at_node = node_ports[port.node_port, port.protocol]
                    at_node[service, "NodePort"] = port.name
        self._fronts, self._node_ports = dict(fronts), dict(node_ports)

    def address(self, ip: str) -> Address | None:
        """Say whose an address is, in any spelling."""
        return self.addresses.get(_canonical(ip) or "")

    def services_at(
        self, ip: str, port: int, protocol: str
    ) -> tuple[tuple[Service, ServiceKind | None], ...]:
        """Give the services that answer there, and what the address is to them."""
        ip, protocol = _canonical(ip) or "", protocol.lower()
        found = list(self._fronts.get((ip, port, protocol), ()))
        whose = self.addresses.get(ip)
        if whose is not None and whose.kind == "node":
            found += self._node_ports.get((port, protocol), ())
        return tuple(found)

    def fronts(
        self,
    ) -> Iterator[tuple[str, int, str, Service, ServiceKind | None, str | None]]:
        """List each address, port and protocol of a service, and the port's name."""
        for (ip, port, protocol), found in self._fronts.items():
            for (service, kind), name in found.items():
                yield ip, port, protocol, service, kind, name
        for whose in self.addresses.values():
            if whose.kind != "node":
                continue
            for (port, protocol), found in self._node_ports.items():
                for (service, kind), name in found.items():
                    yield whose.address, port, protocol, service, kind, name

    def node_of(self, ip: str) -> str | None:
        """Name the node of an address, known by itself or by its block."""
        canonical = _canonical(ip)
        if canonical is None:
            return None
        whose = self.addresses.get(canonical)
        return self._blocks.node_of(canonical) if whose is None else whose.node


def _canonical(ip: str) -> str | None:
    try:
        return str(ipaddress.ip_address(ip))
    except ValueError:
        return None


def _addresses(
    nodes: tuple[Node, ...],
    pods: tuple[Pod, ...],
    services: tuple[Service, ...],
    interfaces: tuple[Interface, ...],
) -> dict[str, Address]:
    """Say of each address whose it is; claims of an earlier group go first."""
    groups = (
        _node_claims(nodes, pods),
        _tunnel_claims(nodes),
        _pod_claims(pod for pod in pods if not pod.is_finished),
        _interface_claims(nodes, services, interfaces),
        # The address of a pod that has ended may be another's by now, and is then
        # decided above.
        _pod_claims(pod for pod in pods if pod.is_finished),
        _service_claims(services),
    )
    decided: dict[str, Address] = {}
    for claims in groups:
        by_address = defaultdict(list)
        for claim in claims:
            by_address[claim.address].append(claim)
        for address, found in by_address.items():
            if address not in decided:
                decided[address] = _agreed(found)
    return dict(sorted(decided.items()))


def _agreed(claims: list[Address]) -> Address:
    """Keep what all holders of an address agree on."""
    first = claims[0]
    names = {(claim.name, claim.namespace) for claim in claims}
    nodes = {claim.node for claim in claims}
    workloads = {claim.workload for claim in claims}
    return Address(
        first.address,
        first.kind,
        first.name if len(names) == 1 else None,
        first.namespace if len(names) == 1 else None,
        first.node if len(nodes) == 1 else None,
        first.workload if len(workloads) == 1 else None,
    )


def _node_claims(nodes: Iterable[Node], pods: Iterable[Pod]) -> Iterator[Address]:
    for node in nodes:
        for ip in node.internal_ips + node.external_ips:
            yield Address(ip, "node", node.name, node=node.name)
    for pod in pods:
        if pod.host_network and pod.node:
            for ip in pod.ips:
                yield Address(ip, "node", pod.node, node=pod.node)


def _interface_claims(
    nodes: Iterable[Node], services: Iterable[Service], interfaces: Iterable[Interface]
) -> Iterator[Address]:
    """Claim the further addresses of nodes, on a second network for instance."""
    names = {node.name for node in nodes}
    # kube-vip and its like put a service's address on the interface of a node.
    fronts = {ip for item in services for ip in item.cluster_ips + item.external_ips}
    for interface in interfaces:
        if (
            interface.node not in names
            or is_tunnel(interface)
            or _NOT_THE_NODES_OWN.fullmatch(interface.name)
        ):
            continue
        for ip in interface.addresses:
            number = ipaddress.ip_address(ip)
            if ip not in fronts and not number.is_loopback and not number.is_link_local:
                yield Address(ip, "node", interface.node, node=interface.node)


def _tunnel_claims(nodes: Iterable[Node]) -> Iterator[Address]:
    for node in nodes:
        for ip in node.tunnel_ips:
            yield Address(ip, "tunnel", node.name, node=node.name)


def _pod_claims(pods: Iterable[Pod]) -> Iterator[Address]:
    for pod in pods:
        for ip in pod.ips:
            yield Address(ip, "pod", pod.name, pod.namespace, pod.node, pod.workload)


def _service_claims(services: Iterable[Service]) -> Iterator[Address]:
    for service in services:
        for ip in service.cluster_ips + service.external_ips:
            yield Address(ip, "service", service.name, service.namespace)
