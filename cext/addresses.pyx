"""Every IP address that a run has met, numbered in order of appearance.

The numbers are the indices of the dictionary-encoded address columns.
"""

cimport cython

from libc.stdio cimport snprintf
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport strlen

import secrets

from cext.cursor cimport fold_multiply

cdef extern from "<arpa/inet.h>" nogil:
    enum:
        AF_INET
        AF_INET6
    const char* inet_ntop(int family, const void* source, char* text, unsigned int size)

cdef enum:
    FIRST_CAPACITY = 1024
    LONGEST_TEXT = 46           # INET6_ADDRSTRLEN

cdef uint64_t MIX = 0xE7037ED1A0B428DB


@cython.final
cdef class AddressTable:
    """Number addresses, and write them as text."""

    def __cinit__(self):
        self.capacity = FIRST_CAPACITY
        self.mask = 4 * FIRST_CAPACITY - 1
        self.entries = <AddressEntry*>malloc(self.capacity * sizeof(AddressEntry))
        self.slots = <uint32_t*>calloc(self.mask + 1, sizeof(uint32_t))
        if self.entries == NULL or self.slots == NULL:
            raise MemoryError
        # A capture made to collide under one seed does not under the next.
        self.seed = secrets.randbits(64) | 1

    def __dealloc__(self):
        free(self.entries)
        free(self.slots)

    def __len__(self):
        return self.count

    cdef uint32_t intern(
        self, uint64_t high, uint64_t low, uint32_t version
    ) noexcept nogil:
        """Give the number of an address, new or known."""
        cdef uint64_t hashed = fold_multiply(
            low ^ self.seed, high ^ MIX ^ <uint64_t>version << 56
        )
        cdef uint32_t at = <uint32_t>(hashed >> 7) & self.mask
        cdef AddressEntry* entry
        while self.slots[at]:
            entry = &self.entries[self.slots[at] - 1]
            if entry.low == low and entry.high == high and entry.version == version:
                return self.slots[at] - 1
            at = (at + 1) & self.mask
        if self.count == self.capacity:
            if not self.grow():
                return 0
            return self.intern(high, low, version)
        entry = &self.entries[self.count]
        entry.high = high
        entry.low = low
        entry.version = version
        self.count += 1
        self.slots[at] = self.count
        return self.count - 1

    cdef bint grow(self) noexcept nogil:
        """Double the table; a quarter of the slots is used afterwards at most."""
        cdef AddressEntry* entries
        cdef AddressEntry* entry
        cdef uint32_t* slots
        cdef uint32_t index, at
        cdef uint64_t hashed
        entries = <AddressEntry*>realloc(
            self.entries, 2 * <size_t>self.capacity * sizeof(AddressEntry)
        )
        if entries != NULL:
            self.entries = entries
        slots = <uint32_t*>calloc(8 * <size_t>self.capacity, sizeof(uint32_t))
        if entries == NULL or slots == NULL or self.capacity >= 1 << 28:
            free(slots)
            self.out_of_memory = True
            return False
        self.capacity *= 2
        self.mask = 4 * self.capacity - 1
        for index in range(self.count):
            entry = &entries[index]
            hashed = fold_multiply(
                entry.low ^ self.seed,
                entry.high ^ MIX ^ <uint64_t>entry.version << 56,
            )
            at = <uint32_t>(hashed >> 7) & self.mask
            while slots[at]:
                at = (at + 1) & self.mask
            slots[at] = index + 1
        free(self.slots)
        self.slots = slots
        return True

    def texts(self):
        """Write all addresses as text, in order of their numbers.

        Returns
        -------
        offsets : bytearray
            int32, one more than there are addresses.
        data : bytearray
            The texts (ASCII) one behind the other; IPv6 as RFC 5952 has it.
        """
        cdef bytearray offsets = bytearray(4 * (<size_t>self.count + 1))
        cdef bytearray data = bytearray(LONGEST_TEXT * <size_t>self.count)
        cdef int32_t* offset = <int32_t*><char*>offsets
        cdef char* out = data
        cdef size_t used = 0
        cdef uint32_t index
        if data.__len__() > 0x7FFFFFFF:
            raise OverflowError(f"{self.count} addresses are too many for one table")
        with nogil:
            offset[0] = 0
            for index in range(self.count):
                used += write_address(&self.entries[index], out + used)
                offset[index + 1] = <int32_t>used
        del data[used:]
        return offsets, data


cdef inline size_t write_address(const AddressEntry* entry, char* out) noexcept nogil:
    cdef uint8_t octets[16]
    cdef int index
    if entry.version == 4:
        for index in range(4):
            octets[index] = <uint8_t>(entry.low >> (24 - 8 * index))
        inet_ntop(AF_INET, octets, out, LONGEST_TEXT)
        return strlen(out)
    # glibc writes the last 32 bits of ::/96 like an IPv4 address, RFC 5952 does not.
    if entry.high == 0 and entry.low >> 32 == 0 and entry.low >> 16:
        return snprintf(
            out,
            LONGEST_TEXT,
            b"::%x:%x",
            <unsigned int>(entry.low >> 16),
            <unsigned int>(entry.low & 0xFFFF),
        )
    for index in range(8):
        octets[index] = <uint8_t>(entry.high >> (56 - 8 * index))
        octets[8 + index] = <uint8_t>(entry.low >> (56 - 8 * index))
    inet_ntop(AF_INET6, octets, out, LONGEST_TEXT)
    return strlen(out)
