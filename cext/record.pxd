# One flow in the making: 320 octets, laid out by how often they are touched.
#
# A packet of a known flow touches the two cache lines of FlowHot. FlowCold is touched
# by a flow's first packets, FlowTail when a second packet enters a direction's sample,
# and both by rare events. Side 0 is the end with the smaller (address, port).

from libc.stdint cimport (
    UINT64_MAX,
    int64_t,
    uint8_t,
    uint16_t,
    uint32_t,
    uint64_t,
)

cdef enum:
    SAMPLE_SIZE = 4             # packet ids kept per direction
    SEGMENT_BITS = 16           # a table's records are in segments of 2^16
    SEGMENT_SIZE = 1 << SEGMENT_BITS
    SEGMENT_MASK = SEGMENT_SIZE - 1

# FlowHead.marks
cdef enum:
    MARK_VLAN = 1 << 0
    MARK_ENDED = 1 << 1         # no longer in the index
    MARK_COUNTERS = 1 << 2      # the tail's counters are set
    MARK_SYN_OPTIONS = 1 << 3   # read from side 0's SYN; side 1's is the next bit
    MARK_GAP = 1 << 5           # side 0 has skipped octets; side 1: next
    MARK_SAMPLE = 1 << 7        # side 0 has a sample; side 1: next
    MARK_TAIL_SAMPLE = 1 << 9   # of more than one id, all in the tail; side 1: next
    MARK_NO_PORTS = 1 << 11     # they were cut off, or in a fragment that was not seen
    MARK_ACKED_ISN = 1 << 13    # side 0's SYN is known from the SYN-ACK; side 1: next

# FlowHead.state
cdef enum:
    ENDPOINT_BITS = 3           # bits 0-2 side 0, bits 3-5 side 1: tcp_state.pxd
    ENDPOINT_MASK = 0x7
    STATE_ORIGINATOR_1 = 1 << 6     # side 1 is the originator
    STATE_OUTER_SWAPPED = 1 << 7    # the tunnel's second end is on side 0
    STATE_SEQ = 1 << 8              # side 0's sequence numbers were seen; side 1: next
    STATE_PAYLOAD_UNKNOWN = 1 << 10  # of a packet of side 0; side 1: next
    STATE_SYN_TIME = 1 << 12        # handshake_time is that of the originator's SYN
    STATE_RTT = 1 << 13             # handshake_time is the round trip time
    STATE_SPEAKER = 1 << 14         # side 0 sent the last payload; side 1: next


cdef struct FlowSide:           # 32 octets: what every packet of a direction changes
    uint64_t bytes              # of innermost IP packets
    uint64_t payload
    uint64_t sample_limit       # the only id, or what a further one must be less than
    uint32_t packets
    uint32_t seq_end


cdef struct FlowHead:           # 64 octets
    uint32_t ends[2]            # IPv4 addresses as numbers, or numbers of addresses
    uint16_t ports[2]
    uint32_t tunnel             # number of the tunnel, 0: none
    uint16_t point
    uint8_t protocol
    uint8_t ip_version
    uint16_t marks
    uint16_t state
    int64_t start
    int64_t last
    int64_t handshake_time
    uint64_t wire_bytes
    uint32_t turns              # times that the originator spoke (again)
    uint8_t flags[2]
    uint8_t ttl[2]


cdef struct FlowHot:            # 128 octets: two cache lines
    FlowHead head
    FlowSide sides[2]


cdef struct ColdSide:           # 32 octets: what few packets of a direction change
    uint64_t digest             # first datagram's; of TCP: syn_tsval, window, mss
    uint32_t seq_start
    uint32_t retransmits
    uint32_t syn_options        # kinds in order, four bits each; top four: scale + 1
    uint32_t sample_time        # of the only id: see TailSide.times
    uint32_t first_seen[2]      # side 0: first frame; side 1: VLAN id; ICMP type, code


cdef struct FlowCold:           # 64 octets
    ColdSide sides[2]


cdef struct TailSide:           # 64 octets: one cache line
    uint64_t ids[SAMPLE_SIZE]   # of the sample, in no order; UINT64_MAX: none
    uint32_t times[SAMPLE_SIZE]  # microseconds modulo 2 ** 32, UINT32_MAX: not known
    uint32_t gap_start          # octets that were skipped and may still come
    uint32_t gap_end
    uint32_t counters[2]        # side 0: ICMP errors, copies; side 1: fragments


# Nothing of it is set when a flow begins: FlowHead.marks says what is.
cdef struct FlowTail:           # 128 octets
    TailSide sides[2]


