"""Which addresses are behind a service: as listed, else by selector and labels."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections import defaultdict
from typing import TYPE_CHECKING

from analyzer.cluster.combine import each_once
from analyzer.cluster.extent import pod_listings
from analyzer.cluster.found import UNTOLD
from analyzer.cluster.model import Endpoint
from analyzer.cluster.values import IP_VERSIONS, ip_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.cluster.found import Found
    from analyzer.cluster.model import Node, Pod, Service, ServicePort

#: A service's namespace and name, and an IP version.
Told = tuple[str, str, int]


def endpoints_of_all(
    all_found: Sequence[Found],
    services: Sequence[Service],
    pods: Sequence[Pod],
    nodes: Sequence[Node],
) -> tuple[tuple[Endpoint, ...], set[Told]]:
    """Find the endpoints of every service.

    Parameters
    ----------
    all_found : sequence of Found
        With endpoint slices, Endpoints or kubectl's table of them, or without.
    services, pods, nodes
        What is known of the cluster.

    Returns
    -------
    tuple of Endpoint
        One for each service, address, port and protocol, sorted.
    set of (str, str, int)
        Namespaces, names and IP versions of services all of whose endpoints are known.
    """
    listed, complete = _listed(all_found, services)
    told = {(item.namespace, item.service) for item in listed}
    told |= {(namespace, name) for namespace, name, _ in complete}
    listings = pod_listings(all_found, {node.name for node in nodes})
    neighbours = defaultdict(list)
    for pod in pods:
        neighbours[pod.namespace].append(pod)
    derived: list[Endpoint] = []
    for service in services:
        key = (service.namespace, service.name)
        candidates = neighbours[service.namespace]
        labels_told = all(pod.labels is not None for pod in candidates)
        if key not in told and pods and service.selector and labels_told:
            derived += _selected(service, candidates)
            complete.update(
                (*key, version)
                for listing in listings
                if service.namespace in listing.namespaces
                and listing.common_labels <= set(service.selector)
                for version in listing.versions
            )
    placed = _placed([*listed, *derived], pods, nodes)
    return each_once([(True, item) for item in placed], _order), complete


def is_complete(service: Service, complete: set[Told]) -> bool:
    """Whether a service's endpoints of all its IP versions are known."""
    key = (service.namespace, service.name)
    own = set(map(ip_version, service.cluster_ips))
    told = {version for version in IP_VERSIONS if (*key, version) in complete}
    return bool(told) and own <= told


def _order(endpoint: Endpoint) -> tuple[str, str, str, int, str]:
    return (
        endpoint.namespace,
        endpoint.service,
        endpoint.address,
        endpoint.port or 0,
        endpoint.protocol or "",
    )


def _listed(
    all_found: Sequence[Found], services: Sequence[Service]
) -> tuple[tuple[Endpoint, ...], set[Told]]:
    """Give the endpoints that were listed, and the services listed in full."""
    by_name = defaultdict(list)
    for service in services:
        by_name[service.name].append(service)

    def namespace_of(namespace: str, name: str) -> str:
        known = {service.namespace for service in by_name[name]}
        if namespace != UNTOLD:
            return namespace
        return known.pop() if len(known) == 1 else "default"

    complete = {
        (namespace_of(namespace, name), name, version)
        for found in all_found
        for namespace, name, version in found.complete
        if (namespace, name) not in found.incomplete
    }
    observed = [
        (
            found.structured,
            dataclasses.replace(
                item, namespace=namespace_of(item.namespace, item.service)
            ),
        )
        for found in all_found
        for item in found.endpoints
    ]
    # kubectl's table does not print the protocol: another file or the service tells.
    known: dict[tuple[object, ...], set[str | None]] = defaultdict(set)
    for _, item in observed:
        if item.protocol:
            known[_order(item)[:4]].add(item.protocol)
    whole = []
    for structured, item in observed:
        protocols = {item.protocol}
        if item.port is not None and item.protocol is None:
            protocols = known[_order(item)[:4]] or _protocols(item, by_name)
        whole += [
            (structured, dataclasses.replace(item, protocol=protocol))
            for protocol in protocols
        ]
    return each_once(whole, _order), complete


def _protocols(item: Endpoint, by_name: dict[str, list[Service]]) -> set[str | None]:
    ports = [
        port
        for service in by_name[item.service]
        if service.namespace == item.namespace
        for port in service.ports
    ]
    same = [port for port in ports if item.port == (port.target_port or port.port)]
    return {port.protocol for port in same or ports} or {None}


def _selected(service: Service, pods: Iterable[Pod]) -> Iterable[Endpoint]:
    """Select a service's pods by their labels."""
    families = {ipaddress.ip_address(ip).version for ip in service.cluster_ips}
    for pod in pods:
        if pod.is_finished or not set(service.selector) <= set(pod.labels or ()):
            continue
        for address in pod.ips:
            if families and ipaddress.ip_address(address).version not in families:
                continue
            for port, number in _target_ports(service, pod):
                yield Endpoint(
                    namespace=service.namespace,
                    service=service.name,
                    address=address,
                    port=number,
                    protocol=port.protocol if port else None,
                    port_name=port.name if port else None,
                    ready=pod.ready is True,
                    node=pod.node,
                    pod=pod.name,
                )


def _target_ports(
    service: Service, pod: Pod
) -> list[tuple[ServicePort | None, int | None]]:
    """Give the pod's port for each of the service's; pods may differ in named ports."""
    targets: list[tuple[ServicePort | None, int | None]] = []
    for port in service.ports:
        if isinstance(port.target_port, str):
            targets += [
                (port, number)
                for name, protocol, number in pod.named_ports
                if (name, protocol) == (port.target_port, port.protocol)
            ]
        else:
            targets.append((port, port.target_port))
    return targets if service.ports else [(None, None)]


def _placed(
    endpoints: Iterable[Endpoint], pods: Iterable[Pod], nodes: Iterable[Node]
) -> list[Endpoint]:
    """Fill in node and pod where the address tells them."""
    holders = defaultdict(list)
    for holder in pods:
        if not holder.is_finished and not holder.host_network:
            for address in holder.ips:
                holders[address].append(holder)
    owners = {address: node.name for node in nodes for address in node.internal_ips}
    result = []
    for item in endpoints:
        node, pod = owners.get(item.address), None
        found = holders[item.address]
        if len(found) == 1 and found[0].namespace == item.namespace:
            node, pod = found[0].node, found[0].name
        if (item.node is None and node) or (item.pod is None and pod):
            node, pod = item.node or node, item.pod or pod
            item = dataclasses.replace(item, node=node, pod=pod)
        result.append(item)
    return result
