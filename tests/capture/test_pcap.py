"""Classic pcap: both byte orders, microseconds and nanoseconds, link type, lengths."""

import pytest

import analyzer
from analyzer.errors import AnalyzerError, CaptureError, UnknownFormatError
from captures.files import BIG, ETHERNET, LITTLE, RAW, Frame, pcap, pcap_header
from captures.lab import START, Conversation, frames
from tests.frames import packet_rows

SEGMENTS = Conversation().handshake()
TIMES = [START + i * 1_000_000_001 for i in range(3)]
FRAMES = [
    Frame(bytes(segment), time) for segment, time in zip(SEGMENTS, TIMES, strict=True)
]


@pytest.mark.parametrize("order", [LITTLE, BIG], ids=["little", "big"])
@pytest.mark.parametrize("resolution", ["us", "ns"])
def test_times_are_exact_to_the_resolution(tmp_path, order, resolution):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(FRAMES, order=order, resolution=resolution))
    unit = 1000 if resolution == "us" else 1
    rows = packet_rows(path)
    assert [row["time"] for row in rows] == [time // unit * unit for time in TIMES]
    assert [row["seq"] for row in rows] == [s["TCP"].seq for s in SEGMENTS]


@pytest.mark.parametrize("order", [LITTLE, BIG], ids=["little", "big"])
def test_lengths_are_those_of_the_record(tmp_path, order):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([frame.cut(40) for frame in FRAMES], order=order))
    rows = packet_rows(path)
    assert [row["captured_length"] for row in rows] == [40] * 3
    assert [row["wire_length"] for row in rows] == [54] * 3


def test_a_time_after_2038_is_no_time_before_1970(tmp_path):
    path = tmp_path / "x.pcap"
    late = 4_000_000_000 * 10**9
    path.write_bytes(pcap([Frame(FRAMES[0].octets, late)]))
    assert [row["time"] for row in packet_rows(path)] == [late]


def test_a_frame_without_octets_is_a_row(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([Frame(b"", START, wire_length=60), FRAMES[0]]))
    empty, whole = packet_rows(path)
    assert (empty["captured_length"], empty["wire_length"]) == (0, 60)
    assert empty["stop_reason"] == "truncated"
    assert whole["seq"] == 1000


def test_the_link_type_is_the_low_half_of_its_field(tmp_path):
    # The upper bits tell of a frame check sequence (draft-ietf-opsawg-pcap, 4).
    path = tmp_path / "x.pcap"
    written = bytearray(pcap([Frame(FRAMES[0].octets[14:], START)], link_type=RAW))
    written[20:24] = (RAW | 0x2400_0000).to_bytes(4, "little")
    path.write_bytes(written)
    assert packet_rows(path)[0]["seq"] == 1000


def test_a_capture_of_no_packets_gives_empty_tables(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap_header())
    tables = analyzer.build_tables(path)
    assert tables.flows.collect().height == 0
    assert packet_rows(path) == []
    assert tables.captures[0].damage == []


def test_the_summary_says_what_was_read(tmp_path):
    path = tmp_path / "x.pcap"
    written = pcap(FRAMES)
    path.write_bytes(written)
    (summary,) = analyzer.build_tables(path).captures
    found = {
        "name": summary.name,
        "size": summary.size,
        "compression": summary.compression,
        "packets": summary.packets,
        "captured_bytes": summary.captured_bytes,
        "wire_bytes": summary.wire_bytes,
        "start_time": summary.start_time,
        "end_time": summary.end_time,
        "non_ip": summary.non_ip,
        "damage": summary.damage,
        "link_types": [interface.link_type for interface in summary.interfaces],
    }
    assert found == {
        "name": "x.pcap",
        "size": len(written),
        "compression": None,
        "packets": 3,
        "captured_bytes": 162,
        "wire_bytes": 162,
        "start_time": TIMES[0] // 1000 * 1000,
        "end_time": TIMES[2] // 1000 * 1000,
        "non_ip": 0,
        "damage": [],
        "link_types": [ETHERNET],
    }


@pytest.mark.parametrize(
    "octets",
    [b"not a capture at all", b"\xd4\xc3", b"", b"\x1f\x8b\x08 no gzip either"],
    ids=["text", "two octets", "nothing", "half a gzip header"],
)
def test_what_is_no_capture_is_an_error_that_names_the_file(tmp_path, octets):
    path = tmp_path / "x.pcap"
    path.write_bytes(octets)
    with pytest.raises(AnalyzerError, match=r"x\.pcap"):
        analyzer.build_tables(path)


def test_an_unknown_magic_number_is_an_unknown_format(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(b"not a capture at all, but long enough to be one")
    with pytest.raises(UnknownFormatError):
        analyzer.build_tables(path)


def test_a_file_that_is_not_there_is_an_error_of_ours(tmp_path):
    with pytest.raises(CaptureError, match=r"none\.pcap"):
        analyzer.build_tables(tmp_path / "none.pcap")


def test_a_frame_above_the_snapshot_length_is_read_all_the_same(tmp_path):
    # Some writers note a snapshot length that they do not keep to.
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(frames(SEGMENTS), snapshot_length=20))
    assert [row["captured_length"] for row in packet_rows(path)] == [54] * 3
