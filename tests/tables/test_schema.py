"""The tables have the columns, types and meanings that the schema promises."""

import polars as pl
import pyarrow as pa
import pytest

import analyzer
from analyzer.tables.schema import (
    FLOWS,
    PACKETS,
    STOP_REASONS,
    TABLES,
    TCP_STATES,
    TUNNELS,
    arrow_schema,
)
from tests.frames import CONFORMANCE, flow_rows, packet_rows, sample_captures

SAMPLES = sample_captures()
POLARS = {
    "u8": {pl.UInt8},
    "u16": {pl.UInt16},
    "u32": {pl.UInt32},
    "u64": {pl.UInt64},
    "bool": {pl.Boolean},
    "time": {pl.Datetime("ns", "UTC")},
    "duration": {pl.Duration("ns")},
    "text": {pl.String},
    "address": {pl.Categorical, pl.String},
    "name": {pl.Categorical, pl.String},
    "ids": {pl.List(pl.UInt64)},
    "times": {pl.List(pl.Datetime("ns", "UTC"))},
}


def tables():
    built = analyzer.build_tables(SAMPLES, vxlan_ports=[8472], packets=True)
    return {"flows": built.flows, "packets": built.packets}


@pytest.mark.parametrize("name", ["flows", "packets"])
def test_columns_have_their_names_order_and_types(name):
    schema = tables()[name].collect_schema()
    assert schema.names() == [column.name for column in TABLES[name]]
    for column in TABLES[name]:
        found = schema[column.name]
        if column.kind in ("address", "name"):
            found = found.base_type()
        assert found in POLARS[column.kind], column.name


@pytest.mark.parametrize("name", ["flows", "packets"])
def test_an_empty_table_has_them_too(name):
    empty = analyzer.build_tables(CONFORMANCE / "zeek_linuxsll-arp.pcap", packets=True)
    frame = {"flows": empty.flows, "packets": empty.packets.head(0)}[name]
    assert frame.collect_schema().names() == [c.name for c in TABLES[name]]
    assert frame.collect().height == 0


@pytest.mark.parametrize("name", ["flows", "packets"])
def test_every_column_has_a_value_in_some_sample(name):
    frame = tables()[name].collect()
    silent = [
        column for column in frame.columns if frame[column].null_count() == frame.height
    ]
    assert silent == []


def test_unknown_is_never_an_empty_text():
    for name, frame in tables().items():
        texts = [c.name for c in TABLES[name] if c.kind in ("text", "name", "address")]
        found = frame.select(pl.col(texts).cast(pl.String) == "").collect()
        assert not any(found[text].any() for text in texts), name


def test_codes_are_among_their_names():
    for path in SAMPLES:
        for row in packet_rows(path):
            assert row["tunnel"] in (None, *TUNNELS)
            assert row["stop_reason"] in (None, *STOP_REASONS)
            assert (row["stop_reason"] is None) == (row["stop_layer"] is None)
        for flow in flow_rows(path):
            assert flow["tcp_state"] in (None, *TCP_STATES)
            flags = flow["originator_tcp_flags"], flow["responder_tcp_flags"]
            stateless = flow["protocol"] != "tcp" or flags == (None, None)
            assert (flow["tcp_state"] is None) == stateless


def test_packets_scanned_are_the_packets_of_the_tables():
    path = CONFORMANCE / "zeek_wikipedia.pcap"
    built = analyzer.build_tables(path, packets=True)
    assert built.packets.collect().equals(analyzer.scan_packets(path).collect())


def test_a_projection_gives_those_columns_and_no_others():
    path = CONFORMANCE / "zeek_wikipedia.pcap"
    chosen = ["dst_port", "time", "src_ip"]
    found = analyzer.scan_packets(path).select(chosen).collect()
    whole = analyzer.scan_packets(path).collect()
    assert found.equals(whole.select(chosen))


@pytest.mark.parametrize("count", [0, 1, 7, 135, 136, 500])
def test_a_limit_gives_the_first_rows(count):
    path = CONFORMANCE / "zeek_wikipedia.pcap"
    found = analyzer.scan_packets(path).head(count).collect()
    assert found.equals(analyzer.scan_packets(path).collect().head(count))


def test_a_filter_may_be_pushed_down():
    path = CONFORMANCE / "zeek_wikipedia.pcap"
    dns = analyzer.scan_packets(path).filter(pl.col("dst_port") == 53)
    rows = [row for row in packet_rows(path) if row["dst_port"] == 53]
    assert dns.select("frame").collect()["frame"].to_list() == [
        r["frame"] for r in rows
    ]


@pytest.mark.parametrize("columns", [FLOWS, PACKETS])
def test_every_column_is_described_once(columns):
    names = [column.name for column in columns]
    assert len(names) == len(set(names))
    assert all(column.meaning for column in columns)


@pytest.mark.parametrize("name", ["flows", "packets"])
def test_the_arrow_schema_carries_the_meanings(name):
    schema = arrow_schema(name)
    assert isinstance(schema, pa.Schema)
    for column in TABLES[name]:
        meaning = schema.field(column.name).metadata[b"meaning"].decode()
        assert meaning == column.meaning
