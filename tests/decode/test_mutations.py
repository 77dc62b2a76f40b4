"""No octets, however wrong, crash the decoder, hang it or eat the memory."""

import faulthandler
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import analyzer
from analyzer import AnalyzerError
from captures.files import ETHERNET, LINUX_SLL, LINUX_SLL2, NULL, RAW, Frame
from captures.lab import START
from tests.frames import (
    decode,
    flow_tables,
    flows_of,
    read_frames,
    sample_captures,
    sample_name,
    sample_pcaps,
)

SAMPLES = sample_captures()
PCAPS = sample_pcaps()
SECONDS_BEFORE_A_HANG = 60


@pytest.fixture(autouse=True)
def _no_hang():
    """Write every thread's stack and end the process, should a test hang."""
    faulthandler.dump_traceback_later(SECONDS_BEFORE_A_HANG, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def mutated(octets: bytes, chance: random.Random) -> bytes:
    """Flip, overwrite, delete and repeat octets."""
    changed = bytearray(octets)
    for _ in range(chance.randint(1, 4)):
        if not changed:
            break
        at = chance.randrange(len(changed))
        match chance.randrange(5):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at] = chance.choice((0x00, 0xFF, 0x7F, 0x80))
            case 2:
                changed[at : at + 4] = chance.choice((b"\0" * 4, b"\xff" * 4))
            case 3:
                del changed[at : at + chance.randint(1, 8)]
            case 4:
                changed[at:at] = changed[at : at + chance.randint(1, 64)]
    return bytes(changed)


@pytest.mark.parametrize("path", PCAPS, ids=sample_name)
def test_every_mutation_of_a_sample_s_frames_is_a_row(path):
    chance = random.Random(path.name)
    link_type, frames = read_frames(path)
    mutations = [
        Frame(mutated(frame.octets, chance), frame.time)
        for frame in frames
        for _ in range(max(2, 200 // len(frames)))
    ]
    assert len(decode(mutations, link_type=link_type)) == len(mutations)
    flows = flows_of(mutations, link_type=link_type)
    counted = sum(f["originator_packets"] + f["responder_packets"] for f in flows)
    assert counted <= len(mutations)


@pytest.mark.parametrize("path", SAMPLES, ids=sample_name)
def test_every_mutation_of_a_sample_file_gives_tables_or_an_error_of_ours(
    path, tmp_path
):
    chance = random.Random(path.name)
    octets = path.read_bytes()
    target = tmp_path / "mutated"
    for number in range(20):
        target.write_bytes(mutated(octets, chance))
        build = analyzer.build_tables if number < 3 else flow_tables
        try:
            tables = build(target)
        except AnalyzerError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most mutations raise nothing
        else:
            packets = sum(summary.packets for summary in tables.captures)
            assert packets <= len(octets)


@settings(max_examples=200)
@given(
    octets=st.binary(max_size=200),
    link_type=st.sampled_from([ETHERNET, LINUX_SLL, LINUX_SLL2, NULL, RAW]),
)
@example(octets=b"", link_type=ETHERNET)
@example(octets=b"\xff" * 200, link_type=RAW)
def test_any_octets_are_one_row(octets, link_type):
    frame = Frame(octets, START)
    (row,) = decode([frame], link_type=link_type)
    assert row["captured_length"] == len(octets)


@given(
    octets=st.binary(max_size=120),
    ethertype=st.sampled_from([0x0800, 0x86DD, 0x8100, 0x88A8]),
)
def test_any_octets_behind_an_ethertype_are_one_row(octets, ethertype):
    header = bytes(12) + ethertype.to_bytes(2, "big")
    (row,) = decode([Frame(header + octets, START)])
    assert row["frame"] == 1


@given(octets=st.binary(max_size=300))
def test_any_octets_as_a_file_are_an_error_of_ours_or_tables(octets, tmp_path):
    path = tmp_path / "any"
    path.write_bytes(octets)
    try:
        tables = analyzer.build_tables(path)
    except AnalyzerError:
        return
    assert sum(summary.packets for summary in tables.captures) <= len(octets)
