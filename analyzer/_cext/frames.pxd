cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from cext.packet cimport Packet


cdef struct InterfaceState:
    uint32_t link_type
    uint32_t snapshot_length
    uint64_t ticks_per_second   # 0: the resolution is a power of two
    uint32_t shift              # ticks per second = 2 ** shift
    int64_t offset              # seconds to add (if_tsoffset)


@cython.final
cdef class Piece:
    cdef uint8_t* buffer
    cdef size_t capacity


@cython.final
cdef class FrameReader:
    cdef uint8_t* buffer
    cdef size_t capacity
    cdef size_t start           # first octet not yet consumed
    cdef size_t end             # one past the last octet read
    cdef size_t needed          # octets that the current block asks for
    cdef int descriptor         # of the file that `fill` reads
    cdef size_t piece           # octets to read at a time
    cdef size_t left            # octets to read before the interpreter's turn
    cdef uint64_t taken         # octets read from the file
    cdef uint64_t skip          # octets of a long block still to pass over
    cdef uint64_t consumed      # octets of the capture before `start`
    cdef int file_format
    cdef bint swapped           # not in the byte order of this machine
    cdef bint nanoseconds
    cdef bint stopped
    cdef int64_t window         # nanoseconds that a window is long, 0: there is none
    cdef int64_t until          # end of the window, NO_TIME before its first frame
    cdef readonly bint window_full
    cdef bint looking           # for the next frame, which is not to be taken
    cdef bint seen              # it was found,
    cdef int64_t seen_time      # and this is its time
    cdef bint out_of_memory
    cdef InterfaceState* states
    cdef uint32_t interface_count
    cdef uint32_t interface_capacity
    cdef uint32_t section_base  # index of the section's first interface
    cdef uint32_t sections
    cdef int problem            # of the last damage seen in compiled code
    cdef uint64_t problem_value
    cdef readonly uint64_t frames
    cdef list details           # per interface: name, received, dropped
    cdef list damage_list

    cdef bint make_room(self) noexcept nogil
    cdef bint exchange(self, uint8_t** buffer, size_t* capacity) noexcept nogil
    cdef Py_ssize_t refill(self) noexcept nogil
    cdef bint is_beyond(self, int64_t time) noexcept nogil
    cdef int next(self, Packet* packets, int room) noexcept nogil
    cdef int next_pcap(self, Packet* packets, int room) noexcept nogil
    cdef int next_pcapng(self, Packet* packets, int room) noexcept nogil
    cdef void read_file_header(self) noexcept nogil
    cdef bint fill_frame(
        self, Packet* packet, const uint8_t* body, uint32_t length, uint32_t kind
    ) noexcept nogil
    cdef void section_header(self, const uint8_t* body, uint32_t length) noexcept nogil
    cdef int add_interface(
        self, uint32_t link_type, uint32_t snapshot_length
    ) noexcept nogil
    cdef void describe_interface(
        self, const uint8_t* body, uint32_t length
    ) noexcept nogil
    cdef void interface_statistics(
        self, const uint8_t* body, uint32_t length
    ) noexcept nogil
    cdef void damage(self, int problem, uint64_t value, bint stop) noexcept nogil
    cdef uint16_t u16(self, const void* octets) noexcept nogil
    cdef uint32_t u32(self, const void* octets) noexcept nogil
    cdef uint64_t u64(self, const void* octets) noexcept nogil
