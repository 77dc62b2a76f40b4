cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef struct Values:
    const void* data            # of the first row; NULL: there is none
    const uint8_t* validity     # a bitmap; NULL: every value is known
    Py_ssize_t bit              # of the first row in a bitmap
    int width                   # octets of a value; 0: a bit


@cython.final
cdef class Arrays:
    cdef Values* columns
    cdef int count
    cdef Py_ssize_t rows
    cdef Py_buffer* buffers
    cdef int buffer_count

    cdef const void* address_of(self, object owner) except? NULL


# A row's value in a column.

cdef inline bint bit_of(
    const void* bitmap, Py_ssize_t first, Py_ssize_t row
) noexcept nogil:
    row += first
    return (<const uint8_t*>bitmap)[row >> 3] >> (row & 7) & 1


cdef inline bint is_known(const Values* values, Py_ssize_t row) noexcept nogil:
    return values.validity == NULL or bit_of(values.validity, values.bit, row)


cdef inline bint bool_of(const Values* values, Py_ssize_t row) noexcept nogil:
    return bit_of(values.data, values.bit, row)


cdef inline uint8_t u8_of(const Values* values, Py_ssize_t row) noexcept nogil:
    return (<const uint8_t*>values.data)[row]


cdef inline uint16_t u16_of(const Values* values, Py_ssize_t row) noexcept nogil:
    return (<const uint16_t*>values.data)[row]


cdef inline uint32_t u32_of(const Values* values, Py_ssize_t row) noexcept nogil:
    return (<const uint32_t*>values.data)[row]


cdef inline uint64_t u64_of(const Values* values, Py_ssize_t row) noexcept nogil:
    return (<const uint64_t*>values.data)[row]


cdef inline uint64_t value_of(const Values* values, Py_ssize_t row) noexcept nogil:
    """Give a number of any width."""
    if values.width == 8:
        return u64_of(values, row)
    if values.width == 4:
        return u32_of(values, row)
    if values.width == 2:
        return u16_of(values, row)
    if values.width == 1:
        return u8_of(values, row)
    return bool_of(values, row)
