"""``analyze flows --rotate``: a line for each window."""

import json

import analyzer
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


def test_several_captures_are_an_error_with_a_hint(analyze):
    captures = sorted(map(str, NODEPORT.glob("*.ens18.pcap.gz")))
    result = analyze("flows", *captures, "--rotate", "5m", "-o", "out")
    assert result.exit_code == 1
    assert "windows are made of one capture, not of" in result.stderr
    assert "hint:" in result.stderr
