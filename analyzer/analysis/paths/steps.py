"""The steps of connections' paths, and what they add up to.

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

from analyzer.analysis.paths.connections import BOTH_WAYS
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
_STEP = pl.Enum(STEPS)


def with_vertices(kinds: pl.LazyFrame) -> pl.LazyFrame:
    """Add the vertices of the graph that each kind of connection passes.

    Parameters
    ----------
    kinds : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.connection_kinds`.

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
    return kinds.with_columns(
        came_from=came_from, is_own=is_own, is_behind=is_behind
    ).with_columns(
        client=pl.when("is_own")
        .then(pl.format("client/{}", "client_node"))
        .when("is_behind")
        .then(pl.format("client/behind {}", "client_node"))
        .otherwise(pl.format("client/{}", "client_ip")),
        front=front,
        entry=pl.format("entry/{}/{}", entry_node, "came_from"),
        exit=pl.when(has_backend & ~is_local).then(
            pl.format("exit/{}/{}", entry_node, pl.col("tunnel").fill_null(_UNKNOWN))
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


def hop_steps(kinds: pl.LazyFrame, hops: pl.LazyFrame) -> pl.LazyFrame:
    """Tell to which step of its path each hop belongs, and add them up.

    Parameters
    ----------
    kinds : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.connection_kinds`.
    hops : pl.LazyFrame
        The hops table.

    Returns
    -------
    pl.LazyFrame
        One row per connection and step that was measured: ``connection_id``, ``kind``,
        ``step``, ``latency`` (duration, the sum of the hops' medians towards the
        backend; null if one is not known), ``clock_bound`` (duration),
        ``lost_segments`` (u64, both ways).

    Notes
    -----
    From the first observation point on the client's side to the first one on the node
    that took the call is ``enter``, from there to the last one on this node
    ``translate``, from that to the first one on the backend's node ``carry``, and what
    follows ``deliver``. A hop that passes over a node belongs to no step.
    """
    # Few names at millions of hops: their numbers are compared.
    ends = kinds.select(
        "kind",
        pl.col("entry_node", "backend_node", "backend_pod").cast(pl.Categorical),
        connection_id="connection_ids",
    ).explode("connection_id")
    points = pl.concat([hops.select(point=f"{end}_point") for end in ("from", "to")])
    hosts = points.unique().with_columns(host=host_of("point").cast(pl.Categorical))

    def place(host: str) -> pl.Expr:
        at = pl.col(host)
        is_behind = (at == pl.col("backend_node")) | (at == pl.col("backend_pod"))
        return (
            pl.when(is_behind.fill_null(value=False))
            .then(2)
            .when((at == pl.col("entry_node")).fill_null(value=False))
            .then(1)
            .otherwise(0)
        )

    is_forward = pl.col("direction") == "to_backend"
    is_local = (pl.col("entry_node") == pl.col("backend_node")).fill_null(value=False)
    before, behind = pl.col("before"), pl.col("behind")
    step = (
        pl.when((before == 0) & (behind == 0))
        .then(pl.lit("enter", _STEP))
        .when((before == 0) & (behind == pl.when(is_local).then(2).otherwise(1)))
        .then(pl.lit("enter", _STEP))
        .when((before == 1) & (behind == 1))
        .then(pl.lit("translate", _STEP))
        .when((before == 1) & (behind == 2))
        .then(pl.lit("carry", _STEP))
        .when((before == 2) & (behind == 2))
        .then(pl.lit("deliver", _STEP))
    )
    forward = pl.when("is_forward").then(pl.col("latency_p50", "clock_bound"))
    return (
        hops.join(ends, on="connection_id")
        .join(hosts, left_on="from_point", right_on="point", how="left")
        .join(hosts, left_on="to_point", right_on="point", how="left", suffix="_to")
        .with_columns(is_forward=is_forward, _from=place("host"), _to=place("host_to"))
        .with_columns(
            before=pl.when("is_forward").then("_from").otherwise("_to"),
            behind=pl.when("is_forward").then("_to").otherwise("_from"),
        )
        .select(
            "connection_id",
            "kind",
            "lost_segments",
            "is_forward",
            forward,
            step=step,
            is_unknown=pl.col("is_forward") & pl.col("latency_p50").is_null(),
        )
        .filter(pl.col("step").is_not_null())
        .group_by("connection_id", "step")
        .agg(
            pl.col("kind").first(),
            pl.col("latency_p50", "clock_bound", "lost_segments").sum(),
            is_known=pl.col("is_forward").any() & ~pl.col("is_unknown").any(),
        )
        .select(
            "connection_id",
            "kind",
            "step",
            "lost_segments",
            latency=pl.when("is_known").then("latency_p50"),
            clock_bound=pl.when("is_known").then("clock_bound"),
        )
    )


def kind_steps(kinds: pl.LazyFrame) -> pl.LazyFrame:
    """Give the path of each kind of connection as steps from vertex to vertex.

    Returns
    -------
    pl.LazyFrame
        One row per kind and step: ``kind`` and the columns of :func:`path_steps` but
        for what connections of a kind differ in.
    """
    found = with_vertices(kinds)
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
            "kind",
            "service",
            "unanswered",
            "tunnel",
            "vni",
            "outer_client_ip",
            "outer_backend_ip",
            step=pl.lit(step, _STEP),
            evidence=evidence(step),
            source=source,
            target=target,
            is_observed=is_observed.fill_null(value=False),
            dnat=dnat.fill_null(value=False),
            snat=snat.fill_null(value=False),
            _wanted=pl.col("is_ended") if step == "refuse" else pl.lit(value=True),
        )
        for step, (source, target, is_observed, dnat, snat) in plans.items()
    ]
    return (
        pl.concat(parts)
        .filter("_wanted")
        .drop("_wanted")
        .drop_nulls(["source", "target"])
    )


def path_sums(kinds: pl.LazyFrame, hops: pl.LazyFrame) -> pl.LazyFrame:
    """Add up the steps of connections that are alike.

    Parameters
    ----------
    kinds : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.connection_kinds`.
    hops : pl.LazyFrame
        The hops table.

    Returns
    -------
    pl.LazyFrame
        One row per kind of connection and step: ``kind`` and the columns of
        :func:`path_steps`, of which ``octets``, ``packets``, ``lost_segments`` are
        sums, ``start_time`` and ``end_time`` the first and last, ``clock_bound`` the
        largest and ``latency`` a list of those that were measured, null if not known;
        and ``connections`` (u64: how many there are).
    """
    measured = (
        hop_steps(kinds, hops)
        .group_by("kind", "step")
        .agg("latency", pl.col("clock_bound").max(), pl.col("lost_segments").sum())
    )
    of_all = kinds.select(
        "kind", "connections", "octets", "packets", "start_time", "end_time"
    )
    return (
        kind_steps(kinds)
        .join(of_all, on="kind")
        .join(measured, on=["kind", "step"], how="left")
    )


def path_steps(
    kinds: pl.LazyFrame, connections: pl.LazyFrame, hops: pl.LazyFrame
) -> pl.LazyFrame:
    """Give each connection's path as steps from vertex to vertex.

    Parameters
    ----------
    kinds : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.connection_kinds`.
    connections, hops : pl.LazyFrame
        The tables of that name.

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
    own = connections.select("connection_id", "start_time", "end_time", *BOTH_WAYS)
    return (
        kinds.select("kind", connection_id="connection_ids")
        .explode("connection_id")
        .join(own, on="connection_id")
        .join(kind_steps(kinds), on="kind")
        .join(
            hop_steps(kinds, hops).drop("kind"),
            on=["connection_id", "step"],
            how="left",
        )
        .sort("connection_id", "step")
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
    sums: pl.LazyFrame, by: tuple[str, ...] = ("service", "is_observed", "evidence")
) -> pl.LazyFrame:
    """Add up the connections that take the same step.

    Parameters
    ----------
    sums : pl.LazyFrame
        See :func:`path_sums`.
    by : tuple of str
        Columns to tell apart beside ``step``, ``source`` and ``target``.

    Returns
    -------
    pl.LazyFrame
        One row per step, source, target and value of ``by``, sorted by them, steps in
        the order of the path: ``connections``, ``octets``, ``packets`` (u64),
        ``per_second`` (f64: connections per second between the first and the last
        packet of all ``sums``; null if they are one moment), ``measured`` (u64:
        connections with a latency), ``latency`` (duration, their median),
        ``clock_bound`` (duration, the largest), ``lost_segments`` (u64), ``dnat``,
        ``snat``, ``unanswered`` (u64, connections), ``tunnel``, ``vni``,
        ``outer_client_ip``, ``outer_backend_ip`` (null where they differ).
    """
    keys = ["step", "source", "target", *by]
    ns = pl.col("end_time").max() - pl.col("start_time").min()
    period = ns.dt.total_nanoseconds(fractional=False)
    connections = pl.col("connections")
    latency = pl.col("latency").explode()
    return (
        sums.with_columns(_period=period)
        .group_by(keys)
        .agg(
            connections.sum(),
            pl.col("octets", "packets").sum(),
            per_second=pl.when(pl.col("_period").first() > 0).then(
                connections.sum() * 1e9 / pl.col("_period").first()
            ),
            measured=latency.count().cast(pl.UInt64),
            latency=latency.median(),
            clock_bound=pl.col("clock_bound").max(),
            lost_segments=pl.col("lost_segments").sum(),
            **{
                name: connections.filter(pl.col(name)).sum()
                for name in ("dnat", "snat", "unanswered")
            },
            **{
                name: pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first())
                for name in ("tunnel", "vni", "outer_client_ip", "outer_backend_ip")
            },
        )
        .sort(*keys, nulls_last=True)
    )


