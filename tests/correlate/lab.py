"""A cluster of two nodes, and the ways that a NodePort call takes through it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import analyzer
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
    arriving = Seen("node-a.eth0.pcap", client, front, ttl=64)
    if not remote:
        return [arriving]
    inner = ((TUNNEL_A, snat), (POD_B, 80))
    outer = (NODE_A, NODE_B)
    return [
        arriving,
        Seen("node-a.eth0.pcap", *inner, ttl=63, delay=40, outer=outer),
        Seen("node-b.eth0.pcap", *inner, ttl=63, delay=90, outer=outer),
        Seen("node-b.cali0.pcap", *inner, ttl=62, delay=120),
    ]


def cluster(folder: Path, **service: Any) -> analyzer.Cluster:
    """Give the cluster's state: one service over one pod on each node."""
    items = [
        _node("node-a", NODE_A, TUNNEL_A),
        _node("node-b", NODE_B, TUNNEL_B),
        _pod("web-a", POD_A, "node-a"),
        _pod("web-b", POD_B, "node-b"),
        _pod("client", CLIENT_POD, "node-a", app="client"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "type": "NodePort",
                "clusterIP": SERVICE_IP,
                "clusterIPs": [SERVICE_IP],
                "selector": {"app": "web"},
                "ports": [
                    {
                        "port": 80,
                        "protocol": "TCP",
                        "targetPort": 80,
                        "nodePort": NODE_PORT,
                    }
                ],
                **service,
            },
        },
    ]
    path = folder / "state.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return analyzer.Cluster.load([path])


def _node(name: str, address: str, tunnel: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"projectcalico.org/IPv4VXLANTunnelAddr": tunnel},
        },
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def _pod(name: str, address: str, node: str, app: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
        "spec": {"nodeName": node, "containers": [{"name": "c"}]},
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
