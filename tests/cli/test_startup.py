import re
import subprocess
import sys

import pytest

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


def test_the_version_is_that_of_the_package():
    run = subprocess.run(
        [sys.executable, "-m", "analyzer", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"analyze \d+\.\d+\S*\n", run.stdout)
