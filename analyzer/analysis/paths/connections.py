"""What paths are drawn from: kinds of flows, and of connections, in plain strings."""

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
_POD_DEVICE = r"^(cali|veth|lxc|eni|tap)"

#: What a connection carried in both directions.
BOTH_WAYS = (
    (pl.col("client_bytes") + pl.col("backend_bytes")).alias("octets"),
    (pl.col("client_packets") + pl.col("backend_packets")).alias("packets"),
)

_OF_FLOWS = (
    *("point", "tunnel", "vni", "originator_ip", "responder_ip"),
    *("outer_originator_ip", "outer_responder_ip"),
    *("originator_ttl", "responder_ttl"),
)
_OF_CONNECTIONS = (
    *("protocol", "client_ip", "client_pod", "client_namespace", "client_node"),
    *("destination_ip", "destination_port", "destination_kind"),
    *("service_namespace", "service_name", "service_evidence"),
    *("entry_node", "snat_ip", "backend_ip", "backend_port", "backend_evidence"),
    *("backend_pod", "backend_namespace", "backend_workload", "backend_node"),
)


def flow_kinds(flows: pl.LazyFrame) -> pl.DataFrame:
    """Group the flows that tell the same of a path.

    Parameters
    ----------
    flows : pl.LazyFrame
        The flows table.

    Returns
    -------
    pl.DataFrame
        One row per kind of flow: ``flow_kind`` (u32), ``flow_ids`` (list of u64),
        ``host``, ``device`` (str, of its point) and, as in the flows table, ``tunnel``,
        ``vni``, the addresses and TTLs of both ends and those of the tunnel.
    """
    return (
        flows.group_by(_OF_FLOWS)
        .agg(flow_ids="flow_id")
        .with_row_index("flow_kind")
        .with_columns(
            pl.selectors.categorical().cast(pl.String),
            host=host_of("point"),
            device=device_of("point"),
        )
        .drop("point")
        .collect()
    )


def connection_kinds(connections: pl.LazyFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Group the connections that take the same path, and say what it is drawn from.

    Parameters
    ----------
    connections : pl.LazyFrame
        The connections table.
    flows : pl.DataFrame
        See :func:`flow_kinds`.

    Returns
    -------
    pl.DataFrame
        One row per kind of connection: ``kind`` (u32), ``connection_ids`` (list of
        u64), names, addresses, evidence and the ports that were called as in the
        connections table (names and addresses as strings); ``connections`` (u64: how
        many they are), ``octets``, ``packets`` (u64, of all, both ways),
        ``start_time``, ``end_time`` (first and last packet of all); ``is_answered``,
        ``unanswered`` (bool; the latter also where the answer was a refusal),
        ``service`` (str, ``namespace/name``), ``tunnel`` (str: the encapsulation that a
        frame or a tunnel's device shows; ``routed`` if a NIC shows the translated
        packets without any), ``vni`` (u32), ``outer_client_ip``, ``outer_backend_ip``
        (str: the tunnel's end on the side of either), ``plain_hosts`` (list of str:
        hosts that saw it outside of tunnels, after the last rewrite), ``pod_devices``
        (list of str: devices of single pods that saw it on the backend's node),
        ``client_ttl`` (u8: of the client's packets, where it was largest).
    """
    kind_of = (
        flows.select("flow_kind", flow_id="flow_ids")
        .explode("flow_id")
        .sort("flow_id")["flow_kind"]
        .to_arrow()
    )

    def kinds_of(flow_ids: pl.Series) -> pl.Series:
        import pyarrow as pa

        lists = flow_ids.rechunk().to_arrow()
        return pl.Series(
            pa.LargeListArray.from_arrays(lists.offsets, kind_of.take(lists.values))
        )

    is_answered = pl.col("backend_packets") > 0
    is_refused = pl.any_horizontal(
        pl.col("tcp_state") == state for state in ("S0", "REJ")
    )
    kinds = (
        connections.with_columns(
            *BOTH_WAYS,
            is_answered=is_answered,
            unanswered=~is_answered | is_refused.fill_null(value=False),
            flow_kinds=pl.col("flow_ids").map_batches(
                kinds_of, return_dtype=pl.List(pl.UInt32)
            ),
        )
        .group_by(*_OF_CONNECTIONS, "is_answered", "unanswered", "flow_kinds")
        .agg(
            pl.col("octets", "packets").sum(),
            pl.col("start_time").min(),
            pl.col("end_time").max(),
            connections=pl.len().cast(pl.UInt64),
            connection_ids="connection_id",
        )
        .with_row_index("kind")
        .with_columns(pl.selectors.categorical().cast(pl.String))
        .with_columns(
            service=pl.concat_str("service_namespace", "service_name", separator="/")
        )
        .collect()
    )
    told = _told_by_flows(kinds, flows)
    return kinds.drop("flow_kinds").join(told, on="kind", how="left")


def _told_by_flows(kinds: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Sum up what the flows of each kind of connection tell."""
    of_flows = (
        kinds.select(
            "kind",
            "backend_ip",
            "entry_node",
            "backend_node",
            flow_kind="flow_kinds",
        )
        .explode("flow_kind")
        .join(flows.drop("flow_ids"), on="flow_kind", how="left")
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
    is_at_backend = pl.col("host") == pl.col("backend_node")
    is_routed = (
        is_translated
        & ~pl.col("is_tunneled")
        & pl.col("device").str.contains(NIC)
        & ((pl.col("host") == pl.col("entry_node")) | is_at_backend)
    )
    return of_flows.group_by("kind").agg(
        tunnel=pl.coalesce(
            pl.col("tunnel").min(),
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
        plain_hosts=pl.col("host").filter(~pl.col("is_tunneled") & is_translated),
        pod_devices=pl.col("device")
        .filter(is_at_backend & pl.col("device").str.contains(_POD_DEVICE))
        .unique(),
    )
