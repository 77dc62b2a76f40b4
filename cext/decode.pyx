"""Frames to packets: the layer loop.

Each reader checks its length once, reads, advances, and says why it stopped. Readers
touch no Python object. A header is recorded only when it was read whole, so that a
packet keeps everything before the damage; only ports, sequence and acknowledgement
numbers are taken from a transport header that was cut.
"""

cimport cython

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc

from cext.cursor cimport (
    Cursor,
    be16,
    be32,
    be64,
    fold_multiply,
    has,
    le32,
    likely_false,
    likely_true,
    raw64,
)
from cext.frame cimport NO_TIME
from cext.packet cimport (
    DIGEST_HALF,
    FRAME_FIELDS,
    HAS_ACK,
    HAS_DIGEST,
    HAS_ETHERTYPE,
    HAS_FLAGS,
    HAS_ICMP,
    HAS_ICMP_ID,
    HAS_IP_VNI,
    HAS_MSS,
    HAS_PAYLOAD_LENGTH,
    HAS_PORTS,
    HAS_SEQ,
    HAS_SYN_OPTIONS,
    HAS_TSVAL,
    HAS_VLAN,
    HAS_VNI,
    HAS_WINDOW,
    HAS_WINDOW_SCALE,
    IS_COOKED_V1,
    IS_FRAGMENT,
    IS_LATER_FRAGMENT,
    LAYER_COUNT,
    LAYER_ETHERNET,
    LAYER_GENEVE,
    LAYER_GRE,
    LAYER_ICMP,
    LAYER_ICMP6,
    LAYER_IPIP,
    LAYER_IPV4,
    LAYER_IPV6,
    LAYER_LINK,
    LAYER_NULL,
    LAYER_SCTP,
    LAYER_SLL,
    LAYER_SLL2,
    LAYER_TCP,
    LAYER_UDP,
    LAYER_VLAN,
    LAYER_VXLAN,
    LONG_SEGMENT,
    STOP_MALFORMED,
    STOP_NONE,
    STOP_TRUNCATED,
    STOP_UNSUPPORTED,
    TUNNEL_COUNT,
    TUNNEL_GENEVE,
    TUNNEL_GRE,
    TUNNEL_IPIP,
    TUNNEL_NONE,
    TUNNEL_VXLAN,
    Packet,
)
from cext.wire.ethernet cimport (
    ETHERNET_HEADER,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_LEAST,
    ETHERTYPE_TEB,
    VLAN_MAX_TAGS,
    VLAN_TAG,
    ethertype_is_vlan,
    vlan_id,
)
from cext.wire.geneve cimport (
    GENEVE_UDP_PORT,
    GeneveHeader,
    geneve_header_length,
    geneve_version,
    geneve_vni,
)
from cext.wire.gre cimport (
    GRE_HEADER,
    GRE_ROUTING,
    GRE_VERSION,
    gre_header_length,
)
from cext.wire.icmp cimport (
    IcmpHeader,
    icmp6_is_error,
    icmp6_is_query,
    icmp_is_error,
    icmp_is_query,
)
from cext.wire.ipv4 cimport (
    IPV4_FRAGMENT_OFFSET,
    IPV4_MORE_FRAGMENTS,
    IPV4_PLAIN,
    PROTOCOL_GRE,
    PROTOCOL_ICMP,
    PROTOCOL_ICMP6,
    PROTOCOL_IPV4,
    PROTOCOL_IPV6,
    PROTOCOL_SCTP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    Ipv4Header,
    ipv4_fragment,
    ipv4_header_length,
)
from cext.wire.ipv6 cimport (
    IPV6_FRAGMENT,
    IPV6_FRAGMENT_OFFSET,
    IPV6_MAX_EXTENSIONS,
    IPV6_MORE_FRAGMENTS,
    Ipv6Fragment,
    Ipv6Header,
    ipv6_extension_length,
    ipv6_is_extension,
)
from cext.wire.null cimport NULL_HEADER, null_ip_version
from cext.wire.sctp cimport SctpHeader
from cext.wire.sll cimport (
    SLL2_HEADER,
    SLL2_INTERFACE,
    SLL2_PROTOCOL,
    SLL_HEADER,
    SLL_PROTOCOL,
)
from cext.wire.tcp cimport (
    TCP_MAX_OPTION_KINDS,
    TCP_OPTION_END,
    TCP_OPTION_MSS,
    TCP_OPTION_NOP,
    TCP_OPTION_TIMESTAMPS,
    TCP_OPTION_WINDOW_SCALE,
    TCP_SYN,
    TcpHeader,
)
from cext.wire.udp cimport UdpHeader
from cext.wire.vxlan cimport (
    VXLAN_UDP_PORT,
    VXLAN_VNI_PRESENT,
    VxlanHeader,
    vxlan_vni,
)

cdef enum:
    MAX_TUNNEL_DEPTH = 8
    DIGEST_HEAD = 4         # of the payload; left of it inside VXLAN by 96 octets
    DIGEST_OCTETS = 32      # left of it by 128 octets
    MOST_VNIS = 65536       # counted one by one; a capture with more is no cluster's

# LINKTYPE_ values of the tcpdump group.
cdef enum:
    LINK_NULL = 0
    LINK_ETHERNET = 1
    LINK_RAW_BSD = 12
    LINK_RAW_OPENBSD = 14
    LINK_RAW = 101
    LINK_LOOP = 108
    LINK_SLL = 113
    LINK_IPV4 = 228
    LINK_IPV6 = 229
    LINK_SLL2 = 276

