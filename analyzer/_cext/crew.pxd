cimport cython
from libc.stdint cimport uint8_t, uint64_t

from analyzer._cext.decode cimport Decoder
from analyzer._cext.flows cimport FlowTable
from analyzer._cext.frames cimport FrameReader
from analyzer._cext.order cimport PacketOrder, Sweep
from analyzer._cext.packets cimport PacketRows
from cext.packet cimport Packet

cdef enum:
    MOST_SHARDS = 250


cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass


cdef struct Chunk:
    uint8_t* buffer             # that the packets' data is in
    size_t capacity
    Packet* packets
    uint8_t* shards             # per packet: of its flow
    uint8_t* quoted             # per packet: of the flow of the packet that it quotes
    int count
    bint fragments              # there are some among the packets
    bint quotes
    Sweep sweep
    uint64_t decoded            # 1: by now


@cython.final
cdef class Crew:
    cdef PacketOrder order
    cdef PacketRows rows
    cdef int shards
    cdef Chunk* chunks          # a ring
    cdef uint64_t chunk_count
    cdef uint64_t* accounted    # per shard: chunks that it is done with
    # Chunks are counted over all captures. Each of these is at most the one before.
    cdef uint64_t read
    cdef uint64_t claimed       # by who decodes them
    cdef uint64_t ordered
    cdef uint64_t ordering      # 1: a thread is putting chunks in order
    cdef uint64_t ended         # rows that wait in the flow tables
    cdef uint64_t promised      # packets read since rows were taken
    cdef uint64_t news          # changes with all that threads may wait for
    cdef uint64_t asleep        # threads that wait for news
    cdef uint64_t stopped
    cdef uint64_t seed
    cdef bint out_of_memory
    cdef pthread_mutex_t mutex
    cdef pthread_cond_t cond

    cdef bint has_room(self) noexcept nogil
    cdef bint take_chunk(self, FrameReader reader) noexcept nogil
    cdef bint turn(self, int me, Decoder decoder, FlowTable table) noexcept nogil
    cdef bint decode(self, Decoder decoder) noexcept nogil
    cdef bint put_in_order(self) noexcept nogil
    cdef bint next_is_decoded(self) noexcept nogil
    cdef void arrange(self, Chunk* chunk) noexcept nogil
    cdef bint account(self, int me, FlowTable table) noexcept nogil
    cdef bint at_rest(self) noexcept nogil
    cdef void tell(self) noexcept nogil
    cdef void rest(self, uint64_t news) noexcept nogil
