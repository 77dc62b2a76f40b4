"""The cluster, built now: real servers, real captures, and the truth of both."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from captures.score import classes, report
from captures.score.__main__ import scores_of
from captures.score.recording import Recording
from captures.testbed import netns
from tests.frames import ROOT, flow_rows

pytestmark = pytest.mark.privileged


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_kind_of_traffic_arrived(live):
    # `record` has compared conntrack, the servers' logs and tshark's counts already:
    # it raises at the first disagreement.
    truth = lines(live / "truth.jsonl")
    kinds = {record["vip_kind"] for record in truth}
    assert kinds == {"ClusterIP", "NodePort", "LoadBalancer", "direct"}
    assert {record["proto"] for record in truth} == {"tcp", "udp", "icmp"}
    assert {record["outcome"] for record in truth} == {"ok"}
    assert any(len(record["tuples"]) == 3 for record in truth)  # SNAT twice


def test_no_capture_lost_a_packet(live):
    scenario = json.loads((live / "scenario.json").read_text())
    assert all(c["dropped_by_kernel"] == 0 for c in scenario["captures"])


def expected_counts(live, file):
    """Give packets per direction and encapsulation, as tshark counted them."""
    truth = {record["id"]: record for record in lines(live / "truth.jsonl")}
    found = Counter()
    for row in lines(live / "observed.jsonl"):
        record = truth[row["id"]]
        if row["file"] != file:
            continue
        t = record["tuples"][row["tuple"]]
        client, server = (t["src"], t.get("sport")), (t["dst"], t.get("dport"))
        inside = row["encapsulated"]
        found[record["proto"], client, server, inside] += row["packets_orig"]
        found[record["proto"], server, client, inside] += row["packets_reply"]
    return found


def flow_counts(flows):
    found = Counter()
    for flow in flows:
        a = (flow["originator_ip"], flow["originator_port"])
        b = (flow["responder_ip"], flow["responder_port"])
        inside = flow["tunnel"] is not None
        found[flow["protocol"], a, b, inside] += flow["originator_packets"]
        found[flow["protocol"], b, a, inside] += flow["responder_packets"]
    return found


def test_the_flow_tables_are_the_truth(live):
    scenario = json.loads((live / "scenario.json").read_text())
    checked = 0
    for capture in scenario["captures"]:
        file = capture["file"]
        expected = expected_counts(live, file)
        found = flow_counts(flow_rows(live / file))
        assert {key: found[key] for key in expected} == dict(expected), file
        checked += len(expected)
    assert checked


@pytest.mark.parametrize("class_name", classes.CLASSES)
def test_the_connections_are_the_truth(live, class_name):
    for score in scores_of(Recording(live), [class_name], ["yes", "no"]):
        assert [report.finding_line(score, f) for f in score.verdict.findings] == []
        assert all(clock.is_right for clock in score.clocks)


def test_every_connection_is_visible(live):
    scenario = json.loads((live / "scenario.json").read_text())
    flows = {
        capture["file"]: flow_counts(flow_rows(live / capture["file"]))
        for capture in scenario["captures"]
    }
    for record in lines(live / "truth.jsonl"):
        for seen in record["captures"]["seen"]:
            t = record["tuples"][seen["tuple"]]
            client, server = (t["src"], t.get("sport")), (t["dst"], t.get("dport"))
            key = (record["proto"], client, server, seen["encapsulated"])
            assert flows[seen["file"]][key], (record["id"], seen)
        # A host's own call to a pod of its own node would be on no device recorded.
        assert record["captures"]["seen"], record["id"]


def run_testbed(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "captures.testbed", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ours():
    listing = netns.run(["ip", "netns", "list"])
    return [line for line in listing.splitlines() if line.startswith(netns.PREFIX)]


def running():
    """Find processes that name the testbed's directory, recorded or not."""
    named = str(netns.RUN_DIRECTORY).encode() + b"/"
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if named in path.read_bytes():
                found.append(path)
    return found


@pytest.mark.usefixtures("needs_testbed")
def test_up_after_a_crash_cleans_up_first_and_down_leaves_nothing():
    process = subprocess.Popen(
        [sys.executable, "-m", "captures.testbed", "run", "quick"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 20
    while len(netns.recorded_processes()) < 6:  # in the middle of the servers
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert ours()
    left = netns.recorded_processes()
    assert any(process.is_alive for process in left)
    assert run_testbed("up", "quick").returncode == 0
    assert not any(process.is_alive for process in left)
    assert len(ours()) == 1 + 4 + 2 + 18  # the LAN, nodes, outside hosts, pods
    done = run_testbed("down")
    assert (done.returncode, done.stderr) == (0, "")
    assert not ours()
    assert not running()
    assert not netns.RUN_DIRECTORY.exists()
