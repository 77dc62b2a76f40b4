"""What many files say, brought together into one cluster.

The same pod may stand in ``pods.json``, in a pasted table and in a later snapshot.
Objects of one name with other addresses (a service that was made anew) stay apart.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, TypeVar

from analyzer.cluster.combine import each_once
from analyzer.cluster.endpoints import endpoints_of_all, is_complete
from analyzer.cluster.extent import extent
from analyzer.cluster.found import UNTOLD, Found
from analyzer.cluster.hosts import (
    host_of,
    hosts_of_rules,
    name_hosts_of_pods,
    tunnel_ends,
    with_hosts,
)
from analyzer.cluster.model import (
    PHASES,
    Endpoint,
    Extent,
    Interface,
    Node,
    Pod,
    ProxyRule,
    Service,
)
from analyzer.cluster.proxy_rules import in_order_of_time, latest, with_services
from analyzer.cluster.proxy_services import endpoints_of, services_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import polars as pl

_Named = TypeVar("_Named", Pod, Service)

_TYPES = ("ExternalName", "ClusterIP", "NodePort", "LoadBalancer")


@dataclasses.dataclass(frozen=True, slots=True)
class Merged:
    """Each object once, in a fixed order."""

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    services: tuple[Service, ...]
    endpoints: tuple[Endpoint, ...]
    interfaces: tuple[Interface, ...]
    rules: tuple[ProxyRule, ...]
    conntrack: pl.DataFrame | None
    extent: Extent


def merge(all_found: Sequence[Found]) -> Merged:
    """Bring together what the parts of all files say.

    Parameters
    ----------
    all_found : sequence of Found
        A remark is added to those of which something cannot be placed.

    Returns
    -------
    Merged
    """
    told = [(found.structured, node) for found in all_found for node in found.nodes]
    nodes = listed = each_once(told, lambda node: node.name)
    name_hosts_of_pods(all_found, nodes)
    interfaces = with_hosts(all_found, nodes)
    told += [(False, node) for node in tunnel_ends(interfaces)]
    nodes = each_once(told, lambda node: node.name)
    names = {node.name for node in listed}
    told += [
        (False, node)
        for node in hosts_of_rules(all_found, nodes)
        if not names or node.name in names  # else kubectl's list is without it
    ]
    nodes = each_once(told, lambda node: node.name)
    pods = _on_nodes(
        _merged(
            [
                (found.structured, pod)
                for found in all_found
                for pod in _with_host_network(found)
            ],
            lambda pod: pod.ips,
            lambda pod: PHASES.index(pod.phase or "Unknown"),
        ),
        nodes,
    )
    rules = in_order_of_time(
        (host_of(found, found.own_addresses, nodes), ruleset)
        for found in all_found
        for ruleset in found.rulesets
    )
    services = _merged(
        [(found.structured, item) for found in all_found for item in found.services]
        + [(False, service) for service in services_of(rules)],
        lambda service: service.cluster_ips,
        lambda service: _TYPES.index(service.type) if service.type in _TYPES else -1,
    )
    rules = with_services(rules, services, nodes)
    told_by_rules = Found("", 0, "rules")
    told_by_rules.endpoints, told_by_rules.complete = endpoints_of(
        rules, {node.name for node in nodes}
    )
    endpoints, complete = endpoints_of_all(
        [*all_found, told_by_rules], services, pods, nodes
    )
    services = tuple(
        dataclasses.replace(service, endpoints_known=is_complete(service, complete))
        for service in services
    )
    kept = latest(rules)
    return Merged(
        nodes,
        pods,
        services,
        endpoints,
        interfaces,
        kept,
        _conntrack(all_found, nodes),
        dataclasses.replace(
            extent(all_found, nodes, pods, services, endpoints, kept),
            endpoints=frozenset(complete),
        ),
    )


def _conntrack(
    all_found: Sequence[Found], nodes: Sequence[Node]
) -> pl.DataFrame | None:
    from analyzer.cluster.conntrack_entries import entries

    told = [
        (host_of(found, found.own_addresses, nodes), found.conntrack)
        for found in all_found
        if found.conntrack is not None
    ]
    return entries(told) if told else None


def _merged(
    observed: Sequence[tuple[bool, _Named]],
    addresses: Callable[[_Named], tuple[str, ...]],
    progress: Callable[[_Named], int],
) -> tuple[_Named, ...]:
    """Combine observations of one namespace, name and address.

    Of what has two addresses, some observations have only the one or the other. One
    without an address (a pending pod) is taken for the first of its name.
    """
    observed = _with_namespaces(observed, addresses)
    keys: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for _, thing in observed:
        _join(keys[thing.namespace, thing.name], addresses(thing))

    def key(thing: _Named) -> tuple[str, str, str]:
        known = keys[thing.namespace, thing.name]
        own = addresses(thing)[:1]
        return thing.namespace, thing.name, known[own[0]] if own else _first(known)

    return each_once(observed, key, progress)


def _join(keys: dict[str, str], own: tuple[str, ...]) -> None:
    """Take addresses that were seen together for those of one object."""
    known = {keys[ip] for ip in own if ip in keys}
    for ip in [*own, *(ip for ip, key in keys.items() if key in known)]:
        keys[ip] = min(known.union(own[:1]))


def _first(keys: dict[str, str]) -> str:
    return min(keys.values(), default="")


def _with_namespaces(
    observed: Iterable[tuple[bool, _Named]],
    addresses: Callable[[_Named], tuple[str, ...]],
) -> list[tuple[bool, _Named]]:
    """Give namespaces to rows of tables that have no such column.

    It is that of the one object with this name and address, if another file tells it,
    else kubectl's default.
    """
    told = defaultdict(list)
    for _, thing in observed:
        if thing.namespace != UNTOLD:
            told[thing.name].append(thing)
    result = []
    for structured, thing in observed:
        if thing.namespace != UNTOLD:
            result.append((structured, thing))
            continue
        own = set(addresses(thing))
        namespaces = {
            other.namespace
            for other in told[thing.name]
            if not own or not addresses(other) or own.intersection(addresses(other))
        }
        namespace = namespaces.pop() if len(namespaces) == 1 else "default"
        result.append((structured, dataclasses.replace(thing, namespace=namespace)))
    return result


def _with_host_network(found: Found) -> Sequence[Pod]:
    """Recognise pods on the host network: in one table they share an address."""
    if found.structured:
        return found.pods  # it says so itself
    holders = Counter(
        (ip, pod.node) for pod in found.pods if not pod.is_finished for ip in pod.ips
    )
    return [
        dataclasses.replace(pod, host_network=True)
        if not pod.is_finished and any(holders[ip, pod.node] > 1 for ip in pod.ips)
        else pod
        for pod in found.pods
    ]


def _on_nodes(pods: Iterable[Pod], nodes: Iterable[Node]) -> tuple[Pod, ...]:
    """Recognise pods on the host network by their addresses."""
    owners = {address: node.name for node in nodes for address in node.internal_ips}
    result = []
    for pod in pods:
        owner = next((owners[ip] for ip in pod.ips if ip in owners), None)
        if owner is not None:
            node = pod.node or owner
            pod = dataclasses.replace(pod, host_network=True, node=node)
        result.append(pod)
    return tuple(result)
