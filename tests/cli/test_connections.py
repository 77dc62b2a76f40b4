"""`analyze flows` prints connections first, and as JSON or CSV if asked to."""

import csv
import json
import re

import pytest

from tests.frames import CAPTURES

FOLDER = CAPTURES / "cluster" / "loadbalancer"
NIC = str(FOLDER / "k8s-worker01.ens18.pcap.gz")


@pytest.fixture
def show(analyze, tmp_path):
    def show(*arguments, **how):
        target = str(tmp_path / "x.tables")
        return analyze("flows", NIC, "-o", target, *arguments, **how)

    return show


def test_connections_come_before_flows(show):
    printed = show(
        "--cluster", str(FOLDER / "cluster"), "--top", "44", columns=120
    ).stdout
    assert printed.index("44 connections") < printed.index("81 flows")
    assert "lb-nginx-ds" in printed
    assert "eliminated" in printed


def test_a_rewritten_source_stands_beside_the_client(show):
    wide = show("--cluster", str(FOLDER / "cluster"), columns=160).stdout
    assert "192.168.2.101:60940 via 10.1.79.64  lb-nginx-ds (LoadBalancer)" in wide
    assert "10.1.235.192:9506 k8s-master " in wide
    narrow = show("--cluster", str(FOLDER / "cluster"), columns=80).stdout
    assert "192.168.2.101:60940  lb-nginx-ds" in narrow


def test_a_pod_that_called_itself_is_a_hairpin(analyze, tmp_path):
    folder = CAPTURES / "cluster" / "clusterip"
    capture = str(folder / "k8s-master.any.pcap.gz")
    how = ("--cluster", str(folder / "cluster"), "--top", "100")
    target = str(tmp_path / "x.tables")
    printed = analyze("flows", capture, "-o", target, *how, columns=160).stdout
    assert "nginx-ds-tkhgg (hairpin)  k8s-master" in printed


def test_points_are_counted_where_there_are_several(analyze, tmp_path):
    captures = [NIC, str(FOLDER / "k8s-master.any.pcap.gz")]
    target = str(tmp_path / "x.tables")
    printed = analyze("flows", *captures, "-o", target, columns=120).stdout
    assert re.search(r"\d+ connections at \d+ points: ", printed)


def test_what_is_not_known_is_not_made_up(show):
    printed = show().stdout
    assert "lb-nginx-ds" not in printed
    assert "192.168.2.38:8080" in printed


def test_json_has_a_record_for_each_connection(show):
    lines = show("--connections", "--json").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 44
    assert [record["connection_id"] for record in records] == list(range(44))
    assert all(record["flow_ids"] and record["points"] for record in records)


def test_csv_has_lists_as_texts(show):
    lines = show("--connections", "--format", "csv", "--top", "1").stdout.splitlines()
    (record,) = csv.DictReader(lines)
    assert record["points"] == "k8s-worker01/ens18 k8s-worker01/ens18"
    assert len(record["flow_ids"].split()) == 2
