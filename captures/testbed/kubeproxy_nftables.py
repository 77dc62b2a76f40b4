"""What kube-proxy writes in nftables mode, for one node and one address family.

Source: pkg/proxy/nftables/proxier.go of Kubernetes 1.31 (iptables mode is older
and longer). The same decisions as in iptables mode, but a Service is found by one
lookup in a map instead of a walk through one rule per Service:

    nat-prerouting, nat-output -> services: vmap @service-ips, @service-nodeports
    external-x -> mark-for-masquerade, then service-x | local-x
    service-x: numgen random mod N vmap {0: endpoint-y, ...}
    endpoint-y: dnat
    nat-postrouting -> masquerading
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from captures.testbed.cluster import (
    POD_CIDR,
    SERVICE_CIDR,
    Cluster,
    Endpoint,
    Family,
    Node,
    Port,
    Service,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MASQUERADE_MARK = "0x4000"

# Chains that hooks jump to, and the hooks (nftablesBaseChains, nftablesJumpChains).
HOOKS = """\
\tchain filter-prerouting-pre-dnat {
\t\ttype filter hook prerouting priority dstnat - 10; policy accept;
\t\tct state new jump firewall-check
\t}
\tchain filter-output-pre-dnat {
\t\ttype filter hook output priority -110; policy accept;
\t\tct state new jump firewall-check
\t}
\tchain filter-input {
\t\ttype filter hook input priority filter; policy accept;
\t\tct state new jump nodeport-endpoints-check
\t\tct state new jump service-endpoints-check
\t}
\tchain filter-forward {
\t\ttype filter hook forward priority filter; policy accept;
\t\tct state new jump service-endpoints-check
\t\tct state new jump cluster-ips-check
\t}
\tchain filter-output {
\t\ttype filter hook output priority filter; policy accept;
\t\tct state new jump service-endpoints-check
\t\tct state new jump cluster-ips-check
\t}
\tchain nat-prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tjump services
\t}
\tchain nat-output {
\t\ttype nat hook output priority -100; policy accept;
\t\tjump services
\t}
\tchain nat-postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tjump masquerading
\t}
"""


@dataclass
class Table:
    """Map elements, sets and chains of one node, as they accumulate."""

    service_ips: list[str] = field(default_factory=list)
    node_ports: list[str] = field(default_factory=list)
    no_endpoint_services: list[str] = field(default_factory=list)
    no_endpoint_node_ports: list[str] = field(default_factory=list)
    affinity_sets: list[str] = field(default_factory=list)
    chains: dict[str, list[str]] = field(default_factory=dict)

    def chain(self, name: str) -> list[str]:
        """Return a chain's rules, to be appended to."""
        return self.chains.setdefault(name, [])


def remarked(rule: str, comment: str) -> str:
    """Add a comment to a rule."""
    return f'{rule} comment "{comment}"'


def hashed(name: str) -> str:
    """Prefix a name with eight characters of its hash (``hashAndTruncate``)."""
    digest = hashlib.sha256(name.encode()).digest()
    return f"{base64.b32encode(digest)[:8].decode()}-{name}"


def service_base(service: Service, port: Port) -> str:
    """Name a Service port (``servicePortChainNameBase``)."""
    return hashed(f"{service.full_name}/{port.protocol}/{port.name}")


def endpoint_base(service: Service, port: Port, endpoint: Endpoint) -> str:
    """Name an endpoint (``servicePortEndpointChainNameBase``)."""
    address = endpoint.ip.replace(":", ".")
    return hashed(
        f"{service.full_name}/{port.protocol}/{port.name}__{address}/{endpoint.port}"
    )


def ruleset(cluster: Cluster, node: Node, family: Family) -> str:
    """Return the whole table as ``nft -f`` input; it replaces the one before."""
    table = Table()
    for service in cluster.services:
        for port in service.ports:
            if family == "IPv6" and service.name == "kubernetes":
                continue  # a single-stack Service
            write_service_port(cluster, node, family, service, port, table)
    return render(cluster, node, family, table)


