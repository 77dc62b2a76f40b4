"""``-i any`` sees a packet at every device that it crosses: copies, not traffic."""

import pytest

from captures.formats import cooked_v1, cooked_v2
from tests.frames import flow_rows, packet_rows

SEGMENTS = 5  # of the conversation in both samples


@pytest.fixture
def flows_seen(tmp_path):
    def read(sample):
        path = tmp_path / "node-a.any.pcap"
        path.write_bytes(sample.build())
        return flow_rows(path)

    return read


def packets(flow):
    return flow["originator_packets"] + flow["responder_packets"]


def test_without_interfaces_the_second_sighting_is_a_copy(flows_seen):
    (flow,) = flows_seen(cooked_v1)
    assert packets(flow) == 2 * SEGMENTS
    assert flow["copies"] == SEGMENTS


def test_with_interfaces_every_sighting_is_told_apart_or_a_copy(flows_seen):
    found = flows_seen(cooked_v2)
    plain = [flow for flow in found if flow["tunnel"] is None]
    carried = [flow for flow in found if flow["tunnel"] == "vxlan"]
    distinct = [packets(flow) - flow["copies"] for flow in plain]
    assert sum(packets(flow) for flow in plain) == 2 * SEGMENTS
    assert all(count in (0, SEGMENTS) for count in distinct)
    assert [packets(flow) for flow in carried] == [SEGMENTS]


@pytest.mark.parametrize("sample", [cooked_v1, cooked_v2], ids=["SLL", "SLL2"])
def test_copies_do_not_change_what_the_conversation_was(sample, flows_seen):
    for flow in flows_seen(sample):
        assert flow["tcp_state"] == "S1"
        assert flow["requests"] == 1
        assert flow["originator_retransmits"] == flow["responder_retransmits"] == 0


def test_every_sighting_stays_in_the_packets_table(tmp_path):
    path = tmp_path / "node-a.any.pcap"
    path.write_bytes(cooked_v2.build())
    assert len(packet_rows(path)) == 3 * SEGMENTS
