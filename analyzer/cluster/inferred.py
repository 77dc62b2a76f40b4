"""What packets tell of a cluster whose state nobody has saved.

What tunnels run between are nodes; what sends into a tunnel with a TTL that nobody has
lowered is the node itself, by its tunnel's address; everything else inside of tunnels
is a pod of the node at that end. Addresses whose connections went elsewhere were
virtual: node ports where a node has the address, else those of Services.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.tables.expressions import host_of, is_v6

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

#: TTLs that hosts send with: what has one of them was not forwarded yet.
INITIAL_TTLS = (64, 128, 255)

#: The annotation of objects that are made up, with the value ``true``.
INFERRED = "inferred"

#: Where ports begin that masquerading gives to callers (``--random-fully``).
_FIRST_MASQUERADE_PORT = 1024

#: Calico's blocks, of which each node has one or more.
_BLOCK_LENGTHS = {4: 26, 6: 122}


@dataclass(frozen=True)
class InferredNode:
    """A node as its tunnels show it; ``name`` is its first address if nothing tells."""

    name: str
    addresses: tuple[str, ...]
    tunnel_ips: tuple[str, ...]
    pods: tuple[str, ...]
    pod_blocks: tuple[str, ...]
    vnis: tuple[int, ...]


@dataclass(frozen=True)
class InferredService:
    """An address that connections were sent on from, and where they went."""

    address: str
    port: int
    protocol: str
    kind: str | None
    backends: tuple[tuple[str, int], ...]
    connections: int


@dataclass(frozen=True)
class Inferred:
    """What can be said of a cluster from packets alone."""

    nodes: tuple[InferredNode, ...]
    services: tuple[InferredService, ...]


def infer(flows: pl.LazyFrame, connections: pl.LazyFrame) -> Inferred:
    """Infer a cluster from the tables of its captures.

    Parameters
    ----------
    flows, connections : pl.LazyFrame
        See :mod:`analyzer.tables.schema`. The connections must have been made without
        cluster state, or it is that state which comes back.

    Returns
    -------
    Inferred
        Nodes sorted by name, services by address and port. Pod blocks are a guess: the
        /26 (IPv6: /122) around each pod, which is what Calico hands out.
    """
    return Inferred(_nodes(flows, connections), _services(connections))


class Tunnels(NamedTuple):
    """What is inside of tunnels, and what they are between.

    ``inside`` has one row per address: ``code`` (u32, of the categorical), ``outer``
    and ``last`` (u32, the least and the greatest code of the outer addresses on its
    side), ``is_own`` (bool, whether it sent with a TTL that nobody had lowered).
    ``pairs`` has one row per ``point`` (categorical), ``outer_originator`` and
    ``outer_responder`` (u32, codes of their addresses).
    """

    inside: pl.DataFrame
    pairs: pl.DataFrame


def tunnels(flows: pl.LazyFrame) -> Tunnels:
    """Tell what is inside of tunnels.

    Parameters
    ----------
    flows : pl.LazyFrame
        The flows table.
    """
    import polars as pl

    tunneled = flows.filter(pl.col("outer_originator_ip").is_not_null()).select(
        "point",
        "originator_ttl",
        "responder_ttl",
        outer_originator=pl.col("outer_originator_ip").to_physical(),
        outer_responder=pl.col("outer_responder_ip").to_physical(),
        originator=pl.col("originator_ip").to_physical(),
        responder=pl.col("responder_ip").to_physical(),
    )
    sides = pl.concat(
        [
            tunneled.select(
                code=side,
                outer=f"outer_{side}",
                is_own=pl.col(f"{side}_ttl").is_in(INITIAL_TTLS),
            )
            for side in ("originator", "responder")
        ]
    )
    inside = sides.group_by("code").agg(
        pl.col("outer").min(),
        pl.col("outer").max().alias("last"),
        pl.col("is_own").any(),
    )
    pairs = tunneled.select("point", "outer_originator", "outer_responder").unique()
    return Tunnels(*pl.collect_all([inside, pairs]))


def roles_in_tunnels(found: Tunnels) -> pl.DataFrame:
    """Tell nodes, tunnel addresses and pods by the tunnels around them.

    Parameters
    ----------
    found : Tunnels

    Returns
    -------
    pl.DataFrame
        One row per address in or around tunnels: ``code`` (u32, of the categorical),
        ``role`` (str: node, tunnel, pod), ``outer`` (u32, the node's address; null if
        the address was seen at several) and ``node`` (str, null if no point's name
        tells).
    """
    import polars as pl

    inner = found.inside.select(
        "code",
        role=pl.when("is_own").then(pl.lit("tunnel")).otherwise(pl.lit("pod")),
        outer=pl.when(pl.col("outer") == pl.col("last")).then("outer"),
    )
    outer = [found.pairs[f"outer_{side}"] for side in ("originator", "responder")]
    nodes = pl.select(code=pl.concat(outer).unique(), role=pl.lit("node")).with_columns(
        outer=pl.col("code")
    )
    return pl.concat([nodes, inner.join(nodes, on="code", how="anti")]).join(
        _node_names(found.pairs), on="outer", how="left"
    )


def _node_names(pairs: pl.DataFrame) -> pl.DataFrame:
    """Name nodes by the host part of the points where all tunnels have one end.

    Returns
    -------
    pl.DataFrame
        One row per node whose points are named ``node/interface``: ``outer`` (u32),
        ``node`` (str).
    """
    import polars as pl

    point = pl.col("point").cast(pl.String)
    host = ["node", "is_v6"]
    address = pl.col("outer_originator").cat.to(pl.Categorical)
    pairs = (
        pairs.filter(point.str.contains("/", literal=True))
        .with_columns(address=address)
        .select(
            is_v6=is_v6("address"),
            node=host_of("point"),
            low=pl.min_horizontal("outer_originator", "outer_responder"),
            high=pl.max_horizontal("outer_originator", "outer_responder"),
        )
        .unique()
        .with_columns(pairs=pl.len().over(host))
    )
    ends = (
        pl.concat([pairs.select(*host, "pairs", outer=end) for end in ("low", "high")])
        .group_by(*host, "pairs", "outer")
        .len()
        .filter(pl.col("len") == pl.col("pairs"))
    )
    named = _one_to_one(ends)
    # A node with one tunnel of a family is at its other end if the first is taken.
    left = ends.join(named, on="outer", how="anti").join(named, on="node", how="semi")
    return pl.concat([named, _one_to_one(left)]).select("outer", "node")


def _one_to_one(ends: pl.DataFrame) -> pl.DataFrame:
    """Keep hosts with one end of their tunnels left, which is no other host's."""
    import polars as pl

    return ends.filter(pl.len().over("node", "is_v6") == 1).filter(
        pl.len().over("outer") == 1
    )


