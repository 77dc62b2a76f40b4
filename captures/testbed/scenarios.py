"""What is recorded: per scenario a cluster, captures, and the traffic in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from captures.testbed.calico import DEVICE
from captures.testbed.capture import ANY, Capture
from captures.testbed.cluster import (
    HOST_NETWORK_POD,
    HOST_NETWORK_PORT,
    LOADBALANCER_SERVICES,
    NODES,
    PODS,
    ROUND_1,
    ROUND_2,
    ROUND_3,
    SYSTEM_SERVICES,
    Cluster,
    Port,
    Service,
)
from captures.testbed.drops import ENCAPSULATED_SOURCE_PORT, Drop
from captures.testbed.netns import LAN
from captures.testbed.topology import NIC
from captures.testbed.traffic import (
    Operation,
    call,
    dig,
    download,
    get,
    keep_alive,
    many,
    ping,
    redis,
    url,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from captures.testbed.capture import Variant
    from captures.testbed.kubeproxy import Mode

MASTER, WORKER01, WORKER02, WORKER03 = (node.name for node in NODES)
CLIENT_POD = {pod.node: pod for pod in PODS if pod.labels.get("name") == "client"}
CLIENT = {node: pod.name for node, pod in CLIENT_POD.items()}
NGINX = {pod.node: pod for pod in PODS if pod.labels.get("name") == "nginx"}
DNS = "10.152.183.10"
DNS6 = "fd00:10:152:183::a"
LARGE_ANSWER = "large.cluster.local TXT"


@dataclass(frozen=True)
class Resync:
    """A Service changed: every node's kube-proxy writes its rules anew."""

    service: Service
    note: str


@dataclass(frozen=True)
class Pause:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True)
class Background:
    """Start an operation and go on; it has to end by itself."""

    operation: Operation


@dataclass(frozen=True)
class Setting:
    """A kernel setting of one namespace changes."""

    host: str
    key: str
    value: str


Step = Operation | Resync | Pause | Background | Setting | Drop


@dataclass(frozen=True)
class Scenario:
    """One recording."""

    name: str
    title: str
    cluster: Cluster
    steps: tuple[Step, ...]
    captures: tuple[Capture, ...]
    before_capture: tuple[Operation, ...] = ()
    mode: Mode = "iptables"
    offload: bool = True
    is_state_old: bool = False  # cluster state is from before the traffic
    recorded: bool = True  # part of the repository's samples

    def captured(
        self, snaplen: int | None, any_on: Mapping[str, str | None]
    ) -> Scenario:
        """Return the same traffic, captured otherwise.

        Parameters
        ----------
        snaplen : int, optional
            Octets of a frame that every capture keeps; by default as it was.
        any_on : mapping of str to str or None
            Hosts that record `any`, each with the link type to ask for.
        """
        kept = [
            c for c in self.captures if c.host not in any_on or c.interfaces != (ANY,)
        ]
        kept += [
            Capture(host, (ANY,), linktype=linktype)
            for host, linktype in any_on.items()
        ]
        if snaplen is not None:
            kept = [replace(capture, snaplen=snaplen) for capture in kept]
        return replace(self, captures=tuple(kept))


def captures(
    *,
    veths: tuple[str, ...] = (),
    eth0: tuple[str, ...] = ("nginx-ds-k4ndq",),
    snaplen: int | None = None,
    ipv6: bool = False,
    one_file: bool = True,
) -> tuple[Capture, ...]:
    """Return the usual observation points.

    Every NIC and VXLAN device, the pod-side devices named, `any` on the master, a
    pod's and the outside hosts' eth0. worker02 writes pcapng, with ``one_file`` all
    its devices into the same; worker03 writes nanoseconds.
    """
    found: list[Capture] = []
    variant: dict[str, Variant] = {
        MASTER: "pcap",
        WORKER01: "pcap",
        WORKER02: "pcapng",
        WORKER03: "nano",
    }
    devices = [DEVICE["IPv4"], *([DEVICE["IPv6"]] if ipv6 else [])]
    for node in NODES:
        if node.name == WORKER02 and one_file:
            found.append(Capture(node.name, (NIC, *devices), "pcapng", snaplen))
            continue
        found += [
            Capture(node.name, (interface,), variant[node.name], snaplen)
            for interface in (NIC, *devices)
        ]
    by_name = {pod.name: pod for pod in PODS}
    found += [
        Capture(by_name[name].node, (by_name[name].cali,), snaplen=snaplen)
        for name in veths
    ]
    found.append(Capture(MASTER, (ANY,), snaplen=snaplen))
    found += [Capture(name, ("eth0",), snaplen=snaplen) for name in eth0]
    found.append(Capture("ext-100", ("eth0",), "nano", snaplen))
    found.append(Capture("ext-101", ("eth0",), "pcapng", snaplen))
    return tuple(found)


