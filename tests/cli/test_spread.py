"""What ``analyze spread`` prints."""

import csv
import io
import json
import re

import pytest
from click.testing import CliRunner

import analyzer
from analyzer.analysis import compare, spread
from analyzer.cli import main
from analyzer.cli.output import Output
from analyzer.cli.spread_table import print_comparison, print_spread
from captures.files import pcap
from tests.analysis.simulated import cluster, connections, drawn
from tests.frames import ROOT

ROUND = ROOT / "captures/cluster/loadbalancer"
SKEWED = ROOT / "captures/cluster/spread-skewed"
NIC = "k8s-worker01.ens18.pcap.gz"
ASKED = (str(ROUND / NIC), "--cluster", str(ROUND / "cluster"))
SKEWED_ASKED = (str(SKEWED / NIC), "--cluster", str(SKEWED / "cluster"))


def run(*arguments, columns=100):
    return CliRunner().invoke(
        main, ["spread", *arguments], env={"COLUMNS": str(columns)}
    )


def printed(*arguments, columns=100):
    result = run(*arguments, columns=columns)
    assert result.exit_code == 0, result.output
    return result.stdout


def records(*arguments):
    return [json.loads(line) for line in printed(*arguments, "--json").splitlines()]


@pytest.mark.parametrize("columns", [80, 100, 160])
@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--by", "node"),
        ("--by", "client"),
        ("--by", "entry-node"),
        ("--unit", "requests"),
        ("--unit", "bytes"),
        ("--unit", "packets"),
        ("--unit", "duration"),
        ("--over", "100ms"),
        ("--against", str(SKEWED / NIC)),
    ],
)
def test_everything_fits_the_terminal(columns, more):
    text = printed(*ASKED, *more, columns=columns)
    assert max(map(len, text.splitlines())) <= columns


def test_a_block_tells_counts_shares_intervals_and_the_verdict():
    text = printed(*ASKED, "--service", "lb-nginx-ds")
    assert "Service default/lb-nginx-ds: 39 connections" in text
    (row,) = [line for line in text.splitlines() if line.startswith("nginx-ds-k4ndq")]
    assert row.split()[:7] == [
        "nginx-ds-k4ndq",
        "k8s-worker02",
        "12",
        "31",
        "%",
        "19",
        "-",
    ]
    assert "G-test: p = 0.48" in text
    assert "Consistent with kube-proxy's random choice (p = 0.48)." in text


@pytest.mark.parametrize("size", [20, 2_000, 200_000])
def test_percentages_tell_the_ends_of_intervals_apart(size, capsys):
    calls = connections(drawn(size))
    found = spread(calls, cluster=cluster(), service="web")
    print_spread(found, Output("table"))
    compared = compare(calls, calls, cluster=cluster(), service="web")
    print_comparison(compared, Output("table"))
    number = r"([+-]?[\d.]+)"
    ends = re.findall(rf"{number} (?:-|to) {number} %", capsys.readouterr().out)
    assert len(ends) == 8
    for low, high in ends:
        digits = len(low.partition(".")[2])
        assert 2 <= (float(high) - float(low)) * 10**digits < 100


def test_wide_terminals_show_the_other_units():
    heading = printed(*ASKED, "--service", "lb-nginx-ds", columns=160).splitlines()[1]
    assert heading.split()[-3:] == ["REQUESTS", "BYTES", "CLIENTS"]


def test_a_daemon_set_of_one_service_is_not_printed_twice():
    text = printed(*ASKED)
    unwrapped = " ".join(text.split())
    assert "the same as those of Service default/lb-nginx-ds" in unwrapped
    assert text.count("nginx-ds-k4ndq  k8s-worker02") == 1


def test_records_have_backends_and_subjects():
    found = records(*ASKED)
    kinds = {record["kind"] for record in found}
    assert kinds == {"backend", "subject"}
    (row,) = [
        each
        for each in found
        if each["subject"] == "default/lb-nginx-ds"
        and each.get("group") == "nginx-ds-gvx8m"
    ]
    assert (row["connections"], row["requests"]) == (6, 36)
    assert row["share"] == pytest.approx(6 / 39)
    assert row["first_time"].startswith("2026-11-23T16:10:54.")


