"""Whether what was told is all there is.

From what is not listed something follows only if the list is whole: an address that no
Service has is a pod's or a node's own, or somebody's outside. kubectl does not write
which namespaces it was asked for, but what is in every cluster tells: the Service
``default/kubernetes``, the pods of ``kube-system``, and pods on several nodes.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from analyzer.cluster import values
from analyzer.cluster.found import UNTOLD
from analyzer.cluster.model import Extent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from analyzer.cluster.found import Found
    from analyzer.cluster.model import Endpoint, Node, Pod, ProxyRule, Service

_API_SERVER = ("default", "kubernetes")
_EVERYWHERE = "kube-system"


class PodListing(NamedTuple):
    """Pods that one command listed.

    Of the namespaces in it, it has all pods, or all that have the labels which all of
    them have; ``versions`` are those of the addresses that it shows.
    """

    namespaces: frozenset[str]
    versions: frozenset[int]
    common_labels: frozenset[tuple[str, str]]


def pod_listings(
    all_found: Iterable[Found], node_names: Collection[str]
) -> list[PodListing]:
    """Find the listings of pods that are not those of one node of several.

    Parameters
    ----------
    all_found : iterable of Found
    node_names : collection of str
        All that are known.
    """
    listings = []
    for found in all_found:
        if not found.is_listing or not found.pods or found.remarks:
            continue
        nodes = {pod.node for pod in found.pods} - {None}
        if len(nodes) < 2 and nodes != set(node_names):
            continue
        labels = [frozenset(pod.labels or ()) for pod in found.pods]
        listings.append(
            PodListing(
                frozenset(pod.namespace for pod in found.pods) - {UNTOLD},
                _versions(found, (pod.ips for pod in _with_address(found.pods))),
                reduce(frozenset.intersection, labels),
            )
        )
    return listings


def _with_address(pods: Iterable[Pod]) -> Iterable[Pod]:
    return (pod for pod in pods if pod.ips or pod.phase == "Running")


def _versions(found: Found, addresses: Iterable[tuple[str, ...]]) -> frozenset[int]:
    """Give the IP versions of which all addresses of some objects are shown.

    kubectl's tables show one address of each object: those of IPv4 are all that there
    are if every object shows one.
    """
    if found.structured:
        return values.IP_VERSIONS
    shown = {frozenset(map(values.ip_version, own)) for own in addresses}
    return shown.pop() if len(shown) == 1 else frozenset()


def extent(
    all_found: Sequence[Found],
    nodes: Sequence[Node],
    pods: Sequence[Pod],
    services: Sequence[Service],
    endpoints: Sequence[Endpoint],
    rules: Sequence[ProxyRule],
) -> Extent:
    """Say what was told in full.

    Parameters
    ----------
    all_found : sequence of Found
    nodes, pods, services, endpoints, rules
        What all of them come to.
    """
    mentioned = {pod.node for pod in pods} | {item.node for item in endpoints}
    known = {node.name for node in nodes if node.internal_ips}
    listings = pod_listings(all_found, {node.name for node in nodes})
    of_pods = frozenset[int]().union(
        *(
            listing.versions
            for listing in listings
            if _EVERYWHERE in listing.namespaces
            and len(listing.namespaces) > 1
            and not listing.common_labels
        )
    )
    of_nodes = frozenset[int]()
    if mentioned - {None} <= known:
        of_nodes = of_nodes.union(
            *(_of_nodes(found, has_pods=bool(of_pods)) for found in all_found)
        )
    by_rules = by_lists = frozenset[int]()
    if not _has_others(services, endpoints, rules):
        by_rules = by_rules.union(*(found.ruled for found in all_found))
        # Lists may have been filtered: one of endpoints must be of the same services.
        if any(map(_is_of_all_endpoints, all_found)):
            by_lists = by_lists.union(*map(_of_services, all_found))
    return Extent(by_lists, by_rules, of_pods, of_nodes)


def _of_nodes(found: Found, *, has_pods: bool) -> frozenset[int]:
    """Take a listing of nodes for whole; a single one only if pods are on no other."""
    is_whole = found.is_listing and (len(found.nodes) > 1 or has_pods)
    if not is_whole or not found.nodes or found.remarks:
        return frozenset()
    return _versions(found, (node.internal_ips for node in found.nodes))


def _of_services(found: Found) -> frozenset[int]:
    names = {(service.namespace, service.name) for service in found.services}
    if not _is_of_all(found, names):
        return frozenset()
    own = (service.cluster_ips for service in found.services if service.cluster_ips)
    return _versions(found, own)


def _is_of_all_endpoints(found: Found) -> bool:
    return _is_of_all(
        found, {(namespace, name) for namespace, name, _ in found.complete}
    )


def _is_of_all(found: Found, names: set[tuple[str, str]]) -> bool:
    """Take a listing of services or endpoints for that of all namespaces."""
    is_across = not found.structured or len({namespace for namespace, _ in names}) > 1
    return (
        found.is_listing
        and found.has_namespaces
        and is_across
        and _API_SERVER in names
        and not found.remarks
    )


def _has_others(
    services: Sequence[Service],
    endpoints: Sequence[Endpoint],
    rules: Sequence[ProxyRule],
) -> bool:
    """Tell whether endpoints or rules are about services that no list has."""
    names = {(service.namespace, service.name) for service in services}
    if any((item.namespace, item.service) not in names for item in endpoints):
        return True
    fronts: set[tuple[str | None, int, str]] = set()
    for service in services:
        for port in service.ports:
            fronts.update(
                (ip, port.port, port.protocol)
                for ip in service.cluster_ips + service.external_ips
            )
            if port.node_port:
                fronts.add((None, port.node_port, port.protocol))
    return any(
        (rule.address, rule.port, rule.protocol) not in fronts
        and (None, rule.port, rule.protocol) not in fronts
        for rule in rules
        if rule.service is None
    )
