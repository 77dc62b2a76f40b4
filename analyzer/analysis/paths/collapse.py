"""Large graphs made small: the busiest vertices stay, the others become one."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import polars as pl

from analyzer.analysis.paths.steps import path_edges, path_passing

if TYPE_CHECKING:
    from analyzer.analysis.paths.graph import PathGraph

#: Stands for the others in ids, and for the node that others are on.
OTHERS = "+"
_AT_NODES = ("entry", "exit", "arrival", "backend")


@dataclass(frozen=True)
class Limits:
    """How many vertices of each lane there may be.

    ``pods`` is for all nodes together; each of them gets the same share.
    """

    clients: int = 12
    fronts: int = 20
    nodes: int = 8
    pods: int = 40

    def less(self) -> Limits:
        """Give limits of three quarters, but of no less than two."""
        return Limits(*(max(2, each * 3 // 4) for each in astuple(self)))


def collapse(graph: PathGraph, limits: Limits | None = None) -> PathGraph:
    """Keep the busiest clients, addresses, nodes and pods; sum up the others.

    Parameters
    ----------
    graph : PathGraph
    limits : Limits, optional

    Returns
    -------
    PathGraph
        The same if nothing is too many. Else its ``sums`` and ``steps`` lead over
        vertices that stand for several, and its tables are sums over these: ``members``
        (u32, a further column of ``nodes`` and ``hosts``) says for how many each
        stands; a vertex that stands for several nodes has ``+`` in place of the node's
        name.
        Pods without traffic are left out where there is no room for them, and counted
        in ``idle_pods`` (u32, of ``hosts``): at their node, or at ``+``.
    """
    limits = limits or Limits()
    nodes = graph.nodes.collect()
    names = _renamed(nodes, limits)
    changed = names.filter(pl.col("id") != pl.col("new"))
    busy = nodes.filter(pl.col("lane").is_in(_AT_NODES))["node"].drop_nulls().unique()
    kept = names.filter(pl.col("lane").is_in(_AT_NODES))["new_node"].unique()
    every_pod = graph.pods.collect()
    pods, idle = _pods(every_pod, names, kept, limits)
    if changed.is_empty():
        one = pl.lit(1, pl.UInt32)
        return graph._replace(
            nodes=nodes.lazy().with_columns(members=one),
            hosts=_with_idle(graph.hosts.with_columns(members=one), idle),
            pods=pods.lazy(),
        )
    new = dict(names.select("id", "new").iter_rows())
    ends = pl.col("source", "target").replace_strict(new, return_dtype=pl.String)
    sums = graph.sums.with_columns(ends).collect().lazy()
    others = len(set(busy) - set(kept))
    hosts = graph.hosts.filter(pl.col("node").is_in(kept.implode())).with_columns(
        members=pl.lit(1, pl.UInt32)
    )
    if others:
        more = pl.DataFrame({"node": [OTHERS], "members": [others]})
        hosts = pl.concat(
            [hosts, more.lazy().cast({"members": pl.UInt32})], how="diagonal"
        )
    return graph._replace(
        nodes=_merged(nodes, names, sums),
        edges=path_edges(sums),
        sums=sums,
        steps=graph.steps.with_columns(ends),
        hosts=_with_idle(hosts, idle),
        pods=pods.lazy(),
    )


def _renamed(nodes: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Give each vertex its new id and node."""
    at_nodes = pl.col("lane").is_in(_AT_NODES)
    by_node = (
        nodes.filter(
            pl.col("lane").is_in(["entry", "backend"]), pl.col("node").is_not_null()
        )
        .group_by("node")
        .agg(pl.col("connections").sum())
        .sort("connections", "node", descending=[True, False])
    )
    many = by_node.height > limits.nodes
    kept = by_node["node"].head(limits.nodes - 1 if many else limits.nodes)
    shown = min(by_node.height, limits.nodes)
    share = max(3, limits.pods // max(shown, 1))
    parts = pl.col("id").str.split("/")
    is_other = pl.col("node").is_not_null() & ~pl.col("node").is_in(kept.implode())
    what = (
        nodes.sort("connections", "id", descending=[True, False])
        .with_columns(
            rank=pl.int_range(pl.len()).over("lane"),
            of_lane=pl.len().over("lane"),
            new_node=pl.when(is_other)
            .then(pl.lit(OTHERS))
            .otherwise(parts.list.get(1, null_on_oob=True)),
            rest=parts.list.slice(2).list.join("/"),
        )
        .with_columns(
            pod_rank=pl.int_range(pl.len()).over("lane", "new_node"),
            of_node=pl.len().over("lane", "new_node"),
        )
    )

    def beyond(limit: int) -> pl.Expr:
        return (pl.col("of_lane") > limit) & (pl.col("rank") >= limit - 1)

    is_backend = pl.col("lane") == "backend"
    is_pod_too_many = (
        is_backend
        & (pl.col("of_node") > share)
        & ((pl.col("pod_rank") >= share - 1) | (pl.col("new_node") == OTHERS))
    )
    workload = pl.coalesce("workload", pl.lit(OTHERS)).str.replace("/", " ")
    # Behind the nodes that are summed up, pods are told by who made them.
    summed = (
        pl.when((pl.col("new_node") == OTHERS) & (workload != OTHERS))
        .then(pl.format("workload {}", workload))
        .otherwise(pl.lit(OTHERS))
    )
    renamed = what.with_columns(
        new=pl.when((pl.col("lane") == "client") & beyond(limits.clients))
        .then(pl.lit(f"client/{OTHERS}"))
        .when((pl.col("lane") == "front") & beyond(limits.fronts))
        .then(pl.lit(f"front/{OTHERS}"))
        .when(is_pod_too_many)
        .then(pl.format("backend/{}/{}", "new_node", summed))
        .when(at_nodes)
        .then(pl.concat_str("lane", "new_node", "rest", separator="/"))
        .otherwise("id")
    )
    return _few_workloads(renamed, share).select("id", "lane", "new", "new_node")


def _few_workloads(renamed: pl.DataFrame, share: int) -> pl.DataFrame:
    """Sum up workloads, too, where they are still too many."""
    rank = (
        renamed.filter(pl.col("lane") == "backend")
        .group_by("new_node", "new")
        .agg(pl.col("connections").sum())
        .sort("connections", "new", descending=[True, False])
        .with_columns(
            place=pl.int_range(pl.len()).over("new_node"),
            count=pl.len().over("new_node"),
        )
    )
    too_many = rank.filter((pl.col("count") > share) & (pl.col("place") >= share - 1))[
        "new"
    ]
    return renamed.with_columns(
        new=pl.when(pl.col("new").is_in(too_many.implode()))
        .then(pl.format("backend/{}/{}", "new_node", pl.lit(OTHERS)))
        .otherwise("new")
    )


def _merged(
    nodes: pl.DataFrame, names: pl.DataFrame, sums: pl.LazyFrame
) -> pl.LazyFrame:
    """Describe the vertices that are left by what their members have in common."""
    common = [
        name
        for name in nodes.columns
        if name not in ("id", "lane", "connections", "octets")
    ]
    node = pl.when(pl.col("new_node").first() == OTHERS).then(pl.lit(OTHERS))
    return (
        nodes.join(names.drop("lane"), on="id")
        .lazy()
        .group_by("new", "lane")
        .agg(
            *(
                pl.when(pl.col(name).n_unique() == 1)
                .then(pl.col(name).first())
                .alias(name)
                for name in common
                if name != "node"
            ),
            node=pl.coalesce(
                pl.when(pl.col("lane").first().is_in(_AT_NODES)).then(node),
                pl.when(pl.col("node").n_unique() == 1).then(pl.col("node").first()),
            ),
            members=pl.len().cast(pl.UInt32),
        )
        .rename({"new": "id"})
        .join(path_passing(sums), on="id")
        .select(*nodes.columns, "members")
        .sort("id")
    )


def _pods(
    pods: pl.DataFrame, names: pl.DataFrame, kept: pl.Series, limits: Limits
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Leave out pods that were summed up, and idle ones where there is no room.

    The second table has the idle ones that were left out.
    """
    share = max(3, limits.pods // max(len(kept), 1))
    backends = names.filter(pl.col("lane") == "backend").with_columns(
        address=pl.col("id").str.split("/").list.get(2)
    )
    alone = backends.filter(pl.col("id") == pl.col("new"))
    node = pl.col("node").fill_null("?")
    busy = pl.col("address").is_in(alone["address"].implode())
    summed = pl.col("address").is_in(backends["address"].implode()) & ~busy
    lines = alone.group_by("new_node").len()
    taken = dict(lines.iter_rows())
    told = (
        pods.filter(~summed)
        .with_columns(
            _busy=busy,
            _taken=node.replace_strict(taken, default=0, return_dtype=pl.Int64),
        )
        .with_columns(
            _idle=(~pl.col("_busy")).cum_sum().over(node),
        )
        .with_columns(
            _stays=pl.col("_busy")
            | (
                (node.is_in(kept.implode()) | (len(kept) < limits.nodes))
                & (pl.col("_taken") + pl.col("_idle") <= share)
            )
        )
    )
    stays = told.filter("_stays").select(pods.columns)
    return stays, told.filter(~pl.col("_stays")).select(pods.columns)


def _with_idle(hosts: pl.LazyFrame, idle: pl.DataFrame) -> pl.LazyFrame:
    """Count the idle pods that were left out: at their node, or at the others'."""
    known = hosts.collect()
    is_known = pl.col("node").is_in(known["node"].implode())
    counts = idle.group_by(
        node=pl.when(is_known).then("node").otherwise(pl.lit(OTHERS))
    ).agg(idle_pods=pl.len(), nodes=pl.col("node").n_unique())
    return (
        known.join(counts, on="node", how="full", coalesce=True, maintain_order="left")
        .with_columns(
            pl.col("idle_pods").fill_null(0),
            pl.coalesce("members", "nodes").alias("members"),
        )
        .drop("nodes")
        .lazy()
    )
