"""The benchmark measures what it says, and says what went wrong."""

from __future__ import annotations

import json
import os
import random
import sys
from importlib import metadata
from pathlib import Path

import pytest

from benchmarks import __main__ as harness
from benchmarks import documents, inputs, process
from benchmarks.__main__ import PARTS, main
from benchmarks.parts import compression
from benchmarks.parts import programs as comparison
from benchmarks.parts.compression import LIBRARY
from benchmarks.parts.memory import growth, peaks
from benchmarks.parts.stages import listing
from benchmarks.peers import exported_flows
from benchmarks.programs import PCAP, Program, external, programs
from benchmarks.stages import FLOOR, NAMES, WHOLE, nanoseconds
from benchmarks.turns import Case, faults_of, take_turns

ROOT = Path(__file__).parents[2]
PACKETS = 20_000
FEW = 4_000
OUTSIDE = {WHOLE, NAMES.name, FLOOR}


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return inputs.build(PACKETS, directory=tmp_path_factory.mktemp("captures"))


def fake(program: str, name: str = "fake", **more) -> Program:
    """Give a program of one line of Python that prints its counts."""
    return Program(
        name,
        lambda capture, _: [sys.executable, "-c", program, capture],
        lambda output, _: json.loads(output.read_bytes()),
        **more,
    )


def telling(**counts: int) -> str:
    return f"print({json.dumps(json.dumps(counts))})"


def run(*cases: Case, rounds: int = 1) -> None:
    take_turns(cases, rounds, random.Random(1))


def test_a_count_that_is_true_is_compared_and_not_wrong(capture):
    case = Case(fake(telling(packets=PACKETS)), capture)
    run(case)
    assert case.summary()["checked"] == ["packets"]
    assert case.summary()["wrong"] == []


def test_a_count_that_differs_is_told_with_both_numbers(capture):
    flows = capture.truth["flows"]
    case = Case(fake(telling(packets=PACKETS, flows=flows - 1)), capture)
    run(case, rounds=2)
    assert faults_of([case.summary()]) == [
        f"fake: inner flows: {flows - 1:,} instead of {flows:,}"
    ]


def test_a_program_that_crashes_is_told_with_its_last_words_and_not_run_again(capture):
    case = Case(fake("import sys; sys.exit('out of cheese')"), capture)
    run(case, rounds=3)
    [fault] = faults_of([case.summary()])
    assert "failed with status 1: out of cheese" in fault
    assert "wall" not in case.summary()


def test_a_program_that_is_killed_is_told_with_the_signal(capture):
    case = Case(fake("import os; os.kill(os.getpid(), 11)"), capture)
    run(case)
    assert "failed with SIGSEGV" in case.failed


def test_a_program_that_hangs_is_ended(tmp_path):
    program = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(RuntimeError, match="took more than 1 s"):
        process.run(program, tmp_path / "stdout", longest=1)


def test_an_answer_that_cannot_be_read_is_a_fault(capture):
    case = Case(fake("print('ten or so packets')"), capture)
    run(case)
    assert "its answer cannot be read" in case.failed


def test_a_program_that_is_not_installed_is_listed_and_not_run(capture):
    missing = external("no such", "no-such-program CAPTURE", lambda *_: {})
    case = Case(missing, capture)
    run(case)
    assert case.summary()["missing"] == "not installed"
    result = {"captures": {"usual": _captured(capture, case)}}
    assert "| no such | not installed |" in comparison.markdown(result)
    assert comparison.faults(result) == []


def test_what_went_wrong_stands_in_the_table(capture):
    crashed = Case(fake("import sys; sys.exit('oh')", "crashing"), capture)
    lying = Case(fake(telling(packets=1), "lying"), capture)
    run(crashed, lying)
    result = {"captures": {"usual": _captured(capture, crashed, lying)}}
    text = comparison.markdown(result)
    assert "**failed:** " in text
    assert "status 1: oh" in text
    assert f"**wrong:** frames: 1 instead of {PACKETS:,}" in text
    assert len(comparison.faults(result)) == 2


def _captured(capture, *cases):
    return {
        "description": "",
        "truth": capture.truth,
        "programs": [case.summary() for case in cases],
    }


