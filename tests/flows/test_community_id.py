"""The Community ID is version 1, seed 0, as its specification's package computes it."""

import ctypes
import hashlib
import platform
import random
import struct
import subprocess
from pathlib import Path

import communityid
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.sctp import SCTP

from captures.lab import ethernet
from tests.frames import (
    CONFORMANCE,
    NODEPORT,
    ROOT,
    flow_of,
    flow_rows,
    sample_captures,
    sample_name,
)

NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}
PORTS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}

# baseline/baseline_deflt.json of corelight/community-id-spec.
BASELINE = {
    "cid_icmp6.pcap": {
        "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        "1:zavyT/cezQr1fmImYCwYnMXbgck=",
        "1:2ObVBgIn28oZvibYZhZMBgh7WdQ=",
        "1:hLZd0XGWojozrvxqE0dWB1iM6R0=",
        "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=",
        "1:pkvHqCL88/tg1k4cPigmZXUtL00=",
    },
    "cid_sctp.pcap": {"1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
    "cid_tcp.pcap": {"1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
}

#: Functions of ``cext/sha1.h``, and the vectors that a processor must have for them.
WIDTHS = {"sha1_by_4": None, "sha1_by_8": "avx2", "sha1_by_16": "avx512f"}
LANES = 16


def expected_id(flow):
    """Ask the specification's own package; ICMP's ports are its type and code."""
    number = NUMBERS.get(flow["protocol"]) or int(flow["protocol"])
    ports = flow["originator_port"], flow["responder_port"]
    if flow["protocol"].startswith("icmp"):
        ports = flow["icmp_type"], flow["icmp_code"]
    ends = flow["originator_ip"], flow["responder_ip"]
    return communityid.CommunityID().calc(communityid.FlowTuple(number, *ends, *ports))


@pytest.mark.parametrize("name", BASELINE)
def test_ids_are_those_of_the_specification_s_baseline(name):
    found = {flow["community_id"] for flow in flow_rows(CONFORMANCE / name)}
    # Flows that share a row here may have two ids there (neighbour discovery).
    assert found
    assert found <= BASELINE[name]


@given(
    kind=st.sampled_from(list(PORTS)),
    version=st.sampled_from([4, 6]),
    src=st.integers(1, 2**32 - 1),
    dst=st.integers(1, 2**32 - 1),
    sport=st.integers(0, 65_535).filter(lambda port: port not in {4789, 6081}),
    dport=st.integers(0, 65_535).filter(lambda port: port not in {4789, 6081}),
)
def test_any_five_tuple_has_the_specified_id(kind, version, src, dst, sport, dport):
    def address(number):
        octets = number.to_bytes(4, "big")
        if version == 4:
            return ".".join(str(octet) for octet in octets)
        return f"2001:db8::{octets[:2].hex()}:{octets[2:].hex()}"

    network = IP if version == 4 else IPv6
    header = network(src=address(src), dst=address(dst))
    flow = flow_of([ethernet() / header / kind(sport=sport, dport=dport)])
    assert flow["community_id"] == expected_id(flow)


@given(kind=st.integers(0, 255), code=st.integers(0, 15))
def test_any_icmp_message_has_the_specified_id(kind, code):
    header = IP(src="192.0.2.1", dst="192.0.2.2")
    flow = flow_of([ethernet() / header / ICMP(type=kind, code=code) / bytes(60)])
    assert flow["community_id"] == expected_id(flow)


def test_both_directions_have_one_id():
    there = ethernet() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2)
    back = ethernet() / IP(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=2, dport=1)
    assert flow_of([there])["community_id"] == flow_of([back])["community_id"]


@pytest.mark.parametrize("path", sample_captures(), ids=sample_name)
def test_every_flow_of_every_sample_has_the_specified_id(path):
    for flow in flow_rows(path):
        if flow["protocol"] in PORTS.values() and flow["originator_port"] is None:
            continue  # a later fragment: the specification has no id without ports
        assert flow["community_id"] == expected_id(flow)


def test_every_flow_of_a_recorded_capture_has_the_specified_id():
    found = flow_rows(NODEPORT / "k8s-master.any.pcap.gz")
    assert found
    for flow in found:
        assert flow["community_id"] == expected_id(flow)


def hashes_in_lanes(name, messages, folder):
    """Compile one of the functions, and hash a message in each lane."""
    source = folder / "sha1.c"
    source.write_text(
        '#include "sha1.h"\n'
        f"void hash(uint32_t (*block)[{LANES}], uint32_t (*state)[{LANES}])"
        f" {{ {name}(block, state); }}\n"
    )
    library = source.with_suffix(".so")
    subprocess.run(
        ["cc", "-O3", "-shared", "-fPIC", "-I", ROOT / "cext", "-o", library, source],
        check=True,
    )
    padded = [
        (message + b"\x80").ljust(56, b"\0") + struct.pack(">Q", 8 * len(message))
        for message in messages
    ]
    words = zip(*(struct.unpack(">16I", each) for each in padded), strict=True)
    block = (ctypes.c_uint32 * (16 * LANES))(*(word for row in words for word in row))
    state = (ctypes.c_uint32 * (5 * LANES))()
    ctypes.CDLL(str(library)).hash(block, state)
    return [struct.pack(">5I", *state[lane::LANES]) for lane in range(LANES)]


@pytest.mark.parametrize(("name", "vectors"), WIDTHS.items())
def test_messages_are_hashed_in_vectors_of_any_width(name, vectors, tmp_path):
    processor = Path("/proc/cpuinfo").read_text().split()
    if vectors and (platform.machine() != "x86_64" or vectors not in processor):
        pytest.skip(f"the processor has no {vectors}")
    random_octets = random.Random(1).randbytes
    messages = [random_octets(3 * lane) for lane in range(LANES)]
    assert hashes_in_lanes(name, messages, tmp_path) == [
        hashlib.sha1(message, usedforsecurity=False).digest() for message in messages
    ]
