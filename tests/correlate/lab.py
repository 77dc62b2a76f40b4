"""A cluster of two nodes, and the ways that a NodePort call takes through it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import analyzer
from tests.cluster.objects import (
    a_list,
    a_node,
    a_pod,
    a_service,
    what_every_cluster_has,
)
from tests.correlate.simulated import End, Seen

if TYPE_CHECKING:
    from pathlib import Path

NODE_A, NODE_B = "192.0.2.1", "192.0.2.2"
TUNNEL_A, TUNNEL_B = "10.1.1.0", "10.1.2.0"
POD_A, POD_B = "10.1.1.5", "10.1.2.5"
CLIENT_POD = "10.1.1.9"
SERVICE_IP = "10.152.183.50"
OUTSIDE = "198.51.100.7"
NODE_PORT = 30080


def node_port(
    client: End = (OUTSIDE, 41000), snat: int = 52000, *, remote: bool = True
) -> list[Seen]:
    """Give what node-a's NIC and node-b's devices see of a call to node-a's port."""
    front = (NODE_A, NODE_PORT)
    arriving = Seen("node-a.eth0.pcap", client, front, ttl=64, reply_ttl=62)
    if not remote:
        return [arriving]
    inner = ((TUNNEL_A, snat), (POD_B, 80))
    outer = (NODE_A, NODE_B)
    return [
        arriving,
        Seen("node-a.eth0.pcap", *inner, 63, 40, outer, reply_ttl=63),
        Seen("node-b.eth0.pcap", *inner, 63, 90, outer, reply_ttl=63),
        Seen("node-b.cali0.pcap", *inner, ttl=62, delay=120),
    ]


def cluster(folder: Path, *more: Any, **service: Any) -> analyzer.Cluster:
    """Give the cluster's state: one service over one pod on each node, and more."""
    port = {"port": 80, "targetPort": 80, "nodePort": NODE_PORT}
    spec = {"type": "NodePort", "clusterIP": SERVICE_IP, "selector": {"app": "web"}}
    web = a_service("web", port, **{**spec, **service})
    listed = saved(folder, *_OF_EVERY_CLUSTER, web, *more)
    # As if kube-proxy's rules had been told as well.
    return replace(listed, extent=replace(listed.extent, rules=listed.extent.lists))


def saved(folder: Path, *items: Any) -> analyzer.Cluster:
    """Give the state of nodes and pods, and of some more objects that kubectl lists."""
    path = folder / "state.json"
    path.write_text(json.dumps(a_list(*_HOSTS, *items)))
    return analyzer.Cluster.load([path])


def a_lab_node(name: str, address: str, tunnel: str) -> dict[str, Any]:
    annotations = {"projectcalico.org/IPv4VXLANTunnelAddr": tunnel}
    return a_node(name, address, metadata={"annotations": annotations})


def a_lab_pod(
    name: str, address: str, node: str, app: str = "web", **more: Any
) -> dict[str, Any]:
    labels = {"labels": {"app": app}}
    return a_pod(name, address, nodeName=node, metadata=labels, **more)


_OF_EVERY_CLUSTER = what_every_cluster_has(**{"node-a": NODE_A, "node-b": NODE_B})
_HOSTS = [
    a_lab_node("node-a", NODE_A, TUNNEL_A),
    a_lab_node("node-b", NODE_B, TUNNEL_B),
    a_lab_pod("web-a", POD_A, "node-a"),
    a_lab_pod("web-b", POD_B, "node-b"),
    a_lab_pod("client", CLIENT_POD, "node-a", app="client"),
]
