"""The pictures in docs/ are what the commands draw today."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
#: Drawn by a library whose octets are its own affair.
DRAWN = (".png", ".pdf", "spread.svg")


def recipes() -> dict[str, tuple[list[str], str | None]]:
    """Give the command that makes each file, as `make docs` runs it."""
    printed = subprocess.run(
        ["make", "--dry-run", "--always-make", "docs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.replace("\\\n", " ")
    found = {}
    for line in printed.splitlines():
        loop = re.fullmatch(r"for ending in ([\w ]+); do (.*); done", line)
        lines = [line]
        if loop:
            lines = [loop[2].replace("$ending", each) for each in loop[1].split()]
        for each in lines:
            words = re.fullmatch(
                r"(?:COLUMNS=(\d+) )?\S*analyze ((?:paths|spread) .*)", each
            )
            if words is None:
                continue
            command, _, printed_to = words[2].partition(" >")
            arguments = shlex.split(command)
            file = printed_to or arguments[arguments.index("-o") + 1]
            found[Path(file).name] = (arguments, words[1])
    return found


RECIPES = recipes()


def test_make_docs_makes_every_file():
    written = {each.name for each in DOCS.iterdir() if each.suffix != ".md"}
    assert set(RECIPES) == written


@pytest.mark.parametrize("name", [each for each in RECIPES if not each.endswith(DRAWN)])
def test_a_file_is_what_its_command_gives(name, tmp_path):
    arguments, columns = RECIPES[name]
    if "-o" in arguments:
        at = arguments.index("-o") + 1
        arguments = [*arguments[:at], str(tmp_path / name), *arguments[at + 1 :]]
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": columns or "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    made = (tmp_path / name).read_text() if "-o" in arguments else done.stdout
    assert_same(made, (DOCS / name).read_text())


def assert_same(made: str, kept: str) -> None:
    """Compare texts; a nanosecond in a thousand may be rounded otherwise."""
    here, there = (re.split(r"(\d+)", text) for text in (made, kept))
    assert here[::2] == there[::2]
    for one, other in zip(here[1::2], there[1::2], strict=True):
        assert one == other or (len(one) > 3 and abs(int(one) - int(other)) <= 1)


def test_the_demo_makes_the_first_picture_of_the_readme():
    first = re.search(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())[1]
    demo = re.search(
        r"^demo:.*?\n\n", (ROOT / "Makefile").read_text(), re.DOTALL | re.MULTILINE
    )[0]
    assert f"-o {first}" in demo
    assert Path(first).name in RECIPES