def _nodes(flows: pl.LazyFrame, connections: pl.LazyFrame) -> tuple[InferredNode, ...]:
    import polars as pl

    # Whoever's calls a node takes over leave it with the address of its tunnel.
    lenders = connections.select(pl.col("snat_ip").cast(pl.String)).unique().collect()

    columns = ("originator_ip", "responder_ip")
    # What was only called may not exist: the endpoint of a pod that is gone. What only
    # called may be a node that took calls over. Who answers is known by the handshake,
    # or by a port that masquerading does not take.
    is_answer = pl.col("responder_isn").is_not_null() | (
        (pl.col("protocol") != "tcp")
        & (pl.col("responder_packets") > 0)
        & (pl.col("responder_port") < _FIRST_MASQUERADE_PORT)
    )
    speakers = (
        flows.filter(is_answer)
        .select(code=pl.col("responder_ip").to_physical())
        .unique()
        .collect()
    )
    texts = (
        pl.concat(
            [
                flows.select(address=name)
                for name in (*columns, *(f"outer_{name}" for name in columns))
            ]
        )
        .drop_nulls()
        .unique()
        .select(pl.col("address").cast(pl.String), code=pl.col("address").to_physical())
        .collect()
    )
    vnis = (
        pl.concat(
            [
                flows.select("vni", outer=pl.col(f"outer_{name}").to_physical())
                for name in columns
            ]
        )
        .drop_nulls()
        .unique()
        .collect()
    )
    roles = (
        roles_in_tunnels(tunnels(flows))
        .filter(pl.col("outer").is_not_null())
        .filter(
            (pl.col("role") != "pod")
            | pl.col("code").is_in(speakers["code"].drop_nulls().implode())
        )
        .join(texts, on="code")
        .join(texts.select("code", owner="address"), left_on="outer", right_on="code")
        .with_columns(
            name=pl.coalesce("node", "owner"),
            role=pl.when(
                (pl.col("role") == "pod")
                & pl.col("address").is_in(lenders["snat_ip"].drop_nulls().implode())
            )
            .then(pl.lit("tunnel"))
            .otherwise("role"),
        )
    )
    of_nodes = (
        roles.join(vnis, on="outer", how="left")
        .group_by("name")
        .agg(
            *(
                pl.col("address").filter(pl.col("role") == role).unique().alias(role)
                for role in ("node", "tunnel", "pod")
            ),
            pl.col("vni").drop_nulls().unique().sort(),
        )
        .sort("name")
    )
    return tuple(
        InferredNode(
            name=row["name"],
            addresses=_sorted(row["node"]),
            tunnel_ips=_sorted(row["tunnel"]),
            pods=_sorted(row["pod"]),
            pod_blocks=_blocks([*row["tunnel"], *row["pod"]]),
            vnis=tuple(row["vni"]),
        )
        for row in of_nodes.to_dicts()
    )


