"""What a cluster consists of, as far as it was told.

All of it is immutable. Addresses are canonical text (RFC 5952 for IPv6), protocols are
written as in the tables (``tcp``, ``udp``, ``sctp``), and what is not known is None or
an empty tuple.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

ServiceKind = Literal["ClusterIP", "NodePort", "LoadBalancer"]
ProxyMode = Literal["iptables", "nftables", "ipvs"]

#: Type of a service that packets tell: what its address is to it, they do not.
UNKNOWN_TYPE = "Unknown"
#: Phases in the order in which a pod goes through them.
PHASES = ("Unknown", "Pending", "Running", "Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Node:
    """A node and the addresses that are its own.

    Parameters
    ----------
    name : str
    internal_ips, external_ips : tuple of str
        What Kubernetes calls InternalIP and ExternalIP.
    pod_cidrs : tuple of str
        Blocks that the node's pods get their addresses from.
    tunnel_ips : tuple of str
        Addresses of its overlay devices (``vxlan.calico``, ``flannel.1``, ``tunl0``).
    vtep_mac : str, optional
        MAC address of its VXLAN device, which inner frames carry.
    zone : str, optional
        Of its label ``topology.kubernetes.io/zone``.
    """

    name: str
    internal_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()
    tunnel_ips: tuple[str, ...] = ()
    vtep_mac: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of a host, as ``ip addr`` shows it.

    ``index`` is what a Linux cooked capture (SLL2) records instead of the name.
    """

    node: str
    index: int
    name: str
    mac: str | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, running or not.

    Parameters
    ----------
    namespace, name : str
    ips : tuple of str
        One for each address family. Pods on the host network have their node's.
    node : str, optional
    workload : str, optional
        Who made it: ``DaemonSet/nginx-ds``, ``Deployment/coredns``, ``Job/migrate``.
    host_network : bool
    phase : str, optional
        One of ``PHASES``.
    ready : bool, optional
        Whether Services may send traffic to it.
    labels : tuple of (str, str), optional
        None where they were not told, which differs from having none.
    named_ports : tuple of (str, str, int)
        Names of container ports: name, protocol, port.
    start_time, end_time : datetime, optional
        When it was started; when its last container ended.
    """

    namespace: str
    name: str
    ips: tuple[str, ...] = ()
    node: str | None = None
    workload: str | None = None
    host_network: bool = False
    phase: str | None = None
    ready: bool | None = None
    labels: tuple[tuple[str, str], ...] | None = None
    named_ports: tuple[tuple[str, str, int], ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, so that its address may be another pod's by now."""
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a service; ``target_port`` may be the name of a container port."""

    protocol: str
    port: int
    name: str | None = None
    target_port: int | str | None = None
    node_port: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A Service.

    Parameters
    ----------
    namespace, name : str
    type : str
        ClusterIP, NodePort, LoadBalancer or ExternalName, or ``UNKNOWN_TYPE``.
    cluster_ips : tuple of str
        One for each address family; none if it is headless.
    external_ips : tuple of str
        Load balancer addresses and ``spec.externalIPs``: kube-proxy treats them alike.
    external_name : str, optional
        What an ExternalName service stands for.
    ports : tuple of ServicePort
    selector : tuple of (str, str)
    external_traffic_policy, internal_traffic_policy : str, optional
        ``Cluster`` or ``Local``.
    session_affinity : str, optional
        ``None`` or ``ClientIP``.
    endpoints_known : bool
        Whether the cluster's endpoints of this service are all there are, of all IP
        versions that it has. If not, none being listed means nothing.
    """

    namespace: str
    name: str
    type: str = "ClusterIP"
    cluster_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    external_name: str | None = None
    ports: tuple[ServicePort, ...] = ()
    selector: tuple[tuple[str, str], ...] = ()
    external_traffic_policy: str | None = None
    internal_traffic_policy: str | None = None
    session_affinity: str | None = None
    endpoints_known: bool = False

    @property
    def headless(self) -> bool:
        """Whether it has no address of its own, only a name that means its pods."""
        return not self.cluster_ips and self.type != "ExternalName"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address behind a service; without a port it stands for all of them.

    ``for_nodes`` and ``for_zones`` are those whose calls it is meant for (``hints``).
    """

    namespace: str
    service: str
    address: str
    port: int | None = None
    protocol: str | None = None
    port_name: str | None = None
    ready: bool = True
    node: str | None = None
    pod: str | None = None
    for_nodes: tuple[str, ...] = ()
    for_zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend that a proxy's rule may choose, and how probable that is."""

    address: str
    port: int | None
    probability: float


