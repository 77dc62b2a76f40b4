"""The rules of all nodes, brought together and given the services' names.

Two dumps of one node may differ. The later one counts for an address and port that both
have; what only the earlier one has is kept, as services that existed. Which one is
later, nftables and ipvs do not say: then it is the one whose file is sorted last.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.cluster.found import Ruleset
    from analyzer.cluster.model import (
        ProxyRule,
        Service,
        ServiceKind,
        ServicePort,
    )

    _Candidate = tuple[Service, ServicePort, ServiceKind]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def in_order_of_time(
    told: Iterable[tuple[str | None, Ruleset]],
) -> list[ProxyRule]:
    """List the rules of all dumps, each with its node.

    Parameters
    ----------
    told : iterable of (str or None, Ruleset)
        A node and its rules, in the order of files.
    """
    in_order = sorted(told, key=lambda item: item[1].time or _LONG_AGO)
    return [
        replace(rule, node=node) for node, ruleset in in_order for rule in ruleset.rules
    ]


def latest(rules: Iterable[ProxyRule]) -> tuple[ProxyRule, ...]:
    """Keep the last rule for each node, address, port, service and scope, sorted."""
    kept = {_front(rule): rule for rule in rules}
    return tuple(kept[key] for key in sorted(kept, key=_sortable))


def _front(rule: ProxyRule) -> tuple[object, ...]:
    return (
        rule.node,
        rule.proxy,
        rule.ip_version,
        rule.address,
        rule.port,
        rule.protocol,
        rule.kind,
        rule.namespace,
        rule.service,
        rule.port_name,
        rule.scope,
    )


def _sortable(key: tuple[object, ...]) -> tuple[tuple[bool, object], ...]:
    return tuple((item is None, "" if item is None else item) for item in key)


def with_services(
    rules: Iterable[ProxyRule], services: Iterable[Service]
) -> list[ProxyRule]:
    """Name the services of rules that do not: ipvs's, and refusals of nftables.

    Parameters
    ----------
    rules : iterable of ProxyRule
    services : iterable of Service
        As far as they are known.

    Returns
    -------
    list of ProxyRule
        Unchanged if no service or more than one has the address and port.
    """
    fronts: dict[tuple[str, int, str], list[_Candidate]] = defaultdict(list)
    node_ports: dict[tuple[int, str], list[_Candidate]] = defaultdict(list)
    addresses: set[str | None] = set()
    for service in services:
        addresses.update(service.cluster_ips + service.external_ips)
        for port in service.ports:
            for ip in service.cluster_ips:
                socket = (ip, port.port, port.protocol)
                fronts[socket].append((service, port, "ClusterIP"))
            for ip in service.external_ips:
                socket = (ip, port.port, port.protocol)
                fronts[socket].append((service, port, "LoadBalancer"))
            if port.node_port:
                at_node = node_ports[port.node_port, port.protocol]
                at_node.append((service, port, "NodePort"))

    def named(rule: ProxyRule) -> ProxyRule:
        if rule.service is not None:
            return rule
        if rule.address in addresses:
            found = fronts[rule.address or "", rule.port, rule.protocol]
        else:
            found = node_ports[rule.port, rule.protocol]
        if len(found) != 1:
            return rule
        service, port, kind = found[0]
        is_local = (
            service.internal_traffic_policy == "Local"
            if kind == "ClusterIP"
            else service.external_traffic_policy == "Local"
        )
        return replace(
            rule,
            kind=kind,
            namespace=service.namespace,
            service=service.name,
            port_name=port.name,
            scope="local" if is_local and rule.proxy == "ipvs" else rule.scope,
        )

    return [named(rule) for rule in rules]
