"""Which connections a question is about: those of a service, or of a DaemonSet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.tables.expressions import ip_and_port, is_v6

if TYPE_CHECKING:
    from analyzer.analysis.spread.choice import Proxies
    from analyzer.cluster import Cluster

#: What is shared out, each a sum over connections.
UNITS = ("connections", "requests", "bytes", "packets", "duration")
#: By what it is counted.
GROUPS = ("pod", "node", "client", "entry-node")

_DIRECT = ("Pod", "Node", "External")
_NAMES = (
    *("protocol", "client_ip", "destination_ip", "destination_kind"),
    *("service_namespace", "service_name", "service_port_name", "entry_node"),
    *("backend_ip", "backend_pod", "backend_namespace", "backend_workload"),
    *("backend_node", "client_pod", "client_node", "service_evidence"),
)
#: What is told of the calls of subjects.
_TOLD = (
    *("connection_id", "start_time", "end_time", "points"),
    *("backend", "backend_node", "backend_packets"),
    *("client", "client_port", "client_node", "entry_node"),
    *("service_namespace", "service_name", "service_port_name", "destination_kind"),
    *("is_outside", "is_v6", "is_whole", *UNITS),
)


def subjects(
    connections: pl.LazyFrame, proxies: Proxies, cluster: Cluster | None
) -> pl.DataFrame:
    """Give each connection to the services and workloads that it is of.

    Parameters
    ----------
    connections : pl.LazyFrame
        The connections table.
    proxies : Proxies
    cluster : Cluster, optional

    Returns
    -------
    pl.DataFrame
        One row per subject and connection, in the order of time: ``subject_kind``
        (str: Service, DaemonSet or Address), ``subject`` (str: namespace/name, or the
        address and port that was called where no service is known to have it),
        ``connection_id``, ``backend`` (str, the pod's name, else address and port; null
        if unknown), ``backend_node``, ``client``, ``client_port``, ``client_node``,
        ``entry_node``, ``is_outside``, ``is_v6``, ``is_whole`` (bool: seen before DNAT,
        so that it would be seen whichever backend it got), ``start_time``,
        ``end_time``, ``points``, ``backend_packets``, the names of the service's port,
        ``destination_kind``, and each of :data:`UNITS` (f64, duration in seconds).

    Notes
    -----
    A DaemonSet's connections are those to its pods but for direct calls, also where the
    service is not known; and those of unknown backend to a service all of whose
    backends are of the DaemonSet.
    """
    calls = _calls(connections)
    services = calls.filter(pl.col("service_name").is_not_null()).select(
        *_TOLD,
        subject_kind=pl.lit("Service"),
        subject=pl.concat_str(
            pl.col("service_namespace").fill_null("default"),
            "service_name",
            separator="/",
        ),
    )
    daemon_sets = _workloads(calls, proxies, cluster).select(
        *_TOLD,
        subject_kind=pl.lit("DaemonSet"),
        subject=pl.concat_str(
            pl.col("workload_namespace").fill_null("default"),
            pl.col("workload").str.strip_prefix("DaemonSet/"),
            separator="/",
        ),
    )
    addresses = _addresses(calls).select(*_TOLD, "subject_kind", "subject")
    return pl.concat([services, daemon_sets, addresses]).sort(
        "subject_kind", "subject", "start_time", "connection_id"
    )


def possible(connections: pl.LazyFrame) -> dict[str, int]:
    """Count the connections that may be a service's, by its namespace and name."""
    may_be = (
        connections.filter(
            pl.col("service_name").is_null()
            & (pl.col("service_evidence").cast(pl.String) == "ambiguous")
        )
        .select(pl.col("candidates").list.explode(empty_as_null=False))
        .filter(pl.col("candidates").str.contains("/", literal=True))
        .group_by("candidates")
        .len()
    )
    return dict(may_be.collect().rows())


