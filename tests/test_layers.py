"""The arrows between the stages point one way: the import contracts hold."""

import subprocess
import sys
from pathlib import Path

from tests.frames import ROOT

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def test_the_import_contracts_hold():
    command = [str(LINT_IMPORTS), "--config", "pyproject.toml", "--no-cache"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, analyzer\n"
        "heavy = {'polars', 'pyarrow', 'rich', 'yaml', 'click', 'scapy'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
