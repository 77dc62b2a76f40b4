"""Windows of capture time: each complete, and together all that was captured."""

import gzip
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from threading import Thread

import polars as pl
import pytest

import analyzer
from analyzer.pipeline import write_windows
from analyzer.tables.schema import TABLES
from captures.files import Frame, enhanced, interface, pcap, section, simple
from captures.lab import START, Conversation
from tests.frames import NODEPORT, require_program, unpacked

EVERY = 0.25
SYN = bytes(Conversation().client("S"))
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


def records_of(path):
    """Give the header of a pcap file, and its records with their windows."""
    octets = path.read_bytes()
    order = "little" if octets[0] in (0xD4, 0x4D) else "big"
    second = 1_000_000_000 if 0x3C in octets[1:3] else 1_000_000
    records, at = [], HEADER
    while at < len(octets):
        seconds = int.from_bytes(octets[at : at + 4], order)
        fraction = int.from_bytes(octets[at + 4 : at + 8], order)
        length = int.from_bytes(octets[at + 8 : at + 12], order)
        window = (second * seconds + fraction) // int(second * EVERY)
        records.append((window, octets[at : at + RECORD + length]))
        at += RECORD + length
    return octets[:HEADER], records


def cut(path, folder):
    """Cut a pcap file where its frames come to another window: window -> piece."""
    header, records = records_of(path)
    parts, last = {}, -1
    for window, record in records:
        last = max(window, last)
        parts[last] = parts.get(last, header) + record
    pieces = {}
    for window, part in parts.items():
        piece = pieces[window] = folder / str(window) / path.name
        piece.parent.mkdir(exist_ok=True)
        piece.write_bytes(part)
    return pieces


def rotated(path, folder, counts):
    """Cut a pcap file after so many records, as tcpdump names what it rotates."""
    header, records = records_of(path)
    folder.mkdir()
    files, first = [], 0
    for number, count in enumerate([*counts, len(records)]):
        file = folder / f"{path.name}{number or ''}"
        part = records[first : first + count]
        file.write_bytes(header + b"".join(record for _, record in part))
        files.append(file)
        first += count
    return files


def check_equal(tables, expected):
    for name in ("flows", "connections", "hops", "clocks"):
        assert plain(tables.scan(name)).equals(plain(expected.scan(name))), name
    whole = pl.exclude("frame")
    assert (
        tables.packets.select(whole)
        .collect()
        .equals(expected.packets.select(whole).collect())
    )
    assert [each.packets for each in tables.captures] == [
        each.packets for each in expected.captures
    ]


def plain(table):
    """Rows of a table, without what counts the frames before the window."""
    return table.select(pl.exclude("first_frame")).collect()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_window_is_what_its_frames_alone_would_be(capture, tmp_path, threads):
    found = windows([capture], tmp_path / "out", threads=threads, packets=True)
    pieces = cut(capture, tmp_path)
    assert len(found) == len(pieces) > 3
    for (_, tables), piece in zip(found, pieces.values(), strict=True):
        check_equal(tables, analyzer.build_tables(piece, packets=True))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_window_of_several_captures_has_the_frames_of_all(tmp_path, threads):
    """One begins late, one ends early, one has a gap, and one is compressed."""
    paths, pieces = [], {}
    for number, name in enumerate(("k8s-master", "k8s-worker01", "k8s-worker03")):
        path = unpacked(NODEPORT / f"{name}.ens18.pcap.gz", tmp_path)
        header, records = records_of(path)
        windows_of = sorted({window for window, _ in records})
        left_out = [windows_of[:2], windows_of[-2:], windows_of[2:4]][number]
        kept = [record for window, record in records if window not in left_out]
        path.write_bytes(header + b"".join(kept))
        for window, piece in cut(path, tmp_path).items():
            pieces.setdefault(window, []).append(piece)
        if number == 1:
            path.write_bytes(gzip.compress(path.read_bytes()))
        paths.append(path)
    found = windows(paths, tmp_path / "out", threads=threads, packets=True)
    assert len(found) == len(pieces) > 3
    assert len({len(files) for files in pieces.values()}) > 1
    for (_, tables), (_, files) in zip(found, sorted(pieces.items()), strict=True):
        check_equal(tables, analyzer.build_tables(files, packets=True))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "counts", [[1, 1, 100, 0, 300], [50] * 20], ids=["few", "many"]
)
def test_windows_of_a_series_are_those_of_the_whole(tmp_path, counts, threads):
    folder = tmp_path / "whole"
    folder.mkdir()
    whole = unpacked(NODEPORT / "k8s-master.ens18.pcap.gz", folder)
    files = rotated(whole, tmp_path / "rotated", counts)
    expected = windows([whole], tmp_path / "of the whole", packets=True)
    found = windows(files, tmp_path / "out", packets=True, threads=threads)
    assert [place.name for place, _ in found] == [place.name for place, _ in expected]
    assert len(found) > 3
    for (_, tables), (_, of_whole) in zip(found, expected, strict=True):
        for name in TABLES:
            assert tables.scan(name).collect().equals(of_whole.scan(name).collect())
        assert [each.name for each in tables.captures] == [whole.name]
        assert tables.captures[0].points == of_whole.captures[0].points


