"""The connections table, put together."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import pyarrow as pa

from analyzer._cext.kinds import Kinds
from analyzer._cext.naming import put_names
from analyzer.cluster.inferred import INITIAL_TTLS
from analyzer.correlate.backends import with_backends
from analyzer.correlate.filled import arrays, in_code_order
from analyzer.correlate.naming import EVIDENCE, KINDS, with_destinations
from analyzer.correlate.services import SERVICE
from analyzer.correlate.sightings import ON_ITS_WAY
from analyzer.tables.batch import (
    BATCH_ROWS,
    buffers_in_turn,
    plain_schema,
    with_dictionaries,
)
from analyzer.tables.convert import dictionaries
from analyzer.tables.expressions import is_v6
from analyzer.tables.schema import (
    CONNECTIONS,
    PROTOCOL_NAMES,
    TCP_STATES,
    arrow_schema,
)
from analyzer.threads import writes_behind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer._cext.arrays import Arrays
    from analyzer.correlate.services import Services

#: Parts of all connections that are named together, at least, and their share of all:
#: naming takes time of its own, and parts that wait take memory.
_LEAST_AHEAD = 5
_SHARE_AHEAD = 8

_ADDRESSES = ("client_ip", "destination_ip", "snat_ip", "backend_ip")
#: Names that are alike for connections of the same kind.
_NAMES = (
    "destination_kind",
    *SERVICE,
    "entry_node",
    "backend_pod",
    "backend_namespace",
    "backend_workload",
    "backend_node",
    "client_node",
    "service_evidence",
    "backend_evidence",
)
#: What compiled code fills, in the order of ``cext/naming.pyx``.
_FILLED = (
    "connection_id",
    "protocol",
    "client_ip",
    "client_port",
    "destination_ip",
    "destination_port",
    "snat_ip",
    "snat_port",
    "backend_ip",
    "backend_port",
    "client_pod",
    "client_namespace",
    "is_hairpin",
    "end_time",
    "tcp_state",
    *_NAMES,
)
_FILLED_COLUMNS = tuple(
    next(column for column in CONNECTIONS if column.name == name) for name in _FILLED
)
#: What is as correlation leaves it, under these names.
_AS_IT_IS = {
    "start_time": "raw_start",
    "client_packets": "client_packets",
    "backend_packets": "server_packets",
    "client_bytes": "client_bytes",
    "backend_bytes": "server_bytes",
    "client_payload_bytes": "client_payload_bytes",
    "backend_payload_bytes": "server_payload_bytes",
    "requests": "requests",
    "handshake_rtt": "handshake_rtt",
    "retransmits": "retransmits",
}


class Names(NamedTuple):
    """What connections are named with.

    ``roles`` is whose the addresses are (see
    :func:`analyzer.correlate.filled.in_code_order`), ``coded`` what of it each
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
        See :func:`analyzer.correlate.filled.in_code_order`.

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
    points : pl.DataFrame
        One row per ``point``.
    most : int
        Connections that there may be.
    reuse : bool
        Fill the same buffers again and again: a batch lasts until it is written.

    Attributes
    ----------
    ahead : int
        Parts that are named together.

    Notes
    -----
    Names depend on where a connection went and from whose address, not on its port or
    its packets: they are found once for all that are alike.
    """

    def __init__(
        self, names: Names, points: pl.DataFrame, *, most: int, reuse: bool
    ) -> None:
        self._names = names
        self._dictionaries = dictionaries("connections", names.texts())
        known, watched, of_codes = names.known, names.watched, names.coded
        told = pl.concat(
            [known.fronts["end"], known.endpoints["end"].drop_nulls(), names.virtual]
        )
        edges = pl.concat([watched["since"] - ON_ITS_WAY, watched["until"] + 1]).sort()
        self._kinds = Kinds(
            arrays(of_codes.select("whose", "who")),
            arrays([told]),
            arrays([edges]),
        )
        self._addresses = arrays(
            of_codes.select(
                self._places("client_ip", of_codes["address"]),
                self._places("client_pod", of_codes["name"]),
                self._places("client_namespace", of_codes["namespace"]),
            )
        )
        texts = in_code_order(
            points.select("point", code=pl.col("point").to_physical())
        )["point"]
        self._points = texts.cast(pl.String).to_arrow().cast(pa.utf8())
        self._protocols = _with_ports(self._dictionaries["protocol"].places)
        self._states = arrays([self._dictionaries["tcp_state"].places])
        self._of_kinds: pl.DataFrame | None = None
        self._schema = plain_schema("connections")
        self._filled_schema = pa.schema([self._schema.field(name) for name in _FILLED])
        self._count = 0
        self.ahead = max(_LEAST_AHEAD, most // BATCH_ROWS // _SHARE_AHEAD)
        self._buffers = buffers_in_turn(
            _FILLED_COLUMNS, 1 + writes_behind() if reuse else None, most
        )

    def batches(self, parts: Iterable[pl.DataFrame]) -> Iterator[pa.RecordBatch]:
        """Name everything, and give the columns their final form.

        Parameters
        ----------
        parts : iterable of pl.DataFrame
            See :func:`analyzer.correlate.chains.chains`, after conntrack. At most
            :attr:`ahead` are taken before the first of them is given.

        Yields
        ------
        pa.RecordBatch
            One row per connection, in their order: see
            :data:`analyzer.tables.schema.CONNECTIONS`.
        """
        waiting = (piece for part in parts for piece in part.iter_slices(BATCH_ROWS))
        while several := list(islice(waiting, self.ahead)):
            kinds = [self._numbered(part) for part in several]
            self._name(
                [part[firsts] for part, (_, firsts) in zip(several, kinds, strict=True)]
            )
            for part, (numbers, _) in zip(several, kinds, strict=True):
                yield self._batch(part, numbers)

    def _batch(self, connections: pl.DataFrame, kinds: bytearray) -> pa.RecordBatch:
        """Name connections of which the kinds (u32) have their names."""
        assert self._of_kinds is not None  # noqa: S101  they are named
        buffers, columns = next(self._buffers)
        put_names(
            arrays(
                connections.select(
                    pl.col("protocol").to_physical(),
                    "client",
                    "destination",
                    "source",
                    "backend",
                    "raw_start",
                    "start",
                    "end",
                    pl.col("tcp_state").to_physical(),
                )
            ),
            memoryview(kinds).cast("I"),
            arrays(self._of_kinds.drop("candidates")),
            self._addresses,
            self._protocols,
            self._states,
            self._count,
            columns,
        )
        self._count += connections.height
        plain = self._schema
        filled = buffers.batch(connections.height, self._filled_schema)
        named = dict(zip(_FILLED, filled.columns, strict=True))
        for name, column in _AS_IT_IS.items():
            array = connections[column].to_arrow()
            named[name] = array.cast(plain.field(name).type)
        named["candidates"] = self._candidates(kinds, connections.height)
        named["flow_ids"] = (
            connections["flow_ids"].to_arrow().cast(plain.field("flow_ids").type)
        )
        named["points"] = self._texts_of(connections["points"])
        return with_dictionaries(
            pa.RecordBatch.from_arrays(
                [named[name] for name in plain.names], schema=plain
            ),
            arrow_schema("connections"),
            {name: each.texts for name, each in self._dictionaries.items()},
        )

    def _numbered(self, connections: pl.DataFrame) -> tuple[bytearray, list[int]]:
        """Give each the number (u32) of its kind, and the first row of each new one.

        A kind is what a connection has its names from.
        """
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
        )
        firsts = self._kinds.number(arrays(alike), memoryview(numbers).cast("I"))
        return numbers, firsts

    def _name(self, firsts: list[pl.DataFrame]) -> None:
        """Name kinds by one connection of each."""
        kinds = pl.concat(firsts)
        if kinds.height or self._of_kinds is None:
            found = self._named(kinds.with_columns(group=pl.row_index()))
            known = [] if self._of_kinds is None else [self._of_kinds]
            self._of_kinds = pl.concat([*known, found], rechunk=True)

    def _candidates(self, kinds: bytearray, count: int) -> pa.Array:
        assert self._of_kinds is not None  # noqa: S101  they are named
        candidates, of_lists = self._of_kinds["candidates"], pa.list_(pa.utf8())
        if candidates.null_count() == len(candidates):
            return pa.nulls(count, of_lists)
        rows = pa.Array.from_buffers(pa.uint32(), count, [None, pa.py_buffer(kinds)])
        return candidates.to_arrow().cast(of_lists).take(rows)

    def _texts_of(self, points: pl.Series) -> pa.Array:
        """Write lists of points' codes as lists of their names."""
        codes = points.to_arrow()
        offsets = codes.offsets.cast(pa.int32())
        return pa.ListArray.from_arrays(offsets, self._points.take(codes.values))

    def _named(self, kinds: pl.DataFrame) -> pl.DataFrame:
        """Name one connection of each kind."""
        names = self._names
        kinds = kinds.with_columns(pl.col("node").cast(pl.String))
        named = with_destinations(kinds, names.roles, names.known, names.virtual)
        named = named.with_columns(entry_node=_entry_node(names.roles))
        named = with_backends(named, names.known, names.watched)
        named = _with_backend_names(named, names.roles, names.known)
        role = pl.col("client_role")
        return named.select(
            (role == "pod").fill_null(value=False),
            role.is_in(["node", "tunnel"]).fill_null(value=False).alias("is_node"),
            "is_destination_known",
            "is_backend_known",
            self._places("backend_ip", named["backend_ip"]),
            "backend_port",
            *(self._places(name, named[name]) for name in _NAMES),
            pl.col("candidates").cast(pl.List(pl.String)),
        )

    def _places(self, column: str, texts: pl.Series) -> pl.Series:
        """Give texts their places in a column's dictionary."""
        return self._dictionaries[column].indices(texts).alias(column)


