"""What a user can paste: kubectl's output and each node's own state, as files.

Shapes follow Kubernetes 1.26 and kubectl's printers; times and identifiers are
derived from names, so that a recording does not differ where nothing changed.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from captures.testbed import netns
from captures.testbed.calico import DEVICE
from captures.testbed.cluster import (
    NODES,
    VERSION,
    Cluster,
    Family,
    Node,
    Pod,
    Port,
    Service,
)
from captures.testbed.topology import NIC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CREATED = "2023-05-14T02:11:00Z"
STARTED = "2023-05-14T02:11:05Z"
OS_IMAGE = "Ubuntu 22.04.2 LTS"
KERNEL = "5.15.0-71-generic"
RUNTIME = "containerd://1.6.15"

Object = dict[str, Any]


def uid(*parts: str) -> str:
    """Derive an object's uid from its name."""
    h = hashlib.sha256("/".join(parts).encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:32]}"


def resource_version(*parts: str) -> str:
    """Derive a resourceVersion from a name."""
    return str(
        40000 + int(hashlib.sha256("/".join(parts).encode()).hexdigest(), 16) % 9999
    )


def metadata(kind: str, name: str, namespace: str | None = None) -> Object:
    """Return the metadata that every object has."""
    named = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {
        "creationTimestamp": CREATED,
        **named,
        "resourceVersion": resource_version(kind, namespace or "", name),
        "uid": uid(kind, namespace or "", name),
    }


def listing(items: Sequence[Object]) -> Object:
    """Wrap objects as ``kubectl get -o json`` does."""
    return {
        "apiVersion": "v1",
        "items": list(items),
        "kind": "List",
        "metadata": {"resourceVersion": ""},
    }


def node_object(node: Node, families: Sequence[Family]) -> Object:
    """Return a Node."""
    annotations = {
        "node.alpha.kubernetes.io/ttl": "0",
        "projectcalico.org/IPv4Address": f"{node.ip}/24",
        "projectcalico.org/IPv4VXLANTunnelAddr": node.tunnel_ip,
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    }
    if "IPv6" in families:
        annotations["projectcalico.org/IPv6Address"] = f"{node.ip6}/64"
        annotations["projectcalico.org/IPv6VXLANTunnelAddr"] = node.tunnel_ip6
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            **metadata("Node", node.name),
            "annotations": annotations,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": node.name,
                "kubernetes.io/os": "linux",
                "microk8s.io/cluster": "true",
                "node.kubernetes.io/microk8s-controlplane": "microk8s-controlplane",
            },
        },
        "spec": {},
        "status": {
            "addresses": [
                *(
                    {"address": node.address(family), "type": "InternalIP"}
                    for family in families
                ),
                {"address": node.name, "type": "Hostname"},
            ],
            "conditions": [
                {
                    "lastHeartbeatTime": CREATED,
                    "lastTransitionTime": CREATED,
                    "message": "kubelet is posting ready status. AppArmor enabled",
                    "reason": "KubeletReady",
                    "status": "True",
                    "type": "Ready",
                }
            ],
            "nodeInfo": {
                "architecture": "amd64",
                "containerRuntimeVersion": RUNTIME,
                "kernelVersion": KERNEL,
                "kubeProxyVersion": VERSION,
                "kubeletVersion": VERSION,
                "operatingSystem": "linux",
                "osImage": OS_IMAGE,
            },
        },
    }


def labels_of(pod: Pod) -> dict[str, str]:
    """Return a pod's labels; the Deployment controller adds its template's hash."""
    kind, _, owner = pod.owner.partition("/")
    if kind != "ReplicaSet":
        return pod.labels
    return {**pod.labels, "pod-template-hash": owner.rpartition("-")[2]}


def pod_object(pod: Pod, families: Sequence[Family]) -> Object:
    """Return a Pod."""
    kind, _, owner = pod.owner.partition("/")
    container = owner.removesuffix("-ds") or pod.name
    addresses = [pod.address(family) for family in families]
    node = next(node for node in NODES if node.name == pod.node)
    state: Object = {"running": {"startedAt": STARTED}}
    if pod.completed:
        state = {
            "terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": STARTED}
        }
    ready = "False" if pod.completed else "True"
    spec: Object = {
        "containers": [{"image": pod.image, "name": container, "resources": {}}],
        "nodeName": pod.node,
        "restartPolicy": "Never" if pod.completed else "Always",
        "serviceAccountName": "default",
    }
    if pod.host_network:
        spec["hostNetwork"] = True
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata("Pod", pod.name, pod.namespace),
            "annotations": {}
            if pod.host_network
            else {
                "cni.projectcalico.org/podIP": f"{pod.ip}/32",
                "cni.projectcalico.org/podIPs": ",".join(
                    f"{a}/{128 if ':' in a else 32}" for a in addresses
                ),
            },
            "generateName": pod.name.rpartition("-")[0] + "-",
            "labels": labels_of(pod),
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
                    "blockOwnerDeletion": True,
                    "controller": True,
                    "kind": kind,
                    "name": owner,
                    "uid": uid(kind, pod.namespace, owner),
                }
            ],
        },
        "spec": spec,
        "status": {
            "conditions": [
                {"lastTransitionTime": CREATED, "status": status, "type": condition}
                for condition, status in (
                    ("Initialized", "True"),
                    ("Ready", ready),
                    ("ContainersReady", ready),
                    ("PodScheduled", "True"),
                )
            ],
            "containerStatuses": [
                {
                    "containerID": "containerd://"
                    + hashlib.sha256(pod.name.encode()).hexdigest(),
                    "image": pod.image,
                    "name": container,
                    "ready": not pod.completed,
                    "restartCount": 0,
                    "started": not pod.completed,
                    "state": state,
                }
            ],
            "hostIP": node.ip,
            "phase": "Succeeded" if pod.completed else "Running",
            "podIP": pod.ip,
            "podIPs": [{"ip": address} for address in addresses],
            "qosClass": "BestEffort",
            "startTime": CREATED,
        },
    }


