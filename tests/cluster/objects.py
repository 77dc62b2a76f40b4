"""Kubernetes objects as small as they can be."""

from __future__ import annotations

from typing import Any


def a_pod(
    name: str, *ips: str, namespace: str = "default", **spec: Any
) -> dict[str, Any]:
    """Make a running pod on node-a; keywords go to its spec, status or metadata."""
    status = {
        "phase": spec.pop("phase", "Running"),
        "podIPs": [{"ip": ip} for ip in ips],
        "conditions": [{"type": "Ready", "status": spec.pop("ready", "True")}],
        **spec.pop("status", {}),
    }
    metadata = {"name": name, "namespace": namespace, **spec.pop("metadata", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": "node-a", **spec},
        "status": status,
    }


def a_node(name: str, *ips: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, **spec.pop("metadata", {})}
    addresses = [{"type": "InternalIP", "address": ip} for ip in ips]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": spec,
        "status": {"addresses": addresses},
    }


def a_service(name: str, *ports: Any, **spec: Any) -> dict[str, Any]:
    """Make a service; a port is a number or a mapping."""
    status = spec.pop("status", {})
    namespace = spec.pop("namespace", "default")
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "ClusterIP",
            "ports": [
                port if isinstance(port, dict) else {"port": port, "targetPort": port}
                for port in ports
            ],
            **spec,
        },
        "status": status,
    }


def a_list(*items: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def a_slice(
    service: str, *ends: tuple[str, int], namespace: str = "default"
) -> dict[str, Any]:
    """Make a slice of IPv4 endpoints that have one port."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-abcde",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]} for address, _ in ends],
        "ports": [{"port": port} for port in sorted({port for _, port in ends})],
    }


def what_every_cluster_has(**nodes: str) -> list[dict[str, Any]]:
    """Make the API server's Service, that of DNS, and kube-proxy on some nodes."""
    first = next(iter(nodes.values()))
    return [
        a_service("kubernetes", {"port": 443}, clusterIP="10.152.183.254"),
        a_slice("kubernetes", (first, 6443)),
        a_service("dns", 53, namespace="kube-system", clusterIP="10.152.183.253"),
        a_slice("dns", ("10.1.255.53", 53), namespace="kube-system"),
        *(
            a_pod(
                f"kube-proxy-{number}",
                address,
                namespace="kube-system",
                nodeName=name,
                hostNetwork=True,
            )
            for number, (name, address) in enumerate(nodes.items())
        ),
    ]