def test_records_have_the_change():
    (change,) = [
        each
        for each in records(*SKEWED_ASKED, "--service", "lb-nginx-ds")
        if each["kind"] == "change" and each["group"] == "nginx-ds-gvx8m"
    ]
    assert change["share_before"] == 0
    assert change["earliest"] <= change["time"] <= change["latest"]


UNREADY = ROOT / "captures/cluster/spread-unready"


@pytest.mark.parametrize(
    ("captures", "more"),
    [
        (UNREADY, ("--cluster", str(UNREADY / "conntrack"))),
        (UNREADY / NIC, ()),
    ],
)
def test_the_pod_that_left_and_the_long_lived_connection_are_printed(captures, more):
    asked = (str(captures), "--cluster", str(UNREADY / "cluster"), *more)
    text = " ".join(printed(*asked, "--service", "lb-nginx-ds").split())
    lines = (UNREADY / "truth.jsonl").read_text().splitlines()
    truth = [json.loads(line) for line in lines]
    calls = [each for each in truth if each["service"] == "default/lb-nginx-ds"]
    longest = max(calls, key=lambda each: each["requests"])
    assert "Not kube-proxy's random choice" in text
    moment = re.search(r"k4ndq received nothing after (\S+) UTC", text)[1]
    scenario = json.loads((UNREADY / "scenario.json").read_text())
    (left,) = scenario["changes"]
    assert left["note"] == "nginx-ds-k4ndq becomes unready"
    assert abs(seconds_of_day(moment) - left["time"] % 86_400) < 1
    client = "{ip}:{port}".format(**longest["client"])
    assert f"because one long-lived connection, {client} " in text


def seconds_of_day(clock):
    hours, minutes, seconds = map(float, clock.split(":"))
    return hours * 3600 + minutes * 60 + seconds


def test_csv_has_one_heading_for_all():
    rows = list(csv.DictReader(io.StringIO(printed(*ASKED, "--format", "csv"))))
    backends = [row for row in rows if row["kind"] == "backend"]
    assert (
        sum(
            int(row["connections"])
            for row in backends
            if row["subject"] == "default/lb-nginx-ds"
        )
        == 39
    )


def test_tables_say_what_their_captures_say(tmp_path):
    cluster = analyzer.Cluster.load([ROUND / "cluster"])
    analyzer.build_tables(ROUND / NIC, cluster=cluster).write(tmp_path / "t")
    of_tables = printed(str(tmp_path / "t"), "--cluster", str(ROUND / "cluster"))
    assert of_tables == printed(*ASKED)


def test_tables_without_cluster_state_say_what_is_not_known(tmp_path):
    cluster = analyzer.Cluster.load([ROUND / "cluster"])
    analyzer.build_tables(ROUND / NIC, cluster=cluster).write(tmp_path / "t")
    text = printed(str(tmp_path / "t"), "--service", "lb-nginx-ds")
    assert "a random choice among equals" in text
    (subject,) = [
        each
        for each in records(str(tmp_path / "t"), "--service", "lb-nginx-ds")
        if each["kind"] == "subject"
    ]
    assert subject["told_by"] == "seen"
    assert "endpoints are not known" in subject["null_hypothesis"]


def test_captures_without_cluster_state_are_counted_by_address():
    text = printed(str(ROUND / NIC))
    assert "Address 192.168.2.38:8080: 37 connections" in text
    assert "(unknown)" in text


def test_a_pod_that_got_less_is_red_unless_colours_are_off():
    asked = ["spread", *SKEWED_ASKED, "--service", "lb-nginx-ds"]
    coloured = CliRunner().invoke(main, asked, color=True).stdout
    assert "\x1b[31m\x1b[1mNot kube-proxy's random choice" in coloured
    plain = CliRunner().invoke(main, asked, color=True, env={"NO_COLOR": "1"}).stdout
    assert "\x1b" not in plain