def service_families(service: Service, families: Sequence[Family]) -> list[Family]:
    """Return a Service's families: the API server's own is single-stack."""
    return ["IPv4"] if service.name == "kubernetes" else list(families)


def service_object(service: Service, families: Sequence[Family]) -> Object:
    """Return a Service."""
    own = service_families(service, families)
    spec: Object = {
        "clusterIP": service.cluster_ip,
        "clusterIPs": [service.vip(family) for family in own],
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": own,
        "ipFamilyPolicy": "SingleStack" if len(own) == 1 else "RequireDualStack",
        "ports": [port_object(port) for port in service.ports],
        "sessionAffinity": "ClientIP" if service.affinity_seconds else "None",
        "type": service.type,
    }
    if service.selector:
        spec["selector"] = service.selector
    if service.type != "ClusterIP":
        spec["externalTrafficPolicy"] = service.external_policy
    if service.affinity_seconds:
        spec["sessionAffinityConfig"] = {
            "clientIP": {"timeoutSeconds": service.affinity_seconds}
        }
    if service.type == "LoadBalancer":
        spec["allocateLoadBalancerNodePorts"] = True
    status: Object = {"loadBalancer": {}}
    if service.load_balancer_ip:
        status["loadBalancer"]["ingress"] = [
            {"ip": service.external_ip(family)} for family in own
        ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata("Service", service.name, service.namespace),
        "spec": spec,
        "status": status,
    }


def port_object(port: Port) -> Object:
    """Return a ServicePort."""
    written: Object = {
        "port": port.port,
        "protocol": port.protocol.upper(),
        "targetPort": port.target,
    }
    if port.name:
        written["name"] = port.name
    if port.node_port:
        written["nodePort"] = port.node_port
    return written


def slice_object(cluster: Cluster, service: Service, family: Family) -> Object:
    """Return a Service's EndpointSlice in one family, unready endpoints included."""
    endpoints: list[Object] = []
    for pod in cluster.pods:
        matches = service.selector and service.selector.items() <= pod.labels.items()
        if not matches or pod.completed:
            continue
        ready = pod.name not in service.not_ready
        endpoints.append(
            {
                "addresses": [pod.address(family)],
                "conditions": {"ready": ready, "serving": ready, "terminating": False},
                "nodeName": pod.node,
                "targetRef": {
                    "kind": "Pod",
                    "name": pod.name,
                    "namespace": pod.namespace,
                    "uid": uid("Pod", pod.namespace, pod.name),
                },
            }
        )
    for address, node in service.addresses:
        if (":" in address) == (family == "IPv6"):
            endpoints.append(
                {
                    "addresses": [address],
                    "conditions": {"ready": True},
                    "nodeName": node,
                }
            )
    suffix = hashlib.sha256(f"{service.full_name}{family}".encode()).hexdigest()[:5]
    name = "kubernetes" if service.name == "kubernetes" else f"{service.name}-{suffix}"
    return {
        "addressType": family,
        "apiVersion": "discovery.k8s.io/v1",
        "endpoints": endpoints,
        "kind": "EndpointSlice",
        "metadata": {
            **metadata("EndpointSlice", name, service.namespace),
            "generateName": f"{service.name}-",
            "labels": {
                "endpointslice.kubernetes.io/managed-by": (
                    "endpointslice-controller.k8s.io"
                ),
                "kubernetes.io/service-name": service.name,
            },
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "blockOwnerDeletion": True,
                    "controller": True,
                    "kind": "Service",
                    "name": service.name,
                    "uid": uid("Service", service.namespace, service.name),
                }
            ],
        },
        "ports": [
            {"name": port.name, "port": port.target, "protocol": port.protocol.upper()}
            for port in service.ports
        ],
    }


