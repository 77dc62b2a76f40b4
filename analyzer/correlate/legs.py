"""The legs of a connection: its tuples in the order in which packets meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.cluster.inferred import INITIAL_TTLS
from analyzer.correlate.sightings import end

if TYPE_CHECKING:
    from analyzer.correlate.services import Services

# Sides of a host, in the order in which the client's packets reach them.
_CLIENT_ITSELF, _CLIENT_SIDE, _NO_SIDE, _SERVER_SIDE, _SERVER_ITSELF = range(5)

#: Where Linux begins to take client's ports from (ip_local_port_range).
_EPHEMERAL = 32768
#: Masquerading takes any port from here on (MASQUERADE --random-fully).
_LEAST_TAKEN = 1024
#: Where Kubernetes takes NodePorts from (--service-node-port-range).
_NODE_PORTS = (30000, 32767)
_SURE = ("originator_isn", "responder_isn")
#: Equal for sightings of one place on a connection's path, by whatever capture.
PLACE = pl.struct("leg", "point", "is_tunneled", "client_outer").hash()
#: What the order of a path is found with.
_KEYS = (
    "flow",
    "group",
    "ends",
    "host",
    "point",
    "client",
    "server",
    "is_tunneled",
    "client_ttl",
    "server_ttl",
    "client_outer",
    "server_outer",
)


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
    sides = {"client": "originator", "server": "responder"}
    is_tcp = pl.col("protocol") == "tcp"
    rest = alone.filter(is_tcp).select(
        *_SURE, group="flow", **{name: end(side) for name, side in sides.items()}
    )
    every = pl.concat(
        [joined.lazy().filter(is_tcp).select(rest.collect_schema().names()), rest]
    )
    is_any_open = every.select((~_is_sure()).any()).collect().item()
    meetings = every.collect() if is_any_open else every.clear().collect()
    # In one connection, NAT lets a client meet several.
    met = (
        pl.concat([meetings.lazy().select("group", end=side) for side in sides])
        .unique()
        .group_by("end")
        .agg(met=pl.len())
        .filter(pl.col("met") > 1)
        .collect()
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
    is_tcp = pl.col("protocol") == "tcp"
    sure = seen.filter(_is_sure())
    unsure = seen.filter(~_is_sure() & is_tcp)
    datagrams = seen.filter(~_is_sure() & ~is_tcp)
    if unsure.height:
        unsure = _midstream(unsure, sure, known)
    if datagrams.height:
        datagrams = _unconnected(datagrams, known)
    return pl.concat([sure, unsure, datagrams])


def _is_sure() -> pl.Expr:
    """Tell where a SYN or its answer says who is the client."""
    return pl.any_horizontal(pl.col(_SURE).is_not_null())


def _unconnected(datagrams: pl.DataFrame, known: Ends) -> pl.DataFrame:
    """Turn sightings of what has no SYN.

    Who speaks first asks, unless it is known to serve. Where only one of them was seen
    to speak, it answers from a port that no client takes to one that clients take.
    """
    ends = ["group", "ends"]
    asks = pl.col("asks").sort_by("start", "flow").first().over(ends)
    is_one_way = (pl.col("responder_packets").max().over(ends) == 0) & (
        pl.col("asks").min().over(ends) == pl.col("asks").max().over(ends)
    )
    return (
        datagrams.lazy()
        .with_columns(asks=_client(), serves=_serves(known.told))
        .with_columns(
            flips=pl.col("flips")
            ^ pl.coalesce(
                "serves",
                pl.when(is_one_way & _has_ports()).then(_is_answer()),
                pl.col("asks") != asks,
            )
        )
        .select(datagrams.columns)
        .collect()
    )


def _has_ports() -> pl.Expr:
    return ~pl.col("protocol").is_in(["icmp", "icmp6"])


def _is_answer() -> pl.Expr:
    """Tell whether a port that no client takes speaks to one that clients take."""
    ports = _client() % 65536, _server() % 65536
    return pl.any_horizontal(
        (ports[0] < least) & (ports[1] >= least) for least in (_LEAST_TAKEN, _EPHEMERAL)
    )


def _midstream(unsure: pl.DataFrame, sure: pl.DataFrame, known: Ends) -> pl.DataFrame:
    """Turn sightings of TCP whose beginning was not seen.

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
        unsure.lazy()
        .join(told.lazy(), on=["group", "ends"], how="left", maintain_order="left")
        .pipe(_with_meetings, known.met)
        .with_columns(turn=pl.coalesce(*reasons), doubt=doubt)
        .with_columns(clients=pl.when("turn").then(other).otherwise(mine))
        .with_columns(
            flips=pl.col("flips")
            ^ (distance(other) < distance(mine)).fill_null(pl.col("turn"))
        )
        .select(unsure.columns)
        .collect()
    )


