"""What the README shows is what the commands print."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def run(block, folder):
    """Run a block's command; give what it printed, and what is shown."""
    command, shown = re.fullmatch(
        r"\$ ((?:[^\n]*\\\n)*[^\n]*)\n(.*)", block, re.DOTALL
    ).groups()
    (folder / "captures").symlink_to(ROOT / "captures")
    _, *arguments = shlex.split(command.replace("\\\n", " "))
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rstrip(), shown.rstrip()


@pytest.mark.parametrize("part", ["-o demo.tables", "analyze spread"])
def test_commands_print_what_is_shown(part, tmp_path):
    block = next(block for block in BLOCKS if part in block)
    printed, shown = run(block, tmp_path)
    assert printed == shown


def test_the_chart_is_the_one_that_is_drawn(tmp_path):
    block = next(block for block in BLOCKS if "analyze spread" in block)
    run(block, tmp_path)
    texts = [
        re.findall(r"<text[^>]*>(.*?)</text>", path.read_text())
        for path in (tmp_path / "spread.svg", ROOT / "docs/spread.svg")
    ]
    assert texts[0] == texts[1]
    assert "nginx-ds-k4ndq" in texts[0]


def test_every_path_exists():
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path


def test_every_command_is_described():
    for command in (
        "analyze flows",
        "analyze spread",
        "analyze paths",
        "analyze cluster show",
    ):
        assert command in README
