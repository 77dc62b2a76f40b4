"""The recorded samples hold what their README says, and agree with themselves."""

import json
from collections import Counter

import pytest

from captures.testbed import observed, scenarios, truth
from tests.frames import CAPTURES

SAMPLES = CAPTURES / "cluster"
NAMES = [s.name for s in scenarios.ALL.values() if s.recorded]
ALLOWED_MEGABYTES = 13


def lines(name, file):
    return [
        json.loads(line) for line in (SAMPLES / name / file).read_text().splitlines()
    ]


def described(name):
    return json.loads((SAMPLES / name / "scenario.json").read_text())


def of(name, **wanted):
    """Give the truth records that have these values."""
    return [
        record
        for record in lines(name, "truth.jsonl")
        if all(record.get(key) == value for key, value in wanted.items())
    ]


def test_all_samples_together_are_small():
    size = sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file())
    assert size < ALLOWED_MEGABYTES * 1e6


@pytest.mark.parametrize("name", NAMES)
def test_no_capture_lost_a_packet(name):
    captures = described(name)["captures"]
    assert all(c["dropped_by_kernel"] == 0 for c in captures)
    files = {path.name for path in (SAMPLES / name).glob("*.gz")}
    assert files == {c["file"] + ".gz" for c in captures}


@pytest.mark.parametrize("name", NAMES)
def test_truth_and_server_logs_agree_with_no_exception(name):
    records = lines(name, "truth.jsonl")
    cluster = scenarios.ALL[name].cluster
    again = json.loads(json.dumps(records))
    assert truth.check_logs(again, cluster, SAMPLES / name) == []
    assert again == records  # requests and response bytes are those of the logs
    recorded = json.loads((SAMPLES / name / "summary.json").read_text())
    assert truth.summary(records) == recorded


@pytest.mark.parametrize("name", NAMES)
def test_every_connection_is_observed_where_the_truth_says(name):
    seen = {
        (record["id"], s["file"], s["tuple"], s["encapsulated"])
        for record in lines(name, "truth.jsonl")
        for s in record["captures"]["seen"]
    }
    observed = {
        (row["id"], row["file"], row["tuple"], row["encapsulated"])
        for row in lines(name, "observed.jsonl")
    }
    assert observed == seen


@pytest.mark.parametrize("name", NAMES)
def test_cluster_state_is_that_of_kubectl_and_of_every_node(name):
    folder = SAMPLES / name / "cluster"
    for kind in ("nodes", "pods", "services", "endpointslices"):
        assert json.loads((folder / f"{kind}.json").read_text())["kind"] == "List"
    for node in ("k8s-master", "k8s-worker01", "k8s-worker02", "k8s-worker03"):
        assert json.loads((folder / f"{node}.ip-addr.json").read_text())
        assert (SAMPLES / name / "conntrack" / f"{node}.events.txt").stat().st_size
        assert (SAMPLES / name / "conntrack" / f"{node}.list.txt").stat().st_size
    nft = described(name)["proxy_mode"] == "nftables"
    assert (folder / "k8s-master.nft-list-ruleset.txt").exists() == nft


def test_clusterip_has_hosts_pods_dns_and_direct_calls():
    assert of("clusterip", kind="ClusterIP", proto="udp")
    assert of("clusterip", service="kube-system/kube-dns", proto="tcp")
    assert of("clusterip", kind="direct", proto="icmp")
    clients = {r["client"]["kind"] for r in of("clusterip", vip_kind="ClusterIP")}
    assert clients == {"host", "pod"}
    assert of("clusterip", kind="hairpin", hairpin=True)


def test_nodeport_has_two_snats():
    assert any(len(r["tuples"]) == 3 for r in of("nodeport", kind="NodePort"))
    assert of("nodeport", outcome="refused")
    entries = {r["entry_node"] for r in of("nodeport", kind="NodePort")}
    assert len(entries) == 4


def test_loadbalancer_enters_at_the_announcing_node():
    announcers = described("loadbalancer")["announcers"]
    for record in of("loadbalancer", kind="LoadBalancer"):
        if record["client"]["kind"] == "external":
            assert record["entry_node"] == announcers[record["dst"]["ip"]]


