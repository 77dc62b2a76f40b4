"""pcapng: sections, interfaces, times, and every kind of block."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import analyzer
from captures.files import (
    BIG,
    CUSTOM,
    DECRYPTION_SECRETS,
    ETHERNET,
    LITTLE,
    NAME_RESOLUTION,
    NULL,
    RAW,
    Frame,
    block,
    enhanced,
    interface,
    obsolete,
    section,
    simple,
    statistics,
)
from captures.formats import sections
from captures.lab import START, Conversation, frames
from tests.frames import CONFORMANCE, flow_rows, packet_rows

SYN = Frame(bytes(Conversation().client("S")), START)
SEQ = 1_000
SECOND = 1_000_000_000


@pytest.fixture
def rows_of(tmp_path):
    def read(*blocks):
        path = tmp_path / "x.pcapng"
        path.write_bytes(b"".join(blocks))
        return packet_rows(path)

    return read


@pytest.fixture
def summary_of(tmp_path):
    def read(*blocks):
        path = tmp_path / "x.pcapng"
        path.write_bytes(b"".join(blocks))
        (summary,) = analyzer.build_tables(path).captures
        return summary

    return read


@pytest.mark.parametrize("order", [LITTLE, BIG], ids=["little", "big"])
def test_packets_are_read_in_either_byte_order(rows_of, order):
    (row,) = rows_of(
        section(order=order), interface(order=order), enhanced(SYN, order=order)
    )
    assert (row["seq"], row["time"], row["wire_length"]) == (SEQ, START, 54)


def test_a_section_may_change_the_byte_order(rows_of):
    blocks = [
        written
        for order in (LITTLE, BIG, BIG, LITTLE)
        for written in (
            section(order=order),
            interface(order=order),
            enhanced(SYN, order=order),
        )
    ]
    assert [row["seq"] for row in rows_of(*blocks)] == [SEQ] * 4


@given(power=st.integers(0, 19), ticks=st.integers(0, 2**62))
def test_a_resolution_of_a_power_of_ten_is_exact(power, ticks, tmp_path):
    time = ticks * SECOND // 10**power
    if time >= 2**63:
        return
    path = tmp_path / "x.pcapng"
    written = section() + interface(resolution=power) + enhanced(SYN, ticks=ticks)
    path.write_bytes(written)
    assert [row["time"] for row in packet_rows(path)] == [time]


@given(power=st.integers(0, 63), ticks=st.integers(0, 2**62))
@example(power=35, ticks=35)
@example(power=63, ticks=2**62 + 2**61 - 1)
def test_a_resolution_of_a_power_of_two_is_exact(power, ticks, tmp_path):
    time = ticks * SECOND >> power
    if time >= 2**63:
        return
    path = tmp_path / "x.pcapng"
    written = section() + interface(resolution=0x80 | power)
    path.write_bytes(written + enhanced(SYN, ticks=ticks))
    (row,) = packet_rows(path)
    finer_than_a_nanosecond = power >= 30
    assert time - finer_than_a_nanosecond <= row["time"] <= time


def test_without_a_resolution_ticks_are_microseconds(rows_of):
    (row,) = rows_of(section(), interface(), enhanced(SYN, ticks=1_234_567))
    assert row["time"] == 1_234_567_000


@pytest.mark.parametrize("offset", [3_600, -3_600, 1_700_000_000])
def test_an_offset_is_added_in_seconds(rows_of, offset):
    ticks = 5_000_000_000
    (row,) = rows_of(section(), interface(offset=offset), enhanced(SYN, ticks=ticks))
    assert row["time"] == ticks * 1_000 + offset * SECOND


@pytest.mark.parametrize("order", [LITTLE, BIG], ids=["little", "big"])
def test_an_offset_is_read_in_the_section_s_byte_order(rows_of, order):
    (row,) = rows_of(
        section(order=order),
        interface(offset=3_600, order=order),
        enhanced(SYN, ticks=0, order=order),
    )
    assert row["time"] == 3_600 * SECOND


def test_each_interface_has_its_own_link_type_and_resolution(rows_of):
    raw = Frame(SYN.octets[14:], START)
    loop = Frame(b"\x02\0\0\0" + SYN.octets[14:], START)
    rows = rows_of(
        section(),
        interface(link_type=ETHERNET, resolution=9),
        interface(link_type=RAW, resolution=3),
        interface(link_type=NULL),
        enhanced(SYN, ticks=START),
        enhanced(raw, ticks=START // 1_000_000, index=1),
        enhanced(loop, ticks=START // 1_000, index=2),
    )
    assert [row["seq"] for row in rows] == [SEQ] * 3
    assert [row["time"] for row in rows] == [START] * 3


def test_an_interface_may_be_described_after_packets_of_another(rows_of):
    rows = rows_of(
        section(),
        interface(),
        enhanced(SYN),
        interface(link_type=RAW),
        enhanced(Frame(SYN.octets[14:], START), index=1),
    )
    assert [row["seq"] for row in rows] == [SEQ] * 2


def test_a_simple_packet_has_no_time(rows_of):
    (row,) = rows_of(section(), interface(), simple(SYN))
    assert (row["time"], row["seq"], row["captured_length"]) == (None, SEQ, 54)


def test_a_simple_packet_is_as_long_as_the_snapshot_length_lets_it(rows_of):
    cut = Frame(SYN.octets[:40], START, wire_length=54)
    (row,) = rows_of(section(), interface(snapshot_length=40), simple(cut))
    assert (row["captured_length"], row["wire_length"]) == (40, 54)


def test_an_obsolete_packet_block_is_a_packet(rows_of):
    (row,) = rows_of(section(), interface(), obsolete(SYN))
    assert (row["time"], row["seq"]) == (START, SEQ)


@pytest.mark.parametrize(
    "between",
    [
        block(NAME_RESOLUTION, b"\0" * 4),
        block(CUSTOM, b"\0\0\x7e\xd9 anything"),
        block(CUSTOM | 0x4000_0000, b"\0\0\x7e\xd9 not to be copied"),
        block(DECRYPTION_SECRETS, b"KSLT" + b"\0" * 4),
        block(0x7ABC_DEF0, b"x" * 100_000),
        block(0x8000_0001, b""),
    ],
    ids=["names", "custom", "custom, local", "secrets", "unknown, long", "empty"],
)
def test_a_block_that_is_no_packet_is_passed_over(rows_of, between):
    rows = rows_of(
        section(), interface(), enhanced(SYN), between, enhanced(SYN), between
    )
    assert [row["frame"] for row in rows] == [1, 2]
    assert [row["seq"] for row in rows] == [SEQ] * 2


def test_options_after_a_packet_are_no_octets_of_it(rows_of):
    plain = enhanced(SYN)
    comment = b"\x01\0\x05\0hello\0\0\0" + bytes(4)
    body = plain[8:-4] + comment
    (row,) = rows_of(section(), interface(), block(6, body))
    assert (row["captured_length"], row["seq"]) == (54, SEQ)


@pytest.mark.parametrize("order", [LITTLE, BIG], ids=["little", "big"])
def test_drop_counts_reach_the_summary(summary_of, order):
    summary = summary_of(
        section(order=order),
        interface(name="eth0", order=order),
        interface(name="eth1", order=order, snapshot_length=96),
        enhanced(SYN, order=order),
        statistics(received=2**33, dropped=7, index=1, order=order),
    )
    first, second = summary.interfaces
    assert (first.name, first.received, first.dropped) == ("eth0", None, None)
    assert (second.name, second.received, second.dropped) == ("eth1", 2**33, 7)
    assert second.snapshot_length == 96


def test_the_last_statistics_of_an_interface_count(summary_of):
    summary = summary_of(
        section(),
        interface(),
        statistics(received=1, dropped=0),
        enhanced(SYN),
        statistics(received=5, dropped=2),
    )
    (only,) = summary.interfaces
    assert (only.received, only.dropped) == (5, 2)


def test_statistics_belong_to_the_section_s_interface(summary_of):
    summary = summary_of(
        section(),
        interface(name="a"),
        section(),
        interface(name="b"),
        statistics(received=9, dropped=3),
    )
    assert [i.dropped for i in summary.interfaces] == [None, 3]


def test_a_section_of_known_length_is_read_to_its_end(rows_of):
    inside = interface() + enhanced(SYN)
    rows = rows_of(section(length=len(inside)), inside, section(), inside)
    assert [row["seq"] for row in rows] == [SEQ] * 2


def test_interface_names_are_observation_points(rows_of):
    rows = rows_of(
        section(),
        interface(name="eth0"),
        interface(name="cali123"),
        enhanced(SYN, index=1),
        enhanced(SYN),
    )
    assert [row["point"].rpartition("/")[2] for row in rows] == ["cali123", "eth0"]


def test_a_packet_of_an_undescribed_interface_is_damage(summary_of):
    summary = summary_of(
        section(), interface(), enhanced(SYN), enhanced(SYN, index=3), enhanced(SYN)
    )
    (damage,) = summary.damage
    before = len(section()) + len(interface()) + len(enhanced(SYN))
    assert (damage.frame, damage.offset) == (1, before)
    assert summary.packets == 2


def test_the_sample_of_two_sections_is_read_whole(tmp_path):
    path = tmp_path / "sections.pcapng"
    path.write_bytes(sections.build())
    rows = packet_rows(path)
    hour_off = (START - 3_600 * SECOND) * 1_024 // SECOND + 1
    assert [row["time"] for row in rows] == [
        START + 7,
        hour_off * SECOND // 1_024 + 3_600 * SECOND,
        None,
        START + 3_000_000,
        START + 4_000_000,
        START + 5_000_000,
        START + 6_000_000,
    ]
    talk = Conversation()
    written = [*talk.handshake(), talk.client("PA", b"hello"), *talk.goodbye()]
    assert [row["seq"] for row in rows] == [s["TCP"].seq for s in written]
    (summary,) = analyzer.build_tables(path).captures
    assert summary.damage == []
    assert [i.name for i in summary.interfaces] == ["eth0", "tun0", "cali0"]
    assert [i.link_type for i in summary.interfaces] == [ETHERNET, RAW, ETHERNET]
    assert [i.dropped for i in summary.interfaces] == [None, None, 7]


def test_two_interfaces_of_one_capture_are_two_points():
    tables = analyzer.build_tables(CONFORMANCE / "zeek_pcapng-multi-interface.pcapng")
    points = tables.flows.select("point").unique().collect().height
    assert points == len(tables.captures[0].points) == 2


def test_many_interfaces_are_told_apart(rows_of):
    count = 300
    many = [interface(name=f"veth{i}") for i in range(count)]
    packets = [
        enhanced(frame, index=i) for i, frame in enumerate(frames([b"x"] * count))
    ]
    rows = rows_of(section(), *many, *packets)
    names = [row["point"].rpartition("/")[2] for row in rows]
    assert names == [f"veth{i}" for i in range(count)]


@pytest.mark.parametrize("timeouts", [{}, {"active_timeout": 10.0}])
@pytest.mark.parametrize("order", ["ese", "see", "ees", "sse"])
def test_packets_without_a_time_stay_in_their_flow(tmp_path, order, timeouts):
    path = tmp_path / "x.pcapng"
    packets = [enhanced(SYN) if kind == "e" else simple(SYN) for kind in order]
    path.write_bytes(section() + interface() + b"".join(packets))
    (flow,) = flow_rows(path, **timeouts)
    assert flow["originator_packets"] == 3
    assert (flow["start_time"], flow["end_time"]) == (START, START)


def test_a_flow_without_any_time_has_none(tmp_path):
    path = tmp_path / "x.pcapng"
    path.write_bytes(section() + interface() + simple(SYN) * 2)
    (flow,) = flow_rows(path)
    assert (flow["start_time"], flow["end_time"]) == (None, None)
