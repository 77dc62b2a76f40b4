"""Machines and cables: the LAN's bridge, node NICs, pod veth pairs.

One namespace holds the bridge, one each node, one each pod, one each host outside.
Nothing is connected to the machine's own network.
"""

from __future__ import annotations

from captures.testbed import calico, netns
from captures.testbed.cluster import (
    EXTERNALS,
    GATEWAY,
    NODES,
    Cluster,
    External,
    Node,
    Pod,
)
from captures.testbed.netns import LAN, PREFIX

NIC = "ens18"
LAN_MTU = 1500

NODE_SETTINGS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    # Links are up at once: nobody else could have taken their addresses.
    "net.ipv6.conf.default.accept_dad": "0",
    # The truth is made of these: packet and byte counters, and times.
    "net.netfilter.nf_conntrack_acct": "1",
    "net.netfilter.nf_conntrack_timestamp": "1",
}


def build(cluster: Cluster, *, offload: bool = True) -> None:
    """Make every namespace, link, address and route of the cluster."""
    build_lan()
    for external in EXTERNALS:
        build_external(cluster, external)
    for node in NODES:
        build_node(cluster, node, offload=offload)
    for pod in cluster.pods:
        if pod.has_sandbox:
            build_pod(cluster, pod)


def build_lan() -> None:
    """Make the switch that all NICs are plugged into, with the LAN's gateway on it."""
    netns.create(LAN)
    netns.sysctl(
        LAN,
        {
            # A switch forwards frames; it must not show them to iptables.
            "net.bridge.bridge-nf-call-iptables": "0",
            "net.bridge.bridge-nf-call-ip6tables": "0",
        }
        if bridge_netfilter_loaded()
        else {},
    )
    netns.ip(
        LAN,
        [
            "link add br0 type bridge mcast_snooping 0 forward_delay 0",
            "link set br0 address be:24:11:00:00:01 up",
            f"addr add {GATEWAY['IPv4']}/24 dev br0",
            f"addr add {GATEWAY['IPv6']}/64 dev br0 nodad",
        ],
    )


def bridge_netfilter_loaded() -> bool:
    """Whether br_netfilter is loaded and so has settings in the namespace."""
    listing = netns.run_inside(LAN, ["ls", "/proc/sys/net"])
    return "bridge" in listing.split()


def plug(name: str, port: str, device: str, mac: str) -> None:
    """Run a cable from the bridge to a namespace."""
    netns.ip(
        LAN,
        [
            f"link add {port} type veth peer name {device} netns {PREFIX}{name}",
            f"link set {port} mtu {LAN_MTU} master br0 up",
        ],
    )
    netns.ip(name, [f"link set {device} address {mac} mtu {LAN_MTU} up"])


def build_external(cluster: Cluster, external: External) -> None:
    """Make a host on the LAN that knows nothing of the cluster."""
    netns.create(external.name)
    netns.sysctl(external.name, {"net.ipv6.conf.default.accept_dad": "0"})
    plug(external.name, external.name, "eth0", external.mac)
    lines = [f"addr add {external.ip}/24 dev eth0"]
    if cluster.ipv6:
        lines.append(f"addr add {external.ip6}/64 dev eth0 nodad")
    netns.ip(external.name, lines)


def build_node(cluster: Cluster, node: Node, *, offload: bool) -> None:
    """Make a node's NIC, then what Calico adds to a node."""
    netns.create(node.name)
    netns.sysctl(node.name, NODE_SETTINGS)
    plug(node.name, f"port{node.number}", NIC, node.nic_mac)
    lines = [
        f"addr add {node.ip}/24 brd + dev {NIC}",
        f"route add default via {GATEWAY['IPv4']} dev {NIC} proto static",
    ]
    if cluster.ipv6:
        lines += [
            f"addr add {node.ip6}/64 dev {NIC} nodad",
            f"route add ::/0 via {GATEWAY['IPv6']} dev {NIC} proto static",
        ]
    netns.ip(node.name, lines)
    if not offload:
        # No super-frames: what a capture shows is what a wire would carry.
        netns.run_inside(
            node.name, ["ethtool", "-K", NIC, "tso", "off", "gso", "off", "gro", "off"]
        )
    netns.ip(node.name, calico.node_links(cluster, node, NIC))
    calico.install_fdb(cluster, node)
    calico.install_nat_outgoing(cluster, node)


def build_pod(cluster: Cluster, pod: Pod) -> None:
    """Make a pod's sandbox and its veth pair, as Calico's CNI plugin does."""
    netns.create(pod.name)
    netns.sysctl(pod.name, {"net.ipv6.conf.default.accept_dad": "0"})
    netns.ip(
        pod.node,
        [
            f"link add {pod.cali} type veth peer name eth0 netns {PREFIX}{pod.name}",
            *calico.host_side(pod),
        ],
    )
    netns.ip(pod.name, calico.pod_side(cluster, pod))
    netns.sysctl(pod.node, calico.host_side_settings(pod))
    netns.ip(pod.node, calico.pod_routes(cluster, pod))
