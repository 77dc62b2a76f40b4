"""`analyze cluster show` of captures shows what their packets tell."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

from tests.frames import CAPTURES

NIC = str(CAPTURES / "cluster" / "loadbalancer" / "k8s-worker01.ens18.pcap.gz")
NODES = "NAME STATUS ROLES AGE VERSION\nn Ready <none> 1d v1\n"


def test_captures_are_told_from_cluster_state_by_content(analyze):
    result = analyze("cluster", "show", NIC)
    assert result.exit_code == 0
    assert "4 nodes (inferred from packets" in result.stdout
    assert "192.168.2.38:8080" in result.stdout


def test_a_directory_of_captures_is_none_of_cluster_state(analyze, tmp_path):
    folder = tmp_path / "captures"
    folder.mkdir()
    (folder / "capture.pcap.gz").symlink_to(NIC)
    (folder / "notes.txt").write_text("Recorded while the shop was slow.\n")
    printed = analyze("cluster", "show", str(folder)).stdout
    assert "4 nodes (inferred from packets" in printed
    assert "\n192.168.2.31 " in printed  # no point tells the names of nodes
    (folder / "nodes.txt").write_text(NODES)
    printed = analyze("cluster", "show", str(folder)).stdout
    assert "inferred" not in printed
    assert "1 node\n" in printed
    file = tmp_path / "cluster.json"
    assert analyze("cluster", "show", str(folder), "-o", str(file)).exit_code == 2


def test_backends_are_counted_where_there_is_no_room_for_all(analyze):
    assert " 10.1.235.211:80 +2 " in analyze("cluster", "show", NIC).stdout
    wide = analyze("cluster", "show", NIC, columns=120).stdout
    assert " 10.1.235.211:80, 10.1.39.199:80, 10.1.69.201:80 " in wide


def test_standard_input_is_a_capture():
    octets = gzip.decompress(Path(NIC).read_bytes())
    how = {"input": octets, "capture_output": True, "check": True}
    command = [sys.executable, "-m", "analyzer", "cluster", "show", "-"]
    printed = subprocess.run(command, **how).stdout.decode()
    assert "4 nodes (inferred from packets" in printed


def test_every_record_says_that_it_is_inferred(analyze):
    records = [
        json.loads(line)
        for line in analyze("cluster", "show", "--json", NIC).stdout.splitlines()
    ]
    assert {record["kind"] for record in records} == {"node", "service"}
    assert all(record["is_inferred"] for record in records)


def test_what_is_written_is_cluster_state(analyze, tmp_path):
    path = tmp_path / "cluster.json"
    assert analyze("cluster", "show", NIC, "-o", str(path)).exit_code == 0
    target = str(tmp_path / "x.tables")
    result = analyze("flows", NIC, "--cluster", str(path), "-o", target, columns=120)
    assert "service-192-168-2-38-8080-tcp" in result.stdout


def test_captures_and_cluster_state_are_not_shown_at_once(analyze, tmp_path):
    other = tmp_path / "nodes.txt"
    other.write_text(NODES)
    result = analyze("cluster", "show", NIC, str(other))
    assert result.exit_code == 1
    assert "not a capture, but others are" in result.stderr
    assert "hint:" in result.stderr
