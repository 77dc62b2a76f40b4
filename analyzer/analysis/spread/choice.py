"""How a proxy chooses backends, as its rules say or as the cluster's objects do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from analyzer.cluster import Cluster, Endpoint, ProxyRule, Service

Told = Literal["rules", "endpoints", "seen"]

#: Where hints keep calls: on a ``node``, in a ``zone``; None if nobody knows which.
_Place = tuple[str, str | None]

#: ipvs's schedulers that give every backend its turn.
ROUND_ROBIN = frozenset({"rr", "wrr"})
#: Those that look at how busy backends are, or at the client: not a chance of draws.
_NOT_BY_CHANCE = frozenset(
    {"lc", "wlc", "lblc", "lblcr", "sh", "dh", "mh", "sed", "nq"}
)


@dataclass(frozen=True)
class Front:
    """What decides which backends a call may get.

    Parameters
    ----------
    namespace, service, port_name : str, optional
        The service's port; None without a service's name.
    kind : str, optional
        ClusterIP, NodePort or LoadBalancer.
    entry_node : str, optional
        Where it is translated.
    is_outside : bool
        Whether the client is no part of the cluster.
    is_v6 : bool
    """

    namespace: str | None
    service: str | None
    port_name: str | None
    kind: str | None
    entry_node: str | None
    is_outside: bool
    is_v6: bool


@dataclass(frozen=True)
class Choice:
    """The backends that a call may get, and how probable each is.

    Parameters
    ----------
    probabilities : dict of str to float
        By the backend's name.
    told_by : str
        ``rules`` of the proxy, ``endpoints`` of the service, or ``seen``: those that
        answered.
    proxy : str, optional
        iptables, nftables or ipvs, where rules are known.
    scheduler : str, optional
        Of ipvs.
    affinity : bool
        Whether a client stays with its backend.
    is_local : bool
        Whether only backends on the entry node are chosen from.
    kept_in : str, optional
        ``node`` or ``zone``, if only backends that are meant for the entry node, or for
        its zone, are chosen from.
    """

    probabilities: dict[str, float]
    told_by: Told
    proxy: str | None = None
    scheduler: str | None = None
    affinity: bool = False
    is_local: bool = False
    kept_in: str | None = None

    @property
    def is_by_chance(self) -> bool:
        """Whether each backend's share is known, be it by turns."""
        return self.scheduler not in _NOT_BY_CHANCE


