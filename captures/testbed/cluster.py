"""The cluster as objects: nodes, pods, Services and the endpoints they select.

Names and addresses are the reference cluster's. Every rule, route, server and
kubectl-shaped file is generated from these objects, so they cannot disagree.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field, replace
from typing import Literal

Family = Literal["IPv4", "IPv6"]
Protocol = Literal["tcp", "udp"]

POD_CIDR: dict[Family, str] = {"IPv4": "10.1.0.0/16", "IPv6": "fd00:10:1::/48"}
SERVICE_CIDR: dict[Family, str] = {
    "IPv4": "10.152.183.0/24",
    "IPv6": "fd00:10:152:183::/112",
}
NODE_PREFIX: dict[Family, str] = {"IPv4": "192.168.2.", "IPv6": "fd00:192:168:2::"}
GATEWAY: dict[Family, str] = {"IPv4": "192.168.2.1", "IPv6": "fd00:192:168:2::1"}
VERSION = "v1.26.4"


def family_of(address: str) -> Family:
    """Say which family an address in text belongs to."""
    return "IPv6" if ":" in address else "IPv4"


def endpoint_text(ip: str, port: int) -> str:
    """Write an address and a port as kube-proxy does: ``ip:port`` or ``[ip]:port``."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


@dataclass(frozen=True)
class Node:
    """A machine of the cluster: its own address and its VXLAN tunnel endpoint."""

    name: str
    number: int  # last octet of the node's address
    tunnel_ip: str
    tunnel_mac: str

    @property
    def ip(self) -> str:
        """Address of the NIC, which is also the VTEP address."""
        return f"{NODE_PREFIX['IPv4']}{self.number}"

    @property
    def ip6(self) -> str:
        """IPv6 address of the NIC."""
        return f"{NODE_PREFIX['IPv6']}{self.number}"

    @property
    def nic_mac(self) -> str:
        """MAC address of ens18."""
        return f"be:24:11:5a:10:{self.number}"

    @property
    def block(self) -> str:
        """The /26 that Calico's IPAM gave to this node."""
        return str(ipaddress.ip_network(f"{self.tunnel_ip}/26", strict=False))

    @property
    def block6(self) -> str:
        """The /122 that Calico's IPAM gave to this node."""
        return f"fd00:10:1:{self.number}::/122"

    @property
    def tunnel_ip6(self) -> str:
        """Address of vxlan-v6.calico: the first of the block."""
        return f"fd00:10:1:{self.number}::"

    @property
    def tunnel_mac6(self) -> str:
        """MAC address of vxlan-v6.calico."""
        return self.tunnel_mac[:-2] + f"{self.number:02x}"

    def address(self, family: Family) -> str:
        """Return the NIC's address in ``family``."""
        return self.ip if family == "IPv4" else self.ip6

    def tunnel_address(self, family: Family) -> str:
        """Return the address of the VXLAN device in ``family``."""
        return self.tunnel_ip if family == "IPv4" else self.tunnel_ip6


@dataclass(frozen=True)
class Pod:
    """A pod: where it runs, its address, and which server (if any) runs in it."""

    name: str
    node: str
    ip: str
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    namespace: str = "default"
    owner: str = ""  # "DaemonSet/nginx-ds"
    image: str = "busybox:latest"
    server: Literal["nginx", "apache", "redis", "dns", "client"] | None = None
    host_network: bool = False
    completed: bool = False

    @property
    def cali(self) -> str:
        """Name of the host side of the pod's veth pair.

        Calico: libcalico-go ``VethNameForWorkload``, "cali" and the first eleven
        hex digits of the SHA-1 of ``namespace.name``.
        """
        digest = hashlib.sha1(
            f"{self.namespace}.{self.name}".encode(), usedforsecurity=False
        )
        return "cali" + digest.hexdigest()[:11]

    @property
    def ip6(self) -> str:
        """IPv6 address: in the node's /122, with the last octet of the IPv4 one."""
        node = NODE_BY_NAME[self.node]
        if self.host_network:
            return node.ip6
        low = int(self.ip.rpartition(".")[2]) & 0x3F
        return f"fd00:10:1:{node.number}::{low:x}"

    @property
    def has_sandbox(self) -> bool:
        """Whether a network namespace of its own exists for it."""
        return self.server is not None and not self.host_network

    def address(self, family: Family) -> str:
        """Return the pod's address in ``family``."""
        return self.ip if family == "IPv4" else self.ip6