def _with_ports(places: pl.Series) -> Arrays:
    """Say for each code of a protocol its place, and whether it has ports."""
    echoes = pl.Series(["icmp", "icmp6"]).cast(pl.Categorical).to_physical()
    has_port = ~pl.int_range(places.len(), eager=True).is_in(echoes.implode())
    return arrays([places, has_port])


def _entry_node(roles: pl.DataFrame) -> pl.Expr:
    """Tell on which node a connection was translated, else which one it met first.

    A NodePort is translated by the node that it names, masquerading by the node whose
    address it takes, a pod's or a node's own call where they are, unless it took an
    address that nobody is known to have. What comes in from outside enters where its
    first tunnel begins, or at the node that first saw it.
    """
    nodes = roles.filter(pl.col("role").is_in(["node", "tunnel"]))
    is_masked = pl.col("source") != pl.col("client")
    own = pl.col("source_role").is_in(["node", "tunnel"]) & is_masked
    is_inside = pl.col("client_role").is_in(["pod", "node", "tunnel"])
    is_delivered = pl.col("is_pod_side") & ~pl.col("client_ttl").is_in(INITIAL_TTLS)
    # Where no node's address of a version is known, any of them may be one.
    versions = nodes.select(is_v6("address").alias("v6"), "role").filter(role="node")
    may_be_node = pl.col("destination_role").is_null() & ~is_v6("destination_ip").is_in(
        versions["v6"].unique().implode()
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
        .when(is_inside & pl.col("source_role").is_null() & is_masked)
        .then(None)
        .when(is_inside & may_be_node & pl.col("fronts").eq(0))
        .then(None)
        .when(is_inside)
        .then("client_node")
        .when("is_tunneled")
        .then(outer)
        # It may be a node's port, or have come from another node.
        .when((may_be_node & pl.col("fronts").eq(0)) | is_delivered)
        .then(None)
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