def columns(header: str, rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out as kubectl does: three blanks between columns, none at the end."""
    table = [header.split("|"), *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "".join(
        "   ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        + "\n"
        for row in table
    )


def nodes_wide() -> str:
    """Return ``kubectl get node -o wide``."""
    return columns(
        "NAME|STATUS|ROLES|AGE|VERSION|INTERNAL-IP|EXTERNAL-IP|OS-IMAGE|"
        "KERNEL-VERSION|CONTAINER-RUNTIME",
        [
            (
                *(node.name, "Ready", "<none>", "83m", VERSION, node.ip, "<none>"),
                *(OS_IMAGE, KERNEL, RUNTIME),
            )
            for node in NODES
        ],
    )


def pods_wide(pods: Sequence[Pod], *, all_namespaces: bool) -> str:
    """Return ``kubectl get pod -o wide``, with ``-A`` for all namespaces."""
    header = "NAME|READY|STATUS|RESTARTS|AGE|IP|NODE|NOMINATED NODE|READINESS GATES"
    rows = [
        (
            *((pod.namespace,) if all_namespaces else ()),
            pod.name,
            *(("0/1", "Completed") if pod.completed else ("1/1", "Running")),
            *("0", "23m", pod.ip, pod.node, "<none>", "<none>"),
        )
        for pod in pods
        if all_namespaces or pod.namespace == "default"
    ]
    return columns(("NAMESPACE|" if all_namespaces else "") + header, rows)


def services_wide(services: Sequence[Service], *, all_namespaces: bool) -> str:
    """Return ``kubectl get svc -o wide``, with ``-A`` for all namespaces."""
    header = "NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE|SELECTOR"
    rows = [
        (
            *((service.namespace,) if all_namespaces else ()),
            *(service.name, service.type, service.cluster_ip),
            service.load_balancer_ip or "<none>",
            ",".join(port_text(port) for port in service.ports),
            "41m" if service.name == "kubernetes" else "3m58s",
            ",".join(f"{k}={v}" for k, v in service.selector.items()) or "<none>",
        )
        for service in services
        if all_namespaces or service.namespace == "default"
    ]
    return columns(("NAMESPACE|" if all_namespaces else "") + header, rows)


def port_text(port: Port) -> str:
    """Write a port as kubectl does: ``80:30080/TCP``."""
    node_port = f":{port.node_port}" if port.node_port else ""
    return f"{port.port}{node_port}/{port.protocol.upper()}"


def kubectl_files(cluster: Cluster) -> dict[str, str]:
    """Return every kubectl-shaped file: name to text."""
    families = cluster.families

    def as_json(items: Sequence[Object]) -> str:
        return json.dumps(listing(items), indent=1) + "\n"

    return {
        "nodes.json": as_json([node_object(node, families) for node in NODES]),
        "pods.json": as_json([pod_object(pod, families) for pod in cluster.pods]),
        "services.json": as_json(
            [service_object(service, families) for service in cluster.services]
        ),
        "endpointslices.json": as_json(
            [
                slice_object(cluster, service, family)
                for service in cluster.services
                for family in service_families(service, families)
            ]
        ),
        "node-wide.txt": nodes_wide(),
        "pod-wide.txt": pods_wide(cluster.pods, all_namespaces=False),
        "pod-all-wide.txt": pods_wide(cluster.pods, all_namespaces=True),
        "svc-wide.txt": services_wide(cluster.services, all_namespaces=False),
        "svc-all-wide.txt": services_wide(cluster.services, all_namespaces=True),
    }


def node_files(cluster: Cluster, node: Node, proxy_mode: str) -> dict[str, str]:
    """Ask a node for its own state: file name to text."""
    commands = {
        "ip-addr.json": ["ip", "-j", "addr"],
        "ip-d-addr.txt": ["ip", "-d", "addr"],
        "ip-route.txt": ["ip", "route"],
        "ip-neigh.txt": ["ip", "neigh"],
        "bridge-fdb.txt": ["bridge", "fdb", "show", "dev", DEVICE["IPv4"]],
        "iptables-save.txt": ["iptables-save"],
    }
    if node is NODES[0]:  # one node is enough to show these forms
        commands[f"ethtool-k.{NIC}.txt"] = ["ethtool", "-k", NIC]
        commands["iptables-save-c.txt"] = ["iptables-save", "-c"]
    if cluster.ipv6:
        commands["ip-6-route.txt"] = ["ip", "-6", "route"]
        commands["ip6tables-save.txt"] = ["ip6tables-save"]
        commands["bridge-fdb-v6.txt"] = ["bridge", "fdb", "show", "dev", DEVICE["IPv6"]]
    if proxy_mode == "nftables":
        commands["nft-list-ruleset.txt"] = ["nft", "list", "ruleset"]
        commands["nft-list-ruleset.json"] = ["nft", "-j", "list", "ruleset"]
    return {
        f"{node.name}.{name}": netns.run_inside(node.name, command)
        for name, command in commands.items()
    }


def write(cluster: Cluster, directory: Path, proxy_mode: str) -> None:
    """Write the whole cluster state into a directory."""
    directory.mkdir()
    for name, text in kubectl_files(cluster).items():
        (directory / name).write_text(text)
    for node in NODES:
        for name, text in node_files(cluster, node, proxy_mode).items():
            (directory / name).write_text(text)


def interface_names() -> dict[str, dict[str, str]]:
    """Return per node, interface index to name."""
    found = {}
    for node in NODES:
        links = json.loads(netns.run_inside(node.name, ["ip", "-j", "link"]))
        found[node.name] = {str(link["ifindex"]): link["ifname"] for link in links}
    return found
