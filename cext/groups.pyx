"""What the rows of each group have in common."""

from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from analyzer._cext.arrays cimport Arrays, Values, is_known, u32_of

cdef enum:
    ONE_VALUE = 1
    SEVERAL_VALUES = 2

cdef struct Group:
    uint32_t value
    uint32_t values             # none is known, one or several


def ranges(Arrays rows, uint32_t[::1] least, uint32_t[::1] most):
    """Find the least and the greatest value of each group.

    Parameters
    ----------
    rows : Arrays
        The number of the row's group and its value (u32).
    least, most : buffer of u32
        One for each number that a group may have; where none has it, the least is
        above all values.
    """
    cdef const uint32_t* groups
    cdef const uint32_t* values
    cdef Py_ssize_t row
    if rows.count != 2 or least.shape[0] != most.shape[0]:
        raise ValueError("groups, values and two numbers per group are needed")
    groups = <const uint32_t*>rows.columns[0].data
    values = <const uint32_t*>rows.columns[1].data
    for row in range(least.shape[0]):
        least[row], most[row] = UINT32_MAX, 0
    for row in range(rows.rows):
        if groups[row] >= least.shape[0]:
            raise ValueError(f"group {groups[row]} of {least.shape[0]}")
        least[groups[row]] = min(least[groups[row]], values[row])
        most[groups[row]] = max(most[groups[row]], values[row])


def mark_unequal(Arrays rows, uint8_t[::1] marks):
    """Mark the rows of groups in which not all known values are equal.

    Parameters
    ----------
    rows : Arrays
        The number of the row's group and its value (u32), which may be null.
    marks : buffer of u8
        One octet per row: 1 is written where values differ, else 0.

    Returns
    -------
    int
        Rows that were marked.
    """
    cdef const Values* values
    cdef const uint32_t* groups
    cdef Py_ssize_t row, count = 0
    cdef size_t most = 0
    cdef Group* found
    cdef Group* group
    if rows.count != 2 or marks.shape[0] != rows.rows:
        raise ValueError("groups, values and an octet per row are needed")
    groups = <const uint32_t*>rows.columns[0].data
    values = &rows.columns[1]
    for row in range(rows.rows):
        most = max(most, groups[row])
    found = <Group*>calloc(most + 1, sizeof(Group))
    if found == NULL:
        raise MemoryError
    with nogil:
        for row in range(rows.rows):
            group = &found[groups[row]]
            if not is_known(values, row):
                continue
            if not group.values:
                group.values = ONE_VALUE
                group.value = u32_of(values, row)
            elif group.value != u32_of(values, row):
                group.values = SEVERAL_VALUES
        for row in range(rows.rows):
            marks[row] = found[groups[row]].values == SEVERAL_VALUES
            count += marks[row]
    free(found)
    return count