def test_windows_of_a_series_are_those_of_what_mergecap_joins(tmp_path):
    mergecap = require_program("mergecap")
    whole = unpacked(NODEPORT / "k8s-master.ens18.pcap.gz", tmp_path)
    files = rotated(whole, tmp_path / "rotated", [100, 200, 300])
    merged = tmp_path / "merged" / whole.name
    merged.parent.mkdir()
    command = [mergecap, "-a", "-F", "pcap", "-w", str(merged), *map(str, files)]
    subprocess.run(command, check=True)
    expected = windows([merged], tmp_path / "of merged")
    found = windows(files, tmp_path / "out")
    assert len(found) == len(expected) > 3
    for (place, tables), (other, of_merged) in zip(found, expected, strict=True):
        assert place.name == other.name
        for name in ("flows", "connections", "hops", "clocks"):
            assert tables.scan(name).collect().equals(of_merged.scan(name).collect())


def packets_at(path, *seconds):
    path.write_bytes(pcap([Frame(SYN, START + int(s * 1e9)) for s in seconds]))
    return path


def counted(paths, directory, **options):
    """Count the packets of each capture in each window of ten seconds."""
    found = []
    write_windows(
        paths,
        directory,
        every=10,
        complete=lambda _, tables: found.append(
            {each.name: each.packets for each in tables.captures}
        ),
        **options,
    )
    return found


def test_files_that_overlap_are_read_side_by_side(tmp_path):
    """Names alone make a series of them; the last file goes on after the second."""
    paths = [
        packets_at(tmp_path / "x.pcap0", 1, 2, 11, 25, 31),
        packets_at(tmp_path / "x.pcap1", 12, 26),
        packets_at(tmp_path / "x.pcap2", 27, 45),
    ]
    assert counted(paths, tmp_path / "out") == [
        {"x.pcap": 2},
        {"x.pcap": 1, "x.pcap1": 1},
        {"x.pcap": 1, "x.pcap1": 2},
        {"x.pcap": 1},
        {"x.pcap1": 1},
    ]


def test_a_packet_a_little_late_is_in_the_window_of_the_one_before(tmp_path):
    paths = [
        packets_at(tmp_path / "x.pcap0", 1, 10.2),
        packets_at(tmp_path / "x.pcap1", 9.9, 12),
    ]
    whole = packets_at(tmp_path / "x.pcap", 1, 10.2, 9.9, 12)
    expected = [{"x.pcap": 1}, {"x.pcap": 3}]
    assert counted(paths, tmp_path / "out") == expected
    assert counted([whole], tmp_path / "of the whole") == expected


