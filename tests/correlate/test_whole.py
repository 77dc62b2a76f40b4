"""Every capture goes through, and the tables do not depend on how it was read."""

import os
import subprocess
import sys

import polars as pl
import pytest

import analyzer
from analyzer.tables.schema import arrow_schema
from tests.correlate.lab import OUTSIDE, node_port
from tests.correlate.simulated import Wire, tcp
from tests.frames import CAPTURES, sample_captures, sample_name

TABLES = ("connections", "hops", "clocks")
RECORDED = CAPTURES / "cluster" / "loadbalancer"


@pytest.mark.parametrize("path", sample_captures(), ids=sample_name)
def test_every_sample_gives_tables_of_the_schema(path):
    try:
        tables = analyzer.build_tables(path)
    except analyzer.CaptureError:
        return
    for name in TABLES:
        assert tables.arrow(name).schema.equals(arrow_schema(name))
    connections = tables.connections.collect()
    assert connections["flow_ids"].explode().is_unique().all()


def test_tables_do_not_depend_on_the_size_of_pieces():
    paths = sorted(RECORDED.glob("*.pcap*"))
    some = analyzer.build_tables(paths)
    others = analyzer.build_tables(paths, chunk_size=1 << 14)
    for name in TABLES:
        assert some.arrow(name).equals(others.arrow(name))


def test_tables_do_not_depend_on_the_number_of_threads(tmp_path):
    written = []
    for threads in ("1", "2"):
        directory = tmp_path / threads
        command = ["-m", "analyzer", "flows", str(RECORDED), "-o", str(directory)]
        subprocess.run(
            [sys.executable, *command, "--threads", threads],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": threads},
        )
        written.append(analyzer.open_tables(directory))
    for name in TABLES:
        assert written[0].arrow(name).equals(written[1].arrow(name))


def test_the_order_of_captures_changes_numbers_alone(tmp_path):
    wire = Wire(tmp_path)
    for number in range(5):
        exchange = tcp(1_000_000 + 7919 * number, 2_000_000 + 6007 * number)
        wire.carry(node_port((OUTSIDE, 41000 + number), 52000 + number), exchange)
    files = wire.files()
    found = [
        analyzer.build_tables(order)
        .connections.drop("connection_id", "flow_ids")
        .sort("client_port")
        .with_columns(pl.col(pl.Categorical).cast(pl.String))
        .collect()
        for order in (files, files[::-1])
    ]
    assert found[0].equals(found[1])