# With these two groups every connection is on a recorded device: a pod's own calls
# are on its veth, and a host's calls to pods of its own node on theirs.
NGINX_VETHS = tuple(pod.name for pod in NGINX.values())
CLIENT_VETHS = tuple(CLIENT.values())

CLUSTERIP = Scenario(
    "clusterip",
    "round 1: hosts and pods call ClusterIPs; DNS; hairpin; pod to pod",
    ROUND_1,
    (
        get(MASTER, url("10.152.183.123", 80), 12, "host to ClusterIP"),
        get(MASTER, url("10.152.183.109", 90), 8, "host to ClusterIP"),
        redis(MASTER, "10.152.183.179", 6379, 4),
        get(WORKER03, url("10.152.183.123", 80), 8, "host to ClusterIP"),
        get(CLIENT[MASTER], url("10.152.183.123", 80), 12, "pod to ClusterIP"),
        get(CLIENT[WORKER01], url("10.152.183.109", 90), 8, "pod to ClusterIP"),
        redis(CLIENT[WORKER02], "10.152.183.179", 6379, 6),
        get(
            NGINX[MASTER].name,
            url("10.152.183.123", 80),
            16,
            "a Service's own pod calls it: one in four is a hairpin",
        ),
        *(
            dig(
                CLIENT[node],
                DNS,
                "clusterip-nginx-ds.default.svc.cluster.local A",
                "DNS over UDP",
            )
            for node in (MASTER, WORKER01, WORKER02, WORKER03)
        ),
        dig(MASTER, DNS, "kube-dns.kube-system.svc.cluster.local A", "host's DNS"),
        dig(CLIENT[MASTER], DNS, LARGE_ANSWER, "DNS over TCP", "+tcp"),
        keep_alive(CLIENT[WORKER02], url("10.152.183.123", 80, "/index.html"), 60, 3),
        download(CLIENT[WORKER03], url("10.152.183.123", 80, "/blob.bin"), 2),
        download(MASTER, url("10.152.183.123", 80, "/blob.bin"), 1),
        get(CLIENT[MASTER], url(NGINX[WORKER01].ip, 80), 3, "pod to pod, other node"),
        get(CLIENT[MASTER], url(NGINX[MASTER].ip, 80), 3, "pod to pod, same node"),
        get(MASTER, url(NGINX[WORKER02].ip, 80), 2, "host to a pod of another node"),
        ping(CLIENT[MASTER], NGINX[WORKER03].ip, 3, "ping, pod to pod"),
    ),
    captures(veths=(*NGINX_VETHS, *CLIENT_VETHS, "coredns-7745f9f87f-8qkzr")),
)

NODEPORT = Scenario(
    "nodeport",
    "rounds 1 and 2: outside hosts, pods and hosts call NodePorts on every node",
    ROUND_2,
    (
        *(
            step
            for node in NODES
            for step in (
                get("ext-100", url(node.ip, 30080), 8, "NodePort"),
                get("ext-101", url(node.ip, 30090), 4, "NodePort"),
                redis("ext-100", node.ip, 30379, 3),
            )
        ),
        get(
            CLIENT[WORKER03],
            url(NODES[1].ip, 30080),
            8,
            "pod to NodePort of another node (SNAT twice)",
        ),
        get(
            CLIENT[WORKER01],
            url(NODES[1].ip, 30080),
            6,
            "pod to NodePort of its own node",
        ),
        get(MASTER, url(NODES[2].ip, 30080), 6, "host to NodePort of another node"),
        get(MASTER, url(NODES[0].ip, 30080), 6, "host to its own NodePort"),
        get(MASTER, url("10.152.183.23", 80), 6, "the NodePort service's ClusterIP"),
        keep_alive("ext-100", url(NODES[2].ip, 30080, "/index.html"), 120, 3),
        download("ext-101", url(NODES[3].ip, 30080, "/blob.bin"), 2),
        download("ext-101", url(NODES[0].ip, 30080, "/blob.bin"), 1),
        call("ext-100", f"get {NODES[0].ip} 30081 --timeout 2", "port nobody has"),
    ),
    captures(veths=(*NGINX_VETHS, CLIENT[WORKER03]), one_file=False),
)

