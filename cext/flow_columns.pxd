# A flow's record as a row of the flows table.

from libc.stdint cimport (
    UINT32_MAX,
    UINT64_MAX,
    int32_t,
    int64_t,
    uint8_t,
    uint16_t,
    uint32_t,
    uint64_t,
)

from analyzer._cext.addresses cimport AddressTable
from analyzer._cext.columns cimport Columns, put_u8, put_u16, put_u32, put_u64, set_null
from cext.community_id cimport (
    COMMUNITY_ID_LANES,
    COMMUNITY_ID_LENGTH,
    community_message,
    community_text,
    sha1_four,
)
from cext.frame cimport NO_TIME
from cext.record cimport (
    MARK_ACKED_ISN,
    MARK_SAMPLE,
    MARK_SYN_OPTIONS,
    MARK_TAIL_SAMPLE,
    MARK_VLAN,
    SAMPLE_SIZE,
    STATE_OUTER_SWAPPED,
    STATE_PAYLOAD_UNKNOWN,
    STATE_RTT,
    STATE_SEQ,
    ColdSide,
    FlowCold,
    FlowHead,
    FlowHot,
    FlowSide,
    FlowTail,
    TailSide,
    TunnelEntry,
    copies_of,
    first_frame_of,
    fragments_of,
    has_option,
    icmp_code_of,
    icmp_errors_of,
    icmp_type_of,
    mss_of,
    tsval_of,
    vlan_of,
    window_of,
)
from cext.tcp_state cimport conn_state, endpoint, originator_of
from cext.wire.icmp cimport (
    icmp6_counterpart,
    icmp6_is_query,
    icmp_counterpart,
    icmp_is_query,
)
from cext.wire.ipv4 cimport (
    PROTOCOL_ICMP,
    PROTOCOL_ICMP6,
    PROTOCOL_SCTP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
)
from cext.wire.tcp cimport TCP_OPTION_MSS, TCP_OPTION_TIMESTAMPS, TCP_SYN

cdef enum:
    ICMP_ERROR_PORTS = 0x8000   # in place of an identifier, where there is none

# The columns, in the order of FLOWS in analyzer/tables/schema.py.
cdef enum:
    FLOW_ID = 0
    CAPTURE
    POINT
    PROTOCOL
    ORIGINATOR_IP
    ORIGINATOR_PORT
    RESPONDER_IP
    RESPONDER_PORT
    TUNNEL
    VNI
    OUTER_ORIGINATOR_IP
    OUTER_RESPONDER_IP
    VLAN
    START_TIME
    END_TIME
    ORIGINATOR_PACKETS
    RESPONDER_PACKETS
    ORIGINATOR_BYTES
    RESPONDER_BYTES
    ORIGINATOR_PAYLOAD_BYTES
    RESPONDER_PAYLOAD_BYTES
    WIRE_BYTES
    TCP_STATE
    ORIGINATOR_TCP_FLAGS
    RESPONDER_TCP_FLAGS
    ORIGINATOR_ISN
    RESPONDER_ISN
    HANDSHAKE_RTT
    ORIGINATOR_RETRANSMITS
    RESPONDER_RETRANSMITS
    FRAGMENTS
    ICMP_ERRORS
    COMMUNITY_ID
    FIRST_FRAME
    ICMP_TYPE
    ICMP_CODE
    ICMP_ID
    ORIGINATOR_TTL
    RESPONDER_TTL
    COPIES
    REQUESTS
    ORIGINATOR_SYN_TSVAL
    ORIGINATOR_SYN_WINDOW
    ORIGINATOR_SYN_MSS
    ORIGINATOR_SYN_WINDOW_SCALE
    ORIGINATOR_SYN_OPTIONS
    RESPONDER_SYN_TSVAL
    RESPONDER_SYN_WINDOW
    RESPONDER_SYN_MSS
    RESPONDER_SYN_WINDOW_SCALE
    RESPONDER_SYN_OPTIONS
    ORIGINATOR_SEQ_START
    ORIGINATOR_SEQ_END
    RESPONDER_SEQ_START
    RESPONDER_SEQ_END
    ORIGINATOR_DIGEST
    RESPONDER_DIGEST
    ORIGINATOR_PACKET_IDS
    ORIGINATOR_PACKET_TIMES
    RESPONDER_PACKET_IDS
    RESPONDER_PACKET_TIMES
    COLUMN_COUNT


