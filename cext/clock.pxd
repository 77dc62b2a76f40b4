# Clocks of hosts, see analyzer.correlate.clocks.

from libc.math cimport rint
from libc.stdint cimport int64_t, uint32_t

from analyzer._cext.arrays cimport Values

# The first columns of hosts' clocks (f64).
cdef enum:
    OFFSET
    DRIFT
    AT
    MORE_OF_CLOCKS


cdef inline double f64_of(const Values* values, Py_ssize_t row) noexcept nogil:
    return (<const double*>values.data)[row]


cdef inline int64_t corrected(
    const Values* clocks, uint32_t host, int64_t time
) noexcept nogil:
    """Set a time (ns) back to what the clock of reference showed."""
    cdef double since = <double>(time - <int64_t>f64_of(&clocks[AT], host))
    return time - <int64_t>rint(
        f64_of(&clocks[OFFSET], host) + f64_of(&clocks[DRIFT], host) * since
    )
