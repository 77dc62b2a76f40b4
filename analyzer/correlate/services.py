"""Where services answer and who stands behind them, with addresses as codes."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from analyzer.cluster.values import IP_VERSIONS, ip_version
from analyzer.tables.expressions import is_v6

if TYPE_CHECKING:
    from analyzer.cluster import Cluster

#: What names a port of a service.
SERVICE = ("service_namespace", "service_name", "service_port_name")


class Services(NamedTuple):
    """What the cluster's services are, for addresses that were seen.

    ``fronts`` has one row per ``end`` (u64), ``protocol`` and service: ``kind`` and its
    names. ``endpoints`` has one row per address behind a service's port: its ``end``
    (null if no flow has the address), ``backend_ip``, ``backend_port``,
    ``backend_node``, ``backend_pod`` and ``is_complete``, whether all endpoints of that
    port and IP version are known.

    Of the IP versions in ``listed``, all services are known; of those in ``resolved``,
    all their endpoints, too. Of those in ``ruled``, all services are known by the
    proxy's rules, and of those in ``checked``, by lists as well, with all endpoints. Of
    those in ``hosts``, all pods and nodes are known.
    """

    fronts: pl.DataFrame
    endpoints: pl.DataFrame
    listed: frozenset[int] = frozenset()
    resolved: frozenset[int] = frozenset()
    ruled: frozenset[int] = frozenset()
    checked: frozenset[int] = frozenset()
    hosts: frozenset[int] = frozenset()


def services(roles: pl.DataFrame, cluster: Cluster | None) -> Services:
    """Tabulate services by the codes that addresses have here.

    Parameters
    ----------
    roles : pl.DataFrame
        ``code`` and ``address`` of all addresses.
    cluster : Cluster, optional
    """
    codes = roles.select("code", "address")
    if cluster is None:
        from analyzer.cluster import Cluster

        cluster = Cluster()
    fronts = pl.concat([cluster.service_table(), _at_inferred_nodes(roles, cluster)])
    endpoints = _with_completeness(_behind_fronts(fronts, cluster), cluster)
    extent = cluster.extent
    listed = frozenset() if _are_others_seen(roles, cluster) else extent.services
    resolved = listed & _resolved(cluster)
    return Services(
        fronts=_with_end(fronts, codes, "address", "port").select(
            "end", "protocol", "kind", *SERVICE
        ),
        endpoints=_with_end(
            endpoints, codes, "backend_ip", "backend_port", how="left"
        ).select(
            "end",
            "protocol",
            *SERVICE,
            "backend_ip",
            "backend_port",
            "backend_node",
            "backend_pod",
            "is_complete",
        ),
        listed=listed,
        resolved=resolved,
        ruled=listed & extent.rules,
        checked=resolved & extent.rules & extent.lists,
        hosts=extent.hosts,
    )


def _at_inferred_nodes(roles: pl.DataFrame, cluster: Cluster) -> pl.DataFrame:
    """Tabulate node ports at nodes that only packets tell, as the cluster does."""
    found = roles.filter((pl.col("role") == "node") & pl.col("is_inferred"))
    ports = [
        (port.node_port, port.protocol, each.namespace, each.name, port.name)
        for each in cluster.services
        for port in each.ports
        if port.node_port
    ]
    schema = cluster.service_table().schema
    columns = ("port", "protocol", *SERVICE)
    return (
        pl.DataFrame(ports, {name: schema[name] for name in columns}, orient="row")
        .join(found.select("address"), how="cross")
        .select(
            "address",
            "port",
            "protocol",
            pl.lit("NodePort").alias("kind"),
            *SERVICE,
        )
    )


def among(versions: frozenset[int], ip: str) -> pl.Expr:
    """Tell whether the address in a column is of one of some IP versions."""
    if len(versions) == 1:
        return is_v6(ip) == (6 in versions)
    return pl.lit(bool(versions))


def _behind_fronts(fronts: pl.DataFrame, cluster: Cluster) -> pl.DataFrame:
    """Tabulate endpoints, but for those of headless services, which only DNS knows."""
    names = SERVICE[:2]
    every = pl.DataFrame(
        [(each.namespace, each.name) for each in cluster.services],
        schema=dict.fromkeys(names, pl.String),
        orient="row",
    )
    headless = every.join(fronts, on=names, how="anti")
    return cluster.endpoint_table().join(headless, on=names, how="anti")


def _are_others_seen(roles: pl.DataFrame, cluster: Cluster) -> bool:
    """Tell whether unknown addresses are among those that services get theirs from.

    That block is not told, but it is at least as large as what is used of it.
    """
    own = {ip for each in cluster.services for ip in each.cluster_ips}
    numbers = [int(IPv4Address(ip)) for ip in own if ip_version(ip) == 4]
    blocks = {ip.rpartition("::")[0] for ip in own if ip_version(ip) == 6} - {""}
    address = pl.col("address").cast(pl.String)
    is_among = [address.str.starts_with(f"{block}::") for block in sorted(blocks)]
    if numbers:
        bits = max(8, (min(numbers) ^ max(numbers)).bit_length())
        octets = address.str.split_exact(".", 3)
        number = pl.sum_horizontal(
            octets.struct.field(f"field_{at}").cast(pl.Int64, strict=False)
            * 256 ** (3 - at)
            for at in range(4)
        )
        is_among.append(number // 2**bits == min(numbers) // 2**bits)
    unknown = roles.filter(pl.col("role").is_null())
    return bool(is_among) and unknown.select(pl.any_horizontal(is_among).any()).item()


def _with_completeness(endpoints: pl.DataFrame, cluster: Cluster) -> pl.DataFrame:
    whole = pl.DataFrame(
        [
            (namespace, name, version == 6)
            for namespace, name, version in sorted(cluster.extent.endpoints)
        ],
        schema=dict.fromkeys(SERVICE[:2], pl.String) | {"is_v6": pl.Boolean},
        orient="row",
    )
    port = (*SERVICE, "protocol", "is_v6")
    return (
        endpoints.with_columns(is_v6=is_v6("backend_ip"))
        .join(
            whole.with_columns(is_complete=pl.lit(value=True)),
            on=[*SERVICE[:2], "is_v6"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            is_complete=pl.col("is_complete").fill_null(value=False)
            & pl.col("backend_port").is_not_null().all().over(port)
        )
    )


def _resolved(cluster: Cluster) -> frozenset[int]:
    """Give the IP versions of which the endpoints of all services are known."""
    return frozenset(
        version
        for version in IP_VERSIONS
        if all(
            (each.namespace, each.name, version) in cluster.extent.endpoints
            for each in cluster.services
            if version in set(map(ip_version, each.cluster_ips))
        )
    )


def _with_end(
    table: pl.DataFrame,
    codes: pl.DataFrame,
    ip: str,
    port: str,
    how: Literal["inner", "left"] = "inner",
) -> pl.DataFrame:
    code = pl.col("code").cast(pl.UInt64)
    return table.join(codes, left_on=ip, right_on="address", how=how).with_columns(
        end=code * 65536 + pl.col(port)
    )
