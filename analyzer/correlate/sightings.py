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

#: How long a packet may take from one point to another (ns): the first ones of a
#: capture may have been seen elsewhere before.
ON_ITS_WAY = 100_000_000

#: Packet ids that a flow keeps of each direction.
SAMPLE_SIZE = 4
#: Columns of both directions.
_SIDED = (
    "isn",
    "tcp_flags",
    "seq_start",
    "seq_end",
    "digest",
    "ttl",
    "packets",
    "bytes",
    "payload_bytes",
)
_WHOLE = (
    "flow_id",
    "capture",
    "point",
    "originator_syn_tsval",
    "originator_syn_window",
    "originator_syn_options",
    "tcp_state",
    "handshake_rtt",
    "requests",
    "fragments",
    "copies",
)

_ONLY_FOR_GROUPING = (
    "capture",
    "originator_syn_tsval",
    "originator_syn_window",
    "originator_syn_options",
    "client_isn",
    "server_isn",
    "client_tcp_flags",
    "server_tcp_flags",
    "client_seq_end",
    "server_seq_end",
)


def sightings(flows: pl.LazyFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Take from flows what tells which of them belong together.

    Parameters
    ----------
    flows : pl.LazyFrame
        The flows table with its row index as ``flow``.
    names : pl.DataFrame
        See :class:`analyzer.correlate.survey.Survey`.

    Returns
    -------
    pl.DataFrame
        One row per flow of TCP, UDP, SCTP or ICMP echo, in the order of the flows:
        ``flow`` (u32, its place in the table), ``host`` (u32, equal where a clock is
        shared), ``lane`` (u64, equal for the same capture, point, tunnel and ends),
        ``ends`` (u64, equal for the same protocol and two ends), ``client``,
        ``server`` (u64, address and port of originator and responder), ``flips``
        (bool: the originator is no client, since it sent an echo reply), ``start``,
        ``end``, ``raw_start`` (i64, ns; the first two are set right later), and
        columns of the flow.

    Notes
    -----
    ICMP errors belong to the flow that they quote, and what is said between neighbours
    (ARP, neighbour discovery, IGMP) is no connection. Ports of ICMP are its identifier.
    """
    place = ["capture", "point", "tunnel", "vni", *_outer_ends()]
    sides = ("originator", "responder")
    return (
        flows.filter(is_conversation())
        .with_columns(
            originator_outer=_code("outer_originator_ip"),
            responder_outer=_code("outer_responder_ip"),
        )
        .select(
            "flow",
            "protocol",
            *_WHOLE,
            *(f"{way}_{name}" for way in sides for name in _SIDED),
            *(f"{way}_outer" for way in sides),
            host=_code("point").replace_strict(
                names["point"].to_physical(), names["host"], return_dtype=pl.UInt32
            ),
            is_tunneled=pl.col("tunnel").is_not_null(),
            raw_start=_code("start_time"),
            start=_code("start_time"),
            end=_code("end_time"),
            client=end("originator"),
            server=end("responder"),
            flips=pl.col("icmp_type").is_in(_ECHO_REPLIES).fill_null(value=False),
            retransmits=pl.col("originator_retransmits")
            + pl.col("responder_retransmits"),
            _place=pl.struct(place).hash(),
        )
        .with_columns(ends=both_ends())
        .with_columns(lane=pl.struct("_place", "ends").hash())
        .drop("_place")
        .collect()
    )


def _outer_ends() -> list[pl.Expr]:
    """Put the two ends of a tunnel into an order that both directions share."""
    both = ["originator_outer", "responder_outer"]
    return [
        pl.min_horizontal(both).alias("outer_low"),
        pl.max_horizontal(both).alias("outer_high"),
    ]


def _code(name: str) -> pl.Expr:
    return pl.col(name).to_physical()


def is_conversation() -> pl.Expr:
    """Tell flows of TCP, UDP, SCTP and ICMP echo from all others."""
    protocol = pl.col("protocol")
    has_ports = pl.col("originator_port").is_not_null()
    is_transport = (protocol == "tcp") | (protocol == "udp") | (protocol == "sctp")
    is_echo = pl.col("icmp_type").is_in(_ECHOES) & pl.col("icmp_id").is_not_null()
    return (is_transport & has_ports & ~is_unread_tunnel()) | is_echo


def is_unread_tunnel() -> pl.Expr:
    """Tell flows of tunnels whose inside could not be read: it was cut, or is none."""
    return (
        (pl.col("protocol") == "udp")
        & pl.col("responder_port").is_in(_TUNNEL_PORTS)
        & pl.col("tunnel").is_null()
    )


def both_ends() -> pl.Expr:
    """Give a number (u64) that flows share if they have the same two ends."""
    return pl.struct(
        "protocol",
        pl.min_horizontal("client", "server"),
        pl.max_horizontal("client", "server").alias("high"),
    ).hash()


def end(side: str) -> pl.Expr:
    """Give the address and port of ``originator`` or ``responder`` (u64)."""
    port = pl.col(f"{side}_port").fill_null(pl.col("icmp_id")).fill_null(0)
    return _code(f"{side}_ip").cast(pl.UInt64) * 65536 + port


def by_side(seen: pl.DataFrame) -> pl.DataFrame:
    """Turn columns of originator and responder into those of client and server.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings whose ``flips`` says that the client is the responder.

    Returns
    -------
    pl.DataFrame
        The same rows; ``client_ttl`` stands for ``originator_ttl`` and so on, and
        ``is_answered`` (bool) tells whether the server took the connection,
        ``is_numbered`` whether the initial numbers of both sides were seen, and
        ``opens_with_answer`` whether the first packet is one of the server. Where a
        capture has copies of other interfaces that cannot be told apart, each
        direction's counters are its share without them.
    """
    sided = (*_SIDED, "outer")
    frame = seen.lazy()
    if seen["flips"].any():
        swapped = [
            pl.when("flips")
            .then(f"{other}_{name}")
            .otherwise(f"{same}_{name}")
            .alias(f"{same}_{name}")
            for same, other in (
                ("originator", "responder"),
                ("responder", "originator"),
            )
            for name in sided
        ] + [
            pl.when("flips").then("server").otherwise("client").alias("client"),
            pl.when("flips").then("client").otherwise("server").alias("server"),
        ]
        frame = frame.with_columns(swapped)
    frame = frame.rename(
        {f"originator_{name}": f"client_{name}" for name in sided}
        | {f"responder_{name}": f"server_{name}" for name in sided}
    )
    if (seen["copies"] > 0).any():
        frames = pl.col("client_packets") + pl.col("server_packets")
        once = pl.col("^(client|server)_(packets|bytes|payload_bytes)$")
        share = (frames - pl.col("copies")) / frames
        frame = frame.with_columns(
            pl.when(pl.col("copies") > 0)
            .then((once * share).round())
            .otherwise(once)
            .cast(pl.UInt64)
        )
    is_answered = (
        ((pl.col("protocol") != "tcp") & (pl.col("server_packets") > 0))
        | (pl.col("server_tcp_flags") & 0x12 == 0x12)
        | (pl.col("server_payload_bytes") > 0)
    )
    is_unopened = (pl.col("client_tcp_flags") & 0x02 == 0) & (
        pl.col("server_tcp_flags") & 0x12 == 0x12
    )
    return (
        frame.with_columns(
            is_answered=is_answered.fill_null(value=False),
            opens_with_answer=pl.col("flips") | is_unopened.fill_null(value=False),
            is_numbered=pl.col("client_isn").is_not_null()
            & pl.col("server_isn").is_not_null(),
        )
        .drop(_ONLY_FOR_GROUPING)
        .collect()
    )


def samples(flows: pl.LazyFrame) -> pl.LazyFrame:
    """Give the sampled packets of each flow, as lists, and the segments' sizes.

    One row per ``flow``, sorted.
    """
    return flows.select(
        "flow",
        "originator_packet_ids",
        "originator_packet_times",
        "responder_packet_ids",
        "responder_packet_times",
        "originator_syn_mss",
        "responder_syn_mss",
    )
