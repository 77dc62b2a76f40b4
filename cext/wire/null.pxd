# BSD loopback: the address family, in the byte order of the capturing host (NULL) or
# of the network (LOOP). Specification: LINKTYPE_NULL, LINKTYPE_LOOP.

from libc.stdint cimport uint32_t

cdef enum:
    NULL_HEADER = 4


cdef inline int null_ip_version(uint32_t big, uint32_t little) noexcept nogil:
    """Give the IP version of an address family read in both byte orders, or 0."""
    cdef uint32_t family = big if big < little else little
    if family == 2:
        return 4
    # Every BSD has a number of its own for AF_INET6, and so has Linux.
    if family == 24 or family == 28 or family == 30 or family == 10:
        return 6
    return 0
