import gzip
import lzma
from pathlib import Path

import pytest

from analyzer.cli.captures import find_captures, tables_directory
from analyzer.errors import CaptureError

PCAP = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.pcap", "a.pcap", "many/n2.eth0.pcap", "many/n1.eth0.cap"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PCAP)
    (tmp_path / "many" / "notes.txt").write_text("not a capture")
    (tmp_path / "many" / "log.gz").write_bytes(gzip.compress(b"not a capture either"))
    (tmp_path / "many" / "cut.gz").write_bytes(gzip.compress(PCAP)[:12])
    (tmp_path / "many" / "n3").write_bytes(lzma.compress(PCAP))
    (tmp_path / "many" / "empty").touch()
    (tmp_path / "none").mkdir()


def test_files_keep_the_order_in_which_they_were_named():
    assert find_captures(["b.pcap", "a.pcap"]) == (Path("b.pcap"), Path("a.pcap"))


def test_a_capture_named_twice_is_read_once():
    assert find_captures(["a.pcap", "a.pcap", "./a.pcap"]) == (Path("a.pcap"),)


def test_a_directory_stands_for_its_captures_by_content():
    many = Path("many")
    names = ("n1.eth0.cap", "n2.eth0.pcap", "n3")
    assert find_captures(["many"]) == tuple(many / name for name in names)


def test_rotated_captures_are_found_in_a_directory_by_content():
    for name in ("n1.eth0.cap1", "n1.eth0.cap02", "n1.eth0.cap3.log"):
        Path("many", name).write_bytes(PCAP)
    Path("many/n1.eth0.cap4").write_text("not a capture")
    found = {path.name for path in find_captures(["many"])}
    assert found >= {"n1.eth0.cap", "n1.eth0.cap1", "n1.eth0.cap02"}
    assert "n1.eth0.cap4" not in found


def test_a_glob_that_the_shell_left_alone_is_expanded():
    assert find_captures(["[ab].p*"]) == (Path("a.pcap"), Path("b.pcap"))


def test_a_file_whose_name_looks_like_a_glob_is_that_file():
    Path("x[1].pcap").write_bytes(PCAP)
    assert find_captures(["x[1].pcap"]) == (Path("x[1].pcap"),)


@pytest.mark.parametrize(
    ("argument", "message", "hint"),
    [
        ("c.pcap", "c.pcap: no such file or directory", "did you mean b.pcap?"),
        ("zzz", "zzz: no such file or directory", "the current directory is"),
        ("x/y/a.pcap", "no such file or directory", "there is no directory x/y"),
        ("*.pcapng", "*.pcapng: no file matches", "directories can be named"),
        ("none", "none: no captures in this directory", "directories inside it"),
    ],
)
def test_what_cannot_be_found_is_told_with_a_hint(argument, message, hint):
    with pytest.raises(CaptureError) as raised:
        find_captures([argument])
    assert message in str(raised.value)
    assert hint in raised.value.hint


def test_a_terminal_is_no_capture(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(CaptureError, match="standard input is a terminal"):
        find_captures(["-"])


def test_tables_are_named_after_their_capture():
    assert tables_directory([Path("in/x.pcap.xz")]) == Path("x.tables")
    rotated = [Path("in/x.pcap"), Path("in/x.pcap1.gz")]
    assert tables_directory(rotated) == Path("x.tables")
    assert tables_directory([Path("a"), Path("b")]) == Path("capture.tables")
    assert tables_directory([Path("-")]) == Path("capture.tables")