LOADBALANCER = Scenario(
    "loadbalancer",
    "round 3: outside hosts, pods and hosts call LoadBalancer addresses",
    ROUND_3,
    (
        get("ext-100", url("192.168.2.38", 8080), 24, "LoadBalancer"),
        get("ext-101", url("192.168.2.38", 8080), 8, "LoadBalancer"),
        get("ext-101", url("192.168.2.36", 9090), 12, "LoadBalancer"),
        redis("ext-100", "192.168.2.37", 6379, 8),
        get(
            CLIENT[MASTER], url("192.168.2.38", 8080), 6, "pod to LoadBalancer address"
        ),
        get(MASTER, url("192.168.2.36", 9090), 6, "host to LoadBalancer address"),
        get(MASTER, url("10.152.183.130", 8080), 4, "the LoadBalancer's ClusterIP"),
        get("ext-101", url(NODES[0].ip, 30800), 4, "the LoadBalancer's NodePort"),
        keep_alive("ext-100", url("192.168.2.38", 8080, "/index.html"), 90, 3),
        download("ext-101", url("192.168.2.38", 8080, "/blob.bin"), 3),
        download("ext-100", url("192.168.2.38", 8080, "/blob.bin"), 1),
        ping("ext-100", NODES[1].ip, 3, "ping a node"),
    ),
    (
        *captures(veths=(*NGINX_VETHS, *CLIENT_VETHS)),
        # SLL version 1 does not say which device a copy was seen on.
        Capture(WORKER01, (ANY,), linktype="LINUX_SLL"),
    ),
)

LOCAL = Service(
    "local-nginx-ds",
    "10.152.183.201",
    (Port(8081, 80, node_port=30881),),
    {"name": "nginx"},
    type="LoadBalancer",
    load_balancer_ip="192.168.2.39",
    external_policy="Local",
)
STICKY = Service(
    "sticky-apache-ds",
    "10.152.183.202",
    (Port(91, 90, node_port=30991),),
    {"name": "apache"},
    type="NodePort",
    affinity_seconds=10800,
)
EMPTY = Service(
    "empty",
    "10.152.183.203",
    (Port(80, 80, node_port=30999), Port(5353, 5353, "udp", "udp")),
    {"name": "nobody"},
    type="NodePort",
)
# Its endpoint's pod is gone, but the EndpointSlice (kept by hand) was not told.
STALE = Service(
    "stale", "10.152.183.204", (Port(80, 80),), addresses=(("10.1.69.240", WORKER02),)
)
HOSTWEB = Service(
    "hostweb",
    "10.152.183.205",
    (Port(80, HOST_NETWORK_PORT, node_port=30888),),
    {"name": "hostweb"},
    type="NodePort",
)
DNS_LB = Service(
    "dns-lb",
    "10.152.183.206",
    (Port(53, 53, "dns", "udp", node_port=30053),),
    {"k8s-app": "kube-dns"},
    "kube-system",
    "LoadBalancer",
    load_balancer_ip="192.168.2.40",
)
LB_REDIS = LOADBALANCER_SERVICES[2]

MIXED_CLUSTER = replace(
    ROUND_3,
    services=(*ROUND_3.services, LOCAL, STICKY, EMPTY, STALE, HOSTWEB, DNS_LB),
    pods=(*PODS, HOST_NETWORK_POD),
)