cdef inline bint has_ports(uint8_t protocol) noexcept nogil:
    return (
        protocol == PROTOCOL_TCP
        or protocol == PROTOCOL_UDP
        or protocol == PROTOCOL_SCTP
    )


cdef inline bint is_icmp(const FlowHead* head) noexcept nogil:
    if head.ip_version == 4:
        return head.protocol == PROTOCOL_ICMP
    return head.protocol == PROTOCOL_ICMP6


# What the codes in records stand for, and the rows that wait for their Community IDs.
cdef struct RowWriter:
    const TunnelEntry* tunnels
    const int32_t* captures     # per observation point: index of its capture,
    const int32_t* points       # and of its name
    const int32_t* protocols    # per protocol number: index of its name
    uint64_t number             # of the next row, from the run's first
    const FlowHot* flows[COMMUNITY_ID_LANES]
    const FlowCold* colds[COMMUNITY_ID_LANES]


cdef inline void write_flow(
    RowWriter* writer,
    AddressTable addresses,
    Columns out,
    Py_ssize_t row,
    bint last,
    const FlowHot* flow,
    const FlowCold* cold,
    const FlowTail* tail,
) noexcept nogil:
    """Write one row; those of a batch in order, and say which is the last."""
    cdef int lane = row % COMMUNITY_ID_LANES
    write_row(writer, out, row, flow, cold, tail)
    writer.flows[lane] = flow
    writer.colds[lane] = cold
    if lane == COMMUNITY_ID_LANES - 1 or last:
        write_community_ids(
            addresses, out, row - lane, lane + 1, writer.flows, writer.colds
        )


cdef inline void write_row(
    RowWriter* writer,
    Columns out,
    Py_ssize_t row,
    const FlowHot* flow,
    const FlowCold* cold,
    const FlowTail* tail,
) noexcept nogil:
    cdef const FlowHead* head = &flow.head
    cdef int o = originator_of(head)
    cdef int r = 1 - o
    cdef bint tcp = head.protocol == PROTOCOL_TCP
    # Later fragments whose first one was not seen have neither ports nor a type.
    cdef bint known = (
        head.ports[0] != 0 or head.ports[1] != 0 or fragments_of(head, tail) == 0
    )
    cdef bint ports = has_ports(head.protocol) and known
    cdef bint icmp = is_icmp(head) and known
    cdef bint icmp_id = icmp and head.ports[0] != ICMP_ERROR_PORTS and (
        icmp_is_query(head.ports[1])
        if head.ip_version == 4
        else icmp6_is_query(head.ports[1])
    )
    cdef bint timed = head.start != NO_TIME
    cdef bint flags = tcp and (head.flags[0] | head.flags[1])
    cdef const TunnelEntry* tunnel = NULL
    cdef int outer = o
    if head.tunnel:
        tunnel = &writer.tunnels[head.tunnel - 1]
        if head.state & STATE_OUTER_SWAPPED:
            outer = 1 - o
    put_u64(out, FLOW_ID, row, writer.number, True)
    writer.number += 1
    put_u32(out, CAPTURE, row, writer.captures[head.point], True)
    put_u32(out, POINT, row, writer.points[head.point], True)
    put_u32(out, PROTOCOL, row, writer.protocols[head.protocol], True)
    put_u32(out, ORIGINATOR_IP, row, head.ends[o], True)
    put_u16(out, ORIGINATOR_PORT, row, head.ports[o], ports)
    put_u32(out, RESPONDER_IP, row, head.ends[r], True)
    put_u16(out, RESPONDER_PORT, row, head.ports[r], ports)
    if tunnel != NULL:
        put_u32(out, TUNNEL, row, tunnel.kind - 1, True)
        put_u32(out, VNI, row, tunnel.vni, tunnel.has_vni)
        put_u32(out, OUTER_ORIGINATOR_IP, row, tunnel.numbers[outer], True)
        put_u32(out, OUTER_RESPONDER_IP, row, tunnel.numbers[1 - outer], True)
    else:
        put_u32(out, TUNNEL, row, 0, False)
        put_u32(out, VNI, row, 0, False)
        put_u32(out, OUTER_ORIGINATOR_IP, row, 0, False)
        put_u32(out, OUTER_RESPONDER_IP, row, 0, False)
    put_u16(out, VLAN, row, vlan_of(cold), head.marks & MARK_VLAN)
    put_u64(out, START_TIME, row, head.start, timed)
    put_u64(out, END_TIME, row, head.last, timed)
    put_u64(out, WIRE_BYTES, row, head.wire_bytes, True)
    put_u32(
        out,
        TCP_STATE,
        row,
        conn_state(
            endpoint(head, o),
            endpoint(head, r),
            flow.sides[0].payload + flow.sides[1].payload != 0,
        ),
        flags,
    )
    put_u64(
        out, HANDSHAKE_RTT, row, head.handshake_time, (head.state & STATE_RTT) != 0
    )
    put_u64(out, FRAGMENTS, row, fragments_of(head, tail), True)
    put_u64(out, ICMP_ERRORS, row, icmp_errors_of(head, tail), True)
    put_u64(out, FIRST_FRAME, row, first_frame_of(cold), True)
    put_u8(out, ICMP_TYPE, row, icmp_type_of(cold), icmp)
    put_u8(out, ICMP_CODE, row, icmp_code_of(cold), icmp)
    put_u16(out, ICMP_ID, row, head.ports[0], icmp_id)
    put_u64(out, COPIES, row, copies_of(head, tail), True)
    put_u64(
        out,
        REQUESTS,
        row,
        head.turns,
        not head.state & 3 * STATE_PAYLOAD_UNKNOWN and has_ports(head.protocol),
    )
    write_side(out, row, flow, cold, tail, o, 0)
    write_side(out, row, flow, cold, tail, r, 1)


