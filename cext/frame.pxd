# One captured frame, as the capture reader hands it to the decoder.

from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    FRAME_BATCH = 32    # 16 to 64 are equally fast, 128 is slower

cdef extern from *:
    """
    #define NO_TIME INT64_MIN
    """
    const int64_t NO_TIME   # a simple packet block has none


cdef struct Frame:
    const uint8_t* data         # valid until the reader's buffer is filled again
    int64_t time                # nanoseconds since the epoch, or NO_TIME
    uint32_t captured_length
    uint32_t wire_length
    uint32_t interface          # index into the reader's interfaces
    uint32_t link_type          # LINKTYPE_ value of that interface