MIXED = Scenario(
    "mixed",
    "what makes captures hard: every case that is not a plain call",
    MIXED_CLUSTER,
    (
        get("ext-100", url("192.168.2.39", 8081), 5, "externalTrafficPolicy Local"),
        get("ext-101", url(NODES[2].ip, 30881), 4, "Local: NodePort"),
        get(CLIENT[WORKER01], url("192.168.2.39", 8081), 4, "Local: pods go anywhere"),
        get("ext-100", url(NODES[1].ip, 30991), 6, "ClientIP affinity"),
        get("ext-101", url(NODES[1].ip, 30991), 6, "ClientIP affinity"),
        get(CLIENT[MASTER], url("10.152.183.202", 91), 4, "ClientIP affinity"),
        *(
            call(
                who,
                f"get {address} {port} --port {source} --refusal rejected-icmp",
                "no endpoints: REJECT",
            )
            for who, address, port, source in (
                (CLIENT[MASTER], "10.152.183.203", 80, 41001),
                (CLIENT[WORKER02], "10.152.183.203", 80, 41002),
                ("ext-100", NODES[3].ip, 30999, 41003),
            )
        ),
        call(
            CLIENT[MASTER],
            "udp 10.152.183.203 5353 --port 41004 --refusal rejected-icmp",
            "no endpoints: REJECT",
        ),
        call(
            CLIENT[WORKER03],
            "get 10.152.183.204 80 --timeout 3.5",
            "stale endpoint: SYNs without answer",
        ),
        *(
            step
            for _ in range(5)
            for step in (
                call(
                    "ext-101",
                    "get 192.168.2.38 8080 --port 42000",
                    "one client five-tuple again and again",
                ),
                Pause(0.15),
            )
        ),
        *(
            step
            for _ in range(5)
            for step in (
                call(
                    CLIENT[MASTER],
                    "get 10.152.183.130 8080 --port 42001",
                    "one client five-tuple again and again",
                ),
                Pause(0.15),
            )
        ),
        get("ext-100", url(NODES[0].ip, 30888), 3, "host-network pod, other node"),
        get("ext-100", url(NODES[3].ip, 30888), 3, "host-network pod, same node"),
        get(CLIENT[WORKER02], url("10.152.183.205", 80), 3, "pod to host-network pod"),
        get(WORKER03, url("10.152.183.205", 80), 2, "host to its own host-network pod"),
        dig(
            "ext-100",
            "192.168.2.40",
            "kubernetes.default.svc.cluster.local A",
            "DNS LB",
        ),
        dig(
            "ext-101",
            "192.168.2.40",
            "lb-nginx-ds.default.svc.cluster.local A",
            "DNS LB",
        ),
        *(
            dig(
                CLIENT[node],
                DNS,
                LARGE_ANSWER,
                "a UDP answer in three fragments",
                "+bufsize=4096",
                "+notcp",
                "+ignore",
            )
            for node in (MASTER, WORKER02)
        ),
        ping(CLIENT[MASTER], NGINX[WORKER01].ip, 2, "ping in fragments", 3000),
        ping(CLIENT[WORKER01], "192.168.2.100", 2, "pod to outside (natOutgoing)"),
        get(CLIENT[WORKER01], url("192.168.2.33", HOST_NETWORK_PORT), 2, "pod to node"),
        call(
            CLIENT[MASTER],
            f"udp {NGINX[WORKER02].ip} 9999 --port 43001 --timeout 1",
            "UDP to a closed port: ICMP error",
        ),
        call(
            CLIENT[MASTER],
            f"get {NGINX[WORKER02].ip} 9998 --port 43002 --timeout 1",
            "TCP to a closed port: RST",
        ),
        call("ext-100", "udp 192.168.2.31 9999 --port 43003 --timeout 1", "ICMP error"),
        redis(CLIENT[WORKER01], "192.168.2.37", 6379, 6),
        Resync(
            replace(LB_REDIS, not_ready=frozenset({"redis-ds-d2ps6"})),
            "redis-ds-d2ps6 becomes unready: its endpoint disappears",
        ),
        redis(CLIENT[WORKER01], "192.168.2.37", 6379, 8),
        redis("ext-101", "192.168.2.37", 6379, 6),
        download("ext-101", url("192.168.2.39", 8081, "/blob.bin"), 6),
        download(CLIENT[WORKER02], url("10.152.183.130", 8080, "/blob.bin"), 4),
        keep_alive("ext-100", url("192.168.2.38", 8080, "/index.html"), 40, 2),
    ),
    (
        # A host's call to a host-network pod of its own is on `lo` alone.
        Capture(WORKER03, (ANY,), "nano"),
        *captures(
            veths=(
                *NGINX_VETHS,
                *CLIENT_VETHS,
                "coredns-7745f9f87f-8qkzr",
                "redis-ds-d2ps6",
            )
        ),
    ),
    before_capture=(
        call(
            "ext-100",
            "hold 192.168.2.38 8080 --seconds 4 --every 0.25 --port 40001",
            "open before the capture",
        ),
        call(
            CLIENT[WORKER03],
            "hold 10.152.183.130 8080 --seconds 6 --every 0.5 --port 40002",
            "open before the capture",
        ),
    ),
)

