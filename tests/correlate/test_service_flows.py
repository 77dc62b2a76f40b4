"""Synthetic flows of a busy Service are like those that the compiled stages make."""

import numpy as np
import polars as pl
import pytest

import analyzer
from benchmarks.service.flows import busy_service, segment_ids
from benchmarks.service.load import REUSE_AFTER_S, Load, calls
from benchmarks.service.timeline import REQUEST, RESPONSE
from tests.frames import NODEPORT

COUNT = 3_000
NOT_MADE = {"community_id"}


@pytest.fixture(scope="module", params=["random", "rfc6528"])
def busy(request):
    return busy_service(Load(COUNT, seconds=20, isn=request.param))


@pytest.fixture(scope="module")
def recorded():
    """Give recorded flows of the same sort: one request, six packets and four."""
    flows = analyzer.build_tables(sorted(NODEPORT.glob("k8s-*.ens18.*")))
    return flows.flows.filter(
        pl.col("tcp_state") == "SF",
        pl.col("originator_packets") == 6,
        pl.col("responder_packets") == 4,
        pl.col("originator_payload_bytes") == REQUEST,
        pl.col("responder_payload_bytes") == RESPONSE,
    ).collect()


def test_types_are_those_of_the_flow_table(busy, recorded):
    assert busy.flows.schema == recorded.schema


@pytest.mark.parametrize("tunnel", [None, "vxlan"])
def test_what_is_set_is_what_is_set_in_recorded_flows(tunnel, busy, recorded):
    def set_columns(flows):
        same = flows.filter(pl.col("tunnel").cast(pl.String).eq_missing(tunnel))
        assert same.height > 10
        return {c for c in same.columns if same[c].null_count() == 0} - NOT_MADE

    assert set_columns(busy.flows) == set_columns(recorded)


def test_what_does_not_vary_occurs_in_recorded_flows(busy, recorded):
    constant = [
        c
        for c in recorded.columns
        if c.startswith(("originator_", "responder_"))
        and recorded[c].dtype.is_integer()
        and busy.flows[c].n_unique() == 1
    ]
    assert len(constant) > 15
    for column in constant:
        assert busy.flows[column][0] in recorded[column], column


def test_samples_are_what_the_compiled_stage_samples(recorded):
    assert recorded.height > 20
    numbers = [recorded[f"{end}_isn"].to_numpy() for end in ("originator", "responder")]
    for end, is_reply in ("originator", False), ("responder", True):
        each = segment_ids(*numbers, is_reply=is_reply).values()
        ids = np.sort(np.stack(list(each), axis=1), axis=1)[:, :4]
        assert recorded[f"{end}_packet_ids"].to_list() == ids.tolist()


def test_every_point_shows_the_same_packets(busy):
    constant = [
        f"{end}_{name}"
        for end in ("originator", "responder")
        for name in ("isn", "seq_start", "seq_end", "syn_tsval", "packet_ids")
    ]
    counts = (
        busy.flows.join(busy.truth, on="flow_id")
        .group_by("connection")
        .agg(pl.col(constant).n_unique(), pl.len().alias("points"))
    )
    assert set(counts["points"]) == {2, 6}
    assert all(counts[column].max() == 1 for column in constant)
    assert counts.height == COUNT


def test_two_connections_seldom_share_a_sequence_number(busy):
    first = busy.flows.join(busy.truth, on="flow_id").unique("connection")
    assert first["originator_isn"].n_unique() >= COUNT - 2


def test_times_follow_the_way_once_clocks_are_right(busy):
    offset, drift = busy.load.clocks
    hosts = pl.DataFrame(
        {"host": busy.load.node_names, "offset": offset, "drift": drift}
    )
    begin = int(calls(busy.load).start[0])
    order = (
        busy.flows.with_columns(
            host=pl.col("point").cast(pl.String).str.split("/").list.first()
        )
        .join(hosts, on="host")
        .join(busy.truth, on="flow_id")
        .with_columns(right=pl.col("start_time").dt.timestamp("ns") - pl.col("offset"))
        .with_columns(
            right=pl.col("right") - (pl.col("right") - begin) * pl.col("drift")
        )
        .sort("connection", "right")
        .group_by("connection", maintain_order=True)
        .agg(pl.col("point").cast(pl.String), pl.col("right"))
    )
    for points in order["point"]:
        assert points[0] == "node-0/ens18"
        assert ".calico" not in points[-1]
        assert "/cali" in points[-1]
    assert (order["right"].list.max() - order["right"].list.min()).max() < 1_000_000


def test_five_tuples_are_used_again_when_they_are_free(busy):
    again = (
        busy.flows.filter(pl.col("tunnel").is_null(), pl.col("responder_port") == 8080)
        .sort("start_time")
        .with_columns(
            since=pl.col("start_time").diff().over("originator_ip", "originator_port")
        )
        .drop_nulls("since")
    )
    assert again.height > COUNT * busy.load.reused / 2
    assert again["since"].min().total_seconds() >= REUSE_AFTER_S - 0.01


def test_no_two_connections_to_a_backend_have_one_masqueraded_port(busy):
    pods = busy.connections.group_by("backend_ip", "snat_ip", "snat_port").len()
    assert pods["len"].max() == 1


def test_nics_show_no_local_backend(busy):
    seen = busy.at_nics()
    points = seen.truth.group_by("connection").len(name="points")
    shown = seen.connections.join(points, on="connection")
    assert shown.height == COUNT
    assert set(shown.filter(pl.col("backend_ip").is_null())["points"]) == {1}
    assert set(shown.drop_nulls("backend_ip")["points"]) == {3}
    assert shown["client_ip"].null_count() == 0


def test_the_cluster_knows_every_address(busy):
    cluster = busy.load.cluster
    assert {cluster.node_of(ip) for ip in busy.connections["backend_ip"]} == {
        *busy.load.node_names
    }
    ((service, kind),) = cluster.services_at("192.168.2.200", 8080, "tcp")
    assert (service.name, kind) == ("busy", "LoadBalancer")
    assert len(cluster.endpoints_of(service)) == busy.load.backends
