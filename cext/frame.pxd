# What the capture reader and the later stages agree on.

from libc.stdint cimport int64_t

cdef enum:
    FRAME_BATCH = 32    # 16 to 64 are equally fast, 128 is slower

cdef extern from *:
    """
    #define NO_TIME INT64_MIN
    """
    const int64_t NO_TIME   # a simple packet block has none
