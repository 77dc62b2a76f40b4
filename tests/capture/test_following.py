"""A capture that grows is read as if it had ended where reading was ended."""

import gzip
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from analyzer import build_tables, open_tables
from analyzer.capture.following import Following
from analyzer.pipeline import write_tables
from captures.files import pcap
from captures.lab import Conversation, frames
from tests.frames import CONFORMANCE, ROOT, rows

ANALYZE = [sys.executable, "-m", "analyzer", "flows"]
CAPTURE = (CONFORMANCE / "zeek_wikipedia.pcap").read_bytes()
HEADER = 24


class Writer:
    """Write a capture piece by piece, each when the one before was read; then stop."""

    def __init__(self, path, pieces):
        self.path = path
        self.pieces = list(pieces)
        self.written = 0
        self.append()

    def append(self):
        piece = self.pieces.pop(0)
        with self.path.open("ab") as file:
            file.write(piece)
        self.written += len(piece)

    def progress(self, done, total):
        assert total is None
        if done < self.written:
            return
        if self.pieces:
            self.append()
        else:
            signal.raise_signal(signal.SIGINT)


def cut(octets, *places):
    ends = [*places, len(octets)]
    return [octets[a:b] for a, b in zip([0, *places], ends, strict=True)]


def followed(path, writer, folder, **options):
    """Read on until the writer stops; the flows, and the capture's summary."""
    tables = write_tables(
        [path],
        folder,
        following=Following(growing=True),
        progress=writer.progress,
        **options,
    )
    return rows(tables.flows), tables.captures[0]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("places", [(HEADER,), (10, 30), (9_000, 9_007, 20_000)])
def test_a_file_that_grows_is_as_good_as_a_whole_one(tmp_path, places, threads):
    path = tmp_path / "node.eth0.pcap"
    writer = Writer(path, cut(CAPTURE, *places))
    flows, summary = followed(path, writer, tmp_path / "tables", threads=threads)
    whole = build_tables(path)
    assert flows == rows(whole.flows)
    assert summary.packets == whole.captures[0].packets
    assert summary.size == len(CAPTURE)


def test_a_file_may_still_be_empty(tmp_path, start):
    path = tmp_path / "node.eth0.pcap"
    path.touch()
    process = start(str(path), "--follow")
    wait_until_read(process, path)
    path.write_bytes(CAPTURE)
    wait_until_read(process, path)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert rows(open_tables(tmp_path / "tables").flows) == rows(
        build_tables(path).flows
    )


@pytest.fixture
def start(tmp_path):
    """Start the command; end it when the test has ended, however that was."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [*ANALYZE, *arguments, "-o", str(tmp_path / "tables")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def wait_until_read(process, path):
    """Wait until a process has the file open and has read all of it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            if link.exists() and link.samefile(path):
                told = Path(f"/proc/{process.pid}/fdinfo/{link.name}").read_text()
                if int(told.split()[1]) == path.stat().st_size:
                    return
        time.sleep(0.02)
    pytest.fail("the file was not read")


def test_half_a_record_at_the_end_is_no_damage(tmp_path):
    path = tmp_path / "node.eth0.pcap"
    writer = Writer(path, [CAPTURE[:9_000]])
    _, summary = followed(path, writer, tmp_path / "tables")
    assert summary.damage == []
    (told,) = build_tables(path).captures[0].damage
    assert summary.packets == told.frame


