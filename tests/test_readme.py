"""What the README shows is what the commands print."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_first_command_prints_what_is_shown(tmp_path):
    block = next(
        block
        for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
        if "-o demo.tables" in block
    )
    command, shown = re.fullmatch(
        r"\$ ((?:[^\n]*\\\n)*[^\n]*)\n(.*)", block, re.DOTALL
    ).groups()
    (tmp_path / "captures").symlink_to(ROOT / "captures")
    _, *arguments = shlex.split(command.replace("\\\n", " "))
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", *arguments],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.rstrip() == shown.rstrip()


def test_every_path_exists():
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path


def test_every_command_is_described():
    for command in ("analyze flows", "analyze cluster show"):
        assert command in README
