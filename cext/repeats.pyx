"""Which of many keys occur more than once, and where first."""

cimport cython

from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import secrets

from analyzer._cext.arrays cimport Arrays, Values, is_known, u64_of
from cext.cursor cimport fold_multiply
from cext.memory cimport huge_malloc

cdef enum:
    PART_BITS = 12              # keys of a part, whose table the nearest cache holds
    MOST_PART_BITS = 10         # parts that are written at a time

cdef uint64_t MIX = 0xE7037ED1A0B428DB

cdef packed struct Entry:
    uint64_t key
    uint32_t row


cdef struct Slot:
    uint64_t key
    uint64_t row                # plus one; 0: empty


@cython.final
cdef class Repeats:
    """Find keys that several rows have.

    Parameters
    ----------
    rows : int
        Keys that there are; at most 2^32.

    Notes
    -----
    Keys are dealt out to parts that fit into the processor's cache.
    """

    cdef Py_ssize_t rows
    cdef int part_bits
    cdef uint64_t seed
    cdef Entry* entries
    cdef Py_ssize_t* ends       # of each part; before it is filled, where it begins
    cdef Slot* slots
    cdef size_t capacity

    def __cinit__(self, Py_ssize_t rows):
        self.rows = rows
        while self.part_bits < MOST_PART_BITS and rows >> (PART_BITS + self.part_bits):
            self.part_bits += 1
        self.seed = secrets.randbits(64)
        self.entries = <Entry*>huge_malloc((rows + 1) * sizeof(Entry))
        self.ends = <Py_ssize_t*>malloc(
            ((<size_t>1 << self.part_bits) + 1) * sizeof(Py_ssize_t)
        )
        if self.entries == NULL or self.ends == NULL or rows > UINT32_MAX:
            raise MemoryError

    def __dealloc__(self):
        free(self.entries)
        free(self.ends)
        free(self.slots)

    def mark(self, list keys, uint8_t[::1] marks):
        """Mark the rows whose keys others have, too.

        Parameters
        ----------
        keys : list of Arrays
            A column (u64) in parts; null is no key.
        marks : buffer of u8
            One octet per row: 1 is written where the key is repeated, others are left.
        """
        self.deal_out(keys, marks.shape[0])
        if self.rows:
            with nogil:
                self.find(&marks[0], NULL)

    def firsts(self, list keys, uint32_t[::1] firsts):
        """Find for each row the first one that has the same key.

        Parameters
        ----------
        keys : list of Arrays
            A column (u64) in parts; a row without a key is the only one of its kind.
        firsts : buffer of u32
            One per row.
        """
        cdef Py_ssize_t row
        self.deal_out(keys, firsts.shape[0])
        if self.rows:
            with nogil:
                for row in range(self.rows):
                    firsts[row] = <uint32_t>row
                self.find(NULL, &firsts[0])

    cdef int deal_out(self, list keys, Py_ssize_t asked) except -1:
        """Deal out all keys, and have room for the table of the largest part."""
        cdef Arrays part
        cdef Py_ssize_t rows = 0, most = 0
        cdef int at
        for part in keys:
            rows += part.rows
            if part.count != 1 or part.columns[0].width != sizeof(uint64_t):
                raise ValueError("one column (u64) is needed")
        if rows != self.rows or asked != rows:
            raise ValueError("keys and results must be as many as there are rows")
        memset(self.ends, 0, ((1 << self.part_bits) + 1) * sizeof(Py_ssize_t))
        for part in keys:
            with nogil:
                self.count(part.columns, part.rows)
        for at in range(1 << self.part_bits):
            most = max(most, self.ends[at + 1])
            self.ends[at + 1] += self.ends[at]
        rows = 0
        for part in keys:
            with nogil:
                self.deal(part.columns, part.rows, rows)
            rows += part.rows
        if self.capacity < table_size(most):
            free(self.slots)
            self.capacity = 0
            self.slots = <Slot*>huge_malloc(table_size(most) * sizeof(Slot))
            if self.slots == NULL:
                raise MemoryError
            self.capacity = table_size(most)
        return 0

    cdef void count(self, const Values* keys, Py_ssize_t rows) noexcept nogil:
        """Count the keys of each part, one place on."""
        cdef Py_ssize_t row, part
        for row in range(rows):
            if is_known(keys, row):
                part = part_of(u64_of(keys, row) ^ self.seed, self.part_bits)
                self.ends[part + 1] += 1

    cdef void deal(
        self, const Values* keys, Py_ssize_t rows, Py_ssize_t first
    ) noexcept nogil:
        """Deal out keys; each part's end moves on from where it begins."""
        cdef Py_ssize_t row, part
        cdef uint64_t key
        cdef Entry* entry
        for row in range(rows):
            if is_known(keys, row):
                key = u64_of(keys, row) ^ self.seed
                part = part_of(key, self.part_bits)
                entry = &self.entries[self.ends[part]]
                entry.key = key
                entry.row = <uint32_t>(first + row)
                self.ends[part] += 1

    cdef void find(self, uint8_t* marks, uint32_t* firsts) noexcept nogil:
        """Go through each part; give marks or first rows, whichever has a place."""
        cdef Py_ssize_t part, begin = 0, index
        cdef size_t at, mask
        cdef const Entry* entry
        cdef Slot* slots = self.slots
        for part in range(<Py_ssize_t>1 << self.part_bits):
            mask = table_size(self.ends[part] - begin) - 1
            memset(slots, 0, (mask + 1) * sizeof(Slot))
            for index in range(begin, self.ends[part]):
                entry = &self.entries[index]
                at = <size_t>fold_multiply(entry.key, MIX) & mask
                while slots[at].row and slots[at].key != entry.key:
                    at = (at + 1) & mask
                if not slots[at].row:
                    slots[at].key = entry.key
                    slots[at].row = <uint64_t>entry.row + 1
                elif marks != NULL:
                    marks[slots[at].row - 1] = marks[entry.row] = 1
                else:
                    firsts[entry.row] = <uint32_t>(slots[at].row - 1)
            begin = self.ends[part]


cdef inline size_t table_size(Py_ssize_t keys) noexcept nogil:
    cdef size_t slots = 64
    while slots < 2 * <size_t>keys:
        slots *= 2
    return slots


cdef inline Py_ssize_t part_of(uint64_t key, int bits) noexcept nogil:
    return <Py_ssize_t>(fold_multiply(key, MIX) >> 32 & ((1 << bits) - 1))


def add_up(list lists, const uint8_t[::1] marks, uint8_t[::1] sums):
    """Add the marks of each list's values.

    Parameters
    ----------
    lists : list of Arrays
        Offsets (i64) of lists, in parts that begin again with the first row when all
        have had their turn.
    marks : buffer of u8
        One octet per value, of all parts one behind the other.
    sums : buffer of u8
        One octet per row, to which the marks of its values are added.
    """
    cdef Arrays part
    cdef const int64_t* offsets
    cdef Py_ssize_t row = 0, index, at = 0, values = 0, _
    for part in lists:
        offsets = <const int64_t*>part.columns[0].data
        values += offsets[part.rows - 1] - offsets[0]
    if values != marks.shape[0]:
        raise ValueError("one octet per value is needed")
    for part in lists:
        offsets = <const int64_t*>part.columns[0].data
        if row == sums.shape[0]:
            row = 0
        if row + part.rows - 1 > sums.shape[0]:
            raise ValueError("one octet per row is needed")
        with nogil:
            for index in range(part.rows - 1):
                for _ in range(offsets[index + 1] - offsets[index]):
                    sums[row] += marks[at]
                    at += 1
                row += 1
