# What stands for ports in the flow key of ICMP.

from libc.stdint cimport uint16_t

from cext.packet cimport HAS_ICMP_ID, Packet
from cext.wire.icmp cimport icmp6_counterpart, icmp_counterpart

cdef enum:
    ICMP_ERROR_PORTS = 0x8000   # in place of an identifier, where there is none
    ICMP_UNKNOWN = 0xFFFF       # in place of a type that was cut off


cdef inline void icmp_ports(
    const Packet* packet, uint16_t* first, uint16_t* second
) noexcept nogil:
    """Key ICMP by identifier and by a type that question and answer share."""
    cdef int other
    if packet.ip_version == 4:
        other = icmp_counterpart(packet.icmp_type)
    else:
        other = icmp6_counterpart(packet.icmp_type)
    if other < 0:
        first[0] = ICMP_ERROR_PORTS
        second[0] = <uint16_t>(packet.icmp_type << 8 | packet.icmp_code)
    else:
        first[0] = packet.icmp_id if packet.has & HAS_ICMP_ID else ICMP_ERROR_PORTS
        second[0] = <uint16_t>min(other, packet.icmp_type)