# What is to be read following, when it is no EtherType.
cdef enum:
    NEXT_DONE = 0x10000
    NEXT_RAW_IP
    NEXT_ETHERNET

cdef extern from *:
    """
    #define DIGEST_1 ((uint64_t)0xA0761D6478BD642F)     /* odd constants of wyhash */
    #define DIGEST_2 ((uint64_t)0xE7037ED1A0B428DB)
    #define DIGEST_3 ((uint64_t)0x8EBC6AF09C88C6E3)
    """
    const uint64_t DIGEST_1
    const uint64_t DIGEST_2
    const uint64_t DIGEST_3


cdef inline uint32_t stop(Packet* packet, int reason, int layer) noexcept nogil:
    packet.stop_reason = reason
    packet.stop_layer = layer
    return NEXT_DONE


cdef inline uint64_t identification_of(const Packet* packet) noexcept nogil:
    """Tell datagrams with equal payload apart, as far as their sender numbered them.

    Neither NAT nor a tunnel changes the number; IPv6 has none.
    """
    return <uint64_t>packet.ip_id << 48 if packet.ip_version == 4 else 0


cdef inline uint64_t digest_of(
    const uint8_t* octets, int64_t length, int64_t whole, uint64_t salt
) noexcept nogil:
    """Digest the start of a payload of which `length` octets of `whole` were captured.

    The high half is of the first DIGEST_HEAD octets, the low one of those up to
    DIGEST_OCTETS; its lowest bit says that some of them were cut off. Never 0.
    """
    cdef int64_t head_length = min(length, <int64_t>DIGEST_HEAD)
    cdef int64_t rest_length = min(length, <int64_t>DIGEST_OCTETS) - head_length
    cdef bint is_cut = length < min(whole, <int64_t>DIGEST_OCTETS)
    cdef uint64_t head = mixed_octets(octets, head_length, salt ^ DIGEST_1)
    cdef uint64_t rest = mixed_octets(octets + head_length, rest_length, head)
    rest = rest << 1 & <uint64_t>0xFFFFFFFE
    head = head >> DIGEST_HALF << DIGEST_HALF
    return (head | rest if head | rest else <uint64_t>1 << DIGEST_HALF) | is_cut


cdef inline uint64_t mixed_octets(
    const uint8_t* octets, int64_t length, uint64_t seed
) noexcept nogil:
    cdef uint64_t rest = 0
    cdef int64_t at = 0
    while length - at >= 16:
        seed = fold_multiply(
            raw64(octets + at) ^ DIGEST_2, raw64(octets + at + 8) ^ seed
        )
        at += 16
    if length - at >= 8:
        seed = fold_multiply(raw64(octets + at) ^ DIGEST_3, seed ^ DIGEST_2)
        at += 8
    while at < length:
        rest = rest << 8 | octets[at]
        at += 1
    return fold_multiply(rest ^ DIGEST_1, seed ^ <uint64_t>length ^ DIGEST_3)


