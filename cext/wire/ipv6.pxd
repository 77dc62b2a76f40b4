# Internet Protocol version 6 and its extension headers.
# Specification: RFC 8200, sections 3 and 4.
#
#    0                   1                   2                   3
#   +-------+---------------+---------------------------------------+
#   |Version| traffic class |              flow label               |
#   +-------+---------------+-------+---------------+---------------+
#   |        payload length         |  next header  |   hop limit   |
#   +-------------------------------+---------------+---------------+
#   |                          source (16)                          |
#   +---------------------------------------------------------------+
#   |                       destination (16)                        |
#   +---------------------------------------------------------------+

from libc.stdint cimport uint8_t


cdef packed struct Ipv6Header:
    uint8_t version_class_label[4]
    uint8_t payload_length[2]
    uint8_t next_header
    uint8_t hop_limit
    uint8_t source[16]
    uint8_t destination[16]


# RFC 8200 section 4.5.
cdef packed struct Ipv6Fragment:
    uint8_t next_header
    uint8_t reserved
    uint8_t offset_more[2]
    uint8_t identification[4]

cdef enum:
    IPV6_MAX_EXTENSIONS = 16
    IPV6_MORE_FRAGMENTS = 0x0001
    IPV6_FRAGMENT_OFFSET = 0xFFF8
    IPV6_HOP_BY_HOP = 0
    IPV6_ROUTING = 43
    IPV6_FRAGMENT = 44
    IPV6_AUTHENTICATION = 51
    IPV6_DESTINATION = 60
    IPV6_MOBILITY = 135
    IPV6_HIP = 139
    IPV6_SHIM6 = 140


cdef inline bint ipv6_is_extension(uint8_t next_header) noexcept nogil:
    return (
        next_header == IPV6_HOP_BY_HOP
        or next_header == IPV6_ROUTING
        or next_header == IPV6_FRAGMENT
        or next_header == IPV6_AUTHENTICATION
        or next_header == IPV6_DESTINATION
        or next_header == IPV6_MOBILITY
        or next_header == IPV6_HIP
        or next_header == IPV6_SHIM6
    )


cdef inline int ipv6_extension_length(
    uint8_t kind, const uint8_t* header
) noexcept nogil:
    if kind == IPV6_FRAGMENT:
        return 8
    if kind == IPV6_AUTHENTICATION:
        return (header[1] + 2) * 4      # RFC 4302 section 2.2: counts 32-bit words
    return (header[1] + 1) * 8
