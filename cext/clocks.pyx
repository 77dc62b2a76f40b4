"""Times of hosts as one clock would have shown them."""

from libc.stdint cimport int64_t

from analyzer._cext.arrays cimport Arrays, is_known, u32_of, u64_of
from analyzer._cext.columns cimport Columns, put_u64
from cext.clock cimport MORE_OF_CLOCKS, corrected


def correct(Arrays times, Arrays hosts, Arrays clocks, Columns filled):
    """Fill columns with times that are set right.

    Parameters
    ----------
    times : Arrays
        Columns of times (i64, ns).
    hosts : Arrays
        One column: whose times they are (u32).
    clocks : Arrays
        One row per host: ``offset``, ``drift`` and ``at`` of its clock (f64).
    filled : Columns
        As many, with room for as many rows.
    """
    cdef Py_ssize_t row
    cdef int column
    if clocks.count != MORE_OF_CLOCKS or hosts.rows != times.rows:
        raise ValueError("hosts or columns of their clocks are missing")
    if filled.count != times.count or filled.rows < times.rows:
        raise ValueError("room for each of the times is needed")
    with nogil:
        filled.clear(times.rows)
        for column in range(times.count):
            for row in range(times.rows):
                put_u64(
                    filled, column, row,
                    corrected(
                        clocks.columns,
                        u32_of(&hosts.columns[0], row),
                        <int64_t>u64_of(&times.columns[column], row),
                    ),
                    is_known(&times.columns[column], row),
                )
