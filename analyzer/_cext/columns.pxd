cimport cython
from libc.stdint cimport (
    UINT32_MAX,
    int32_t,
    uint8_t,
    uint16_t,
    uint32_t,
    uint64_t,
)
from libc.string cimport memcpy


@cython.final
cdef class Columns:
    cdef int count
    cdef readonly Py_ssize_t rows
    cdef void** data            # NULL: the column is not asked for
    cdef uint8_t* widths        # octets of data per row, 0 for booleans
    cdef Py_ssize_t* sizes      # octets of data
    cdef uint8_t** validity
    cdef Py_ssize_t* validity_sizes
    cdef int32_t** offsets      # of lists and texts
    cdef list views
    cdef Py_buffer* buffers
    cdef int buffer_count

    cdef void* address_of(self, object owner) except? NULL
    cdef void clear(self, Py_ssize_t coming) noexcept nogil
    cdef void forget(self, int column) noexcept nogil


# A row's value in a column. Null values are written as 0, so that equal tables are
# equal octet for octet.

cdef inline void set_null(
    Columns columns, int column, Py_ssize_t row
) noexcept nogil:
    columns.validity[column][row >> 3] &= ~(<uint8_t>1 << (row & 7))


cdef inline void copy_values(
    void* data, int width, Py_ssize_t first, const uint64_t* values, int count
) noexcept nogil:
    """Copy values into a column of unsigned or signed integers, from row `first` on."""
    cdef int index
    if width == 8:
        memcpy(<uint64_t*>data + first, values, count * sizeof(uint64_t))
    elif width == 4:
        for index in range(count):
            (<uint32_t*>data)[first + index] = <uint32_t>values[index]
    elif width == 2:
        for index in range(count):
            (<uint16_t*>data)[first + index] = <uint16_t>values[index]
    else:
        for index in range(count):
            (<uint8_t*>data)[first + index] = <uint8_t>values[index]


cdef inline void transpose_bits(uint64_t* words) noexcept nogil:
    """Swap rows and columns of 64 words: bit i of word j becomes bit j of word i."""
    cdef int apart = 32, at
    cdef uint64_t mask = UINT32_MAX, moved
    while apart:
        at = 0
        while at < 64:
            moved = (words[at] >> apart ^ words[at + apart]) & mask
            words[at] ^= moved << apart
            words[at + apart] ^= moved
            at = (at + apart + 1) & ~apart
        apart >>= 1
        mask ^= mask << apart


cdef inline void put_u8(
    Columns columns, int column, Py_ssize_t row, uint8_t value, bint known
) noexcept nogil:
    if columns.data[column] == NULL:
        return
    (<uint8_t*>columns.data[column])[row] = value if known else 0
    if not known:
        set_null(columns, column, row)


cdef inline void put_u16(
    Columns columns, int column, Py_ssize_t row, uint16_t value, bint known
) noexcept nogil:
    if columns.data[column] == NULL:
        return
    (<uint16_t*>columns.data[column])[row] = value if known else 0
    if not known:
        set_null(columns, column, row)


cdef inline void put_u32(
    Columns columns, int column, Py_ssize_t row, uint32_t value, bint known
) noexcept nogil:
    if columns.data[column] == NULL:
        return
    (<uint32_t*>columns.data[column])[row] = value if known else 0
    if not known:
        set_null(columns, column, row)


cdef inline void put_u64(
    Columns columns, int column, Py_ssize_t row, uint64_t value, bint known
) noexcept nogil:
    if columns.data[column] == NULL:
        return
    (<uint64_t*>columns.data[column])[row] = value if known else 0
    if not known:
        set_null(columns, column, row)


cdef inline void put_bit(
    Columns columns, int column, Py_ssize_t row, bint value, bint known
) noexcept nogil:
    cdef uint8_t* octet = <uint8_t*>columns.data[column] + (row >> 3)
    cdef uint8_t bit = <uint8_t>1 << (row & 7)
    if columns.data[column] == NULL:
        return
    octet[0] = octet[0] | bit if value and known else octet[0] & ~bit
    if not known:
        set_null(columns, column, row)