class Proxies:
    """What is known of the proxies' choices.

    Parameters
    ----------
    cluster : Cluster, optional
    """

    def __init__(self, cluster: Cluster | None) -> None:
        self._cluster = cluster
        self._rules: dict[tuple[str | None, str | None], list[ProxyRule]] = {}
        self._services: dict[tuple[str, str], Service] = {}
        self._zones: dict[str, str] = {}
        self._names: dict[tuple[str, int | None], str] = {}
        if cluster is None:
            return
        self._zones = {node.name: node.zone for node in cluster.nodes if node.zone}
        for pod in cluster.pods:
            if not pod.host_network and not pod.is_finished:
                self._names |= {(ip, None): pod.name for ip in pod.ips}
        for each in cluster.endpoints:
            if each.pod is not None:
                self._names[each.address, each.port] = each.pod
        for rule in cluster.rules:
            key = (rule.namespace, rule.service)
            self._rules.setdefault(key, []).append(rule)
        for service in cluster.services:
            self._services[service.namespace, service.name] = service

    @property
    def are_told(self) -> bool:
        """Whether there is any cluster state."""
        return self._cluster is not None

    def choice(self, front: Front) -> Choice | None:
        """Say how a proxy chooses for a front; None if nothing tells."""
        return self._by_rules(front) or self._by_endpoints(front)

    def endpoints(self, namespace: str, service: str) -> tuple[Endpoint, ...]:
        """List the ready endpoints of a service, as far as they are all known."""
        known = self._services.get((namespace, service))
        if self._cluster is None or known is None:
            return ()
        return tuple(
            each for each in self._cluster.endpoints_of(known) or () if each.ready
        )

    def is_without_endpoints(self, namespace: str, service: str) -> bool:
        """Tell if a service is known to have no ready endpoint."""
        known = self._services.get((namespace, service))
        return (
            known is not None
            and known.endpoints_known
            and not self.endpoints(namespace, service)
        )

    def backend_names(self, front_service: tuple[str, str]) -> dict[str, str | None]:
        """Name the backends that a service has by endpoints or rules, with nodes."""
        named: dict[str, str | None] = {
            self.name(each.address, each.port, each.pod): each.node
            for each in self.endpoints(*front_service)
        }
        for rule in self._rules.get(front_service, ()):
            for backend in rule.backends or ():
                name = self.name(backend.address, backend.port)
                named.setdefault(name, self._node_of(backend.address))
        return named

    def name(self, address: str, port: int | None, pod: str | None = None) -> str:
        """Name a backend as connections do: its pod, else its address and port."""
        if pod is not None:
            return pod
        named = self._names.get((address, port)) or self._names.get((address, None))
        if named is not None:
            return named
        host = f"[{address}]" if ":" in address else address
        return host if port is None else f"{host}:{port}"

    def _node_of(self, address: str) -> str | None:
        return self._cluster.node_of(address) if self._cluster else None

    def _by_rules(self, front: Front) -> Choice | None:
        fitting = [
            rule
            for rule in self._rules.get((front.namespace, front.service), ())
            if rule.backends
            and rule.port_name == front.port_name
            and (rule.ip_version == 6) == front.is_v6
        ]
        if front.service is None or not fitting:
            return None
        wanted = "local" if front.is_outside else "cluster"
        is_local = any(rule.scope == wanted for rule in fitting) and wanted == "local"
        is_local |= all(rule.scope == "local" for rule in fitting)
        if is_local:
            if front.entry_node is None:
                return None
            fitting = [rule for rule in fitting if rule.node == front.entry_node]
        scope = "local" if is_local else "cluster"
        fitting = [rule for rule in fitting if rule.scope == scope]
        if not fitting:
            return None
        place = None if is_local else self._place(front, front.entry_node)
        if not is_local:
            # Where hints keep calls elsewhere, rules are others.
            fitting = [
                rule
                for rule in fitting
                if (rule.node is not None and rule.node == front.entry_node)
                or (_is_known(place) and self._place(front, rule.node) == place)
            ]
            if not fitting:
                return None
        # The nodes' rules are alike; the entry node's own are the ones that count.
        rule = min(
            fitting,
            key=lambda each: (each.node != front.entry_node, each.kind != front.kind),
        )
        probabilities: dict[str, float] = defaultdict(float)
        for backend in rule.backends or ():
            name = self.name(backend.address, backend.port)
            probabilities[name] += backend.probability
        return Choice(
            _scaled(probabilities),
            "rules",
            rule.proxy,
            rule.scheduler,
            rule.affinity,
            is_local,
            place[0] if place and place[1] else None,
        )

    def _by_endpoints(self, front: Front) -> Choice | None:
        if front.service is None or front.namespace is None:
            return None
        service = self._services.get((front.namespace, front.service))
        if service is None:
            return None
        fitting = [
            each
            for each in self.endpoints(front.namespace, front.service)
            if (":" in each.address) == front.is_v6
            and front.port_name in (None, each.port_name)
        ]
        policy = (
            service.external_traffic_policy
            if front.kind != "ClusterIP" and front.is_outside
            else service.internal_traffic_policy
            if front.kind == "ClusterIP"
            else None
        )
        is_local = policy == "Local"
        if is_local:
            fitting = [each for each in fitting if each.node == front.entry_node]
        place = None if is_local else self._place(front, front.entry_node)
        if not _is_known(place):
            return None
        if place is not None:
            fitting = [each for each in fitting if _is_meant_for(each, place)]
        names = {self.name(each.address, each.port, each.pod) for each in fitting}
        if not names:
            return None
        return Choice(
            dict.fromkeys(sorted(names), 1 / len(names)),
            "endpoints",
            affinity=service.session_affinity == "ClientIP",
            is_local=is_local,
            kept_in=place[0] if place else None,
        )

    def _place(self, front: Front, node: str | None) -> _Place | None:
        """Tell where hints keep a front's calls that a node takes; None if nowhere.

        kube-proxy looks at hints only if all endpoints that are ready have them, and
        one is for its node, or else for its zone (``pkg/proxy/topology.go``).
        """
        if front.namespace is None or front.service is None:
            return None
        ready = [
            each
            for each in self.endpoints(front.namespace, front.service)
            if (":" in each.address) == front.is_v6
        ]
        for place in (("node", node), ("zone", self._zones.get(node or ""))):
            are_all_hinted = all(_meant_for(each, place[0]) for each in ready)
            is_any_for_it = any(_is_meant_for(each, place) for each in ready)
            if ready and are_all_hinted and (is_any_for_it or not _is_known(place)):
                return place
        return None


def _is_known(place: _Place | None) -> bool:
    return place is None or place[1] is not None


def _is_meant_for(endpoint: Endpoint, place: _Place) -> bool:
    return place[1] in _meant_for(endpoint, place[0])


def _meant_for(endpoint: Endpoint, kind: str) -> tuple[str, ...]:
    return endpoint.for_nodes if kind == "node" else endpoint.for_zones


def _scaled(probabilities: dict[str, float]) -> dict[str, float]:
    """Make probabilities add up; rules write them with less than all their digits."""
    rounded = {name: round(value, 6) for name, value in sorted(probabilities.items())}
    total = sum(rounded.values())
    return {name: value / total for name, value in rounded.items()}
