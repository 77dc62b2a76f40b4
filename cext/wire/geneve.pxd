# Geneve: network virtualisation with options of variable length.
# Specification: RFC 8926, section 3.4.
#
#    0                   1                   2                   3
#   +---+-----------+-+-+-----------+-------------------------------+
#   |Ver|  Opt Len  |O|C|   Rsvd    |         Protocol Type         |
#   +---+-----------+-+-+-----------+---------------+---------------+
#   |        virtual network identifier             |   Reserved    |
#   +-----------------------------------------------+---------------+
#   |                    options, 4 * Opt Len octets                |

from libc.stdint cimport uint8_t, uint32_t

from cext.cursor cimport be24


cdef packed struct GeneveHeader:
    uint8_t version_length
    uint8_t flags
    uint8_t protocol[2]
    uint8_t vni[3]
    uint8_t reserved

cdef enum:
    GENEVE_UDP_PORT = 6081      # IANA


cdef inline int geneve_version(const GeneveHeader* header) noexcept nogil:
    return header.version_length >> 6


cdef inline int geneve_header_length(const GeneveHeader* header) noexcept nogil:
    return 8 + (header.version_length & 0x3F) * 4


cdef inline uint32_t geneve_vni(const GeneveHeader* header) noexcept nogil:
    return be24(header.vni)