def _calls(connections: pl.LazyFrame) -> pl.DataFrame:
    seconds = (pl.col("end_time") - pl.col("start_time")).dt.total_nanoseconds() / 1e9
    return (
        connections.with_columns(pl.col(_NAMES).cast(pl.String))
        .select(
            *_NAMES,
            *("connection_id", "start_time", "end_time", "points"),
            *("client_port", "destination_port", "backend_port", "backend_packets"),
            is_outside=pl.col("client_node").is_null() & pl.col("client_pod").is_null(),
            is_v6=is_v6(pl.coalesce("backend_ip", "destination_ip")),
            is_whole=pl.col("service_evidence").is_in(["observed"])
            | pl.col("destination_ip").is_not_null()
            & (pl.col("service_evidence") != "conntrack"),
            is_direct=pl.col("destination_kind").is_in(_DIRECT).fill_null(value=False),
            backend=pl.coalesce(
                "backend_pod", ip_and_port("backend_ip", "backend_port")
            ),
            client=pl.coalesce("client_pod", "client_ip"),
            connections=pl.lit(1.0),
            requests=pl.col("requests").fill_null(0).cast(pl.Float64),
            bytes=(pl.col("client_bytes") + pl.col("backend_bytes")).cast(pl.Float64),
            packets=(pl.col("client_packets") + pl.col("backend_packets")).cast(
                pl.Float64
            ),
            duration=seconds,
        )
        .collect()
    )


def _workloads(
    calls: pl.DataFrame, proxies: Proxies, cluster: Cluster | None
) -> pl.DataFrame:
    """Give each connection the DaemonSet that its backend is of, or must be of."""
    service = ["service_namespace", "service_name"]
    told = calls.filter(
        pl.col("backend_workload").is_not_null() & ~pl.col("is_direct")
    ).with_columns(workload="backend_workload", workload_namespace="backend_namespace")
    known = told.filter(pl.col("service_name").is_not_null()).select(
        *service, "workload", "workload_namespace"
    )
    behind = pl.concat([known, _behind(calls, proxies, cluster)])
    # A service of several workloads does not tell which of them was meant.
    only = (
        behind.unique()
        .group_by(service)
        .agg(pl.len().alias("workloads"), pl.all().exclude(service).first())
        .filter(pl.col("workloads") == 1)
        .drop("workloads")
    )
    untold = calls.filter(
        pl.col("backend").is_null() & pl.col("service_name").is_not_null()
    ).join(only, on=service, nulls_equal=True)
    return pl.concat([told, untold.select(told.columns)]).filter(
        pl.col("workload").str.starts_with("DaemonSet/")
    )


def _behind(
    calls: pl.DataFrame, proxies: Proxies, cluster: Cluster | None
) -> pl.DataFrame:
    """Tabulate the workloads of the pods behind services that were called."""
    called = calls.select("service_namespace", "service_name").drop_nulls().unique()
    workloads = {
        (pod.namespace, pod.name): pod.workload
        for pod in (cluster.pods if cluster else ())
    }
    rows = [
        (namespace, name, workloads.get((namespace, each.pod)), namespace)
        for namespace, name in called.rows()
        for each in proxies.endpoints(namespace, name)
        if each.pod is not None
    ]
    names = ("service_namespace", "service_name", "workload", "workload_namespace")
    schema = dict.fromkeys(names, pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row").drop_nulls()


def _addresses(calls: pl.DataFrame) -> pl.DataFrame:
    """Take what was called at addresses that led elsewhere, services unknown."""
    nameless = calls.filter(
        pl.col("service_name").is_null() & pl.col("destination_ip").is_not_null()
    ).with_columns(
        subject_kind=pl.lit("Address"),
        subject=ip_and_port("destination_ip", "destination_port"),
    )
    led_elsewhere = (
        nameless.filter(
            pl.col("destination_port").is_not_null()
            & (
                (pl.col("backend_ip") != pl.col("destination_ip"))
                | (pl.col("backend_port") != pl.col("destination_port"))
            )
        )
        .select("subject", "protocol")
        .unique()
    )
    return nameless.join(led_elsewhere, on=["subject", "protocol"]).filter(
        ~pl.col("is_direct")
    )
