cimport cython
from libc.stdint cimport int32_t, uint64_t

from analyzer._cext.addresses cimport AddressTable
from analyzer._cext.columns cimport Columns
from cext.packet cimport Packet


@cython.final
cdef class PacketRows:
    cdef AddressTable addresses
    cdef Columns columns
    cdef readonly Py_ssize_t count
    cdef int32_t protocols[256]     # dictionary index, -1: not met yet
    cdef list protocol_list
    cdef uint64_t left              # rows that are still wanted

    cdef bint full(self, int coming) noexcept nogil
    cdef void add(self, const Packet* packets, int count) noexcept nogil
    cdef int32_t protocol_index(self, int protocol) noexcept nogil
