"""What rows of one group have in common."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from analyzer._cext.arrays cimport Arrays, Values, is_known, u32_of

cdef enum:
    ONE_VALUE = 1
    SEVERAL_VALUES = 2


cdef struct Group:
    uint32_t value
    uint32_t values             # none is known, one or several


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
    cdef const uint32_t* numbers
    cdef Py_ssize_t row, count = 0
    cdef size_t most = 0
    cdef Group* groups
    cdef Group* group
    if rows.count != 2 or marks.shape[0] != rows.rows:
        raise ValueError("groups, values and an octet per row are needed")
    numbers = <const uint32_t*>rows.columns[0].data
    values = &rows.columns[1]
    for row in range(rows.rows):
        most = max(most, numbers[row])
    groups = <Group*>calloc(most + 1, sizeof(Group))
    if groups == NULL:
        raise MemoryError
    with nogil:
        for row in range(rows.rows):
            group = &groups[numbers[row]]
            if not is_known(values, row):
                continue
            if not group.values:
                group.values = ONE_VALUE
                group.value = u32_of(values, row)
            elif group.value != u32_of(values, row):
                group.values = SEVERAL_VALUES
        for row in range(rows.rows):
            marks[row] = groups[numbers[row]].values == SEVERAL_VALUES
            count += marks[row]
    free(groups)
    return count
