"""MetalLB in layer-2 mode: one node answers for each LoadBalancer address.

The address is on no interface: the announcing node's speaker answers ARP requests
and neighbour solicitations for it with the node's own MAC address (MetalLB,
internal/layer2/arp.go and ndp.go), the packets come in, and kube-proxy's rules
rewrite them. The kernel's neighbour proxy cannot do this: it does not answer on
the interface that the address would be routed to.

Run as a program in a node's namespace: ``python metallb.py INTERFACE ADDRESS...``
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys

ETH_ARP = 0x0806
ETH_IPV6 = 0x86DD
ICMP6_SOLICITATION = 135
ICMP6_ADVERTISEMENT = 136
BROADCAST = b"\xff" * 6


def arp_answer(request: bytes, mac: bytes, addresses: set[bytes]) -> bytes | None:
    """Answer an ARP request for one of ``addresses`` (RFC 826), else None."""
    operation = request[20:22]
    sender_mac, sender_ip, target_ip = request[22:28], request[28:32], request[38:42]
    if operation != b"\x00\x01" or target_ip not in addresses:
        return None
    return arp_frame(sender_mac, mac, 2, target_ip, sender_mac, sender_ip)


def arp_frame(
    to: bytes,
    mac: bytes,
    operation: int,
    own_ip: bytes,
    peer_mac: bytes,
    peer_ip: bytes,
) -> bytes:
    """Build an ARP frame for IPv4 over Ethernet."""
    header = struct.pack(">6s6sHHHBBH", to, mac, ETH_ARP, 1, 0x0800, 6, 4, operation)
    return header + mac + own_ip + peer_mac + peer_ip


def neighbour_answer(frame: bytes, mac: bytes, addresses: set[bytes]) -> bytes | None:
    """Answer a neighbour solicitation for one of ``addresses`` (RFC 4861, 7.1)."""
    if len(frame) < 78 or frame[20] != 58 or frame[54] != ICMP6_SOLICITATION:
        return None
    asker_mac, asker, target = frame[6:12], frame[22:38], frame[62:78]
    if target not in addresses or asker == bytes(16):
        return None
    # Flags: solicited and override; option 2: target link-layer address.
    body = struct.pack(">I", 0x60000000) + target + b"\x02\x01" + mac
    message = struct.pack(">BBH", ICMP6_ADVERTISEMENT, 0, 0) + body
    pseudo = target + asker + struct.pack(">II", len(message), 58)
    message = message[:2] + checksum(pseudo + message) + message[4:]
    header = struct.pack(">IHBB", 6 << 28, len(message), 58, 255) + target + asker
    return asker_mac + mac + struct.pack(">H", ETH_IPV6) + header + message


def checksum(data: bytes) -> bytes:
    """Return the internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


def main(interface: str, *texts: str) -> None:
    """Announce the addresses once, then answer for them until the process ends."""
    addresses = {ipaddress.ip_address(text).packed for text in texts}
    everything = socket.htons(0x0003)  # ETH_P_ALL: before the stack drops the frame
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, everything) as raw:
        raw.bind((interface, 0x0003))
        # Solicitations go to multicast groups that no address of ours has joined.
        membership = struct.pack("iHH8s", socket.if_nametoindex(interface), 2, 0, b"")
        raw.setsockopt(263, 1, membership)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP
        mac = raw.getsockname()[4]
        for address in addresses:
            if len(address) == 4:  # gratuitous ARP, as MetalLB sends on election
                raw.send(arp_frame(BROADCAST, mac, 1, address, bytes(6), address))
        print("ready", flush=True)
        while True:
            frame, source = raw.recvfrom(2048)
            if source[2] == socket.PACKET_OUTGOING or len(frame) < 42:
                continue
            kind = int.from_bytes(frame[12:14], "big")
            answer = None
            if kind == ETH_ARP:
                answer = arp_answer(frame, mac, addresses)
            elif kind == ETH_IPV6:
                answer = neighbour_answer(frame, mac, addresses)
            if answer is not None:
                raw.send(answer)


if __name__ == "__main__":
    main(sys.argv[1], *sys.argv[2:])
