"""Which connections are of one kind: alike in all that their names depend on."""

cimport cython

from libc.stdint cimport int64_t, uint32_t, uint64_t

import secrets

from analyzer._cext.arrays cimport (
    Arrays,
    Values,
    bool_of,
    is_known,
    u64_of,
    value_of,
)
from cext.cursor cimport fold_multiply
from cext.keymap cimport (
    KeyMap,
    KeySlot,
    close_keys,
    number_of,
    open_keys,
    set_number,
    slot_for,
)

cdef enum:
    PORT_BITS = 16
    MOST_OTHERS = 32            # columns whose bits, with nulls, fit into a number

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
    cdef KeyMap told
    cdef KeyMap kinds
    cdef readonly Py_ssize_t count
    cdef uint64_t seed

    def __cinit__(self, Arrays addresses, Arrays told, Arrays edges):
        cdef Py_ssize_t row
        self.addresses = addresses
        self.edges = edges
        self.seed = secrets.randbits(64) | 1
        if not open_keys(&self.told, self.seed) or not open_keys(
            &self.kinds, self.seed
        ):
            raise MemoryError
        for row in range(told.rows):
            if not set_number(&self.told, u64_of(&told.columns[0], row), 1):
                raise MemoryError

    def __dealloc__(self):
        close_keys(&self.told)
        close_keys(&self.kinds)

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
        cdef KeySlot* slot
        firsts = []
        if numbers.shape[0] != rows or connections.count < OTHERS:
            raise ValueError("five columns and a number per row are needed")
        if connections.count - OTHERS > MOST_OTHERS:
            raise ValueError(f"at most {MOST_OTHERS} other columns make a difference")
        for row in range(rows):
            slot = slot_for(&self.kinds, self.key_of(connections, row))
            if slot == NULL:
                raise MemoryError
            if slot.number == 0:
                self.count += 1
                slot.number = self.count
                firsts.append(row)
            numbers[row] = <uint32_t>(slot.number - 1)
        return firsts

    cdef uint64_t key_of(self, Arrays connections, Py_ssize_t row) noexcept nogil:
        """Hash all that makes a difference."""
        cdef const Values* columns = connections.columns
        cdef uint64_t client = u64_of(&columns[CLIENT], row)
        cdef uint64_t destination = u64_of(&columns[DESTINATION], row)
        cdef uint64_t source = u64_of(&columns[SOURCE], row)
        cdef uint64_t backend = u64_of(&columns[BACKEND], row)
        cdef uint64_t key = self.seed
        cdef uint64_t bits = (client != source) + 2 * (destination != backend)
        cdef int column
        key = self.mixed(key, self.about(client, WHOSE))
        key = self.mixed(key, self.about(source, WHOSE))
        key = self.mixed(key, self.whom(destination))
        key = self.mixed(key, self.whom(backend))
        key = self.mixed(key, self.moment(&columns[START], row))
        for column in range(OTHERS, connections.count):
            if columns[column].width == 0:
                bits = 3 * bits
                if is_known(&columns[column], row):
                    bits += 1 + bool_of(&columns[column], row)
            elif is_known(&columns[column], row):
                key = self.mixed(key, value_of(&columns[column], row) + 1)
            else:
                key = self.mixed(key, 0)
        return self.mixed(key, bits)

    cdef uint64_t mixed(self, uint64_t key, uint64_t value) noexcept nogil:
        return fold_multiply(key ^ value, MIX ^ self.seed)

    cdef uint64_t about(self, uint64_t end, int column) noexcept nogil:
        return u64_of(&self.addresses.columns[column], end >> PORT_BITS)

    cdef uint64_t whom(self, uint64_t end) noexcept nogil:
        """Tell ends apart as far as anything is known of them."""
        if number_of(&self.told, end):
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