@dataclass(frozen=True, slots=True)
class ProxyRule:
    """Where kube-proxy sends what is addressed to one address and port of a service.

    Parameters
    ----------
    proxy : str
        ``iptables``, ``nftables`` or ``ipvs``.
    port : int
    protocol : str
    scope : str
        ``local`` if only endpoints on the node itself are chosen from.
    node : str, optional
        Whose rule it is.
    address : str, optional
        None for a NodePort, which all addresses of the node have.
    ip_version : int
        Of the packets that it is for.
    kind : str, optional
        What the address is to the service.
    namespace, service, port_name : str, optional
        None as far as the rules do not say.
    affinity : bool
        Whether a client stays with the backend that it was given first.
    scheduler : str, optional
        ipvs's way to choose: ``rr``, ``wrr``, ``lc`` and so on.
    backends : tuple of Backend, optional
        Empty where calls are refused; None where the rule's end was not told.
    """

    proxy: ProxyMode
    port: int
    protocol: str
    scope: Literal["cluster", "local"] = "cluster"
    node: str | None = None
    address: str | None = None
    ip_version: Literal[4, 6] = 4
    kind: ServiceKind | None = None
    namespace: str | None = None
    service: str | None = None
    port_name: str | None = None
    affinity: bool = False
    scheduler: str | None = None
    backends: tuple[Backend, ...] | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """What was told in full, so that whatever is not in it does not exist.

    Parameters
    ----------
    lists, rules : frozenset of int
        IP versions (4, 6) of which all services are known: from kubectl's lists of
        services and endpoints, and from all rules of some node's kube-proxy. Lists may
        have been filtered, and rules lack endpoints that are not ready anymore.
    pods, nodes : frozenset of int
        IP versions of which the addresses of all of them are known. kubectl's tables,
        for instance, show the addresses of one version only.
    endpoints : frozenset of (str, str, int)
        Namespaces, names and IP versions of services all of whose endpoints are known.
    """

    lists: frozenset[int] = frozenset()
    rules: frozenset[int] = frozenset()
    pods: frozenset[int] = frozenset()
    nodes: frozenset[int] = frozenset()
    endpoints: frozenset[tuple[str, str, int]] = frozenset()

    @property
    def services(self) -> frozenset[int]:
        """IP versions of which all services are known, by lists or by rules."""
        return self.lists | self.rules

    @property
    def hosts(self) -> frozenset[int]:
        """IP versions of which whoever is neither pod nor node is outside."""
        return self.pods & self.nodes


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was not understood, or not taken over, and why.

    ``lines`` counts the lines it is about, from ``line`` on; ``text`` is the first.
    """

    line: int
    text: str
    reason: str
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """One part of a file: what it was taken for and what came of it.

    Parameters
    ----------
    path : str
        The file.
    line : int
        Where the part starts, from 1.
    kind : str
        What it was recognised as, e.g. ``pods (JSON)`` or ``iptables-save``.
    objects : int
        Objects that were found in it.
    used : bool
        False for what is recognised but tells nothing that is needed.
    remarks : tuple of Remark
        What was not understood.
    """

    path: str
    line: int
    kind: str
    objects: int
    used: bool
    remarks: tuple[Remark, ...] = ()