def write_service_port(
    cluster: Cluster,
    node: Node,
    family: Family,
    service: Service,
    port: Port,
    table: Table,
) -> None:
    """Add one Service port: the body of ``syncProxyRules``' loop."""
    ip = "ip" if family == "IPv4" else "ip6"
    base = service_base(service, port)
    vip = service.vip(family)
    external_ip = service.external_ip(family)
    endpoints = cluster.endpoints(service, port, family)
    local = [endpoint for endpoint in endpoints if endpoint.node == node.name]
    is_local_only = service.external_policy == "Local"
    external_keys = [external_ip] if external_ip else []

    def key(address: str) -> str:
        return f"{address} . {port.protocol} . {port.port}"

    if not endpoints:
        for address in (vip, *external_keys):
            table.no_endpoint_services.append(f"{key(address)} : goto reject-chain")
        if port.node_port:
            table.no_endpoint_node_ports.append(
                f"{port.protocol} . {port.node_port} : goto reject-chain"
            )
        return
    if is_local_only and not local:
        table.no_endpoint_services += [f"{key(a)} : drop" for a in external_keys]
        if port.node_port:
            table.no_endpoint_node_ports.append(
                f"{port.protocol} . {port.node_port} : drop"
            )

    # ClusterIP. Who is not a pod (outside the cluster CIDR) is masqueraded.
    cluster_chain = f"service-{base}"
    table.service_ips.append(f"{key(vip)} : goto {cluster_chain}")
    table.chain(cluster_chain).append(
        f"{ip} daddr {vip} {port.protocol} dport {port.port} "
        f"{ip} saddr != {POD_CIDR[family]} jump mark-for-masquerade"
    )
    choose(table, ip, service, port, cluster_chain, endpoints)

    if external_ip or port.node_port:
        external = f"external-{base}"
        table.service_ips += [f"{key(a)} : goto {external}" for a in external_keys]
        if port.node_port:
            table.node_ports.append(
                f"{port.protocol} . {port.node_port} : goto {external}"
            )
        rules = table.chain(external)
        if is_local_only:
            # The client's address survives, but for pods and the node itself.
            rules += [
                remarked(
                    f"{ip} saddr {POD_CIDR[family]} goto {cluster_chain}",
                    "short-circuit pod traffic",
                ),
                remarked(
                    "fib saddr type local jump mark-for-masquerade",
                    "masquerade local traffic",
                ),
                remarked(
                    f"fib saddr type local goto {cluster_chain}",
                    "short-circuit local traffic",
                ),
            ]
            if local:
                rules.append(f"goto local-{base}")
                choose(table, ip, service, port, f"local-{base}", local)
        else:
            rules += ["jump mark-for-masquerade", f"goto {cluster_chain}"]

    for endpoint in endpoints:
        name = endpoint_base(service, port, endpoint)
        rules = table.chain(f"endpoint-{name}")
        # Hairpin: a pod that was sent to itself must see the node as the client.
        rules.append(f"{ip} saddr {endpoint.ip} jump mark-for-masquerade")
        if service.affinity_seconds:
            table.affinity_sets.append(
                f"set affinity-{name} {{ type {family.lower()}_addr; "
                f"flags dynamic,timeout; timeout {service.affinity_seconds}s; }}"
            )
            rules.append(f"update @affinity-{name} {{ {ip} saddr }}")
        rules.append(f"meta l4proto {port.protocol} dnat to {endpoint}")


def choose(
    table: Table,
    ip: str,
    service: Service,
    port: Port,
    chain: str,
    endpoints: list[Endpoint],
) -> None:
    """Write a chain's choice among endpoints (``writeServiceToEndpointRules``)."""
    names = [endpoint_base(service, port, endpoint) for endpoint in endpoints]
    rules = table.chain(chain)
    if service.affinity_seconds:
        rules += [f"{ip} saddr @affinity-{n} goto endpoint-{n}" for n in names]
    elements = ", ".join(f"{i} : goto endpoint-{n}" for i, n in enumerate(names))
    rules.append(f"numgen random mod {len(names)} vmap {{ {elements} }}")


