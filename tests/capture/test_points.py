"""Where a capture was taken: the option, pcapng's names, the file's name."""

import pytest

import analyzer
from captures.files import Frame, enhanced, interface, pcap, section
from captures.formats import cooked_v2
from captures.lab import START, Conversation
from tests.frames import flow_rows, packet_rows

SYN = Frame(bytes(Conversation().client("S")), START)


def points(path, **how):
    return {row["point"] for row in packet_rows(path, **how)}


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("node-a.eth0.pcap", "node-a/eth0"),
        ("k8s-master.vxlan.calico.pcap", "k8s-master/vxlan.calico"),
        ("worker.cali0123456789a.pcap", "worker/cali0123456789a"),
        ("capture.pcap", "capture"),
    ],
)
def test_the_file_name_tells_node_and_interface(tmp_path, name, point):
    path = tmp_path / name
    path.write_bytes(pcap([SYN]))
    assert points(path) == {point}
    assert {flow["point"] for flow in flow_rows(path)} == {point}


def test_what_the_caller_says_comes_first(tmp_path):
    path = tmp_path / "node-a.eth0.pcap"
    path.write_bytes(pcap([SYN]))
    assert points(path, points={path: "node-b/ens18"}) == {"node-b/ens18"}


def test_an_interface_s_name_comes_before_the_file_s(tmp_path):
    path = tmp_path / "node-a.any.pcapng"
    path.write_bytes(section() + interface(name="ens18") + enhanced(SYN))
    (point,) = points(path)
    assert point.endswith("ens18")


def test_the_summary_lists_the_points(tmp_path):
    path = tmp_path / "node-a.eth0.pcap"
    path.write_bytes(pcap([SYN]))
    assert analyzer.build_tables(path).captures[0].points == ["node-a/eth0"]


def test_captures_of_several_points_keep_their_flows_apart(tmp_path):
    paths = [tmp_path / "node-a.eth0.pcap", tmp_path / "node-b.eth0.pcap"]
    for path in paths:
        path.write_bytes(pcap([SYN]))
    found = [(flow["capture"], flow["point"]) for flow in flow_rows(paths)]
    assert sorted(found) == [
        ("node-a.eth0.pcap", "node-a/eth0"),
        ("node-b.eth0.pcap", "node-b/eth0"),
    ]


def test_every_cooked_packet_has_a_point_of_its_capture(tmp_path):
    path = tmp_path / "node-a.any.pcap"
    path.write_bytes(cooked_v2.build())
    assert all(point.startswith("node-a") for point in points(path))