@cython.final
cdef class Decoder:
    """Decode frames into packets and count what was met.

    Parameters
    ----------
    vxlan_ports : sequence of int
        UDP destination ports that carry VXLAN besides 4789; at most seven.
    """

    def __cinit__(self, vxlan_ports=()):
        ports = list(dict.fromkeys([VXLAN_UDP_PORT, *vxlan_ports]))
        if len(ports) > MOST_VXLAN_PORTS:
            raise ValueError(f"at most {MOST_VXLAN_PORTS - 1} more VXLAN ports")
        for index, port in enumerate(ports):
            self.vxlan_ports[index] = port
        self.vxlan_port_count = len(ports)
        self.vni_capacity = 16
        self.vnis = <VniCount*>malloc(self.vni_capacity * sizeof(VniCount))
        if self.vnis == NULL:
            raise MemoryError
        self.begin_capture()

    def __dealloc__(self):
        free(self.vnis)

    def begin_capture(self):
        """Forget the counts of the capture before."""
        self.packets = self.captured_bytes = self.wire_bytes = self.non_ip = 0
        self.first_time = self.last_time = NO_TIME
        self.vni_count = self.last_vni = 0
        for tunnel in range(TUNNEL_COUNT):
            self.tunnels[tunnel] = 0
        for reason in range(STOP_REASON_COUNT):
            for layer in range(LAYER_COUNT):
                self.stops[reason][layer] = 0

    @property
    def counts(self):
        """Totals of the capture: plain numbers, keyed by name."""
        return {
            "packets": self.packets,
            "captured_bytes": self.captured_bytes,
            "wire_bytes": self.wire_bytes,
            "start_time": None if self.first_time == NO_TIME else self.first_time,
            "end_time": None if self.last_time == NO_TIME else self.last_time,
            "non_ip": self.non_ip,
        }

    @property
    def tunnel_counts(self):
        """Frames per innermost encapsulation, by its code (0: none)."""
        return [self.tunnels[tunnel] for tunnel in range(TUNNEL_COUNT)]

    @property
    def vni_counts(self):
        """Frames per innermost VNI."""
        return {
            self.vnis[index].vni: self.vnis[index].frames
            for index in range(self.vni_count)
        }

    @property
    def stop_counts(self):
        """Frames per (code of the reason, code of the layer) where decoding ended."""
        return {
            (reason, layer): self.stops[reason][layer]
            for reason in range(1, STOP_REASON_COUNT)
            for layer in range(LAYER_COUNT)
            if self.stops[reason][layer]
        }

    def absorb(self, Decoder other not None):
        """Add what another decoder has counted of the same capture."""
        self.packets += other.packets
        self.captured_bytes += other.captured_bytes
        self.wire_bytes += other.wire_bytes
        self.non_ip += other.non_ip
        self.first_time = earlier(self.first_time, other.first_time)
        self.last_time = max(self.last_time, other.last_time)
        for tunnel in range(TUNNEL_COUNT):
            self.tunnels[tunnel] += other.tunnels[tunnel]
        for reason in range(STOP_REASON_COUNT):
            for layer in range(LAYER_COUNT):
                self.stops[reason][layer] += other.stops[reason][layer]
        for index in range(other.vni_count):
            self.count_vni(other.vnis[index].vni, other.vnis[index].frames)
        self.out_of_memory |= other.out_of_memory
        other.begin_capture()

    cdef void count_vni(self, uint32_t vni, uint64_t frames) noexcept nogil:
        cdef uint32_t index = 0
        cdef VniCount* larger
        while index < self.vni_count and self.vnis[index].vni != vni:
            index += 1
        if index == self.vni_count:
            if index == MOST_VNIS:
                return
            if index == self.vni_capacity:
                larger = <VniCount*>realloc(
                    self.vnis, 2 * self.vni_capacity * sizeof(VniCount)
                )
                if larger == NULL:
                    self.out_of_memory = True
                    return
                self.vnis = larger
                self.vni_capacity *= 2
            self.vnis[index].vni = vni
            self.vnis[index].frames = 0
            self.vni_count += 1
        self.vnis[index].frames += frames
        self.last_vni = index

    cdef void decode(self, Packet* packets, int count) noexcept nogil:
        """Decode a batch of packets of which the reader filled in a part."""
        cdef int index
        cdef Packet* packet
        cdef uint64_t captured_bytes = 0, wire_bytes = 0
        cdef int64_t first_time = self.first_time, last_time = self.last_time
        self.packets += count
        for index in range(count):
            packet = &packets[index]
            decode_frame(packet, self.vxlan_ports, self.vxlan_port_count)
            captured_bytes += packet.captured_length
            wire_bytes += packet.wire_length
            last_time = max(last_time, packet.time)
            first_time = earlier(first_time, packet.time)
            self.non_ip += packet.ip_version == 0
            self.tunnels[packet.tunnel] += 1
            if packet.has & HAS_VNI:
                if (
                    likely_true(self.last_vni < self.vni_count)
                    and self.vnis[self.last_vni].vni == packet.vni
                ):
                    self.vnis[self.last_vni].frames += 1
                else:
                    self.count_vni(packet.vni, 1)
            if likely_false(packet.stop_reason):
                self.stops[packet.stop_reason][packet.stop_layer] += 1
        self.captured_bytes += captured_bytes
        self.wire_bytes += wire_bytes
        self.first_time = first_time
        self.last_time = last_time


cdef inline int64_t earlier(int64_t a, int64_t b) noexcept nogil:
    """Give the earlier of two times, of which either may not be known."""
    if likely_false(a == NO_TIME or b == NO_TIME):
        return max(a, b)
    return min(a, b)


cdef inline void forget(Packet* packet) noexcept nogil:
    """Clear what the last packet in the same place has left, and no more."""
    packet.has = 0
    packet.link_interface = 0
    packet.ip_length = 0
    packet.payload_length = 0
    packet.vni = 0
    packet.ip_vni = 0
    packet.ip_version = 0
    packet.outer_version = 0
    packet.ip_layers = 0
    packet.tunnel_depth = 0
    packet.tunnel = TUNNEL_NONE
    packet.ip_tunnel = TUNNEL_NONE
    packet.stop_reason = STOP_NONE
    packet.stop_layer = LAYER_LINK
    packet.quoted = NULL
    packet.tcp_flags = 0


cdef inline void decode_frame(
    Packet* packet, const uint16_t* vxlan_ports, int port_count
) noexcept nogil:
    cdef Cursor cursor
    cdef uint32_t following
    forget(packet)
    cursor.at = packet.data
    cursor.end = packet.data + packet.captured_length
    if likely_true(packet.link_type == LINK_ETHERNET):
        if pass_vxlan(&cursor, packet):
            following = ETHERTYPE_IPV4
        else:
            following = read_ethernet(&cursor, packet)
    else:
        following = read_link(&cursor, packet, packet.link_type)
    # Each turn reads one IP header and what it carries; a tunnel asks for another.
    for _ in range(MAX_TUNNEL_DEPTH + 1):
        if likely_true(following == ETHERTYPE_IPV4):
            following = read_ipv4(&cursor, packet, vxlan_ports, port_count)
        elif following == ETHERTYPE_IPV6:
            following = read_ipv6(&cursor, packet, vxlan_ports, port_count)
        elif following == NEXT_RAW_IP:
            if not has(&cursor, 1):
                stop(packet, STOP_TRUNCATED, LAYER_IPV4)
                return
            if cursor.at[0] >> 4 == 6:
                following = read_ipv6(&cursor, packet, vxlan_ports, port_count)
            else:
                following = read_ipv4(&cursor, packet, vxlan_ports, port_count)
        else:
            return
    if following == ETHERTYPE_IPV4 or following == ETHERTYPE_IPV6:
        stop(packet, STOP_UNSUPPORTED, LAYER_IPIP)