def test_every_program_runs_once_a_round_in_an_order_that_the_seed_draws(
    capture, tmp_path
):
    def order(seed: int) -> list[str]:
        log = tmp_path / f"{seed}-{len(list(tmp_path.iterdir()))}"
        noting = (
            "import pathlib; pathlib.Path({!r}).open('a').write({!r}); print('{{}}')"
        )
        names = "abcd"
        cases = [Case(fake(noting.format(str(log), n), n), capture) for n in names]
        take_turns(cases, 3, random.Random(seed))
        text = log.read_text()
        return [text[at : at + 4] for at in range(0, len(text), 4)]

    first = order(1)
    assert all(sorted(turn) == list("abcd") for turn in first)
    assert len(set(first)) > 1
    assert order(1) == first
    assert order(2) != first


def test_peak_memory_is_that_of_the_program(tmp_path):
    program = [sys.executable, "-c", "x = b'.' * (200 << 20); print(len(x))"]
    used = process.run(program, tmp_path / "stdout")
    assert 200 << 20 < used["peak_memory"] < 260 << 20


def test_two_ways_of_a_five_tuple_are_one_exported_flow():
    rows = [
        "TCP 10.0.0.1 1000 10.0.0.2 80",
        "TCP 10.0.0.2 80 10.0.0.1 1000",
        "UDP 10.0.0.1 1000 10.0.0.2 80",
        "ICMP 10.0.0.1 0 10.0.0.2 8.0",
    ]
    assert exported_flows(rows, None) == 2


def test_all_peers_are_listed_whether_installed_or_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    listed = {each.name.split()[0]: each for each in programs(tmp_path)}
    for name in ("tcpdump", "capinfos", "nfpcapd", "softflowd", "argus", "tshark"):
        assert listed[name].missing.startswith("not installed")
    assert {"analyze", "C", "scapy", "dpkt", "nfstream"} <= set(listed)
    assert listed["C"].missing == "no C compiler"


