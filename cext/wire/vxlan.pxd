# VXLAN: an Ethernet frame carried in UDP under a 24-bit network identifier.
# Specification: RFC 7348, section 5.
#
#    0               1               2               3
#   +-+-+-+-+-+-+-+-+-----------------------------------------------+
#   |R|R|R|R|I|R|R|R|                   Reserved                    |
#   +-+-+-+-+-+-+-+-+-------------------------------+---------------+
#   |                     VNI                       |   Reserved    |
#   +-----------------------------------------------+---------------+

from libc.stdint cimport uint8_t, uint32_t

from cext.cursor cimport be24


# Octet fields only, so the struct overlays captured bytes at any alignment.
cdef packed struct VxlanHeader:
    uint8_t flags
    uint8_t reserved[3]
    uint8_t vni[3]
    uint8_t reserved_last

cdef enum:
    VXLAN_UDP_PORT = 4789       # IANA
    VXLAN_VNI_PRESENT = 0x08    # the I flag


cdef inline uint32_t vxlan_vni(const VxlanHeader* header) noexcept nogil:
    return be24(header.vni)
