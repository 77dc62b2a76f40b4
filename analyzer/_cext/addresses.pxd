cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef struct AddressEntry:
    uint64_t high
    uint64_t low
    uint32_t version


@cython.final
cdef class AddressTable:
    cdef AddressEntry* entries
    cdef uint32_t count
    cdef uint32_t capacity
    cdef uint32_t* slots        # number of an entry plus one, 0: empty
    cdef uint32_t mask
    cdef uint64_t seed
    cdef bint out_of_memory

    cdef uint32_t intern(
        self, uint64_t high, uint64_t low, uint32_t version
    ) noexcept nogil
    cdef bint grow(self) noexcept nogil
