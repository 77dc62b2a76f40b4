import csv
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click import unstyle

from analyzer.tables.captures import Damage, Interface

VXLAN = {
    "tunnel": "vxlan",
    "vni": 4096,
    "outer_originator_ip": "192.168.2.30",
    "outer_responder_ip": "192.168.2.31",
}
NODE_PORT = {"responder_ip": "192.168.2.30", "responder_port": 30080}
IPV6 = {
    "originator_ip": "2001:db8:1234:5678:9abc:def0:1234:5678",
    "responder_ip": "fd00:1234:5678:9abc:def0:1234:5678:9abc",
}
PING = {
    "protocol": "icmp",
    "originator_port": None,
    "responder_port": None,
    "icmp_type": 8,
    "tcp_state": None,
    "handshake_rtt": None,
}


@pytest.fixture
def mixed(pipeline, make_flow):
    pipeline.rows = [
        make_flow(flow_id=0, **NODE_PORT, tcp_state="RSTR", wire_bytes=1000),
        make_flow(flow_id=1, **VXLAN, wire_bytes=12_345_678, originator_retransmits=3),
        make_flow(flow_id=2, **IPV6, wire_bytes=900),
        make_flow(flow_id=3, **PING, wire_bytes=800, icmp_errors=1),
        *(make_flow(flow_id=n, wire_bytes=700, tcp_state="S0") for n in range(4, 20)),
    ]
    return pipeline


def table_of(result):
    """Split the rows of the table of flows at their gaps."""
    lines = result.stdout.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("PROTO"))
    rows = lines[first : lines.index("", first)]
    return [row for row in rows if not row.startswith("(no room")]


@pytest.mark.parametrize("columns", [80, 100, 160])
@pytest.mark.usefixtures("mixed")
def test_no_line_is_longer_than_the_terminal(analyze, columns):
    for captures in (analyze.captures, analyze.captures[:1]):
        result = analyze(
            "flows", *map(str, captures), "--cluster", "cluster.txt", columns=columns
        )
        *lines, _, _ = result.stdout.splitlines()  # a command is not to be cut
        assert result.exit_code == 0
        assert max(map(len, lines)) <= columns


@pytest.mark.usefixtures("mixed")
def test_the_largest_flows_come_first(analyze):
    result = analyze("flows", "n2.eth0.pcap", columns=200)
    rows = table_of(result)
    assert len(rows) == 1 + 10
    assert "12 MB" in rows[1]
    assert "1.0 kB" in rows[2]
    assert "Top 10 by bytes on the wire" in result.stdout


@pytest.mark.usefixtures("mixed")
def test_top_asks_for_more_or_fewer(analyze):
    assert len(table_of(analyze("flows", "n2.eth0.pcap", "--top", "3"))) == 1 + 3
    everything = table_of(analyze("flows", "n2.eth0.pcap", "--top", "100", columns=200))
    assert len(everything) == 1 + 20


@pytest.mark.usefixtures("mixed")
def test_what_went_wrong_is_counted_over_all_flows(analyze):
    out = analyze("flows", "n2.eth0.pcap", "--top", "1", columns=200).stdout
    assert "20 flows: 19 tcp, 1 icmp; 16 no answer, 1 reset," in out
    assert "1 with retransmits, 1 with ICMP errors" in out


@pytest.mark.usefixtures("mixed")
def test_names_stand_beside_addresses_where_there_is_room(analyze):
    rows = table_of(
        analyze("flows", "n2.eth0.pcap", "--cluster", "cluster.txt", columns=240)
    )
    assert "10.1.79.75:80 nginx-ds-6nw9w" in rows[1]
    assert "vxlan k8s-master → k8s-worker01" in rows[1]
    assert "192.168.2.30:30080 k8s-master nodeport-nginx-ds" in rows[2]


def test_names_replace_addresses_where_there_is_not(analyze, pipeline, make_flow):
    pipeline.rows = [
        make_flow(**VXLAN),
        make_flow(flow_id=1, **NODE_PORT, tcp_state="REJ"),
    ]
    rows = table_of(
        analyze("flows", "n2.eth0.pcap", "--cluster", "cluster.txt", columns=80)
    )
    assert "nginx-ds-6nw9w:80" in rows[1]
    assert "vxlan" in rows[1]
    assert "nodeport-nginx-ds:30080" in rows[2]
    assert "refused" in rows[2]


@pytest.mark.usefixtures("mixed")
def test_addresses_do_without_names_if_no_cluster_is_given(analyze):
    out = analyze("flows", "n2.eth0.pcap", columns=200).stdout
    assert "vxlan 192.168.2.30 → 192.168.2.31" in out
    assert "nginx" not in out


@pytest.mark.usefixtures("pipeline")
def test_empty_columns_are_left_out(analyze):
    (heading, _) = table_of(analyze("flows", "n2.eth0.pcap", columns=200))
    assert "TUNNEL" not in heading
    assert "RETR" not in heading
    assert "POINT" not in heading