def test_half_a_header_is_no_capture(tmp_path):
    path = tmp_path / "node.eth0.pcap"
    writer = Writer(path, [CAPTURE[:10]])
    with pytest.raises(ValueError, match="ends inside the file header"):
        followed(path, writer, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_what_was_written_before_ctrl_c_is_read_after_it(tmp_path):
    path = tmp_path / "node.eth0.pcap"

    class LateWriter(Writer):
        def progress(self, *_):
            if self.pieces:
                signal.raise_signal(signal.SIGINT)
                self.append()

    writer = LateWriter(path, cut(CAPTURE, 9_000))
    _, summary = followed(path, writer, tmp_path / "tables")
    assert summary.packets == build_tables(path).captures[0].packets


def test_ctrl_c_twice_interrupts(tmp_path):
    path = tmp_path / "node.eth0.pcap"
    path.write_bytes(CAPTURE)

    def progress(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    following = Following(growing=True)
    with pytest.raises(KeyboardInterrupt):
        write_tables(
            [path], tmp_path / "tables", following=following, progress=progress
        )


def test_ctrl_c_is_the_caller_s_again_after_reading(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    path = tmp_path / "node.eth0.pcap"
    followed(path, Writer(path, [CAPTURE]), tmp_path / "tables")
    assert signal.getsignal(signal.SIGINT) is before


def test_following_ends_after_a_while_although_nothing_comes(tmp_path):
    path = tmp_path / "node.eth0.pcap"
    path.write_bytes(CAPTURE)
    started = time.monotonic()
    following = Following(growing=True, seconds=0.5)
    tables = write_tables([path], tmp_path / "tables", following=following)
    assert time.monotonic() - started > 0.5
    assert rows(tables.flows) == rows(build_tables(path).flows)


def test_time_limits_the_reading_of_a_file_that_does_not_grow(tmp_path, monkeypatch):
    monkeypatch.setattr("analyzer.capture._TURN", 9_000)
    path = tmp_path / "node.eth0.pcap"
    path.write_bytes(CAPTURE)
    tables = write_tables(
        [path],
        tmp_path / "tables",
        following=Following(seconds=0.3),
        progress=lambda *_: time.sleep(0.4),
        chunk_size=9_000,
    )
    assert 0 < tables.captures[0].packets < build_tables(path).captures[0].packets
    assert tables.captures[0].damage == []


def test_a_file_that_ends_before_the_time_is_whole(tmp_path):
    path = tmp_path / "node.eth0.pcap"
    path.write_bytes(CAPTURE[:-3])
    following = Following(seconds=3600)
    tables = write_tables([path], tmp_path / "tables", following=following)
    assert tables.captures[0].damage == build_tables(path).captures[0].damage


@cache
def capture_larger_than_a_pipe():
    """Build more than the 64 KiB of a pipe: once written, its reader is at work."""
    calls = (
        packet
        for port in range(40_000, 40_500)
        for packet in Conversation(client_port=port).handshake()
    )
    octets = pcap(frames(calls))
    assert len(octets) > 100_000
    return octets


def flows_found(tmp_path):
    return [
        {k: v for k, v in flow.items() if k not in ("capture", "point")}
        for flow in rows(open_tables(tmp_path / "tables").flows)
    ]


def flows_of_whole(octets, tmp_path):
    path = tmp_path / "whole.pcap"
    path.write_bytes(octets)
    return [
        {k: v for k, v in flow.items() if k not in ("capture", "point")}
        for flow in rows(build_tables(path).flows)
    ]


def stored_without_its_end(octets):
    """Put octets into a gzip stream whose end is still to come."""
    return gzip.compress(octets, compresslevel=0)[:-8]


@pytest.mark.parametrize("pack", [bytes, stored_without_its_end])
def test_ctrl_c_ends_a_stream_that_is_silent(tmp_path, start, pack):
    octets = capture_larger_than_a_pipe()
    process = start("-", "--follow")
    process.stdin.write(pack(octets))
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    assert flows_found(tmp_path) == flows_of_whole(octets, tmp_path)


def test_what_a_writer_says_at_ctrl_c_is_read(tmp_path, start):
    octets = capture_larger_than_a_pipe()
    process = start("-", "--follow")
    process.stdin.write(octets[:-5_000])
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.stdin.write(octets[-5_000:])
    process.stdin.close()
    assert process.wait(60) == 0
    assert flows_found(tmp_path) == flows_of_whole(octets, tmp_path)


@pytest.mark.parametrize("options", [("--for", "4"), ("--follow", "--for", "4s")])
def test_time_ends_a_stream_that_is_silent(tmp_path, start, options):
    octets = capture_larger_than_a_pipe()
    process = start("-", *options)
    process.stdin.write(octets[:-7])
    process.stdin.flush()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    flows = flows_found(tmp_path)
    assert len(flows) == len(flows_of_whole(octets, tmp_path))


def test_a_stream_ends_at_its_end_and_may_be_damaged(start):
    octets = capture_larger_than_a_pipe()
    process = start("-", "--follow")
    process.stdin.write(octets[:-7])
    process.stdin.close()
    assert process.wait(60) == 0
    assert b"warning: -: the capture ends" in process.stderr.read()


def test_ctrl_c_without_following_leaves_nothing(tmp_path, start):
    process = start("-", "--for", "1h")
    process.stdin.write(capture_larger_than_a_pipe())
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not (tmp_path / "tables").exists()


def test_a_named_pipe_ends_at_its_end(tmp_path, start):
    path = tmp_path / "node.eth0.pcap"
    os.mkfifo(path)
    process = start(str(path), "--follow")
    path.write_bytes(CAPTURE)
    assert process.wait(60) == 0
    assert len(flows_found(tmp_path)) == len(flows_of_whole(CAPTURE, tmp_path))