def render(cluster: Cluster, node: Node, family: Family, table: Table) -> str:
    """Write the table: replaced as a whole, in one transaction."""
    ip = "ip" if family == "IPv4" else "ip6"
    address_type = "ipv4_addr" if family == "IPv4" else "ipv6_addr"
    service_key = f"{address_type} . inet_proto . inet_service : verdict"
    node_port_key = "inet_proto . inet_service : verdict"
    cluster_ips = [service.vip(family) for service in cluster.services]
    node_port = f"{ip} daddr @nodeport-ips meta l4proto . th dport"
    helpers = {
        "services": [
            f"{ip} daddr . meta l4proto . th dport vmap @service-ips",
            f"{node_port} vmap @service-nodeports",
        ],
        "service-endpoints-check": [
            f"{ip} daddr . meta l4proto . th dport vmap @no-endpoint-services"
        ],
        "nodeport-endpoints-check": [
            f"{node_port} vmap @no-endpoint-nodeports",
        ],
        "firewall-check": [f"{ip} daddr . meta l4proto . th dport vmap @firewall-ips"],
        # A ClusterIP's other ports answer at once; the rest of the range is nobody's.
        "cluster-ips-check": [
            remarked(
                f"{ip} daddr @cluster-ips reject",
                "Reject traffic to invalid ports of ClusterIPs",
            ),
            remarked(
                f"{ip} daddr {{ {SERVICE_CIDR[family]} }} drop",
                "Drop traffic to unallocated ClusterIPs",
            ),
        ],
        "mark-for-masquerade": [f"mark set mark or {MASQUERADE_MARK}"],
        "masquerading": [
            f"mark and {MASQUERADE_MARK} == 0 return",
            f"mark set mark xor {MASQUERADE_MARK}",
            "masquerade fully-random",
        ],
        "reject-chain": ["reject"],
    }
    lines = [
        # Declared first, so that deleting works on the first sync too.
        f"table {ip} kube-proxy {{}}",
        f"delete table {ip} kube-proxy",
        f"table {ip} kube-proxy {{",
        '\tcomment "rules for kube-proxy"',
        *collection(
            "set", "cluster-ips", address_type, "Active ClusterIPs", cluster_ips
        ),
        *collection(
            "set",
            "nodeport-ips",
            address_type,
            "IPs that accept NodePort traffic",
            [node.address(family)],
        ),
        *collection(
            "map",
            "no-endpoint-services",
            service_key,
            "vmap to drop or reject packets to services with no endpoints",
            table.no_endpoint_services,
        ),
        *collection(
            "map",
            "no-endpoint-nodeports",
            node_port_key,
            "vmap to drop or reject packets to service nodeports with no endpoints",
            table.no_endpoint_node_ports,
        ),
        *collection(
            "map",
            "firewall-ips",
            service_key,
            "destinations that are subject to LoadBalancerSourceRanges",
            [],
        ),
        *collection(
            "map",
            "service-ips",
            service_key,
            "ClusterIP, ExternalIP and LoadBalancer IP traffic",
            table.service_ips,
        ),
        *collection(
            "map",
            "service-nodeports",
            node_port_key,
            "NodePort traffic",
            table.node_ports,
        ),
        *(f"\t{declaration}" for declaration in table.affinity_sets),
    ]
    # A chain must exist before a rule names it: helpers, endpoints, then the rest.
    order = sorted(table.chains, key=lambda name: not name.startswith("endpoint-"))
    for name, rules in [*helpers.items(), *((n, table.chains[n]) for n in order)]:
        lines += [f"\tchain {name} {{", *(f"\t\t{rule}" for rule in rules), "\t}"]
    return "\n".join(lines) + "\n" + HOOKS + "}\n"


def collection(
    what: str, name: str, kind: str, comment: str, elements: Iterable[str]
) -> list[str]:
    """Write a set or a map with its elements."""
    listed = ", ".join(elements)
    return [
        f"\t{what} {name} {{",
        f"\t\ttype {kind}",
        f'\t\tcomment "{comment}"',
        *([f"\t\telements = {{ {listed} }}"] if listed else []),
        "\t}",
    ]
