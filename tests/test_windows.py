"""Windows of capture time: each complete, and together all that was captured."""

import re
import subprocess
import sys
from datetime import UTC, datetime

import polars as pl
import pytest

import analyzer
from analyzer.pipeline import write_windows
from tests.frames import NODEPORT, unpacked

EVERY = 0.25
HEADER, RECORD = 24, 16


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    return unpacked(NODEPORT / "k8s-master.ens18.pcap.gz", folder)


def windows(paths, directory, **options):
    found = []
    write_windows(
        paths,
        directory,
        every=EVERY,
        complete=lambda place, tables: found.append((place, tables)),
        **options,
    )
    return found


def cut(path, folder):
    """Cut a pcap file where its frames come to another window, in plain Python."""
    octets = path.read_bytes()
    order = "little" if octets[0] in (0xD4, 0x4D) else "big"
    parts, last, at = [], None, HEADER
    while at < len(octets):
        seconds = int.from_bytes(octets[at : at + 4], order)
        microseconds = int.from_bytes(octets[at + 4 : at + 8], order)
        length = int.from_bytes(octets[at + 8 : at + 12], order)
        window = (1_000_000 * seconds + microseconds) // int(1_000_000 * EVERY)
        if last is None or window > last:
            last = window
            parts.append(octets[:HEADER])
        parts[-1] += octets[at : at + RECORD + length]
        at += RECORD + length
    for number, part in enumerate(parts):
        piece = folder / str(number) / path.name
        piece.parent.mkdir()
        piece.write_bytes(part)
        yield piece


def plain(table):
    """Rows of a table, without what counts the frames before the window."""
    return table.select(pl.exclude("first_frame")).collect()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_window_is_what_its_frames_alone_would_be(capture, tmp_path, threads):
    found = windows([capture], tmp_path / "out", threads=threads, packets=True)
    pieces = list(cut(capture, tmp_path))
    assert len(found) == len(pieces) > 3
    for (_, tables), piece in zip(found, pieces, strict=True):
        alone = analyzer.build_tables(piece, packets=True)
        for name in ("flows", "connections", "hops", "clocks"):
            assert plain(tables.scan(name)).equals(plain(alone.scan(name))), name
        whole = pl.exclude("frame")
        assert (
            tables.packets.select(whole)
            .collect()
            .equals(alone.packets.select(whole).collect())
        )
        assert tables.captures[0].packets == alone.captures[0].packets


def test_all_windows_have_all_packets(capture, tmp_path):
    found = windows([capture], tmp_path / "out")
    (whole,) = analyzer.build_tables(capture).captures
    for name in ("packets", "captured_bytes", "wire_bytes", "non_ip"):
        of_windows = [getattr(tables.captures[0], name) for _, tables in found]
        assert sum(of_windows) == getattr(whole, name), name


def test_windows_are_hive_partitions(capture, tmp_path):
    found = windows([capture], tmp_path / "out")
    flows = pl.scan_ipc(tmp_path / "out" / "**/flows.arrow", hive_partitioning=True)
    counted = flows.group_by("window").len().sort("window").collect()
    assert counted["len"].to_list() == [
        tables.flows.select(pl.len()).collect().item() for _, tables in found
    ]


def test_windows_begin_at_multiples_of_their_length(capture, tmp_path):
    for place, tables in windows([capture], tmp_path / "out"):
        assert re.fullmatch(r"window=\d{4}-\d\d-\d\dT\d{6}(\.\d+)?Z", place.name)
        start = datetime.strptime(
            place.name[7:].replace("Z", ".0" if "." not in place.name else ""),
            "%Y-%m-%dT%H%M%S.%f",
        ).replace(tzinfo=UTC)
        assert start.timestamp() % EVERY == 0
        first = tables.captures[0].start_time
        assert start.timestamp() <= first / 1e9 < start.timestamp() + EVERY


def test_windows_of_an_earlier_run_are_kept(capture, tmp_path):
    out = tmp_path / "out"
    before = windows([capture], out)
    other = out / "window=2001-01-01T000000Z"
    before[0][0].rename(other)
    again = windows([capture], out)
    assert other.is_dir()
    assert {place for place, _ in again} | {other} == set(out.iterdir())


def test_what_is_no_window_is_left_as_it_is(capture, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(analyzer.AnalyzerError, match=r"notes\.txt, which is no window"):
        windows([capture], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_several_captures_have_no_common_windows(tmp_path):
    paths = sorted(NODEPORT.glob("*.ens18.pcap.gz"))
    with pytest.raises(analyzer.AnalyzerError, match="windows are made of one capture"):
        windows(paths, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_no_capture_leaves_nothing(tmp_path):
    path = tmp_path / "notes.pcap"
    path.write_text("no capture at all")
    with pytest.raises(analyzer.AnalyzerError, match="not a pcap"):
        windows([path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_window_is_there_while_the_stream_goes_on(capture, tmp_path):
    """The stream waits for the first window before it gives the rest."""
    octets = capture.read_bytes()
    out = tmp_path / "out"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "analyzer",
            "flows",
            "-",
            "--rotate",
            "250ms",
            "-o",
            out,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=False,
    )
    with process:
        process.stdin.write(octets[: len(octets) * 3 // 4])
        process.stdin.flush()
        heading, first = process.stdout.readline(), process.stdout.readline()
        assert heading.startswith(b"WINDOW")
        place = first.split()[-1].decode()
        assert analyzer.open_tables(place).flows.select(pl.len()).collect().item()
        process.stdin.write(octets[len(octets) * 3 // 4 :])
        process.stdin.close()
        process.stdout.read()
    assert process.returncode == 0
