"""Which rows are of one group, and what those have in common."""

from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import secrets

from analyzer._cext.arrays cimport Arrays, Values, is_known, u32_of, u64_of
from cext.cursor cimport fold_multiply
from cext.memory cimport huge_malloc

cdef enum:
    PART_BITS = 12              # keys of a part, whose table the nearest cache holds
    MOST_PART_BITS = 10         # parts that are written at a time
    ONE_VALUE = 1
    SEVERAL_VALUES = 2

cdef uint64_t MIX = 0xE7037ED1A0B428DB

cdef packed struct Entry:
    uint64_t key
    uint32_t row


cdef struct Slot:
    uint64_t key
    uint64_t first              # row plus one; 0: empty


cdef struct Group:
    uint32_t value
    uint32_t values             # none is known, one or several


def first_rows(Arrays keys, uint32_t[::1] firsts):
    """Find for each row the first one that has the same key.

    Parameters
    ----------
    keys : Arrays
        One column (u64); a row whose key is null has no other's.
    firsts : buffer of u32
        One per row.

    Returns
    -------
    int
        Rows that are not the first of their key.

    Notes
    -----
    Keys are dealt out to parts that fit into the processor's cache.
    """
    cdef Py_ssize_t rows = keys.rows, count = -1
    cdef uint64_t seed = secrets.randbits(64)
    cdef int bits = 0
    cdef Entry* entries
    cdef Py_ssize_t* ends
    if keys.count != 1 or firsts.shape[0] != rows or rows > UINT32_MAX:
        raise ValueError("one column and a number per row are needed")
    if rows == 0:
        return 0
    while bits < MOST_PART_BITS and rows >> (PART_BITS + bits):
        bits += 1
    entries = <Entry*>huge_malloc(rows * sizeof(Entry))
    ends = <Py_ssize_t*>calloc((1 << bits) + 1, sizeof(Py_ssize_t))
    if entries != NULL and ends != NULL:
        with nogil:
            deal(keys.columns, rows, seed, bits, entries, ends, &firsts[0])
            count = find_first(entries, ends, bits, &firsts[0])
    free(entries)
    free(ends)
    if count < 0:
        raise MemoryError
    return count


cdef void deal(
    const Values* keys,
    Py_ssize_t rows,
    uint64_t seed,
    int bits,
    Entry* entries,
    Py_ssize_t* ends,
    uint32_t* firsts,
) noexcept nogil:
    """Deal out the rows; each part's end moves on from where it begins."""
    cdef Py_ssize_t row
    cdef int part
    cdef Entry* entry
    for row in range(rows):
        if is_known(keys, row):
            ends[part_of(u64_of(keys, row) ^ seed, bits) + 1] += 1
    for part in range(1 << bits):
        ends[part + 1] += ends[part]
    for row in range(rows):
        firsts[row] = <uint32_t>row
        if is_known(keys, row):
            part = part_of(u64_of(keys, row) ^ seed, bits)
            entry = &entries[ends[part]]
            entry.key = u64_of(keys, row) ^ seed
            entry.row = <uint32_t>row
            ends[part] += 1


cdef inline int part_of(uint64_t key, int bits) noexcept nogil:
    return <int>(fold_multiply(key, MIX) >> 32 & ((1 << bits) - 1))


cdef Py_ssize_t find_first(
    const Entry* entries, const Py_ssize_t* ends, int bits, uint32_t* firsts
) noexcept nogil:
    """Give how many are not the first of their key; -1: not enough memory."""
    cdef Py_ssize_t begin = 0, index, most = 0, count = 0
    cdef size_t at, mask
    cdef int part
    cdef const Entry* entry
    cdef Slot* slots
    for part in range(1 << bits):
        most = max(most, ends[part] - (ends[part - 1] if part else 0))
    slots = <Slot*>huge_malloc(table_size(most) * sizeof(Slot))
    if slots == NULL:
        return -1
    for part in range(1 << bits):
        mask = table_size(ends[part] - begin) - 1
        memset(slots, 0, (mask + 1) * sizeof(Slot))
        for index in range(begin, ends[part]):
            entry = &entries[index]
            at = <size_t>fold_multiply(entry.key, MIX) & mask
            while slots[at].first and slots[at].key != entry.key:
                at = (at + 1) & mask
            if slots[at].first:
                firsts[entry.row] = <uint32_t>(slots[at].first - 1)
                count += 1
            else:
                slots[at].key = entry.key
                slots[at].first = <uint64_t>entry.row + 1
        begin = ends[part]
    free(slots)
    return count


cdef inline size_t table_size(Py_ssize_t keys) noexcept nogil:
    cdef size_t slots = 64
    while slots < 2 * <size_t>keys:
        slots *= 2
    return slots


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
