# Sightings in path order: which are of one connection, and which of one place.

from libc.stdint cimport int64_t, uint32_t

from analyzer._cext.arrays cimport Values, bool_of, is_known, u32_of

# The first columns of what is in path order.
cdef enum:
    GROUP
    LEG
    POINT                       # a code
    IS_TUNNELED
    CLIENT_OUTER
    MORE_COLUMNS


cdef inline Py_ssize_t end_of_group(
    const Values* seen, Py_ssize_t rows, Py_ssize_t first
) noexcept nogil:
    """Find the row behind the last of a connection."""
    cdef uint32_t group = u32_of(&seen[GROUP], first)
    cdef Py_ssize_t last = first + 1
    while last < rows and u32_of(&seen[GROUP], last) == group:
        last += 1
    return last


cdef inline Py_ssize_t most_of_a_group(
    const Values* seen, Py_ssize_t rows
) noexcept nogil:
    """Give the number of rows of the largest connection."""
    cdef Py_ssize_t first = 0, last, most = 0
    while first < rows:
        last = end_of_group(seen, rows, first)
        most = max(most, last - first)
        first = last
    return most


cdef inline int64_t compare_places(
    const Values* seen, Py_ssize_t one, Py_ssize_t other
) noexcept nogil:
    """Give 0 for one place on a path, by whatever captures, else what is not 0.

    It is below 0 for one of two places, and above for the other.
    """
    cdef const Values* outer = &seen[CLIENT_OUTER]
    cdef int64_t order = <int64_t>u32_of(&seen[LEG], one) - u32_of(&seen[LEG], other)
    if not order:
        order = <int64_t>u32_of(&seen[POINT], one) - u32_of(&seen[POINT], other)
    if not order:
        order = bool_of(&seen[IS_TUNNELED], one) - bool_of(&seen[IS_TUNNELED], other)
    if not order:
        order = is_known(outer, one) - is_known(outer, other)
    if not order and is_known(outer, one):
        order = <int64_t>u32_of(outer, one) - u32_of(outer, other)
    return order
