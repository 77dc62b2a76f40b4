"""Rules and connection tracking against what is known of the recorded connections."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from analyzer.cluster import Cluster

RECORDINGS = Path(__file__).parents[2] / "captures" / "cluster"
NAMES = sorted(path.parent.name for path in RECORDINGS.glob("*/truth.jsonl"))
SERVICE_KINDS = ("ClusterIP", "NodePort", "LoadBalancer")

# Its pod was an endpoint no more when the rules were saved.
BACKEND_GONE = {"mixed-00069"}


@cache
def cluster_of(name: str) -> Cluster:
    return Cluster.load(
        [RECORDINGS / name / "cluster", RECORDINGS / name / "conntrack"]
    )


def truth_of(name: str) -> list[dict[str, Any]]:
    lines = (RECORDINGS / name / "truth.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def ends_of(sent: dict[str, Any]) -> tuple[Any, ...]:
    """Give addresses with ports, or with the ICMP id in their place."""
    ports = (sent.get("sport"), sent.get("dport"), sent.get("icmp_id"))
    return (sent["src"], sent["dst"], *ports)


@pytest.mark.parametrize("name", NAMES)
def test_every_hop_is_one_entry(name: str) -> None:
    table = cluster_of(name).conntrack_table()
    times = defaultdict(list)
    for row in table.iter_rows(named=True):
        original = (row["src_ip"], row["dst_ip"], row["src_port"], row["dst_port"])
        reply = (
            row["reply_dst_ip"],
            row["reply_src_ip"],
            row["reply_dst_port"],
            row["reply_src_port"],
        )
        key = (
            row["node"],
            row["protocol"],
            (*original, row["icmp_id"]),
            (*reply, row["reply_icmp_id"]),
        )
        times[key].append(row["start_time"].timestamp())
    hops = Counter(
        (
            (
                hop["node"],
                truth["proto"],
                ends_of(hop["orig"]),
                ends_of(hop["sent_on"]),
            ),
            hop["time"],
        )
        for truth in truth_of(name)
        for hop in truth["hops"]
    )
    assert hops
    for (key, time), count in hops.items():
        near = [told for told in times[key] if abs(told - time) < 1e-5]
        assert len(near) == count == 1, key


@pytest.mark.parametrize("name", NAMES)
def test_the_backend_is_among_those_of_the_rules(name: str) -> None:
    backends = defaultdict(set)
    for row in cluster_of(name).rule_table().iter_rows(named=True):
        front = (row["node"], row["address"], row["port"], row["protocol"])
        service = (row["service_namespace"], row["service_name"])
        backends[front].add(
            (service, row["service_port_name"], row["backend_ip"], row["backend_port"])
        )
    checked = 0
    for truth in truth_of(name):
        if truth["vip_kind"] not in SERVICE_KINDS or truth["id"] in BACKEND_GONE:
            continue
        checked += 1
        is_node_port = truth["vip_kind"] == "NodePort"
        address = None if is_node_port else truth["dst"]["ip"]
        front = (truth["entry_node"], address, truth["dst"]["port"], truth["proto"])
        backend = (truth["backend"]["ip"], truth["backend"]["port"])
        service = tuple(truth["service"].split("/"))
        assert (service, truth["service_port"], *backend) in backends[front], truth
    assert checked
