# Rows of equal numbers, one behind the other.

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

ctypedef bint (*Before)(const void* of, uint32_t one, uint32_t other) noexcept nogil

cdef enum:
    SHORT = 16                  # numbers that are sorted by insertion


cdef inline bint put_in_order(
    const uint32_t* groups, Py_ssize_t rows, uint32_t* order
) noexcept nogil:
    """Sort rows by the numbers of their groups; False if there is not enough memory."""
    cdef uint32_t most = 0
    cdef uint32_t* ends
    cdef Py_ssize_t row, group
    for row in range(rows):
        most = max(most, groups[row])
    # Until its rows are put there, where the rows of a group begin.
    ends = <uint32_t*>calloc(<size_t>most + 2, sizeof(uint32_t))
    if ends == NULL:
        return False
    for row in range(rows):
        ends[groups[row] + 1] += 1
    for group in range(most):
        ends[group + 1] += ends[group]
    for row in range(rows):
        order[ends[groups[row]]] = <uint32_t>row
        ends[groups[row]] += 1
    free(ends)
    return True


cdef inline void insert(
    uint32_t* numbers, Py_ssize_t count, Before comes_before, const void* of
) noexcept nogil:
    """Sort a few numbers."""
    cdef Py_ssize_t at, back
    cdef uint32_t number
    for at in range(1, count):
        number = numbers[at]
        back = at
        while back and comes_before(of, number, numbers[back - 1]):
            numbers[back] = numbers[back - 1]
            back -= 1
        numbers[back] = number


cdef inline void merge(
    uint32_t* numbers,
    uint32_t* spare,
    Py_ssize_t middle,
    Py_ssize_t count,
    Before comes_before,
    const void* of,
) noexcept nogil:
    """Sort numbers that are sorted up to the middle, and from there on."""
    cdef Py_ssize_t at, left = 0, right = middle
    for at in range(count):
        if left < middle and (
            right >= count or not comes_before(of, numbers[right], numbers[left])
        ):
            spare[at] = numbers[left]
            left += 1
        else:
            spare[at] = numbers[right]
            right += 1
    memcpy(numbers, spare, count * sizeof(uint32_t))


cdef inline void sort_numbers(
    uint32_t* numbers,
    uint32_t* spare,
    Py_ssize_t count,
    Before comes_before,
    const void* of,
) noexcept nogil:
    """Sort numbers by what they are numbers of; `spare` has room for as many.

    Equal ones stay in their order.
    """
    cdef Py_ssize_t first = 0, width = SHORT
    while first < count:
        insert(numbers + first, min(count - first, SHORT), comes_before, of)
        first += SHORT
    while width < count:
        first = 0
        while first + width < count:
            merge(
                numbers + first, spare, width, min(count - first, 2 * width),
                comes_before, of,
            )
            first += 2 * width
        width *= 2
