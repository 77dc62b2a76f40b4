"""The connections table, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.cluster.inferred import INITIAL_TTLS
from analyzer.correlate.backends import with_backends
from analyzer.correlate.naming import EVIDENCE, KINDS, with_destinations
from analyzer.correlate.services import SERVICE
from analyzer.correlate.sightings import ON_ITS_WAY
from analyzer.tables.expressions import is_v6
from analyzer.tables.schema import PROTOCOL_NAMES, TCP_STATES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.correlate.services import Services

_TIME = pl.Datetime("ns", "UTC")
_ADDRESSES = ("client_ip", "destination_ip", "snat_ip", "backend_ip")
#: Names that are alike for connections of the same kind.
_NAMES = (
    *SERVICE,
    "entry_node",
    "backend_ip",
    "backend_pod",
    "backend_namespace",
    "backend_workload",
    "backend_node",
    "client_node",
)


class Names(NamedTuple):
    """What connections are named with.

    ``roles`` is whose the addresses are (see
    :func:`analyzer.correlate.addresses.in_code_order`), ``coded`` what of it each
    connection takes (see :func:`coded`), ``virtual`` what connections were sent on
    from, and ``watched`` the nodes whose NIC was captured (see
    :func:`analyzer.correlate.backends.watched`).
    """

    roles: pl.DataFrame
    coded: pl.DataFrame
    known: Services
    virtual: pl.Series
    watched: pl.DataFrame

    def texts(self) -> dict[str, pl.Series]:
        """List for each column of addresses or names what may be in it."""
        services, roles = self.known, self.roles

        def all_of(*columns: pl.Series) -> pl.Series:
            return pl.concat([each.cast(pl.String) for each in columns])

        nodes = all_of(roles["node"], services.endpoints["backend_node"])
        pods = all_of(roles["name"], services.endpoints["backend_pod"])
        namespaces = all_of(
            roles["namespace"],
            services.fronts["service_namespace"],
            services.endpoints["service_namespace"],
        )
        return {
            **dict.fromkeys(_ADDRESSES, roles["address"]),
            **dict.fromkeys(("entry_node", "backend_node", "client_node"), nodes),
            **dict.fromkeys(("backend_pod", "client_pod"), pods),
            **dict.fromkeys(
                ("service_namespace", "backend_namespace", "client_namespace"),
                namespaces,
            ),
            **{
                name: all_of(services.fronts[name], services.endpoints[name])
                for name in SERVICE[1:]
            },
            "backend_workload": roles["workload"],
            "protocol": pl.Series(PROTOCOL_NAMES.values()),
            "tcp_state": pl.Series(TCP_STATES),
            "destination_kind": KINDS.categories,
            "service_evidence": EVIDENCE.categories,
            "backend_evidence": EVIDENCE.categories,
        }


def coded(roles: pl.DataFrame) -> pl.DataFrame:
    """Give what each connection takes from its own addresses, as codes of texts.

    Parameters
    ----------
    roles : pl.DataFrame
        See :func:`analyzer.correlate.addresses.in_code_order`.

    Returns
    -------
    pl.DataFrame
        In the same order: ``address``, ``name``, ``namespace`` (categoricals),
        ``whose`` (u64, equal for the same role, node and IP version), ``who`` (u64, the
        same if the address has no name).
    """
    return roles.select(
        "code",
        pl.col("address", "name", "namespace").cast(pl.Categorical),
        whose=pl.struct("role", "node", is_v6=is_v6("address")).hash(),
    ).with_columns(
        who=pl.when(pl.col("name").is_null())
        .then("whose")
        .otherwise(pl.col("code").cast(pl.UInt64))
    )


def connections_table(
    connections: pl.DataFrame, names: Names, first: int
) -> pl.DataFrame:
    """Name everything, and give the columns their final form.

    Parameters
    ----------
    connections : pl.DataFrame
        See :func:`analyzer.correlate.chains.chains`, after conntrack.
    names : Names
    first : int
        Number of the first of them.

    Returns
    -------
    pl.DataFrame
        One row per connection, in their order: see
        :data:`analyzer.tables.schema.CONNECTIONS`.

    Notes
    -----
    Names depend on where a connection went and from whose address, not on its port or
    its packets: they are found once for all that are alike.
    """
    code = {
        end: connections.select((pl.col(end) // 65536).cast(pl.UInt32)).to_series()
        for end in ("client", "destination", "source", "backend")
    }
    alike = _alike(connections, names, code)
    first_ones = alike.is_first_distinct()
    kinds = connections.filter(first_ones)
    kind = alike.to_frame("alike").join(
        alike.filter(first_ones).to_frame("alike").with_row_index("kind"),
        on="alike",
        maintain_order="left",
    )["kind"]
    has_port = ~pl.col("protocol").is_in(["icmp", "icmp6"])
    # NAT may give an echo another identifier, which is no port.
    is_translated = (
        pl.when(has_port)
        .then(pl.col("client") != pl.col("source"))
        .otherwise(code["client"] != code["source"])
    )

    def port(end: str) -> pl.Expr:
        return pl.when(has_port).then((pl.col(end) % 65536).cast(pl.UInt16))

    of_client = names.coded.select(
        client_ip="address", client_pod="name", client_namespace="namespace"
    )
    address = names.coded["address"]
    rows = pl.concat(
        [
            connections,
            _gathered(_named(kinds, names), kind),
            _gathered(of_client, code["client"]),
        ],
        how="horizontal",
    )
    is_known = pl.col("is_destination_known")
    is_pod = pl.col("client_role") == "pod"
    is_seen = pl.col("is_backend_known")
    backend_ip = pl.when(is_seen).then(address[code["backend"]]).otherwise("backend_ip")
    return rows.with_row_index("connection_id", first).select(
        pl.col("connection_id").cast(pl.UInt64),
        "protocol",
        "client_ip",
        client_port=port("client"),
        destination_ip=pl.when(is_known).then(address[code["destination"]]),
        destination_port=pl.when(is_known).then(port("destination")),
        destination_kind="destination_kind",
        service_namespace="service_namespace",
        service_name="service_name",
        service_port_name="service_port_name",
        entry_node="entry_node",
        snat_ip=pl.when(is_translated).then(address[code["source"]]),
        snat_port=pl.when(is_translated).then(port("source")),
        backend_ip=backend_ip,
        backend_port=pl.when(is_seen)
        .then(port("backend"))
        .when(has_port)
        .then("backend_port"),
        backend_pod="backend_pod",
        backend_namespace="backend_namespace",
        backend_workload="backend_workload",
        backend_node="backend_node",
        client_pod=pl.when(is_pod).then("client_pod"),
        client_namespace=pl.when(is_pod).then("client_namespace"),
        client_node="client_node",
        # A node that calls itself needs no hairpin.
        is_hairpin=(pl.col("client_ip") == backend_ip).fill_null(value=False)
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


def _alike(
    connections: pl.DataFrame, names: Names, code: Mapping[str, pl.Series]
) -> pl.Series:
    """Give connections that have the same names the same number (u64)."""
    known = names.known
    told = pl.concat(
        [known.fronts["end"], known.endpoints["end"].drop_nulls(), names.virtual]
    ).unique()
    edges = pl.concat(
        [names.watched["since"] - ON_ITS_WAY, names.watched["until"] + 1]
    ).sort()

    def whom(end: str) -> pl.Expr:
        who = names.coded["who"][code[end]]
        return pl.when(pl.col(end).is_in(told.implode())).then(end).otherwise(who)

    return connections.select(
        pl.struct(
            "protocol",
            "client_outer",
            "node",
            "is_tunneled",
            "is_overlay",
            "is_pod_side",
            "destination_told",
            "backend_told",
            "is_answered",
            "is_numbered",
            whom("destination").alias("destination"),
            whom("backend").alias("backend"),
            is_own=pl.col("client") != pl.col("source"),
            is_sent_on=pl.col("destination") != pl.col("backend"),
            is_initial=pl.col("client_ttl").is_in(INITIAL_TTLS),
            client=names.coded["whose"][code["client"]],
            source=names.coded["whose"][code["source"]],
            # Between which beginnings and ends of captures.
            when=edges.search_sorted(connections["start"], side="right"),
        ).hash()
    ).to_series()


def _named(kinds: pl.DataFrame, names: Names) -> pl.DataFrame:
    """Name one connection of each kind."""
    kinds = kinds.with_columns(pl.col("node").cast(pl.String))
    named = with_destinations(kinds, names.roles, names.known, names.virtual)
    named = named.with_columns(entry_node=_entry_node(names.roles))
    named = with_backends(named, names.known, names.watched)
    named = _with_backend_names(named, names.roles, names.known)
    return named.select(
        "destination_kind",
        "client_role",
        "is_destination_known",
        "is_backend_known",
        "backend_port",
        "service_evidence",
        "backend_evidence",
        "candidates",
        pl.col(*_NAMES).cast(pl.Categorical),
    )


def _gathered(table: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Take rows of a table by their numbers."""
    empty = [column.name for column in table if column.null_count() == table.height]
    return table.drop(empty)[rows].with_columns(
        pl.lit(None, table.schema[name]).alias(name) for name in empty
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