# A (type, VNI, unordered endpoints) that flows refer to by number.
cdef struct TunnelEntry:
    uint64_t hash               # that stands for it among the packets
    uint32_t numbers[2]         # of its ends' addresses, the smaller address first
    uint32_t vni
    uint8_t kind
    uint8_t has_vni


# A flow that has left its table.
cdef struct FlowRecord:
    FlowHot hot
    FlowCold cold
    FlowTail tail


cdef inline TailSide* with_counters(FlowHead* head, FlowTail* tail) noexcept nogil:
    """Give the tail's sides with their counters set."""
    if not head.marks & MARK_COUNTERS:
        head.marks |= MARK_COUNTERS
        tail.sides[0].counters[0] = tail.sides[0].counters[1] = 0
        tail.sides[1].counters[0] = 0
    return tail.sides


cdef inline void count_icmp_error(FlowHead* head, FlowTail* tail) noexcept nogil:
    with_counters(head, tail)[0].counters[0] += 1


cdef inline void count_copy(FlowHead* head, FlowTail* tail) noexcept nogil:
    with_counters(head, tail)[0].counters[1] += 1


cdef inline void count_fragment(FlowHead* head, FlowTail* tail) noexcept nogil:
    with_counters(head, tail)[1].counters[0] += 1


cdef inline uint32_t icmp_errors_of(
    const FlowHead* head, const FlowTail* tail
) noexcept nogil:
    return tail.sides[0].counters[0] if head.marks & MARK_COUNTERS else 0


cdef inline uint32_t copies_of(
    const FlowHead* head, const FlowTail* tail
) noexcept nogil:
    return tail.sides[0].counters[1] if head.marks & MARK_COUNTERS else 0


cdef inline uint32_t fragments_of(
    const FlowHead* head, const FlowTail* tail
) noexcept nogil:
    return tail.sides[1].counters[0] if head.marks & MARK_COUNTERS else 0


cdef inline void insert_sample(
    FlowHead* head,
    FlowSide* mine,
    const ColdSide* cold,
    TailSide* tail,
    int side,
    uint64_t id,
    uint32_t microseconds,
) noexcept nogil:
    """Put a further packet id into the sample of the smallest, once."""
    cdef uint64_t* ids = tail.ids
    cdef int first, second, largest
    if not head.marks & MARK_TAIL_SAMPLE << side:
        if id == mine.sample_limit:
            return
        head.marks |= MARK_TAIL_SAMPLE << side
        ids[0] = mine.sample_limit
        tail.times[0] = cold.sample_time
        ids[1] = id
        tail.times[1] = microseconds
        ids[2] = ids[3] = UINT64_MAX
        mine.sample_limit = UINT64_MAX
        return
    # Whether an id is there and which is the largest is anybody's guess: no branches.
    if (
        (id >= mine.sample_limit)
        | (id == ids[0]) | (id == ids[1]) | (id == ids[2]) | (id == ids[3])
    ):
        return
    first = ids[1] > ids[0]
    second = 2 + (ids[3] > ids[2])
    largest = second if ids[second] > ids[first] else first
    ids[largest] = id
    tail.times[largest] = microseconds
    mine.sample_limit = max(max(ids[0], ids[1]), max(ids[2], ids[3]))


cdef inline uint64_t first_frame_of(const FlowCold* flow) noexcept nogil:
    return (
        <uint64_t>flow.sides[0].first_seen[1] << 32 | flow.sides[0].first_seen[0]
    )


cdef inline uint16_t vlan_of(const FlowCold* flow) noexcept nogil:
    return <uint16_t>flow.sides[1].first_seen[0]


cdef inline uint8_t icmp_type_of(const FlowCold* flow) noexcept nogil:
    return <uint8_t>(flow.sides[1].first_seen[1] >> 8)


cdef inline uint8_t icmp_code_of(const FlowCold* flow) noexcept nogil:
    return <uint8_t>flow.sides[1].first_seen[1]


cdef inline uint32_t tsval_of(const ColdSide* side) noexcept nogil:
    return <uint32_t>side.digest


cdef inline uint16_t window_of(const ColdSide* side) noexcept nogil:
    return <uint16_t>(side.digest >> 32)


cdef inline uint16_t mss_of(const ColdSide* side) noexcept nogil:
    return <uint16_t>(side.digest >> 48)


cdef inline bint has_option(uint32_t options, uint32_t kind) noexcept nogil:
    """Whether a layout of seven four-bit option kinds has this one."""
    cdef int shift
    for shift in range(0, 28, 4):
        if (options >> shift & 0xF) == kind:
            return True
    return False
