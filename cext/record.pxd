# One flow in the making: 296 octets, laid out by how often they are touched.
#
# A packet of a known flow touches the two cache lines of FlowHot. FlowCold is touched
# by a flow's first packets, FlowTail when a second packet enters a direction's sample,
# and both by rare events. Side 0 is the end with the smaller (address, port).

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    SAMPLE_SIZE = 4             # packet ids kept per direction

# FlowHead.marks
cdef enum:
    MARK_VLAN = 1 << 0
    MARK_ENDED = 1 << 1         # no longer in the index
    MARK_COUNTERS = 1 << 2      # the tail's counters are set
    MARK_SYN_OPTIONS = 1 << 3   # read from side 0's SYN; side 1's is the next bit
    MARK_GAP = 1 << 5           # side 0 has skipped octets; side 1: next
    SAMPLE_BITS = 3             # of the number of samples of side 0, then of side 1
    SAMPLE_SHIFT = 7
    SAMPLE_MASK = 0x7
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
    uint64_t sample_limit       # the largest id in the sample
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
    uint32_t sample_limit_time  # microseconds modulo 2 ** 32, UINT32_MAX: not known
    uint32_t first_seen[2]      # side 0: first frame; side 1: VLAN id; ICMP type, code


cdef struct FlowCold:           # 64 octets
    ColdSide sides[2]


# Nothing of it is set when a flow begins: FlowHead.marks says what is.
cdef struct FlowTail:           # 104 octets
    uint64_t sample_ids[2][SAMPLE_SIZE - 1]     # ascending, all below sample_limit
    uint32_t sample_times[2][SAMPLE_SIZE - 1]   # see ColdSide.sample_limit_time
    uint32_t gap_start[2]       # octets that were skipped and may still come
    uint32_t gap_end[2]
    uint32_t icmp_errors
    uint32_t copies
    uint32_t fragments


# A (type, VNI, unordered endpoints) that flows refer to by number.
cdef struct TunnelEntry:
    uint32_t numbers[2]         # of its ends' addresses, the smaller address first
    uint32_t vni
    uint8_t kind
    uint8_t has_vni


# What leaves the table: the rows that wait to be written as columns.
cdef struct FlowRecord:
    FlowHot hot
    FlowCold cold
    FlowTail tail


cdef inline int sample_count(const FlowHead* head, int side) noexcept nogil:
    return head.marks >> (SAMPLE_SHIFT + SAMPLE_BITS * side) & SAMPLE_MASK


cdef inline void add_sample_count(FlowHead* head, int side) noexcept nogil:
    head.marks += 1 << (SAMPLE_SHIFT + SAMPLE_BITS * side)


cdef inline FlowTail* with_counters(FlowHead* head, FlowTail* tail) noexcept nogil:
    """Give the tail with its counters set."""
    if not head.marks & MARK_COUNTERS:
        head.marks |= MARK_COUNTERS
        tail.icmp_errors = 0
        tail.copies = 0
        tail.fragments = 0
    return tail


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