@dataclass(frozen=True)
class External:
    """A host on the LAN outside the cluster."""

    name: str
    number: int

    @property
    def ip(self) -> str:
        """Address on the LAN."""
        return f"{NODE_PREFIX['IPv4']}{self.number}"

    @property
    def ip6(self) -> str:
        """IPv6 address on the LAN."""
        return f"{NODE_PREFIX['IPv6']}{self.number}"

    @property
    def mac(self) -> str:
        """MAC address of eth0."""
        return f"a8:a1:59:3c:77:{self.number:02x}"


@dataclass(frozen=True)
class Port:
    """One port of a Service."""

    port: int
    target: int
    name: str = ""
    protocol: Protocol = "tcp"
    node_port: int | None = None


@dataclass(frozen=True)
class Endpoint:
    """One address behind a Service port, as its EndpointSlice lists it."""

    ip: str
    port: int
    node: str
    pod: str | None

    def __str__(self) -> str:
        return endpoint_text(self.ip, self.port)


@dataclass(frozen=True)
class Service:
    """A Service. ``addresses`` stands in for a hand-written EndpointSlice."""

    name: str
    cluster_ip: str
    ports: tuple[Port, ...]
    selector: dict[str, str] = field(default_factory=dict, hash=False)
    namespace: str = "default"
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    load_balancer_ip: str | None = None
    external_policy: Literal["Cluster", "Local"] = "Cluster"
    affinity_seconds: int | None = None
    addresses: tuple[tuple[str, str], ...] = ()  # (address, node)
    not_ready: frozenset[str] = frozenset()  # pods whose readiness probe fails

    @property
    def full_name(self) -> str:
        """``namespace/name``, as kubectl and kube-proxy write it."""
        return f"{self.namespace}/{self.name}"

    @property
    def cluster_ip6(self) -> str:
        """Second ClusterIP of a dual-stack Service."""
        return f"fd00:10:152:183::{int(self.cluster_ip.rpartition('.')[2]):x}"

    @property
    def load_balancer_ip6(self) -> str | None:
        """IPv6 address that MetalLB assigned to a dual-stack Service."""
        if self.load_balancer_ip is None:
            return None
        return NODE_PREFIX["IPv6"] + self.load_balancer_ip.rpartition(".")[2]

    def vip(self, family: Family) -> str:
        """Return the ClusterIP in ``family``."""
        return self.cluster_ip if family == "IPv4" else self.cluster_ip6

    def external_ip(self, family: Family) -> str | None:
        """Return the LoadBalancer address in ``family``."""
        return self.load_balancer_ip if family == "IPv4" else self.load_balancer_ip6

    def external_ips(self, families: tuple[Family, ...]) -> list[str]:
        """Return every LoadBalancer address."""
        found = [self.external_ip(family) for family in families]
        return [address for address in found if address is not None]

    def port_name(self, port: Port) -> str:
        """Name a port as kube-proxy's ServicePortName.String() does."""
        return f"{self.full_name}:{port.name}" if port.name else self.full_name


@dataclass(frozen=True)
class Cluster:
    """Everything that one scenario runs on."""

    services: tuple[Service, ...]
    pods: tuple[Pod, ...]
    ipv6: bool = False
    announcers: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def families(self) -> tuple[Family, ...]:
        """Address families in use."""
        return ("IPv4", "IPv6") if self.ipv6 else ("IPv4",)

    def endpoints(
        self, service: Service, port: Port, family: Family = "IPv4"
    ) -> list[Endpoint]:
        """List the ready endpoints of a Service port, in kube-proxy's order.

        kube-proxy sorts them by their text (``endpointslicecache.go``,
        ``byEndpoint``), so 10.1.235.211 comes before 10.1.39.199.
        """
        found = [
            Endpoint(pod.address(family), port.target, pod.node, pod.name)
            for pod in self.pods
            if service.selector
            and service.selector.items() <= pod.labels.items()
            and not pod.completed
            and pod.name not in service.not_ready
        ]
        found += [
            Endpoint(address, port.target, node, None)
            for address, node in service.addresses
            if family_of(address) == family
        ]
        return sorted(found, key=str)

    def service(self, name: str) -> Service:
        """Find a Service by its name."""
        return next(service for service in self.services if service.name == name)

    def pod(self, name: str) -> Pod:
        """Find a pod by its name."""
        return next(pod for pod in self.pods if pod.name == name)

    def with_service(self, changed: Service) -> Cluster:
        """Return this cluster with one Service replaced (or added)."""
        others = [s for s in self.services if s.full_name != changed.full_name]
        index = next(
            (
                i
                for i, service in enumerate(self.services)
                if service.full_name == changed.full_name
            ),
            len(others),
        )
        others.insert(index, changed)
        return replace(self, services=tuple(others))


