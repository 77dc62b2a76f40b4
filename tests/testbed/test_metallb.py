"""The speaker answers for its addresses, and for nothing else."""

import struct

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from captures.testbed import metallb

OURS = bytes.fromhex("be24115a1031")
ASKER = "a8:a1:59:3c:77:64"
V4 = bytes([192, 168, 2, 38])
V6 = bytes.fromhex("fd000192016800020000000000000038")
BROADCAST = "ff:ff:ff:ff:ff:ff"


def arp(**fields):
    ask = ARP(hwsrc=ASKER, psrc="192.168.2.100", pdst="192.168.2.38") / b""
    for name, value in fields.items():
        setattr(ask, name, value)
    return bytes(Ether(src=ASKER, dst=BROADCAST) / ask)


def test_an_arp_request_is_answered_with_the_node_s_address():
    answer = Ether(metallb.arp_answer(arp(), OURS, {V4}))
    assert (answer.dst, answer.src) == (ASKER, "be:24:11:5a:10:31")
    assert (answer[ARP].op, answer[ARP].psrc) == (2, "192.168.2.38")
    assert (answer[ARP].hwsrc, answer[ARP].pdst) == (answer.src, "192.168.2.100")


def test_other_addresses_and_answers_are_let_be():
    assert metallb.arp_answer(arp(pdst="192.168.2.99"), OURS, {V4}) is None
    assert metallb.arp_answer(arp(op=2), OURS, {V4}) is None


def solicitation(target="fd00:192:168:2::38"):
    return bytes(
        Ether(src=ASKER, dst="33:33:ff:00:00:38")
        / IPv6(src="fd00:192:168:2::64", dst="ff02::1:ff00:38")
        / ICMPv6ND_NS(tgt=target)
    )


def test_a_neighbour_solicitation_is_answered_with_a_valid_checksum():
    octets = metallb.neighbour_answer(solicitation(), OURS, {V6})
    answer = Ether(octets)
    assert (answer[IPv6].src, answer[IPv6].hlim) == ("fd00:192:168:2::38", 255)
    assert (answer[ICMPv6ND_NA].S, answer[ICMPv6ND_NA].O) == (1, 1)
    assert answer[ICMPv6NDOptDstLLAddr].lladdr == "be:24:11:5a:10:31"
    written = answer[ICMPv6ND_NA].cksum
    del answer[ICMPv6ND_NA].cksum
    assert Ether(bytes(answer))[ICMPv6ND_NA].cksum == written


def test_solicitations_of_others_are_let_be():
    assert metallb.neighbour_answer(solicitation("fd00::1"), OURS, {V6}) is None
    assert metallb.neighbour_answer(solicitation()[:60], OURS, {V6}) is None


def test_the_checksum_of_zeros_is_all_ones():
    assert metallb.checksum(struct.pack(">II", 0, 0)) == b"\xff\xff"
