"""Compressed captures are told by their content, whatever their name says."""

import bz2
import gzip
import lzma
import random
import threading

import lz4.frame
import pytest
import zstandard

import analyzer
from analyzer.errors import AnalyzerError
from captures.files import pcap
from captures.lab import Conversation, frames
from tests.frames import flow_rows, packet_rows

PLAIN = pcap(frames(Conversation().handshake()))
PACKERS = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
    "xz": lzma.compress,
}
ENDINGS = {"gzip": ".gz", "zstd": ".zst", "lz4": ".lz4", "xz": ".xz"}


def without_names(rows):
    return [
        {k: v for k, v in row.items() if k not in ("capture", "point")} for row in rows
    ]


@pytest.fixture
def plain_rows(tmp_path):
    path = tmp_path / "plain.pcap"
    path.write_bytes(PLAIN)
    return without_names(packet_rows(path))


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".lz4", ".xz"])
@pytest.mark.parametrize("kind", PACKERS)
def test_content_tells_the_compression(tmp_path, kind, ending, plain_rows):
    path = tmp_path / f"x.pcap{ending}"
    path.write_bytes(PACKERS[kind](PLAIN))
    assert without_names(packet_rows(path)) == plain_rows
    assert analyzer.build_tables(path).captures[0].compression == kind


@pytest.mark.parametrize("ending", [".gz", ".zst", ".lz4", ".xz"])
def test_a_plain_capture_with_a_packed_name_is_plain(tmp_path, ending, plain_rows):
    path = tmp_path / f"x.pcap{ending}"
    path.write_bytes(PLAIN)
    assert without_names(packet_rows(path)) == plain_rows


@pytest.mark.parametrize("kind", PACKERS)
def test_members_that_follow_each_other_are_one_capture(tmp_path, kind, plain_rows):
    path = tmp_path / "x.pcap"
    middle = len(PLAIN) // 2
    path.write_bytes(PACKERS[kind](PLAIN[:middle]) + PACKERS[kind](PLAIN[middle:]))
    assert without_names(packet_rows(path)) == plain_rows


@pytest.mark.parametrize("kind", PACKERS)
def test_the_size_is_the_packed_file_s(tmp_path, kind):
    path = tmp_path / "x.pcap"
    packed = PACKERS[kind](PLAIN)
    path.write_bytes(packed)
    assert analyzer.build_tables(path).captures[0].size == len(packed)


@pytest.mark.parametrize("kind", PACKERS)
def test_a_packed_file_that_is_cut_gives_what_came_before_and_damage(tmp_path, kind):
    chance = random.Random(1)
    noise = [chance.randbytes(1_000) for _ in range(1_000)]
    packed = PACKERS[kind](pcap(frames(noise)))
    path = tmp_path / "x.pcap"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    (summary,) = analyzer.build_tables(path).captures
    assert 300 < summary.packets < 700
    assert summary.damage
    assert {damage.frame for damage in summary.damage} == {summary.packets}


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_nonsense_is_an_error_that_names_the_file(tmp_path, kind):
    path = tmp_path / "x.pcap"
    path.write_bytes(PACKERS[kind](b"not a capture at all, packed or not"))
    with pytest.raises(AnalyzerError, match=r"x\.pcap"):
        analyzer.build_tables(path)


def test_another_compression_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "x.pcap.bz2"
    path.write_bytes(bz2.compress(PLAIN))
    with pytest.raises(AnalyzerError, match=r"x\.pcap\.bz2"):
        analyzer.build_tables(path)


def test_flows_do_not_depend_on_the_compression(tmp_path):
    found = []
    for kind, pack in {"plain": bytes, **PACKERS}.items():
        folder = tmp_path / kind
        folder.mkdir()
        path = folder / "node.eth0.pcap"
        path.write_bytes(pack(PLAIN))
        found.append(flow_rows(path))
    assert all(flows == found[0] for flows in found)


@pytest.mark.parametrize(("kind", "ending"), ENDINGS.items())
def test_an_ending_is_no_part_of_the_observation_point(tmp_path, kind, ending):
    path = tmp_path / f"node-a.eth0.pcap{ending}"
    path.write_bytes(PACKERS[kind](PLAIN))
    assert {row["point"] for row in packet_rows(path)} == {"node-a/eth0"}


@pytest.mark.parametrize("kind", PACKERS)
def test_a_query_that_stops_early_ends_the_decompression(tmp_path, kind):
    chance = random.Random(1)
    packed = PACKERS[kind](pcap(frames([chance.randbytes(1_000)] * 9_000)))
    path = tmp_path / "x.pcap"
    path.write_bytes(packed)
    assert len(packet_rows(path)) == 9_000
    assert analyzer.scan_packets(path).head(1).collect().height == 1
    assert "decompressor" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("kind", PACKERS)
def test_a_piece_of_a_packed_file_may_hold_many_members(tmp_path, kind, plain_rows):
    path = tmp_path / "x.pcap"
    cuts = range(0, len(PLAIN), 7)
    path.write_bytes(b"".join(PACKERS[kind](PLAIN[at : at + 7]) for at in cuts))
    assert without_names(packet_rows(path)) == plain_rows


def test_a_gzip_file_may_be_padded_with_zeros(tmp_path, plain_rows):
    path = tmp_path / "x.pcap.gz"
    path.write_bytes(gzip.compress(PLAIN) + bytes(512))
    assert without_names(packet_rows(path)) == plain_rows
    assert analyzer.build_tables(path).captures[0].damage == []


@pytest.mark.parametrize("kind", ["gzip", "lz4", "xz"])
def test_padding_may_go_on_where_a_piece_ends(tmp_path, kind, plain_rows):
    path = tmp_path / "x.pcap"
    packed = PACKERS[kind](PLAIN)
    path.write_bytes(packed + bytes(100_000))
    assert without_names(packet_rows(path)) == plain_rows
    assert analyzer.build_tables(path).captures[0].damage == []


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", PACKERS)
def test_a_frame_may_be_longer_than_any_piece(tmp_path, kind, threads):
    """Frames of some hundreds of octets before and after one of 4 MB."""
    chance = random.Random(1)
    lengths = [*(500 for _ in range(1_000)), 4_000_000, *(500 for _ in range(1_000))]
    path = tmp_path / "x.pcap"
    octets = pcap(
        frames([chance.randbytes(length) for length in lengths]),
        snapshot_length=5_000_000,
    )
    path.write_bytes(PACKERS[kind](octets))
    (summary,) = analyzer.build_tables(path, threads=threads).captures
    assert (summary.packets, summary.damage) == (2_001, [])
    assert summary.captured_bytes == sum(lengths)
    found = packet_rows(path)
    assert [row["captured_length"] for row in found] == lengths


@pytest.mark.parametrize("kind", ["gzip", "lz4", "xz"])
def test_all_that_was_packed_before_a_cut_is_read(tmp_path, kind):
    chance = random.Random(1)
    noise = [chance.randbytes(1_000) for _ in range(500)]
    packed = PACKERS[kind](pcap(frames(noise)))
    path = tmp_path / "x.pcap"
    path.write_bytes(packed[:-8])
    (summary,) = analyzer.build_tables(path).captures
    assert summary.packets >= 430  # an LZ4 block has 64 KiB
    assert "before its end-of-stream marker" in summary.damage[0].reason
