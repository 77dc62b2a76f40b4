"""What a connection's path is drawn from: one row per connection, in plain strings."""

from __future__ import annotations

import polars as pl

from analyzer.tables.expressions import device_of, host_of

#: Devices of overlays, by what they do with packets that leave through them.
TUNNEL_DEVICES = {
    "vxlan": r"^(vxlan|flannel|cilium_vxlan)",
    "geneve": r"^(geneve|genev_sys)",
    "ipip": r"^tunl",
}
#: Names that Linux gives to network cards, and people to bonds and bridges of them.
NIC = r"^(en|eth|bond|team|ib|br|wl)"


def path_connections(connections: pl.LazyFrame, flows: pl.LazyFrame) -> pl.LazyFrame:
    """Add to each connection what its flows tell of its path.

    Parameters
    ----------
    connections, flows : pl.LazyFrame
        The tables of that name.

    Returns
    -------
    pl.LazyFrame
        One row per connection, with the columns of the connections table (names and
        addresses as strings) and ``service`` (str, ``namespace/name``), ``tunnel``
        (str: the encapsulation that a frame or a tunnel's device shows; ``routed`` if
        a NIC shows the translated packets without any), ``vni`` (u32),
        ``outer_client_ip``, ``outer_backend_ip`` (str: the tunnel's end on the side of
        either), ``plain_hosts`` (list of str: hosts that saw it outside of tunnels,
        after the last rewrite), ``hosts`` (list of str: all that saw it), ``octets``
        (u64, both ways), ``is_answered`` (bool), ``client_ttl`` (u8: of the client's
        packets, where it was largest).
    """
    plain = connections.with_columns(
        pl.selectors.categorical().cast(pl.String),
        service=pl.concat_str("service_namespace", "service_name", separator="/"),
        octets=pl.col("client_bytes") + pl.col("backend_bytes"),
        is_answered=pl.col("backend_packets") > 0,
    )
    of_flows = (
        plain.select(
            "connection_id",
            "backend_ip",
            "entry_node",
            "backend_node",
            flow_id="flow_ids",
        )
        .explode("flow_id")
        .join(
            flows.select(
                "flow_id",
                "tunnel",
                "vni",
                "originator_ttl",
                "responder_ttl",
                pl.col(
                    "originator_ip",
                    "responder_ip",
                    "outer_originator_ip",
                    "outer_responder_ip",
                ).cast(pl.String),
                host=host_of("point"),
                device=device_of("point"),
            ),
            on="flow_id",
            how="left",
        )
        .with_columns(
            is_turned=pl.col("originator_ip") == pl.col("backend_ip"),
            is_tunneled=pl.col("tunnel").is_not_null(),
            by_device=pl.coalesce(
                pl.when(pl.col("device").str.contains(pattern)).then(pl.lit(tunnel))
                for tunnel, pattern in TUNNEL_DEVICES.items()
            ),
        )
    )
    here, there = "outer_originator_ip", "outer_responder_ip"
    is_translated = pl.any_horizontal(
        pl.col(end) == pl.col("backend_ip") for end in ("originator_ip", "responder_ip")
    )
    is_routed = (
        is_translated
        & ~pl.col("is_tunneled")
        & pl.col("device").str.contains(NIC)
        & (
            (pl.col("host") == pl.col("entry_node"))
            | (pl.col("host") == pl.col("backend_node"))
        )
    )
    told = (
        of_flows.group_by("connection_id")
        .agg(
            tunnel=pl.coalesce(
                pl.col("tunnel").cast(pl.String).min(),
                pl.col("by_device").min(),
                pl.when(is_routed.any()).then(pl.lit("routed")),
            ),
            vni=pl.col("vni").min(),
            outer_client_ip=pl.when("is_turned").then(there).otherwise(here).min(),
            outer_backend_ip=pl.when("is_turned").then(here).otherwise(there).min(),
            client_ttl=pl.when("is_turned")
            .then("responder_ttl")
            .otherwise("originator_ttl")
            .max(),
            plain_hosts=pl.col("host")
            .filter(~pl.col("is_tunneled") & is_translated)
            .unique()
            .sort(),
            hosts=pl.col("host").drop_nulls().unique().sort(),
        )
        .with_columns(pl.col("hosts", "plain_hosts").fill_null([]))
    )
    return plain.join(told, on="connection_id", how="left", maintain_order="left")
