"""The scorer finds nothing in what the truth tells, and every kind of fault in it."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cache

import polars as pl
import pytest

import analyzer
from captures.score import classes
from captures.score.claims import Shown, translation_claims
from captures.score.judge import Made, judge
from captures.score.recording import Recording
from tests.correlate.told import COLUMNS, hop_table, table, told_rows
from tests.frames import CAPTURES

NAMES = sorted(path.parent.name for path in CAPTURES.glob("cluster/*/truth.jsonl"))


@dataclass
class Run:
    """A recording's captures, their flows, and rows that are right."""

    recording: Recording
    subject: classes.Subject
    flows: pl.DataFrame
    rows: list[dict]

    def judge(self, rows=None, hops=None):
        """Judge these rows, by default those that are right."""
        connections = table(self.rows if rows is None else rows)
        made = Made(connections, hop_table([]) if hops is None else hops, self.flows)
        return judge(made, self.subject, self.recording, has_cluster=True)

    def one(self, **wanted):
        """Give the right rows, copied, and one of them whose truth is as wanted."""
        rows = deepcopy(self.rows)
        ids = {
            record["id"]
            for record in self.recording.truth.values()
            if all(record[key] == value for key, value in wanted.items())
        }
        client = {
            (r["client"]["ip"], r["client"]["port"])
            for r in self.recording.truth.values()
            if r["id"] in ids
        }
        return rows, next(
            row
            for row in rows
            if (row["client_ip"], row["client_port"]) in client
            and row["backend_evidence"] == row["service_evidence"] == "observed"
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Give a class of captures of a recording; each is made once."""

    @cache
    def of(name, class_name="all"):
        recording = Recording(CAPTURES / "cluster" / name)
        folder = tmp_path_factory.mktemp(name)
        subject = next(classes.subjects(recording, class_name, folder))
        cluster = analyzer.Cluster.load([recording.directory / "cluster"])
        paths = [view.path for view in subject.views]
        flows = analyzer.build_tables(paths, cluster=cluster).flows.collect()
        return Run(recording, subject, flows, told_rows(flows, subject, recording))

    return of


def sorts(verdict):
    return {finding.sort for finding in verdict.findings}


def reasons(verdict):
    return [finding.reason for finding in verdict.findings]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("class_name", ["all", "nics", "vxlan", "cali"])
def test_nothing_is_found_in_what_the_truth_tells(name, class_name, run):
    told = run(name, class_name)
    verdict = told.judge()
    # The truth does not say what elimination would.
    assert [f for f in verdict.findings if f.sort != "uneliminated"] == []
    figures = verdict.figures
    assert figures.visible == figures.one_row == len(told.rows) > 0
    assert figures.joined == figures.joinable


def test_without_eliminating_what_can_be_is_found(run):
    figures = run("loadbalancer", "nics").judge().figures
    assert figures.eliminable > 0
    assert figures.eliminated == 0


def test_eliminating_is_counted(run):
    told = run("loadbalancer", "nics")
    truth = {
        (r["client"]["ip"], r["client"]["port"]): r
        for r in told.recording.truth.values()
    }
    rows = deepcopy(told.rows)
    for row in rows:
        if row["backend_evidence"] == "none":
            backend = truth[row["client_ip"], row["client_port"]]["backend"]
            row |= {"backend_ip": backend["ip"], "backend_port": backend["port"]}
            row |= {"backend_evidence": "eliminated", "is_hairpin": False}
    verdict = told.judge(rows)
    assert verdict.findings == []
    assert verdict.figures.eliminated == verdict.figures.eliminable > 0


WRONG = {
    "client_ip": "192.0.2.1",
    "client_port": 1,
    "client_pod": "nginx-ds-k4ndq",
    "client_namespace": "nowhere",
    "client_node": "k8s-worker09",
    "destination_ip": "192.0.2.2",
    "destination_port": 2,
    "destination_kind": "External",
    "service_namespace": "nowhere",
    "service_name": "another",
    "service_port_name": "another",
    "entry_node": "k8s-worker09",
    "snat_ip": "192.0.2.3",
    "snat_port": 3,
    "backend_ip": "192.0.2.4",
    "backend_port": 4,
    "backend_pod": "client-ds-9x2lm",
    "backend_namespace": "nowhere",
    "backend_workload": "DaemonSet/another",
    "backend_node": "k8s-worker09",
    "is_hairpin": True,
    "protocol": "udp",
}


@pytest.mark.parametrize("column", WRONG)
def test_a_wrong_statement_is_found(column, run):
    told = run("nodeport")
    rows, row = told.one(kind="NodePort", outcome="ok")
    row[column] = WRONG[column]
    verdict = told.judge(rows)
    assert verdict.figures.wrong == 1
    (finding,) = [f for f in verdict.findings if f.sort == "wrong"]
    assert finding.connection_id == row["connection_id"]
    assert column.removesuffix("_ip").removesuffix("_port") in finding.reason


def test_the_pod_of_another_node_is_a_wrong_backend(run):
    told = run("spread-even")
    rows, row = told.one(kind="NodePort")
    other = next(r for r in rows if r["backend_ip"] != row["backend_ip"])
    for column in ("ip", "pod", "node"):
        row[f"backend_{column}"] = other[f"backend_{column}"]
    assert told.judge(rows).figures.wrong == 3


def test_a_service_of_its_own_over_the_same_pods_is_wrong(run):
    told = run("loadbalancer")
    rows, row = told.one(service="default/lb-nginx-ds")
    row["service_name"] = "clusterip-nginx-ds"
    assert told.judge(rows).figures.wrong == 1


def test_naming_a_service_where_none_was_addressed_is_wrong(run):
    told = run("clusterip")
    rows = deepcopy(told.rows)
    row = next(row for row in rows if row["destination_kind"] == "Pod")
    row["service_name"] = "clusterip-nginx-ds"
    row["service_evidence"] = "unique"
    assert told.judge(rows).figures.wrong == 1


def test_a_translated_tuple_stated_as_the_destination_is_wrong(run):
    told = run("nodeport", "vxlan")
    rows = deepcopy(told.rows)
    row = next(row for row in rows if row["destination_ip"] is None)
    row["destination_ip"], row["destination_port"] = (
        row["backend_ip"],
        row["backend_port"],
    )
    row["service_evidence"] = "observed"
    assert told.judge(rows).figures.wrong == 1


def test_a_row_for_each_side_is_a_missing_join_and_a_duplicate(run):
    told = run("nodeport")
    rows, row = told.one(kind="NodePort")
    attributed = {f["flow_id"]: f for f in told.flows.iter_rows(named=True)}

    def has_original(number):
        return attributed[number]["responder_ip"] == row["destination_ip"]

    other = deepcopy(row) | {"connection_id": 10_000}
    row["flow_ids"] = [n for n in row["flow_ids"] if has_original(n)]
    other["flow_ids"] = [n for n in other["flow_ids"] if not has_original(n)]
    for each in (row, other):
        points = {attributed[n]["point"] for n in each["flow_ids"]}
        each["points"] = [p for p in each["points"] if p in points]
    verdict = told.judge([*rows, other])
    assert verdict.figures.duplicated == 1
    assert verdict.figures.joined == verdict.figures.joinable - 1
    assert {"duplicated", "unjoined"} <= sorts(verdict)


def test_a_repeated_row_is_a_duplicate(run):
    told = run("mixed")
    rows, row = told.one(proto="tcp")
    verdict = told.judge([*rows, row | {"connection_id": 10_000}])
    assert verdict.figures.duplicated == 1
    assert verdict.figures.one_row == verdict.figures.visible - 1


def test_a_row_left_out_is_missing(run):
    told = run("clusterip")
    rows, row = told.one(kind="ClusterIP")
    rows.remove(row)
    verdict = told.judge(rows)
    assert verdict.figures.missing == 1
    assert "missing" in sorts(verdict)


def test_two_connections_in_one_row_are_wrong(run):
    told = run("mixed")
    again = [row for row in deepcopy(told.rows) if row["client_port"] == 42000]
    assert len(again) == 5
    row, other = again[:2]
    row["flow_ids"] = row["flow_ids"] + other["flow_ids"]
    rest = [
        r
        for r in told.rows
        if r["connection_id"] not in (row["connection_id"], other["connection_id"])
    ]
    verdict = told.judge([*rest, row])
    assert any(reason.startswith("holds mixed-") for reason in reasons(verdict))
    assert verdict.figures.wrong >= 1


def test_flows_swapped_between_connections_of_one_tuple_are_found(run):
    told = run("mixed")
    rows = deepcopy(told.rows)
    row, other = [r for r in rows if r["client_port"] == 42000][:2]
    row["flow_ids"], other["flow_ids"] = other["flow_ids"], row["flow_ids"]
    assert told.judge(rows).figures.wrong > 0


def test_a_row_that_the_truth_does_not_know_is_found(run):
    told = run("mixed")
    unknown = told.flows.filter(
        (pl.col("protocol") == "icmp") & (pl.col("icmp_type") == 3)
    )["flow_id"][0]
    echo = told.flows.with_columns(
        icmp_type=pl.when(pl.col("flow_id") == unknown)
        .then(8)
        .otherwise(pl.col("icmp_type"))
        .cast(pl.UInt8)
    )
    row = deepcopy(told.rows[0]) | {"connection_id": 10_000, "flow_ids": [unknown]}
    verdict = judge(
        Made(table([*told.rows, row]), hop_table([]), echo),
        told.subject,
        told.recording,
        has_cluster=True,
    )
    assert verdict.figures.unknown == 1


def test_rows_of_icmp_errors_are_passed_over(run):
    told = run("mixed")
    error = told.flows.filter(
        (pl.col("protocol") == "icmp") & (pl.col("icmp_type") == 3)
    )["flow_id"][0]
    row = deepcopy(told.rows[0]) | {"connection_id": 10_000, "flow_ids": [error]}
    assert told.judge([*told.rows, row]).figures.unknown == 0


def test_a_row_made_of_no_flow_is_unknown(run):
    told = run("clusterip")
    row = deepcopy(told.rows[0]) | {"connection_id": 10_000, "flow_ids": []}
    assert told.judge([*told.rows, row]).figures.unknown == 1


def test_a_backend_for_what_was_rejected_is_wrong(run):
    told = run("mixed")
    rows = deepcopy(told.rows)
    row = next(row for row in rows if row["client_port"] == 41001)
    row |= {"backend_ip": "10.152.183.203", "backend_port": 80}
    row["backend_evidence"] = "observed"
    assert told.judge(rows).figures.wrong == 1


def test_candidates_without_the_truth_are_wrong(run):
    told = run("nodeport", "vxlan")
    rows = deepcopy(told.rows)
    row = next(row for row in rows if row["destination_ip"] is None)
    row["service_evidence"] = "ambiguous"
    row["candidates"] = ["default/one", "default/another"]
    assert told.judge(rows).figures.wrong == 1
    names = {r["service"] for r in told.recording.truth.values() if r["service"]}
    row["candidates"] = sorted(names)
    assert told.judge(rows).figures.wrong == 0


def test_one_service_may_be_a_candidate_where_none_was_addressed(run):
    told = run("clusterip")
    rows = deepcopy(told.rows)
    row = next(row for row in rows if row["destination_kind"] == "Pod")
    row |= {"service_evidence": "ambiguous", "candidates": ["default/some"]}
    assert told.judge(rows).findings == []


def test_ambiguity_without_candidates_is_odd(run):
    told = run("nodeport", "vxlan")
    rows = deepcopy(told.rows)
    next(row for row in rows if row["destination_ip"] is None)["service_evidence"] = (
        "ambiguous"
    )
    assert told.judge(rows).figures.odd == 1


def test_not_naming_is_no_fault_but_counted(run):
    told = run("clusterip")
    before = told.judge().figures
    rows, row = told.one(kind="ClusterIP")
    row |= {"service_name": None, "service_namespace": None, "service_port_name": None}
    figures = told.judge(rows).figures
    assert figures.unnamed == before.unnamed + 1
    assert figures.named_service == before.named_service - 1
    assert figures.faults == before.faults


ODD = {
    "backend_evidence": "none",
    "service_evidence": "ambiguous",
    "tcp_state": "S0",
    "client_packets": 1,
    "backend_packets": 1,
    "client_bytes": 1,
    "backend_bytes": 1,
    "requests": 7,
    "backend_payload_bytes": 1,
}


@pytest.mark.parametrize("column", ODD)
def test_a_measure_or_evidence_that_does_not_fit_is_odd(column, run):
    told = run("nodeport")
    rows, row = told.one(kind="NodePort", requests=1)
    row[column] = ODD[column]
    assert told.judge(rows).figures.odd >= 1
    assert any(column in reason for reason in reasons(told.judge(rows)))


def test_observed_evidence_needs_the_tuple(run):
    told = run("loadbalancer", "nics")
    rows = deepcopy(told.rows)
    row = next(row for row in rows if row["backend_evidence"] == "none")
    truth = next(
        r
        for r in told.recording.truth.values()
        if r["client"]["port"] == row["client_port"]
    )
    row |= {
        "backend_ip": truth["backend"]["ip"],
        "backend_port": truth["backend"]["port"],
        "backend_evidence": "observed",
    }
    assert told.judge(rows).figures.odd == 1


def test_points_out_of_order_are_odd(run):
    told = run("nodeport")
    rows, row = told.one(kind="NodePort")
    row["points"] = row["points"][::-1]
    assert told.judge(rows).figures.odd == 1


def test_a_point_left_out_is_odd(run):
    told = run("nodeport")
    rows, row = told.one(kind="NodePort")
    row["points"] = row["points"][1:]
    assert told.judge(rows).figures.odd == 1


def test_what_masquerading_made_of_a_visible_client_is_a_wrong_client(run):
    told = run("nodeport")
    rows, row = told.one(kind="NodePort")
    row["client_ip"], row["client_port"] = row["snat_ip"], row["snat_port"]
    verdict = told.judge(rows)
    assert any(reason.startswith("client ") for reason in reasons(verdict))


def test_where_only_the_first_of_two_masquerades_was_seen_it_may_be_the_snat(run):
    told = run("nodeport")
    record = next(r for r in told.recording.truth.values() if len(r["tuples"]) == 3)
    first, second = ((t["src"], t["sport"]) for t in record["tuples"][1:])
    row = dict.fromkeys(COLUMNS)
    for tuples, allowed in ({0, 1}, {first, second}), ({0, 1, 2}, {second}):
        shown = Shown(record, frozenset(tuples))
        for ip, port in (first, second, ("192.0.2.1", 1)):
            stated = row | {"snat_ip": ip, "snat_port": port}
            is_wrong = [*translation_claims(stated, shown, told.recording)] != []
            assert is_wrong == ((ip, port) not in allowed)


def test_a_node_s_address_is_a_name_for_it(run):
    told = run("nodeport")
    rows, row = told.one(kind="NodePort")
    addresses = told.recording.node_addresses
    row["entry_node"] = next(a for a, n in addresses.items() if n == row["entry_node"])
    assert told.judge(rows).figures.wrong == 0


HOP = {
    "direction": "to_backend",
    "from_point": "ext-100/eth0",
    "to_point": "k8s-worker01/ens18",
    "latency_p50": 20_000,
    "clock_bound": 0,
    "lost_segments": 0,
    "capture_loss": False,
}


@pytest.mark.parametrize(
    ("changes", "is_odd"),
    [
        ({}, False),
        ({"to_point": "k8s-worker01/vxlan.calico"}, False),
        ({"direction": "to_client"}, True),
        ({"to_point": "k8s-worker03/calid6dedbab282"}, True),
        ({"latency_p50": -30_000, "clock_bound": 40_000}, False),
        ({"latency_p50": -50_000, "clock_bound": 40_000}, True),
        ({"latency_p50": 1_700_000_000}, True),
        ({"clock_bound": None}, True),
        ({"latency_p50": None, "clock_bound": None}, False),
        ({"lost_segments": 1}, True),
        ({"capture_loss": True}, True),
    ],
)
def test_a_hop_that_cannot_be_is_odd(changes, is_odd, run):
    told = run("loadbalancer")
    row = next(
        row
        for row in told.rows
        if {HOP["from_point"], "k8s-worker01/vxlan.calico"} <= {*row["points"]}
        and "k8s-worker03/calid6dedbab282" not in row["points"]
    )
    hop = {"connection_id": row["connection_id"]} | HOP | changes
    assert told.judge(hops=hop_table([hop])).figures.odd == is_odd
