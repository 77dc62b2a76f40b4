# The packet that an ICMP error quotes: RFC 792, RFC 4443 section 3.

from libc.stdint cimport int64_t, uint8_t

from cext.cursor cimport be16, be32, be64
from cext.packet cimport HAS_ICMP, HAS_ICMP_ID, HAS_PORTS, Packet
from cext.wire.icmp cimport icmp6_is_query, icmp_is_query
from cext.wire.ipv4 cimport (
    IPV4_FRAGMENT_OFFSET,
    PROTOCOL_ICMP,
    PROTOCOL_ICMP6,
    PROTOCOL_SCTP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    Ipv4Header,
    ipv4_fragment,
    ipv4_header_length,
)
from cext.wire.ipv6 cimport Ipv6Header


cdef inline bint read_quoted(const Packet* error, Packet* quoted) noexcept nogil:
    """Read the five-tuple of the quoted packet into one that was cleared."""
    cdef const uint8_t* at = error.quoted
    cdef int64_t left = error.quoted_end - at
    cdef const Ipv4Header* header = <const Ipv4Header*>at
    cdef const Ipv6Header* header6 = <const Ipv6Header*>at
    cdef int length
    if error.ip_version == 4:
        if left < <int64_t>sizeof(Ipv4Header) or at[0] >> 4 != 4:
            return False
        length = ipv4_header_length(header)
        quoted.src.low = be32(header.source)
        quoted.dst.low = be32(header.destination)
        quoted.protocol = header.protocol
        if length < 20 or ipv4_fragment(header) & IPV4_FRAGMENT_OFFSET:
            return False
    else:
        if left < <int64_t>sizeof(Ipv6Header) or at[0] >> 4 != 6:
            return False
        length = sizeof(Ipv6Header)
        quoted.src.high = be64(header6.source)
        quoted.src.low = be64(header6.source + 8)
        quoted.dst.high = be64(header6.destination)
        quoted.dst.low = be64(header6.destination + 8)
        quoted.protocol = header6.next_header
    quoted.ip_version = error.ip_version
    at += length
    left -= length
    if (
        quoted.protocol == PROTOCOL_TCP
        or quoted.protocol == PROTOCOL_UDP
        or quoted.protocol == PROTOCOL_SCTP
    ):
        if left < 4:
            return False
        quoted.src_port = be16(at)
        quoted.dst_port = be16(at + 2)
        quoted.has = HAS_PORTS
    elif quoted.protocol == PROTOCOL_ICMP or quoted.protocol == PROTOCOL_ICMP6:
        if left < 6:
            return False
        quoted.icmp_type = at[0]
        quoted.icmp_code = at[1]
        quoted.icmp_id = be16(at + 4)
        quoted.has = HAS_ICMP
        if (
            icmp_is_query(at[0])
            if quoted.protocol == PROTOCOL_ICMP
            else icmp6_is_query(at[0])
        ):
            quoted.has |= HAS_ICMP_ID
    return True
