"""What is said of traffic whose truth is known, because it was made up."""

import dataclasses
import re

import numpy as np
import polars as pl
import pytest

from analyzer.analysis import spread
from analyzer.errors import QueryError
from tests.analysis.simulated import (
    NODES,
    PODS,
    SECOND,
    START,
    cluster,
    connections,
    drawn,
)


def judged(calls, state=None, service="web", **asked):
    """Give the service's row, and what is said of it."""
    found = spread(calls, cluster=state, service=service, **asked)
    row = found.subjects.row(0, named=True)
    return row, " ".join(row["sentences"]), found


@pytest.mark.parametrize("size", [12, 60, 400])
def test_even_traffic_seldom_alarms(size):
    words = [
        judged(connections(drawn(size, seed=seed)), cluster())[0]["verdict"]
        for seed in range(100)
    ]
    assert words.count("uneven") < 8
    assert words.count("consistent") > 90


def test_even_traffic_shows_no_changes():
    changes = [
        len(judged(connections(drawn(120, seed=seed)), cluster())[2].changes)
        for seed in range(100)
    ]
    assert sum(map(bool, changes)) <= 4


def test_a_pod_that_falls_out_is_named_with_the_moment():
    calls = drawn(200, seed=1) + drawn(120, (1 / 3, 1 / 3, 1 / 3, 0), seed=2)
    row, text, found = judged(connections(calls), cluster())
    assert row["verdict"] == "uneven"
    last = max(at for at, pod in enumerate(calls) if pod == "web-d") / 10
    told = re.search(r"web-d received nothing after (\d\d):(\d\d):([\d.]+) UTC", text)
    seconds = START / SECOND % 86_400 + last
    told_seconds = int(told[1]) * 3600 + int(told[2]) * 60 + float(told[3])
    assert told_seconds == pytest.approx(seconds, abs=0.01)
    change = found.changes.filter(pl.col("group") == "web-d").row(0, named=True)
    bounds = [
        (change[name].timestamp() - START / SECOND) for name in ("earliest", "latest")
    ]
    assert bounds[0] <= 20 <= bounds[1]
    assert abs(last - 20) < 1  # the truth, within a second


def test_a_pod_that_comes_back_was_away_between_two_moments():
    away = (1 / 3, 1 / 3, 1 / 3, 0)
    calls = drawn(150, seed=1) + drawn(100, away, seed=2) + drawn(150, seed=3)
    _, text, _ = judged(connections(calls), cluster())
    assert re.search(r"web-d received nothing between \S+ and \S+ UTC", text)
    assert "nothing after" not in text
    assert "nothing before" not in text


def test_a_rollout_ends_one_pod_and_begins_another():
    old, new = (1 / 3, 1 / 3, 1 / 3, 0), (0, 1 / 3, 1 / 3, 1 / 3)
    calls = drawn(100, old, seed=1) + drawn(100, new, seed=2)
    _, text, _ = judged(connections(calls), cluster())
    assert re.search(r"web-a received nothing after", text)
    assert re.search(r"web-d received nothing before", text)


def test_a_pod_that_got_nothing_at_all_is_named():
    calls = drawn(60, (1 / 3, 1 / 3, 0, 1 / 3), seed=4)
    row, text, found = judged(connections(calls), cluster())
    assert row["verdict"] == "uneven"
    assert "web-c got nothing instead of 25 %" in text
    assert "web-c" in found.backends.filter("is_outstanding")["group"].to_list()