cdef inline bint pass_vxlan(Cursor* cursor, Packet* packet) noexcept nogil:
    """Pass Ethernet, IPv4, UDP, VXLAN and Ethernet headers at once, up to inner IPv4.

    What is not the usual case in all respects is left to the readers of each header,
    which would find the same. No branch but one: half of the frames are no VXLAN.
    """
    cdef const uint8_t* at = cursor.at
    cdef const Ipv4Header* outer = <const Ipv4Header*>(at + ETHERNET_HEADER)
    cdef const UdpHeader* udp = <const UdpHeader*>(outer + 1)
    cdef const VxlanHeader* vxlan = <const VxlanHeader*>(udp + 1)
    cdef const uint8_t* inner_ethernet = <const uint8_t*>(vxlan + 1)
    cdef const Ipv4Header* inner = (
        <const Ipv4Header*>(inner_ethernet + ETHERNET_HEADER)
    )
    if not has(cursor, <const uint8_t*>(inner + 1) - at):
        return False
    if not (
        (be16(at + ETHERNET_HEADER - 2) == ETHERTYPE_IPV4)
        & (outer.version_ihl == IPV4_PLAIN)
        & (outer.protocol == PROTOCOL_UDP)
        & (ipv4_fragment(outer) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET) == 0)
        & (be16(outer.total_length) >= <const uint8_t*>(inner + 1) - <uint8_t*>outer)
        & (be16(udp.destination_port) == VXLAN_UDP_PORT)
        & (be16(udp.length) >= sizeof(UdpHeader))
        & (vxlan.flags & VXLAN_VNI_PRESENT != 0)
        & (be16(inner_ethernet + ETHERNET_HEADER - 2) == ETHERTYPE_IPV4)
        & (inner.version_ihl == IPV4_PLAIN)
        & (be16(inner.total_length) >= sizeof(Ipv4Header))
    ):
        return False
    packet.outer_src.high = 0
    packet.outer_src.low = be32(outer.source)
    packet.outer_dst.high = 0
    packet.outer_dst.low = be32(outer.destination)
    packet.outer_version = 4
    packet.ip_layers = 1
    packet.tunnel = TUNNEL_VXLAN
    packet.tunnel_depth = 1
    packet.vni = vxlan_vni(vxlan)
    packet.ethertype = ETHERTYPE_IPV4
    packet.has = HAS_VNI | HAS_ETHERTYPE
    if cursor.end - <const uint8_t*>outer > be16(outer.total_length):
        cursor.end = <const uint8_t*>outer + be16(outer.total_length)
    cursor.at = <const uint8_t*>inner
    return True


cdef inline uint32_t read_ethernet(Cursor* cursor, Packet* packet) noexcept nogil:
    """Pass the addresses and any VLAN tags; give the EtherType."""
    cdef uint32_t ethertype
    if likely_false(not has(cursor, ETHERNET_HEADER)):
        return stop(packet, STOP_TRUNCATED, LAYER_ETHERNET)
    ethertype = be16(cursor.at + 12)
    cursor.at += ETHERNET_HEADER
    return read_tags(cursor, packet, ethertype)


cdef inline uint32_t read_tags(
    Cursor* cursor, Packet* packet, uint32_t ethertype
) noexcept nogil:
    cdef int tags = 0
    while likely_false(ethertype_is_vlan(ethertype)):
        if not has(cursor, VLAN_TAG):
            return stop(packet, STOP_TRUNCATED, LAYER_VLAN)
        if tags == VLAN_MAX_TAGS:
            return stop(packet, STOP_UNSUPPORTED, LAYER_VLAN)
        if not packet.has & HAS_VLAN:
            packet.vlan = vlan_id(cursor.at)
            packet.has |= HAS_VLAN
        ethertype = be16(cursor.at + 2)
        cursor.at += VLAN_TAG
        tags += 1
    if likely_true(ethertype >= ETHERTYPE_LEAST):
        packet.ethertype = ethertype
        packet.has |= HAS_ETHERTYPE
    return ethertype


cdef uint32_t read_link(
    Cursor* cursor, Packet* packet, uint32_t link_type
) noexcept nogil:
    """Pass a link-layer header that is not Ethernet; say what follows it."""
    cdef uint32_t protocol
    cdef int version
    if link_type == LINK_SLL2:
        if not has(cursor, SLL2_HEADER):
            return stop(packet, STOP_TRUNCATED, LAYER_SLL2)
        protocol = be16(cursor.at + SLL2_PROTOCOL)
        packet.link_interface = be32(cursor.at + SLL2_INTERFACE)
        cursor.at += SLL2_HEADER
        return read_tags(cursor, packet, protocol)
    if link_type == LINK_SLL:
        packet.has |= IS_COOKED_V1
        if not has(cursor, SLL_HEADER):
            return stop(packet, STOP_TRUNCATED, LAYER_SLL)
        protocol = be16(cursor.at + SLL_PROTOCOL)
        cursor.at += SLL_HEADER
        return read_tags(cursor, packet, protocol)
    if link_type == LINK_NULL or link_type == LINK_LOOP:
        if not has(cursor, NULL_HEADER):
            return stop(packet, STOP_TRUNCATED, LAYER_NULL)
        version = null_ip_version(be32(cursor.at), le32(cursor.at))
        cursor.at += NULL_HEADER
        if version == 4:
            return ETHERTYPE_IPV4
        return ETHERTYPE_IPV6 if version == 6 else NEXT_DONE
    if (
        link_type == LINK_RAW
        or link_type == LINK_RAW_BSD
        or link_type == LINK_RAW_OPENBSD
    ):
        return NEXT_RAW_IP
    if link_type == LINK_IPV4:
        return ETHERTYPE_IPV4
    if link_type == LINK_IPV6:
        return ETHERTYPE_IPV6
    return stop(packet, STOP_UNSUPPORTED, LAYER_LINK)


