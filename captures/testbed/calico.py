"""What Calico programs: the VXLAN overlay, pod routes, proxy ARP, natOutgoing.

Sources: felix/dataplane/linux/vxlan_mgr.go (device, routes, neighbours, FDB),
cni-plugin/pkg/dataplane/linux/dataplane_linux.go (the pod's veth pair) and
felix/rules/nat.go (the cali- chains of the nat table).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from captures.testbed import netns
from captures.testbed.cluster import NODES, POD_CIDR, Cluster, Family, Node, Pod

if TYPE_CHECKING:
    from collections.abc import Iterator

VNI = 4096  # felix: VXLANVNI
PORT = 4789  # felix: VXLANPort
MTU = 1450  # 1500 less 20 IPv4, 8 UDP, 8 VXLAN, 14 inner Ethernet
MTU6 = 1430  # 20 more for the outer IPv6 header
DEVICE: dict[Family, str] = {"IPv4": "vxlan.calico", "IPv6": "vxlan-v6.calico"}

# The CNI plugin gives every host-side veth this MAC address and tells the pod that
# its gateway is 169.254.1.1: an address nobody has, answered by proxy ARP.
HOST_SIDE_MAC = "ee:ee:ee:ee:ee:ee"
POD_GATEWAY = "169.254.1.1"
POD_GATEWAY6 = "fe80::ecee:eeff:feee:eeee"  # the host side's link-local address


def node_links(cluster: Cluster, node: Node, nic: str) -> Iterator[str]:
    """Yield the ``ip`` commands for a node's VXLAN devices and block routes."""
    for family in cluster.families:
        yield from vxlan_device(node, nic, family)
        for other in NODES:
            if other is not node:
                yield from route_to_block(other, family)
        # An address of our block without a pod must not leave by the default route
        # (felix/dataplane/linux/int_dataplane.go: blackhole routes, proto 80).
        yield f"route add blackhole {block(node, family)} proto 80"


def vxlan_device(node: Node, nic: str, family: Family) -> Iterator[str]:
    """Yield the commands for one VXLAN device (vxlan_mgr.go, ``configureVXLANDevice``).

    ``nolearning``: felix knows every tunnel endpoint from the datastore, so nothing
    is ever flooded or learnt.
    """
    device = DEVICE[family]
    mac, mtu, prefix = (
        (node.tunnel_mac, MTU, 32)
        if family == "IPv4"
        else (node.tunnel_mac6, MTU6, 128)
    )
    yield (
        f"link add {device} type vxlan id {VNI} local {node.address(family)} "
        f"dev {nic} dstport {PORT} nolearning noudpcsum"
    )
    yield f"link set {device} address {mac} mtu {mtu} up"
    yield f"addr add {node.tunnel_address(family)}/{prefix} dev {device}"


def route_to_block(other: Node, family: Family) -> Iterator[str]:
    """Yield what sends another node's pods into the tunnel.

    Three static entries, each naming the next: the block's route names the other
    VXLAN device's address as gateway, the neighbour entry that gateway's MAC
    address, and the FDB entry (`fdb_entries`) the node behind that MAC address
    (vxlan_mgr.go, ``tunneledRoutes``; vxlan_fdb.go).
    """
    device = DEVICE[family]
    gateway = other.tunnel_address(family)
    mac = other.tunnel_mac if family == "IPv4" else other.tunnel_mac6
    yield f"neigh add {gateway} lladdr {mac} dev {device} nud permanent"
    yield (
        f"route add {block(other, family)} via {gateway} dev {device} onlink proto 80"
    )


def block(node: Node, family: Family) -> str:
    """Return the address block that IPAM gave to a node."""
    return node.block if family == "IPv4" else node.block6


def fdb_entries(cluster: Cluster, node: Node) -> Iterator[str]:
    """Yield ``bridge`` commands: which node is behind which VXLAN MAC address."""
    for family in cluster.families:
        for other in NODES:
            if other is not node:
                mac = other.tunnel_mac if family == "IPv4" else other.tunnel_mac6
                yield (
                    f"fdb add {mac} dev {DEVICE[family]} dst {other.address(family)} "
                    "self permanent"
                )


def install_fdb(cluster: Cluster, node: Node) -> None:
    """Write a node's FDB entries; its VXLAN devices exist already."""
    lines = "\n".join(fdb_entries(cluster, node)) + "\n"
    netns.run_inside(node.name, ["bridge", "-batch", "-"], stdin=lines)


def host_side(pod: Pod) -> Iterator[str]:
    """Yield the commands for the node's end of a pod's veth pair."""
    yield f"link set {pod.cali} address {HOST_SIDE_MAC} mtu {MTU} up"