def test_a_long_lived_connection_is_why_requests_and_bytes_are_uneven():
    calls = drawn(80, seed=6)
    at = calls.index("web-b")
    requests, octets, lasted = ([1] * 80, [700] * 80, [SECOND // 100] * 80)
    requests[at], octets[at], lasted[at] = 500, 900_000, 8 * SECOND
    frame = connections(calls, requests=requests, backend_bytes=octets, lasted=lasted)
    row, text, _ = judged(frame, cluster())
    assert row["verdict"] == "consistent"
    client = f"192.0.2.1:{40_000 + at} (connection {at})"
    for unit in ("Requests", "Bytes"):
        assert re.search(rf"{unit} are less even than connections: web-b has", text)
    assert f"because one long-lived connection, {client}, carries" in text


def test_the_pod_the_moment_and_the_long_lived_connection_are_told_together():
    calls = drawn(200, seed=1) + drawn(120, (1 / 3, 1 / 3, 1 / 3, 0), seed=2)
    at = calls.index("web-b")
    octets, lasted = [700] * 320, [SECOND // 100] * 320
    octets[at], lasted[at] = 900_000, 30 * SECOND
    frame = connections(calls, backend_bytes=octets, lasted=lasted)
    row, text, found = judged(frame, cluster())
    assert row["verdict"] == "uneven"
    assert "web-d got" in row["sentences"][0]
    assert "web-d received nothing after" in text
    moment = found.changes.filter(pl.col("group") == "web-d")["time"].item()
    assert abs(moment.timestamp() - START / SECOND - 20) < 1
    assert f"one long-lived connection, 192.0.2.1:{40_000 + at} " in text


def test_uneven_bytes_of_evenly_chosen_pods_are_no_alarm():
    calls = drawn(80, seed=6)
    octets = np.where(np.arange(80) == 3, 900_000, 700).tolist()
    frame = connections(calls, backend_bytes=octets)
    row, text, _ = judged(frame, cluster(), unit="bytes")
    assert row["verdict"] == "consistent"
    assert "whatever it carries" in text


@pytest.mark.parametrize("unit", ["requests", "bytes", "packets", "duration"])
def test_a_connection_that_carries_most_of_any_unit_is_named(unit):
    amounts = np.where(np.arange(80) == 3, 9_000 * SECOND, SECOND // 100).tolist()
    columns = {
        "requests": "requests",
        "bytes": "backend_bytes",
        "packets": "backend_packets",
        "duration": "lasted",
    }
    calls = connections(drawn(80, seed=6), **{columns[unit]: amounts})
    row, text, _ = judged(calls, cluster(), unit=unit)
    assert row["verdict"] == "consistent"
    are = "is" if unit == "duration" else "are"
    assert f"{unit.capitalize()} {are} less even than connections: " in text
    assert "192.0.2.1:40003 (connection 3)" in text


def test_bytes_that_follow_the_pod_are_an_alarm():
    calls = drawn(400, seed=6)
    octets = [5_000 if pod == "web-a" else 700 for pod in calls]
    frame = connections(calls, backend_bytes=octets)
    row, _, _ = judged(frame, cluster(), unit="bytes")
    assert row["verdict"] == "uneven"


@pytest.mark.parametrize("state", [None, cluster()])
def test_counts_in_turn_are_more_even_than_chance(state):
    row, text, _ = judged(connections(list(PODS) * 30), state)
    assert row["verdict"] == "too even"
    assert "round robin" in text


def test_turns_are_what_round_robin_asks_for():
    state = cluster(proxy="ipvs", scheduler="rr")
    row, text, _ = judged(connections(list(PODS) * 30), state)
    assert row["verdict"] == "consistent"
    assert "IPVS's round robin" in text


def test_round_robin_that_leaves_one_out_is_uneven():
    state = cluster(proxy="ipvs", scheduler="rr")
    row, text, _ = judged(connections(list(PODS[:3]) * 30), state)
    assert row["verdict"] == "uneven"
    assert "web-d got nothing" in text


def test_a_scheduler_that_looks_at_load_is_not_tested():
    state = cluster(proxy="ipvs", scheduler="lc")
    row, text, _ = judged(connections(drawn(100)), state)
    assert row["verdict"] == "untested"
    assert "lc" in text


def sticky(clients, each, seed=0):
    """Draw one pod per client, and give each its calls."""
    pods = drawn(clients, seed=seed)
    order = np.random.default_rng(seed).permutation(clients * each) % clients
    return connections(
        [pods[at] for at in order], client_ip=[f"192.0.2.{at}" for at in order]
    )


@pytest.mark.parametrize("state", [cluster(affinity=True), cluster()])
def test_clients_that_stay_are_one_choice_each(state):
    row, text, _ = judged(sticky(12, 30), state)
    assert row["verdict"] == "consistent"
    assert row["choices"] == 12
    assert "each client" in text


def test_affinity_seldom_alarms():
    state = cluster(affinity=True)
    words = [
        judged(sticky(10, 12, seed=seed), state)[0]["verdict"] for seed in range(100)
    ]
    assert words.count("uneven") < 8


def test_the_rules_probabilities_are_what_is_expected():
    chances = dict(zip(PODS, (0.4, 0.3, 0.2, 0.1), strict=True))
    calls = connections(drawn(400, tuple(chances.values()), seed=3))
    row, _, found = judged(calls, cluster(probabilities=chances))
    assert row["verdict"] == "consistent"
    told = dict(found.backends.select("group", "expected_share").rows())
    assert told == pytest.approx(chances)
    assert judged(calls, cluster())[0]["verdict"] == "uneven"


def test_without_rules_endpoints_are_expected_evenly():
    row, _, found = judged(connections(drawn(100)[:90]), cluster(rules=False))
    assert (row["told_by"], row["verdict"]) == ("endpoints", "consistent")
    assert found.backends["expected_share"].to_list() == [0.25] * 4


def test_without_cluster_state_those_that_answered_are_expected_evenly():
    row, _, _ = judged(connections(drawn(90, (0.5, 0.5, 0, 0))))
    assert (row["told_by"], row["backends"]) == ("seen", 2)
    assert row["verdict"] == "consistent"
    assert "endpoints are not known" in row["null_hypothesis"]


def local(policy, calls_at):
    entry = [node for node, number in calls_at.items() for _ in range(number)]
    calls = [PODS[NODES.index(node)] for node in entry]
    state = cluster(rules=False, service={"external_traffic_policy": policy})
    return connections(calls, entry_node=entry), state


def test_a_local_traffic_policy_explains_an_uneven_spread():
    calls, state = local("Local", {"n0": 50, "n1": 10})
    row, text, found = judged(calls, state)
    assert row["verdict"] == "explained"
    assert "Local" in text
    expected = dict(found.backends.select("group", "expected_share").rows())
    assert expected["web-a"] == pytest.approx(50 / 60)


def test_an_internal_traffic_policy_keeps_calls_of_the_cluster_on_their_node():
    state = cluster(rules=False, service={"internal_traffic_policy": "Local"})
    nodes = ["n1"] * 30 + ["n3"] * 10
    calls = at_home(nodes, client_node=nodes, destination_kind="ClusterIP")
    row, text, found = judged(calls, state)
    assert shares(found) == {"web-a": 0, "web-b": 0.75, "web-c": 0, "web-d": 0.25}
    assert row["verdict"] == "explained"
    assert text.startswith("Traffic policy Local keeps")


ZONES = {"n0": "east", "n1": "east", "n2": "west", "n3": "west"}


def zonal(state, *, hints=ZONES.get, zones=ZONES, node_hints=lambda _: None):
    """Give nodes their zones, and endpoints hints by their node: for zone and node."""
    return dataclasses.replace(
        state,
        nodes=tuple(
            dataclasses.replace(node, zone=zones.get(node.name)) for node in state.nodes
        ),
        endpoints=tuple(
            dataclasses.replace(
                each,
                for_zones=(hint,) if (hint := hints(each.node)) else (),
                for_nodes=(hint,) if (hint := node_hints(each.node)) else (),
            )
            for each in state.endpoints
        ),
    )


EAST = (0.5, 0.5, 0, 0)


def shares(found):
    return dict(found.backends.select("group", "expected_share").rows())


def test_topology_hints_explain_calls_that_stay_in_their_zone():
    calls = connections(drawn(80, EAST), entry_node="n1")
    row, text, found = judged(calls, zonal(cluster(rules=False)))
    assert shares(found) == {"web-a": 0.5, "web-b": 0.5, "web-c": 0, "web-d": 0}
    assert row["verdict"] == "explained"
    assert text.startswith("Uneven, as topology hints make it")
    assert "(hints)" in row["null_hypothesis"]
    assert judged(calls, cluster(rules=False))[0]["verdict"] == "uneven"


def test_calls_of_two_zones_are_expected_in_both():
    calls = connections(
        [*drawn(30, EAST), *drawn(60, (0, 0, 0.5, 0.5))],
        entry_node=["n0"] * 30 + ["n2"] * 60,
    )
    row, _, found = judged(calls, zonal(cluster(rules=False)))
    expected = dict(zip(PODS, (1 / 6, 1 / 6, 1 / 3, 1 / 3), strict=True))
    assert shares(found) == pytest.approx(expected)
    assert row["verdict"] == "explained"


def test_a_call_that_leaves_its_zone_is_told():
    calls = connections([*drawn(40, EAST), "web-c"], entry_node="n0")
    _, text, _ = judged(calls, zonal(cluster(rules=False)))
    assert "web-c received 1 connection" in text
    assert "though the endpoints do not have it" in text


@pytest.mark.parametrize(
    "state",
    [
        # kube-proxy passes hints over if an endpoint has none,
        zonal(cluster(rules=False), hints={**ZONES, "n3": None}.get),
        # or if none is for its zone.
        zonal(cluster(rules=False), zones=dict.fromkeys(NODES, "north")),
    ],
)
def test_hints_that_the_proxy_does_not_use_change_nothing(state):
    row, _, found = judged(connections(drawn(100), entry_node="n0"), state)
    assert row["verdict"] == "consistent"
    assert found.backends["expected_share"].to_list() == [0.25] * 4


def test_hints_without_the_node_s_zone_leave_open_what_to_expect():
    calls = connections(drawn(60, EAST), entry_node="n0")
    row, _, _ = judged(calls, zonal(cluster(rules=False), zones={}))
    assert (row["told_by"], row["backends"]) == ("seen", 4)
    assert row["verdict"] == "consistent"


def test_rules_of_another_zone_s_node_are_not_held_against_a_call():
    state = zonal(cluster(probabilities=dict.fromkeys(PODS[2:], 0.5)))
    of_west = dataclasses.replace(
        state, rules=tuple(rule for rule in state.rules if rule.node == "n2")
    )
    calls = connections(drawn(60, EAST), entry_node="n0")
    row, _, found = judged(calls, of_west)
    assert shares(found)["web-a"] == 0.5
    assert (row["told_by"], row["verdict"]) == ("endpoints", "explained")
    calls = connections(drawn(60, (0, 0, 0.5, 0.5)), entry_node="n3")
    row, _, found = judged(calls, of_west)
    assert shares(found)["web-c"] == 0.5
    assert (row["told_by"], row["verdict"]) == ("rules", "explained")


def on_their_node(hinted=NODES, **more):
    """Give every endpoint a hint for a node, its own or else the first."""
    hints = {node: node if node in hinted else hinted[0] for node in NODES}
    return zonal(cluster(rules=False), node_hints=hints.get, **more)


def at_home(nodes, **columns):
    pods = [PODS[NODES.index(each)] for each in nodes]
    return connections(pods, entry_node=nodes, **columns)


def test_hints_for_nodes_leave_a_call_no_choice():
    row, text, found = judged(at_home(["n0"] * 50 + ["n2"] * 10), on_their_node())
    assert shares(found) == pytest.approx(
        dict(zip(PODS, (5 / 6, 0, 1 / 6, 0), strict=True))
    )
    assert row["verdict"] == "explained"
    assert text.startswith("Topology hints keep calls on the node that takes them in")
    assert "web-a has 83 % of all connections" in text
    assert "kept on the node that takes them in (hints)" in row["null_hypothesis"]


def test_a_node_that_no_endpoint_is_meant_for_keeps_to_its_zone():
    state = on_their_node(hinted=("n0", "n1"))
    nodes = ["n0"] * 30 + ["n2"] * 40
    pods = [*drawn(30, (1 / 3, 0, 1 / 3, 1 / 3)), *drawn(40, (0, 0, 0.5, 0.5))]
    row, text, found = judged(connections(pods, entry_node=nodes), state)
    thirds = 30 / 70 / 3
    expected = (thirds, 0, thirds + 20 / 70, thirds + 20 / 70)
    assert shares(found) == pytest.approx(dict(zip(PODS, expected, strict=True)))
    assert row["verdict"] == "explained"
    assert "on the node that takes them in or in its zone" in text


@pytest.mark.parametrize(
    "state",
    [
        # Without those for zones, none is for the node,
        on_their_node(hinted=("n1",), hints=lambda _: None),
        # and an endpoint without one ends it.
        zonal(
            cluster(rules=False),
            hints=lambda _: None,
            node_hints={"n0": "n0", "n1": "n1", "n2": "n2"}.get,
        ),
    ],
)
def test_hints_for_nodes_that_the_proxy_does_not_use_change_nothing(state):
    row, _, found = judged(connections(drawn(100), entry_node="n0"), state)
    assert row["verdict"] == "consistent"
    assert found.backends["expected_share"].to_list() == [0.25] * 4


def test_hints_for_nodes_leave_open_what_to_expect_of_an_unknown_node():
    calls = connections(drawn(60, EAST), entry_node=None)
    row, _, _ = judged(calls, on_their_node())
    assert row["told_by"] == "seen"


def test_rules_of_another_node_are_not_held_against_a_call_with_hints_for_nodes():
    everywhere = dict.fromkeys(NODES, "east")
    state = zonal(
        cluster(probabilities={"web-c": 1.0}), node_hints=str, zones=everywhere
    )
    of_n2 = dataclasses.replace(
        state, rules=tuple(rule for rule in state.rules if rule.node == "n2")
    )
    row, _, found = judged(at_home(["n0"] * 9), of_n2)
    assert (row["told_by"], shares(found)["web-a"]) == ("endpoints", 1)
    row, _, found = judged(at_home(["n2"] * 9), of_n2)
    assert (row["told_by"], shares(found)["web-c"]) == ("rules", 1)


def test_a_local_traffic_policy_goes_before_hints():
    calls, state = local("Local", {"n0": 50, "n2": 10})
    _, text, found = judged(calls, zonal(state))
    assert shares(found)["web-a"] == pytest.approx(50 / 60)
    assert "raffic policy Local keeps" in text


def test_answers_where_calls_come_in_are_recognised_without_the_policy():
    calls, state = local("Cluster", {"n0": 50, "n1": 10})
    row, text, _ = judged(calls, state)
    assert row["verdict"] == "uneven"
    assert "as externalTrafficPolicy: Local does" in text


def test_the_node_whose_proxy_chooses_otherwise_is_named():
    calls = drawn(150, seed=1) + drawn(150, (0.7, 0.1, 0.1, 0.1), seed=2)
    order = np.random.default_rng(0).permutation(300)
    entry = ["n1"] * 150 + ["n2"] * 150
    frame = connections(
        [calls[at] for at in order], entry_node=[entry[at] for at in order]
    )
    row, text, _ = judged(frame, cluster())
    assert row["verdict"] == "uneven"
    assert "Only calls that come in through n2 fall unevenly" in text


def behind_dnat(calls, **columns):
    """Make calls that were captured behind DNAT only."""
    return connections(
        calls,
        destination_ip=None,
        destination_port=None,
        service_evidence="unique",
        client_node="n0",
        **columns,
    )


def test_a_nic_does_not_show_what_stays_on_its_node():
    away = [pod for pod in drawn(160, seed=5) if pod != "web-a"]
    row, text, found = judged(behind_dnat(away), cluster())
    assert row["verdict"] == "consistent"
    assert "seen only behind DNAT" in text
    here = found.backends.filter(pl.col("group") == "web-a").row(0, named=True)
    assert (here["is_shown"], here["share"]) == (False, None)


def test_any_shows_what_stays_on_its_node():
    away = [pod for pod in drawn(160, seed=5) if pod != "web-a"]
    row, _, _ = judged(behind_dnat(away, points=[["n0/any"]] * len(away)), cluster())
    assert row["verdict"] == "uneven"


def test_a_node_that_calls_only_reach_shows_but_its_own_pod():
    calls = behind_dnat(["web-b"] * 40, points=[["n1/ens18"]] * 40)
    row, _, _ = judged(calls, cluster())
    assert row["verdict"] == "untested"


def test_unknown_backends_stay_in_the_table_and_out_of_the_test():
    calls = drawn(40, seed=3) + [None] * 25
    row, text, found = judged(connections(calls), cluster())
    assert (row["total"], row["unknown"], row["choices"]) == (65, 25, 40)
    assert found.backends["group"].to_list() == [*PODS, None]
    assert found.backends["share"].drop_nulls().sum() == pytest.approx(1)
    assert "25 connections is not known" in text


def test_traffic_to_a_pod_without_a_rule_is_told():
    state = cluster(probabilities=dict.fromkeys(PODS[:3], 1 / 3))
    row, text, _ = judged(connections(drawn(90, (0.3, 0.3, 0.3, 0.1))), state)
    assert row["verdict"] == "consistent"
    assert re.search(r"web-d received \d+ connections though the rules do not", text)


def test_many_services_are_many_tests():
    frames = []
    for number in range(30):
        frame = connections(drawn(60, seed=90 + number), service_name=f"s{number}")
        frames.append(
            frame.with_columns(connection_id=pl.col("connection_id") + number * 60)
        )
    found = spread(pl.concat(frames)).subjects
    services = found.filter(pl.col("subject_kind") == "Service")
    assert services["p_value"].min() < 0.01
    assert "uneven" not in set(services["verdict"])
    assert (services["p_adjusted"] >= services["p_value"]).all()


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("node", ["n0", "n1", "n2", "n3"]),
        ("client", ["192.0.2.1"]),
        ("entry-node", ["n0"]),
    ],
)
def test_it_is_counted_by_what_was_asked(by, groups):
    row, _, found = judged(connections(drawn(40)), cluster(), by=by)
    assert found.backends["group"].to_list() == groups
    assert found.backends["connections"].sum() == row["total"] == 40


def test_nodes_are_tested_like_pods():
    calls = connections(drawn(100, seed=2))
    by_node, _, _ = judged(calls, cluster(), by="node")
    by_pod, _, _ = judged(calls, cluster(), by="pod")
    assert by_node["p_value"] == pytest.approx(by_pod["p_value"])


@pytest.mark.parametrize("unit", ["requests", "bytes", "packets", "duration"])
def test_equal_calls_have_equal_shares_in_every_unit(unit):
    calls = connections(drawn(100, seed=2))
    _, _, found = judged(calls, cluster(), unit=unit)
    _, _, counted = judged(calls, cluster())
    assert found.backends["share"].to_list() == pytest.approx(
        counted.backends["share"].to_list()
    )
    assert found.backends["expected_share"].to_list() == pytest.approx([0.25] * 4)


def test_the_answer_is_the_same_every_time():
    calls = connections(drawn(100, seed=2), backend_bytes=list(range(100)))
    one, other = (
        spread(calls, cluster=cluster(affinity=True), unit="bytes") for _ in range(2)
    )
    for name in one._fields:
        assert getattr(one, name).equals(getattr(other, name)), name


def test_the_order_of_rows_does_not_matter():
    calls = connections(drawn(100, seed=2)).collect()
    shuffled = calls.sample(fraction=1, shuffle=True, seed=4)
    one, other = (spread(each.lazy(), cluster=cluster()) for each in (calls, shuffled))
    assert one.subjects.equals(other.subjects)
    assert one.backends.equals(other.backends)


def test_no_connections_give_empty_tables():
    found = spread(connections([]), cluster=cluster())
    assert [len(each) for each in found] == [0, 0, 0]
    some = spread(connections(drawn(40)), cluster=cluster())
    for none, other in zip(found, some, strict=True):
        assert none.schema == other.schema
    counted = spread(connections(drawn(40)), by="client")
    assert counted.subjects.schema == found.subjects.schema
    assert found.subjects.schema["start_time"] == some.backends.schema["first_time"]


@pytest.mark.parametrize(
    ("service", "message", "hint"),
    [
        ("default/wep", "no connections to such a service", "did you mean default/web"),
        ("shop", "no connections to such a service", "there is traffic to default/web"),
        ("ds/nginx", "no connections to such a service", "DaemonSet/default/web"),
    ],
)
def test_a_service_without_traffic_is_told(service, message, hint):
    with pytest.raises(QueryError, match=message) as raised:
        spread(connections(drawn(9)), service=service)
    assert hint in raised.value.hint


@pytest.mark.parametrize("asked", [{"by": "zone"}, {"unit": "octets"}])
def test_what_cannot_be_counted_is_told(asked):
    with pytest.raises(QueryError, match="cannot be counted so") as raised:
        spread(connections(drawn(9)), **asked)
    assert "take one of" in raised.value.hint


@pytest.mark.parametrize("name", ["default/web", "web", "DaemonSet/web", "ds/web"])
def test_a_subject_has_several_names(name):
    found = spread(connections(drawn(9)), service=name)
    assert len(found.subjects) == 1
    kind = "DaemonSet" if "/web" in name and "default" not in name else "Service"
    assert found.subjects["subject_kind"].item() == kind


def test_a_service_that_may_be_meant_is_no_certainty():
    calls = connections(
        drawn(9),
        service_name=None,
        service_namespace=None,
        destination_ip=None,
        service_evidence="ambiguous",
        candidates=[["10.1.0.7:8080", "default/web"]] * 9,
    )
    with pytest.raises(QueryError, match="9 may be"):
        spread(calls, service="default/web")
    assert spread(calls).subjects["subject_kind"].to_list() == ["DaemonSet"]


def test_without_names_an_address_that_led_elsewhere_is_the_subject():
    calls = connections(
        [*drawn(40), None],
        service_name=None,
        service_namespace=None,
        backend_pod=None,
        backend_workload=None,
        service_evidence="none",
    )
    row, _, found = judged(calls, service="198.51.100.1:80")
    assert row["subject_kind"] == "Address"
    assert found.backends["group"].to_list() == [
        *(f"10.1.{at}.7:8080" for at in range(4)),
        None,
    ]
