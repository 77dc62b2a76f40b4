"""The connections table, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import pyarrow as pa

from analyzer._cext.arrays import Arrays
from analyzer._cext.kinds import Kinds
from analyzer.cluster.inferred import INITIAL_TTLS
from analyzer.correlate.backends import with_backends
from analyzer.correlate.naming import EVIDENCE, KINDS, with_destinations
from analyzer.correlate.services import SERVICE
from analyzer.correlate.sightings import ON_ITS_WAY
from analyzer.tables.convert import Converter
from analyzer.tables.expressions import is_v6
from analyzer.tables.schema import PROTOCOL_NAMES, TCP_STATES

if TYPE_CHECKING:
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


class Connections:
    """Give parts of all connections their names, and the form of the table.

    Parameters
    ----------
    names : Names

    Notes
    -----
    Names depend on where a connection went and from whose address, not on its port or
    its packets: they are found once for all that are alike.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._converter = Converter("connections", names.texts())
        known, watched, of_codes = names.known, names.watched, names.coded
        told = pl.concat(
            [known.fronts["end"], known.endpoints["end"].drop_nulls(), names.virtual]
        )
        edges = pl.concat([watched["since"] - ON_ITS_WAY, watched["until"] + 1]).sort()
        self._kinds = Kinds(
            Arrays([of_codes["whose"].to_arrow(), of_codes["who"].to_arrow()]),
            Arrays([told.rechunk().to_arrow()]),
            Arrays([edges.to_arrow()]),
        )
        self._of_codes = pl.DataFrame(
            {
                "client_ip": self._indices("client_ip", of_codes["address"]),
                "client_pod": self._indices("client_pod", of_codes["name"]),
                "client_namespace": self._indices(
                    "client_namespace", of_codes["namespace"]
                ),
            }
        )
        self._of_kinds: pl.DataFrame | None = None
        self._count = 0

    def batch(self, connections: pl.DataFrame) -> pa.RecordBatch:
        """Name everything, and give the columns their final form.

        Parameters
        ----------
        connections : pl.DataFrame
            See :func:`analyzer.correlate.chains.chains`, after conntrack.

        Returns
        -------
        pa.RecordBatch
            One row per connection, in their order: see
            :data:`analyzer.tables.schema.CONNECTIONS`. They are numbered from where the
            batch before has ended.
        """
        code = {
            end: connections.select((pl.col(end) // 65536).cast(pl.UInt32)).to_series()
            for end in ("client", "destination", "source", "backend")
        }
        kind = self._kind(connections)
        assert self._of_kinds is not None  # noqa: S101  it has those of this batch
        has_port = ~pl.col("protocol").is_in(["icmp", "icmp6"])
        # NAT may give an echo another identifier, which is no port.
        is_translated = (
            pl.when(has_port)
            .then(pl.col("client") != pl.col("source"))
            .otherwise(code["client"] != code["source"])
        )

        def port(end: str) -> pl.Expr:
            return pl.when(has_port).then((pl.col(end) % 65536).cast(pl.UInt16))

        address = self._of_codes["client_ip"]
        rows = pl.concat(
            [
                connections,
                _gathered(self._of_kinds, kind),
                _gathered(self._of_codes, code["client"]),
            ],
            how="horizontal",
        )
        is_known = pl.col("is_destination_known")
        is_pod = pl.col("client_role") == "pod"
        is_seen = pl.col("is_backend_known")
        backend_ip = (
            pl.when(is_seen).then(address[code["backend"]]).otherwise("backend_ip")
        )
        first = self._count
        self._count += connections.height
        return self._converter.batch(
            rows.with_columns(
                connection_id=pl.int_range(
                    first, self._count, dtype=pl.UInt64, eager=True
                ),
                client_port=port("client"),
                destination_ip=pl.when(is_known).then(address[code["destination"]]),
                destination_port=pl.when(is_known).then(port("destination")),
                snat_ip=pl.when(is_translated).then(address[code["source"]]),
                snat_port=pl.when(is_translated).then(port("source")),
                backend_ip=backend_ip,
                backend_port=pl.when(is_seen)
                .then(port("backend"))
                .when(has_port)
                .then("backend_port"),
                client_pod=pl.when(is_pod).then("client_pod"),
                client_namespace=pl.when(is_pod).then("client_namespace"),
                # A node that calls itself needs no hairpin.
                is_hairpin=(pl.col("client_ip") == backend_ip).fill_null(value=False)
                & ~pl.col("client_role")
                .is_in(["node", "tunnel"])
                .fill_null(value=False),
                start_time=pl.col("raw_start").cast(_TIME),
                end_time=(pl.col("raw_start") + pl.col("end") - pl.col("start")).cast(
                    _TIME
                ),
                backend_packets="server_packets",
                backend_bytes="server_bytes",
                backend_payload_bytes="server_payload_bytes",
            )
        )

    def _kind(self, connections: pl.DataFrame) -> pl.Series:
        """Give each connection the number of what it has its names from."""
        numbers = bytearray(4 * connections.height)
        alike = connections.select(
            "client",
            "destination",
            "source",
            "backend",
            "start",
            pl.col("protocol").to_physical(),
            "client_outer",
            pl.col("node").to_physical(),
            "is_tunneled",
            "is_overlay",
            "is_pod_side",
            "destination_told",
            "backend_told",
            "is_answered",
            "is_numbered",
            is_initial=pl.col("client_ttl").is_in(INITIAL_TTLS),
        ).rechunk()
        first_ones = self._kinds.number(
            Arrays([column.to_arrow() for column in alike]),
            memoryview(numbers).cast("I"),
        )
        if first_ones or self._of_kinds is None:
            found = self._named(connections[first_ones])
            known = [] if self._of_kinds is None else [self._of_kinds]
            self._of_kinds = pl.concat([*known, found], rechunk=True)
        array = pa.Array.from_buffers(
            pa.uint32(), connections.height, [None, pa.py_buffer(numbers)]
        )
        kind = pl.from_arrow(array)
        assert isinstance(kind, pl.Series)  # noqa: S101  an array, no table
        return kind

    def _named(self, kinds: pl.DataFrame) -> pl.DataFrame:
        """Name one connection of each kind."""
        names = self._names
        kinds = kinds.with_columns(pl.col("node").cast(pl.String))
        named = with_destinations(kinds, names.roles, names.known, names.virtual)
        named = named.with_columns(entry_node=_entry_node(names.roles))
        named = with_backends(named, names.known, names.watched)
        named = _with_backend_names(named, names.roles, names.known)
        return named.select(
            "client_role",
            "is_destination_known",
            "is_backend_known",
            "backend_port",
            pl.col("candidates").cast(pl.List(pl.String)),
            *(
                self._indices(name, named[name])
                for name in (
                    "destination_kind",
                    "service_evidence",
                    "backend_evidence",
                    *_NAMES,
                )
            ),
        )

    def _indices(self, column: str, texts: pl.Series) -> pl.Series:
        """Give texts their places in a column's dictionary."""
        return self._converter.dictionaries[column].indices(texts).alias(column)


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
