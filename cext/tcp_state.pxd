# What a TCP segment does to its flow: endpoint states, handshake, retransmissions.
#
# Endpoint states and the conn_state that follows from two of them are Zeek's
# (src/packet_analysis/protocol/tcp, scripts/base/protocols/conn/main.zeek), with three
# differences: a reset after both ends have closed leaves the flow closed (SF), and a
# handshake of which only the SYN or only the last ACK is missing counts as
# established (S1).

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from cext.cursor cimport likely_false, likely_true
from cext.packet cimport (
    HAS_ACK,
    HAS_FLAGS,
    HAS_MSS,
    HAS_PAYLOAD_LENGTH,
    HAS_SEQ,
    HAS_SYN_OPTIONS,
    HAS_TSVAL,
    HAS_WINDOW,
    HAS_WINDOW_SCALE,
    Packet,
)
from cext.record cimport (
    ENDPOINT_BITS,
    ENDPOINT_MASK,
    MARK_ACKED_ISN,
    MARK_GAP,
    MARK_SYN_OPTIONS,
    STATE_ORIGINATOR_1,
    STATE_PAYLOAD_UNKNOWN,
    STATE_RTT,
    STATE_SEQ,
    STATE_SPEAKER,
    STATE_SYN_TIME,
    ColdSide,
    FlowCold,
    FlowHead,
    FlowHot,
    FlowSide,
    TailSide,
)
from cext.wire.tcp cimport TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN

cdef enum:
    SEQUENCE_SLACK = 1 << 16    # a reset's number may be ahead by a window

cdef enum EndpointState:
    INACTIVE = 0
    SYN_SENT
    SYN_ACK_SENT
    PARTIAL             # has sent, but no SYN was seen
    ESTABLISHED
    CLOSED              # has sent FIN
    RESET               # has sent RST

# In the order of TCP_STATES in analyzer/tables/schema.py.
cdef enum ConnState:
    CONN_OTH = 0
    CONN_S0
    CONN_S1
    CONN_SF
    CONN_REJ
    CONN_S2
    CONN_S3
    CONN_RSTO
    CONN_RSTR
    CONN_RSTOS0
    CONN_RSTRH
    CONN_SH
    CONN_SHR


cdef inline int endpoint(const FlowHead* head, int side) noexcept nogil:
    return head.state >> (ENDPOINT_BITS * side) & ENDPOINT_MASK


cdef inline void set_endpoint(FlowHead* head, int side, int state) noexcept nogil:
    cdef int shift = ENDPOINT_BITS * side
    head.state = <uint16_t>(head.state & ~(ENDPOINT_MASK << shift) | state << shift)


cdef inline int originator_of(const FlowHead* head) noexcept nogil:
    return (head.state & STATE_ORIGINATOR_1) != 0


cdef inline bint is_closed(const FlowHead* head) noexcept nogil:
    """Whether a connection is over but for stragglers."""
    cdef int first = endpoint(head, 0)
    cdef int second = endpoint(head, 1)
    return first == RESET or second == RESET or (first == CLOSED and second == CLOSED)


cdef inline bint starts_anew(
    const FlowHot* flow, const FlowCold* cold, const Packet* packet, int side
) noexcept nogil:
    """Whether a segment reuses the five-tuple: a SYN that is no repeated one.

    Where flags were cut off, one that acknowledges nothing and is elsewhere in the
    space of sequence numbers is a SYN, too.
    """
    cdef int peer
    cdef uint32_t start
    if likely_false((packet.has & (HAS_SEQ | HAS_FLAGS)) != (HAS_SEQ | HAS_FLAGS)):
        start = cold.sides[side].seq_start
        return (
            packet.has & HAS_SEQ
            and packet.ack == 0
            and flow.head.state & STATE_SEQ << side
            and packet.seq - start > flow.sides[side].seq_end - start + SEQUENCE_SLACK
        )
    if packet.tcp_flags & (TCP_SYN | TCP_ACK) != TCP_SYN:
        return False
    if flow.head.flags[side] & TCP_SYN:
        return cold.sides[side].seq_start != packet.seq
    peer = endpoint(&flow.head, 1 - side)
    # A simultaneous open, or a SYN that the capture has behind its SYN-ACK.
    return not (
        flow.sides[side].packets == 0 and (peer == SYN_SENT or peer == SYN_ACK_SENT)
    )


cdef inline void follow_endpoints(
    FlowHead* head, uint8_t flags, int side
) noexcept nogil:
    cdef int mine = endpoint(head, side)
    cdef int peer = endpoint(head, 1 - side)
    if flags & TCP_RST:
        if not (mine == CLOSED and peer == CLOSED):
            set_endpoint(head, side, RESET)
    elif flags & TCP_SYN:
        if mine == INACTIVE:
            set_endpoint(head, side, SYN_ACK_SENT if flags & TCP_ACK else SYN_SENT)
        elif mine == SYN_SENT and flags & TCP_ACK:
            set_endpoint(head, side, SYN_ACK_SENT)      # simultaneous open
    else:
        if peer == SYN_ACK_SENT and (mine == SYN_SENT or mine == INACTIVE):
            set_endpoint(head, side, ESTABLISHED)
            set_endpoint(head, 1 - side, ESTABLISHED)
        elif mine == INACTIVE:
            set_endpoint(head, side, PARTIAL)
        if flags & TCP_FIN and endpoint(head, side) != RESET:
            set_endpoint(head, side, CLOSED)


