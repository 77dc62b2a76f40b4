"""The graph of paths: every number of it is a query on the tables, or the truth's."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from analyzer.analysis.paths import Selection, path_graph
from analyzer.errors import QueryError
from analyzer.tables import Tables
from tests.recordings import SCENARIOS, cluster, tables, truth

VIRTUAL = ("ClusterIP", "NodePort", "LoadBalancer")


@pytest.fixture(params=SCENARIOS)
def scenario(request):
    return request.param


@pytest.fixture
def edges(scenario):
    return path_graph(tables(scenario), cluster(scenario)).edges.collect()


@pytest.fixture
def connections(scenario):
    return tables(scenario).connections.collect()


def test_each_connection_takes_each_step_once(scenario):
    steps = path_graph(tables(scenario)).steps.collect()
    assert not steps.select("connection_id", "step").is_duplicated().any()
    calls = steps.filter(pl.col("step") == "call")["connection_id"]
    assert (
        calls.to_list()
        == tables(scenario).connections.collect()["connection_id"].to_list()
    )


def test_steps_follow_one_another(scenario):
    steps = path_graph(tables(scenario)).steps.collect()
    for _, of_one in steps.group_by("connection_id", maintain_order=True):
        assert of_one["source"].to_list()[1:] == of_one["target"].to_list()[:-1]


def test_calls_add_up_to_the_connections_of_a_service(edges, connections):
    drawn = (
        edges.filter(pl.col("step") == "call", pl.col("service").is_not_null())
        .group_by("service")
        .agg(pl.col("connections").sum(), pl.col("octets").sum())
        .sort("service")
    )
    asked = (
        connections.filter(pl.col("service_name").is_not_null())
        .group_by(
            service=pl.concat_str(
                pl.col("service_namespace", "service_name").cast(pl.String),
                separator="/",
            )
        )
        .agg(
            connections=pl.len().cast(pl.UInt64),
            octets=(pl.col("client_bytes") + pl.col("backend_bytes")).sum(),
        )
        .sort("service")
    )
    assert drawn.equals(asked)


def test_deliveries_add_up_to_the_connections_of_a_backend(edges, connections):
    drawn = (
        edges.filter(pl.col("step") == "deliver")
        .group_by(address=pl.col("target").str.split("/").list.last())
        .agg(pl.col("connections").sum())
    )
    asked = connections["backend_ip"].cast(pl.String).drop_nulls().to_list()
    assert dict(drawn.iter_rows()) == Counter(asked)


def test_edges_are_sums_of_the_steps_of_each_connection(scenario):
    graph = path_graph(tables(scenario), cluster(scenario))
    keys = ["step", "source", "target", "service", "is_observed", "evidence"]
    asked = (
        graph.steps.group_by(keys)
        .agg(
            pl.col("octets", "packets", "lost_segments").sum(),
            pl.col("dnat", "snat", "unanswered").sum().cast(pl.UInt64),
            pl.col("clock_bound").max(),
            connections=pl.len().cast(pl.UInt64),
            measured=pl.col("latency").count().cast(pl.UInt64),
            latency=pl.col("latency").median(),
        )
        .sort(keys, nulls_last=True)
        .collect()
    )
    assert graph.edges.select(asked.columns).collect().equals(asked)


def test_rates_and_latencies_are_those_of_the_tables(scenario, edges, connections):
    seconds = (
        connections["end_time"].max() - connections["start_time"].min()
    ).total_seconds()
    assert edges["per_second"].to_list() == pytest.approx(
        (edges["connections"] / seconds).to_list(), rel=1e-5
    )
    # Between two NICs there is one hop: its median over connections is the edge's.
    hops = (
        tables(scenario)
        .hops.collect()
        .with_columns(pl.selectors.categorical().cast(pl.String))
    )
    carried = edges.filter(
        pl.col("step") == "carry", pl.col("tunnel") == "vxlan", pl.col("measured") > 0
    )
    assert carried.height
    steps = path_graph(tables(scenario)).steps.collect()
    for edge in carried.to_dicts():
        of_edge = steps.filter(
            *(
                pl.col(name).eq_missing(edge[name])
                for name in ("step", "source", "target", "service", "evidence")
            ),
            pl.col("is_observed") == edge["is_observed"],
        )["connection_id"]
        here, there = (edge[end].split("/")[1] for end in ("source", "target"))
        found = hops.filter(
            pl.col("connection_id").is_in(of_edge.implode()),
            pl.col("direction") == "to_backend",
            pl.col("from_point").str.starts_with(f"{here}/"),
            pl.col("to_point").str.starts_with(f"{there}/"),
            pl.col("latency_p50").is_not_null(),
        )
        assert edge["measured"] == found.height
        assert edge["latency"] == found["latency_p50"].median()
        assert edge["clock_bound"] == found["clock_bound"].max()


def test_what_was_measured_one_way_has_no_latency_the_other_way():
    whole = tables("nodeport")
    hops = whole.arrow("hops")
    answers = hops.filter(pc.equal(hops["direction"].cast(pa.utf8()), "to_client"))
    made = {name: whole.arrow(name) for name in ("flows", "connections")}
    edges = path_graph(Tables(made | {"hops": answers}, [])).edges.collect()
    assert edges["measured"].sum() == 0
    assert edges["latency"].null_count() == edges.height
    assert path_graph(whole).edges.collect()["measured"].sum() > 0


def test_rewrites_are_those_of_conntrack(scenario):
    """What the kernel rewrote, by its own account, of what captures could show."""
    graph = path_graph(tables(scenario)).steps.collect()
    rewritten = set(graph.filter("dnat")["connection_id"])
    masked = set(graph.filter("snat")["connection_id"])
    by_tuple = {
        (each["client"]["ip"], each["client"].get("port"), each["dst"]["ip"]): each
        for each in truth(scenario)
    }
    compared = 0
    for row in tables(scenario).connections.collect().to_dicts():
        key = (row["client_ip"], row["client_port"], row["destination_ip"])
        told = by_tuple.get(key)
        if told is None or row["backend_evidence"] != "observed":
            continue
        compared += 1
        is_dnat = told["backend"]["ip"] != told["dst"]["ip"]
        assert (row["connection_id"] in rewritten) == is_dnat
        assert (row["connection_id"] in masked) == bool(told["snat"])
    assert compared > 20


def test_tunnels_end_at_the_addresses_of_their_nodes(scenario, edges):
    addresses = {
        ip: node.name for node in cluster(scenario).nodes for ip in node.internal_ips
    }
    carried = edges.filter(
        pl.col("step") == "carry", pl.col("outer_client_ip").is_not_null()
    )
    assert carried.height
    assert set(carried["vni"]) == {4096}
    for row in carried.to_dicts():
        assert row["source"].split("/")[1] == addresses[row["outer_client_ip"]]
        assert row["target"].split("/")[1] == addresses[row["outer_backend_ip"]]


def test_what_no_capture_shows_is_not_called_observed():
    steps = path_graph(tables("loadbalancer")).steps.collect()
    unseen = steps.filter(~pl.col("is_observed"))
    # redis on worker03 has no capture at its pod: the pod is what is left.
    eliminated = unseen.filter(
        pl.col("step") == "deliver", pl.col("evidence") != "observed"
    )
    assert set(eliminated["target"]) == {"backend/k8s-worker03/10.1.39.203"}
    # A host's own calls are rewritten before any device.
    calls = unseen.filter(pl.col("step") == "call")
    assert set(calls["source"]) == {"client/k8s-master"}
    assert set(calls["target"]) == {"front/?"}


def test_nodes_count_the_connections_that_pass_them(scenario):
    graph = path_graph(tables(scenario), cluster(scenario))
    steps = graph.steps.collect()
    for node in graph.nodes.collect().to_dicts():
        passing = steps.filter(
            (pl.col("source") == node["id"]) | (pl.col("target") == node["id"])
        ).unique("connection_id")
        assert node["connections"] == passing.height
        assert node["octets"] == passing["octets"].sum()


def test_edges_end_at_nodes(scenario):
    graph = path_graph(tables(scenario), cluster(scenario))
    ids = set(graph.nodes.collect()["id"])
    edges = graph.edges.collect()
    assert set(edges["source"]) | set(edges["target"]) == ids


def test_a_refused_call_ends_where_it_was_taken():
    edges = path_graph(tables("mixed")).edges.collect()
    refused = edges.filter(
        pl.col("step") == "refuse", pl.col("service") == "default/empty"
    )
    asked = (
        tables("mixed")
        .connections.filter(pl.col("service_name").cast(pl.String) == "empty")
        .collect()
    )
    assert refused["connections"].sum() == asked.height
    assert refused["unanswered"].sum() == asked.height


def test_hosts_are_told_without_cluster_state_too():
    with_state = path_graph(tables("loadbalancer"), cluster("loadbalancer")).hosts
    alone = path_graph(tables("loadbalancer")).hosts
    assert alone.collect().equals(with_state.collect())


def test_pods_without_traffic_are_endpoints_of_what_was_called():
    graph = path_graph(
        tables("nodeport"), cluster("nodeport"), Selection(clients=("192.168.2.101",))
    )
    pods = graph.pods.collect()
    called = set(graph.edges.collect()["service"].drop_nulls())
    assert called
    listed = {
        each.address
        for each in cluster("nodeport").endpoints
        if f"{each.namespace}/{each.service}" in called
    }
    assert listed <= set(pods["address"])


@pytest.mark.parametrize(
    ("selection", "condition"),
    [
        (Selection(services=("lb-nginx-ds",)), pl.col("service_name") == "lb-nginx-ds"),
        (
            Selection(services=("default/lb-nginx-ds", "lb-redis-ds")),
            pl.col("service_name").is_in(["lb-nginx-ds", "lb-redis-ds"]),
        ),
        (
            Selection(pods=("default/nginx-ds-tkhgg",)),
            (pl.col("backend_pod") == "nginx-ds-tkhgg")
            | (pl.col("client_pod") == "nginx-ds-tkhgg"),
        ),
        (
            Selection(clients=("192.168.2.100/31",)),
            pl.col("client_ip").str.starts_with("192.168.2.10"),
        ),
        (Selection(clients=("k8s-master",)), pl.col("client_node") == "k8s-master"),
        (
            Selection(services=("lb-nginx-ds",), clients=("192.168.2.101",)),
            (pl.col("service_name") == "lb-nginx-ds")
            & (pl.col("client_ip") == "192.168.2.101"),
        ),
    ],
)
def test_a_selection_keeps_what_it_names(selection, condition):
    graph = path_graph(tables("loadbalancer"), selection=selection)
    asked = (
        tables("loadbalancer")
        .connections.with_columns(pl.selectors.categorical().cast(pl.String))
        .filter(condition)
        .collect()
    )
    assert asked.height
    assert set(graph.steps.collect()["connection_id"]) == set(asked["connection_id"])


def test_a_name_that_nothing_has_is_an_error_with_a_suggestion():
    with pytest.raises(QueryError, match="'lb-nginx'") as caught:
        path_graph(tables("loadbalancer"), selection=Selection(services=("lb-nginx",)))
    assert "lb-nginx-ds" in caught.value.hint
