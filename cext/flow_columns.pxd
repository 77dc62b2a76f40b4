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
from analyzer._cext.columns cimport Columns, copy_values, set_null, transpose_bits
from cext.community_id cimport (
    COMMUNITY_ID_LANES,
    COMMUNITY_ID_LENGTH,
    community_message,
    community_text,
    sha1_each,
)
from cext.cursor cimport little64
from cext.flow_schema cimport (
    FLOW_ID,
    CAPTURE,
    POINT,
    PROTOCOL,
    ORIGINATOR_IP,
    ORIGINATOR_PORT,
    RESPONDER_IP,
    RESPONDER_PORT,
    TUNNEL,
    VNI,
    OUTER_ORIGINATOR_IP,
    OUTER_RESPONDER_IP,
    VLAN,
    START_TIME,
    END_TIME,
    ORIGINATOR_PACKETS,
    RESPONDER_PACKETS,
    ORIGINATOR_BYTES,
    RESPONDER_BYTES,
    ORIGINATOR_PAYLOAD_BYTES,
    RESPONDER_PAYLOAD_BYTES,
    WIRE_BYTES,
    TCP_STATE,
    ORIGINATOR_TCP_FLAGS,
    RESPONDER_TCP_FLAGS,
    ORIGINATOR_ISN,
    RESPONDER_ISN,
    HANDSHAKE_RTT,
    ORIGINATOR_RETRANSMITS,
    RESPONDER_RETRANSMITS,
    FRAGMENTS,
    ICMP_ERRORS,
    COMMUNITY_ID,
    FIRST_FRAME,
    ICMP_TYPE,
    ICMP_CODE,
    ICMP_ID,
    ORIGINATOR_TTL,
    RESPONDER_TTL,
    COPIES,
    REQUESTS,
    ORIGINATOR_SYN_TSVAL,
    ORIGINATOR_SYN_WINDOW,
    ORIGINATOR_SYN_MSS,
    ORIGINATOR_SYN_WINDOW_SCALE,
    ORIGINATOR_SYN_OPTIONS,
    RESPONDER_SYN_TSVAL,
    RESPONDER_SYN_WINDOW,
    RESPONDER_SYN_MSS,
    RESPONDER_SYN_WINDOW_SCALE,
    RESPONDER_SYN_OPTIONS,
    ORIGINATOR_SEQ_START,
    ORIGINATOR_SEQ_END,
    RESPONDER_SEQ_START,
    RESPONDER_SEQ_END,
    ORIGINATOR_DIGEST,
    RESPONDER_DIGEST,
    ORIGINATOR_PACKET_IDS,
    ORIGINATOR_PACKET_TIMES,
    RESPONDER_PACKET_IDS,
    RESPONDER_PACKET_TIMES,
    COLUMN_COUNT,
)
from cext.frame cimport NO_TIME
from cext.icmp_key cimport ICMP_ERROR_PORTS, ICMP_UNKNOWN
from cext.record cimport (
    MARK_ACKED_ISN,
    MARK_NO_PORTS,
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


# Rows that wait to be copied into their columns: no more than bits in a word, and no
# more columns than that, so that `known` turns into words of validity bitmaps.
cdef enum:
    BLOCK_ROWS = 64


cdef struct RowBlock:
    uint64_t values[COLUMN_COUNT][BLOCK_ROWS]
    uint64_t known[BLOCK_ROWS]  # one bit per column


cdef struct BlockRow:
    uint64_t* values            # in the first column; others follow at BLOCK_ROWS
    uint64_t known


# What the codes in records stand for, and the rows that wait.
cdef struct RowWriter:
    const TunnelEntry* tunnels
    const int32_t* captures     # per observation point: index of its capture,
    const int32_t* points       # and of its name
    const int32_t* protocols    # per protocol number: index of its name
    uint64_t number             # of the next row, from the run's first
    const FlowHot* flows[COMMUNITY_ID_LANES]
    const FlowCold* colds[COMMUNITY_ID_LANES]
    RowBlock block


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
    cdef int o = originator_of(&flow.head)
    cdef int lane = row % COMMUNITY_ID_LANES
    cdef int place = row % BLOCK_ROWS
    write_row(writer, place, flow, cold, tail)
    write_samples(out, ORIGINATOR_PACKET_IDS, row, flow, cold, tail, o)
    write_samples(out, RESPONDER_PACKET_IDS, row, flow, cold, tail, 1 - o)
    if place == BLOCK_ROWS - 1 or last:
        write_block(&writer.block, out, row - place, place + 1)
    writer.flows[lane] = flow
    writer.colds[lane] = cold
    if lane == COMMUNITY_ID_LANES - 1 or last:
        write_community_ids(
            addresses, out, row - lane, lane + 1, writer.flows, writer.colds
        )


cdef inline void put(
    BlockRow* row, int column, uint64_t value, bint known
) noexcept nogil:
    """Give a row its value in a column; null is written as 0, to be always the same."""
    row.values[column * BLOCK_ROWS] = value if known else 0
    row.known |= <uint64_t>known << column


cdef inline void write_row(
    RowWriter* writer,
    int place,
    const FlowHot* flow,
    const FlowCold* cold,
    const FlowTail* tail,
) noexcept nogil:
    cdef BlockRow row
    cdef const FlowHead* head = &flow.head
    cdef int o = originator_of(head)
    cdef int r = 1 - o
    cdef bint tcp = head.protocol == PROTOCOL_TCP
    # Later fragments whose first one was not seen have neither ports nor a type.
    cdef bint ports = has_ports(head.protocol) and not head.marks & MARK_NO_PORTS
    cdef bint icmp = is_icmp(head) and head.ports[1] != ICMP_UNKNOWN
    cdef bint icmp_id = icmp and head.ports[0] != ICMP_ERROR_PORTS and (
        icmp_is_query(head.ports[1])
        if head.ip_version == 4
        else icmp6_is_query(head.ports[1])
    )
    cdef bint timed = head.start != NO_TIME
    cdef bint flags = tcp and (head.flags[0] | head.flags[1])
    cdef bint payload_seen
    cdef int state
    cdef const TunnelEntry* tunnel = NULL
    cdef int outer = o
    if head.tunnel:
        tunnel = &writer.tunnels[head.tunnel - 1]
        if head.state & STATE_OUTER_SWAPPED:
            outer = 1 - o
    row.values = &writer.block.values[0][place]
    row.known = 0
    put(&row, FLOW_ID, writer.number, True)
    writer.number += 1
    put(&row, CAPTURE, writer.captures[head.point], True)
    put(&row, POINT, writer.points[head.point], True)
    put(&row, PROTOCOL, writer.protocols[head.protocol], True)
    put(&row, ORIGINATOR_IP, head.ends[o], True)
    put(&row, ORIGINATOR_PORT, head.ports[o], ports)
    put(&row, RESPONDER_IP, head.ends[r], True)
    put(&row, RESPONDER_PORT, head.ports[r], ports)
    if tunnel != NULL:
        put(&row, TUNNEL, tunnel.kind - 1, True)
        put(&row, VNI, tunnel.vni, tunnel.has_vni)
        put(&row, OUTER_ORIGINATOR_IP, tunnel.numbers[outer], True)
        put(&row, OUTER_RESPONDER_IP, tunnel.numbers[1 - outer], True)
    else:
        put(&row, TUNNEL, 0, False)
        put(&row, VNI, 0, False)
        put(&row, OUTER_ORIGINATOR_IP, 0, False)
        put(&row, OUTER_RESPONDER_IP, 0, False)
    put(&row, VLAN, vlan_of(cold), head.marks & MARK_VLAN)
    put(&row, START_TIME, head.start, timed)
    put(&row, END_TIME, head.last, timed)
    put(&row, WIRE_BYTES, head.wire_bytes, True)
    payload_seen = flow.sides[0].payload + flow.sides[1].payload != 0
    state = conn_state(endpoint(head, o), endpoint(head, r), payload_seen)
    put(&row, TCP_STATE, state, flags)
    put(&row, HANDSHAKE_RTT, head.handshake_time, (head.state & STATE_RTT) != 0)
    put(&row, FRAGMENTS, fragments_of(head, tail), True)
    put(&row, ICMP_ERRORS, icmp_errors_of(head, tail), True)
    put(&row, FIRST_FRAME, first_frame_of(cold), True)
    put(&row, ICMP_TYPE, icmp_type_of(cold), icmp)
    put(&row, ICMP_CODE, icmp_code_of(cold), icmp)
    put(&row, ICMP_ID, head.ports[0], icmp_id)
    put(&row, COPIES, copies_of(head, tail), True)
    put(
        &row,
        REQUESTS,
        head.turns,
        not head.state & 3 * STATE_PAYLOAD_UNKNOWN and has_ports(head.protocol),
    )
    write_side(&row, flow, cold, o, 0)
    write_side(&row, flow, cold, r, 1)
    writer.block.known[place] = row.known


cdef inline void write_side(
    BlockRow* row,
    const FlowHot* flow,
    const FlowCold* colds,
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
    put(row, ORIGINATOR_PACKETS + responder, side.packets, True)
    put(row, ORIGINATOR_BYTES + responder, side.bytes, True)
    put(
        row,
        ORIGINATOR_PAYLOAD_BYTES + responder,
        side.payload,
        not head.state & STATE_PAYLOAD_UNKNOWN << index,
    )
    put(
        row,
        ORIGINATOR_TCP_FLAGS + responder,
        head.flags[index],
        tcp and head.flags[index] != 0,
    )
    put(row, ORIGINATOR_ISN + responder, cold.seq_start, syn and seq)
    put(row, ORIGINATOR_RETRANSMITS + responder, cold.retransmits, True)
    put(row, ORIGINATOR_TTL + responder, head.ttl[index], sent)
    put(
        row,
        ORIGINATOR_SYN_TSVAL + syn_columns,
        tsval_of(cold),
        options and has_option(cold.syn_options, TCP_OPTION_TIMESTAMPS),
    )
    put(row, ORIGINATOR_SYN_WINDOW + syn_columns, window_of(cold), options)
    put(
        row,
        ORIGINATOR_SYN_MSS + syn_columns,
        mss_of(cold),
        options and has_option(cold.syn_options, TCP_OPTION_MSS),
    )
    put(
        row,
        ORIGINATOR_SYN_WINDOW_SCALE + syn_columns,
        scale - 1,
        options and scale != 0,
    )
    put(
        row,
        ORIGINATOR_SYN_OPTIONS + syn_columns,
        cold.syn_options & 0x0FFFFFFF,
        options,
    )
    put(row, ORIGINATOR_SEQ_START + 2 * responder, cold.seq_start, seq)
    put(row, ORIGINATOR_SEQ_END + 2 * responder, side.seq_end, seq)
    put(
        row,
        ORIGINATOR_DIGEST + responder,
        cold.digest,
        not tcp and cold.digest != 0,
    )


cdef inline void write_block(
    RowBlock* block, Columns out, Py_ssize_t first, int count
) noexcept nogil:
    """Copy rows into their columns from row `first` on, a multiple of BLOCK_ROWS."""
    cdef int column, place
    cdef const uint64_t* values
    for place in range(count, BLOCK_ROWS):
        block.known[place] = UINT64_MAX
    transpose_bits(block.known)
    for column in range(COLUMN_COUNT):
        if out.offsets[column] != NULL:
            continue        # lists and texts are written row by row
        values = block.values[column]
        copy_values(out.data[column], out.widths[column], first, values, count)
        (<uint64_t*>out.validity[column])[first // BLOCK_ROWS] = little64(
            block.known[column]
        )


cdef inline void write_samples(
    Columns out,
    int column,
    Py_ssize_t row,
    const FlowHot* flow,
    const FlowCold* colds,
    const FlowTail* tails,
    int index,
) noexcept nogil:
    """Write the sample of one direction: its ids, and in the next column its times."""
    cdef const FlowHead* head = &flow.head
    cdef const ColdSide* cold = &colds.sides[index]
    cdef const TailSide* tail = &tails.sides[index]
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
    """Write the Community IDs of up to COMMUNITY_ID_LANES rows."""
    cdef uint32_t block[16][COMMUNITY_ID_LANES]
    cdef uint32_t state[5][COMMUNITY_ID_LANES]
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
    sha1_each(block, state)
    for lane in range(count):
        community_text(state, lane, text + (row + lane) * COMMUNITY_ID_LENGTH)
        offsets[row + lane] = <int32_t>((row + lane) * COMMUNITY_ID_LENGTH)
        offsets[row + lane + 1] = <int32_t>((row + lane + 1) * COMMUNITY_ID_LENGTH)