NODES = (
    Node("k8s-master", 30, "10.1.235.192", "66:d5:cf:d3:6b:7e"),
    Node("k8s-worker01", 31, "10.1.79.64", "66:c1:17:77:92:d1"),
    Node("k8s-worker02", 32, "10.1.69.192", "66:ff:2b:bc:03:a3"),
    Node("k8s-worker03", 33, "10.1.39.192", "66:fc:06:ba:9d:0e"),
)
NODE_BY_NAME = {node.name: node for node in NODES}

EXTERNALS = (External("ext-100", 100), External("ext-101", 101))


def daemon_set(
    name: str,
    app: str,
    server: Literal["nginx", "apache", "redis", "client"],
    image: str,
    pods: dict[str, tuple[str, str]],
) -> tuple[Pod, ...]:
    """One pod of a DaemonSet on every node: ``{node: (suffix, address)}``."""
    return tuple(
        Pod(
            name=f"{name}-{suffix}",
            node=node,
            ip=ip,
            labels={"name": app},
            owner=f"DaemonSet/{name}",
            image=image,
            server=server,
        )
        for node, (suffix, ip) in pods.items()
    )


PODS = (
    *daemon_set(
        "nginx-ds",
        "nginx",
        "nginx",
        "nginx:latest",
        {
            "k8s-master": ("tkhgg", "10.1.235.211"),
            "k8s-worker01": ("6nw9w", "10.1.79.75"),
            "k8s-worker02": ("k4ndq", "10.1.69.201"),
            "k8s-worker03": ("gvx8m", "10.1.39.199"),
        },
    ),
    *daemon_set(
        "apache-ds",
        "apache",
        "apache",
        "httpd:latest",
        {
            "k8s-master": ("t6th6", "10.1.235.212"),
            "k8s-worker01": ("xv25j", "10.1.79.76"),
            "k8s-worker02": ("bmtwp", "10.1.69.202"),
            "k8s-worker03": ("kzpns", "10.1.39.200"),
        },
    ),
    *daemon_set(
        "redis-ds",
        "redis",
        "redis",
        "redis:latest",
        {
            "k8s-master": ("zw869", "10.1.235.215"),
            "k8s-worker01": ("bv2t9", "10.1.79.79"),
            "k8s-worker02": ("d2ps6", "10.1.69.205"),
            "k8s-worker03": ("pfrpl", "10.1.39.203"),
        },
    ),
    *daemon_set(
        "client-ds",
        "client",
        "client",
        "nicolaka/netshoot:latest",
        {
            "k8s-master": ("9x2lm", "10.1.235.216"),
            "k8s-worker01": ("hq7vd", "10.1.79.81"),
            "k8s-worker02": ("w4kzt", "10.1.69.206"),
            "k8s-worker03": ("5jrnp", "10.1.39.204"),
        },
    ),
    Pod(
        "coredns-7745f9f87f-8qkzr",
        "k8s-worker01",
        "10.1.79.80",
        {"k8s-app": "kube-dns"},
        "kube-system",
        "ReplicaSet/coredns-7745f9f87f",
        "coredns/coredns:1.10.0",
        "dns",
    ),
    Pod(
        "coredns-7745f9f87f-m4c2v",
        "k8s-worker03",
        "10.1.39.205",
        {"k8s-app": "kube-dns"},
        "kube-system",
        "ReplicaSet/coredns-7745f9f87f",
        "coredns/coredns:1.10.0",
        "dns",
    ),
    *(
        Pod(
            f"{prefix}-{suffix}",
            node.name,
            node.ip,
            {label: value},
            namespace,
            f"DaemonSet/{prefix}",
            image,
            host_network=True,
        )
        for node, calico_suffix, speaker_suffix in zip(
            NODES,
            ("d5cfd", "c1177", "ff2bb", "fc06b"),
            ("36b7e", "792d1", "c03a3", "a9d0e"),
            strict=True,
        )
        for prefix, suffix, label, value, namespace, image in (
            (
                "calico-node",
                calico_suffix,
                "k8s-app",
                "calico-node",
                "kube-system",
                "calico/node:v3.23.5",
            ),
            (
                "speaker",
                speaker_suffix,
                "component",
                "speaker",
                "metallb-system",
                "quay.io/metallb/speaker:v0.13.3",
            ),
        )
    ),
    Pod(
        "calico-kube-controllers-6b8d9f7c5-2xkqz",
        "k8s-master",
        "10.1.235.193",
        {"k8s-app": "calico-kube-controllers"},
        "kube-system",
        "ReplicaSet/calico-kube-controllers-6b8d9f7c5",
        "calico/kube-controllers:v3.23.5",
    ),
    Pod(
        "controller-56c4696b5-9vwpm",
        "k8s-worker02",
        "10.1.69.198",
        {"component": "controller"},
        "metallb-system",
        "ReplicaSet/controller-56c4696b5",
        "quay.io/metallb/controller:v0.13.3",
    ),
    # A Job's pod that ended; its address was given to redis-ds-d2ps6 afterwards.
    Pod(
        "db-migrate-7h2sx",
        "k8s-worker02",
        "10.1.69.205",
        {"job-name": "db-migrate"},
        "default",
        "Job/db-migrate",
        completed=True,
    ),
)

