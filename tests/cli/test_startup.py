import re
import subprocess
import sys

import pytest

from tests.frames import CONFORMANCE

#: Each takes longer to import than ``analyze --help`` may take.
HEAVY = {"pyarrow", "polars", "rich", "yaml", "numpy", "scipy", "altair"}
HEAVY |= {"analyzer.pipeline", "analyzer.analysis"}


def imported_by(*arguments):
    """Run the command, and name the modules that it imported."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "analyzer", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"\|\s+([\w.]+)$", run.stderr, re.MULTILINE))


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
    imported = imported_by(*arguments)
    assert "click" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize(
    "arguments", [[], ["--threads", "1"], ["--packets"], ["--json"]], ids=" ".join
)
def test_flows_are_built_without_numpy(tmp_path, arguments):
    capture = CONFORMANCE / "tcpdump_vxlan.pcap"
    imported = imported_by("flows", capture, "-o", tmp_path / "x.tables", *arguments)
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