SPREAD_EVEN = Scenario(
    "spread-even",
    "many short connections, evenly spread, captured with -s 96",
    ROUND_2,
    (
        many(MASTER, "10.152.183.123", 80, 36, "host to ClusterIP"),
        many(CLIENT[WORKER02], "10.152.183.123", 80, 36, "pod to ClusterIP"),
        many("ext-100", NODES[0].ip, 30080, 36, "NodePort"),
        many("ext-101", NODES[1].ip, 30080, 36, "NodePort"),
        many("ext-100", NODES[2].ip, 30090, 36, "NodePort"),
    ),
    captures(veths=CLIENT_VETHS, snaplen=96, eth0=()),
    offload=False,
)

# Two of four endpoints are ready for two thirds of the time.
FEW = replace(
    LOADBALANCER_SERVICES[0], not_ready=frozenset({"nginx-ds-k4ndq", "nginx-ds-gvx8m"})
)
SPREAD_SKEWED = Scenario(
    "spread-skewed",
    "two endpoints join late, and affinity ties clients to pods; captured with -s 128",
    replace(ROUND_3, services=(*ROUND_3.services, STICKY)).with_service(FEW),
    (
        many("ext-100", "192.168.2.38", 8080, 50, "two endpoints of four"),
        many(CLIENT[WORKER03], "10.152.183.130", 8080, 25, "two endpoints of four"),
        Resync(LOADBALANCER_SERVICES[0], "the other two endpoints become ready"),
        many("ext-100", "192.168.2.38", 8080, 20, "four endpoints"),
        many(CLIENT[WORKER03], "10.152.183.130", 8080, 10, "four endpoints"),
        many("ext-101", NODES[1].ip, 30991, 35, "ClientIP affinity"),
        many("ext-100", NODES[1].ip, 30991, 12, "ClientIP affinity"),
        many("ext-101", "192.168.2.36", 9090, 24, "an even Service beside it"),
    ),
    captures(veths=CLIENT_VETHS, snaplen=128, eth0=()),
    offload=False,
)

# One of four endpoints is not ready for most of the time.
LEAVING = replace(LOADBALANCER_SERVICES[0], not_ready=frozenset({"nginx-ds-k4ndq"}))
A_FEW = (
    many("ext-100", "192.168.2.38", 8080, 6, "LoadBalancer"),
    many(CLIENT[WORKER03], "10.152.183.130", 8080, 2, "pod to ClusterIP"),
    Pause(0.25),
)
SPREAD_UNREADY = Scenario(
    "spread-unready",
    "an endpoint leaves, and one connection outlives all others; state from before",
    ROUND_3,
    (
        Background(
            call(
                "ext-101",
                "hold 192.168.2.38 8080 --seconds 2.5 --every 0.02",
                "one connection for many requests",
            )
        ),
        *A_FEW * 2,
        Resync(LEAVING, "nginx-ds-k4ndq becomes unready"),
        *A_FEW * 5,
        many("ext-101", "192.168.2.36", 9090, 8, "an even Service beside it"),
    ),
    captures(veths=CLIENT_VETHS, snaplen=128, eth0=()),
    offload=False,
    is_state_old=True,
)

