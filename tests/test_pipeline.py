"""Stages together: filters, progress, several scans at once, bounded memory."""

import os
import subprocess
import sys
import threading

import polars as pl
import pytest

import analyzer
from analyzer.errors import QueryError
from captures.files import pcap_header, pcap_record
from captures.lab import Conversation, frames
from tests.frames import CONFORMANCE, NODEPORT, flow_rows, rows

WIKIPEDIA = CONFORMANCE / "zeek_wikipedia.pcap"
MEBIBYTE = 1 << 20


def test_a_filter_leaves_the_flows_that_fit():
    chosen = flow_rows(WIKIPEDIA, filter="protocol = 'tcp' AND originator_packets > 3")
    fitting = [
        flow
        for flow in flow_rows(WIKIPEDIA)
        if flow["protocol"] == "tcp" and flow["originator_packets"] > 3
    ]
    assert [f["first_frame"] for f in chosen] == [f["first_frame"] for f in fitting]
    assert chosen


@pytest.mark.parametrize("wrong", ["no_such_column = 1", "protocol ==== 'tcp'"])
def test_a_filter_that_makes_no_sense_is_an_error_of_ours(wrong):
    with pytest.raises(QueryError):
        analyzer.build_tables(WIKIPEDIA, filter=wrong)


def test_progress_is_told_until_all_octets_are_read():
    told = []
    path = NODEPORT / "ext-101.eth0.pcapng.gz"
    analyzer.build_tables(path, progress=lambda done, of: told.append((done, of)))
    done = [count for count, _ in told]
    assert done == sorted(done)
    assert {of for _, of in told} == {path.stat().st_size}
    assert done[-1] == path.stat().st_size


def test_paths_may_be_text():
    assert flow_rows(str(WIKIPEDIA)) == flow_rows(WIKIPEDIA)


def test_several_scans_may_run_at_once():
    paths = [WIKIPEDIA, CONFORMANCE / "tcpdump_geneve.pcap"] * 2
    apart = [analyzer.scan_packets(path).collect() for path in paths]
    together = pl.collect_all([analyzer.scan_packets(path) for path in paths])
    for one, other in zip(apart, together, strict=True):
        assert one.equals(other)


def test_tables_may_be_built_in_threads():
    def built():
        tables = analyzer.build_tables(WIKIPEDIA)
        return [rows(tables.flows), rows(tables.connections)]

    expected = built()
    found = []
    threads = [threading.Thread(target=lambda: found.append(built())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_a_scan_may_be_collected_again():
    scan = analyzer.scan_packets(WIKIPEDIA)
    assert rows(scan) == rows(scan)


def peak_memory(mebibytes, scan):
    """Give the octets that reading a stream of so many needs at its peak."""
    code = (
        "import resource, sys, analyzer\n"
        f"print({scan})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    read, write = os.pipe()
    records = b"".join(map(pcap_record, frames(Conversation().handshake())))
    block = records * (MEBIBYTE // len(records))

    def pour():
        with os.fdopen(write, "wb") as sink:
            sink.write(pcap_header())
            for _ in range(mebibytes):
                sink.write(block)

    pouring = threading.Thread(target=pour)
    pouring.start()
    with os.fdopen(read, "rb") as source:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=source,
            capture_output=True,
            text=True,
            check=True,
        )
    pouring.join()
    packets, kibibytes = map(int, done.stdout.split())
    assert packets == mebibytes * (len(block) // len(records)) * 3
    return kibibytes * 1024


@pytest.mark.parametrize(
    "scan",
    [
        "analyzer.build_tables('-').captures[0].packets",
        "analyzer.scan_packets('-').select('seq').collect(engine='streaming').height",
    ],
    ids=["flows", "packets"],
)
def test_memory_does_not_grow_with_the_capture(scan):
    growth = peak_memory(129, scan) - peak_memory(1, scan)
    packet_column = 129 * MEBIBYTE // 70 * 4 if "seq" in scan else 0
    assert growth < 48 * MEBIBYTE + 3 * packet_column


def test_memory_does_not_grow_with_the_packets_that_are_written(tmp_path):
    folder = str(tmp_path / "x.tables")
    write = (
        "__import__('analyzer.pipeline') and analyzer.pipeline.write_tables(['-'],"
        f" __import__('pathlib').Path({folder!r}), packets=True, threads=1)"
        ".captures[0].packets"
    )
    peak = peak_memory(129, write)
    table = (tmp_path / "x.tables" / "packets.arrow").stat().st_size
    assert peak - peak_memory(1, write) < 48 * MEBIBYTE < table


def test_threads_are_limited_in_the_libraries_below(tmp_path):
    program = (
        "import sys, pyarrow; from analyzer.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "import polars; print(pyarrow.cpu_count(), polars.thread_pool_size())"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", program, "flows", "--threads", "1"),
            *(str(NODEPORT / "ext-101.eth0.pcapng.gz"), "-o", str(tmp_path / "t")),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "1 1"
