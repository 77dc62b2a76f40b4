"""From tuples to names: which service, which backend, and how that is known.

A wrong name is worse than none. What was seen on both sides of NAT is certain; for the
rest it is asked what could have rewritten a tuple, and where the rewritten one would
have been seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.cluster.inferred import INITIAL_TTLS
from analyzer.correlate.services import SERVICE, among
from analyzer.tables.expressions import ip_and_port, is_v6

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.correlate.services import Services

#: What a destination is, and how it and the backend are known.
KINDS = pl.Enum(["ClusterIP", "NodePort", "LoadBalancer", "Pod", "Node", "External"])
EVIDENCE = pl.Enum(
    ["observed", "conntrack", "eliminated", "unique", "ambiguous", "none"]
)


def rewritten(connections: pl.DataFrame) -> pl.Series:
    """List the destinations (u64) from which connections were sent elsewhere."""
    return connections.filter(_is_rewritten())["destination"].unique()


def believed(
    connections: Iterable[pl.DataFrame], roles: pl.DataFrame, known: Services
) -> Services:
    """Take back what connections speak against of what services are said to be.

    Parameters
    ----------
    connections : iterable of pl.DataFrame
        At least those that were sent elsewhere, or that a node's tunnel address made.
    roles : pl.DataFrame
        See :func:`analyzer.correlate.filled.in_code_order`.
    known : Services

    Returns
    -------
    Services
        Where one service is missing, there may be others: then of none all are known.
        Where another answered than those that are listed, the list is not whole.
    """
    if known.fronts.is_empty() and known.endpoints.is_empty():
        return known
    tunnels = roles.filter(pl.col("role") == "tunnel")["code"].implode()
    speaks = _is_rewritten() | (pl.col("client") // 65536).is_in(tunnels)
    found = pl.concat([each.filter(speaks) for each in connections])
    found = _with_fronts(_with_roles(found, roles), known)
    found = _with_selecting(found, known)
    none = pl.Series(dtype=pl.UInt64)
    facts = _facts(found, roles, known, none).select(
        is_of_unlisted=(pl.col("is_rewritten") & ~pl.col("has_front"))
        | (pl.col("is_masqueraded") & (pl.col("selecting") == 0))
    )
    if facts["is_of_unlisted"].any():
        nowhere: frozenset[int] = frozenset()
        known = known._replace(
            listed=nowhere, resolved=nowhere, ruled=nowhere, checked=nowhere
        )
    names = list(SERVICE[:2])
    strangers = (
        found.lazy()
        .filter(_is_rewritten(), pl.col("service_name").is_not_null())
        .join(
            known.endpoints.lazy(),
            left_on=["backend", *names],
            right_on=["end", *names],
            how="anti",
        )
        .select(*names, is_whole=pl.lit(value=False))
        .unique()
    )
    endpoints = (
        known.endpoints.lazy()
        .join(strangers, on=names, how="left", maintain_order="left")
        .with_columns(pl.col("is_complete") & pl.col("is_whole").is_null())
        .drop("is_whole")
    )
    return known._replace(endpoints=endpoints.collect())


def _is_rewritten() -> pl.Expr:
    # An echo is never sent elsewhere: what differs is its identifier.
    is_echo = pl.col("protocol").is_in(["icmp", "icmp6"])
    return (pl.col("destination") != pl.col("backend")) & ~is_echo


def with_destinations(
    connections: pl.DataFrame,
    roles: pl.DataFrame,
    known: Services,
    virtual: pl.Series,
) -> pl.DataFrame:
    """Tell what each connection addressed, and what of it was rewritten.

    Parameters
    ----------
    connections : pl.DataFrame
        With the ends of the first and the last tuple.
    roles : pl.DataFrame
        See :func:`analyzer.correlate.filled.in_code_order`.
    known : Services
    virtual : pl.Series
        See :func:`rewritten`.

    Returns
    -------
    pl.DataFrame
        The same, with the services' names, ``destination_kind``, ``service_evidence``
        (str), ``is_rewritten``, ``may_be_front``, ``is_destination_known``,
        ``is_backend_known`` (bool), and ``candidates`` (list of str).

    Notes
    -----
    A host's own calls, and what a capture shows of others behind their DNAT, have the
    backend as destination. They are told from direct calls by the TTL: what has not
    been forwarded yet and does not come from a node is as its sender made it.
    """
    connections = _with_roles(connections, roles)
    connections = _with_fronts(connections, known)
    connections = _with_selecting(connections, known)
    facts = _facts(connections, roles, known, virtual)
    kind = (
        pl.when("is_rewritten")
        .then(pl.coalesce("front_kind", pl.when("is_virtual").then(_kind("NodePort"))))
        .when("has_front")
        .then("front_kind")
        .when(pl.col("is_direct") & pl.col("may_be_front"))
        .then(pl.when("is_virtual").then(_kind("NodePort")))
        .when(pl.col("is_direct") & (pl.col("role") == "pod"))
        .then(_kind("Pod"))
        .when(pl.col("is_direct") & pl.col("role").is_in(["node", "tunnel"]))
        .then(_kind("Node"))
        .when(pl.col("is_direct") & pl.col("is_outside"))
        .then(_kind("External"))
    )
    evidence = (
        pl.when("is_named")
        .then(
            pl.when("destination_told")
            .then(_evidence("conntrack"))
            .otherwise(_evidence("observed"))
        )
        .when("is_unique")
        .then(_evidence("unique"))
        .when(
            pl.col("has_front")
            | (
                ~pl.col("is_direct")
                & ~pl.col("is_rewritten")
                & pl.col("is_checked")
                & (pl.col("selecting") > 0)
            )
        )
        .then(_evidence("ambiguous"))
        .otherwise(_evidence("none"))
    )
    is_backend_known = pl.col("is_rewritten") | (
        ~pl.col("has_front")
        & ~pl.col("may_be_front")
        & (pl.col("role") != "service")
        & (pl.col("is_direct") | pl.col("role").is_in(["pod", "node"]))
    )
    told = facts.select(
        "has_front",
        "is_rewritten",
        "is_masqueraded",
        "is_unique",
        destination_kind=kind,
        service_evidence=evidence,
        may_be_front=pl.col("may_be_front") & ~pl.col("is_rewritten"),
        is_destination_known=pl.col("is_rewritten")
        | pl.col("has_front")
        | pl.col("is_direct"),
        is_backend_known=is_backend_known,
    )
    named = pl.concat([connections, told], how="horizontal")
    if facts["is_unique"].any():
        named = named.with_columns(
            pl.when("is_unique").then(f"selecting_{name}").otherwise(name).alias(name)
            for name in SERVICE
        )
    candidates = named.filter(pl.col("service_evidence") == "ambiguous").select(
        "group",
        candidates=pl.when("has_front")
        .then("front_services")
        .when("is_masqueraded")
        .then("selecting_services")
        # It may as well have been called by its own address.
        .otherwise(
            pl.concat_list(
                ip_and_port("backend_ip", pl.col("backend") % 65536),
                "selecting_services",
            )
        ),
    )
    return named.drop(
        "front_kind", "front_services", "has_front", "is_unique", "^selecting.*$"
    ).join(candidates, on="group", how="left", maintain_order="left")


def _kind(name: str) -> pl.Expr:
    return pl.lit(name, KINDS)


def _evidence(name: str) -> pl.Expr:
    return pl.lit(name, EVIDENCE)


def _facts(
    connections: pl.DataFrame,
    roles: pl.DataFrame,
    known: Services,
    virtual: pl.Series,
) -> pl.DataFrame:
    """Tell what names are made of, one fact a column, one row per connection."""
    protocol = pl.col("protocol")
    # On an overlay device, and where it is not known who the nodes are, a host's own
    # call looks like a pod's.
    tunnels = roles.filter(pl.col("role") == "tunnel").select(is_v6("address"))
    versions = frozenset(
        6 if each else 4 for each in tunnels.to_series().unique().drop_nulls()
    )
    is_initial = pl.col("client_ttl").is_in(INITIAL_TTLS).fill_null(value=False)
    from_outside = pl.col("client_role") == "external"
    is_external = pl.col("role") == "external"
    facts = connections.select(
        "destination",
        "destination_told",
        "front_kind",
        "selecting",
        "is_tunneled",
        "is_overlay",
        "is_pod_side",
        pl.col("client_role").fill_null("external"),
        is_initial=is_initial,
        role=pl.col("destination_role").fill_null("external"),
        is_named=pl.col("service_name").is_not_null(),
        has_front=pl.col("fronts") > 0,
        is_listed=among(known.listed, "destination_ip"),
        is_resolved=among(known.resolved, "destination_ip"),
        is_ruled=among(known.ruled, "destination_ip"),
        is_checked=among(known.checked, "destination_ip"),
        is_host_known=among(known.hosts, "destination_ip"),
        are_hosts_seen=among(versions, "destination_ip"),
        is_echo=(protocol == "icmp") | (protocol == "icmp6"),
        is_rewritten=_is_rewritten(),
    )
    # By its tunnel's address, but forwarded: a node lent it to somebody's call.
    is_masqueraded = (
        (pl.col("client_role") == "tunnel")
        & (pl.col("is_tunneled") | pl.col("is_overlay"))
        & ~pl.col("is_initial")
        & ~pl.col("is_rewritten")
        & ~pl.col("has_front")
    )
    is_unforwarded = (
        pl.col("is_initial")
        & ~pl.col("is_tunneled")
        & (
            (pl.col("client_role") == "pod")
            | (
                from_outside
                & ~pl.col("is_overlay")
                & ~pl.col("is_pod_side")
                & pl.col("are_hosts_seen")
            )
        )
    )
    nobody_rewrites_to_it = (
        pl.col("is_listed")
        & (pl.col("selecting") == 0)
        & (pl.col("is_checked") | (is_external & pl.col("is_host_known")))
    )
    is_node = pl.col("role") == "node"
    to_node = is_node & pl.col("is_ruled") & pl.col("is_host_known")
    return facts.with_columns(
        is_direct=~pl.col("is_rewritten")
        & ~pl.col("has_front")
        & (
            pl.col("is_echo")
            | is_unforwarded
            | nobody_rewrites_to_it
            | (to_node & from_outside)
        ),
        is_outside=is_external & pl.col("is_host_known"),
        # A node's port that led elsewhere in another connection.
        is_virtual=(pl.col("role") == "node")
        & pl.col("destination").is_in(virtual.implode()),
        # Without all services and nodes, what looks direct may be a front.
        may_be_front=~(
            pl.when(is_node).then("is_ruled").otherwise("is_listed")
            & pl.col("is_host_known")
        )
        & (pl.col("role") != "pod")
        & ~pl.col("is_echo"),
        is_masqueraded=is_masqueraded,
    ).with_columns(
        is_unique=pl.col("is_masqueraded")
        & (pl.col("selecting") == 1)
        & pl.col("is_resolved")
    )


def _with_roles(connections: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Add the role, name, namespace, node and workload of each end."""
    for end, twin in (
        ("client", None),
        ("destination", None),
        ("source", "client"),
        ("backend", "destination"),
    ):
        columns = {"role": f"{end}_role", "node": f"{end}_node", "address": f"{end}_ip"}
        if end in ("client", "destination", "backend"):
            columns |= {"name": f"{end}_pod", "namespace": f"{end}_namespace"}
        if end in ("destination", "backend"):
            columns |= {"workload": f"{end}_workload"}
        if twin and (connections[end] == connections[twin]).all():
            # Nothing was rewritten: it need not be looked up again.
            connections = connections.with_columns(
                pl.col(name.replace(end, twin, 1)).alias(name)
                for name in columns.values()
            )
            continue
        code = connections.select(pl.col(end) // 65536).to_series()
        found = roles.select(*columns).rename(columns)[code]
        connections = pl.concat([connections, found], how="horizontal")
    return connections.drop(
        "destination_pod", "destination_namespace", "destination_workload"
    )


def _with_fronts(connections: pl.DataFrame, known: Services) -> pl.DataFrame:
    """Add the service that answers at the destination, if only one fits.

    Where services had the same port at different times, the backend that was seen
    decides between them. What another port answered was not sent there by a service
    that has none like it: a node's port or a balancer's was another service's then.
    """
    if known.fronts.is_empty():
        return connections.with_columns(
            *(pl.lit(None, pl.String).alias(name) for name in SERVICE),
            fronts=pl.lit(0, pl.UInt32),
            front_kind=pl.lit(None, KINDS),
            front_services=pl.lit(None, pl.List(pl.String)),
        )
    named = known.fronts.with_columns(
        service=pl.concat_str("service_namespace", "service_name", separator="/")
    )
    matches = (
        connections.lazy()
        .select("group", pl.col("protocol").cast(pl.String), "destination", "backend")
        .join(
            named.lazy(),
            left_on=["destination", "protocol"],
            right_on=["end", "protocol"],
        )
    )
    fits = (
        known.endpoints.lazy()
        .filter(pl.col("end").is_not_null())
        .select("end", *SERVICE[:2], fits=pl.lit(value=True))
        .unique()
    )
    ports = (
        known.endpoints.lazy()
        .filter(pl.col("end").is_not_null())
        .group_by(*SERVICE)
        .agg(ports=(pl.col("end") % 65536).unique())
    )
    may_answer = (
        (pl.col("kind") == "ClusterIP")
        | (pl.col("destination") == pl.col("backend"))
        | pl.col("ports").list.contains(pl.col("backend") % 65536)
    )
    found = (
        matches.join(ports, on=SERVICE, how="left", nulls_equal=True)
        .filter(may_answer.fill_null(value=True))
        .join(
            fits,
            left_on=["backend", *SERVICE[:2]],
            right_on=["end", *SERVICE[:2]],
            how="left",
        )
        .with_columns(
            _several=pl.struct(SERVICE[:2]).n_unique().over("group") > 1,
            _fitting=pl.col("fits").any().over("group"),
        )
        .filter(~pl.col("_several") | ~pl.col("_fitting") | pl.col("fits"))
        .sort("group", "service", "kind", nulls_last=True)
        .group_by("group", maintain_order=True)
        .agg(
            pl.col("service").n_unique().cast(pl.UInt32).alias("fronts"),
            pl.col("kind").first().alias("front_kind"),
            pl.col("kind").n_unique().alias("_kinds"),
            pl.col(*SERVICE).first(),
            pl.col("service").unique(maintain_order=True).alias("front_services"),
        )
        .with_columns(
            *(
                pl.when(pl.col("fronts") == 1).then(name).alias(name)
                for name in SERVICE
            ),
            front_kind=pl.when(pl.col("_kinds") == 1).then("front_kind").cast(KINDS),
        )
        .drop("_kinds")
        .collect()
    )
    return connections.join(
        found, on="group", how="left", maintain_order="left"
    ).with_columns(pl.col("fronts").fill_null(0))


def _with_selecting(connections: pl.DataFrame, known: Services) -> pl.DataFrame:
    """Add which services have the last tuple's server among their endpoints."""
    if known.endpoints.is_empty():
        return connections.with_columns(
            *(pl.lit(None, pl.String).alias(f"selecting_{name}") for name in SERVICE),
            selecting=pl.lit(0, pl.UInt32),
            selecting_services=pl.lit(None, pl.List(pl.String)),
        )
    by_end = (
        known.endpoints.filter(pl.col("end").is_not_null())
        .with_columns(
            service=pl.concat_str("service_namespace", "service_name", separator="/")
        )
        .sort("service", "service_port_name", nulls_last=True)
        .group_by("end", "protocol", maintain_order=True)
        .agg(
            pl.col("service").n_unique().cast(pl.UInt32).alias("selecting"),
            pl.col("service").unique(maintain_order=True).alias("selecting_services"),
            *(pl.col(name).first().alias(f"selecting_{name}") for name in SERVICE),
        )
    )
    return (
        connections.with_columns(_protocol=pl.col("protocol").cast(pl.String))
        .join(
            by_end,
            left_on=["backend", "_protocol"],
            right_on=["end", "protocol"],
            how="left",
            maintain_order="left",
        )
        .drop("_protocol")
        .with_columns(pl.col("selecting").fill_null(0))
    )
