# Generic Routing Encapsulation, version 0.
# Specification: RFC 2784, section 2; key and sequence number: RFC 2890.
#
#    0                   1                   2                   3
#   +-+-+-+-+-------------------+-----+-------------------------------+
#   |C|R|K|S|      Reserved     | Ver |         Protocol Type         |
#   +-+-+-+-+-------------------+-----+-------------------------------+
#   |  C: checksum, offset (4) | K: key (4) | S: sequence number (4)  |

from libc.stdint cimport uint16_t

cdef enum:
    GRE_HEADER = 4
    GRE_CHECKSUM = 0x8000
    GRE_ROUTING = 0x4000        # RFC 1701; deprecated by RFC 2784
    GRE_KEY = 0x2000
    GRE_SEQUENCE = 0x1000
    GRE_VERSION = 0x0007


cdef inline int gre_header_length(uint16_t flags) noexcept nogil:
    cdef int length = GRE_HEADER
    if flags & GRE_CHECKSUM:
        length += 4
    if flags & GRE_KEY:
        length += 4
    if flags & GRE_SEQUENCE:
        length += 4
    return length
