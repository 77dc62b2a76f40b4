"""A tables directory: written whole, read back equal, described in its metadata."""

import errno
import os
import subprocess
import sys
import time

import polars as pl
import pyarrow.ipc
import pyarrow.parquet
import pytest

import analyzer
from analyzer.errors import TablesError
from analyzer.tables.schema import SCHEMA_VERSION
from tests.frames import CONFORMANCE

CAPTURE = CONFORMANCE / "zeek_vxlan-encapsulated-http.pcap"


@pytest.fixture
def built():
    return analyzer.build_tables(CAPTURE, packets=True)


def metadata_of(folder):
    (path,) = folder.glob("flows.*")
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_schema(path).metadata
    with pyarrow.ipc.open_file(path) as file:
        return file.schema.metadata


@pytest.mark.parametrize(("parquet", "ending"), [(False, "arrow"), (True, "parquet")])
def test_what_is_written_is_read_back(built, tmp_path, parquet, ending):
    folder = tmp_path / "x.tables"
    built.write(folder, parquet=parquet)
    names = {path.name for path in folder.iterdir()}
    assert {f"flows.{ending}", f"packets.{ending}"} <= names
    again = analyzer.open_tables(folder)
    assert again.flows.collect().equals(built.flows.collect())
    assert again.packets.collect().equals(built.packets.collect())


def test_other_programs_read_the_arrow_file(built, tmp_path):
    folder = tmp_path / "x.tables"
    built.write(folder)
    with pyarrow.ipc.open_file(folder / "flows.arrow") as file:
        table = file.read_all()
    assert table.num_rows == built.flows.collect().height
    assert pl.read_ipc(folder / "flows.arrow").height == table.num_rows


@pytest.mark.parametrize("parquet", [False, True])
def test_the_metadata_names_versions_and_inputs(built, tmp_path, parquet):
    folder = tmp_path / "x.tables"
    built.write(folder, parquet=parquet)
    described = b" ".join(
        part for pair in metadata_of(folder).items() for part in pair
    ).decode()
    assert SCHEMA_VERSION in described
    assert analyzer.__version__ in described
    assert CAPTURE.name in described
    assert str(CAPTURE.stat().st_size) in described


def test_captures_are_remembered(built, tmp_path):
    folder = tmp_path / "x.tables"
    built.write(folder)
    (summary,) = analyzer.open_tables(folder).captures
    assert (summary.name, summary.packets) == (CAPTURE.name, 12)


def test_a_tables_directory_may_be_written_again(built, tmp_path):
    folder = tmp_path / "x.tables"
    built.write(folder)
    analyzer.build_tables(CONFORMANCE / "cid_tcp.pcap").write(folder)
    assert analyzer.open_tables(folder).flows.collect().height == 1


def test_another_directory_is_never_overwritten(built, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(TablesError, match="mine"):
        built.write(folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_what_a_killed_run_left_is_replaced(tmp_path):
    """Killed while it waits for more of its input, with packets on the disk."""
    folder = tmp_path / "x.tables"
    octets = CAPTURE.read_bytes()
    command = [
        sys.executable,
        "-m",
        "analyzer",
        "flows",
        "-",
        "--packets",
        "-o",
        folder,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        process.stdin.write(octets)
        process.stdin.flush()
        while not (folder.is_dir() and any(folder.iterdir())):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert all(path.suffix == ".partial" for path in folder.iterdir())
    subprocess.run(command, input=octets, check=True, stdout=subprocess.DEVNULL)
    assert {path.suffix for path in folder.iterdir()} == {".arrow"}
    assert analyzer.open_tables(folder).packets.collect().height == 12


@pytest.mark.parametrize("existed", [False, True])
def test_what_the_disk_refuses_in_the_end_leaves_nothing(
    built, tmp_path, monkeypatch, existed
):
    """The system may take what is written, and fail when it has to keep it."""
    folder = tmp_path / "x.tables"
    if existed:
        built.write(folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.arrow")}

    def refuse(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        built.write(folder)
    assert folder.exists() == existed
    assert {path: path.read_bytes() for path in before} == before
    assert set(tmp_path.rglob("*.*")) == {*before, *([folder] if existed else [])}


def test_no_scratch_files_stay_behind(built, tmp_path):
    folder = tmp_path / "x.tables"
    built.write(folder)
    built.write(folder)
    assert {path.suffix for path in folder.iterdir()} == {".arrow"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.tables"]


@pytest.mark.parametrize("content", [None, "text", "half"])
def test_what_is_no_tables_directory_is_an_error_that_names_it(
    tmp_path, content, built
):
    folder = tmp_path / "x.tables"
    if content == "half":
        built.write(folder)
        path = folder / "flows.arrow"
        path.write_bytes(path.read_bytes()[:100])
    elif content == "text":
        folder.mkdir()
        (folder / "flows.arrow").write_text("not Arrow")
    with pytest.raises(TablesError, match=r"x\.tables"):
        analyzer.open_tables(folder).flows.collect()


def test_tables_without_packets_do_not_make_them_up(tmp_path):
    folder = tmp_path / "x.tables"
    analyzer.build_tables(CAPTURE).write(folder)
    assert not (folder / "packets.arrow").exists()
    with pytest.raises(TablesError):
        _ = analyzer.open_tables(folder).packets