def test_a_conversation_seen_at_several_points_takes_one_row(
    analyze, pipeline, make_flow
):
    at = [
        {"point": "n1/cali1", "wire_bytes": 900},
        {"point": "n1/eth0", "wire_bytes": 1000, **VXLAN},
        {"point": "n2/eth0", "wire_bytes": 1000, **VXLAN},
    ]
    pipeline.rows = [
        make_flow(flow_id=number, originator_isn=isn, **where)
        for number, (isn, where) in enumerate((n, each) for n in (1, 2) for each in at)
    ]
    result = analyze("flows", "n1.eth0.pcap.gz", "n2.eth0.pcap", columns=140)
    assert "6 flows at 3 points: 6 tcp" in result.stdout
    heading, *rows = table_of(result)
    assert "SEEN AT" in heading
    assert ["n1/eth0 +2" in row for row in rows] == [True, True]


def test_vnis_are_told_apart_where_there_are_several(analyze, pipeline, make_flow):
    pipeline.rows = [make_flow(**VXLAN), make_flow(flow_id=1, **VXLAN | {"vni": 7})]
    rows = table_of(analyze("flows", "n2.eth0.pcap", columns=140))
    assert "vxlan 4096 192.168.2.30 → 192.168.2.31" in rows[1]
    assert "vxlan 7 192.168.2.30 → 192.168.2.31" in rows[2]


def test_a_capture_without_flows_is_no_failure(analyze, pipeline):
    pipeline.rows = []
    result = analyze("flows", "n2.eth0.pcap")
    assert result.exit_code == 0
    assert "0 flows" in result.stdout


