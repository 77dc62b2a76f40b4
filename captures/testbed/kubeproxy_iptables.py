"""What kube-proxy writes in iptables mode, for one node and one address family.

Source: pkg/proxy/iptables/proxier.go of Kubernetes 1.26; the function names in the
comments below are its own. The way of a packet through the nat table:

    PREROUTING, OUTPUT -> KUBE-SERVICES -> KUBE-SVC-x          ClusterIP
                                        -> KUBE-EXT-x          LoadBalancer address
                                        -> KUBE-NODEPORTS
                                             -> KUBE-EXT-x     NodePort
    KUBE-EXT-x -> KUBE-MARK-MASQ, then KUBE-SVC-x              policy Cluster
               -> KUBE-SVL-x                                   policy Local
    KUBE-SVC-x -> KUBE-SEP-y                                   one endpoint, by chance
    KUBE-SEP-y -> DNAT
    POSTROUTING -> KUBE-POSTROUTING -> MASQUERADE              if marked
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from captures.testbed.cluster import POD_CIDR, Cluster, Endpoint, Family, Port, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

MASQUERADE_MARK = "0x4000/0x4000"  # --iptables-masquerade-bit 14


def chain_hash(*parts: str) -> str:
    """Name a chain: ``portProtoHash`` and ``servicePortEndpointChainName``."""
    digest = hashlib.sha256("".join(parts).encode()).digest()
    return base64.b32encode(digest)[:16].decode()


@dataclass
class Rules:
    """Chains and rules of one table, in the order in which they are written."""

    chains: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)

    def chain(self, name: str) -> str:
        """Declare a chain; ``iptables-restore --noflush`` empties it."""
        if name not in self.chains:
            self.chains.append(name)
        return name

    def add(self, chain: str, comment: str, rest: str) -> None:
        """Append a rule with a comment, the way kube-proxy places it."""
        remark = f'-m comment --comment "{comment}" ' if comment else ""
        self.rules.append(f"-A {chain} {remark}{rest}")

    def restore_input(self, table: str, stale: set[str]) -> str:
        """Write the table for ``iptables-restore``; stale chains are removed."""
        declared = [f":{name} - [0:0]" for name in [*self.chains, *sorted(stale)]]
        deleted = [f"-X {name}" for name in sorted(stale)]
        return "\n".join([f"*{table}", *declared, *self.rules, *deleted, "COMMIT", ""])


def base_rules() -> str:
    """Return the jumps from the built-in chains (``iptablesJumpChains``).

    Written once; a resync touches only KUBE- chains. KUBE-FIREWALL is kubelet's
    (pkg/kubelet/kubelet_network_linux.go).
    """
    new = "-m conntrack --ctstate NEW"
    return f"""*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT {new} -m comment --comment "kubernetes load balancer firewall" \