# A Service with one endpoint, so that drops can be put on its way.
FAR = replace(
    LOADBALANCER_SERVICES[0],
    not_ready=frozenset(pod.name for pod in NGINX.values()) - {"nginx-ds-k4ndq"},
)
FAR_POD = NGINX[WORKER02]
LOST = "some packets are lost: "
DROPS = Scenario(
    "drops",
    "packets vanish: at a policy, in a host's firewall, between two nodes",
    ROUND_3.with_service(FAR),
    (
        # Else SYN-ACKs would be dropped, and counted, after the captures' end.
        Setting(FAR_POD.name, "net.ipv4.tcp_synack_retries", "1"),
        Drop(
            "policy",
            WORKER02,
            "inet",
            "forward",
            f"oifname {FAR_POD.cali} ip saddr {CLIENT_POD[MASTER].ip}",
            client=(CLIENT_POD[MASTER].ip, None),
            direction="orig",
            after=f"{WORKER02}/{DEVICE['IPv4']}",
            before=f"{WORKER02}/{FAR_POD.cali}",
        ),
        Drop(
            "answers",
            WORKER02,
            "inet",
            "forward",
            f"iifname {FAR_POD.cali} ip daddr {CLIENT_POD[WORKER01].ip} "
            "tcp dport 41001",
            client=(CLIENT_POD[WORKER01].ip, 41001),
            direction="reply",
            after=f"{WORKER02}/{FAR_POD.cali}",
            before=f"{WORKER02}/{DEVICE['IPv4']}",
        ),
        Drop(
            "underlay",
            LAN,
            "netdev",
            f"ingress device port{NODES[3].number}",
            f"udp dport 4789 {ENCAPSULATED_SOURCE_PORT} 41002 numgen inc mod 5 3",
            client=(CLIENT_POD[WORKER03].ip, 41002),
            direction="orig",
            after=f"{WORKER03}/{NIC}",
            before=f"{WORKER02}/{NIC}",
        ),
        Drop(
            "entry",
            WORKER01,
            "inet",
            "forward",
            "meta l4proto tcp ct direction original ct original proto-src 41003 "
            "numgen inc mod 6 4",
            client=("192.168.2.100", 41003),
            direction="orig",
            after=f"{WORKER01}/{NIC}",
            before=f"{WORKER01}/{DEVICE['IPv4']}",
        ),
        Drop(
            "return",
            WORKER03,
            "inet",
            "forward",
            f"oifname {CLIENT_POD[WORKER03].cali} tcp dport 41004 numgen inc mod 6 4",
            client=(CLIENT_POD[WORKER03].ip, 41004),
            direction="reply",
            after=f"{WORKER03}/{DEVICE['IPv4']}",
            before=f"{WORKER03}/{CLIENT_POD[WORKER03].cali}",
        ),
        call(
            CLIENT[MASTER],
            "get 10.152.183.130 8080 --port 41000 --timeout 1.5",
            "a policy at the backend's device drops every packet",
        ),
        call(
            CLIENT[WORKER01],
            "get 10.152.183.130 8080 --port 41001 --timeout 1.5",
            "answers are dropped where they leave the pod",
        ),
        *(
            call(who, f"hold {address} 8080 --seconds 1 --every 0.1 --port {port}", why)
            for who, address, port, why in (
                (
                    CLIENT[WORKER03],
                    "10.152.183.130",
                    41002,
                    LOST + "between two nodes",
                ),
                ("ext-100", "192.168.2.38", 41003, LOST + "at the entry node"),
                (
                    CLIENT[WORKER03],
                    "10.152.183.130",
                    41004,
                    LOST + "answers, at the client's node",
                ),
                ("ext-101", "192.168.2.38", 41005, "no packet is lost"),
            )
        ),
        get(CLIENT[WORKER03], url("10.152.183.130", 8080), 4, "no packet is lost"),
        get("ext-101", url("192.168.2.38", 8080), 4, "no packet is lost"),
        get("ext-101", url("192.168.2.36", 9090), 8, "no packet is lost"),
    ),
    captures(veths=(FAR_POD.name, *CLIENT_VETHS), eth0=(FAR_POD.name,), one_file=False),
    offload=False,
)

