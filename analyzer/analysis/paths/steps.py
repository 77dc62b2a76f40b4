"""The steps of each connection's path, and what they add up to.

A path has up to five steps, in this order:

``call``
    from the client to the address that it called;
``enter``
    from that address to the node that took the call, by the device it came in through;
``translate``
    through that node, where DNAT and SNAT happen, to the device it leaves through;
``carry``
    from there to the backend's node, in a tunnel or as it is;
``deliver``
    inside the backend's node, to the backend.

A call that is answered on the node that took it has no ``translate`` and ``carry``:
it is rewritten on its way to the backend. One whose backend is not known, or that has
none, ends with ``refuse``, in place of all steps after ``enter``.
"""

from __future__ import annotations

import polars as pl

from analyzer.cluster.inferred import INITIAL_TTLS
from analyzer.tables.expressions import host_of, ip_and_port

#: Steps in the order of the path.
STEPS = ("call", "enter", "translate", "carry", "deliver", "refuse")

#: Stands for the address that a host called, which its own DNAT hid from all devices.
UNSEEN = "front/?"
#: Stands for what was called, and rewritten, where no capture was.
ELSEWHERE = "front/? elsewhere"

_UNKNOWN = pl.lit("?")
_DIRECT = ("front/Pod", "front/Node", "front/External")


def with_vertices(connections: pl.LazyFrame) -> pl.LazyFrame:
    """Add the vertices of the graph that each connection passes.

    Parameters
    ----------
    connections : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.path_connections`.

    Returns
    -------
    pl.LazyFrame
        The same rows with ``client``, ``front``, ``entry``, ``exit``, ``arrival`` and
        ``backend`` (str, ids of vertices; null where the path does not go there),
        ``is_local`` (bool: answered on the node that took the call), ``is_ended``
        (bool: no backend is known), ``is_dnat``, ``is_snat`` (bool, null if not
        known) and ``came_from`` (str: ``nic``, ``pods``, ``host``, or
        ``unseen`` for what a node only lent its address to).
    """
    entry_node = pl.col("entry_node").fill_null(_UNKNOWN)
    backend_node = (
        pl.when(pl.col("backend_node").is_not_null())
        .then("backend_node")
        .when(pl.col("destination_kind") == "External")
        .then(pl.lit("outside"))
        .otherwise(_UNKNOWN)
    )
    is_node = pl.col("client_pod").is_null() & pl.col("client_node").is_not_null()
    # What was forwarded has lost from its TTL: the node only lent its address.
    is_sender = pl.col("client_ttl").is_in(INITIAL_TTLS)
    is_behind = is_node & ~is_sender & pl.col("destination_ip").is_null()
    is_own = is_node & ~is_behind
    is_at_entry = pl.col("client_node") == pl.col("entry_node")
    came_from = (
        pl.when(~is_at_entry.fill_null(value=False))
        .then(pl.lit("nic"))
        .when(is_behind)
        .then(pl.lit("unseen"))
        .when(is_own)
        .then(pl.lit("host"))
        .otherwise(pl.lit("pods"))
    )
    has_backend = pl.col("backend_ip").is_not_null()
    is_local = (pl.col("entry_node") == pl.col("backend_node")).fill_null(value=False)
    kind = pl.col("destination_kind")
    is_called_directly = kind.is_in(["Pod", "Node", "External"])
    front = (
        pl.when(is_called_directly)
        .then(pl.format("front/{}", kind))
        .when(pl.col("destination_ip").is_not_null())
        .then(
            pl.concat_str(
                pl.lit("front"),
                kind.fill_null("address"),
                ip_and_port("destination_ip", "destination_port"),
                "protocol",
                separator="/",
            )
        )
        .when(is_own)
        .then(pl.lit(UNSEEN))
        .otherwise(pl.lit(ELSEWHERE))
    )
    is_rewritten = (pl.col("destination_ip") != pl.col("backend_ip")) | (
        pl.col("destination_port") != pl.col("backend_port")
    )
    return (
        connections.with_columns(
            came_from=came_from, is_own=is_own, is_behind=is_behind
        )
        .with_columns(
            client=pl.when("is_own")
            .then(pl.format("client/{}", "client_node"))
            .when("is_behind")
            .then(pl.format("client/behind {}", "client_node"))
            .otherwise(pl.format("client/{}", "client_ip")),
            front=front,
            entry=pl.format("entry/{}/{}", entry_node, "came_from"),
            exit=pl.when(has_backend & ~is_local).then(
                pl.format(
                    "exit/{}/{}", entry_node, pl.col("tunnel").fill_null(_UNKNOWN)
                )
            ),
            arrival=pl.when(has_backend & ~is_local).then(
                pl.format(
                    "arrival/{}/{}", backend_node, pl.col("tunnel").fill_null(_UNKNOWN)
                )
            ),
            backend=pl.when(has_backend).then(
                pl.format("backend/{}/{}", backend_node, "backend_ip")
            ),
            is_local=has_backend & is_local,
            is_ended=~has_backend,
            is_dnat=pl.when(pl.col("destination_ip").is_not_null())
            .then(is_rewritten)
            .when(pl.col("service_evidence") == "conntrack")
            .then(statement=True),
            is_snat=pl.when(pl.col("snat_ip").is_not_null())
            .then(statement=True)
            .when(
                pl.col("destination_ip").is_not_null()
                & (pl.col("backend_evidence") == "observed")
            )
            .then(statement=False),
        )
        .with_columns(
            unanswered=~pl.col("is_answered")
            | pl.col("tcp_state").is_in(["S0", "REJ"]).fill_null(value=False),
        )
    )


