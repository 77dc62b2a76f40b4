cimport cython
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from analyzer._cext.addresses cimport AddressEntry, AddressTable
from analyzer._cext.flows cimport EndedFlow
from cext.flow_columns cimport RowWriter
from cext.record cimport FlowCold, FlowHead, FlowHot, FlowRecord, FlowTail, TunnelEntry


cdef struct Shard:              # what a flow table holds
    FlowHot** hot
    FlowCold** cold
    FlowTail** tails
    uint32_t used
    bint shuffled
    const AddressEntry* addresses
    const TunnelEntry* tunnels
    uint32_t tunnel_count
    const EndedFlow* ended
    size_t ended_count
    uint32_t* tunnel_numbers    # per tunnel of the table: number in the run, 0: none
    uint32_t numbered           # tunnels that there is room for


cdef struct Place:
    uint32_t shard
    uint32_t record


@cython.final
cdef class FlowRows:
    cdef AddressTable addresses
    cdef tuple tables
    cdef Shard* shards
    cdef uint32_t shard_count
    cdef TunnelEntry* tunnels   # of the run
    cdef uint32_t tunnel_count
    cdef uint32_t tunnel_capacity
    cdef Place* order           # of the rows that are left, by first frame
    cdef readonly size_t left   # rows of the capture that were open at its end
    cdef uint64_t taken         # rows taken in all
    cdef uint8_t seen_protocols[256]    # 1: there is a row of this protocol
    cdef bint out_of_memory

    cdef void look(self)
    cdef bint sort_left(self) noexcept nogil
    cdef void number(self, uint32_t shard, FlowHead* head) noexcept nogil
    cdef uint32_t number_tunnel(
        self, uint32_t shard, uint32_t local, int first
    ) noexcept nogil
    cdef RowWriter row_writer(
        self,
        uint64_t first,
        const int32_t[::1] captures,
        const int32_t[::1] points,
        const int32_t[::1] protocols,
    )
