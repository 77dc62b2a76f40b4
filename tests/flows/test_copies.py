"""``-i any`` sees a packet at every device that it crosses: copies, not traffic."""

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux
from scapy.packet import Raw

from captures.files import LINUX_SLL, Frame, pcap
from captures.formats import cooked_v1, cooked_v2
from captures.lab import START
from tests.frames import flow_rows, packet_rows

SEGMENTS = 5  # of the conversation in both samples
IDENTIFICATION, SEQUENCE = slice(20, 22), slice(40, 44)  # in SLL and IPv4


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


@pytest.mark.parametrize(
    "packet",
    [
        IP(src="10.0.0.1", dst="10.0.0.2", id=0) / UDP(sport=1, dport=2) / Raw(b"ask"),
        IPv6(src="fd00::1", dst="fd00::2") / TCP(sport=1, dport=2, flags="S", seq=5),
    ],
    ids=["UDP", "IPv6"],
)
def test_a_copy_is_known_whatever_came_before_it(packet, tmp_path):
    before = bytes(CookedLinux(proto=0x0800) / IP() / TCP(sport=3, dport=4, flags="A"))
    frames = []
    for number in range(70_000):  # each another one
        other = bytearray(before)
        other[IDENTIFICATION] = (number * 7 % 65536).to_bytes(2)
        other[SEQUENCE] = (number * 1_000_003 % 2**32).to_bytes(4)
        frames.append(Frame(bytes(other), START + number * 1000))
    cooked = bytes(
        CookedLinux(proto=0x86DD if packet.haslayer(IPv6) else 0x0800) / packet
    )
    frames += [Frame(cooked, START + 80_000_000 + number) for number in range(1000)]
    path = tmp_path / "node-a.any.pcap"
    path.write_bytes(pcap(frames, link_type=LINUX_SLL))
    (flow,) = (each for each in flow_rows(path) if each["responder_port"] == 2)
    assert flow["copies"] == 999
