"""The scoring command: its classes, its table, its exit status."""

import gzip
import json
import re
from types import SimpleNamespace

import polars as pl
import pytest

import analyzer
from captures.score import __main__ as command
from captures.score import classes, clocks, report, states
from captures.score.interfaces import only
from captures.score.recording import Recording
from captures.score.verdict import Figures, Finding, Verdict
from captures.testbed.clocks import Clock, shift
from tests.correlate.told import hop_table, table, told_rows
from tests.frames import CAPTURES, flow_rows

CLUSTER = CAPTURES / "cluster"
CLUSTERIP = Recording(CLUSTER / "clusterip")
WIDTH = 100


def files(name, folder):
    return [
        [(view.file, view.interface) for view in subject.views]
        for subject in classes.subjects(CLUSTERIP, name, folder)
    ]


def test_classes_are_devices_of_one_kind(tmp_path):
    assert len(files("all", tmp_path)[0]) == len(CLUSTERIP.captures)
    (nics,) = files("nics", tmp_path)
    assert [interface for _, interface in nics if interface] == ["ens18"]
    assert len(nics) == 4
    (vxlan,) = files("vxlan", tmp_path)
    assert [interface for _, interface in vxlan if interface] == ["vxlan.calico"]
    assert all(".cali" in file for file, _ in files("cali", tmp_path)[0])
    assert [len(one) for one in files("one-nic", tmp_path)] == [1, 1, 1, 1]
    assert files("any", tmp_path) == [[("k8s-master.any.pcap", None)]]


def packets_of(path):
    packets = analyzer.scan_packets(path).select(
        "time", "wire_length", "src_ip", "dst_ip", "protocol", "seq", "vni"
    )
    return [tuple(map(str, row)) for row in packets.collect().iter_rows()]


@pytest.mark.parametrize("name", ["clusterip", "dualstack"])
def test_interfaces_apart_have_the_packets_of_the_file_together(name, tmp_path):
    (packed,) = (CLUSTER / name).glob("k8s-worker02.ens18+*.gz")
    octets = gzip.decompress(packed.read_bytes())
    whole = tmp_path / "whole.pcapng"
    whole.write_bytes(octets)
    together = packets_of(whole)
    apart = []
    for number in range(3 if name == "dualstack" else 2):
        path = tmp_path / f"{number}.pcapng"
        path.write_bytes(only(octets, number))
        assert packets_of(path)
        apart += packets_of(path)
    assert sorted(apart) == sorted(together)


CLOCK_COLUMNS = {
    "host": pl.String,
    "reference": pl.String,
    "offset": pl.Duration("ns"),
    "drift_ppm": pl.Float64,
    "bound": pl.Duration("ns"),
    "time": pl.Datetime("ns", "UTC"),
}


def clock_table(rows):
    return pl.DataFrame(rows, schema=CLOCK_COLUMNS)


@pytest.fixture
def told_by_truth(monkeypatch):
    """Let connections be what the truth tells."""
    build_tables = analyzer.build_tables

    def build(paths, **how):
        flows = build_tables(paths, **how).flows
        recording = Recording(paths[0].parent)
        views = tuple(
            view for view in classes.whole(recording) if view.path in set(paths)
        )
        rows = told_rows(flows.collect(), classes.Subject("all", views), recording)
        return SimpleNamespace(
            flows=flows,
            connections=table(rows).lazy(),
            hops=hop_table([]).lazy(),
            clocks=clock_table([]).lazy(),
        )

    monkeypatch.setattr(analyzer, "build_tables", build)


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["score", *words])
    return command.main()


@pytest.mark.usefixtures("told_by_truth")
def test_the_command_prints_a_table(monkeypatch, capsys):
    words = ("clusterip", "--classes", "all", "--states", "yes,no")
    assert run(monkeypatch, *words) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith("recording captures k8s visible one row")
    assert [line.split()[:5] for line in lines] == [
        ["clusterip", "all", "yes", "94", "94"],
        ["clusterip", "all", "no", "94", "94"],
    ]


