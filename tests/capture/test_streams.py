"""Standard input gives what the file would have given."""

import subprocess
import sys

import pytest

from analyzer import open_tables
from captures.files import pcap
from captures.lab import Conversation, frames
from tests.frames import CONFORMANCE, NODEPORT, ROOT, require_program, rows

ANALYZE = [sys.executable, "-m", "analyzer"]
NAMES = {"capture", "point"}


def flows_by_command(arguments, stdin, folder):
    """Run ``analyze flows``, then read the flows that it wrote."""
    command = [*ANALYZE, "flows", *arguments, "-o", str(folder)]
    subprocess.run(command, stdin=stdin, check=True, cwd=ROOT, capture_output=True)
    return [
        {k: v for k, v in flow.items() if k not in NAMES}
        for flow in rows(open_tables(folder).flows)
    ]


@pytest.fixture
def capture(tmp_path):
    path = tmp_path / "node-a.eth0.pcap"
    path.write_bytes(pcap(frames(Conversation().handshake())))
    return path


def test_a_stream_of_cat_is_as_good_as_the_file(capture, tmp_path):
    expected = flows_by_command([str(capture)], None, tmp_path / "file")
    cat = subprocess.Popen(["cat", capture], stdout=subprocess.PIPE)
    with cat:
        found = flows_by_command(["-"], cat.stdout, tmp_path / "stream")
    assert found == expected
    assert len(found) == 1


@pytest.mark.parametrize("name", ["zeek_wikipedia.pcap", "zeek_linux_dlt_sll2.pcap"])
def test_a_stream_of_tcpdump_is_as_good_as_the_file(name, tmp_path):
    path = CONFORMANCE / name
    expected = flows_by_command([str(path)], None, tmp_path / "file")
    command = [require_program("tcpdump"), "-r", str(path), "-w", "-"]
    tcpdump = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with tcpdump:
        found = flows_by_command(["-"], tcpdump.stdout, tmp_path / "stream")
    assert found == expected
    assert found


def test_a_packed_stream_is_unpacked(tmp_path):
    packed = NODEPORT / "ext-101.eth0.pcapng.gz"
    expected = flows_by_command([str(packed)], None, tmp_path / "file")
    with packed.open("rb") as stream:
        found = flows_by_command(["-"], stream, tmp_path / "stream")
    assert found == expected
    assert found


def test_octets_that_drip_are_put_together(capture, tmp_path):
    expected = flows_by_command([str(capture)], None, tmp_path / "file")
    drip = (
        "import sys, time\n"
        "for octet in open(sys.argv[1], 'rb').read():\n"
        "    sys.stdout.buffer.write(bytes([octet])); sys.stdout.flush()\n"
    )
    command = [sys.executable, "-c", drip, str(capture)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as slow:
        found = flows_by_command(["-"], slow.stdout, tmp_path / "stream")
    assert found == expected
