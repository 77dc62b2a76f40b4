"""Services and endpoints as kube-proxy's rules tell them, also without kubectl."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from analyzer.cluster.model import Endpoint, Service, ServicePort

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from analyzer.cluster.model import ProxyRule

_Told = tuple[str, str, int]  # a service's namespace and name, an IP version
_PortTold = tuple[_Told, str, str | None]
_Port = tuple[str, str | None]  # protocol and name, which tell a service's ports apart


def services_of(rules: Iterable[ProxyRule]) -> Iterator[Service]:
    """Describe the services that rules name.

    Parameters
    ----------
    rules : iterable of ProxyRule
        Of any nodes.

    Yields
    ------
    Service
        As far as each node's rules tell it; addresses of IPv4 and IPv6 are one
        service's unless it has had several of either.
    """
    by_service: dict[tuple[str | None, str, str], list[ProxyRule]] = defaultdict(list)
    for rule in rules:
        if rule.namespace is not None and rule.service is not None:
            by_service[rule.node, rule.namespace, rule.service].append(rule)
    for own in by_service.values():
        for cluster_ips in _alternatives(own):
            yield _service(own, cluster_ips)


def _alternatives(rules: Iterable[ProxyRule]) -> list[tuple[str, ...]]:
    """Give the cluster IPs of each service that had the name."""
    ips: dict[int, dict[str, None]] = {4: {}, 6: {}}
    for rule in rules:
        if rule.kind == "ClusterIP" and rule.address is not None:
            ips[rule.ip_version][rule.address] = None
    if len(ips[4]) < 2 and len(ips[6]) < 2:
        return [(*ips[4], *ips[6])]
    return [(ip,) for version in (4, 6) for ip in ips[version]]


def _service(rules: Sequence[ProxyRule], cluster_ips: tuple[str, ...]) -> Service:
    first = rules[0]
    at_front = [
        rule for rule in rules if rule.address in cluster_ips or not cluster_ips
    ]
    numbers = {
        (rule.protocol, rule.port_name, rule.port)
        for rule in at_front
        if rule.kind != "NodePort"
    }
    node_ports: dict[_Port, int] = {}
    targets: dict[_Port, set[int | None]] = defaultdict(set)
    for rule in rules:
        port = (rule.protocol, rule.port_name)
        targets[port].update(backend.port for backend in rule.backends or ())
        if rule.kind == "NodePort":
            node_ports[port] = rule.port
    external = [rule for rule in rules if rule.kind in ("LoadBalancer", "NodePort")]
    external_ips = [
        rule.address
        for rule in external
        if rule.address is not None
        and (rule.protocol, rule.port_name, rule.port) in numbers
    ]
    return Service(
        namespace=first.namespace or "",
        name=first.service or "",
        type="ClusterIP"
        if not node_ports
        else "LoadBalancer"
        if external_ips
        else "NodePort",
        cluster_ips=cluster_ips,
        external_ips=tuple(dict.fromkeys(external_ips)),
        ports=tuple(
            ServicePort(
                protocol,
                number,
                name,
                _only(targets[protocol, name]),
                node_ports.get((protocol, name)),
            )
            for protocol, name, number in sorted(
                numbers, key=lambda port: (port[2], port[0], port[1] or "")
            )
        ),
        external_traffic_policy=_policy(external),
        internal_traffic_policy=_policy(
            rule for rule in at_front if rule.kind == "ClusterIP"
        ),
        session_affinity="ClientIP" if any(rule.affinity for rule in rules) else None,
    )


def _only(ports: set[int | None]) -> int | None:
    return next(iter(ports)) if len(ports) == 1 else None


def _policy(rules: Iterable[ProxyRule]) -> str | None:
    """Tell a traffic policy; a rule that refuses says nothing about it."""
    scopes = {rule.scope for rule in rules if rule.backends or rule.scope == "local"}
    if not scopes:
        return None
    return "Local" if "local" in scopes else "Cluster"


def endpoints_of(
    rules: Iterable[ProxyRule], nodes: Collection[str]
) -> tuple[list[Endpoint], set[_Told]]:
    """List the endpoints that rules lead to.

    Parameters
    ----------
    rules : iterable of ProxyRule
        Of any nodes and times: what was an endpoint once is listed.
    nodes : collection of str
        Names of nodes; another one, told by a file's name, may be none.

    Returns
    -------
    list of Endpoint
    set of (str, str, int)
        Namespaces, names and IP versions of the services all of whose endpoints are
        there.
    """
    endpoints: dict[Endpoint, None] = {}
    whole: set[_PortTold] = set()
    every: set[_PortTold] = set()
    for rule in rules:
        if rule.namespace is None or rule.service is None:
            continue
        told: _Told = (rule.namespace, rule.service, rule.ip_version)
        port = (told, rule.protocol, rule.port_name)
        every.add(port)
        if rule.scope == "cluster" and rule.backends is not None:
            whole.add(port)
        # ipvs's rules do not say that they are only about the node's own endpoints.
        is_here = rule.scope == "local" and rule.proxy != "ipvs" and rule.node in nodes
        for backend in rule.backends or ():
            endpoint = Endpoint(
                namespace=rule.namespace,
                service=rule.service,
                address=backend.address,
                port=backend.port,
                protocol=rule.protocol,
                port_name=rule.port_name,
                node=rule.node if is_here else None,
            )
            endpoints[endpoint] = None
    in_part = {told for told, *_ in every - whole}
    return list(endpoints), {told for told, *_ in every} - in_part
