# Ethernet II, and the VLAN tags that may follow its addresses.
# Specification: IEEE 802.3 clause 3.1.1; IEEE 802.1Q clause 9.6.
#
#   +-----------------------+-----------------------+-----------+
#   |    destination (6)    |       source (6)      |  type (2) |
#   +-----------------------+-----------------------+-----------+
#
# A tag stands where the type would be: tag protocol id (2), then
#
#   +---+-+-----------+-----------+
#   |PCP|D|  VLAN id  |  type (2) |
#   +---+-+-----------+-----------+

from libc.stdint cimport uint8_t, uint16_t

from cext.cursor cimport be16

cdef enum:
    ETHERNET_HEADER = 14
    VLAN_TAG = 4
    VLAN_MAX_TAGS = 8
    ETHERTYPE_LEAST = 0x0600    # smaller ones are lengths, of IEEE 802.3 frames
    ETHERTYPE_IPV4 = 0x0800
    ETHERTYPE_ARP = 0x0806
    ETHERTYPE_TEB = 0x6558      # transparent Ethernet bridging (GRE, Geneve)
    ETHERTYPE_VLAN = 0x8100
    ETHERTYPE_IPV6 = 0x86DD
    ETHERTYPE_QINQ = 0x88A8     # 802.1ad
    ETHERTYPE_QINQ_OLD = 0x9100  # before 802.1ad was written


cdef inline bint ethertype_is_vlan(uint16_t ethertype) noexcept nogil:
    return (
        ethertype == ETHERTYPE_VLAN
        or ethertype == ETHERTYPE_QINQ
        or ethertype == ETHERTYPE_QINQ_OLD
    )


cdef inline uint16_t vlan_id(const uint8_t* tag) noexcept nogil:
    return be16(tag) & 0x0FFF
