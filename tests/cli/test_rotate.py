"""``analyze flows --rotate``: a line for each window."""

import json

import analyzer
from captures.files import Frame, pcap
from captures.lab import START
from tests.frames import NODEPORT

CAPTURE = NODEPORT / "k8s-master.ens18.pcap.gz"


def test_each_window_is_one_json_object(analyze, tmp_path):
    out = tmp_path / "out"
    result = analyze(
        "flows", str(CAPTURE), "--rotate", "250ms", "-o", str(out), "--json"
    )
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["directory"] for row in found} == set(map(str, out.iterdir()))
    (whole,) = analyzer.build_tables(CAPTURE).captures
    assert sum(row["packets"] for row in found) == whole.packets


def test_each_window_is_one_line_for_people(analyze, tmp_path):
    out = tmp_path / "out"
    result = analyze("flows", str(CAPTURE), "--rotate", "250ms", "-o", str(out))
    heading, *lines = result.stdout.splitlines()
    assert heading.split()[0] == "WINDOW"
    assert len(lines) == len(list(out.iterdir()))


def test_a_window_counts_all_captures(analyze, tmp_path):
    captures = sorted(NODEPORT.glob("*.ens18.pcap.gz"))
    assert len(captures) > 1
    out = tmp_path / "out"
    result = analyze(
        "flows", *map(str, captures), "--rotate", "250ms", "-o", str(out), "--json"
    )
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) > 1
    whole = analyzer.build_tables(captures).captures
    for name, summed in (("packets", "packets"), ("bytes", "wire_bytes")):
        assert sum(row[name] for row in found) == sum(
            getattr(each, summed) for each in whole
        )


def test_damage_is_told_whichever_window_it_is_in(analyze, tmp_path):
    """One capture breaks off in the first of two windows, and another one goes on."""
    frames = [Frame(bytes(60), START + at * 10**9) for at in (1, 2, 11)]
    broken, whole = tmp_path / "a.pcap", tmp_path / "b.pcap"
    broken.write_bytes(pcap(frames[:2])[:-3])
    whole.write_bytes(pcap(frames))
    command = ["flows", str(broken), str(whole), "--rotate", "10s", "--strict"]
    result = analyze(*command, "-o", str(tmp_path / "out"))
    assert len(result.stdout.splitlines()) == 3
    assert result.stderr.count("a.pcap: the capture ends") == 1
    assert result.exit_code == 1
    assert "b.pcap" not in result.stderr