def _reasons(known: Ends) -> tuple[pl.Expr, ...]:
    """Say by what a sighting of TCP is turned: bool, null where it tells nothing."""
    client, server = _client(), _server()
    # A beginning without flags shows its first packet all the same.
    is_from_start = pl.col("originator_seq_start").is_not_null() & pl.all_horizontal(
        pl.col("originator_tcp_flags", "responder_tcp_flags").is_null()
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
        pl.when(is_from_start).then(pl.lit(value=False)),
        _serves(known.serving),
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


def in_path_order(
    seen: pl.DataFrame, samples: pl.LazyFrame, nodes: pl.DataFrame
) -> pl.DataFrame:
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

    Returns
    -------
    pl.DataFrame
        Sorted, with ``leg`` (u32, equal for the same tuple of a group, ascending).

    Notes
    -----
    Every hop takes one from the TTL of what the client sends, whatever clocks say.
    Between the same TTL, the end of a tunnel, or the node, at the client's side comes
    before the other, the client's own host before all and the backend's behind. Then
    the time decides, host by host: packets leave one before they reach the next. Where
    no packets link the clocks either, two hosts stand in no certain order. Where
    requests and replies have different tuples (on ``lo``), what was seen of replies
    alone is the client's side.
    """
    ttl = pl.col("client_ttl").cast(pl.Int16)
    passed = (
        _with_passing(seen, samples)
        .select(*_KEYS, "_passed", _tuple=pl.struct("group", "ends").hash())
        .collect()
        .lazy()
    )
    legs = (
        passed.group_by("_tuple")
        .agg(
            pl.col("group").first(),
            _ttl=ttl.max().fill_null(256),
            _reply_ttl=pl.col("server_ttl").cast(pl.Int16).min().fill_null(256),
            _tuple_passed=pl.col("_passed").min(),
            # Numbers of addresses, and so of ends, are other ones in another process.
            _first_flow=pl.col("flow").min(),
            **{
                f"_{end}_outer": pl.col(f"{end}_outer").max()
                for end in ("client", "server")
            },
        )
        .sort(
            "group",
            -pl.col("_ttl"),
            -pl.col("_reply_ttl"),
            "_tuple_passed",
            "_first_flow",
            nulls_last=True,
        )
        .with_row_index("leg")
        .select("leg", "_tuple", "_ttl", "_client_outer", "_server_outer")
    )
    first = pl.col("_passed").min()
    at_tunnels = seen.filter(pl.col("is_tunneled") | pl.col("is_overlay"))
    ends_of_tunnels = at_tunnels["host"].unique()
    # The order is found with few columns; all others are moved once.
    order = (
        passed.join(legs, on="_tuple", maintain_order="left")
        .with_columns(_inside=ttl.fill_null(pl.col("_ttl")))
        .with_columns(
            _side=_side(nodes, ends_of_tunnels),
            _host_passed=first.over(pl.struct("leg", "_inside", "host").hash()),
            # Several captures may have one place.
            _place_passed=first.over(
                pl.struct(
                    "leg", "_inside", "point", "is_tunneled", "client_outer"
                ).hash()
            ),
        )
        .select(
            "leg",
            _at=pl.arg_sort_by(
                pl.col("leg").cast(pl.Int64) * 4096
                + (256 - pl.col("_inside")) * 8
                + pl.col("_side"),
                "_host_passed",
                "host",
                "_place_passed",
                # At the same moment one packet is seen as it came, in its tunnel, and
                # without: taking it out does not stamp it anew. Putting it in does.
                pl.col("is_tunneled") == (pl.col("_side") == _CLIENT_SIDE),
                "point",
                "flow",
                nulls_last=True,
            ),
        )
        .collect()
    )
    return seen.with_columns(order["leg"])[order["_at"]]


def _side(nodes: pl.DataFrame, ends_of_tunnels: pl.Series) -> pl.Expr:
    """Say at which side of its connection's tunnel a sighting's host is."""
    if nodes.is_empty():
        return pl.lit(_NO_SIDE)
    hosts = pl.concat([nodes["host"], ends_of_tunnels]).unique()
    is_node = pl.col("host").is_in(hosts.implode())
    own = _pair(pl.col("outer"))
    pairs = nodes.select(own)["host"].implode()

    def is_at(end: str) -> pl.Expr:
        # Without its tunnel, a packet goes where others of its tuple go in it, else
        # from one address to the other.
        outer = pl.coalesce(
            f"{end}_outer", f"_{end}_outer", (pl.col(end) // 65536).cast(pl.UInt32)
        )
        return _pair(outer).is_in(pairs)

    return (
        pl.when(is_node & is_at("client"))
        .then(_CLIENT_SIDE)
        .when(is_node & is_at("server"))
        .then(_SERVER_SIDE)
        .when(is_node)
        .then(_NO_SIDE)
        .when(pl.col("client_ttl").is_in(INITIAL_TTLS))
        .then(_CLIENT_ITSELF)
        .otherwise(_SERVER_ITSELF)
    )


def _pair(outer: pl.Expr) -> pl.Expr:
    """Write a host and an address of it as one number."""
    return pl.col("host").cast(pl.UInt64) * 2**32 + outer


def _with_passing(seen: pl.DataFrame, samples: pl.LazyFrame) -> pl.LazyFrame:
    """Add when the same packet of the client passed each sighting: ``_passed`` (us).

    It is the first packet, unless a connection was open before some capture began;
    then it is how much later the client's sampled packets passed, and how much sooner
    the server's, than at the sighting that has the most packets in common with others.
    Without a packet in common it is null.
    """
    start = pl.col("start").fill_null(0)
    is_late = (
        pl.col("client_seq_start").min().over("group")
        < pl.col("client_seq_start").max().over("group")
    ).fill_null(value=False)
    late = seen.filter(is_late)
    if late.is_empty():
        return seen.lazy().with_columns(_passed=start // 1000)
    sampled = late.lazy().join(samples, on="flow")
    times = (
        pl.concat(
            [
                sampled.select(
                    "group",
                    "flow",
                    shift=pl.col("raw_start") - pl.col("start"),
                    sign=pl.when(pl.col("flips") == (side == "responder"))
                    .then(1)
                    .otherwise(-1),
                    id=f"{side}_packet_ids",
                    time=f"{side}_packet_times",
                )
                for side in ("originator", "responder")
            ]
        )
        .explode("id", "time")
        .drop_nulls()
        .with_columns(
            time=pl.col("time").to_physical() - pl.col("shift"),
            in_common=pl.len().over("group", "sign", "id") - 1,
        )
        .with_columns(in_common=pl.col("in_common").sum().over("flow"))
    )
    most = pl.col("in_common").max().over("group")
    least_flow = pl.col("flow").min().over("group")
    compared = times.filter(pl.col("in_common") == most).filter(
        pl.col("flow") == least_flow
    )
    delays = (
        times.join(compared, on=["group", "sign", "id"], suffix="_compared")
        .with_columns(time=pl.col("sign") * (pl.col("time") - pl.col("time_compared")))
        .group_by("flow")
        .agg(_delay=pl.col("time").median().cast(pl.Int64))
    )
    return (
        seen.lazy()
        .join(delays, on="flow", how="left", maintain_order="left")
        .with_columns(
            _passed=pl.when(is_late)
            .then(start.min().over("group") + pl.col("_delay"))
            .otherwise(start)
            // 1000
        )
        .drop("_delay")
    )