@pytest.mark.usefixtures("told_by_truth")
def test_a_recording_elsewhere_is_a_path(monkeypatch, capsys):
    path = str(CLUSTER / "clusterip")
    words = (path, "--classes", "cali", "--states", "no")
    assert run(monkeypatch, *words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.usefixtures("told_by_truth")
def test_what_is_amiss_makes_the_exit_status(monkeypatch, capsys):
    words = ("loadbalancer", "--classes", "one-nic", "--states", "yes", "--verbose")
    # The truth itself eliminates nothing.
    monkeypatch.setattr(command.classes, "subjects", first_nic)
    assert run(monkeypatch, *words) == 1
    assert "uneliminated: loadbalancer-" in capsys.readouterr().out


NEW_IN_SCENARIO = ("clocks", "capture_start", "changes", "title")


@pytest.fixture
def older(tmp_path):
    """Write one node's NIC of a recording as it was written before."""
    source, folder = CLUSTER / "nodeport", tmp_path / "nodeport"
    file = "k8s-worker01.ens18.pcap"
    folder.mkdir()
    (folder / "cluster").symlink_to(source / "cluster")
    (folder / f"{file}.gz").symlink_to(source / f"{file}.gz")
    scenario = json.loads((source / "scenario.json").read_text())
    scenario["captures"] = [
        {name: value for name, value in each.items() if name != "snaplen"}
        for each in scenario["captures"]
        if each["file"] == file
    ]
    for name in NEW_IN_SCENARIO:
        del scenario[name]
    scenario |= {"stage": "nodeport", "endpoint_removed": None}
    (folder / "scenario.json").write_text(json.dumps(scenario))
    for name in ("truth.jsonl", "observed.jsonl"):
        rows = [json.loads(line) for line in (source / name).read_text().splitlines()]
        rows = [row for row in rows if row.get("file", file) == file]
        for row in rows:
            row.pop("service_port", None)
            if row.get("response_bytes") and "apache" in row["service"]:
                row["response_bytes"] -= 227  # the headers
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_an_older_recording_is_read_as_the_same(older, monkeypatch, capsys):
    words = ("--classes", "one-nic", "--states", "yes,no,half")
    assert run(monkeypatch, str(older), *words) == 0
    of_older = capsys.readouterr().out.splitlines()
    assert len(of_older) == 4
    recording = Recording(older)
    assert recording.clock("k8s-worker01") == Clock(0.0)
    first = min(each["start"] for each in recording.truth.values())
    assert recording.began == round(first * 1e9)


def test_what_is_wrong_in_an_older_recording_is_found(older, monkeypatch, capsys):
    path = older / "truth.jsonl"
    path.write_text(path.read_text().replace("nodeport-nginx-ds", "another"))
    words = ("--classes", "one-nic", "--states", "yes", "--verbose")
    assert run(monkeypatch, str(older), *words) == 1
    assert "service_name nodeport-nginx-ds, truly another" in capsys.readouterr().out


def first_nic(recording, class_name, _folder):
    for view in classes.whole(recording):
        if view.file == "k8s-worker01.ens18.pcap":
            yield classes.Subject(class_name, (view,))


def test_update_replaces_what_is_between_the_markers(tmp_path):
    page = tmp_path / "SCORE.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    score = report.Score("mixed", "all", "yes", Verdict(Figures(visible=92)))
    report.update(page, [score])
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert lines[4].startswith("| mixed | all | yes | 92 |")


def test_the_table_fits_a_terminal():
    full = Verdict(Figures(*[999] * 14))
    scores = [
        report.Score("spread-skewed", "conntrack", "yes", full),
        *(report.Score("spread-skewed", "each", name, full) for name in states.STATES),
    ]
    assert all(len(line) <= WIDTH for line in report.terminal_table(scores))


def test_the_page_explains_every_class_and_figure():
    text = (CLUSTER / "SCORE.md").read_text()
    explained = re.findall(r"^\| `?([\w. -]+?)`? \|", text, re.MULTILINE)
    assert {*classes.CLASSES} <= {*explained}
    assert {*states.STATES} <= {*explained}
    assert {*report.HEADINGS[2:]} <= {*explained}


BEGAN = round(CLUSTERIP.scenario["capture_start"] * 1e9)
FAST = Clock(2.0, 50.0)
SECOND = 1_000_000_000


@pytest.fixture
def shifted():
    """Give a recording whose ext-100 is 2 s fast and drifts."""
    recording = Recording(CLUSTERIP.directory)
    recording.__dict__["scenario"] = CLUSTERIP.scenario | {
        "clocks": {"ext-100": {"offset_s": 2.0, "drift_ppm": 50.0}}
    }
    return recording


def estimate(recording, **changes):
    """Judge an estimate, ten seconds after the capture began."""
    row = {
        "host": "ext-100",
        "reference": "ext-101",
        "offset": 2 * SECOND + 500_000,  # 10 s of drift
        "drift_ppm": 49.0,
        "bound": 20_000,
        "time": FAST.wrong(BEGAN + 10 * SECOND, BEGAN),
    } | changes
    (found,) = clocks.estimates(clock_table([row]), recording)
    return found


@pytest.mark.parametrize(
    ("changes", "is_right"),
    [
        ({}, True),
        ({"offset": 2 * SECOND + 519_000}, True),
        ({"offset": 2 * SECOND + 521_000}, False),
        ({"offset": 2 * SECOND}, False),
        ({"offset": -2 * SECOND - 500_000}, False),
        ({"host": "ext-101", "reference": "ext-100"}, False),
        ({"bound": None}, False),
        ({"offset": None, "bound": None, "drift_ppm": None, "time": None}, True),
    ],
)
def test_an_offset_is_right_within_its_bound(changes, is_right, shifted):
    assert estimate(shifted, **changes).is_right == is_right


def test_a_host_is_not_compared_with_itself(shifted):
    row = {"host": "ext-100", "reference": "ext-100", "offset": 0, "bound": 0}
    assert [*clocks.estimates(clock_table([row]), shifted)] == []


def test_a_wrong_clock_is_printed_and_any_if_asked_for(shifted):
    right, wrong = estimate(shifted), estimate(shifted, offset=2 * SECOND)
    score = report.Score("clusterip", "all", "no", Verdict(), (right, wrong))
    assert not score.is_good
    (line,) = report.clock_lines(score, every=False)
    assert "off by 500.0 us: WRONG; drift +49.0 of +50.0 ppm" in line
    assert len([*report.clock_lines(score, every=True)]) == 2


def test_a_finding_is_printed_with_its_place():
    score = report.Score("mixed", "any", "yes", Verdict())
    line = report.finding_line(score, Finding("wrong", "mixed-00001", 7, "reason"))
    assert line == "mixed any yes: wrong: mixed-00001 row 7: reason"


def test_flows_of_a_wrong_clock_are_recognised(tmp_path):
    file = "ext-101.eth0.pcapng"
    path = tmp_path / file
    path.write_bytes(gzip.decompress(CLUSTERIP.path(file).read_bytes()))
    (right,) = flow_rows(path)[:1]
    clock = Clock(-3.0, 80.0)
    began = CLUSTERIP.scenario["capture_start"]
    shift(path, clock, began)
    (wrong,) = flow_rows(path)[:1]
    back = clock.right(wrong["start_time"], round(began * 1e9))
    assert back == pytest.approx(right["start_time"], abs=2_000)
