"""Where services answer and who stands behind them, with addresses as codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from analyzer.cluster import Cluster

#: What names a port of a service.
SERVICE = ("service_namespace", "service_name", "service_port_name")


class Services(NamedTuple):
    """What the cluster's services are, for addresses that were seen.

    ``fronts`` has one row per ``end`` (u64), ``protocol`` and service: ``kind`` and its
    names. ``endpoints`` has one row per address behind a service's port: its ``end``
    (null if no flow has the address), ``backend_ip``, ``backend_port``,
    ``backend_node``, ``backend_pod`` and ``is_ready``. ``are_known`` is whether any
    service is known, ``are_complete`` whether the endpoints of all of them are.
    """

    fronts: pl.DataFrame
    endpoints: pl.DataFrame
    are_known: bool
    are_complete: bool


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
    fronts = cluster.service_table()
    endpoints = cluster.endpoint_table()
    known = cluster.services_with_known_endpoints()
    names = {
        (each.namespace, each.name)
        for each in cluster.services
        if each.type != "ExternalName"
    }
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
            "is_ready",
        ),
        are_known=bool(names),
        are_complete=bool(names) and names <= known,
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