def test_mixed_has_what_is_hard():
    assert len(of("mixed", open_before_capture=True)) == 2
    assert of("mixed", outcome="no-answer", state="SYN_SENT")
    assert len(of("mixed", outcome="rejected-icmp", by_hand=True)) == 4
    assert of("mixed", outcome="refused-icmp", proto="udp")
    local = of(
        "mixed", service="default/local-nginx-ds", op="externalTrafficPolicy Local"
    )
    assert local
    assert all(r["snat"] is None for r in local)
    reused = Counter(
        (r["client"]["ip"], r["client"]["port"]) for r in of("mixed", proto="tcp")
    )
    assert sum(count == 5 for count in reused.values()) == 2
    assert any(r["backend"]["kind"] == "host-network" for r in of("mixed"))
    changes = described("mixed")["changes"]
    assert len(changes) == 1
    after = [
        r["backend"]["pod"]
        for r in of("mixed", service="default/lb-redis-ds")
        if r["start"] > changes[0]["time"]
    ]
    assert after
    assert "redis-ds-d2ps6" not in after


def test_mixed_has_affinity():
    chosen = {}
    for record in of("mixed", service="default/sticky-apache-ds"):
        key = (record["client"]["ip"], record["entry_node"])
        chosen.setdefault(key, set()).add(record["backend"]["pod"])
    assert len(chosen) == 3
    assert all(len(pods) == 1 for pods in chosen.values())


@pytest.mark.parametrize(
    ("name", "snaplen"), [("spread-even", 96), ("spread-skewed", 128)]
)
def test_spread_is_recorded_with_a_short_snaplen(name, snaplen):
    assert {c["snaplen"] for c in described(name)["captures"]} == {snaplen}
    assert len(of(name)) > 150


def test_skew_is_in_the_truth():
    (change,) = described("spread-skewed")["changes"]
    early = {
        r["backend"]["pod"]
        for r in of("spread-skewed", service="default/lb-nginx-ds")
        if r["start"] < change["time"]
    }
    assert early == {"nginx-ds-tkhgg", "nginx-ds-6nw9w"}


def test_an_endpoint_leaves_beside_a_long_lived_connection():
    (change,) = described("spread-unready")["changes"]
    records = of("spread-unready", service="default/lb-nginx-ds")
    late = [r for r in records if r["start"] > change["time"]]
    early = [r for r in records if r["start"] < change["time"]]
    assert "nginx-ds-k4ndq" in {r["backend"]["pod"] for r in early}
    assert "nginx-ds-k4ndq" not in {r["backend"]["pod"] for r in late}
    most = max(records, key=lambda r: r["requests"])
    assert most["requests"] > sum(r["requests"] for r in records if r is not most)


def test_cluster_state_is_from_before_the_endpoint_left():
    folder = SAMPLES / "spread-unready" / "cluster"
    rules = (folder / "k8s-worker01.iptables-save.txt").read_text()
    assert '"default/lb-nginx-ds -> 10.1.69.201:80"' in rules


def test_drops_are_between_two_devices_and_in_both_directions():
    dropped = [drop for r in of("drops") for drop in r.get("dropped", ())]
    assert len(dropped) == 5
    assert {drop["direction"] for drop in dropped} == {"orig", "reply"}
    across = [
        d for d in dropped if d["after"].split("/")[0] != d["before"].split("/")[0]
    ]
    assert [d["after"] for d in across] == ["k8s-worker03/ens18"]
    outcomes = Counter(r["outcome"] for r in of("drops") if "dropped" in r)
    assert outcomes == {"no-answer": 2, "ok": 3}
    assert any("dropped" not in r for r in of("drops"))


def test_as_many_packets_are_missing_behind_a_drop_as_its_rule_counted():
    records, rows = lines("drops", "truth.jsonl"), lines("drops", "observed.jsonl")
    assert observed.unlike_drops(records, rows) == []
    record = next(r for r in records if "dropped" in r)
    record["dropped"][0]["packets"] += 1
    (problem,) = observed.unlike_drops(records, rows)
    assert record["id"] in problem


def test_dualstack_has_both_families_and_each_kind_in_ipv6():
    six = [r for r in of("dualstack") if ":" in r["client"]["ip"]]
    assert {r["vip_kind"] for r in six} == {
        "ClusterIP",
        "NodePort",
        "LoadBalancer",
        "direct",
    }
    assert {r["proto"] for r in six} == {"tcp", "udp", "icmp6"}
    assert any("." in r["client"]["ip"] for r in of("dualstack"))