cdef inline void enter_ip(Packet* packet, int version) noexcept nogil:
    """Forget what was read above the IP header before this one."""
    packet.ip_layers += 1
    packet.ip_version = version
    packet.has &= FRAME_FIELDS
    packet.ip_tunnel = packet.tunnel
    packet.ip_vni = packet.vni
    if packet.has & HAS_VNI:
        packet.has |= HAS_IP_VNI
    packet.tcp_flags = 0
    packet.payload_length = 0


cdef inline uint32_t read_ipv4(
    Cursor* cursor,
    Packet* packet,
    const uint16_t* vxlan_ports,
    int port_count,
) noexcept nogil:
    cdef const Ipv4Header* header = <const Ipv4Header*>cursor.at
    cdef int length
    cdef uint32_t total
    cdef uint16_t fragment
    if likely_false(not has(cursor, sizeof(Ipv4Header))):
        return stop(packet, STOP_TRUNCATED, LAYER_IPV4)
    length = ipv4_header_length(header)
    if likely_false(header.version_ihl >> 4 != 4 or length < <int>sizeof(Ipv4Header)):
        return stop(packet, STOP_MALFORMED, LAYER_IPV4)
    if likely_false(not has(cursor, length)):
        return stop(packet, STOP_TRUNCATED, LAYER_IPV4)
    total = be16(header.total_length)
    if likely_false(total == 0):
        # A super-frame of 64 KiB or more, or one whose length the NIC was to fill in.
        total = rest_of_frame(packet, cursor.at)
    if likely_false(total < <uint32_t>length):
        return stop(packet, STOP_MALFORMED, LAYER_IPV4)
    enter_ip(packet, 4)
    packet.src.high = 0
    packet.src.low = be32(header.source)
    packet.dst.high = 0
    packet.dst.low = be32(header.destination)
    packet.ttl = header.ttl
    packet.protocol = header.protocol
    packet.ip_id = be16(header.identification)
    packet.ip_length = total
    fragment = ipv4_fragment(header)
    if cursor.end - cursor.at > total:
        cursor.end = cursor.at + total      # what follows is padding
    cursor.at += length
    if likely_false(fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)):
        packet.has |= IS_FRAGMENT
        packet.fragment_id = packet.ip_id
        if fragment & IPV4_FRAGMENT_OFFSET:
            packet.has |= IS_LATER_FRAGMENT | HAS_PAYLOAD_LENGTH
            packet.payload_length = total - length
            return NEXT_DONE
    return read_transport(
        cursor, packet, header.protocol, total - length, vxlan_ports, port_count
    )


cdef inline uint32_t rest_of_frame(
    const Packet* packet, const uint8_t* at
) noexcept nogil:
    """Octets on the link from here to the end of the frame."""
    cdef uint64_t before = at - packet.data
    return packet.wire_length - before if packet.wire_length > before else 0


cdef uint32_t read_ipv6(
    Cursor* cursor,
    Packet* packet,
    const uint16_t* vxlan_ports,
    int port_count,
) noexcept nogil:
    cdef const Ipv6Header* header = <const Ipv6Header*>cursor.at
    cdef const Ipv6Fragment* fragment
    cdef uint32_t total, rest, length
    cdef uint16_t offset_more
    cdef uint8_t protocol
    cdef int extensions = 0
    if not has(cursor, sizeof(Ipv6Header)):
        return stop(packet, STOP_TRUNCATED, LAYER_IPV6)
    if header.version_class_label[0] >> 4 != 6:
        return stop(packet, STOP_MALFORMED, LAYER_IPV6)
    rest = be16(header.payload_length)
    if rest == 0:       # a jumbogram (RFC 2675) or a super-frame
        total = rest_of_frame(packet, cursor.at)
        if total < sizeof(Ipv6Header):
            return stop(packet, STOP_MALFORMED, LAYER_IPV6)
        rest = total - sizeof(Ipv6Header)
    total = rest + sizeof(Ipv6Header)
    enter_ip(packet, 6)
    packet.src.high = be64(header.source)
    packet.src.low = be64(header.source + 8)
    packet.dst.high = be64(header.destination)
    packet.dst.low = be64(header.destination + 8)
    packet.ttl = header.hop_limit
    packet.ip_length = total
    packet.protocol = protocol = header.next_header
    if cursor.end - cursor.at > total:
        cursor.end = cursor.at + total
    cursor.at += sizeof(Ipv6Header)
    while likely_false(ipv6_is_extension(protocol)):
        if extensions == IPV6_MAX_EXTENSIONS:
            return stop(packet, STOP_UNSUPPORTED, LAYER_IPV6)
        if not has(cursor, 2):
            return stop(packet, short_of(rest, 2), LAYER_IPV6)
        length = ipv6_extension_length(protocol, cursor.at)
        if not has(cursor, length):
            return stop(packet, short_of(rest, length), LAYER_IPV6)
        if protocol == IPV6_FRAGMENT:
            fragment = <const Ipv6Fragment*>cursor.at
            offset_more = be16(fragment.offset_more)
            # RFC 6946: offset 0 and none to follow is a whole ("atomic") packet.
            if offset_more & (IPV6_FRAGMENT_OFFSET | IPV6_MORE_FRAGMENTS):
                packet.has |= IS_FRAGMENT
                packet.fragment_id = be32(fragment.identification)
            if offset_more & IPV6_FRAGMENT_OFFSET:
                packet.has |= IS_LATER_FRAGMENT | HAS_PAYLOAD_LENGTH
                packet.protocol = fragment.next_header
                packet.payload_length = rest - length
                return NEXT_DONE
        protocol = cursor.at[0]
        cursor.at += length
        rest -= length
        packet.protocol = protocol
        extensions += 1
    return read_transport(cursor, packet, protocol, rest, vxlan_ports, port_count)


