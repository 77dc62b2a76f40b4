"""Groups of sightings with the same initial sequence numbers that may be several's."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from analyzer._cext.arrays cimport Arrays, Values, bool_of, u64_of
from cext.grouped cimport put_in_order, sort_numbers

# Columns of sightings.
cdef enum:
    LANE
    ENDS
    IS_SMALL
    COLUMNS


def mark_doubts(
    Arrays sightings,
    Arrays firsts,
    Py_ssize_t most_tuples,
    uint8_t[::1] doubted,
    uint8_t[::1] small,
):
    """Mark the sightings of groups that cannot be one connection, or need not be.

    Parameters
    ----------
    sightings : Arrays
        ``lane``, ``ends`` (u64), and whether a sequence number is so small that others
        have it, too (bool).
    firsts : Arrays
        One column (u32): the first row of the same group.
    most_tuples : int
        Ends that one connection has.
    doubted : buffer of u8
        One octet per row: 1 is written where a group has one lane twice, or more ends.
    small : buffer of u8
        One octet per row: 1 is written where a number of the group is small and its
        rows are several.
    """
    cdef const uint32_t* groups
    cdef Py_ssize_t rows = sightings.rows, first = 0, last, at
    cdef uint32_t* order
    cdef uint32_t* spare
    cdef bint is_doubted, is_small, is_enough
    if sightings.count != COLUMNS or firsts.rows != rows:
        raise ValueError("columns of sightings or their groups are missing")
    if doubted.shape[0] != rows or small.shape[0] != rows:
        raise ValueError("two octets per row are needed")
    groups = <const uint32_t*>firsts.columns[0].data
    order = <uint32_t*>malloc((rows + 1) * sizeof(uint32_t))
    spare = <uint32_t*>malloc((rows + 1) * sizeof(uint32_t))
    is_enough = order != NULL and spare != NULL and put_in_order(groups, rows, order)
    if is_enough:
        with nogil:
            while first < rows:
                last = first + 1
                while last < rows and groups[order[last]] == groups[order[first]]:
                    last += 1
                is_doubted = is_small = False
                if last > first + 1:
                    is_small = any_small(
                        &sightings.columns[IS_SMALL], order + first, last - first
                    )
                    is_doubted = (
                        distinct(
                            &sightings.columns[LANE], order + first, spare, last - first
                        )
                        < last - first
                        or distinct(
                            &sightings.columns[ENDS], order + first, spare, last - first
                        )
                        > most_tuples
                    )
                for at in range(first, last):
                    doubted[order[at]] = is_doubted
                    small[order[at]] = is_small
                first = last
    free(order)
    free(spare)
    if not is_enough:
        raise MemoryError


cdef inline bint any_small(
    const Values* is_small, const uint32_t* rows, Py_ssize_t count
) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(count):
        if bool_of(is_small, rows[at]):
            return True
    return False


cdef inline Py_ssize_t distinct(
    const Values* values, uint32_t* rows, uint32_t* spare, Py_ssize_t count
) noexcept nogil:
    """Count different values; rows are sorted by them."""
    cdef Py_ssize_t at, found = 1
    sort_numbers(rows, spare, count, is_less, values)
    for at in range(1, count):
        found += u64_of(values, rows[at]) != u64_of(values, rows[at - 1])
    return found


cdef bint is_less(const void* of, uint32_t one, uint32_t other) noexcept nogil:
    cdef const Values* values = <const Values*>of
    return u64_of(values, one) < u64_of(values, other)
