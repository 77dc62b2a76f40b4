import csv
import io
import json

import pytest
from click import unstyle

from analyzer.tables.captures import Damage, Interface


@pytest.fixture
def troubled(pipeline, make_summary):
    pipeline.summaries = [
        make_summary(
            "n1/node.pcapng.gz",
            format="pcapng",
            compression="gzip",
            interfaces=[
                Interface("ens18", 1, 96, received=200, dropped=10),
                Interface(None, 276, 262_144),
            ],
            points=["node/ens18", "node/any"],
            tunnels={"vxlan": 8, "geneve": 1},
            vnis={1: 1, 2: 1, 3: 1, 4: 1, 4096: 5},
            stops={("truncated", "tcp"): 5, ("malformed", "vxlan"): 1},
            damage=[Damage("ends inside a packet", 1234, 11)],
            non_ip=2,
        )
    ]
    return pipeline


@pytest.mark.usefixtures("troubled")
def test_one_capture_is_described_in_detail(analyze):
    out = unstyle(analyze("info", "n2.eth0.pcap", columns=100).stdout)
    assert out == (
        "node.pcapng.gz\n"
        "  file        pcapng in gzip, 5.0 kB\n"
        "  packets     11 in 1.5 s (7/s) from 2023-05-02 04:00:00 UTC\n"
        "  bytes       4.7 kB on the wire (25 kbit/s)\n"
        "  first       2023-05-02T04:00:00.123456789Z\n"
        "  last        2023-05-02T04:00:01.623456789Z\n"
        "  points      node/ens18, node/any\n"
        "  interface   ens18, Ethernet, snapshot length 96, 200 received,"
        " 10 dropped by the kernel\n"
        "  interface   without a name, Linux cooked v2, snapshot length 262,144\n"
        "  tunnels     8 packets in vxlan, 1 packet in geneve"
        " (VNI 4096, 1, 2, 3 and 1 more)\n"
        "  without IP  2 packets\n"
        "  stopped     1 frame malformed in vxlan\n"
        "  stopped     5 frames truncated in tcp\n"
        "  damage      at byte 1,234: ends inside a packet\n"
    )


def test_an_empty_capture_is_described_too(analyze, pipeline, make_summary):
    pipeline.summaries = [
        make_summary(packets=0, wire_bytes=0, start_time=None, end_time=None)
    ]
    assert "packets     0\n" in analyze("info", "n2.eth0.pcap").stdout


@pytest.mark.parametrize("columns", [80, 160])
def test_several_captures_take_a_line_each(analyze, troubled, make_summary, columns):
    troubled.summaries.append(make_summary("k8s-worker02.cali33daab9904f.pcap.gz"))
    lines = analyze("info", "n2.eth0.pcap", columns=columns).stdout.splitlines()
    heading = lines[1].split()
    assert {"TUNNELS", "TROUBLE"} <= set(heading)
    assert "1 damaged, 10 dropped, 5 cut" in lines[2] or columns == 80
    assert "damaged" in lines[2]
    assert lines[3].startswith("k8s-worke")
    assert max(map(len, lines)) <= columns


@pytest.mark.usefixtures("troubled")
def test_json_has_all_that_is_known(analyze):
    record = json.loads(analyze("info", "n2.eth0.pcap", "--json").stdout)
    assert record["capture"] == "node.pcapng.gz"
    assert record["path"] == "n1/node.pcapng.gz"
    assert record["duration"] == 1.5
    assert record["start_time"] == "2023-05-02T04:00:00.123456789Z"
    assert record["interfaces"][0] == {
        "name": "ens18",
        "link_type": "Ethernet",
        "snapshot_length": 96,
        "received": 200,
        "dropped": 10,
    }
    assert record["stops"][0] == {"reason": "truncated", "layer": "tcp", "frames": 5}
    assert record["damage"] == [
        {"reason": "ends inside a packet", "offset": 1234, "frame": 11}
    ]
    assert record["vnis"]["4096"] == 5


@pytest.mark.usefixtures("troubled")
def test_csv_keeps_nested_facts_as_json(analyze):
    out = analyze("info", "n2.eth0.pcap", "--format", "csv").stdout
    (record,) = csv.DictReader(io.StringIO(out))
    assert record["packets"] == "11"
    assert json.loads(record["tunnels"]) == {"vxlan": 8, "geneve": 1}


@pytest.mark.usefixtures("troubled")
def test_damage_is_a_warning_here_too(analyze):
    result = analyze("info", "n2.eth0.pcap")
    assert result.exit_code == 0
    assert "ends inside a packet (at byte 1,234, after 11 frames)" in result.stderr
