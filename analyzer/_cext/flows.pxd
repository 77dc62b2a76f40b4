cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from analyzer._cext.addresses cimport AddressTable
from cext.frame cimport FRAME_BATCH
from cext.packet cimport Packet
from cext.record cimport FlowCold, FlowHot, FlowRecord, FlowTail, TailSide, TunnelEntry


cdef struct TunnelSlot:
    uint64_t key                # odd hash of a tunnel, 0: empty
    uint32_t number             # of the tunnel, from 1


cdef struct Lookup:
    uint32_t ends[2]
    uint16_t ports[2]
    uint32_t tunnel
    uint16_t point
    uint8_t protocol
    uint8_t ip_version
    uint32_t hash               # odd; the upper half of an index slot
    uint32_t candidate          # number plus one of the likely record, 0: none
    uint32_t slot               # where the look-up for it ended
    uint32_t layout             # of the index at that time, 0: slot tells nothing
    uint8_t side                # which end sent the packet
    uint8_t outer_swapped
    const Packet* packet


cdef struct EndedFlow:
    uint64_t sweep              # in which it left the table
    FlowRecord flow


cdef struct Sample:
    FlowHot* hot
    FlowCold* cold
    TailSide* tail
    uint64_t id
    uint32_t microseconds
    int side


@cython.final
cdef class FlowTable:
    cdef AddressTable addresses
    cdef FlowHot** hot          # segments of SEGMENT_SIZE records
    cdef FlowCold** cold
    cdef FlowTail** tails
    cdef uint32_t segments
    cdef uint32_t used          # records ever begun; those freed are chained
    cdef uint32_t free_record   # number plus one of the first freed one, 0: none
    cdef uint32_t live
    cdef bint shuffled          # a freed record was used again
    cdef uint64_t* index
    cdef uint32_t slots
    cdef uint32_t layout        # changes when all slots are assigned anew
    cdef uint32_t taken         # slots that are not empty
    cdef uint32_t removed       # slots of records that were swept away
    cdef uint64_t seeds[3]
    cdef TunnelEntry* tunnels
    cdef uint32_t tunnel_count
    cdef uint32_t tunnel_capacity
    cdef TunnelSlot* tunnel_slots
    cdef int64_t idle_timeout
    cdef int64_t closed_timeout
    cdef int64_t active_timeout
    cdef readonly int64_t sweep_interval    # that suits the timeouts, in nanoseconds
    cdef Lookup keys[2][FRAME_BATCH]    # the batch that waits, and the one before
    cdef int waiting
    cdef int waiting_count
    cdef EndedFlow* ended       # rows that wait to be taken
    cdef size_t ended_count
    cdef size_t ended_capacity
    cdef bint out_of_memory

    cdef void add(self, const Packet** packets, int count) noexcept nogil
    cdef void flush(self) noexcept nogil
    cdef uint32_t add_tunnel(
        self, const Packet* packet, uint64_t hashed, bint swapped
    ) noexcept nogil
    cdef bint grow_tunnels(self) noexcept nogil
    cdef uint32_t begin(self, const Lookup* key, int originator) noexcept nogil
    cdef void free_records(self) noexcept nogil
    cdef int clear(self) except -1
    cdef bint grow_index(self) noexcept nogil
    cdef bint add_segment(self) noexcept nogil
    cdef uint32_t place_of(self, uint32_t hash, uint32_t record) noexcept nogil
    cdef void count_quoted(self, const Packet* packet) noexcept nogil
    cdef void sweep(self, int64_t now, uint64_t number) noexcept nogil
    cdef void end_record(self, uint32_t record) noexcept nogil
    cdef bint keep_ended(self, uint32_t record, uint64_t sweep) noexcept nogil
