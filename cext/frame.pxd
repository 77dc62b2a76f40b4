# What the capture reader and the later stages agree on.

from libc.stdint cimport int64_t

cdef enum:
    FRAME_BATCH = 16    # more of them push each other out of the first-level cache
    MOST_ENDED = 1 << 14    # rows of ended flows after which they are to be taken

cdef extern from *:
    """
    #define NO_TIME INT64_MIN
    """
    const int64_t NO_TIME   # a simple packet block has none