-j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT {new} -m comment --comment "kubernetes externally-visible service portals" \
-j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD {new} -m comment --comment "kubernetes load balancer firewall" \
-j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD {new} -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A FORWARD {new} -m comment --comment "kubernetes externally-visible service portals" \
-j KUBE-EXTERNAL-SERVICES
-A OUTPUT {new} -m comment --comment "kubernetes load balancer firewall" \
-j KUBE-PROXY-FIREWALL
-A OUTPUT {new} -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
COMMIT
*nat
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
COMMIT
"""


def sync_proxy_rules(
    cluster: Cluster, node: str, family: Family
) -> tuple[Rules, Rules]:
    """Return the filter and nat tables (``syncProxyRules``)."""
    filter_table, nat = Rules(), Rules()
    for chain in (
        "KUBE-NODEPORTS",
        "KUBE-SERVICES",
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-FORWARD",
        "KUBE-PROXY-FIREWALL",
        "KUBE-FIREWALL",
    ):
        filter_table.chain(chain)
    for chain in (
        "KUBE-NODEPORTS",
        "KUBE-SERVICES",
        "KUBE-POSTROUTING",
        "KUBE-MARK-MASQ",
    ):
        nat.chain(chain)

    # Whatever was marked on its way gets the address of the device it leaves by.
    # The mark is cleared first, so that the packet is not masqueraded again if it
    # passes once more. A host's own call into the tunnel never comes here: Calico's
    # rule masquerades it before, the mark stays, the encapsulating packet inherits
    # it, and its UDP source port is rewritten too.
    nat.add("KUBE-POSTROUTING", "", f"-m mark ! --mark {MASQUERADE_MARK} -j RETURN")
    nat.add("KUBE-POSTROUTING", "", "-j MARK --xor-mark 0x4000")
    nat.add(
        "KUBE-POSTROUTING",
        "kubernetes service traffic requiring SNAT",
        "-j MASQUERADE --random-fully",
    )
    nat.add("KUBE-MARK-MASQ", "", "-j MARK --or-mark 0x4000")

    for service in cluster.services:
        for port in service.ports:
            if family == "IPv6" and service.name == "kubernetes":
                continue  # a single-stack Service: it has no IPv6 ClusterIP
            write_service_port(cluster, node, family, service, port, filter_table, nat)

    nat.add(
        "KUBE-SERVICES",
        "kubernetes service nodeports; NOTE: this must be the last rule in this chain",
        "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
    )

    # A packet that conntrack cannot place would leave with its untranslated
    # source; the answer would reset the connection (kubernetes issue 74839).
    filter_table.add("KUBE-FORWARD", "", "-m conntrack --ctstate INVALID -j DROP")
    filter_table.add(
        "KUBE-FORWARD",
        "kubernetes forwarding rules",
        f"-m mark --mark {MASQUERADE_MARK} -j ACCEPT",
    )
    filter_table.add(
        "KUBE-FORWARD",
        "kubernetes forwarding conntrack rule",
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    )
    if family == "IPv4":
        filter_table.add(
            "KUBE-FIREWALL",
            "block incoming localnet connections",
            "! -s 127.0.0.0/8 -d 127.0.0.0/8 "
            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
        )
    return filter_table, nat


@dataclass(frozen=True)
class Match:
    """How rules recognise one Service port, by each way that leads to it."""

    name: str  # as comments say it
    protocol: str
    cluster_ip: str
    load_balancer_ip: str | None
    node_port: str | None

    @classmethod
    def of(cls, service: Service, port: Port, family: Family) -> Match:
        """Write the match of each address that a Service port has."""
        protocol = f"-m {port.protocol} -p {port.protocol}"
        host = "/32" if family == "IPv4" else "/128"
        external_ip = service.external_ip(family)
        return cls(
            service.port_name(port),
            protocol,
            f"{protocol} -d {service.vip(family)}{host} --dport {port.port}",
            f"{protocol} -d {external_ip}{host} --dport {port.port}"
            if external_ip
            else None,
            f"{protocol} --dport {port.node_port}" if port.node_port else None,
        )


def write_service_port(
    cluster: Cluster,
    node: str,
    family: Family,
    service: Service,
    port: Port,
    filter_table: Rules,
    nat: Rules,
) -> None:
    """Write one Service port: the body of ``syncProxyRules``' loop."""
    match = Match.of(service, port, family)
    endpoints = cluster.endpoints(service, port, family)
    local = [endpoint for endpoint in endpoints if endpoint.node == node]
    local_only = service.external_policy == "Local"
    if not endpoints:
        refuse(filter_table, match, "has no endpoints", "REJECT")
        filter_table.add(
            "KUBE-SERVICES",
            f"{match.name} has no endpoints",
            f"{match.cluster_ip} -j REJECT",
        )
        return
    if local_only and not local:
        refuse(filter_table, match, "has no local endpoints", "DROP")

    # ClusterIP. Who is not a pod (outside the cluster CIDR) is masqueraded.
    base = chain_hash(match.name, port.protocol)
    cluster_chain = nat.chain(f"KUBE-SVC-{base}")
    remark = f"{match.name} cluster IP"
    nat.add("KUBE-SERVICES", remark, f"{match.cluster_ip} -j {cluster_chain}")
    nat.add(
        cluster_chain,
        remark,
        f"{match.cluster_ip} ! -s {POD_CIDR[family]} -j KUBE-MARK-MASQ",
    )
    write_endpoint_choice(nat, service, port, cluster_chain, endpoints)

    # LoadBalancer address and NodePort: by way of KUBE-EXT.
    chain = f"KUBE-EXT-{base}"
    if match.load_balancer_ip:
        nat.add(
            "KUBE-SERVICES",
            f"{match.name} loadbalancer IP",
            f"{match.load_balancer_ip} -j {chain}",
        )
    if match.node_port:
        nat.add("KUBE-NODEPORTS", match.name, f"{match.node_port} -j {chain}")
    if match.load_balancer_ip or match.node_port:
        remark = f"{match.name} external destinations"
        nat.chain(chain)
        if local_only:
            write_local_policy(nat, chain, cluster_chain, remark, family)
            if local:
                local_chain = nat.chain(f"KUBE-SVL-{base}")
                nat.add(chain, "", f"-j {local_chain}")
                write_endpoint_choice(nat, service, port, local_chain, local)
        else:
            nat.add(chain, f"masquerade traffic for {remark}", "-j KUBE-MARK-MASQ")
            nat.add(chain, "", f"-j {cluster_chain}")

    host = "/32" if family == "IPv4" else "/128"
    for endpoint in endpoints:
        chain = nat.chain(endpoint_chain(match.name, port, endpoint))
        # Hairpin: a pod that was sent to itself must see the node as the client.
        nat.add(chain, match.name, f"-s {endpoint.ip}{host} -j KUBE-MARK-MASQ")
        remember = (
            f"-m recent --name {chain} --set " if service.affinity_seconds else ""
        )
        nat.add(
            chain,
            match.name,
            f"{remember}{match.protocol} -j DNAT --to-destination {endpoint}",
        )


