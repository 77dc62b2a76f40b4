cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from analyzer._cext.addresses cimport AddressTable
from cext.flow_columns cimport RowWriter
from cext.frame cimport FRAME_BATCH
from cext.packet cimport Packet
from cext.record cimport FlowCold, FlowHot, FlowRecord, FlowTail, TailSide, TunnelEntry


cdef struct TunnelSlot:
    uint64_t key                # odd hash of a tunnel, 0: empty
    uint32_t number             # of the tunnel, from 1


cdef struct FragmentEntry:
    uint64_t datagram           # hash of what its fragments share
    int64_t time
    uint16_t src_port
    uint16_t dst_port


cdef struct SightingEntry:
    uint64_t packet             # hash of what two copies of it share
    int64_t time


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
    cdef FragmentEntry* fragments
    cdef SightingEntry* sightings
    cdef int64_t idle_timeout
    cdef int64_t closed_timeout
    cdef int64_t active_timeout
    cdef int64_t sweep_interval
    cdef int64_t now            # latest time in this capture
    cdef int64_t swept          # when the last sweep began
    cdef uint32_t sweep_at      # record that the sweep goes on with
    cdef uint32_t sweep_end     # one past its last, 0: no sweep under way
    cdef uint64_t packets       # of this capture
    cdef Lookup keys[2][FRAME_BATCH]    # the batch that waits, and the one before
    cdef int waiting
    cdef int waiting_count
    cdef FlowRecord* ended      # rows that wait to be taken
    cdef size_t ended_count
    cdef size_t ended_capacity
    cdef uint32_t* order        # records in order of their first frame, if shuffled
    cdef uint32_t written       # records of the last capture already written
    cdef uint64_t row           # number of the next row
    cdef uint8_t seen_protocols[256]  # 1: there is a row of this protocol
    cdef bint out_of_memory

    cdef void add(self, const Packet* packets, int count) noexcept nogil
    cdef void add_some(self, const Packet* packets, int count) noexcept nogil
    cdef void flush(self) noexcept nogil
    cdef uint32_t add_tunnel(
        self, const Packet* packet, uint64_t hashed, bint swapped
    ) noexcept nogil
    cdef bint grow_tunnels(self) noexcept nogil
    cdef uint32_t begin(self, const Lookup* key, int originator) noexcept nogil
    cdef bint grow_index(self) noexcept nogil
    cdef bint add_segment(self) noexcept nogil
    cdef uint32_t place_of(self, uint32_t hash, uint32_t record) noexcept nogil
    cdef bint seen_elsewhere(self, const Lookup* key) noexcept nogil
    cdef void join_fragment(
        self, const Packet* packet, uint16_t* src_port, uint16_t* dst_port,
        uint64_t tunnel
    ) noexcept nogil
    cdef void count_quoted(self, const Packet* packet) noexcept nogil
    cdef RowWriter row_writer(
        self,
        const int32_t[::1] captures,
        const int32_t[::1] points,
        const int32_t[::1] protocols,
    )
    cdef void sweep(self) noexcept nogil
    cdef void end_record(self, uint32_t record) noexcept nogil
    cdef bint keep_ended(self, uint32_t record) noexcept nogil
    cdef bint sort_records(self) noexcept nogil
