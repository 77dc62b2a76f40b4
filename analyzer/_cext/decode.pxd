cimport cython
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from cext.packet cimport LAYER_COUNT, TUNNEL_COUNT, Packet

cdef enum:
    MOST_VXLAN_PORTS = 8
    STOP_REASON_COUNT = 4


cdef struct VniCount:
    uint32_t vni
    uint64_t frames


@cython.final
cdef class Decoder:
    cdef uint16_t vxlan_ports[MOST_VXLAN_PORTS]
    cdef int vxlan_port_count
    cdef uint64_t packets           # decoded of this capture
    cdef uint64_t captured_bytes
    cdef uint64_t wire_bytes
    cdef uint64_t non_ip
    cdef long long first_time
    cdef long long last_time
    cdef uint64_t tunnels[TUNNEL_COUNT]
    cdef uint64_t stops[STOP_REASON_COUNT][LAYER_COUNT]
    cdef VniCount* vnis
    cdef uint32_t vni_count
    cdef uint32_t vni_capacity
    cdef uint32_t last_vni          # index of the counter used last
    cdef bint out_of_memory

    cdef void decode(self, Packet* packets, int count) noexcept nogil
    cdef void count_vni(self, uint32_t vni, uint64_t frames) noexcept nogil