def write_local_policy(
    nat: Rules, chain: str, cluster_chain: str, remark: str, family: Family
) -> None:
    """Write who is exempt from ``externalTrafficPolicy: Local``.

    The client's address survives and only local endpoints answer; but pods and the
    node itself are sent to any endpoint, as if they had gone out and come back.
    """
    source = "-m addrtype --src-type LOCAL"
    nat.add(
        chain, f"pod traffic for {remark}", f"-s {POD_CIDR[family]} -j {cluster_chain}"
    )
    nat.add(
        chain, f"masquerade LOCAL traffic for {remark}", f"{source} -j KUBE-MARK-MASQ"
    )
    nat.add(chain, f"route LOCAL traffic for {remark}", f"{source} -j {cluster_chain}")


def endpoint_chain(name: str, port: Port, endpoint: Endpoint) -> str:
    """Name an endpoint's chain."""
    return f"KUBE-SEP-{chain_hash(name, port.protocol, str(endpoint))}"


def write_endpoint_choice(
    nat: Rules, service: Service, port: Port, chain: str, endpoints: list[Endpoint]
) -> None:
    """Write a chain's choice among endpoints (``writeServiceToEndpointRules``).

    Each rule is reached only if those before it declined, so the i-th of n must
    accept with probability 1/(n-i) for every endpoint to get 1/n.
    """
    name = service.port_name(port)
    if service.affinity_seconds:
        for endpoint in endpoints:
            target = endpoint_chain(name, port, endpoint)
            nat.add(
                chain,
                f"{name} -> {endpoint}",
                f"-m recent --name {target} --rcheck "
                f"--seconds {service.affinity_seconds} --reap -j {target}",
            )
    for index, endpoint in enumerate(endpoints):
        left = len(endpoints) - index
        chance = f"-m statistic --mode random --probability {1 / left:.10f} "
        nat.add(
            chain,
            f"{name} -> {endpoint}",
            f"{chance if left > 1 else ''}-j {endpoint_chain(name, port, endpoint)}",
        )


def refuse(filter_table: Rules, match: Match, reason: str, target: str) -> None:
    """Refuse calls from outside that no endpoint could answer."""
    remark = f"{match.name} {reason}"
    if match.load_balancer_ip:
        filter_table.add(
            "KUBE-EXTERNAL-SERVICES", remark, f"{match.load_balancer_ip} -j {target}"
        )
    if match.node_port:
        filter_table.add(
            "KUBE-EXTERNAL-SERVICES",
            remark,
            f"-m addrtype --dst-type LOCAL {match.node_port} -j {target}",
        )


def restore_inputs(
    cluster: Cluster, node: str, family: Family, before: Cluster | None = None
) -> Iterator[str]:
    """Yield ``iptables-restore --noflush`` inputs that bring a node up to date."""
    if before is None:
        yield base_rules()
    old = sync_proxy_rules(before, node, family) if before else (Rules(), Rules())
    new = sync_proxy_rules(cluster, node, family)
    for table, was, now in zip(("filter", "nat"), old, new, strict=True):
        yield now.restore_input(table, set(was.chains) - set(now.chains))
