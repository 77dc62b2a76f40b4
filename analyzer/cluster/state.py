"""The cluster as far as it was told, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from analyzer.cluster import tabulate
from analyzer.cluster.lookup import AddressIndex
from analyzer.cluster.model import Extent

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import datetime

    import polars as pl

    from analyzer.cluster.model import (
        Endpoint,
        Interface,
        Node,
        Pod,
        ProxyRule,
        Service,
        ServiceKind,
        Source,
    )

_CLOCKS_APART = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes, pods, services and endpoints, and names for their addresses.

    Two clusters are equal if they hold the same objects, whatever files told them.

    Parameters
    ----------
    nodes, pods, services, endpoints, interfaces : tuple
        Each object once, sorted; see :mod:`analyzer.cluster.model`.
    rules : tuple of ProxyRule
        What kube-proxy's rules say on the nodes whose rules were told.
    conntrack : pl.DataFrame, optional
        Connection tracking entries: see :meth:`conntrack_table`. They do not count
        when clusters are compared.
    extent : Extent
        What of it is known to be all there is; it does not count, either.
    sources : tuple of Source
        What each part of each file was taken for, and what was not understood.
    """

    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    rules: tuple[ProxyRule, ...] = ()
    conntrack: pl.DataFrame | None = field(default=None, compare=False, repr=False)
    extent: Extent = field(default=Extent(), compare=False, repr=False)
    sources: tuple[Source, ...] = field(default=(), compare=False, repr=False)
    _index: AddressIndex = field(init=False, compare=False, repr=False)
    _endpoints: dict[tuple[str, str], list[Endpoint]] = field(
        init=False, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        index = AddressIndex(self.nodes, self.pods, self.services, self.interfaces)
        endpoints: dict[tuple[str, str], list[Endpoint]] = {}
        for endpoint in self.endpoints:
            key = (endpoint.namespace, endpoint.service)
            endpoints.setdefault(key, []).append(endpoint)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_endpoints", endpoints)

    @classmethod
    def load(cls, paths: Iterable[str | os.PathLike[str]]) -> Cluster:
        """Read cluster state from files and directories.

        Parameters
        ----------
        paths : iterable of path
            Files, and directories of them at any depth, named anyhow: ``kubectl get``
            as JSON, YAML or text, ``ip addr`` and ``nft list ruleset`` as JSON or text,
            ``iptables-save``, ``ipvsadm``, ``conntrack``, terminal sessions and
            Markdown pages that quote them. Hidden files are skipped.

        Returns
        -------
        Cluster
            It does not depend on the order of the files.

        Raises
        ------
        ClusterError
            If a file cannot be read or breaks off. What is merely not understood
            stands in ``sources``.

        Notes
        -----
        Rows of tables without a NAMESPACE column belong to the namespace of the
        command above them (``-n NAME``), else to that of the object with the same name
        and address in another file, else to ``default``.

        What a node's commands print is the node's that it names itself (``ip addr``,
        ``nft``), else that of the shell prompt above it (or of kube-proxy's pod, into
        which ``kubectl exec`` went), else that of the file's name
        (``NODE.something.txt``) or directory.
        """
        from analyzer.cluster.load import find
        from analyzer.cluster.merge import merge

        found = find(paths)
        merged = merge(found)
        return cls(
            merged.nodes,
            merged.pods,
            merged.services,
            merged.endpoints,
            merged.interfaces,
            merged.rules,
            merged.conntrack,
            merged.extent,
            sources=tuple(part.source() for part in found),
        )

    def as_of(self, time: datetime) -> Cluster:
        """Leave out pods that were started later: others had their addresses before.

        Neither all pods of that time are known then, nor all that was behind their
        services, nor how the proxy chose from it. Clocks may differ by a minute.
        """
        late = {
            pod
            for pod in self.pods
            if pod.start_time is not None and pod.start_time > time + _CLOCKS_APART
        }
        if not late:
            return self
        names = {(pod.namespace, pod.name) for pod in late}
        addresses = {ip for pod in late if not pod.host_network for ip in pod.ips}
        gone = {
            each
            for each in self.endpoints
            if each.address in addresses or (each.namespace, each.pod) in names
        }
        changed = {(each.namespace, each.service) for each in gone}
        return replace(
            self,
            pods=tuple(pod for pod in self.pods if pod not in late),
            services=tuple(
                replace(each, endpoints_known=False)
                if (each.namespace, each.name) in changed
                else each
                for each in self.services
            ),
            endpoints=tuple(each for each in self.endpoints if each not in gone),
            rules=tuple(
                each
                for each in self.rules
                if all(to.address not in addresses for to in each.backends or ())
            ),
            extent=replace(
                self.extent,
                pods=frozenset(),
                endpoints=frozenset(
                    (namespace, name, version)
                    for namespace, name, version in self.extent.endpoints
                    if (namespace, name) not in changed
                ),
            ),
        )

    def name_of(self, ip: str) -> str | None:
        """Name the pod or node that has an address.

        Returns
        -------
        str or None
            None if nobody is known to have it, or several pods are. An address of pods
            on the host network is the node's; that of a pod that has ended is its
            own until another pod runs with it.
        """
        whose = self._index.address(ip)
        return None if whose is None or whose.kind == "service" else whose.name

    def node_of(self, ip: str) -> str | None:
        """Name the node of an address: its own, its tunnel's, a pod's or a block's."""
        return self._index.node_of(ip)

    def services_at(
        self, ip: str, port: int, protocol: str
    ) -> tuple[tuple[Service, ServiceKind | None], ...]:
        """Find the services that answer at an address, port and protocol.

        Returns
        -------
        tuple of (Service, str)
            Each with what the address is to it: ``ClusterIP``, ``LoadBalancer`` (an
            external IP) or ``NodePort`` (any node's own address); None if only
            packets told of it. Several if
            services had the port at different times; the files do not say when.
        """
        return self._index.services_at(ip, port, protocol)

    def endpoints_of(self, service: Service) -> tuple[Endpoint, ...] | None:
        """List a service's endpoints; None if they are not all known."""
        if not service.endpoints_known:
            return None
        return tuple(self._endpoints.get((service.namespace, service.name), ()))

    def interface_names(self) -> dict[str, dict[int, str]]:
        """Give the names of each host's interfaces by their index."""
        names: dict[str, dict[int, str]] = {}
        for interface in self.interfaces:
            names.setdefault(interface.node, {})[interface.index] = interface.name
        return names

    def address_table(self) -> pl.DataFrame:
        """Tabulate whose each address is.

        Returns
        -------
        pl.DataFrame
            One row per address, sorted: ``address`` (str), ``kind`` (str: node,
            tunnel, pod or service), ``name``, ``namespace``, ``node``, ``workload``
            (str, null where not known or where its holders disagree).
        """
        return tabulate.address_table(self._index.addresses.values())

    def service_table(self) -> pl.DataFrame:
        """Tabulate where services answer.

        Returns
        -------
        pl.DataFrame
            One row per address, port, protocol and service, sorted: ``address``
            (str), ``port`` (u16), ``protocol`` (str), ``kind`` (str: ClusterIP,
            LoadBalancer or NodePort; null if only packets told), ``service_namespace``,
            ``service_name``, ``service_port_name`` (str).

        Notes
        -----
        An address, port and protocol may stand in several rows: see
        :meth:`services_at`.
        """
        return tabulate.service_table(self._index)

    def endpoint_table(self) -> pl.DataFrame:
        """Tabulate what is behind services.

        Returns
        -------
        pl.DataFrame
            One row per service, port and endpoint, sorted: ``service_namespace``,
            ``service_name``, ``service_port_name``, ``protocol`` (str), ``port`` (u16,
            the service's), ``backend_ip`` (str), ``backend_port`` (u16),
            ``backend_node``, ``backend_pod`` (str), ``is_ready`` (bool); null where
            not known.

        Notes
        -----
        They are as listed by kubectl and by kube-proxy's rules, of whatever time; for
        services that neither lists, the pods that the selector fits. None being there
        means nothing unless :meth:`services_with_known_endpoints` has the service.
        """
        return tabulate.endpoint_table(self.endpoints, self.services)

    def services_with_known_endpoints(self) -> set[tuple[str, str]]:
        """Give namespace and name of each service all of whose endpoints are known."""
        return {
            (service.namespace, service.name)
            for service in self.services
            if service.endpoints_known
        }

    def rule_table(self) -> pl.DataFrame:
        """Tabulate what kube-proxy's rules send where.

        Returns
        -------
        pl.DataFrame
            One row per node, address, port, protocol, service, scope and backend,
            sorted: ``node`` (str, null if not known), ``proxy`` (str: iptables,
            nftables or ipvs), ``address`` (str, null for a NodePort, which all
            addresses of the node have), ``port`` (u16), ``protocol`` (str), ``kind``
            (str: ClusterIP, NodePort or LoadBalancer; null if not known),
            ``service_namespace``, ``service_name``, ``service_port_name`` (str, null
            if not known), ``scope`` (str: cluster, or local if only the node's own
            endpoints are chosen from), ``affinity`` (bool: a client stays with its
            backend), ``scheduler`` (str, of ipvs), ``backend_ip`` (str, null where
            calls are refused), ``backend_port`` (u16), ``probability`` (f64, of a
            new client to get that backend).

        Notes
        -----
        With ``externalTrafficPolicy: Local`` an address stands there twice, with
        either scope: pods and the node itself may be sent to any endpoint. The
        probabilities add up to one for each scope.

        Rules whose chains were cut off are left out.
        """
        return tabulate.rule_table(self.rules)

    def conntrack_table(self) -> pl.DataFrame:
        """Tabulate the connection tracking entries of the nodes.

        Returns
        -------
        pl.DataFrame
            One row per entry and node, sorted by time: ``node`` (str, null if not
            known), ``protocol`` (str), ``src_ip``, ``src_port``, ``dst_ip``,
            ``dst_port`` (str, u16: as they came to the node), ``reply_src_ip``,
            ``reply_src_port``, ``reply_dst_ip``, ``reply_dst_port`` (what the answer
            is expected to have), ``icmp_id``, ``reply_icmp_id`` (u16, null for others;
            SNAT may change it), ``start_time``, ``end_time`` (datetime[ns, UTC], null
            if not told), ``is_replied`` (bool).

        Notes
        -----
        ``start_time`` is that of the first event, else what ``-o ktimestamp`` says,
        which is cut to the second. The latter is in the node's time zone, which only
        events tell: without those of any node it is not known, and null.
        """
        from analyzer.cluster.conntrack_entries import no_entries

        return no_entries() if self.conntrack is None else self.conntrack
