"""Samples are what their makers write, and the index names every one of them."""

import hashlib
import subprocess
import sys

import pytest

from captures.make import made_by, makers
from tests.frames import CAPTURES, CONFORMANCE, NODEPORT, ROOT

MAKERS = makers()


@pytest.mark.parametrize(
    "maker", MAKERS, ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_maker_rebuilds_its_capture_octet_by_octet(maker):
    path, octets = made_by(maker)
    assert path.read_bytes() == octets


def test_the_command_finds_nothing_that_differs():
    command = [sys.executable, "-m", "captures.make", "--check"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_index_names_every_maker_s_capture():
    index = (CAPTURES / "README.md").read_text()
    for maker in MAKERS:
        assert f"`{maker.parent.name}/{made_by(maker)[0].name}`" in index, maker


def test_the_index_names_nothing_else():
    index = (CAPTURES / "README.md").read_text()
    listed = {
        line.split("`")[1] for line in index.splitlines() if line.startswith("| `")
    }
    for name in listed:
        assert (CAPTURES / name).exists(), name


def test_every_capture_from_elsewhere_has_its_source_and_is_unchanged():
    listed = {}
    for line in (CONFORMANCE / "SOURCES.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 7 and "." in cells[0]:
            listed[cells[0]] = cells[5]
    captures = {path.name: path for path in CONFORMANCE.glob("*.pcap*")}
    assert listed.keys() == captures.keys()
    for name, path in captures.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(listed[name])


def test_samples_are_small():
    for path in CAPTURES.glob("*/*.pcap*"):
        assert path.stat().st_size < 64_000, path


def test_the_recorded_cluster_is_complete():
    for name in ("truth.jsonl", "observed.jsonl", "scenario.json"):
        assert (NODEPORT / name).stat().st_size
