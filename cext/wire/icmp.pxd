# ICMP and ICMPv6: the common header, queries with an identifier, errors with a quote.
# Specification: RFC 792; RFC 4443.
#
#   +---------------+---------------+-------------------------------+
#   |     type      |     code      |           checksum            |
#   +---------------+---------------+-------------------------------+
#   |   identifier of a query       |       sequence number         |
#   +-------------------------------+-------------------------------+
#   |          of an error: the packet that caused it, cut          |

from libc.stdint cimport uint8_t


cdef packed struct IcmpHeader:
    uint8_t type
    uint8_t code
    uint8_t checksum[2]
    uint8_t identifier[2]
    uint8_t sequence[2]


cdef inline bint icmp_is_query(uint8_t type) noexcept nogil:
    """Echo, timestamp, information and address mask, requests and replies."""
    return type == 0 or type == 8 or 13 <= type <= 18


cdef inline bint icmp_is_error(uint8_t type) noexcept nogil:
    """Unreachable, source quench, redirect, time exceeded, parameter problem."""
    return type == 3 or type == 4 or type == 5 or type == 11 or type == 12


cdef inline bint icmp6_is_query(uint8_t type) noexcept nogil:
    return type == 128 or type == 129


cdef inline bint icmp6_is_error(uint8_t type) noexcept nogil:
    return 1 <= type <= 4


cdef inline int icmp_counterpart(uint8_t type) noexcept nogil:
    """The type that answers, or -1. Community ID v1 pairs the same types."""
    if type == 8:
        return 0
    if type == 0:
        return 8
    if type == 13 or type == 15 or type == 17:
        return type + 1
    if type == 14 or type == 16 or type == 18:
        return type - 1
    if type == 10:
        return 9
    if type == 9:
        return 10
    return -1


cdef inline int icmp6_counterpart(uint8_t type) noexcept nogil:
    """The type that answers, or -1. Community ID v1 pairs the same types."""
    if type == 128 or type == 130 or type == 133 or type == 135 or type == 144:
        return type + 1
    if type == 129 or type == 131 or type == 134 or type == 136 or type == 145:
        return type - 1
    if type == 139:
        return 140
    if type == 140:
        return 139
    return -1
