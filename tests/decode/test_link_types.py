"""Every link type that tcpdump writes on Linux and the BSDs leads to the IP packet."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1Q

from captures.files import (
    ETHERNET,
    IPV4,
    IPV6,
    LINUX_SLL,
    LINUX_SLL2,
    LOOP,
    NULL,
    RAW,
    RAW_BSD,
    RAW_OPENBSD,
)
from captures.lab import CLIENT, CLIENT_6, NODE_A, NODE_A_6, ethernet
from tests.frames import decode, decode_one

PACKET = IP(src=CLIENT, dst=NODE_A) / UDP(sport=1, dport=2)
PACKET_6 = IPv6(src=CLIENT_6, dst=NODE_A_6) / UDP(sport=1, dport=2)


def family(number: int, order: str) -> bytes:
    """Write the address family that stands before a packet on a loopback device."""
    return number.to_bytes(4, order)


AF_INET = 2
AF_INET6 = {"NetBSD": 24, "FreeBSD": 28, "macOS": 30, "Linux": 10}

LINKS = {
    "Ethernet": (ETHERNET, ethernet() / PACKET),
    "cooked v1": (LINUX_SLL, CookedLinux(proto=0x0800) / PACKET),
    "cooked v2": (LINUX_SLL2, CookedLinuxV2(proto=0x0800, ifindex=3) / PACKET),
    "raw": (RAW, PACKET),
    "raw, as BSD numbers it": (RAW_BSD, PACKET),
    "raw, as OpenBSD numbers it": (RAW_OPENBSD, PACKET),
    "IPv4": (IPV4, PACKET),
    "loopback, little-endian": (NULL, family(AF_INET, "little") + bytes(PACKET)),
    "loopback, big-endian": (NULL, family(AF_INET, "big") + bytes(PACKET)),
    "loopback of OpenBSD": (LOOP, family(AF_INET, "big") + bytes(PACKET)),
}
LINKS_6 = {
    "Ethernet": (ETHERNET, ethernet() / PACKET_6),
    "cooked v1": (LINUX_SLL, CookedLinux(proto=0x86DD) / PACKET_6),
    "cooked v2": (LINUX_SLL2, CookedLinuxV2(proto=0x86DD, ifindex=3) / PACKET_6),
    "raw": (RAW, PACKET_6),
    "raw, as BSD numbers it": (RAW_BSD, PACKET_6),
    "raw, as OpenBSD numbers it": (RAW_OPENBSD, PACKET_6),
    "IPv6": (IPV6, PACKET_6),
    **{
        f"loopback of {system}": (NULL, family(number, "little") + bytes(PACKET_6))
        for system, number in AF_INET6.items()
        if system != "Linux"
    },
    "loopback of OpenBSD": (LOOP, family(AF_INET6["NetBSD"], "big") + bytes(PACKET_6)),
}


@pytest.mark.parametrize(("link_type", "frame"), LINKS.values(), ids=LINKS)
def test_ipv4_is_found_behind(link_type, frame):
    row = decode_one(frame, link_type=link_type)
    assert (row["src_ip"], row["src_port"], row["stop_reason"]) == (CLIENT, 1, None)


@pytest.mark.parametrize(("link_type", "frame"), LINKS_6.values(), ids=LINKS_6)
def test_ipv6_is_found_behind(link_type, frame):
    row = decode_one(frame, link_type=link_type)
    assert (row["src_ip"], row["src_port"], row["stop_reason"]) == (CLIENT_6, 1, None)


@pytest.mark.parametrize(
    ("link_type", "cooked"), [(LINUX_SLL, CookedLinux), (LINUX_SLL2, CookedLinuxV2)]
)
def test_a_vlan_tag_behind_a_cooked_header_is_read(link_type, cooked):
    row = decode_one(cooked(proto=0x8100) / Dot1Q(vlan=7) / PACKET, link_type=link_type)
    assert (row["vlan"], row["src_ip"]) == (7, CLIENT)


@pytest.mark.parametrize(
    ("link_type", "cooked"), [(LINUX_SLL, CookedLinux), (LINUX_SLL2, CookedLinuxV2)]
)
def test_arp_behind_a_cooked_header_is_no_ip(link_type, cooked):
    row = decode_one(cooked(proto=0x0806) / ARP(psrc=CLIENT), link_type=link_type)
    assert (row["ethertype"], row["ip_version"]) == (0x0806, None)


def test_an_unknown_link_type_keeps_the_rows_and_says_so():
    rows = decode([b"whatever", b"it is"], link_type=147)
    assert [row["stop_reason"] for row in rows] == ["unsupported"] * 2
    assert [row["captured_length"] for row in rows] == [8, 5]
