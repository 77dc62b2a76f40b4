"""The legs of a connection: its tuples in the order in which packets meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer._cext.path_order import PathOrder
from analyzer.cluster.inferred import INITIAL_TTLS
from analyzer.correlate.filled import Numbers, arrays, in_code_order
from analyzer.correlate.passing import passing
from analyzer.correlate.sightings import end
from analyzer.tables.batch import BATCH_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.correlate.services import Services

#: Where Linux begins to take client's ports from (ip_local_port_range).
_EPHEMERAL = 32768
#: Masquerading takes any port from here on (MASQUERADE --random-fully).
_LEAST_TAKEN = 1024
#: Where Kubernetes takes NodePorts from (--service-node-port-range).
_NODE_PORTS = (30000, 32767)
_SURE = ("originator_isn", "responder_isn")
#: Equal for sightings of one place on a connection's path, by whatever capture; in the
#: order of ``cext/path.pxd``.
PLACE = ("group", "leg", "point", "is_tunneled", "client_outer")


class Ends(NamedTuple):
    """What ends (u64) tell of who is the client.

    ``told`` serve by cluster state, ``seen`` were seen to take a SYN. ``met`` has one
    row per end of several connections of TCP: ``end``, ``met`` (how many). Both are
    empty if the beginning of all was seen. ``tunnels`` and ``nodes`` are codes of
    addresses.
    """

    told: pl.Series
    seen: pl.Series
    met: pl.DataFrame
    tunnels: pl.Series
    nodes: pl.Series

    @property
    def hosts(self) -> pl.Series:
        """Codes of all addresses that nodes have."""
        return pl.concat([self.nodes, self.tunnels])

    @property
    def serving(self) -> pl.Series:
        """Ends that serve, however it is known."""
        return pl.concat([self.told, self.seen])


def known_ends(
    known: Services, roles: pl.DataFrame, joined: pl.DataFrame, alone: pl.LazyFrame
) -> Ends:
    """Collect what all connections tell of ends.

    Parameters
    ----------
    known : Services
    roles : pl.DataFrame
        See :func:`analyzer.correlate.addresses.address_roles`.
    joined : pl.DataFrame
        Sightings with ``group``.
    alone : pl.LazyFrame
        Flows with ``flow`` that belong with no others.
    """
    is_tcp = pl.col("protocol") == "tcp"
    rest = alone.filter(is_tcp).select(
        *_SURE, group="flow", client=end("originator"), server=end("responder")
    )
    names = rest.collect_schema().names()
    parts = pl.collect_all([joined.lazy().filter(is_tcp).select(names), rest])
    meetings = pl.concat(parts)
    if meetings.select(_is_sure().all()).item():
        meetings, parts = meetings.clear(), [part.clear() for part in parts]
    shared, single = parts
    # In one connection, NAT lets a client meet several.
    of_groups = pl.concat(
        [shared.select("group", end=side) for side in ("client", "server")]
    ).unique()
    other = single.filter(pl.col("client") != pl.col("server"))["server"]
    met = (
        pl.concat([of_groups["end"], single["client"], other])
        .alias("end")
        .value_counts(name="met")
        .filter(pl.col("met") > 1)
    )
    told = pl.concat([known.fronts["end"], known.endpoints["end"].drop_nulls()])
    codes = [
        roles.filter(pl.col("role") == role)["code"].cast(pl.UInt64)
        for role in ("tunnel", "node")
    ]
    return Ends(told, meetings.filter(_is_sure())["server"].unique(), met, *codes)


def oriented(seen: pl.DataFrame, known: Ends) -> pl.DataFrame:
    """Turn sightings round whose originator was not the client.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings with ``group``.
    known : Ends

    Returns
    -------
    pl.DataFrame
        The same sightings; where the beginning was not seen, ``flips`` says that the
        responder is the client, as far as sightings of the same tuple that saw it, what
        is known to serve, or addresses and ports tell.
    """
    is_sure = seen.lazy().select(_is_sure()).collect().to_series()
    if is_sure.all():
        return seen
    is_tcp = seen["protocol"] == "tcp"
    flips = seen["flips"]
    for rows, turned in (
        (~is_sure & is_tcp, _midstream),
        (~is_sure & ~is_tcp, _unconnected),
    ):
        if rows.any():
            found = turned(seen.lazy().filter(rows), seen.lazy().filter(is_sure), known)
            flips = flips.scatter(rows.arg_true(), found.collect().to_series())
    return seen.with_columns(flips=flips)


def _is_sure() -> pl.Expr:
    """Tell where a SYN or its answer says who is the client."""
    return pl.any_horizontal(pl.col(_SURE).is_not_null())


def _unconnected(datagrams: pl.LazyFrame, _: pl.LazyFrame, known: Ends) -> pl.LazyFrame:
    """Tell which sightings of what has no SYN are turned.

    Who speaks first asks, unless it is known to serve. Where only one of them was seen
    to speak, it answers from a port that no client takes to one that clients take.
    """
    ends = ["group", "ends"]
    asks = pl.col("asks").sort_by("start", "flow").first().over(ends)
    is_one_way = (pl.col("responder_packets").max().over(ends) == 0) & (
        pl.col("asks").min().over(ends) == pl.col("asks").max().over(ends)
    )
    return datagrams.with_columns(asks=_client(), serves=_serves(known.told)).select(
        pl.col("flips")
        ^ pl.coalesce(
            "serves",
            pl.when(is_one_way & _has_ports()).then(_is_answer()),
            pl.col("asks") != asks,
        )
    )


def _has_ports() -> pl.Expr:
    return ~pl.col("protocol").is_in(["icmp", "icmp6"])


def _is_answer() -> pl.Expr:
    """Tell whether a port that no client takes speaks to one that clients take."""
    ports = _client() % 65536, _server() % 65536
    return pl.any_horizontal(
        (ports[0] < least) & (ports[1] >= least) for least in (_LEAST_TAKEN, _EPHEMERAL)
    )


def _midstream(unsure: pl.LazyFrame, sure: pl.LazyFrame, known: Ends) -> pl.LazyFrame:
    """Tell which sightings of TCP are turned whose beginning was not seen.

    In each group, the surest of them tells for the others by its sequence numbers: a
    tuple that was seen from its beginning, a known server, a node's address in tunnels
    (masquerading and nodes' own calls take it), an end of more connections, and of
    one side only a port that no client takes, an ephemeral one, or a node's port. Where
    nothing of it tells, the lower port is taken for the server's.
    """
    # Of one tuple both ends may have begun a connection, by numbers that agree.
    told = sure.group_by("group", "ends").agg(
        told=pl.col("client").sort_by("flow").first()
    )
    reasons = (
        pl.when(pl.col("told").is_not_null()).then(pl.col("told") != _client()),
        *_reasons(known),
    )
    doubt = pl.coalesce(
        *(
            pl.when(reason.is_not_null()).then(number)
            for number, reason in enumerate(reasons)
        )
    )
    mine, other = pl.col("originator_seq_end"), pl.col("responder_seq_end")
    surest = pl.col("clients").sort_by("doubt", "flow").first().over("group")

    def distance(number: pl.Expr) -> pl.Expr:
        ahead = (number.cast(pl.Int64) - surest.cast(pl.Int64)) % 2**32
        return pl.min_horizontal(ahead, 2**32 - ahead)

    return (
        unsure.join(told, on=["group", "ends"], how="left", maintain_order="left")
        .pipe(_with_meetings, known.met)
        .with_columns(turn=pl.coalesce(*reasons), doubt=doubt)
        .with_columns(clients=pl.when("turn").then(other).otherwise(mine))
        .select(
            pl.col("flips")
            ^ (distance(other) < distance(mine)).fill_null(pl.col("turn"))
        )
    )


def _reasons(known: Ends) -> tuple[pl.Expr, ...]:
    """Say by what a sighting of TCP is turned: bool, null where it tells nothing."""
    client, server = _client(), _server()
    # A beginning without flags shows its first packet all the same, unless packets of
    # the other side go by elsewhere.
    is_from_start = (
        pl.col("originator_seq_start").is_not_null()
        & (pl.col("responder_packets") > 0)
        & pl.col("originator_tcp_flags").is_null()
        & pl.col("responder_tcp_flags").is_null()
    )
    ports = client % 65536, server % 65536

    def has(codes: pl.Series, end: pl.Expr) -> pl.Expr:
        return (end // 65536).is_in(codes.implode())

    of_tunnel = [has(known.tunnels, each) for each in (client, server)]
    meets = pl.col("met_client"), pl.col("met_server")
    is_reserved = [port < _LEAST_TAKEN for port in ports]
    is_ephemeral = [port >= _EPHEMERAL for port in ports]
    is_node_port = [
        port.is_between(*_NODE_PORTS) & has(known.nodes, each)
        for port, each in zip(ports, (client, server), strict=True)
    ]
    return (
        _serves(known.serving),
        pl.when(is_from_start).then(pl.lit(value=False)),
        pl.when(of_tunnel[0] != of_tunnel[1]).then(of_tunnel[1]),
        pl.when(meets[0] != meets[1]).then(meets[0] > meets[1]),
        pl.when(is_reserved[0] != is_reserved[1]).then(is_reserved[0]),
        pl.when(is_ephemeral[0] != is_ephemeral[1]).then(is_ephemeral[1]),
        pl.when(is_node_port[0] != is_node_port[1]).then(is_node_port[0]),
        ports[0] < ports[1],
    )


def _with_meetings(seen: pl.LazyFrame, met: pl.DataFrame) -> pl.LazyFrame:
    """Add how many connections each end has: ``met_client``, ``met_server``."""
    for side, other in (("client", _client()), ("server", _server())):
        seen = seen.with_columns(_end=other).join(
            met.lazy().rename({"met": f"met_{side}"}),
            left_on="_end",
            right_on="end",
            how="left",
            maintain_order="left",
        )
    return seen.with_columns(pl.col("met_client", "met_server").fill_null(1)).drop(
        "_end"
    )


def _client() -> pl.Expr:
    return pl.when("flips").then("server").otherwise("client")


def _server() -> pl.Expr:
    return pl.when("flips").then("client").otherwise("server")


def _serves(known: pl.Series) -> pl.Expr:
    """Tell whether the client is known to serve, null if that tells nothing."""
    if known.is_empty():
        return pl.lit(None, pl.Boolean)
    ends = known.unique().implode()
    client, server = _client().is_in(ends), _server().is_in(ends)
    return pl.when(client != server).then(client)


class Paths(NamedTuple):
    """Sightings and the order in which connections pass them.

    ``order`` (u32) has the rows of ``sightings``, sorted by ``group``, and each group's
    along the client's path; ``legs`` (u32) is for each of them equal for the same tuple
    of a group, ascending.
    """

    sightings: pl.DataFrame
    order: pl.Series
    legs: pl.Series

    def parts(self, *columns: str) -> Iterator[pl.DataFrame]:
        """Give all sightings in order, in parts that have whole groups.

        Parameters
        ----------
        *columns : str
            Those to give, ``leg`` of ``legs`` among them.
        """
        seen = self.sightings.select(name for name in columns if name != "leg")
        group = self.sightings["group"]
        first, last = 0, -1
        while last < seen.height:
            last = min(first + BATCH_ROWS, seen.height)
            while 0 < last < seen.height and (
                group[self.order[last]] == group[self.order[last - 1]]
            ):
                last += 1
            part = seen[self.order[first:last]]
            yield part.with_columns(leg=self.legs[first:last]).select(columns)
            first = last


def connections_of(ordered: pl.DataFrame) -> int:
    """Count the groups of sightings in order."""
    group = ordered["group"]
    return int((group != group.shift()).sum()) + min(ordered.height, 1)


def in_path_order(
    seen: pl.DataFrame, samples: pl.LazyFrame, nodes: pl.DataFrame, own: pl.Series
) -> Paths:
    """Sort sightings by group, and each group's along the client's path.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings by side.
    samples : pl.LazyFrame
        Ids and times of each flow's sampled packets.
    nodes : pl.DataFrame
        Capture hosts that are nodes, and their addresses outside of tunnels: ``host``,
        ``outer`` (u32).
    own : pl.Series
        Codes of all addresses that nodes have, in tunnels, too.

    Returns
    -------
    Paths

    Notes
    -----
    Every hop takes one from the TTL of what the client sends, whatever clocks say.
    Between the same TTL, the end of a tunnel, or the node, at the client's side comes
    before the other, the client's own host before all and the backend's behind (where a
    node calls, all that are no nodes are the backend's). Then the time decides, host by
    host: packets leave one before they reach the next. Where no packets link the clocks
    either, two hosts stand in no certain order. Where requests and replies have
    different tuples (on ``lo``), what was seen of replies alone is the client's side.
    """
    # In one piece, what is put in order is at hand.
    seen = seen.rechunk()
    at_tunnels = pl.any_horizontal("is_tunneled", "is_overlay")
    hosts = seen.select(pl.col("host").filter(at_tunnels).unique()).to_series()
    is_initial = pl.col("client_ttl").is_in(INITIAL_TTLS).fill_null(value=False)
    order, legs = Numbers(seen.height), Numbers(seen.height)
    PathOrder(
        arrays(nodes.select("host", "outer")),
        arrays([pl.concat([nodes["host"], hosts])]),
        arrays([own.cast(pl.UInt32)]),
    ).sort(
        arrays(
            seen.select(
                "group",
                "flow",
                "ends",
                "host",
                _by_name(seen["point"]),
                "is_tunneled",
                is_initial.alias("is_initial"),
                passing(seen, samples).alias("passed"),
                "client",
                "server",
                "client_ttl",
                "server_ttl",
                "client_outer",
                "server_outer",
            )
        ),
        order.view,
        legs.view,
    )
    return Paths(seen, order.series(), legs.series())


def _by_name(points: pl.Series) -> pl.Series:
    """Give each point its number (u32) in the order of their names."""
    names = points.unique().to_frame().with_columns(code=pl.col("point").to_physical())
    names = in_code_order(
        names.with_columns(rank=pl.col("point").cast(pl.String).rank("dense"))
    )
    return names["rank"].cast(pl.UInt32)[points.to_physical()].alias("point")