cdef inline int short_of(uint32_t claimed, uint32_t needed) noexcept nogil:
    """Whether the capture or the packet itself is too short for a header."""
    return STOP_MALFORMED if claimed < needed else STOP_TRUNCATED


cdef inline uint32_t read_transport(
    Cursor* cursor,
    Packet* packet,
    uint8_t protocol,
    uint32_t rest,
    const uint16_t* vxlan_ports,
    int port_count,
) noexcept nogil:
    """Read what an IP header carries; `rest` octets of it were on the link."""
    if protocol == PROTOCOL_TCP:
        return read_tcp(cursor, packet, rest)
    if protocol == PROTOCOL_UDP:
        return read_udp(cursor, packet, rest, vxlan_ports, port_count)
    if protocol == PROTOCOL_ICMP and packet.ip_version == 4:
        return read_icmp(cursor, packet, rest, LAYER_ICMP)
    if protocol == PROTOCOL_ICMP6 and packet.ip_version == 6:
        return read_icmp(cursor, packet, rest, LAYER_ICMP6)
    if protocol == PROTOCOL_SCTP:
        return read_sctp(cursor, packet, rest)
    if protocol == PROTOCOL_IPV4 or protocol == PROTOCOL_IPV6:
        return read_ipip(cursor, packet, protocol, rest)
    if protocol == PROTOCOL_GRE:
        return read_gre(cursor, packet, rest)
    packet.payload_length = rest
    packet.has |= HAS_PAYLOAD_LENGTH | HAS_DIGEST
    packet.digest = digest_of(cursor.at, cursor.end - cursor.at, rest, rest)
    return NEXT_DONE


cdef inline uint32_t read_tcp(
    Cursor* cursor, Packet* packet, uint32_t rest
) noexcept nogil:
    cdef const TcpHeader* header = <const TcpHeader*>cursor.at
    cdef int64_t left = cursor.end - cursor.at
    cdef uint32_t length
    packet.segment_length = <uint8_t>min(rest, <uint32_t>LONG_SEGMENT)
    if likely_false(left < <int64_t>sizeof(TcpHeader)):
        return read_cut_tcp(header, packet, left, rest)
    packet.src_port = be16(header.source_port)
    packet.dst_port = be16(header.destination_port)
    packet.seq = be32(header.seq)
    packet.ack = be32(header.ack)
    packet.tcp_flags = header.flags
    packet.window = be16(header.window)
    packet.has |= HAS_PORTS | HAS_SEQ | HAS_ACK | HAS_FLAGS | HAS_WINDOW
    length = (header.data_offset >> 4) * 4
    if likely_false(length < sizeof(TcpHeader) or length > rest):
        return stop(packet, STOP_MALFORMED, LAYER_TCP)
    packet.payload_length = rest - length
    packet.has |= HAS_PAYLOAD_LENGTH
    if likely_false(header.flags & TCP_SYN):
        return read_syn_options(cursor, packet, length)
    if likely_false(left < length):
        return stop(packet, STOP_TRUNCATED, LAYER_TCP)
    return NEXT_DONE


cdef uint32_t read_cut_tcp(
    const TcpHeader* header, Packet* packet, int64_t left, uint32_t rest
) noexcept nogil:
    """Take what a cut header still has: `tcpdump -s 96` keeps 12 octets in VXLAN."""
    if left >= 4:
        packet.src_port = be16(header.source_port)
        packet.dst_port = be16(header.destination_port)
        packet.has |= HAS_PORTS
    if left >= 8:
        packet.seq = be32(header.seq)
        packet.has |= HAS_SEQ
    if left >= 12:
        packet.ack = be32(header.ack)
        packet.has |= HAS_ACK
    if left >= 14:
        packet.tcp_flags = header.flags
        packet.has |= HAS_FLAGS
        if (header.data_offset >> 4) * 4 <= rest:
            packet.payload_length = rest - (header.data_offset >> 4) * 4
            packet.has |= HAS_PAYLOAD_LENGTH
    if left >= 16:
        packet.window = be16(header.window)
        packet.has |= HAS_WINDOW
    return stop(packet, short_of(rest, sizeof(TcpHeader)), LAYER_TCP)


