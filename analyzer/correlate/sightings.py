"""Flows as sightings: what correlation needs of them, as numbers.

A sighting is one conversation at one observation point and in one tunnel: a row of the
flows table. Sightings that carry the same packets belong to one connection, whatever
addresses they show.
"""

from __future__ import annotations

import polars as pl

_ECHOES = (8, 0, 128, 129)  # ICMP, ICMPv6: request and reply
_ECHO_REPLIES = (0, 129)
# UDP ports whose payload is a tunnel: what could not be taken out of it is no
# connection of anybody's.
_TUNNEL_PORTS = (4789, 8472, 6081)

#: What grouping reads; everything else stays where it is until groups are known.
_TCP = (
    "originator_isn",
    "responder_isn",
    "originator_tcp_flags",
    "responder_tcp_flags",
    "originator_syn_tsval",
    "originator_syn_window",
    "originator_syn_options",
    "originator_seq_start",
    "originator_seq_end",
    "responder_seq_start",
    "responder_seq_end",
)


def sightings(flows: pl.LazyFrame) -> pl.DataFrame:
    """Take from flows what tells which of them belong together.

    Parameters
    ----------
    flows : pl.LazyFrame
        The flows table, see :data:`analyzer.tables.schema.FLOWS`.

    Returns
    -------
    pl.DataFrame
        One row per flow of TCP, UDP, SCTP or ICMP echo, in the order of the flows:
        ``flow`` (u32, its place in the table), ``host`` (u32, equal where a clock is
        shared), ``lane`` (u64, equal for the same capture, point, tunnel and ends),
        ``place`` (u64, the same without the ends), ``ends`` (u64, equal for the same
        protocol and two ends), ``client``, ``server`` (u64, address and port of
        originator and responder, exchanged where only a reply was seen), ``start``,
        ``end`` (i64, ns), and columns of the flow.

    Notes
    -----
    ICMP errors belong to the flow that they quote, and what is said between neighbours
    (ARP, neighbour discovery, IGMP) is no connection. Ports of ICMP are its identifier.
    """
    protocol = pl.col("protocol")
    has_ports = pl.col("originator_port").is_not_null()
    is_transport = (protocol == "tcp") | (protocol == "udp") | (protocol == "sctp")
    is_echo = pl.col("icmp_type").is_in(_ECHOES)
    is_tunnel = (
        (protocol == "udp")
        & pl.col("responder_port").is_in(_TUNNEL_PORTS)
        & pl.col("tunnel").is_null()
    )
    outer = ["outer_originator_ip", "outer_responder_ip"]
    return (
        flows.filter((is_transport & has_ports & ~is_tunnel) | is_echo)
        .with_columns(
            flips=pl.col("icmp_type").is_in(_ECHO_REPLIES).fill_null(value=False),
            _originator=_end("originator"),
            _responder=_end("responder"),
        )
        .select(
            "flow",
            "protocol",
            "flips",
            *_TCP,
            host=host_name(pl.col("point")).to_physical(),
            is_tunneled=pl.col("tunnel").is_not_null(),
            place=pl.struct(
                "capture", "point", "tunnel", "vni", *_ordered(outer)
            ).hash(),
            start=pl.col("start_time").to_physical(),
            end=pl.col("end_time").to_physical(),
            client=pl.when("flips").then("_responder").otherwise("_originator"),
            server=pl.when("flips").then("_originator").otherwise("_responder"),
            client_digest=pl.when("flips")
            .then("responder_digest")
            .otherwise("originator_digest"),
            server_digest=pl.when("flips")
            .then("originator_digest")
            .otherwise("responder_digest"),
        )
        .with_columns(
            ends=pl.struct("protocol", *_ordered(["client", "server"])).hash()
        )
        .with_columns(lane=pl.struct("place", "ends").hash())
        .collect()
    )


def _ordered(pair: list[str]) -> list[pl.Expr]:
    """Put two columns into an order that both directions share."""
    both = [pl.col(name).to_physical() for name in pair]
    return [
        pl.min_horizontal(both).alias(f"{pair[0]}_low"),
        pl.max_horizontal(both).alias(f"{pair[0]}_high"),
    ]


def _code(name: str) -> pl.Expr:
    return pl.col(name).to_physical()


def host_name(point: pl.Expr) -> pl.Expr:
    """Name the host of a point: what stands before the slash."""
    return point.cast(pl.String).str.split("/").list.first().cast(pl.Categorical)


def _end(side: str) -> pl.Expr:
    port = pl.col(f"{side}_port").fill_null(pl.col("icmp_id")).fill_null(0)
    return _code(f"{side}_ip").cast(pl.UInt64) * 65536 + port


def samples(flows: pl.LazyFrame) -> pl.LazyFrame:
    """Give the sampled packets of each flow: one row per ``flow``, as lists."""
    return flows.select(
        "flow",
        "originator_packet_ids",
        "originator_packet_times",
        "responder_packet_ids",
        "responder_packet_times",
    )


def details(seen: pl.DataFrame, flows: pl.LazyFrame) -> pl.DataFrame:
    """Add what a connection's row tells of a flow, by client and server.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings whose ``flips`` says that the client is the responder.
    flows : pl.LazyFrame
        The flows table with its row index as ``flow``.
    """

    def side(client: bool, name: str) -> pl.Expr:
        same, other = f"originator_{name}", f"responder_{name}"
        if not client:
            same, other = other, same
        return pl.when("flips").then(other).otherwise(same)

    names = ("ttl", "packets", "bytes", "payload_bytes", "tcp_flags")
    both_ways = {
        f"{'client' if client else 'server'}_{name}": side(client, name)
        for client in (True, False)
        for name in names
    }
    columns = [f"{way}_{name}" for way in ("originator", "responder") for name in names]
    more = flows.select(
        "flow",
        "flow_id",
        "capture",
        "first_frame",
        *(name for name in columns if not name.endswith("tcp_flags")),
        "point",
        "tcp_state",
        "copies",
        "fragments",
        "handshake_rtt",
        "requests",
        "icmp_errors",
        outer_originator=_code("outer_originator_ip"),
        outer_responder=_code("outer_responder_ip"),
        shift=pl.col("start_time").to_physical(),
        retransmits=pl.col("originator_retransmits") + pl.col("responder_retransmits"),
    )
    is_answered = (
        (pl.col("protocol") != "tcp") & (pl.col("server_packets") > 0)
        | (pl.col("server_tcp_flags") & 0x12 == 0x12)
        | (pl.col("server_payload_bytes") > 0)
    )
    # Where copies of other interfaces cannot be told apart, each way has its share.
    frames = pl.col("client_packets") + pl.col("server_packets")
    once = [
        f"{side}_{name}"
        for side in ("client", "server")
        for name in ("packets", "bytes", "payload_bytes")
    ]
    return (
        seen.lazy()
        .join(more, on="flow", maintain_order="left")
        .with_columns(**both_ways)
        .with_columns(
            client_outer=pl.when("flips")
            .then("outer_responder")
            .otherwise("outer_originator"),
            server_outer=pl.when("flips")
            .then("outer_originator")
            .otherwise("outer_responder"),
        )
        .with_columns(
            pl.when(pl.col("copies") > 0)
            .then((pl.col(name) * (frames - pl.col("copies")) / frames).round())
            .otherwise(name)
            .cast(pl.UInt64)
            .alias(name)
            for name in once
        )
        .with_columns(
            is_answered=is_answered.fill_null(value=False),
            shift=pl.col("shift") - pl.col("start"),
        )
        .drop(*columns, "outer_originator", "outer_responder")
        .collect()
    )
