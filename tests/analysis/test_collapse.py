"""Large graphs made small: nothing is lost in sums, and the busiest stay."""

from __future__ import annotations

import polars as pl
import pytest

from analyzer.analysis.paths import OTHERS, Limits, collapse, path_edges, path_graph
from tests.diagram.synthetic import large_cluster
from tests.recordings import SCENARIOS, cluster, tables

LIMITS = Limits(fronts=15)


@pytest.fixture(scope="module")
def whole():
    return path_graph(large_cluster())


@pytest.fixture(scope="module")
def small(whole):
    return collapse(whole, LIMITS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_reference_cluster_is_drawn_whole(scenario):
    graph = path_graph(tables(scenario), cluster(scenario))
    same = collapse(graph)
    assert same.steps.collect().equals(graph.steps.collect())
    assert same.pods.collect().equals(graph.pods.collect())
    assert set(same.nodes.collect()["members"]) == {1}


def test_each_step_still_counts_every_connection(whole, small):
    def counts(graph):
        edges = graph.edges.group_by("step").agg(
            pl.col("connections", "octets", "dnat", "snat", "lost_segments").sum()
        )
        return edges.sort("step").collect()

    assert counts(small).equals(counts(whole))


def test_there_are_no_more_than_the_limits_allow(small):
    nodes = small.nodes.collect()
    limits = LIMITS
    assert nodes.filter(pl.col("lane") == "client").height == limits.clients
    assert nodes.filter(pl.col("lane") == "front").height == limits.fronts
    assert small.hosts.collect().height == limits.nodes
    of_node = nodes.filter(pl.col("lane") == "backend").group_by("node").len()
    assert of_node["len"].max() <= max(3, limits.pods // limits.nodes)


def test_the_others_are_counted(whole, small):
    every, left = whole.nodes.collect(), small.nodes.collect()
    for lane in ("client", "front", "backend"):
        members = left.filter(pl.col("lane") == lane)["members"].sum()
        assert members == every.filter(pl.col("lane") == lane).height
    assert small.hosts.collect()["members"].sum() == 50


def with_idle_pods(graph, counts):
    """Add pods without traffic: how many on which node."""
    schema = graph.pods.collect_schema()
    rows = [
        {
            "address": f"10.9.{number}.{pod}",
            "pod": f"idle-{number}-{pod}",
            "node": node,
            "workload": "Deployment/idle",
            "services": [],
        }
        for number, (node, count) in enumerate(counts.items())
        for pod in range(count)
    ]
    idle = pl.DataFrame(rows, schema=schema)
    return graph._replace(pods=pl.concat([graph.pods, idle.lazy()]))


def idle_counts(graph):
    pods, hosts = graph.pods.collect(), graph.hosts.collect()
    drawn = pods.filter(pl.col("workload") == "Deployment/idle")
    left_out = dict(hosts.select("node", "idle_pods").rows())
    return drawn.height, {node: count for node, count in left_out.items() if count}


def test_idle_pods_without_room_are_counted_at_their_node_or_the_others(whole):
    busiest, quiet = "node-02", "node-49"
    small = collapse(
        with_idle_pods(whole, {busiest: 30, quiet: 7, "node-never-seen": 5}), LIMITS
    )
    drawn, left_out = idle_counts(small)
    assert left_out == {busiest: 30 - drawn, OTHERS: 12}
    assert drawn < 30
    assert idle_counts(collapse(whole, LIMITS)) == (0, {})


def test_idle_pods_are_counted_where_nothing_else_is_summed_up():
    graph = path_graph(tables("loadbalancer"), cluster("loadbalancer"))
    drawn, left_out = idle_counts(
        collapse(with_idle_pods(graph, {"k8s-master": 40, "k8s-worker09": 3}))
    )
    assert drawn + sum(left_out.values()) == 43
    assert left_out["k8s-master"] > 20


def test_the_busiest_stay(whole, small):
    left = set(small.nodes.collect()["id"])
    for lane, limit in (("client", 12), ("front", 15)):
        busiest = (
            whole.nodes.filter(pl.col("lane") == lane)
            .sort("connections", "id", descending=[True, False])
            .head(limit - 1)
            .collect()
        )
        assert set(busiest["id"]) <= left
        assert f"{lane}/{OTHERS}" in left


def test_latencies_of_sums_are_medians_over_all_their_connections(whole, small):
    edge = (
        path_edges(small.sums, by=())
        .filter(
            pl.col("step") == "carry",
            pl.col("source") == f"exit/{OTHERS}/vxlan",
            pl.col("target") == f"arrival/{OTHERS}/vxlan",
        )
        .collect()
        .row(0, named=True)
    )
    kept = {
        each.split("/")[1]
        for each in small.nodes.collect()["id"]
        if each.startswith(("entry/", "arrival/"))
    }
    apart = (
        whole.steps.filter(pl.col("step") == "carry")
        .filter(
            ~pl.col("source").str.split("/").list.get(1).is_in(kept),
            ~pl.col("target").str.split("/").list.get(1).is_in(kept),
        )
        .collect()
    )
    assert edge["connections"] == apart.height
    assert edge["latency"] == apart["latency"].median()
    assert edge["clock_bound"] == apart["clock_bound"].max()


def test_nodes_count_connections_once(small):
    steps = small.steps.collect()
    for node in small.nodes.collect().to_dicts():
        passing = steps.filter(
            (pl.col("source") == node["id"]) | (pl.col("target") == node["id"])
        )
        assert node["connections"] == passing["connection_id"].n_unique()
