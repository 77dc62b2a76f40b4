import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.cli import format as say

NS = 1_000_000_000


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (8_200_000, "8.2 MB"),
        (10**19, "10,000 PB"),
    ],
)
def test_sizes_are_decimal_and_short(octets, text):
    assert say.size(octets) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 s"),
        (1, "1 ns"),
        (1_500, "1.5 us"),
        (340_000, "340 us"),
        (999_600, "1.0 ms"),
        (12.34 * NS, "12.3 s"),
        (59.96 * NS, "1m 00s"),
        (3599.6 * NS, "1h 00m"),
        (3.5 * 86_400 * NS, "3d 12h"),
    ],
)
def test_durations_have_the_unit_that_fits(nanoseconds, text):
    assert say.duration(int(nanoseconds)) == text


@given(st.integers(0, 2**63 - 1))
def test_no_number_is_wider_than_its_column(value):
    assert len(say.duration(value)) <= 11
    assert len(say.size(value)) <= 9


def test_times_keep_their_nanoseconds():
    assert say.iso_time(1_683_000_000_123_456_789) == "2023-05-02T04:00:00.123456789Z"
    assert say.iso_time(-1) == "1969-12-31T23:59:59.999999999Z"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 2, "50 %"), (1, 30, "3.3 %"), (1, 10**6, "< 0.01 %"), (0, 5, "0 %")],
)
def test_a_share_of_something_is_never_zero(part, whole, text):
    assert say.percent(part, whole) == text


def test_ports_of_ipv6_addresses_stand_apart():
    assert say.endpoint("10.1.0.2", 80) == "10.1.0.2:80"
    assert say.endpoint("fd00::2", 80) == "[fd00::2]:80"
    assert say.endpoint("fd00::2", None) == "fd00::2"


@given(st.text())
def test_nothing_reaches_the_terminal_that_it_would_act_on(text):
    assert say.printable(text).isprintable()


def test_printable_text_is_left_alone():
    assert say.printable("Straße.pcap") == "Straße.pcap"
    assert say.printable("a\x1b[31m\udc80") == r"a\x1b[31m\udc80"


@given(st.text(max_size=40), st.integers(3, 50))
def test_an_ellipsis_keeps_both_ends(text, width):
    short = say.middle_ellipsis(text, width)
    assert len(short) <= max(width, 0)
    if len(text) > width:
        head, tail = short.split("…")[0], short.rsplit("…", 1)[-1]
        assert text.startswith(head)
        assert text.endswith(tail)
