"""The connections table, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.correlate.backends import with_backends
from analyzer.correlate.naming import with_destinations

if TYPE_CHECKING:
    from analyzer.correlate.services import Services

_TIME = pl.Datetime("ns", "UTC")


def connections_table(
    connections: pl.DataFrame,
    roles: pl.DataFrame,
    known: Services,
    watched_nodes: pl.DataFrame,
) -> pl.DataFrame:
    """Name everything, and give the columns their final form.

    Parameters
    ----------
    connections : pl.DataFrame
        See :func:`analyzer.correlate.chains.chains`, after conntrack.
    roles : pl.DataFrame
        See :func:`analyzer.correlate.addresses.address_roles`.
    known : Services
    watched_nodes : pl.DataFrame
        See :func:`analyzer.correlate.backends.watched`.

    Returns
    -------
    pl.DataFrame
        One row per connection, in their order: see
        :data:`analyzer.tables.schema.CONNECTIONS`.
    """
    named = with_destinations(connections, roles, known)
    named = named.with_columns(entry_node=_entry_node(roles))
    named = with_backends(named, known, watched_nodes)
    named = _with_backend_names(named, roles, known)
    is_known = pl.col("is_destination_known")
    has_port = ~pl.col("protocol").cast(pl.String).is_in(["icmp", "icmp6"])
    # NAT may give an echo another identifier, which is no port.
    is_translated = (
        pl.when(has_port)
        .then(pl.col("client") != pl.col("source"))
        .otherwise(pl.col("client_ip") != pl.col("source_ip"))
    )

    def port(end: str) -> pl.Expr:
        return pl.when(has_port).then((pl.col(end) % 65536).cast(pl.UInt16))

    is_pod = pl.col("client_role") == "pod"
    return named.with_row_index("connection_id").select(
        pl.col("connection_id").cast(pl.UInt64),
        "group",
        "protocol",
        "client_ip",
        client_port=port("client"),
        destination_ip=pl.when(is_known).then("destination_ip"),
        destination_port=pl.when(is_known).then(port("destination")),
        destination_kind="destination_kind",
        service_namespace="service_namespace",
        service_name="service_name",
        service_port_name="service_port_name",
        entry_node="entry_node",
        snat_ip=pl.when(is_translated).then("source_ip"),
        snat_port=pl.when(is_translated).then(port("source")),
        backend_ip="backend_ip",
        backend_port=pl.when(has_port).then("backend_port"),
        backend_pod="backend_pod",
        backend_namespace="backend_namespace",
        backend_workload="backend_workload",
        backend_node="backend_node",
        client_pod=pl.when(is_pod).then("client_pod"),
        client_namespace=pl.when(is_pod).then("client_namespace"),
        client_node="client_node",
        # A node that calls itself needs no hairpin.
        is_hairpin=(pl.col("client_ip") == pl.col("backend_ip")).fill_null(value=False)
        & ~pl.col("client_role").is_in(["node", "tunnel"]).fill_null(value=False),
        start_time=pl.col("raw_start").cast(_TIME),
        end_time=(pl.col("raw_start") + pl.col("end") - pl.col("start")).cast(_TIME),
        client_packets="client_packets",
        backend_packets="server_packets",
        client_bytes="client_bytes",
        backend_bytes="server_bytes",
        client_payload_bytes="client_payload_bytes",
        backend_payload_bytes="server_payload_bytes",
        requests="requests",
        tcp_state="tcp_state",
        handshake_rtt="handshake_rtt",
        retransmits="retransmits",
        service_evidence="service_evidence",
        backend_evidence="backend_evidence",
        candidates="candidates",
        flow_ids="flow_ids",
        points="points",
    )


def _entry_node(roles: pl.DataFrame) -> pl.Expr:
    """Tell on which node a connection was translated, else which one it met first.

    A NodePort is translated by the node that it names, masquerading by the node whose
    address it takes, a pod's or a node's own call where they are. What comes in from
    outside enters where its first tunnel begins, or at the node that first saw it.
    """
    nodes = roles.filter(pl.col("role").is_in(["node", "tunnel"]))
    own = pl.col("source_role").is_in(["node", "tunnel"]) & (
        pl.col("source") != pl.col("client")
    )
    is_node_port = (pl.col("destination_role") == "node") & (
        pl.col("is_rewritten") | (pl.col("fronts") > 0)
    )
    is_direct_to_node = pl.col("destination_role").is_in(["node", "tunnel"]) & ~pl.col(
        "is_rewritten"
    )
    outer = pl.col("client_outer").replace_strict(
        nodes["code"], nodes["node"], default=None, return_dtype=pl.String
    )
    # A node's port is a service's, translated there, or its own: nobody says which.
    is_open = (pl.col("destination_role") == "node") & pl.col("may_be_front")
    return (
        pl.when(is_node_port)
        .then("destination_node")
        .when(is_open & (own | pl.col("client_role").is_not_null()))
        .then(None)
        .when(own)
        .then("source_node")
        .when(pl.col("client_role").is_in(["pod", "node", "tunnel"]))
        .then("client_node")
        .when("is_tunneled")
        .then(outer)
        # Without that, it may be the last node on the way as well.
        .when("is_destination_known")
        .then(pl.coalesce(pl.when(is_direct_to_node).then("destination_node"), "node"))
    )


def _with_backend_names(
    connections: pl.DataFrame, roles: pl.DataFrame, known: Services
) -> pl.DataFrame:
    """Name the backend by its address, else by the endpoint that it is."""
    by_address = roles.filter(pl.col("role").is_not_null()).select(
        backend_ip="address",
        _role="role",
        _pod="name",
        _namespace="namespace",
        _workload="workload",
        _node="node",
    )
    by_endpoint = (
        known.endpoints.filter(pl.col("backend_pod").is_not_null())
        .group_by("service_namespace", "service_name", "backend_ip", "backend_port")
        .agg(
            _endpoint_pod=pl.col("backend_pod").first(),
            _pods=pl.col("backend_pod").n_unique(),
        )
        .filter(pl.col("_pods") == 1)
        .drop("_pods")
    )
    is_pod = pl.col("_role") == "pod"
    return (
        connections.drop(
            "backend_pod", "backend_namespace", "backend_workload", "backend_node"
        )
        .join(by_address, on="backend_ip", how="left", maintain_order="left")
        .join(
            by_endpoint,
            on=["service_namespace", "service_name", "backend_ip", "backend_port"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            backend_pod=pl.coalesce(
                pl.when(is_pod).then("_pod"), "found_backend_pod", "_endpoint_pod"
            ),
            backend_node=pl.coalesce("_node", "found_backend_node"),
        )
        .with_columns(
            # A service's endpoints are pods of its own namespace.
            backend_namespace=pl.coalesce(
                pl.when(is_pod).then("_namespace"),
                pl.when(pl.col("backend_pod").is_not_null()).then("service_namespace"),
            ),
            backend_workload=pl.when(is_pod).then("_workload"),
        )
    )
