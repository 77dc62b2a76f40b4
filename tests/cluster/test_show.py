"""``analyze cluster show``."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.cli.cluster import cluster, show

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = {"node": 4, "pod": 12, "service": 10, "interface": 4}


def run(*arguments: object, columns: int = 80) -> Result:
    runner = CliRunner(env={"COLUMNS": str(columns)})
    return runner.invoke(main, ["cluster", "show", *map(str, arguments)])


def records(*arguments: object) -> list[dict[str, Any]]:
    result = run("--json", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def counts(kinds: list[str]) -> dict[str, int]:
    return {kind: kinds.count(kind) for kind in COUNTS}


def test_json_lines_say_what_they_are_about(captures: Path) -> None:
    found = records(captures / "reference")
    assert counts([record["kind"] for record in found]) == COUNTS
    service = next(item for item in found if item.get("name") == "lb-nginx-ds")
    assert service["external_ips"] == ["192.168.2.38"]
    assert service["selector"] == {"name": "nginx"}
    assert service["ports"][0]["node_port"] == 30800


def test_csv_has_one_heading(captures: Path) -> None:
    result = run("--format", "csv", captures / "reference")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert counts([row["kind"] for row in rows]) == COUNTS


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_tables_fit_the_terminal(recorded_files: Path, columns: int) -> None:
    result = run(recorded_files, columns=columns)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    for title in ("4 nodes", "29 pods", "8 services", "27 endpoints"):
        assert title in lines


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_rules_and_connections_are_counted(captures: Path, columns: int) -> None:
    recording = captures / "cluster" / "dualstack"
    result = run(recording / "cluster", recording / "conntrack", columns=columns)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert "180 rules of kube-proxy" in lines
    assert "306 tracked connections" in lines
    told = re.findall(r"^k8s-\w+ +nftables +\d+", result.stdout, re.MULTILINE)
    assert len(told) == 4


def test_json_has_the_rules_and_counts_the_connections(captures: Path) -> None:
    recording = captures / "cluster" / "mixed"
    found = records(recording / "cluster", recording / "conntrack")
    rules = [record for record in found if record["kind"] == "rule"]
    assert {rule["address_kind"] for rule in rules} == {
        "ClusterIP",
        "LoadBalancer",
        "NodePort",
    }
    assert all("probability" in item for rule in rules for item in rule["backends"])
    nodes = [record for record in found if record["kind"] == "conntrack"]
    assert sum(node["entries"] for node in nodes) == 339
    assert all(node["translated"] < node["entries"] for node in nodes)


def test_everything_is_in_the_table(captures: Path) -> None:
    text = run(captures / "reference").stdout
    for word in ("66:d5:cf:d3:6b:7e", "10.1.79.75", "lb-redis-ds", "6379:30379/TCP"):
        assert word in text
    assert "12 pods in namespace default" in text
    assert "not known" in text


def test_what_was_not_understood_has_its_place(tmp_path: Path) -> None:
    (tmp_path / "pods").write_text("web 1/1 Running 0 1m\nwhat?\n")
    assert re.search(r"pods:2 +what\? +no row of a known table", run(tmp_path).stdout)
    (remark,) = (item for item in records(tmp_path) if item["kind"] == "remark")
    assert (remark["line"], remark["text"]) == (2, "what?")


def test_ready_is_a_column_only_if_something_is_not(tmp_path: Path) -> None:
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": True}}],
        "ports": [{"port": 80}],
    }
    (tmp_path / "slices").write_text(json.dumps(slices))
    assert "READY" not in run(tmp_path).stdout
    slices["endpoints"] = [{"addresses": ["10.1.0.1"], "conditions": {"ready": False}}]
    (tmp_path / "slices").write_text(json.dumps(slices))
    assert "READY" in run(tmp_path).stdout


def test_what_is_all_there_is_is_said(captures: Path, tmp_path: Path) -> None:
    folder = captures / "cluster" / "nodeport" / "cluster"
    table = run(folder).stdout.partition("known in full\n")[2]
    assert re.search(r"^services, by lists +IPv4 and IPv6$", table, re.MULTILINE)
    assert re.search(r"^services, by rules +IPv4$", table, re.MULTILINE)
    (one,) = (item for item in records(folder) if item["kind"] == "known_in_full")
    assert (one["lists_of_ip_versions"], one["rules_of_ip_versions"]) == (
        [4, 6],
        [4],
    )
    (tmp_path / "services").write_text((folder / "svc-wide.txt").read_text())
    table = run(tmp_path).stdout.partition("known in full\n")[2]
    assert re.search(r"^services, by lists +-$", table, re.MULTILINE)


def test_a_failure_is_one_line_and_a_hint(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "no such file" in result.stderr
    assert "hint: " in result.stderr
    assert result.stdout == ""


def test_the_examples_run(captures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(captures.parent)
    text = f"{cluster.help}\n{show.help}"
    examples = re.findall(r"^\s*analyze (.+)$", text, re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        assert CliRunner().invoke(main, example.split()).exit_code == 0