cdef inline void write_side(
    Columns out,
    Py_ssize_t row,
    const FlowHot* flow,
    const FlowCold* colds,
    const FlowTail* tail,
    int index,
    int responder,
) noexcept nogil:
    """Write the columns of one direction; the responder's follow the originator's."""
    cdef const FlowHead* head = &flow.head
    cdef const FlowSide* side = &flow.sides[index]
    cdef const ColdSide* cold = &colds.sides[index]
    cdef bint tcp = head.protocol == PROTOCOL_TCP
    cdef bint sent = side.packets != 0
    cdef bint syn = tcp and (
        head.flags[index] & TCP_SYN or head.marks & MARK_ACKED_ISN << index
    )
    cdef bint seq = (head.state & STATE_SEQ << index) != 0
    cdef bint options = (head.marks & MARK_SYN_OPTIONS << index) != 0
    cdef uint32_t scale = cold.syn_options >> 28
    cdef int syn_columns = 5 * responder
    put_u64(out, ORIGINATOR_PACKETS + responder, row, side.packets, True)
    put_u64(out, ORIGINATOR_BYTES + responder, row, side.bytes, True)
    put_u64(
        out,
        ORIGINATOR_PAYLOAD_BYTES + responder,
        row,
        side.payload,
        not head.state & STATE_PAYLOAD_UNKNOWN << index,
    )
    put_u8(
        out,
        ORIGINATOR_TCP_FLAGS + responder,
        row,
        head.flags[index],
        tcp and head.flags[index] != 0,
    )
    put_u32(out, ORIGINATOR_ISN + responder, row, cold.seq_start, syn and seq)
    put_u64(out, ORIGINATOR_RETRANSMITS + responder, row, cold.retransmits, True)
    put_u8(out, ORIGINATOR_TTL + responder, row, head.ttl[index], sent)
    put_u32(
        out,
        ORIGINATOR_SYN_TSVAL + syn_columns,
        row,
        tsval_of(cold),
        options and has_option(cold.syn_options, TCP_OPTION_TIMESTAMPS),
    )
    put_u16(out, ORIGINATOR_SYN_WINDOW + syn_columns, row, window_of(cold), options)
    put_u16(
        out,
        ORIGINATOR_SYN_MSS + syn_columns,
        row,
        mss_of(cold),
        options and has_option(cold.syn_options, TCP_OPTION_MSS),
    )
    put_u8(
        out,
        ORIGINATOR_SYN_WINDOW_SCALE + syn_columns,
        row,
        scale - 1,
        options and scale != 0,
    )
    put_u32(
        out,
        ORIGINATOR_SYN_OPTIONS + syn_columns,
        row,
        cold.syn_options & 0x0FFFFFFF,
        options,
    )
    put_u32(out, ORIGINATOR_SEQ_START + 2 * responder, row, cold.seq_start, seq)
    put_u32(out, ORIGINATOR_SEQ_END + 2 * responder, row, side.seq_end, seq)
    put_u64(
        out,
        ORIGINATOR_DIGEST + responder,
        row,
        cold.digest,
        not tcp and cold.digest != 0,
    )
    write_samples(out, row, flow, cold, &tail.sides[index], index, responder)