# nginx in the node's own network namespace: shares the node's address.
HOST_NETWORK_POD = Pod(
    "hostweb-q8v4c",
    "k8s-worker03",
    "192.168.2.33",
    {"name": "hostweb"},
    owner="DaemonSet/hostweb",
    image="nginx:latest",
    server="nginx",
    host_network=True,
)
HOST_NETWORK_PORT = 8888

SYSTEM_SERVICES = (
    Service(
        "kubernetes",
        "10.152.183.1",
        (Port(443, 16443, "https"),),
        addresses=(("192.168.2.30", "k8s-master"),),
    ),
    Service(
        "kube-dns",
        "10.152.183.10",
        (
            Port(53, 53, "dns", "udp"),
            Port(53, 53, "dns-tcp"),
            Port(9153, 9153, "metrics"),
        ),
        {"k8s-app": "kube-dns"},
        "kube-system",
    ),
)

CLUSTERIP_SERVICES = (
    Service(
        "clusterip-nginx-ds",
        "10.152.183.123",
        (Port(80, 80, "nginx"),),
        {"name": "nginx"},
    ),
    Service(
        "clusterip-apache2-ds",
        "10.152.183.109",
        (Port(90, 90, "apache"),),
        {"name": "apache"},
    ),
    Service(
        "clusterip-redis-ds",
        "10.152.183.179",
        (Port(6379, 6379, "redis"),),
        {"name": "redis"},
    ),
)

NODEPORT_SERVICES = (
    Service(
        "nodeport-nginx-ds",
        "10.152.183.23",
        (Port(80, 80, node_port=30080),),
        {"name": "nginx"},
        type="NodePort",
    ),
    Service(
        "nodeport-apache2-ds",
        "10.152.183.61",
        (Port(90, 90, node_port=30090),),
        {"name": "apache"},
        type="NodePort",
    ),
    Service(
        "nodeport-redis-ds",
        "10.152.183.165",
        (Port(6379, 6379, node_port=30379),),
        {"name": "redis"},
        type="NodePort",
    ),
)

LOADBALANCER_SERVICES = (
    Service(
        "lb-nginx-ds",
        "10.152.183.130",
        (Port(8080, 80, node_port=30800),),
        {"name": "nginx"},
        type="LoadBalancer",
        load_balancer_ip="192.168.2.38",
    ),
    Service(
        "lb-apache-ds",
        "10.152.183.172",
        (Port(9090, 90, node_port=30900),),
        {"name": "apache"},
        type="LoadBalancer",
        load_balancer_ip="192.168.2.36",
    ),
    Service(
        "lb-redis-ds",
        "10.152.183.250",
        (Port(6379, 6379, node_port=30379),),
        {"name": "redis"},
        type="LoadBalancer",
        load_balancer_ip="192.168.2.37",
    ),
)

# Announcing nodes: MetalLB elects one speaker per address from a hash of node and
# address (speaker/layer2_controller.go, ShouldAnnounce); these are its answers here.
ANNOUNCERS = {
    "192.168.2.36": "k8s-worker02",
    "192.168.2.37": "k8s-worker03",
    "192.168.2.38": "k8s-worker01",
    "192.168.2.39": "k8s-master",
    "192.168.2.40": "k8s-worker02",
}

ROUND_1 = Cluster((*SYSTEM_SERVICES, *CLUSTERIP_SERVICES), PODS)
ROUND_2 = Cluster((*SYSTEM_SERVICES, *CLUSTERIP_SERVICES, *NODEPORT_SERVICES), PODS)
ROUND_3 = Cluster((*SYSTEM_SERVICES, *LOADBALANCER_SERVICES), PODS, False, ANNOUNCERS)
