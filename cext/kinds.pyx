"""Which connections are of one kind: alike in all that their names depend on."""

cimport cython

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import secrets

from analyzer._cext.arrays cimport Arrays, Values, is_known, u64_of, value_of
from cext.cursor cimport fold_multiply

cdef enum:
    FIRST_SLOTS = 1024
    PORT_BITS = 16

# Columns of connections, before those of which all count.
cdef enum:
    CLIENT
    DESTINATION
    SOURCE
    BACKEND
    START
    OTHERS

# Columns of addresses, by their codes.
cdef enum:
    WHOSE
    WHO

cdef uint64_t MIX = 0xE7037ED1A0B428DB


cdef struct Slot:
    uint64_t key
    uint64_t number             # plus one; 0: empty


@cython.final
cdef class Kinds:
    """Number kinds of connections, in the order in which they appear.

    Parameters
    ----------
    addresses : Arrays
        One row per code of an address: ``whose`` (u64, equal for addresses about which
        the same is known, but for the name) and ``who`` (u64, another for every name).
    told : Arrays
        One column: ends (u64, code and port) of which more is known than of others.
    edges : Arrays
        One column, sorted: times (i64) between which it does not matter when it was.
    """

    cdef Arrays addresses
    cdef Arrays edges
    cdef Slot* told
    cdef size_t told_mask       # 0: none are
    cdef Slot* slots
    cdef size_t mask
    cdef readonly Py_ssize_t count
    cdef uint64_t seed

    def __cinit__(self, Arrays addresses, Arrays told, Arrays edges):
        cdef size_t capacity = 2
        cdef Py_ssize_t row
        cdef Slot* slot
        self.addresses = addresses
        self.edges = edges
        self.seed = secrets.randbits(64) | 1
        while capacity < 2 * <size_t>told.rows:
            capacity *= 2
        self.told = <Slot*>calloc(capacity, sizeof(Slot))
        self.slots = <Slot*>calloc(FIRST_SLOTS, sizeof(Slot))
        if self.told == NULL or self.slots == NULL:
            raise MemoryError
        self.mask = FIRST_SLOTS - 1
        if told.rows:
            self.told_mask = capacity - 1
        for row in range(told.rows):
            slot = self.find(
                self.told, self.told_mask, u64_of(&told.columns[0], row)
            )
            slot.key = u64_of(&told.columns[0], row)
            slot.number = 1

    def __dealloc__(self):
        free(self.told)
        free(self.slots)

    def number(self, Arrays connections, uint32_t[::1] numbers):
        """Write the number of each connection's kind.

        Parameters
        ----------
        connections : Arrays
            ``client``, ``destination``, ``source`` and ``backend`` (u64, code of the
            address and port), ``start`` (i64), and any other columns all of whose
            values make a difference.
        numbers : buffer of u32
            One per row.

        Returns
        -------
        list of int
            The first row of each kind that was not there before.
        """
        cdef Py_ssize_t row, rows = connections.rows
        cdef uint64_t key
        cdef Slot* slot
        cdef bint is_new
        firsts = []
        if numbers.shape[0] != rows or connections.count < OTHERS:
            raise ValueError("five columns and a number per row are needed")
        row = 0
        while row < rows:
            with nogil:
                is_new = False
                while row < rows and not is_new:
                    key = self.key_of(connections, row)
                    slot = self.find(self.slots, self.mask, key)
                    is_new = slot.number == 0
                    if is_new:
                        self.count += 1
                        slot.key = key
                        slot.number = self.count
                    numbers[row] = <uint32_t>(slot.number - 1)
                    row += 1
            if is_new:
                firsts.append(row - 1)
                if 2 * <size_t>self.count > self.mask:
                    self.grow()
        return firsts

    cdef Slot* find(self, Slot* slots, size_t mask, uint64_t key) noexcept nogil:
        """Give the slot of a key, or the empty one where it belongs."""
        cdef size_t at = <size_t>fold_multiply(key ^ self.seed, MIX) & mask
        while slots[at].number and slots[at].key != key:
            at = (at + 1) & mask
        return &slots[at]

    cdef int grow(self) except -1:
        cdef size_t at, mask = 2 * self.mask + 1
        cdef Slot* slots = <Slot*>calloc(mask + 1, sizeof(Slot))
        if slots == NULL:
            raise MemoryError
        for at in range(self.mask + 1):
            if self.slots[at].number:
                self.find(slots, mask, self.slots[at].key)[0] = self.slots[at]
        free(self.slots)
        self.slots = slots
        self.mask = mask
        return 0

    cdef uint64_t key_of(self, Arrays connections, Py_ssize_t row) noexcept nogil:
        """Hash all that makes a difference."""
        cdef const Values* columns = connections.columns
        cdef uint64_t client = u64_of(&columns[CLIENT], row)
        cdef uint64_t destination = u64_of(&columns[DESTINATION], row)
        cdef uint64_t source = u64_of(&columns[SOURCE], row)
        cdef uint64_t backend = u64_of(&columns[BACKEND], row)
        cdef uint64_t key = self.seed
        cdef int column
        key = self.mixed(key, self.about(client, WHOSE))
        key = self.mixed(key, self.about(source, WHOSE))
        key = self.mixed(key, self.whom(destination))
        key = self.mixed(key, self.whom(backend))
        key = self.mixed(
            key, (client != source) + 2 * (destination != backend)
        )
        key = self.mixed(key, self.moment(&columns[START], row))
        for column in range(OTHERS, connections.count):
            if is_known(&columns[column], row):
                key = self.mixed(key, value_of(&columns[column], row) + 1)
            else:
                key = self.mixed(key, 0)
        return key

    cdef uint64_t mixed(self, uint64_t key, uint64_t value) noexcept nogil:
        return fold_multiply(key ^ value, MIX ^ self.seed)

    cdef uint64_t about(self, uint64_t end, int column) noexcept nogil:
        return u64_of(&self.addresses.columns[column], end >> PORT_BITS)

    cdef uint64_t whom(self, uint64_t end) noexcept nogil:
        """Tell ends apart as far as anything is known of them."""
        if self.told_mask and self.find(self.told, self.told_mask, end).number:
            return end
        return self.about(end, WHO)

    cdef uint64_t moment(self, const Values* start, Py_ssize_t row) noexcept nogil:
        """Count the edges that came before."""
        cdef const int64_t* edges = <const int64_t*>self.edges.columns[0].data
        cdef int64_t time = <int64_t>u64_of(start, row)
        cdef Py_ssize_t low = 0, high = self.edges.rows, middle
        if not is_known(start, row):
            return 0
        while low < high:
            middle = (low + high) // 2
            if edges[middle] <= time:
                low = middle + 1
            else:
                high = middle
        return low
