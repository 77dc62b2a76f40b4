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
