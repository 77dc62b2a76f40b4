"""Kubernetes objects, as ``kubectl get -o json`` and ``-o yaml`` write them.

Specification: https://kubernetes.io/docs/reference/kubernetes-api/.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from analyzer.cluster import fields, values
from analyzer.cluster.found import Found
from analyzer.cluster.inferred import INFERRED
from analyzer.cluster.model import (
    PHASES,
    UNKNOWN_TYPE,
    Endpoint,
    Node,
    Pod,
    Service,
    ServicePort,
)
from analyzer.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")
_Object = dict[str, Any]
_EndpointPort = tuple[int | None, str | None, str | None]  # port, protocol, name

_TUNNEL_ANNOTATIONS = (
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "projectcalico.org/IPv6VXLANTunnelAddr",
    "projectcalico.org/IPv4IPIPTunnelAddr",
    "projectcalico.org/IPv4WireguardInterfaceAddr",
)
_VTEP_MAC_ANNOTATION = "projectcalico.org/VXLANTunnelMACAddr"
_ZONE_LABEL = "topology.kubernetes.io/zone"
_SERVICE_LABEL = "kubernetes.io/service-name"
_OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


def read_objects(
    documents: Iterable[tuple[int, object]], path: str, syntax: str
) -> list[Found]:
    """Read documents, each one object, a sequence of objects or a Kubernetes List.

    Parameters
    ----------
    documents : iterable of (int, object)
        Line on which each starts, and what it holds.
    path : str
        The file, for the report.
    syntax : str
        ``JSON`` or ``YAML``, for the report.

    Returns
    -------
    list of Found
        One for each kind of object in each List, and for each kind of other objects.
    """
    by_kind: dict[tuple[int | None, str], Found] = {}
    for line, thing, listing in _objects(documents):
        kind = fields.text(thing, "kind")
        if kind is None or not fields.mapping(thing, "metadata"):
            title, read = "no Kubernetes object", None
        else:
            group = (fields.text(thing, "apiVersion") or "v1").rpartition("/")[0]
            title, read = _READERS.get((group, kind), (kind, None))
        found = by_kind.setdefault(
            (listing, title),
            Found(
                path,
                line,
                f"{title} ({syntax})",
                used=bool(read),
                structured=True,
                is_listing=listing is not None,
                has_namespaces=True,
            ),
        )
        if _is_inferred(thing):
            found.is_listing = False  # packets tell what was seen, not what there is
        if read is None:
            found.others += 1
            continue
        reading = _Reading(thing, found, line)
        try:
            read(thing, reading)
        except ClusterError as error:
            reading.remark(error)
    return list(by_kind.values())


def _objects(
    documents: Iterable[tuple[int, object]],
) -> Iterator[tuple[int, _Object, int | None]]:
    """Take lists apart; the items of a ``PodList`` need not say that they are pods.

    Yields
    ------
    (int, dict, int or None)
        A line, an object, and which List it is from if it is of a whole one.
    """
    numbers = count()
    for line, document in documents:
        if document is None:  # YAML between two "---"
            continue
        for thing in document if isinstance(document, list) else [document]:
            whole = fields.mapping(thing)
            kind, items = fields.text(whole, "kind") or "", whole.get("items")
            if not kind.endswith("List") or not isinstance(items, list):
                yield line, whole, None
                continue
            is_cut = fields.text(whole, "metadata", "continue")  # in pieces
            listing = None if is_cut else next(numbers)
            implied = {"apiVersion": whole.get("apiVersion")}
            if kind != "List":
                implied["kind"] = kind.removesuffix("List")
            for item in items:
                yield line, {**implied, **fields.mapping(item)}, listing


class _Reading:
    """An object on its way into a Found, with remarks on what it holds."""

    def __init__(self, thing: _Object, found: Found, line: int) -> None:
        self.found, self._line = found, line
        self.remarked = False
        namespace = fields.text(thing, "metadata", "namespace")
        name = fields.text(thing, "metadata", "name") or "without a name"
        place = f"{namespace}/{name}" if namespace else name
        self._title = f"{thing['kind']} {place}"

    def remark(self, error: ClusterError) -> None:
        self.remarked = True
        self.found.remark(self._line, self._title, str(error))

    def usable(
        self, items: Iterable[_Item], convert: Callable[[_Item], _Value]
    ) -> tuple[_Value, ...]:
        """Convert items, each result once, and remark on those that cannot be."""
        converted: dict[_Value, None] = {}
        for item in items:
            try:
                converted[convert(item)] = None
            except ClusterError as error:
                self.remark(error)
        return tuple(converted)

    def addresses(self, items: Iterable[str | None]) -> tuple[str, ...]:
        told = (item for item in items if item and item != "None")  # headless: "None"
        return self.usable(told, values.address)


def _is_inferred(thing: _Object) -> bool:
    return fields.text(thing, "metadata", "annotations", INFERRED) == "true"


def _name(thing: _Object) -> str:
    name = fields.text(thing, "metadata", "name")
    if name is None:
        raise ClusterError("it has no metadata.name")
    return name


def _namespace(thing: _Object) -> str:
    return fields.text(thing, "metadata", "namespace") or "default"


def _read_node(thing: _Object, reading: _Reading) -> None:
    annotations = fields.mapping(thing, "metadata", "annotations")
    addresses = fields.mappings(thing, "status", "addresses")
    cidrs = [fields.text(thing, "spec", "podCIDR")]
    cidrs += fields.texts(thing, "spec", "podCIDRs")

    def of_type(wanted: str) -> tuple[str, ...]:
        return reading.addresses(
            fields.text(item, "address")
            for item in addresses
            if item.get("type") == wanted
        )

    reading.found.nodes.append(
        Node(
            name=_name(thing),
            internal_ips=of_type("InternalIP"),
            external_ips=of_type("ExternalIP"),
            pod_cidrs=reading.usable(filter(None, cidrs), values.cidr),
            tunnel_ips=reading.addresses(
                fields.text(annotations, name) for name in _TUNNEL_ANNOTATIONS
            ),
            vtep_mac=(fields.text(annotations, _VTEP_MAC_ANNOTATION) or "").lower()
            or None,
            zone=fields.text(thing, "metadata", "labels", _ZONE_LABEL),
        )
    )


def _read_block_affinity(thing: _Object, reading: _Reading) -> None:
    """Take a node's address block from Calico's own records."""
    block = fields.text(thing, "spec", "cidr")
    node = fields.text(thing, "spec", "node")
    if block is None or node is None:
        raise ClusterError("it has no spec.cidr and spec.node")
    if fields.text(thing, "spec", "state") in (None, "confirmed"):
        reading.found.nodes.append(Node(name=node, pod_cidrs=(values.cidr(block),)))
    else:
        reading.found.others += 1


def _read_pod(thing: _Object, reading: _Reading) -> None:
    status = fields.mapping(thing, "status")
    phase = fields.text(status, "phase")
    ips = [fields.text(status, "podIP")]
    ips += [fields.text(item, "ip") for item in fields.mappings(status, "podIPs")]
    ends = [
        fields.time(item, "state", "terminated", "finishedAt")
        for item in fields.mappings(status, "containerStatuses")
    ]
    containers = [
        *fields.mappings(thing, "spec", "initContainers"),
        *fields.mappings(thing, "spec", "containers"),
    ]
    named_ports = [
        item
        for container in containers
        for item in fields.mappings(container, "ports")
        if fields.text(item, "name")
    ]
    reading.found.pods.append(
        Pod(
            namespace=_namespace(thing),
            name=_name(thing),
            ips=reading.addresses(ips),
            node=fields.text(thing, "spec", "nodeName"),
            workload=_workload(thing),
            host_network=fields.mapping(thing, "spec").get("hostNetwork") is True,
            phase=phase if phase in PHASES else "Unknown",
            ready=any(
                item.get("type") == "Ready" and item.get("status") == "True"
                for item in fields.mappings(status, "conditions")
            ),
            labels=fields.pairs(thing, "metadata", "labels"),
            named_ports=reading.usable(named_ports, _named_port),
            start_time=fields.time(status, "startTime"),
            end_time=max(filter(None, ends), default=None)
            if phase in ("Succeeded", "Failed")
            else None,
        )
    )


def _workload(thing: _Object) -> str | None:
    """Say who made a pod: a Deployment rather than its ReplicaSet of the day."""
    for owner in fields.mappings(thing, "metadata", "ownerReferences"):
        kind, name = fields.text(owner, "kind"), fields.text(owner, "name")
        if owner.get("controller") is not True or kind is None or name is None:
            continue
        if kind == "Node":  # a static pod, which the kubelet made
            continue
        template = fields.text(thing, "metadata", "labels", "pod-template-hash")
        if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
            return f"Deployment/{name.removesuffix(f'-{template}')}"
        return f"{kind}/{name}"
    return None


def _protocol(item: _Object) -> str:
    return values.protocol(fields.text(item, "protocol") or "TCP")


def _named_port(item: _Object) -> tuple[str, str, int]:
    return str(item["name"]), _protocol(item), values.port(item.get("containerPort"))


def _read_service(thing: _Object, reading: _Reading) -> None:
    spec = fields.mapping(thing, "spec")
    cluster_ips = [fields.text(spec, "clusterIP"), *fields.texts(spec, "clusterIPs")]
    ingress = fields.mappings(thing, "status", "loadBalancer", "ingress")
    external_ips = [fields.text(item, "ip") for item in ingress]
    external_ips += fields.texts(spec, "externalIPs")
    reading.found.services.append(
        Service(
            namespace=_namespace(thing),
            name=_name(thing),
            type=fields.text(spec, "type")
            or (UNKNOWN_TYPE if _is_inferred(thing) else "ClusterIP"),
            cluster_ips=reading.addresses(cluster_ips),
            external_ips=reading.addresses(external_ips),
            external_name=fields.text(spec, "externalName"),
            ports=reading.usable(fields.mappings(spec, "ports"), _service_port),
            selector=fields.pairs(spec, "selector"),
            external_traffic_policy=fields.text(spec, "externalTrafficPolicy"),
            internal_traffic_policy=fields.text(spec, "internalTrafficPolicy"),
            session_affinity=fields.text(spec, "sessionAffinity"),
        )
    )


def _service_port(item: _Object) -> ServicePort:
    target, node_port = item.get("targetPort"), item.get("nodePort")
    is_name = isinstance(target, str) and bool(target) and not target.isdecimal()
    return ServicePort(
        protocol=_protocol(item),
        port=values.port(item.get("port")),
        name=fields.text(item, "name"),
        target_port=target if is_name else values.port(target) if target else None,
        node_port=values.port(node_port) if node_port else None,
    )


def _read_endpoint_slice(thing: _Object, reading: _Reading) -> None:
    service = fields.text(thing, "metadata", "labels", _SERVICE_LABEL)
    if service is None:
        raise ClusterError(f"it has no label {_SERVICE_LABEL}: no Service uses it")
    if thing.get("addressType") == "FQDN":
        raise ClusterError("its endpoints are names, not addresses")
    key = (_namespace(thing), service)
    try:
        ports = _endpoint_ports(thing, reading)
    except ClusterError:
        reading.found.tell_endpoints(key, (), is_whole=False)
        raise
    for item in fields.mappings(thing, "endpoints"):
        addresses = reading.addresses(fields.texts(item, "addresses"))
        # Readiness that is not told counts as ready (discovery.k8s.io/v1).
        ready = fields.mapping(item, "conditions").get("ready") is not False
        reading.found.endpoints += _each_endpoint(key, addresses, ports, ready, item)
    # Beside one slice there may be others of the service.
    is_whole = reading.found.is_listing and not reading.remarked
    version = 6 if thing.get("addressType") == "IPv6" else 4
    reading.found.tell_endpoints(key, {version}, is_whole=is_whole)


def _read_endpoints(thing: _Object, reading: _Reading) -> None:
    key = (_namespace(thing), _name(thing))
    told: list[Endpoint] = []
    for subset in fields.mappings(thing, "subsets"):
        ports = _endpoint_ports(subset, reading)
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for item in fields.mappings(subset, field):
                ips = reading.addresses([fields.text(item, "ip")])
                told += _each_endpoint(key, ips, ports, ready, item)
    reading.found.endpoints += told
    # There are those of the service's first IP version, and no more than a thousand.
    over = fields.text(thing, "metadata", "annotations", _OVER_CAPACITY)
    reading.found.tell_endpoints(
        key,
        {values.ip_version(item.address) for item in told} or values.IP_VERSIONS,
        is_whole=not reading.remarked and over is None,
    )


def _endpoint_ports(thing: _Object, reading: _Reading) -> tuple[_EndpointPort, ...]:
    """List the ports of a slice or subset; one without any stands for every port."""
    told = fields.mappings(thing, "ports")
    if not told:
        return ((None, None, None),)
    ports = reading.usable(told, _endpoint_port)
    if not ports:
        raise ClusterError("none of its ports can be used")
    return ports


def _endpoint_port(item: _Object) -> _EndpointPort:
    port = item.get("port")  # null: every port
    number = None if port is None else values.port(port)
    return number, _protocol(item), fields.text(item, "name")


def _each_endpoint(
    service: tuple[str, str],
    addresses: Iterable[str],
    ports: tuple[_EndpointPort, ...],
    ready: bool,
    item: _Object,
) -> Iterator[Endpoint]:
    """Make an endpoint of every address and port."""
    is_pod = fields.text(item, "targetRef", "kind") == "Pod"
    for address in addresses:
        for port, protocol, port_name in ports:
            yield Endpoint(
                namespace=service[0],
                service=service[1],
                address=address,
                port=port,
                protocol=protocol,
                port_name=port_name,
                ready=ready,
                node=fields.text(item, "nodeName"),
                pod=fields.text(item, "targetRef", "name") if is_pod else None,
                for_nodes=_hints(item, "forNodes"),
                for_zones=_hints(item, "forZones"),
            )


def _hints(item: _Object, kind: str) -> tuple[str, ...]:
    names = [fields.text(hint, "name") for hint in fields.mappings(item, "hints", kind)]
    return tuple(name for name in names if name)


# By API group and kind: Knative has Services and Calico has Nodes, too.
_READERS: dict[tuple[str, str], tuple[str, Callable[[_Object, _Reading], None]]] = {
    ("", "Node"): ("nodes", _read_node),
    ("", "Pod"): ("pods", _read_pod),
    ("", "Service"): ("services", _read_service),
    ("", "Endpoints"): ("endpoints", _read_endpoints),
    ("discovery.k8s.io", "EndpointSlice"): ("endpoint slices", _read_endpoint_slice),
    ("crd.projectcalico.org", "BlockAffinity"): (
        "address blocks",
        _read_block_affinity,
    ),
}