def hop_steps(connections: pl.LazyFrame, hops: pl.LazyFrame) -> pl.LazyFrame:
    """Tell to which step of its path each hop belongs, and add them up.

    Returns
    -------
    pl.LazyFrame
        One row per connection and step that was measured: ``latency`` (duration, the
        sum of the hops' medians towards the backend; null if one is not known),
        ``clock_bound`` (duration), ``lost_segments`` (u64, both ways).

    Notes
    -----
    From the first observation point on the client's side to the first one on the node
    that took the call is ``enter``, from there to the last one on this node
    ``translate``, from that to the first one on the backend's node ``carry``, and what
    follows ``deliver``. A hop that passes over a node belongs to no step.
    """
    ends = connections.select(
        "connection_id", "entry_node", "backend_node", "backend_pod"
    )

    def place(point: str) -> pl.Expr:
        host = host_of(point)
        is_behind = (host == pl.col("backend_node")) | (host == pl.col("backend_pod"))
        return (
            pl.when(is_behind.fill_null(value=False))
            .then(2)
            .when((host == pl.col("entry_node")).fill_null(value=False))
            .then(1)
            .otherwise(0)
        )

    is_forward = pl.col("direction").cast(pl.String) == "to_backend"
    is_local = (pl.col("entry_node") == pl.col("backend_node")).fill_null(value=False)
    before, behind = pl.col("before"), pl.col("behind")
    step = (
        pl.when((before == 0) & (behind == 0))
        .then(pl.lit("enter"))
        .when((before == 0) & (behind == pl.when(is_local).then(2).otherwise(1)))
        .then(pl.lit("enter"))
        .when((before == 1) & (behind == 1))
        .then(pl.lit("translate"))
        .when((before == 1) & (behind == 2))
        .then(pl.lit("carry"))
        .when((before == 2) & (behind == 2))
        .then(pl.lit("deliver"))
    )
    there = pl.col("latency_p50").filter("is_forward")
    return (
        hops.join(ends, on="connection_id")
        .with_columns(is_forward=is_forward, _from=place("from_point"))
        .with_columns(_to=place("to_point"))
        .with_columns(
            before=pl.when("is_forward").then("_from").otherwise("_to"),
            behind=pl.when("is_forward").then("_to").otherwise("_from"),
        )
        .with_columns(step=step)
        .filter(pl.col("step").is_not_null())
        .group_by("connection_id", "step")
        .agg(
            latency=pl.when(there.null_count() == 0).then(there.sum()),
            clock_bound=pl.col("clock_bound").filter("is_forward").sum(),
            lost_segments=pl.col("lost_segments").sum(),
        )
        .with_columns(
            clock_bound=pl.when(pl.col("latency").is_not_null()).then("clock_bound")
        )
    )