def path_passing(sums: pl.LazyFrame) -> pl.LazyFrame:
    """Count the connections that pass each vertex: ``id``, and sums."""
    return (
        pl.concat(
            [
                sums.select("kind", "connections", "octets", id=end)
                for end in ("source", "target")
            ]
        )
        .unique(["kind", "id"])
        .group_by("id")
        .agg(pl.col("connections", "octets").sum())
    )


def path_nodes(kinds: pl.LazyFrame, sums: pl.LazyFrame) -> pl.LazyFrame:
    """Describe the vertices that connections pass.

    Parameters
    ----------
    kinds : pl.LazyFrame
        See :func:`analyzer.analysis.paths.connections.connection_kinds`.
    sums : pl.LazyFrame
        See :func:`path_sums`; vertices that it does not name are left out.

    Returns
    -------
    pl.LazyFrame
        One row per vertex, sorted: ``id``, ``lane`` (``client``, ``front``, ``entry``,
        ``exit``, ``arrival``, ``backend`` or ``end``), ``kind``, ``name``,
        ``namespace``, ``address``, ``port`` (u16), ``protocol``, ``node``,
        ``workload``, ``service`` (str, null where not known or where there are
        several), ``connections``, ``octets`` (u64, of connections that pass it).
    """
    found = with_vertices(kinds)
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
    return (
        vertices.group_by("id", "lane")
        .agg(
            pl.when(pl.col(name).drop_nulls().n_unique() == 1)
            .then(pl.col(name).drop_nulls().first())
            .alias(name)
            for name in columns
        )
        .join(path_passing(sums), on="id")
        .sort("id")
    )