@pytest.mark.usefixtures("mixed")
def test_json_has_every_flow_with_its_names(analyze):
    result = analyze("flows", "n2.eth0.pcap", "--cluster", "cluster.txt", "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["flow_id"] for record in records] == list(range(20))
    node_port, vxlan = records[:2]
    assert node_port["service"] == "default/nodeport-nginx-ds"
    assert node_port["responder_name"] == "k8s-master"
    assert vxlan["responder_name"] == "nginx-ds-6nw9w"
    assert vxlan["responder_node"] == "k8s-worker01"
    assert vxlan["originator_name"] is None
    assert vxlan["start_time"] == "2023-05-02T04:00:00.123456789Z"
    assert vxlan["handshake_rtt"] == 0.00034
    assert vxlan["vni"] == 4096
    assert not {"originator_syn_tsval", "originator_packet_ids"} & set(vxlan)


@pytest.mark.usefixtures("mixed")
def test_json_has_the_largest_if_asked_for_a_number(analyze):
    result = analyze("flows", "n2.eth0.pcap", "--json", "--top", "2")
    ids = [json.loads(line)["flow_id"] for line in result.stdout.splitlines()]
    assert ids == [1, 0]


@pytest.mark.usefixtures("mixed")
def test_csv_has_the_columns_of_json(analyze):
    as_csv = analyze("flows", "n2.eth0.pcap", "--format", "csv").stdout
    as_json = analyze("flows", "n2.eth0.pcap", "--json").stdout
    records = list(csv.DictReader(io.StringIO(as_csv)))
    assert len(records) == 20
    assert list(records[0]) == list(json.loads(as_json.splitlines()[0]))


def test_csv_of_no_flows_still_has_its_heading(analyze, pipeline):
    pipeline.rows = []
    result = analyze("flows", "n2.eth0.pcap", "--format", "csv")
    assert result.stdout.startswith("flow_id,capture,point,")
    assert result.stdout.count("\n") == 1


@pytest.mark.usefixtures("mixed")
def test_batches_make_no_difference(analyze, monkeypatch):
    whole = analyze(
        "flows", "n2.eth0.pcap", "--format", "csv", "--cluster", "cluster.txt"
    )
    monkeypatch.setattr("analyzer.cli.flow_records._ROWS_AT_A_TIME", 5)
    parts = analyze(
        "flows", "n2.eth0.pcap", "--format", "csv", "--cluster", "cluster.txt"
    )
    assert parts.stdout == whole.stdout


def test_options_reach_the_pipeline(analyze, pipeline):
    result = analyze(
        *("flows", "n2.eth0.pcap", "-o", "out", "--packets", "--idle-timeout", "1m"),
        *("--active-timeout", "1h", "--vxlan-port", "8472", "--filter", "vni = 1"),
        *("--point", "n2/ens18=n2.eth0.pcap"),
    )
    assert result.exit_code == 0, result.output
    assert pipeline.asked == {
        "captures": (Path("n2.eth0.pcap"),),
        "directory": Path("out"),
        "cluster": None,
        "points": {Path("n2.eth0.pcap"): "n2/ens18"},
        "vxlan_ports": (8472,),
        "idle_timeout": 60.0,
        "active_timeout": 3600.0,
        "packets": True,
        "parquet": False,
        "filter": "vni = 1",
        "threads": None,
        "progress": None,
        "following": None,
    }


@pytest.mark.parametrize(
    ("captures", "directory"),
    [(["n1.eth0.pcap.gz"], "n1.eth0.tables"), (["*.pcap*"], "capture.tables")],
)
def test_the_tables_lie_here(analyze, pipeline, captures, directory):
    result = analyze("flows", *captures)
    assert pipeline.asked["directory"] == Path(directory)
    assert f"Tables are in {directory}" in result.stdout


@pytest.mark.usefixtures("pipeline")
def test_the_next_command_runs(analyze):
    command = analyze(
        "flows", "n2.eth0.pcap", "-o", 'it\'s "here"'
    ).stdout.splitlines()[-1]
    program, *arguments = shlex.split(command)
    assert program == "python3"
    run = subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    assert b"flow_id" in run.stdout


def test_damage_is_a_warning(analyze, pipeline, make_summary):
    damage = Damage("block length 7 is no multiple of 4", offset=12_345, frame=67)
    pipeline.summaries = [make_summary(damage=[damage])]
    result = analyze("flows", "n2.eth0.pcap")
    assert result.exit_code == 0
    assert result.stderr == (
        "analyze: warning: node.pcap: block length 7 is no multiple of 4"
        " (at byte 12,345, after 67 frames)\n"
    )


def test_strict_makes_damage_a_failure_after_showing_everything(
    analyze, pipeline, make_summary
):
    pipeline.summaries = [make_summary(damage=[Damage("ends inside a packet", 99, 1)])]
    result = analyze("flows", "n2.eth0.pcap", "--strict", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["flow_id"] == 0
    assert "analyze: error: damaged: node.pcap\n  hint: " in result.stderr


@pytest.mark.usefixtures("pipeline")
def test_strict_is_content_with_whole_captures(analyze):
    assert analyze("flows", "n2.eth0.pcap", "--strict").exit_code == 0


def test_drops_and_cuts_are_warnings_with_a_remedy(analyze, pipeline, make_summary):
    pipeline.summaries = [
        make_summary(
            interfaces=[Interface("ens18", 1, 96, received=200, dropped=10)],
            stops={("truncated", "tcp"): 5, ("malformed", "ipv4"): 1},
        )
    ]
    warnings = analyze("flows", "n2.eth0.pcap", "--strict").stderr
    assert "ens18: the kernel dropped 10 of 200 (5 %)" in warnings
    assert "tcpdump -B" in warnings
    assert "5 of 11 frames (45 %) end inside a header (tcp)" in warnings
    assert "tcpdump -s 192" in warnings


def test_many_warnings_are_counted(analyze, pipeline, make_summary):
    damage = [Damage("odd", offset, 0) for offset in range(100)]
    pipeline.summaries = [make_summary(damage=damage)]
    warnings = analyze("flows", "n2.eth0.pcap").stderr.splitlines()
    assert len(warnings) == 8 + 2
    assert "and 92 warnings more" in warnings[-2]


def test_machines_get_nothing_but_records_on_stdout(analyze, pipeline, make_summary):
    pipeline.summaries = [make_summary(damage=[Damage("odd", 1, 0)])]
    result = analyze("flows", "n2.eth0.pcap", "--json")
    assert [json.loads(line)["flow_id"] for line in result.stdout.splitlines()] == [0]
    assert "tables are in n2.eth0.tables" in result.stderr


def test_summary_of_one_capture(analyze, pipeline, make_summary):
    pipeline.summaries = [
        make_summary(
            tunnels={"vxlan": 9},
            vnis={4096: 9},
            captured_bytes=1056,
            stops={("truncated", "tcp"): 5},
        )
    ]
    out = unstyle(analyze("flows", "n2.eth0.pcap").stdout)
    assert out.splitlines()[:6] == [
        "node.pcap",
        "  packets  11 in 1.5 s (7/s) from 2023-05-02 04:00:00 UTC",
        "  bytes    4.7 kB on the wire (25 kbit/s), 1.1 kB captured",
        "  link     Ethernet at node/eth0",
        "  tunnels  9 packets in vxlan (VNI 4096)",
        "  stopped  5 truncated in tcp",
    ]


@pytest.mark.usefixtures("pipeline")
def test_summary_of_several_captures(analyze):
    lines = analyze("flows", "*.pcap*", columns=100).stdout.splitlines()
    assert lines[0] == "2 captures: 22 packets, 9.3 kB on the wire"
    assert lines[1].split() == [
        "CAPTURE",
        "PACKETS",
        "BYTES",
        "DURATION",
        "LINK",
        "TUNNELS",
    ]
    assert re.split("  +", lines[2]) == [
        *("n1.eth0.pcap.gz", "11", "4.7 kB", "1.5 s", "Ethernet", "-")
    ]


@pytest.mark.usefixtures("pipeline")
def test_tables_are_arrow_files(analyze):
    analyze("flows", "n2.eth0.pcap")
    assert pl.read_ipc("n2.eth0.tables/flows.arrow").height == 1