def path_steps(connections: pl.LazyFrame, hops: pl.LazyFrame) -> pl.LazyFrame:
    """Give each connection's path as steps from vertex to vertex.

    Parameters
    ----------
    connections : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.path_connections`.
    hops : pl.LazyFrame
        The hops table.

    Returns
    -------
    pl.LazyFrame
        One row per connection and step, in this order: ``connection_id``, ``step``
        (see :data:`STEPS`), ``source``, ``target`` (str, ids of vertices), ``service``
        (str), ``is_observed`` (bool: a capture shows this step), ``evidence`` (str: how
        it is known, that of the service for the first two steps, else of the backend),
        ``octets``, ``packets``
        (u64, of the connection), ``latency``, ``clock_bound``, ``lost_segments`` (see
        :func:`hop_steps`), ``dnat``, ``snat`` (bool: rewritten in this step),
        ``unanswered`` (bool), ``start_time``, ``end_time``, ``tunnel``, ``vni``,
        ``outer_client_ip``, ``outer_backend_ip``.
    """
    found = with_vertices(connections)
    told = pl.col("service_evidence").is_in(["observed", "none"])
    seen_called = told & ~pl.col("front").is_in([UNSEEN, ELSEWHERE])
    has_seen = pl.col("backend_evidence") == "observed"
    is_at_backend = pl.any_horizontal(
        pl.col("plain_hosts").list.contains(pl.col(name), nulls_equal=False)
        for name in ("backend_node", "backend_pod")
    ).fill_null(value=False)
    no = pl.lit(value=False)
    plans: dict[str, tuple[str | pl.Expr, str | pl.Expr, pl.Expr, pl.Expr, pl.Expr]] = {
        "call": ("client", "front", seen_called, no, no),
        "enter": ("front", "entry", seen_called, no, no),
        "translate": (
            "entry",
            "exit",
            seen_called & has_seen,
            pl.col("is_dnat"),
            pl.col("is_snat"),
        ),
        "carry": (
            "exit",
            "arrival",
            has_seen & pl.col("tunnel").is_not_null(),
            no,
            no,
        ),
        "deliver": (
            pl.when("is_local").then("entry").otherwise("arrival"),
            "backend",
            has_seen & is_at_backend,
            pl.col("is_local") & pl.col("is_dnat"),
            pl.col("is_local") & pl.col("is_snat"),
        ),
        "refuse": ("entry", pl.lit("end"), seen_called, no, no),
    }

    def evidence(step: str) -> pl.Expr:
        if step in ("call", "enter", "refuse"):
            # What was called without a service is told by the packet itself.
            is_direct = pl.col("front").is_in(_DIRECT)
            told = pl.when(is_direct).then(pl.lit("observed"))
            return told.otherwise("service_evidence")
        return pl.col("backend_evidence")

    parts = [
        found.select(
            "connection_id",
            "service",
            "octets",
            "start_time",
            "end_time",
            "tunnel",
            "vni",
            "outer_client_ip",
            "outer_backend_ip",
            "unanswered",
            step=pl.lit(step),
            evidence=evidence(step),
            _order=pl.lit(number),
            source=source,
            target=target,
            is_observed=is_observed.fill_null(value=False),
            packets=pl.col("client_packets") + pl.col("backend_packets"),
            dnat=dnat.fill_null(value=False),
            snat=snat.fill_null(value=False),
            _wanted=pl.col("is_ended") if step == "refuse" else pl.lit(value=True),
        )
        for number, (step, (source, target, is_observed, dnat, snat)) in enumerate(
            plans.items()
        )
    ]
    return (
        pl.concat(parts)
        .filter(
            pl.col("_wanted")
            & pl.col("source").is_not_null()
            & pl.col("target").is_not_null()
        )
        .join(hop_steps(connections, hops), on=["connection_id", "step"], how="left")
        .sort("connection_id", "_order")
        .select(
            "connection_id",
            "step",
            "source",
            "target",
            "service",
            "is_observed",
            "evidence",
            "octets",
            "packets",
            "latency",
            "clock_bound",
            "lost_segments",
            "dnat",
            "snat",
            "unanswered",
            "start_time",
            "end_time",
            "tunnel",
            "vni",
            "outer_client_ip",
            "outer_backend_ip",
        )
    )


def path_edges(
    steps: pl.LazyFrame, by: tuple[str, ...] = ("service", "is_observed", "evidence")
) -> pl.LazyFrame:
    """Add up the connections that take the same step.

    Parameters
    ----------
    steps : pl.LazyFrame
        See :func:`path_steps`.
    by : tuple of str
        Columns to tell apart beside ``step``, ``source`` and ``target``.

    Returns
    -------
    pl.LazyFrame
        One row per step, source, target and value of ``by``, sorted by them, steps in
        the order of the path: ``connections``, ``octets``, ``packets`` (u64),
        ``per_second`` (f64: connections per second between the first and the last
        packet of all ``steps``; null if they are one moment), ``measured`` (u64:
        connections with a latency), ``latency`` (duration, their median),
        ``clock_bound`` (duration, the largest), ``lost_segments`` (u64), ``dnat``,
        ``snat``, ``unanswered`` (u64, connections), ``tunnel``, ``vni``,
        ``outer_client_ip``, ``outer_backend_ip`` (null where they differ).
    """
    keys = ["step", "source", "target", *by]
    ns = pl.col("end_time").max() - pl.col("start_time").min()
    period = ns.dt.total_nanoseconds(fractional=False)
    rank = {step: number for number, step in enumerate(STEPS)}
    return (
        steps.with_columns(_period=period)
        .group_by(keys)
        .agg(
            connections=pl.len().cast(pl.UInt64),
            octets=pl.col("octets").sum(),
            packets=pl.col("packets").sum(),
            per_second=pl.when(pl.col("_period").first() > 0).then(
                pl.len() * 1e9 / pl.col("_period").first()
            ),
            measured=pl.col("latency").count().cast(pl.UInt64),
            latency=pl.col("latency").median(),
            clock_bound=pl.col("clock_bound").max(),
            lost_segments=pl.col("lost_segments").sum(),
            **{
                name: pl.col(name).sum().cast(pl.UInt64)
                for name in ("dnat", "snat", "unanswered")
            },
            **{
                name: pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first())
                for name in ("tunnel", "vni", "outer_client_ip", "outer_backend_ip")
            },
        )
        .with_columns(_rank=pl.col("step").replace_strict(rank))
        .sort("_rank", "source", "target", *by, nulls_last=True)
        .drop("_rank")
    )


