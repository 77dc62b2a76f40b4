"""Whole paths: from the address that was called to the backend, one row each."""

from __future__ import annotations

import polars as pl

#: Steps that latencies are measured in.
MEASURED = ("enter", "translate", "carry", "deliver")


def path_routes(sums: pl.LazyFrame) -> pl.LazyFrame:
    """Add up the connections that take the same way.

    Parameters
    ----------
    sums : pl.LazyFrame
        See :func:`analyzer.analysis.paths.path_sums`.

    Returns
    -------
    pl.LazyFrame
        One row per service, address that was called, device that calls came in
        through, tunnel and backend, most connections first: ``service``, ``front``,
        ``entry`` (str), ``is_local`` (bool: answered on the node that took the call),
        ``tunnel``, ``backend`` (str; ``end`` where no backend is known),
        ``clients`` (list of str: their vertices), ``connections``, ``octets`` (u64),
        ``per_second`` (f64), ``latency_<step>``, ``clock_bound_<step>`` (durations:
        the median, and the largest bound, of each of :data:`MEASURED`),
        ``lost_segments``, ``dnat``, ``snat``, ``unanswered`` (u64),
        ``service_evidence``, ``backend_evidence`` (list of str).
    """

    def at(step: str, column: str) -> pl.Expr:
        return pl.col(column).filter(pl.col("step") == step).first()

    connections = pl.col("connections")
    period = (pl.col("end_time").max() - pl.col("start_time").min()).dt
    keys = ["service", "front", "entry", "is_local", "tunnel", "backend"]
    of_kind = (
        sums.with_columns(_period=period.total_nanoseconds())
        .group_by("kind")
        .agg(
            pl.col("service", "connections", "octets").first(),
            client=at("call", "source"),
            front=at("call", "target"),
            entry=at("enter", "target"),
            is_local=(pl.col("step") == "deliver").any()
            & ~(pl.col("step") == "carry").any(),
            tunnel=at("carry", "tunnel"),
            backend=pl.coalesce(at("deliver", "target"), at("refuse", "target")),
            lost_segments=pl.col("lost_segments").sum(),
            dnat=pl.col("dnat").any(),
            snat=pl.col("snat").any(),
            unanswered=pl.col("unanswered").first(),
            service_evidence=at("call", "evidence"),
            backend_evidence=pl.coalesce(
                at("deliver", "evidence"), at("refuse", "evidence")
            ),
            _period=pl.col("_period").first(),
            **{
                f"{name}_{step}": at(step, name)
                for step in MEASURED
                for name in ("latency", "clock_bound")
            },
        )
    )
    return (
        of_kind.group_by(keys)
        .agg(
            clients=pl.col("client").unique().sort(),
            connections=connections.sum(),
            octets=pl.col("octets").sum(),
            per_second=pl.when(pl.col("_period").first() > 0).then(
                connections.sum() * 1e9 / pl.col("_period").first()
            ),
            **{
                f"{name}_{step}": pl.col(f"{name}_{step}").explode().median()
                if name == "latency"
                else pl.col(f"{name}_{step}").max()
                for step in MEASURED
                for name in ("latency", "clock_bound")
            },
            lost_segments=pl.col("lost_segments").sum(),
            **{
                name: connections.filter(pl.col(name)).sum()
                for name in ("dnat", "snat", "unanswered")
            },
            service_evidence=pl.col("service_evidence").drop_nulls().unique().sort(),
            backend_evidence=pl.col("backend_evidence").drop_nulls().unique().sort(),
        )
        .sort(
            "connections",
            *keys,
            descending=[True, *(False for _ in keys)],
            nulls_last=True,
        )
    )
