# Internet Protocol version 4.
# Specification: RFC 791, section 3.1.
#
#    0                   1                   2                   3
#   +-------+-------+---------------+-------------------------------+
#   |Version|  IHL  |      TOS      |          total length         |
#   +-------+-------+---------------+-----+-------------------------+
#   |         identification        |flags|     fragment offset     |
#   +---------------+---------------+-----+-------------------------+
#   |      TTL      |    protocol   |           checksum            |
#   +---------------+---------------+-------------------------------+
#   |                            source                             |
#   +---------------------------------------------------------------+
#   |                         destination                           |
#   +---------------------------------------------------------------+

from libc.stdint cimport uint8_t, uint16_t

from cext.cursor cimport be16


# Octet fields only, so the struct overlays captured bytes at any alignment.
cdef packed struct Ipv4Header:
    uint8_t version_ihl
    uint8_t tos
    uint8_t total_length[2]
    uint8_t identification[2]
    uint8_t fragment[2]
    uint8_t ttl
    uint8_t protocol
    uint8_t checksum[2]
    uint8_t source[4]
    uint8_t destination[4]

cdef enum:
    IPV4_MORE_FRAGMENTS = 0x2000
    IPV4_FRAGMENT_OFFSET = 0x1FFF
    IPV4_PLAIN = 0x45           # version 4, no options
    PROTOCOL_ICMP = 1
    PROTOCOL_IPV4 = 4
    PROTOCOL_TCP = 6
    PROTOCOL_UDP = 17
    PROTOCOL_IPV6 = 41
    PROTOCOL_GRE = 47
    PROTOCOL_ICMP6 = 58
    PROTOCOL_SCTP = 132


cdef inline int ipv4_header_length(const Ipv4Header* header) noexcept nogil:
    return (header.version_ihl & 0x0F) * 4


cdef inline uint16_t ipv4_fragment(const Ipv4Header* header) noexcept nogil:
    return be16(header.fragment)
