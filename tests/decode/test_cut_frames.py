"""Every cut of every sample decodes, and never says what the whole frame denies."""

import pytest

from captures.files import Frame
from tests.frames import (
    Row,
    decode,
    read_frames,
    sample_name,
    sample_pcaps,
)

# A cut may hide these, but it may not change them. The row's other columns (tunnel,
# addresses, ports) are the innermost header's, which a shorter cut does not reach.
UNCHANGED = ("wire_length", "vlan", "outer_src", "outer_dst")
INNERMOST = ("src_ip", "dst_ip", "src_port", "dst_port", "seq", "ack", "tcp_flags")
LONGEST_CUT = 300  # no sample has headers beyond this

PCAPS = sample_pcaps()


def cuts_of(frame: Frame) -> list[Frame]:
    """Cut a frame after each of its octets, up to the end of its headers."""
    return [frame.cut(length) for length in range(min(len(frame.octets), LONGEST_CUT))]


@pytest.mark.parametrize("path", PCAPS, ids=sample_name)
def test_every_cut_is_a_row_that_the_whole_frame_does_not_deny(path):
    link_type, frames = read_frames(path)
    for frame in frames[:25]:
        cuts = cuts_of(frame)
        *rows, whole = decode([*cuts, frame], link_type=link_type)
        assert len(rows) == len(cuts)
        for cut, row in zip(cuts, rows, strict=True):
            agrees(row, whole, len(cut.octets))


def agrees(row: Row, whole: Row, length: int) -> None:
    """Check a cut frame's row against that of the whole frame."""
    assert row["captured_length"] == length
    assert row["tunnel_depth"] <= whole["tunnel_depth"]
    for name in UNCHANGED:
        assert row[name] in (None, whole[name]), (length, name)
    if (row["tunnel_depth"], row["src_ip"]) == (
        whole["tunnel_depth"],
        whole["src_ip"],
    ):
        for name in INNERMOST:
            assert row[name] in (None, whole[name]), (length, name)
    if whole["stop_reason"] is None and row["stop_reason"] is None:
        same = ("src_ip", "dst_ip", "src_port", "seq", "tunnel", "vni", "protocol")
        assert [row[name] for name in same] == [whole[name] for name in same], length


@pytest.mark.parametrize("path", PCAPS, ids=sample_name)
def test_a_longer_cut_never_knows_less(path):
    link_type, frames = read_frames(path)
    frame = frames[0]
    rows = decode([*cuts_of(frame), frame], link_type=link_type)
    depths = [row["tunnel_depth"] for row in rows]
    assert depths == sorted(depths)
    for name in ("vlan", "outer_src", "ip_version", "ethertype"):
        known = [row[name] is not None for row in rows]
        assert known == sorted(known), name
