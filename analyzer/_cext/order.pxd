cimport cython
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from cext.packet cimport Packet


cdef struct PointKey:
    uint32_t interface          # of the capture
    uint32_t link_interface     # SLL2 interface index, 0 otherwise


cdef struct FragmentEntry:
    uint64_t datagram           # hash of what its fragments share
    int64_t time
    uint16_t src_port
    uint16_t dst_port


cdef struct SightingEntry:
    uint64_t packet             # hash of what two copies of it share
    int64_t time


cdef struct Sweep:
    int after                   # packets of the batch that come before it, -1: none
    int64_t now                 # latest time of these and all before
    uint64_t number             # of the sweep in its run, from 1


@cython.final
cdef class PacketOrder:
    cdef PointKey* points
    cdef uint32_t point_count
    cdef uint32_t point_capacity
    cdef uint32_t point_base        # first point of this capture
    cdef uint32_t last_point
    cdef FragmentEntry* fragments
    cdef SightingEntry* sightings
    cdef uint64_t packets           # of this capture
    cdef int64_t now                # latest time in this capture
    cdef int64_t swept              # when the flows were last swept
    cdef int64_t sweep_interval
    cdef uint64_t sweeps            # of all captures
    cdef bint out_of_memory

    cdef Sweep arrange(self, Packet* packets, int count) noexcept nogil
    cdef uint32_t point_of(
        self, uint32_t interface, uint32_t link_interface
    ) noexcept nogil
    cdef void join_fragment(self, Packet* packet) noexcept nogil
    cdef void mark_copy(self, Packet* packet) noexcept nogil