cdef uint32_t read_syn_options(
    Cursor* cursor, Packet* packet, uint32_t length
) noexcept nogil:
    """Read the options that tell one SYN from another; NAT leaves them alone."""
    cdef const uint8_t* at = cursor.at + sizeof(TcpHeader)
    cdef const uint8_t* end = cursor.at + length
    cdef uint32_t kinds = 0
    cdef int count = 0
    cdef uint8_t kind, size
    cdef bint cut = end > cursor.end
    if cut:
        end = cursor.end
    while at < end and at[0] != TCP_OPTION_END:
        kind = at[0]
        if count < TCP_MAX_OPTION_KINDS:
            kinds |= <uint32_t>(kind if kind < 15 else 15) << (4 * count)
            count += 1
        if kind == TCP_OPTION_NOP:
            at += 1
            continue
        if end - at < 2 or at[1] < 2 or at[1] > end - at:
            if cut:
                break
            packet.option_kinds = kinds
            packet.has |= HAS_SYN_OPTIONS
            return stop(packet, STOP_MALFORMED, LAYER_TCP)
        size = at[1]
        if kind == TCP_OPTION_MSS and size == 4:
            packet.mss = be16(at + 2)
            packet.has |= HAS_MSS
        elif kind == TCP_OPTION_WINDOW_SCALE and size == 3:
            packet.window_scale = at[2]
            packet.has |= HAS_WINDOW_SCALE
        elif kind == TCP_OPTION_TIMESTAMPS and size == 10:
            packet.tsval = be32(at + 2)
            packet.has |= HAS_TSVAL
        at += size
    if cut:
        return stop(packet, STOP_TRUNCATED, LAYER_TCP)
    packet.option_kinds = kinds
    packet.has |= HAS_SYN_OPTIONS
    return NEXT_DONE


cdef inline uint32_t read_udp(
    Cursor* cursor,
    Packet* packet,
    uint32_t rest,
    const uint16_t* vxlan_ports,
    int port_count,
) noexcept nogil:
    cdef const UdpHeader* header = <const UdpHeader*>cursor.at
    cdef uint32_t length
    cdef int index
    if likely_false(not has(cursor, sizeof(UdpHeader))):
        if has(cursor, 4):
            packet.src_port = be16(header.source_port)
            packet.dst_port = be16(header.destination_port)
            packet.has |= HAS_PORTS
        return stop(packet, short_of(rest, sizeof(UdpHeader)), LAYER_UDP)
    packet.src_port = be16(header.source_port)
    packet.dst_port = be16(header.destination_port)
    packet.has |= HAS_PORTS | HAS_PAYLOAD_LENGTH
    length = be16(header.length)
    # Offloads leave the field 0; in a first fragment it counts the whole datagram.
    if length < sizeof(UdpHeader) or length > rest:
        if likely_false(length and length < sizeof(UdpHeader)):
            packet.payload_length = rest - sizeof(UdpHeader)
            return stop(packet, STOP_MALFORMED, LAYER_UDP)
        length = rest
    packet.payload_length = length - sizeof(UdpHeader)
    cursor.at += sizeof(UdpHeader)
    if packet.dst_port == VXLAN_UDP_PORT:
        return read_vxlan(cursor, packet)
    if packet.dst_port == GENEVE_UDP_PORT:
        return read_geneve(cursor, packet)
    for index in range(1, port_count):
        if packet.dst_port == vxlan_ports[index]:
            return read_vxlan(cursor, packet)
    packet.has |= HAS_DIGEST
    packet.digest = digest_of(
        cursor.at,
        cursor.end - cursor.at,
        packet.payload_length,
        identification_of(packet) | packet.payload_length,
    )
    return NEXT_DONE


cdef inline uint32_t read_sctp(
    Cursor* cursor, Packet* packet, uint32_t rest
) noexcept nogil:
    cdef const SctpHeader* header = <const SctpHeader*>cursor.at
    if has(cursor, 4):
        packet.src_port = be16(header.source_port)
        packet.dst_port = be16(header.destination_port)
        packet.has |= HAS_PORTS
    if not has(cursor, sizeof(SctpHeader)):
        return stop(packet, short_of(rest, sizeof(SctpHeader)), LAYER_SCTP)
    packet.payload_length = rest - sizeof(SctpHeader)
    cursor.at += sizeof(SctpHeader)
    packet.has |= HAS_PAYLOAD_LENGTH | HAS_DIGEST
    # The checksum covers the ports and changes with them; the tag does not.
    packet.digest = digest_of(
        cursor.at,
        cursor.end - cursor.at,
        packet.payload_length,
        identification_of(packet) | be32(header.verification_tag),
    )
    return NEXT_DONE


cdef uint32_t read_icmp(
    Cursor* cursor, Packet* packet, uint32_t rest, int layer
) noexcept nogil:
    cdef const IcmpHeader* header = <const IcmpHeader*>cursor.at
    cdef bint query, error
    if has(cursor, 2):
        packet.icmp_type = header.type
        packet.icmp_code = header.code
        packet.has |= HAS_ICMP
    if not has(cursor, sizeof(IcmpHeader)):
        return stop(packet, short_of(rest, sizeof(IcmpHeader)), layer)
    if layer == LAYER_ICMP:
        query = icmp_is_query(header.type)
        error = icmp_is_error(header.type)
    else:
        query = icmp6_is_query(header.type)
        error = icmp6_is_error(header.type)
    packet.payload_length = rest - sizeof(IcmpHeader)
    cursor.at += sizeof(IcmpHeader)
    packet.has |= HAS_PAYLOAD_LENGTH
    if query:
        packet.icmp_id = be16(header.identifier)
        packet.has |= HAS_ICMP_ID
    if error:
        packet.quoted = cursor.at
        packet.quoted_end = cursor.end
    else:
        # SNAT may rewrite the identifier, never the sequence number or the payload.
        packet.digest = digest_of(
            cursor.at,
            cursor.end - cursor.at,
            packet.payload_length,
            identification_of(packet)
            | <uint64_t>header.type << 16
            | be16(header.sequence),
        )
        packet.has |= HAS_DIGEST
    return NEXT_DONE


