"""Samples as scapy dissects them; recorded captures as tshark and dpkt do."""

import pytest

from tests.frames import (
    CONFORMANCE,
    NODEPORT,
    decode,
    packet_rows,
    picked,
    read_frames,
    sample_name,
    sample_pcaps,
)
from tests.oracles import dpkt_rows, scapy_row, tshark_rows

RECORDED = sorted(path.name.removesuffix(".gz") for path in NODEPORT.glob("*.gz"))
# scapy reads on where we say that a header cannot be, and not where a frame was cut.
NOT_FOR_SCAPY = {
    "damaged/broken_headers.pcap",
    "tunnels/vxlan_snaplen_96.pcap",
    "conformance/zeek_ipv4-truncated-broken-header.pcap",
}
FOR_SCAPY = [path for path in sample_pcaps() if sample_name(path) not in NOT_FOR_SCAPY]


@pytest.mark.parametrize("path", FOR_SCAPY, ids=sample_name)
def test_every_sample_is_as_scapy_dissects_it(path):
    link_type, frames = read_frames(path)
    decoded = decode(frames, link_type=link_type, vxlan_ports=[8472])
    for frame, row in zip(frames, decoded, strict=True):
        expected = scapy_row(frame.octets, link_type)
        assert picked(row, expected) == expected, f"frame {row['frame']}"


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_packet_is_as_tshark_reads_it(name, nodeport):
    rows = packet_rows(nodeport[name])
    expected = tshark_rows(nodeport[name])
    assert len(rows) == len(expected)
    for row, each in zip(rows, expected, strict=True):
        wanted = {k: v for k, v in each.items() if not k.startswith("_")}
        assert picked(row, wanted) == wanted, f"frame {row['frame']}"


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_packet_is_as_dpkt_reads_it(name, nodeport):
    rows = packet_rows(nodeport[name])
    expected = list(dpkt_rows(nodeport[name]))
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        assert picked(row, wanted) == wanted, f"frame {row['frame']}"


@pytest.mark.parametrize(
    "name", ["cid_tcp.pcap", "zeek_wikipedia.pcap", "zeek_vxlan-encapsulated-http.pcap"]
)
def test_dpkt_is_of_one_mind_about_the_conformance_captures(name):
    rows = packet_rows(CONFORMANCE / name)
    for row, wanted in zip(rows, dpkt_rows(CONFORMANCE / name), strict=True):
        assert picked(row, wanted) == wanted, f"frame {row['frame']}"