def test_a_capture_without_packets_is_in_the_first_window(tmp_path):
    paths = [packets_at(tmp_path / "a.pcap"), packets_at(tmp_path / "b.pcap", 1, 11)]
    assert counted(paths, tmp_path / "out") == [
        {"a.pcap": 0, "b.pcap": 1},
        {"b.pcap": 1},
    ]


def test_packets_without_times_are_in_the_first_window(tmp_path):
    untimed = tmp_path / "a.pcapng"
    untimed.write_bytes(section() + interface() + simple(Frame(SYN, 0)) * 3)
    paths = [untimed, packets_at(tmp_path / "b.pcap", 1, 11)]
    assert counted(paths, tmp_path / "out") == [
        {"a.pcapng": 3, "b.pcap": 1},
        {"b.pcap": 1},
    ]


def test_times_before_1970_have_windows(tmp_path):
    path = tmp_path / "a.pcapng"
    frames = [enhanced(Frame(SYN, at * 1_000_000_000)) for at in (81, 89, 91, 101)]
    path.write_bytes(b"".join([section(), interface(offset=-100), *frames]))
    assert counted([path], tmp_path / "out") == [{"a.pcapng": n} for n in (2, 1, 1)]
    assert {place.name for place in (tmp_path / "out").iterdir()} == {
        "window=1969-12-31T235940Z",
        "window=1969-12-31T235950Z",
        "window=1970-01-01T000000Z",
    }


@pytest.mark.parametrize("points", [{}, {"x.pcap": "n1/ens18"}])
def test_a_series_has_the_same_point_in_every_window(tmp_path, points):
    paths = [
        packets_at(tmp_path / "node.eth0-20240101.pcap", 1, 11),
        packets_at(tmp_path / "node.eth0-20240102.pcap", 21, 31),
    ]
    found = set()
    write_windows(
        paths,
        tmp_path / "out",
        every=10,
        points={paths[1]: points["x.pcap"]} if points else None,
        complete=lambda _, tables: found.update(tables.captures[0].points),
    )
    assert found == {points.get("x.pcap", "node/eth0")}


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


def test_streams_are_read_side_by_side(tmp_path):
    """Two pipes, each of which waits until the other has been read far enough."""
    pipes, writers = [], []
    for name in ("k8s-master", "k8s-worker01"):
        path = unpacked(NODEPORT / f"{name}.ens18.pcap.gz", tmp_path)
        pipe = tmp_path / "pipes" / path.name
        pipe.parent.mkdir(exist_ok=True)
        os.mkfifo(pipe)
        pipes.append(pipe)
        copy = partial(pipe.write_bytes, path.read_bytes())
        writers.append((path, Thread(target=copy, daemon=True)))
        writers[-1][1].start()
    found = windows(pipes, tmp_path / "out")
    expected = windows([path for path, _ in writers], tmp_path / "of files")
    for _, writer in writers:
        writer.join()
    assert len(found) == len(expected) > 3
    for (_, tables), (_, of_files) in zip(found, expected, strict=True):
        assert tables.connections.collect().equals(of_files.connections.collect())


def test_what_a_killed_run_left_is_replaced(capture, tmp_path):
    """Killed while it waits for more of the second window."""
    out = tmp_path / "out"
    octets = capture.read_bytes()
    command = [sys.executable, "-m", "analyzer", "flows", "-", "--rotate", "250ms"]
    with subprocess.Popen(
        [*command, "-o", out], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(octets[: len(octets) * 3 // 4])
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"WINDOW")
        assert process.stdout.readline()
        refused = subprocess.run(
            [*command, "-o", out], input=octets, capture_output=True, check=False
        )
        assert refused.returncode == 1
        assert b"another run is writing windows into it" in refused.stderr
        process.kill()
    left = [path for path in out.iterdir() if path.name.endswith(".partial")]
    assert left
    left[0].rename(out / ".window-99.partial")  # whatever else is left
    found = windows([capture], out)
    assert {place for place, _ in found} == set(out.iterdir())


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