@pytest.mark.parametrize("name", inputs.KINDS)
def test_installed_programs_agree_with_the_generator(name, capture, tmp_path):
    whole = inputs.kind(name, FEW, capture.path.parent)
    cases = [
        Case(program, whole)
        for program in programs(tmp_path)
        # Those in Python are slow to start, and the same code reads all captures.
        if name in program.reads and (name == "usual" or program.reads >= PCAP)
    ]
    run(*cases)
    assert faults_of([case.summary() for case in cases]) == []
    ran = [case for case in cases if not case.program.missing]
    assert [case for case in ran if case.checked] == ran


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Run the command once, end to end, small; give the folder of its results."""
    folder = tmp_path_factory.mktemp("measured")
    status = main(
        [
            *("--size", "20k", "--rounds", "1", "--captures", "usual"),
            *("--only", "analyze", "floor", "capinfos", "--stream", "1M"),
            *("--data", str(folder / "data"), "--results", str(folder / "out")),
        ]
    )
    assert status == 0
    return folder / "out"


def read(folder: Path, part: str) -> dict:
    return json.loads((folder / f"{part}.json").read_text())


def test_the_command_writes_a_table_a_chart_and_json_of_every_part(measured):
    assert {path.name for path in measured.iterdir()} == {
        f"{part}{ending}" for part in PARTS for ending in (".json", ".md", ".svg")
    }
    for part in PARTS:
        assert "A trial run with 20 k packets" in (measured / f"{part}.md").read_text()
        assert "</svg>" in (measured / f"{part}.svg").read_text()


def test_results_describe_the_machine(measured):
    machine = read(measured, "programs")["machine"]
    assert machine["cores"] == len(os.sched_getaffinity(0))
    assert machine["memory_gib"] > 0
    assert {"processor", "system", "data", "scratch", "python"} <= set(machine)
    assert machine["libraries"]["polars"] == metadata.version("polars")


def test_results_have_the_spread_and_what_was_compared(measured):
    [ours, *_] = read(measured, "programs")["captures"]["usual"]["programs"]
    assert ours["name"] == "analyze flows"
    assert ours["least"] <= ours["median"] <= ours["most"]
    assert ours["packets"] == PACKETS
    assert ours["peak_memory"] > 20 << 20
    assert set(ours["checked"]) >= {"packets", "wire_bytes", "flows", "tcp_flows"}


def test_a_decompressor_and_analyze_read_the_same_octets(measured):
    files = read(measured, "compression")["files"]
    assert set(files) == {"plain", *inputs.COMPRESSIONS}
    for name in inputs.COMPRESSIONS:
        checked = {
            each["name"]: each.get("checked") for each in files[name]["programs"]
        }
        assert checked["the library alone"] == ["capture_bytes"]
        assert "packets" in checked["analyze flows"]


def test_what_came_through_the_pipe_is_counted_in_every_pass(measured):
    whole, rotated = read(measured, "memory")["programs"]
    assert "flows" in whole["checked"]
    assert rotated["checked"] == ["packets", "wire_bytes"]
    for found in (whole, rotated):
        assert found["passes"] == 3
        assert found["packets"] == 3 * PACKETS
        assert found["wrong"] == []
        assert all(resident > 0 for _, _, resident in found["samples"])


def test_a_compressed_file_is_compared_with_the_slower_of_two(measured):
    files = read(measured, "compression")["files"]
    result = {"files": {}}
    seconds = {"plain": (2.0, 0.5), ".gz": (2.2, 4.4), ".zst": (2.6, 1.3)}
    for name, (ours, other) in seconds.items():
        programs = [dict(each) for each in files[name]["programs"]]
        for each in programs:
            each["median"] = {"analyze info": ours, LIBRARY: other}.get(each["name"], 9)
        result["files"][name] = {**files[name], "programs": programs}
    lines = compression.markdown(result).splitlines()
    rows = [line.split(" | ") for line in lines if "| analyze info" in line]
    found = {row[0][2:]: row[5:7] for row in rows}
    assert found == {
        "plain": ["", ""],
        ".gz": ["0.5 x", "0.5 x"],
        ".zst": ["2 x", "1.3 x"],
    }


def test_stages_add_up_to_the_whole_command(measured):
    found = read(measured, "stages")["captures"]["usual"]
    each = nanoseconds(found)
    parts = sum(took for name, took in each.items() if name not in OUTSIDE)
    assert parts == pytest.approx(each[WHOLE])
    for stage in ("decode", "flow table", "correlate", "start-up", WHOLE):
        assert f"%  {stage}: " in listing(found)


def test_memory_that_grows_with_what_is_read_has_that_slope():
    samples = [(at / 10, at * 1_000_000, 50_000_000 + at * 1_000) for at in range(100)]
    found = {"passes": 10, "pass_bytes": 10_000_000, "samples": samples}
    assert growth(found) == pytest.approx(0.001)
    assert peaks(found)[0] < peaks(found)[1] < peaks(found)[9]


def test_a_wrong_answer_fails_the_command(tmp_path, monkeypatch, capsys):
    lying = fake(telling(packets=1), "lying")
    monkeypatch.setattr(comparison, "programs", lambda _: [lying])
    status = main(
        [
            *("--size", "20k", "--rounds", "1", "--captures", "usual"),
            *("--parts", "programs", "--data", str(tmp_path)),
            *("--results", str(tmp_path / "out")),
        ]
    )
    assert status == 1
    expected = "programs: usual: lying: frames: 1 instead of 20,000"
    assert expected in capsys.readouterr().err


def test_updating_puts_the_table_into_its_page(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("<!-- memory -->\nold\n<!-- /memory -->\n")
    monkeypatch.setitem(harness.PAGES, "memory", page)
    status = main(
        [
            *("--size", "5k", "--parts", "memory", "--stream", "1M", "--update-docs"),
            *("--data", str(tmp_path / "data"), "--results", str(tmp_path / "out")),
        ]
    )
    assert status == 0
    table = (tmp_path / "out/memory.md").read_text()
    assert "| analyze flows - |" in table
    assert page.read_text() == f"<!-- memory -->\n{table}<!-- /memory -->\n"


def test_documents_are_not_updated_with_a_part_of_the_programs(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "tshark", "--update-docs"])
    assert "needs all programs and all captures" in capsys.readouterr().err


def test_marked_text_is_replaced_and_the_rest_is_kept(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x -->\nold\n<!-- /x -->\nafter\n")
    documents.replace(page, "x", "new \\1\n")
    assert page.read_text() == "before\n<!-- x -->\nnew \\1\n<!-- /x -->\nafter\n"


def test_a_page_without_marks_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- y -->\n<!-- /y -->\n")
    with pytest.raises(ValueError, match="no one pair of marks <!-- x -->"):
        documents.replace(page, "x", "new\n")


@pytest.mark.parametrize(
    ("page", "marks"),
    [
        ("README.md", ["speed"]),
        ("benchmarks/README.md", ["programs", "threads", "compression", "memory"]),
        ("docs/performance.md", ["stages"]),
    ],
)
def test_pages_have_the_marks_that_the_command_fills(page, marks, tmp_path):
    copy = tmp_path / "page.md"
    copy.write_text((ROOT / page).read_text())
    for mark in marks:
        documents.replace(copy, mark, "measured\n")
    assert copy.read_text().count("measured\n") == len(marks)
