"""Frames to packets to flows and rows: the loop that runs without the interpreter."""

from analyzer._cext.decode cimport Decoder
from analyzer._cext.flows cimport FlowTable
from analyzer._cext.frames cimport FrameReader
from analyzer._cext.order cimport PacketOrder, Sweep
from analyzer._cext.packets cimport PacketRows
from cext.frame cimport FRAME_BATCH, MOST_ENDED
from cext.packet cimport Packet


def scan(
    FrameReader reader not None,
    Decoder decoder not None,
    PacketOrder order not None,
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
    order : PacketOrder
        Goes on from packet to packet.
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
    cdef const Packet* packets[2][FRAME_BATCH]
    cdef bint used_up = True
    cdef int count, index, turn = 0
    cdef Sweep sweep
    for index in range(FRAME_BATCH):
        packets[0][index] = &batches[0][index]
        packets[1][index] = &batches[1][index]
    with nogil:
        while True:
            if rows is not None and rows.full(FRAME_BATCH):
                if flows is not None:
                    flows.flush()
                used_up = False
                break
            count = reader.next(&batches[turn][0], FRAME_BATCH)
            if count == 0:
                if flows is not None:
                    flows.flush()       # what waits may point into the buffer
                    if flows.ended_count >= MOST_ENDED:
                        break
                if reader.refill() <= 0:
                    break
                continue
            decoder.decode(&batches[turn][0], count)
            sweep = order.arrange(&batches[turn][0], count)
            if rows is not None:
                rows.add(&batches[turn][0], count)
            if flows is not None:
                if sweep.after < 0:
                    flows.add(packets[turn], count)
                else:
                    flows.add(packets[turn], sweep.after)
                    flows.flush()
                    flows.sweep(sweep.now, sweep.number)
                    flows.add(packets[turn] + sweep.after, count - sweep.after)
                turn = 1 - turn
    if (
        reader.out_of_memory
        or decoder.out_of_memory
        or order.out_of_memory
        or (
            flows is not None
            and (flows.out_of_memory or flows.addresses.out_of_memory)
        )
        or (rows is not None and rows.addresses.out_of_memory)
    ):
        raise MemoryError
    return used_up