def _services(connections: pl.LazyFrame) -> tuple[InferredService, ...]:
    import polars as pl

    is_sent_on = (pl.col("destination_ip") != pl.col("backend_ip")) | (
        pl.col("destination_port") != pl.col("backend_port")
    )
    front = ["destination_ip", "destination_port", "protocol"]
    found = (
        connections.filter(is_sent_on)
        .select(
            pl.col("destination_ip", "protocol", "backend_ip", "destination_kind").cast(
                pl.String
            ),
            "destination_port",
            "backend_port",
        )
        .group_by(front)
        .agg(
            pl.col("destination_kind").first(),
            pl.struct("backend_ip", "backend_port").unique().alias("backends"),
            pl.len(),
        )
        .collect()
    )
    services = [
        InferredService(
            address=row["destination_ip"],
            port=row["destination_port"],
            protocol=row["protocol"],
            kind=row["destination_kind"],
            backends=tuple(
                sorted(
                    (each["backend_ip"], each["backend_port"])
                    for each in row["backends"]
                )
            ),
            connections=row["len"],
        )
        for row in found.to_dicts()
    ]
    return tuple(sorted(services, key=lambda each: (_order(each.address), each.port)))


def _order(address: str) -> tuple[int, int]:
    number = ipaddress.ip_address(address)
    return number.version, int(number)


def _sorted(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(addresses, key=_order))


def _blocks(addresses: Iterable[str]) -> tuple[str, ...]:
    """Give the blocks that hold addresses, as Calico would have cut them."""
    networks = {
        ipaddress.ip_network(
            f"{address}/{_BLOCK_LENGTHS[ipaddress.ip_address(address).version]}",
            strict=False,
        )
        for address in addresses
    }
    return tuple(
        str(network)
        for network in sorted(
            networks, key=lambda each: (each.version, int(each.network_address))
        )
    )


def as_objects(inferred: Inferred) -> dict[str, Any]:
    """Write what was inferred as Kubernetes objects, to be read as cluster state.

    Returns
    -------
    dict
        A List as ``kubectl get -o json`` prints it, of Nodes, Pods, Services and
        EndpointSlices. All names but those of nodes are made up from addresses, and
        every object has the annotation ``inferred: "true"``.
    """
    items: list[dict[str, Any]] = []
    for node in inferred.nodes:
        items.append(_node_object(node))
        items += [_pod_object(address, node.name) for address in node.pods]
    for service in inferred.services:
        items += _service_objects(service)
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _metadata(name: str, **more: Any) -> dict[str, Any]:
    annotations = {INFERRED: "true", **more.pop("annotations", {})}
    return {"name": name, "annotations": annotations, **more}


def _dashed(address: str) -> str:
    return address.replace(".", "-").replace(":", "-").strip("-")


def _node_object(node: InferredNode) -> dict[str, Any]:
    tunnel = {}
    for address in node.tunnel_ips:
        version = ipaddress.ip_address(address).version
        tunnel[f"projectcalico.org/IPv{version}VXLANTunnelAddr"] = address
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": _metadata(node.name, annotations=tunnel),
        "spec": {"podCIDRs": [*node.pod_blocks]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address} for address in node.addresses
            ]
        },
    }


def _pod_object(address: str, node: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(f"pod-{_dashed(address)}", namespace="inferred"),
        "spec": {"nodeName": node},
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
        },
    }


def _service_objects(service: InferredService) -> list[dict[str, Any]]:
    protocol = service.protocol.upper()
    is_node_port = service.kind == "NodePort"
    # A node's port is a service's on all nodes, so its name is the port's.
    name = (
        f"node-port-{service.port}-{service.protocol}"
        if is_node_port
        else f"service-{_dashed(service.address)}-{service.port}-{service.protocol}"
    )
    port: dict[str, Any] = {"port": service.port, "protocol": protocol}
    spec: dict[str, Any] = {"clusterIP": service.address}  # of whatever type
    if is_node_port:
        port["nodePort"] = service.port
        spec = {"type": "NodePort"}
    version = ipaddress.ip_address(service.address).version
    backend_ports = sorted({number for _, number in service.backends})
    slices = [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": _metadata(
                f"{name}-{_dashed(service.address)}-{number}",
                namespace="inferred",
                labels={"kubernetes.io/service-name": name},
            ),
            "addressType": f"IPv{version}",
            "ports": [{"port": number, "protocol": protocol}],
            "endpoints": [
                {"addresses": [address], "conditions": {"ready": True}}
                for address, each in service.backends
                if each == number
            ],
        }
        for number in backend_ports
    ]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _metadata(name, namespace="inferred"),
            "spec": {**spec, "ports": [port]},
        },
        *slices,
    ]