def path_nodes(connections: pl.LazyFrame, steps: pl.LazyFrame) -> pl.LazyFrame:
    """Describe the vertices that connections pass.

    Parameters
    ----------
    connections : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.path_connections`.
    steps : pl.LazyFrame
        See :func:`path_steps`; vertices that it does not name are left out.

    Returns
    -------
    pl.LazyFrame
        One row per vertex, sorted: ``id``, ``lane`` (``client``, ``front``, ``entry``,
        ``exit``, ``arrival``, ``backend`` or ``end``), ``kind``, ``name``,
        ``namespace``, ``address``, ``port`` (u16), ``protocol``, ``node``,
        ``workload``, ``service`` (str, null where not known or where there are
        several), ``connections``, ``octets`` (u64, of connections that pass it).
    """
    found = with_vertices(connections)
    has_address = ~pl.col("front").is_in([*_DIRECT, UNSEEN, ELSEWHERE])
    port = pl.lit(None, pl.UInt16)
    text = pl.lit(None, pl.String)
    is_client_pod = pl.col("client_pod").is_not_null()
    parts = {
        "client": {
            "kind": pl.when(is_client_pod)
            .then(pl.lit("pod"))
            .when("is_own")
            .then(pl.lit("node"))
            .when("is_behind")
            .then(pl.lit("behind"))
            # Without any names nobody can be told to be outside.
            .when(pl.col("backend_pod").is_not_null().any())
            .then(pl.lit("outside")),
            "name": pl.coalesce(
                "client_pod",
                pl.when(pl.col("is_own") | pl.col("is_behind")).then("client_node"),
            ),
            "namespace": pl.col("client_namespace"),
            "address": pl.col("client_ip"),
            "node": pl.col("client_node"),
        },
        "front": {
            "kind": pl.col("destination_kind"),
            "name": pl.col("service_name"),
            "namespace": pl.col("service_namespace"),
            "address": pl.when(has_address).then("destination_ip"),
            "port": pl.when(has_address).then("destination_port"),
            "protocol": pl.col("protocol"),
            "node": pl.when(pl.col("destination_kind") == "NodePort").then(
                "entry_node"
            ),
            "service": pl.col("service"),
        },
        "entry": {"kind": pl.col("came_from"), "node": pl.col("entry_node")},
        "exit": {
            "kind": pl.col("tunnel"),
            "node": pl.col("entry_node"),
            "address": pl.col("outer_client_ip"),
        },
        "arrival": {
            "kind": pl.col("tunnel"),
            "node": pl.col("backend_node"),
            "address": pl.col("outer_backend_ip"),
        },
        "backend": {
            "kind": pl.when(pl.col("backend_pod").is_not_null())
            .then(pl.lit("pod"))
            .when(pl.col("destination_kind") == "External")
            .then(pl.lit("outside"))
            .when(pl.col("destination_kind") == "Node")
            .then(pl.lit("node")),
            "name": pl.col("backend_pod"),
            "namespace": pl.col("backend_namespace"),
            "address": pl.col("backend_ip"),
            "node": pl.col("backend_node"),
            "workload": pl.col("backend_workload"),
        },
    }
    columns = {
        "kind": text,
        "name": text,
        "namespace": text,
        "address": text,
        "port": port,
        "protocol": text,
        "node": text,
        "workload": text,
        "service": text,
    }
    vertices = pl.concat(
        [
            found.filter(pl.col(lane).is_not_null()).select(
                pl.col(lane).alias("id"),
                lane=pl.lit(lane),
                **(columns | told),
            )
            for lane, told in parts.items()
        ]
        + [
            found.filter("is_ended").select(
                id=pl.lit("end"), lane=pl.lit("end"), **columns
            )
        ]
    )
    passing = pl.concat(
        [
            steps.select("connection_id", "octets", id=end)
            for end in ("source", "target")
        ]
    ).unique(["connection_id", "id"])
    return (
        vertices.group_by("id", "lane")
        .agg(
            pl.when(pl.col(name).drop_nulls().n_unique() == 1)
            .then(pl.col(name).drop_nulls().first())
            .alias(name)
            for name in columns
        )
        .join(
            passing.group_by("id").agg(
                connections=pl.len().cast(pl.UInt64), octets=pl.col("octets").sum()
            ),
            on="id",
        )
        .sort("id")
    )
