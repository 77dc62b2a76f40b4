"""Bring the nodes' rules up to date, in whichever mode kube-proxy runs."""

from __future__ import annotations

from typing import Literal

from captures.testbed import kubeproxy_iptables, kubeproxy_nftables, netns
from captures.testbed.cluster import NODES, Cluster

Mode = Literal["iptables", "nftables"]


def sync(cluster: Cluster, mode: Mode, before: Cluster | None = None) -> None:
    """Write the rules of every node; ``before`` is what they hold now."""
    for node in NODES:
        for family in cluster.families:
            if mode == "nftables":
                text = kubeproxy_nftables.ruleset(cluster, node, family)
                netns.run_inside(node.name, ["nft", "-f", "-"], stdin=text)
                continue
            restore = "iptables-restore" if family == "IPv4" else "ip6tables-restore"
            for text in kubeproxy_iptables.restore_inputs(
                cluster, node.name, family, before
            ):
                netns.run_inside(node.name, [restore, "--noflush", "-w"], stdin=text)