cdef inline void write_samples(
    Columns out,
    Py_ssize_t row,
    const FlowHot* flow,
    const ColdSide* cold,
    const TailSide* tail,
    int index,
    int responder,
) noexcept nogil:
    cdef const FlowHead* head = &flow.head
    cdef int column = ORIGINATOR_PACKET_IDS + 2 * responder
    cdef int32_t* ends = out.offsets[column]
    cdef int32_t* time_ends = out.offsets[column + 1]
    cdef uint64_t* ids = <uint64_t*>out.data[column]
    cdef int64_t* times = <int64_t*>out.data[column + 1]
    cdef int32_t at = ends[row]
    cdef int64_t start = head.start // 1000
    cdef int count = 0
    cdef int sample, place
    cdef uint64_t sorted_ids[SAMPLE_SIZE]
    cdef uint32_t sorted_times[SAMPLE_SIZE]
    if head.marks & MARK_TAIL_SAMPLE << index:
        for sample in range(SAMPLE_SIZE):
            if tail.ids[sample] == UINT64_MAX:
                continue
            place = count
            while place > 0 and sorted_ids[place - 1] > tail.ids[sample]:
                sorted_ids[place] = sorted_ids[place - 1]
                sorted_times[place] = sorted_times[place - 1]
                place -= 1
            sorted_ids[place] = tail.ids[sample]
            sorted_times[place] = tail.times[sample]
            count += 1
    elif head.marks & MARK_SAMPLE << index:
        sorted_ids[0] = flow.sides[index].sample_limit
        sorted_times[0] = cold.sample_time
        count = 1
    for sample in range(count):
        ids[at] = sorted_ids[sample]
        if sorted_times[sample] == UINT32_MAX:
            times[at] = 0
            set_null(out, column + 1, at)
        else:
            # Their lower 32 bits were kept: none is before the start.
            times[at] = 1000 * (
                start + <uint32_t>(sorted_times[sample] - <uint32_t>start)
            )
        at += 1
    ends[row + 1] = at
    time_ends[row + 1] = at


cdef inline void write_community_ids(
    AddressTable addresses,
    Columns out,
    Py_ssize_t row,
    int count,
    const FlowHot** flows,
    const FlowCold** colds,
) noexcept nogil:
    """Write the Community IDs of up to four rows."""
    cdef uint32_t block[16][4]
    cdef uint32_t state[5][4]
    cdef uint64_t ends[2][2]
    cdef const FlowHead* head
    cdef int lane, o, other, first
    cdef uint16_t ports[2]
    cdef uint8_t kind
    cdef bint with_ports, one_way
    cdef char* text = <char*>out.data[COMMUNITY_ID]
    cdef int32_t* offsets = out.offsets[COMMUNITY_ID]
    for lane in range(count):
        head = &flows[lane].head
        o = originator_of(head)
        for first in range(2):
            other = head.ends[first ^ o]
            ends[first][0] = addresses.entries[<uint32_t>other].high
            ends[first][1] = addresses.entries[<uint32_t>other].low
        ports[0] = head.ports[o]
        ports[1] = head.ports[1 - o]
        with_ports = has_ports(head.protocol)
        one_way = False
        if is_icmp(head):
            with_ports = True
            kind = icmp_type_of(colds[lane])
            if head.ip_version == 4:
                other = icmp_counterpart(kind)
            else:
                other = icmp6_counterpart(kind)
            one_way = other < 0
            ports[0] = kind
            ports[1] = icmp_code_of(colds[lane]) if one_way else other
        first = 0
        if not one_way and (
            ends[0][0] > ends[1][0]
            or (ends[0][0] == ends[1][0] and ends[0][1] > ends[1][1])
            or (
                ends[0][0] == ends[1][0]
                and ends[0][1] == ends[1][1]
                and ports[0] > ports[1]
            )
        ):
            first = 1
        community_message(
            block,
            lane,
            ends[first],
            ends[1 - first],
            head.ip_version,
            head.protocol,
            with_ports,
            ports[first],
            ports[1 - first],
        )
    sha1_four(block, state)
    for lane in range(count):
        community_text(state, lane, text + (row + lane) * COMMUNITY_ID_LENGTH)
        offsets[row + lane] = <int32_t>((row + lane) * COMMUNITY_ID_LENGTH)
        offsets[row + lane + 1] = <int32_t>((row + lane + 1) * COMMUNITY_ID_LENGTH)
