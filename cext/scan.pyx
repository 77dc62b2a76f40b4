"""Frames to packets to flows and rows: the loop that runs without the interpreter."""

from analyzer._cext.decode cimport Decoder
from analyzer._cext.flows cimport FlowTable
from analyzer._cext.frames cimport FrameReader
from analyzer._cext.packets cimport PacketRows
from cext.frame cimport FRAME_BATCH
from cext.packet cimport Packet

cdef enum:
    MOST_ENDED = 1 << 14    # rows of ended flows after which they are to be taken


def scan(
    FrameReader reader not None,
    Decoder decoder not None,
    FlowTable flows,
    PacketRows rows,
):
    """Decode the frames that the reader's buffer holds, and those of its next fillings.

    Parameters
    ----------
    reader : FrameReader
        Gives frames until its buffer has no complete one left.
    decoder : Decoder
        Counts what it meets.
    flows : FlowTable or None
        Accounts every packet.
    rows : PacketRows or None
        Receives one row per packet.

    Returns
    -------
    bool
        True when the buffer is used up and it is the interpreter's turn to fill it;
        False when the rows are full and must be taken first.
    """
    cdef Packet batches[2][FRAME_BATCH]     # the flow table is one batch behind
    cdef Packet* packets = &batches[0][0]
    cdef Packet* other = &batches[1][0]
    cdef bint used_up = True
    cdef int count
    with nogil:
        while True:
            if rows is not None and rows.full(FRAME_BATCH):
                if flows is not None:
                    flows.flush()
                used_up = False
                break
            count = reader.next(packets, FRAME_BATCH)
            if count == 0:
                if flows is not None:
                    flows.flush()       # what waits may point into the buffer
                    if flows.ended_count >= MOST_ENDED:
                        break
                if reader.refill() <= 0:
                    break
                continue
            decoder.decode(packets, count)
            if rows is not None:
                rows.add(packets, count)
            if flows is not None:
                flows.add(packets, count)
                packets, other = other, packets
    if (
        reader.out_of_memory
        or decoder.out_of_memory
        or (
            flows is not None
            and (flows.out_of_memory or flows.addresses.out_of_memory)
        )
        or (rows is not None and rows.addresses.out_of_memory)
    ):
        raise MemoryError
    return used_up