cdef inline uint32_t enter_tunnel(Packet* packet, int tunnel) noexcept nogil:
    """Count an encapsulation; NEXT_DONE where they are nested too deep."""
    if packet.tunnel_depth == MAX_TUNNEL_DEPTH:
        return NEXT_DONE
    if packet.tunnel_depth == 0:
        packet.outer_src = packet.src
        packet.outer_dst = packet.dst
        packet.outer_version = packet.ip_version
    packet.tunnel = tunnel
    packet.tunnel_depth += 1
    return 0


cdef inline uint32_t read_vxlan(Cursor* cursor, Packet* packet) noexcept nogil:
    """Record the VNI and leave the cursor behind the inner Ethernet header."""
    cdef const VxlanHeader* header = <const VxlanHeader*>cursor.at
    if likely_false(not has(cursor, sizeof(VxlanHeader))):
        return stop(
            packet,
            short_of(packet.payload_length, sizeof(VxlanHeader)),
            LAYER_VXLAN,
        )
    if likely_false(not header.flags & VXLAN_VNI_PRESENT):
        return stop(packet, STOP_MALFORMED, LAYER_VXLAN)    # section 5: I MUST be set
    if likely_false(enter_tunnel(packet, TUNNEL_VXLAN)):
        return stop(packet, STOP_UNSUPPORTED, LAYER_VXLAN)
    packet.vni = vxlan_vni(header)
    packet.has |= HAS_VNI
    cursor.at += sizeof(VxlanHeader)
    return read_ethernet(cursor, packet)


cdef uint32_t read_geneve(Cursor* cursor, Packet* packet) noexcept nogil:
    cdef const GeneveHeader* header = <const GeneveHeader*>cursor.at
    cdef uint32_t protocol
    if not has(cursor, sizeof(GeneveHeader)):
        return stop(
            packet,
            short_of(packet.payload_length, sizeof(GeneveHeader)),
            LAYER_GENEVE,
        )
    if geneve_version(header) != 0:
        return stop(packet, STOP_UNSUPPORTED, LAYER_GENEVE)
    if not has(cursor, geneve_header_length(header)):
        return stop(
            packet,
            short_of(packet.payload_length, geneve_header_length(header)),
            LAYER_GENEVE,
        )
    if enter_tunnel(packet, TUNNEL_GENEVE):
        return stop(packet, STOP_UNSUPPORTED, LAYER_GENEVE)
    packet.vni = geneve_vni(header)
    packet.has |= HAS_VNI
    protocol = be16(header.protocol)
    cursor.at += geneve_header_length(header)
    return read_carried(cursor, packet, protocol, LAYER_GENEVE)


cdef uint32_t read_gre(
    Cursor* cursor, Packet* packet, uint32_t rest
) noexcept nogil:
    cdef uint16_t flags
    cdef uint32_t protocol
    cdef int length
    packet.payload_length = rest
    packet.has |= HAS_PAYLOAD_LENGTH
    if not has(cursor, GRE_HEADER):
        return stop(packet, short_of(rest, GRE_HEADER), LAYER_GRE)
    flags = be16(cursor.at)
    # Version 1 is PPTP's (RFC 2637); source routes were never used.
    if flags & (GRE_VERSION | GRE_ROUTING):
        return stop(packet, STOP_UNSUPPORTED, LAYER_GRE)
    length = gre_header_length(flags)
    if not has(cursor, length):
        return stop(packet, short_of(rest, length), LAYER_GRE)
    if enter_tunnel(packet, TUNNEL_GRE):
        return stop(packet, STOP_UNSUPPORTED, LAYER_GRE)
    protocol = be16(cursor.at + 2)
    cursor.at += length
    return read_carried(cursor, packet, protocol, LAYER_GRE)


cdef uint32_t read_carried(
    Cursor* cursor, Packet* packet, uint32_t protocol, int layer
) noexcept nogil:
    """Go on with what a Geneve or GRE header says it carries."""
    if protocol == ETHERTYPE_TEB:
        return read_ethernet(cursor, packet)
    if ethertype_is_vlan(protocol):
        return read_tags(cursor, packet, protocol)
    packet.ethertype = protocol
    packet.has |= HAS_ETHERTYPE
    if protocol == ETHERTYPE_IPV4 or protocol == ETHERTYPE_IPV6:
        return protocol
    return stop(packet, STOP_UNSUPPORTED, layer)


cdef uint32_t read_ipip(
    Cursor* cursor, Packet* packet, uint8_t protocol, uint32_t rest
) noexcept nogil:
    """IP in IP: RFC 2003, RFC 2473, RFC 4213, in all four combinations."""
    packet.payload_length = rest
    packet.has |= HAS_PAYLOAD_LENGTH
    if enter_tunnel(packet, TUNNEL_IPIP):
        return stop(packet, STOP_UNSUPPORTED, LAYER_IPIP)
    packet.ethertype = (
        ETHERTYPE_IPV4 if protocol == PROTOCOL_IPV4 else ETHERTYPE_IPV6
    )
    packet.has |= HAS_ETHERTYPE
    return packet.ethertype
