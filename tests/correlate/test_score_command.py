"""The scoring command: its classes, its table, its exit status."""

import gzip
import re
from types import SimpleNamespace

import polars as pl
import pytest

import analyzer
from captures.score import __main__ as command
from captures.score import classes, clocks, report
from captures.score.interfaces import only
from captures.score.judge import Figures, Verdict
from captures.score.recording import Recording
from captures.testbed.clocks import Clock, shift
from tests.correlate.told import table, told_rows
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
        return SimpleNamespace(flows=flows, connections=table(rows).lazy())

    monkeypatch.setattr(analyzer, "build_tables", build)


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["score", *words])
    return command.main()


@pytest.mark.usefixtures("told_by_truth")
def test_the_command_prints_a_table(monkeypatch, capsys):
    assert run(monkeypatch, "clusterip", "--classes", "all") == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith("recording captures k8s visible one row")
    assert [line.split()[:5] for line in lines] == [
        ["clusterip", "all", "yes", "94", "94"],
        ["clusterip", "all", "no", "94", "94"],
    ]


@pytest.mark.usefixtures("told_by_truth")
def test_a_recording_elsewhere_is_a_path(monkeypatch, capsys):
    path = str(CLUSTER / "clusterip")
    words = (path, "--classes", "cali", "--without-cluster")
    assert run(monkeypatch, *words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.usefixtures("told_by_truth")
def test_what_is_amiss_makes_the_exit_status(monkeypatch, capsys):
    words = ("loadbalancer", "--classes", "one-nic", "--with-cluster", "--verbose")
    # The truth itself eliminates nothing.
    monkeypatch.setattr(command.classes, "subjects", first_nic)
    assert run(monkeypatch, *words) == 1
    assert "uneliminated: loadbalancer-" in capsys.readouterr().out


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
    full = Figures(*[999] * 14)
    score = report.Score("spread-skewed", "conntrack", "yes", Verdict(full))
    assert all(len(line) <= WIDTH for line in report.terminal_table([score]))


def test_the_page_explains_every_class_and_figure():
    text = (CLUSTER / "SCORE.md").read_text()
    explained = re.findall(r"^\| `?([\w. -]+?)`? \|", text, re.MULTILINE)
    assert {*classes.CLASSES} <= {*explained}
    assert {*report.HEADINGS[2:]} <= {*explained}


@pytest.fixture
def shifted(tmp_path):
    """Give a recording whose ext-100 is 2 s fast and drifts."""
    recording = Recording(tmp_path)
    recording.__dict__["scenario"] = CLUSTERIP.scenario | {
        "clocks": {"ext-100": {"offset_s": 2.0, "drift_ppm": 50.0}}
    }
    recording.__dict__["observed"] = CLUSTERIP.observed
    return recording


def clock_table(host="ext-100", offset=2_000_000_000, bound=20_000):
    return pl.DataFrame(
        {"host": [host], "offset": [offset], "bound": [bound], "reference": "ext-101"}
    ).with_columns(pl.col("offset", "bound").cast(pl.Duration("ns")))


@pytest.mark.parametrize(
    ("offset", "is_right"),
    [
        (2_000_000_000, True),
        (1_999_990_000, True),
        (1_999_900_000, False),
        (2_001_000_000, False),
        (-2_000_000_000, False),
        (None, True),
    ],
)
def test_an_offset_is_right_within_its_bound(offset, is_right, shifted):
    subject = classes.Subject("all", (*classes.whole(CLUSTERIP),))
    (estimate,) = clocks.estimates(clock_table(offset=offset), subject, shifted)
    assert estimate.is_right == is_right


def test_an_offset_without_a_bound_is_wrong(shifted):
    subject = classes.Subject("all", (*classes.whole(CLUSTERIP),))
    (estimate,) = clocks.estimates(clock_table(bound=None), subject, shifted)
    assert not estimate.is_right


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