DUALSTACK = Scenario(
    "dualstack",
    "IPv4 and IPv6 side by side, kube-proxy in nftables mode",
    replace(
        ROUND_3,
        services=(*ROUND_3.services, LOCAL, EMPTY, HOSTWEB),
        ipv6=True,
        pods=(*PODS, HOST_NETWORK_POD),
    ),
    (
        get(MASTER, url("10.152.183.130", 8080), 4, "host to ClusterIP"),
        get(MASTER, url("fd00:10:152:183::82", 8080), 8, "host to ClusterIP, IPv6"),
        get(
            CLIENT[MASTER],
            url("fd00:10:152:183::82", 8080),
            8,
            "pod to ClusterIP, IPv6",
        ),
        redis(CLIENT[WORKER01], "fd00:10:152:183::fa", 6379, 4),
        get("ext-100", url("fd00:192:168:2::38", 8080), 10, "LoadBalancer, IPv6"),
        get("ext-100", url("192.168.2.38", 8080), 6, "LoadBalancer"),
        get("ext-101", url(NODES[2].ip6, 30900), 8, "NodePort, IPv6"),
        get("ext-101", url("fd00:192:168:2::39", 8081), 4, "Local, IPv6"),
        get(CLIENT[WORKER02], url(NGINX[MASTER].ip6, 80), 3, "pod to pod, IPv6"),
        get("ext-100", url(NODES[0].ip6, 30888), 3, "host-network pod, IPv6"),
        get(
            NGINX[WORKER03].name,
            url("fd00:10:152:183::82", 8080),
            8,
            "a Service's own pod calls it, IPv6",
        ),
        dig(CLIENT[MASTER], DNS6, "lb-nginx-ds.default.svc.cluster.local AAAA", "DNS"),
        dig(CLIENT[WORKER01], DNS, "lb-nginx-ds.default.svc.cluster.local AAAA", "DNS"),
        dig(
            CLIENT[WORKER02],
            DNS6,
            LARGE_ANSWER,
            "a UDP answer in fragments, IPv6",
            "+bufsize=4096",
            "+notcp",
            "+ignore",
        ),
        call(
            CLIENT[MASTER],
            "get fd00:10:152:183::cb 80 --port 41001 --source :: "
            "--refusal rejected-icmp",
            "no endpoints: REJECT, IPv6",
        ),
        ping(CLIENT[MASTER], NGINX[WORKER01].ip6, 3, "ping, IPv6"),
        download("ext-101", url("fd00:192:168:2::38", 8080, "/blob.bin"), 2),
        keep_alive(CLIENT[WORKER01], url("fd00:10:152:183::82", 8080, "/"), 30, 2),
    ),
    captures(veths=(*NGINX_VETHS, *CLIENT_VETHS), ipv6=True),
    mode="nftables",
)

QUICK = Scenario(
    "quick",
    "a little of everything, for a live test",
    replace(
        ROUND_3,
        services=(*SYSTEM_SERVICES, *ROUND_1.services[2:], *LOADBALANCER_SERVICES),
    ),
    (
        get(MASTER, url("10.152.183.123", 80), 4, "host to ClusterIP"),
        get(CLIENT[WORKER01], url("10.152.183.109", 90), 4, "pod to ClusterIP"),
        get("ext-100", url("192.168.2.38", 8080), 6, "LoadBalancer"),
        get("ext-101", url(NODES[2].ip, 30900), 4, "NodePort"),
        get(NGINX[MASTER].name, url("10.152.183.123", 80), 6, "hairpin, now and then"),
        get(CLIENT[WORKER03], url(NODES[1].ip, 30800), 3, "SNAT twice"),
        redis("ext-100", "192.168.2.37", 6379, 3),
        dig(CLIENT[MASTER], DNS, "kubernetes.default.svc.cluster.local A", "DNS"),
        ping(CLIENT[MASTER], NGINX[WORKER03].ip, 2, "ping, pod to pod"),
        download("ext-101", url("192.168.2.38", 8080, "/blob.bin"), 1),
    ),
    captures(veths=(*NGINX_VETHS, *CLIENT_VETHS)),
    recorded=False,
)

ALL = {
    scenario.name: scenario
    for scenario in (
        CLUSTERIP,
        NODEPORT,
        LOADBALANCER,
        MIXED,
        SPREAD_EVEN,
        SPREAD_SKEWED,
        SPREAD_UNREADY,
        DROPS,
        DUALSTACK,
        QUICK,
    )
}
