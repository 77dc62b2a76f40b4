"""Captures that others wrote read as tshark read them."""

import pytest

from tests.conformance import differences, expectations
from tests.frames import CONFORMANCE


@pytest.mark.parametrize("name", list(expectations(CONFORMANCE)))
def test_every_count_frame_and_flow_is_the_expected_one(name):
    found = differences(CONFORMANCE, name)
    assert not found.lines, f"{name}\n{found}"


def test_every_capture_has_expectations():
    captures = {path.name for path in CONFORMANCE.glob("*.pcap*")}
    assert captures == set(expectations(CONFORMANCE))