def host_side_settings(pod: Pod) -> dict[str, str]:
    """Return the host side's settings (``configureSysctls`` of the CNI plugin).

    ``proxy_delay`` 0: otherwise the kernel waits up to 0.8 s before it answers for
    another address.
    """
    return {
        f"net/ipv4/conf/{pod.cali}/proxy_arp": "1",
        f"net/ipv4/conf/{pod.cali}/route_localnet": "1",
        f"net/ipv4/neigh/{pod.cali}/proxy_delay": "0",
        f"net/ipv6/conf/{pod.cali}/proxy_ndp": "1",
    }


def pod_side(cluster: Cluster, pod: Pod) -> Iterator[str]:
    """Yield the commands for the pod's end: its /32 and its only two routes."""
    yield f"link set eth0 mtu {MTU} up"
    yield f"addr add {pod.ip}/32 dev eth0"
    yield f"route add {POD_GATEWAY} dev eth0 scope link"
    yield f"route add default via {POD_GATEWAY} dev eth0"
    if cluster.ipv6:
        yield f"link set eth0 mtu {MTU6}"
        yield f"addr add {pod.ip6}/128 dev eth0 nodad"
        yield f"route add {POD_GATEWAY6} dev eth0"
        yield f"route add ::/0 via {POD_GATEWAY6} dev eth0"


def pod_routes(cluster: Cluster, pod: Pod) -> Iterator[str]:
    """Yield the node's host route to a pod (felix: route_table, scope link)."""
    yield f"route add {pod.ip}/32 dev {pod.cali} scope link"
    if cluster.ipv6:
        yield f"route add {pod.ip6}/128 dev {pod.cali}"


def nat_rules(family: Family) -> str:
    """Return felix's nat chains as ``iptables-restore`` input.

    The comments are felix's rule hashes. Two things masquerade here: pods that
    call addresses outside every pool (natOutgoing), and whatever else is about to
    enter the tunnel with an address that the far node could not route back to.
    """
    device = DEVICE[family]
    version = "4" if family == "IPv4" else "6"
    outgoing = (
        '-A cali-nat-outgoing -m comment --comment "cali:flqWnvo8yq4ULQLa" '
        f"-m set --match-set cali{version}0masq-ipam-pools src "
        f"-m set ! --match-set cali{version}0all-ipam-pools dst "
        "-j MASQUERADE --random-fully"
    )
    return f"""*nat
:cali-OUTPUT - [0:0]
:cali-POSTROUTING - [0:0]
:cali-PREROUTING - [0:0]
:cali-fip-dnat - [0:0]
:cali-fip-snat - [0:0]
:cali-nat-outgoing - [0:0]
-A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
-A OUTPUT -m comment --comment "cali:tVnHkvAo15HuiPy0" -j cali-OUTPUT
-A POSTROUTING -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING
-A cali-OUTPUT -m comment --comment "cali:GBTAv2p5CwevEyJm" -j cali-fip-dnat
-A cali-POSTROUTING -m comment --comment "cali:Z-c7XtVd2Bq7s_hA" -j cali-fip-snat
-A cali-POSTROUTING -m comment --comment "cali:nYKhEzDlr11Jccal" -j cali-nat-outgoing
-A cali-POSTROUTING -o {device} -m comment --comment "cali:e9dnSgSVNmIcpVhP" \
-m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL \
-j MASQUERADE --random-fully
-A cali-PREROUTING -m comment --comment "cali:r6XmIziWUJsdOK6Z" -j cali-fip-dnat
{outgoing}
COMMIT
"""


def install_nat_outgoing(cluster: Cluster, node: Node) -> None:
    """Write the IP sets and nat chains of a node."""
    for family in cluster.families:
        version = "4" if family == "IPv4" else "6"
        inet = "inet" if family == "IPv4" else "inet6"
        sets = [f"cali{version}0{kind}-ipam-pools" for kind in ("all", "masq")]
        lines = [f"create {name} hash:net family {inet}" for name in sets]
        # An IPv6 pool does not masquerade unless asked to (natOutgoing: false).
        lines += [
            f"add {name} {POD_CIDR[family]}"
            for name in sets
            if family == "IPv4" or "all" in name
        ]
        netns.run_inside(node.name, ["ipset", "restore"], stdin="\n".join(lines) + "\n")
        restore = "iptables-restore" if family == "IPv4" else "ip6tables-restore"
        netns.run_inside(
            node.name, [restore, "--noflush", "-w"], stdin=nat_rules(family)
        )
