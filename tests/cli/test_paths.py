"""``analyze paths`` from outside."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import analyzer
from analyzer.cli import main
from captures.files import pcap
from tests.recordings import RECORDED, tables

CAPTURES = str(RECORDED / "loadbalancer")
CLUSTER = str(RECORDED / "loadbalancer" / "cluster")


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("tables") / "lb.tables"
    tables("loadbalancer").write(path)
    return str(path)


def run(*arguments: str, columns: int = 100):
    return CliRunner().invoke(
        main, ["paths", *arguments], env={"COLUMNS": str(columns)}
    )


def test_captures_and_their_tables_give_the_same(directory):
    from_captures = run(CAPTURES, "--cluster", CLUSTER)
    from_tables = run(directory)
    assert from_captures.exit_code == from_tables.exit_code == 0
    assert from_captures.stdout == from_tables.stdout
    assert "lb-nginx-ds LoadBalancer 192.168.2.38:8080" in from_tables.stdout


@pytest.mark.parametrize("columns", [80, 160])
def test_text_fits_the_terminal(directory, columns):
    result = run(directory, columns=columns)
    assert max(map(len, result.stdout.splitlines())) <= columns


def test_rows_are_the_routes(directory):
    rows = [json.loads(line) for line in run(directory, "--json").stdout.splitlines()]
    connections = analyzer.open_tables(directory).connections.collect()
    assert sum(row["connections"] for row in rows) == connections.height
    text = run(directory, "--format", "csv").stdout
    assert len(list(csv.DictReader(io.StringIO(text)))) == len(rows)


@pytest.mark.parametrize(
    ("arguments", "column", "value"),
    [
        (["--service", "lb-redis-ds"], "service_name", "lb-redis-ds"),
        (["--client", "192.168.2.101"], "client_ip", "192.168.2.101"),
        (["--pod", "apache-ds-kzpns"], "backend_pod", "apache-ds-kzpns"),
    ],
)
def test_filters_keep_what_they_name(directory, arguments, column, value):
    rows = [
        json.loads(line)
        for line in run(directory, *arguments, "--json").stdout.splitlines()
    ]
    asked = analyzer.open_tables(directory).connections.filter(
        pl.col(column).cast(pl.String) == value
    )
    assert sum(row["connections"] for row in rows) == asked.collect().height > 0


@pytest.mark.parametrize("ending", ["svg", "html", "png", "pdf", "mmd", "dot", "json"])
def test_each_ending_is_written(directory, tmp_path, ending):
    file = tmp_path / f"paths.{ending}"
    result = run(directory, "-o", str(file))
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout == f"Paths of 78 connections to 3 Services: {file}\n"
    starts = {
        "svg": b"<?xml",
        "html": b"<!doctype html>",
        "png": b"\x89PNG",
        "pdf": b"%PDF",
        "mmd": b"---\ntitle:",
        "dot": b"digraph",
        "json": b"{",
    }
    assert file.read_bytes().startswith(starts[ending])


def test_the_title_counts_what_is_drawn(directory, tmp_path):
    file = tmp_path / "paths.svg"
    run(directory, "--service", "lb-nginx-ds", "-o", str(file))
    title = ET.parse(file).getroot().find("{http://www.w3.org/2000/svg}title").text  # noqa: S314  ours
    asked = analyzer.open_tables(directory).connections.filter(
        pl.col("service_name").cast(pl.String) == "lb-nginx-ds"
    )
    assert title == f"Paths of {asked.collect().height} connections to lb-nginx-ds"


def test_width_by_bytes_draws_other_links(directory, tmp_path):
    by = {}
    for what in ("connections", "bytes"):
        file = tmp_path / f"{what}.svg"
        assert run(directory, "--by", what, "-o", str(file)).exit_code == 0
        by[what] = file.read_text()
    assert by["connections"] != by["bytes"]
    assert "width is their bytes" in by["bytes"]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--service", "lb-ngins-ds"], "no connection has the service", "lb-nginx-ds"),
        (["-o", "paths.bmp"], "ends in .bmp", ".svg"),
        (
            ["-o", "nowhere/paths.svg"],
            "nowhere/paths.svg: no such file or directory",
            "spelling",
        ),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_a_hint(
    directory, monkeypatch, tmp_path, arguments, message, hint
):
    monkeypatch.chdir(tmp_path)
    result = run(directory, *arguments)
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert message in first
    assert hint in second
    assert list(Path().iterdir()) == []


def test_no_input_is_wrong_usage():
    result = run()
    assert result.exit_code == 2
    assert "INPUT" in result.stderr


@pytest.mark.parametrize("ending", ["svg", "html", "png", "pdf", "mmd", "dot", "json"])
def test_no_connections_are_an_empty_picture(tmp_path, ending):
    capture = tmp_path / "none.pcap"
    capture.write_bytes(pcap([]))
    file = tmp_path / f"none.{ending}"
    assert run(str(capture)).stdout.startswith("Paths of 0 connections\n")
    assert run(str(capture), "-o", str(file)).exit_code == 0
    assert file.stat().st_size > 0
    result = run(str(capture), "--connection", "0")
    assert result.exit_code == 1
    assert "there is none at all" in result.stderr


def test_a_ladder_of_captures_and_of_tables_is_the_same(directory):
    from_captures = run(CAPTURES, "--cluster", CLUSTER, "--connection", "37")
    from_tables = run(directory, "--connection", "37")
    assert from_captures.exit_code == from_tables.exit_code == 0
    assert from_captures.stdout == from_tables.stdout
    assert "DNAT and SNAT" in from_tables.stdout


@pytest.mark.parametrize("ending", ["svg", "html", "png", "pdf", "mmd", "json"])
def test_a_ladder_is_drawn(directory, tmp_path, ending):
    file = tmp_path / f"ladder.{ending}"
    assert run(directory, "--connection", "37", "-o", str(file)).exit_code == 0
    assert file.stat().st_size > 1500


def test_a_ladder_as_json_has_its_tables(directory, tmp_path):
    file = tmp_path / "ladder.json"
    run(directory, "--connection", "37", "-o", str(file))
    told = json.loads(file.read_text())
    assert told["title"].startswith("Connection 37: ")
    assert {name: len(told[name]) for name in ("places", "packets", "hops")} == {
        "places": 7,
        "packets": 70,
        "hops": 12,
    }


DROPS = RECORDED / "drops"


@pytest.mark.parametrize(
    ("client", "last", "columns"),
    [
        ("10.1.235.216:41000", "k8s-worker02/vxlan.calico", 80),
        ("10.1.235.216:41000", "k8s-worker02/vxlan.calico", 160),
        ("10.1.39.204:41002", "k8s-worker03/ens18", 160),
        ("192.168.2.100:41003", "k8s-worker01/ens18", 160),
    ],
)
def test_a_ladder_says_where_packets_vanished(client, last, columns):
    state = ("--cluster", str(DROPS / "cluster"))
    tables = analyzer.build_tables(
        sorted(DROPS.glob("*.gz")), cluster=analyzer.Cluster.load([DROPS / "cluster"])
    )
    address, port = client.split(":")
    (number,) = tables.connections.filter(
        pl.col("client_ip").cast(pl.String) == address,
        pl.col("client_port") == int(port),
    ).collect()["connection_id"]
    asked = (str(DROPS), *state, "--connection", str(number))
    text = run(*asked, columns=columns).stdout
    assert max(map(len, text.splitlines())) <= columns
    places = dict(re.findall(r"^([A-Z])  (\S+)", text, re.MULTILINE))
    crosses = [line for line in text.splitlines() if "✗" in line and "●" in line]
    assert crosses
    heading = next(line for line in text.splitlines() if line.strip()[:4] == "time")
    for line in crosses:
        reached = line.index("▶") if "▶" in line else line.rindex("●")
        begin, ellipsis, end = places[heading[reached]].partition("…")
        assert last.startswith(begin)
        assert last.endswith(end) if ellipsis else last == begin


def test_the_picture_marks_what_vanished(tmp_path):
    file = tmp_path / "drops.svg"
    asked = (str(DROPS), "--cluster", str(DROPS / "cluster"), "-o", str(file))
    assert run(*asked).exit_code == 0
    root = ET.parse(file).getroot()  # noqa: S314  ours
    groups = [
        each
        for each in root.iter("{http://www.w3.org/2000/svg}g")
        if int(each.get("data-lost-segments") or 0)
    ]
    lost = {
        (each.get("data-source"), each.get("data-target")): int(
            each.get("data-lost-segments")
        )
        for each in groups
    }
    assert sum(lost.values()) == sum(
        drop["packets"]
        for line in (DROPS / "truth.jsonl").read_text().splitlines()
        for drop in json.loads(line).get("dropped", ())
        if json.loads(line)["outcome"] == "ok" or drop["direction"] == "reply"
    )
    assert ("exit/k8s-worker03/vxlan", "arrival/k8s-worker02/vxlan") in lost
    said = " ".join(each.text or "" for each in root.iter())
    assert "1 unanswered" in said
    assert "lost: seen before, not behind, where it was captured" in said


def test_rows_of_a_ladder_are_packets_at_places(directory):
    lines = run(directory, "--connection", "37", "--json").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 70
    assert rows[0]["point"] == "ext-101/eth0"


def test_a_ladder_is_no_graph(directory, tmp_path):
    result = run(directory, "--connection", "37", "-o", str(tmp_path / "ladder.dot"))
    assert result.exit_code == 1
    assert "no graph" in result.stderr
    assert ".svg" in result.stderr


def test_tables_without_packets_say_how_to_get_them(tmp_path):
    captures = [RECORDED / "loadbalancer" / "ext-101.eth0.pcapng.gz"]
    analyzer.build_tables(captures).write(tmp_path / "few.tables")
    result = run(str(tmp_path / "few.tables"), "--connection", "0")
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert "no packets table" in first
    assert "--packets" in second
