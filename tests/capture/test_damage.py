"""A damaged capture gives everything before the damage, and the place of it."""

import resource
import struct
import subprocess
import sys

import pytest

import analyzer
from captures.damaged import (
    absurd_block_length,
    absurd_record_length,
    cut_in_record,
    cut_in_record_header,
)
from captures.files import (
    BIG,
    ENHANCED_PACKET,
    LITTLE,
    block,
    enhanced,
    interface,
    pcap,
    pcap_header,
    pcap_record,
    section,
)
from captures.lab import Conversation, frames
from tests.frames import packet_rows

FRAMES = frames(Conversation().handshake())
FILE_HEADER, RECORD_HEADER, FRAME = 24, 16, 54
RECORD = RECORD_HEADER + FRAME
MEMORY_LIMIT = 1 << 30


@pytest.fixture
def read(tmp_path):
    """Read a damaged file: its rows, and the only damage found in it."""

    def read(octets, name="x.pcap"):
        path = tmp_path / name
        path.write_bytes(octets)
        (summary,) = analyzer.build_tables(path).captures
        (damage,) = summary.damage
        rows = packet_rows(path)
        assert summary.packets == len(rows)
        return rows, damage

    return read


def test_a_cut_in_a_frame_keeps_the_frames_before_it(read):
    rows, damage = read(cut_in_record.build())
    assert [row["seq"] for row in rows] == [1_000, 900_000]
    assert (damage.frame, damage.offset) == (2, FILE_HEADER + 2 * RECORD)


def test_a_cut_in_a_record_header_keeps_the_frames_before_it(read):
    rows, damage = read(cut_in_record_header.build())
    assert [row["seq"] for row in rows] == [1_000, 900_000]
    assert (damage.frame, damage.offset) == (2, FILE_HEADER + 2 * RECORD)


@pytest.mark.parametrize(
    "end",
    [
        end
        for end in range(FILE_HEADER + 1, FILE_HEADER + 2 * RECORD)
        if (end - FILE_HEADER) % RECORD  # a cut between records is no damage
    ],
)
def test_wherever_it_is_cut_the_whole_records_stay(read, end):
    whole = (end - FILE_HEADER) // RECORD
    rows, damage = read(pcap(FRAMES)[:end])
    assert len(rows) == whole
    assert (damage.frame, damage.offset) == (whole, FILE_HEADER + whole * RECORD)


def test_a_cut_between_records_is_no_damage(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(FRAMES)[: FILE_HEADER + 2 * RECORD])
    (summary,) = analyzer.build_tables(path).captures
    assert (summary.packets, summary.damage) == (2, [])


def test_an_absurd_record_length_is_damage_where_the_record_begins(read):
    rows, damage = read(absurd_record_length.build())
    assert [row["seq"] for row in rows] == [1_000]
    assert (damage.frame, damage.offset) == (1, FILE_HEADER + RECORD)


def test_an_absurd_block_length_is_damage_where_the_block_begins(read):
    rows, damage = read(absurd_block_length.build())
    assert [row["seq"] for row in rows] == [1_000]
    before = len(section()) + len(interface()) + len(enhanced(FRAMES[0]))
    assert (damage.frame, damage.offset) == (1, before)


@pytest.mark.parametrize("order", [LITTLE, BIG], ids=["little", "big"])
@pytest.mark.parametrize("length", [0, 4, 8, 11, 13, 0xFFFF_FFF0, 0xFFFF_FFFF])
def test_a_block_of_impossible_length_is_damage(read, length, order):
    start = section(order=order) + interface(order=order)
    start += enhanced(FRAMES[0], order=order)
    lying = struct.pack(f"{order}II", ENHANCED_PACKET, length) + bytes(64)
    rows, damage = read(start + lying)
    assert len(rows) == 1
    assert (damage.frame, damage.offset) == (1, len(start))


def test_a_packet_longer_than_its_block_is_damage(read):
    start = section() + interface() + enhanced(FRAMES[0])
    body = struct.pack("<IIIII", 0, 0, 0, 0xFFFF_FFF0, 0xFFFF_FFF0) + bytes(16)
    rows, damage = read(
        start + block(ENHANCED_PACKET, body) + enhanced(FRAMES[1]), "x.pcapng"
    )
    assert (damage.frame, damage.offset) == (1, len(start))
    assert rows[0]["seq"] == 1_000


def test_a_corrupt_block_between_whole_ones_is_skipped(read):
    start = section() + interface() + enhanced(FRAMES[0])
    short = block(ENHANCED_PACKET, bytes(8))
    rows, damage = read(start + short + enhanced(FRAMES[1]))
    assert [row["seq"] for row in rows] == [1_000, 900_000]
    assert (damage.frame, damage.offset) == (1, len(start))


def test_a_trailing_length_that_differs_is_damage(read):
    start = section() + interface() + enhanced(FRAMES[0])
    second = bytearray(enhanced(FRAMES[1]))
    second[-4:] = struct.pack("<I", 8)
    _, damage = read(start + bytes(second))
    assert damage.offset == len(start)


def test_a_packet_before_any_interface_is_damage(read):
    rows, damage = read(section() + enhanced(FRAMES[0]))
    assert rows == []
    assert (damage.frame, damage.offset) == (0, len(section()))


def test_damage_is_described_as_part_of_a_sentence(read):
    _, damage = read(cut_in_record.build())
    assert damage.reason
    assert damage.reason[0].islower()
    assert not damage.reason.endswith(".")


def hostile_files():
    """Give files that claim much and hold little."""
    record = bytearray(pcap_record(FRAMES[0]))
    record[8:12] = struct.pack("<I", 0xFFFF_FFFF)
    frame_claim = pcap_header() + bytes(record)
    snapshot_claim = pcap_header(snapshot_length=0xFFFF_FFFF) + bytes(record)
    block_claim = section() + struct.pack("<II", 0x7777, 0xFFFF_FFF0) + bytes(64)
    options_claim = section() + block(1, struct.pack("<HHIHH", 1, 0, 0, 9, 0xFFFF))
    return {
        "frame": frame_claim,
        "snapshot": snapshot_claim,
        "block": block_claim,
        "options": options_claim + enhanced(FRAMES[0]),
        "interfaces": section() + interface() * 100_000,
        "sections": section() * 50_000,
    }


@pytest.mark.parametrize("kind", ["frame", "snapshot", "block", "options"])
def test_what_a_file_claims_is_never_allocated(tmp_path, kind):
    path = tmp_path / "hostile"
    path.write_bytes(hostile_files()[kind])
    read_within_a_gigabyte(path)


@pytest.mark.parametrize("kind", ["interfaces", "sections"])
def test_headers_without_end_are_read_in_bounded_memory(tmp_path, kind):
    path = tmp_path / "hostile"
    path.write_bytes(hostile_files()[kind])
    read_within_a_gigabyte(path)


def read_within_a_gigabyte(path):
    """Read a capture in a process that may have this much memory and no more."""
    code = "import sys, analyzer; analyzer.build_tables(sys.argv[1]).flows.collect()"
    subprocess.run(
        [sys.executable, "-c", code, str(path)],
        check=True,
        capture_output=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT)
        ),
    )


def test_the_command_warns_and_succeeds_unless_it_is_strict(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(cut_in_record.build())
    command = [sys.executable, "-m", "analyzer", "flows", str(path)]
    command += ["-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "x.pcap" in done.stderr
    assert "164" in done.stderr  # the octet where the third record begins
    strict = subprocess.run(
        [*command, "--strict"], capture_output=True, text=True, check=False
    )
    assert strict.returncode == 1