cdef inline void follow_handshake(
    FlowHot* flow, FlowCold* cold, const Packet* packet, int side
) noexcept nogil:
    """Time the handshake: from the originator's last SYN to its first ACK."""
    cdef FlowHead* head = &flow.head
    cdef uint8_t flags = packet.tcp_flags
    cdef ColdSide* mine = &cold.sides[side]
    if flags & TCP_SYN:
        if (
            side == originator_of(head)
            and not flags & TCP_ACK
            and not head.state & STATE_RTT
        ):
            head.handshake_time = packet.time
            head.state |= STATE_SYN_TIME
        if packet.has & HAS_SYN_OPTIONS and not head.marks & MARK_SYN_OPTIONS << side:
            head.marks |= MARK_SYN_OPTIONS << side
            mine.syn_options = packet.option_kinds
            mine.digest = 0
            if packet.has & HAS_WINDOW_SCALE:
                mine.syn_options |= <uint32_t>(min(packet.window_scale, 14) + 1) << 28
            if packet.has & HAS_TSVAL:
                mine.digest |= packet.tsval
            if packet.has & HAS_WINDOW:
                mine.digest |= <uint64_t>packet.window << 32
            if packet.has & HAS_MSS:
                mine.digest |= <uint64_t>packet.mss << 48
        if likely_true(flags & TCP_ACK == 0):
            return
        # It acknowledges the SYN alone (RFC 9293 section 3.5), also one that was not
        # seen here: on `lo`, both directions of a translated connection are apart.
        if likely_false(not head.state & STATE_SEQ << (1 - side)):
            head.state |= STATE_SEQ << (1 - side)
            head.marks |= MARK_ACKED_ISN << (1 - side)
            cold.sides[1 - side].seq_start = packet.ack - 1
            flow.sides[1 - side].seq_end = packet.ack
    elif (
        head.state & STATE_SYN_TIME
        and side == originator_of(head)
        and flow.head.flags[1 - side] & TCP_SYN
        and flags & TCP_ACK
        and not flags & TCP_RST
    ):
        # Anything later than the first ACK is not the handshake's.
        head.state &= ~STATE_SYN_TIME
        if packet.ack - cold.sides[1 - side].seq_start == 1:
            head.handshake_time = packet.time - head.handshake_time
            head.state |= STATE_RTT


cdef inline bint follow_sequence(
    FlowHot* flow, FlowCold* cold, TailSide* tail, const Packet* packet, int side
) noexcept nogil:
    """Follow the octets sent; True if all of a segment's passed here before.

    Octets that were skipped are new when they come: they were lost on the way to this
    point, or overtaken. A keep-alive probe repeats one octet on purpose (RFC 9293
    section 3.8.4) and is none.
    """
    cdef FlowSide* mine = &flow.sides[side]
    cdef uint8_t flags = packet.tcp_flags
    cdef uint32_t length, end
    cdef int32_t ahead
    if flags & TCP_RST:
        return False
    length = packet.payload_length
    if flags & TCP_SYN:
        length += 1
    if flags & TCP_FIN:
        length += 1
    end = packet.seq + length
    if not flow.head.state & STATE_SEQ << side or (
        flags & TCP_SYN and not flow.head.flags[side] & TCP_SYN
    ):
        flow.head.state |= STATE_SEQ << side
        cold.sides[side].seq_start = packet.seq
        mine.seq_end = end
        flow.head.marks &= ~(MARK_GAP << side)
        return False
    ahead = <int32_t>(packet.seq - mine.seq_end)
    if likely_true(ahead == 0 and <int32_t>length >= 0):
        mine.seq_end = end
        return False
    if ahead > 0:
        if not flow.head.marks & MARK_GAP << side:
            flow.head.marks |= MARK_GAP << side
            tail.gap_start = mine.seq_end
        tail.gap_end = packet.seq
        mine.seq_end = end
        return False
    if <int32_t>(end - mine.seq_end) > 0:
        mine.seq_end = end
        return False
    if length == 0:
        return False
    if ahead == -1 and packet.payload_length == 1 and length == 1:
        return False    # a keep-alive
    if (
        flow.head.marks & MARK_GAP << side
        and <int32_t>(packet.seq - tail.gap_start) >= 0
        and <int32_t>(tail.gap_end - end) >= 0
    ):
        if packet.seq == tail.gap_start:
            tail.gap_start = end
            if end == tail.gap_end:
                flow.head.marks &= ~(MARK_GAP << side)
        return False
    if (
        <int32_t>(packet.seq - cold.sides[side].seq_start) < 0
        and not flow.head.flags[side] & TCP_SYN
    ):
        cold.sides[side].seq_start = packet.seq     # overtaken by the first captured
        return False
    return True


cdef inline int conn_state(
    int originator, int responder, bint payload_seen
) noexcept nogil:
    """Zeek's conn_state of two endpoint states."""
    cdef bint originator_inactive = originator == INACTIVE or originator == PARTIAL
    cdef bint responder_inactive = responder == INACTIVE or responder == PARTIAL
    if responder == RESET:
        if (
            originator == SYN_SENT
            or originator == SYN_ACK_SENT
            or (originator == RESET and not payload_seen)
        ):
            return CONN_REJ
        return CONN_RSTRH if originator_inactive else CONN_RSTR
    if originator == RESET:
        return CONN_RSTOS0 if responder_inactive else CONN_RSTO
    if originator == CLOSED and responder == CLOSED:
        return CONN_SF
    if originator == CLOSED:
        return CONN_SH if responder_inactive else CONN_S2
    if responder == CLOSED:
        return CONN_SHR if originator_inactive else CONN_S3
    if originator == SYN_SENT and responder == INACTIVE:
        return CONN_S0
    if originator == ESTABLISHED and responder == ESTABLISHED:
        return CONN_S1
    if originator == SYN_SENT and responder == SYN_ACK_SENT:
        return CONN_S1
    return CONN_OTH
