"""Joined connections are named as the earlier recording named them."""

import gzip
import json
from collections import Counter

import pytest

from captures.testbed import logs, truth
from captures.testbed.capture import Capture
from captures.testbed.cluster import ROUND_2
from tests.testbed.conftest import DATA


@pytest.fixture(scope="module")
def rebuilt(earlier):
    with gzip.open(DATA / "scenario.json.gz", "rt") as file:
        described = json.load(file)["captures"]
    captures = [
        Capture(c["node"], tuple(c["interfaces"]), c["variant"]) for c in described
    ]
    assert [c.file for c in captures] == [c["file"] for c in described]
    return truth.records("nodeport", ROUND_2, earlier, captures, [], 0.0)


SAME = (
    "id",
    "proto",
    "start",
    "client",
    "dst",
    "kind",
    "vip_kind",
    "hairpin",
    "service",
)
SAME += ("entry_node", "snat", "backend", "outcome", "state", "open_before_capture")
SAME += ("packets", "bytes", "tuples", "hops")


@pytest.mark.parametrize("name", SAME)
def test_a_field_is_what_it_was(name, rebuilt, earlier_truth):
    assert [r[name] for r in rebuilt] == [r[name] for r in earlier_truth]


def test_the_captures_that_must_show_a_connection_are_those_that_did(
    rebuilt, earlier_truth
):
    for ours, theirs in zip(rebuilt, earlier_truth, strict=True):
        for key, expected in theirs["captures"].items():
            found = ours["captures"][key]
            assert Counter(map(str, found)) == Counter(map(str, expected)), ours["id"]


HTTP = (
    "1795413481.553 pod=web conn=7 req=1 client=10.1.235.192:38625 "
    'server=10.1.69.202:90 sent=853 status=200 "GET / HTTP/1.1"'
)


def test_requests_of_one_connection_are_one_visit():
    again = HTTP.replace("req=1", "req=2")
    (visit,) = logs.visits("web", "nginx", [HTTP, again])
    assert (visit.ip, visit.port) == ("10.1.235.192", 38625)
    assert (visit.requests, visit.sent) == (2, 1706)


def test_a_reused_port_is_another_visit():
    first = HTTP.replace("conn=7 req=1", "conn=- req=0")
    kept = HTTP.replace("conn=7 req=1", "conn=- req=1")
    found = logs.visits("web", "apache", [first, kept, first])
    assert [visit.requests for visit in found] == [2, 1]


def test_redis_and_dns_name_the_client():
    line = "16322:M 23 Nov 2026 05:58:01.667 - Accepted 10.1.235.192:44301"
    (visit,) = logs.visits("redis", "redis", [line, "other"])
    assert (visit.ip, visit.port, visit.requests) == ("10.1.235.192", 44301, None)
    line = (
        "Nov 23 dnsmasq[77]: 3 fd00::1/41234 query[AAAA] a.cluster.local from fd00::1"
    )
    (visit,) = logs.visits("dns", "dns", [line])
    assert (visit.ip, visit.port, visit.requests) == ("fd00::1", 41234, 1)


def one_record(pod="web", port=38625):
    return {
        "id": "x-0",
        "proto": "tcp",
        "outcome": "ok",
        "backend": {"pod": pod},
        "tuples": [{"src": "10.1.235.192", "sport": port}],
    }


def test_agreeing_logs_say_nothing_and_fill_in_requests():
    record = one_record()
    assert logs.attach([record], {"web": logs.visits("web", "nginx", [HTTP])}) == []
    assert (record["requests"], record["response_bytes"]) == (1, 853)


def test_what_only_one_side_knows_is_reported():
    seen = {"web": logs.visits("web", "nginx", [HTTP])}
    problems = logs.attach([one_record(port=1)], seen)
    assert problems == [
        "x-0: web logged nothing from ('10.1.235.192', 1)",
        "web logged 1 more connections from 10.1.235.192:38625",
    ]