def test_two_captures_are_compared(tmp_path):
    text = printed(*SKEWED_ASKED, "--service", "lb-nginx-ds", "--against", ASKED[0])
    assert "Service default/lb-nginx-ds: 70 connections, against 37" in text
    assert "Shares differ" in text
    chart = tmp_path / "difference.svg"
    found = records(
        *SKEWED_ASKED,
        "--service",
        "lb-nginx-ds",
        "--against",
        ASKED[0],
        "-o",
        str(chart),
    )
    assert {each["kind"] for each in found} == {"backend", "subject"}
    assert "difference of shares" in chart.read_text()


def test_what_is_compared_with_itself_is_no_different():
    text = printed(*ASKED, "--against", ASKED[0])
    assert "nan" not in text
    assert "Service default/lb-redis-ds: 1 connection, against 1\n" in text
    assert text.count("(p = 1.00)") == text.count("against")
    text = printed(*ASKED, "--against", ASKED[0], "--unit", "bytes")
    assert re.search(r"lb-nginx-ds: [\d.]+ MB, against [\d.]+ MB$", text, re.MULTILINE)


def test_two_services_of_one_capture_are_compared():
    text = printed(
        *SKEWED_ASKED,
        "--service",
        "sticky-apache-ds",
        "--against-service",
        "lb-nginx-ds",
    )
    assert "against 70 of default/lb-nginx-ds" in text


def test_shares_over_time_are_a_table_and_a_chart(tmp_path):
    chart = tmp_path / "over.svg"
    result = run(
        *SKEWED_ASKED, "--service", "lb-nginx-ds", "--over", "50ms", "-o", str(chart)
    )
    lines = result.stdout.splitlines()
    assert (
        lines[0]
        == "Service default/lb-nginx-ds: connections over time, by nginx-ds-..."
    )
    assert lines[1].split() == [
        "FROM",
        "(UTC)",
        "ALL",
        "6NW9W",
        "GVX8M",
        "K4NDQ",
        "TKHGG",
    ]
    counts = [list(map(int, line.split()[1:])) for line in lines[2:]]
    assert sum(row[0] for row in counts) == 70
    assert all(row[0] == sum(row[1:]) for row in counts)
    assert f"chart is in {chart}" in result.stderr
    assert chart.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--service", "nope"), 1, "nope: no connections to such a service"),
        (("--against-service", "x"), 2, "--against-service needs --service"),
        (("--over", "1s", "--against", ASKED[0]), 2, "do not go together"),
        (("--over", "soon"), 2, "not a duration"),
        (("--by", "zone"), 2, "'zone' is not one of"),
        (("--unit", "octets"), 2, "'octets' is not one of"),
        (("-o", "chart.jpeg"), 1, "charts are .svg, .png or .html"),
        (
            ("-o", "nowhere/chart.svg"),
            1,
            "nowhere/chart.svg: no such file or directory",
        ),
        (("--against", "nothing.pcap"), 1, "nothing.pcap: no such file"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(arguments, status, message):
    result = run(*ASKED, *arguments)
    assert result.exit_code == status
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("more", [(), ("--over", "1s"), ("--unit", "bytes")])
@pytest.mark.parametrize("as_tables", [False, True])
def test_captures_without_services_are_no_error(tmp_path, more, as_tables):
    capture = tmp_path / "none.pcap"
    capture.write_bytes(pcap([]))
    analyzer.build_tables([capture]).write(tmp_path / "none.tables")
    asked = str(tmp_path / "none.tables") if as_tables else str(capture)
    for each in (asked, str(ROOT / "captures/tcp/port_reuse.pcap")):
        result = run(each, *more, "-o", str(tmp_path / "chart.svg"))
        assert result.exit_code == 0
        assert result.stdout == "No connections to services here.\n"
        assert "there is nothing to draw" in result.stderr
        assert not (tmp_path / "chart.svg").exists()
        assert printed(each, *more, "--json") == ""
    result = run(asked, "--against", asked)
    assert result.exit_code == 1
    assert "no service in common (there is no traffic to any)" in result.stderr
