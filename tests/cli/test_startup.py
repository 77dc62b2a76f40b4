import re
import subprocess
import sys

import pytest

from tests.frames import CAPTURES

#: Each takes longer to import than ``analyze --help`` may take.
HEAVY = {"pyarrow", "polars", "rich", "yaml", "numpy", "scipy", "altair"}
HEAVY |= {"analyzer.pipeline", "analyzer.analysis"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["flows", "--help"],
        ["info", "-h"],
        ["spread", "--help"],
        ["paths", "-h"],
    ],
)
def test_help_imports_nothing_heavy(arguments):
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "analyzer", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(re.findall(r"\|\s+([\w.]+)$", run.stderr, re.MULTILINE))
    assert "click" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize(
    "arguments", [[], ["--threads", "1"], ["--packets"], ["--json"]], ids=" ".join
)
def test_flows_are_built_without_numpy(tmp_path, arguments):
    command = [sys.executable, "-X", "importtime", "-m", "analyzer", "flows"]
    capture = CAPTURES / "conformance" / "tcpdump_vxlan.pcap"
    run = subprocess.run(
        [*command, str(capture), "-o", str(tmp_path / "x.tables"), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(re.findall(r"\|\s+([\w.]+)$", run.stderr, re.MULTILINE))
    assert {"pyarrow", "polars"} <= imported
    assert "numpy" not in imported


def test_a_profiler_gets_its_turn():
    """The command ends its process at once, but not under the eyes of somebody."""
    run = subprocess.run(
        [sys.executable, "-m", "cProfile", "-m", "analyzer", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "function calls" in run.stdout


def test_the_version_is_that_of_the_package():
    run = subprocess.run(
        [sys.executable, "-m", "analyzer", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"analyze \d+\.\d+\S*\n", run.stdout)


def test_paths_do_not_wait_for_statistics():
    script = "import sys, analyzer.analysis.paths; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules = set(run.stdout.split())
    assert "analyzer.analysis.paths" in modules
    assert not modules & {"numpy", "scipy", "analyzer.analysis.spread.compare"}


def test_functions_of_the_analysis_are_found_in_any_order():
    script = (
        "import analyzer.analysis.spread.compare, analyzer.analysis.spread.chart;"
        "from analyzer.analysis import Comparison, Spread, compare, over_time, spread;"
        "print(*(callable(each) for each in (Comparison, compare, over_time, spread)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["True"] * 4
