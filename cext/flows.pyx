"""Packets to flows: the table of live flows.

Packets are looked up in batches: while the index slots and then the records of one
batch come from memory, the packets of the batch before are accounted one by one, in
capture order. A record leaves the table when its flow has ended or timed out, in a
sweep at fixed packet numbers; so the rows depend on the packets alone, not on how they
arrive in batches or which share of the flows a table holds.
"""

cimport cython

from libc.stdint cimport (
    UINT32_MAX,
    int32_t,
    int64_t,
    uint8_t,
    uint16_t,
    uint32_t,
    uint64_t,
)
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

import secrets

from analyzer._cext.addresses cimport AddressTable
from cext.cursor cimport (
    CACHE_LINE,
    clear_lines,
    fold_multiply,
    likely_false,
    likely_true,
    prefetch_read,
    prefetch_write,
    raw32,
    raw64,
)
from cext.frame cimport FRAME_BATCH, NO_TIME
from cext.icmp_key cimport ICMP_ERROR_PORTS, ICMP_UNKNOWN, icmp_ports
from cext.memory cimport huge_malloc
from cext.packet cimport (
    HAS_ACK,
    HAS_DIGEST,
    HAS_FLAGS,
    HAS_ICMP,
    HAS_IP_VNI,
    HAS_PAYLOAD_LENGTH,
    HAS_PORTS,
    HAS_SEQ,
    HAS_VLAN,
    IS_COPY,
    IS_FRAGMENT,
    IS_JOINED,
    IS_LATER_FRAGMENT,
    Address,
    Packet,
)
from cext.quoted cimport read_quoted
from cext.record cimport (
    MARK_ENDED,
    MARK_GAP,
    MARK_NO_PORTS,
    MARK_SAMPLE,
    MARK_TAIL_SAMPLE,
    MARK_VLAN,
    SEGMENT_BITS,
    SEGMENT_MASK,
    SEGMENT_SIZE,
    STATE_ORIGINATOR_1,
    STATE_OUTER_SWAPPED,
    STATE_PAYLOAD_UNKNOWN,
    STATE_SEQ,
    STATE_SPEAKER,
    FlowCold,
    FlowHead,
    FlowHot,
    FlowSide,
    FlowTail,
    count_copy,
    count_fragment,
    count_icmp_error,
    insert_sample,
)
from cext.tcp_state cimport (
    follow_endpoints,
    follow_handshake,
    follow_sequence,
    is_closed,
    originator_of,
    starts_anew,
)
from cext.wire.ipv4 cimport PROTOCOL_ICMP, PROTOCOL_ICMP6, PROTOCOL_TCP
from cext.wire.tcp cimport TCP_ACK, TCP_FIN, TCP_SYN

cdef enum:
    KEY_OCTETS = 20                 # that FlowHead and Lookup begin with
    MOST_SEGMENTS = 1 << 15         # 2^31 live flows
    FIRST_SLOTS = 1 << 16
    FIRST_TUNNELS = 64

cdef extern from *:
    """
    /* An index slot is hash << 32 | number of the record plus one. Hashes are odd. */
    #define SLOT_EMPTY ((uint64_t)0)
    #define SLOT_REMOVED ((uint64_t)UINT32_MAX)

    #define SECOND ((int64_t)1000000000)
    #define CLOSED_LINGER (60 * SECOND)     /* TIME_WAIT of Linux */
    #define LEAST_SWEEP_INTERVAL (SECOND / 10)
    /* How far times may run backwards before a sweep and a look-up could disagree. */
    #define DISORDER (5 * SECOND)
    /* Beyond it, a sample's time would need more than the 32 bits that are kept. */
    #define SAMPLE_TIME_SPAN ((int64_t)UINT32_MAX * 1000)

    #define ID_1 ((uint64_t)0xA0761D6478BD642F)     /* odd constants of wyhash */
    #define ID_2 ((uint64_t)0xE7037ED1A0B428DB)
    """
    const uint64_t SLOT_EMPTY
    const uint64_t SLOT_REMOVED
    const int64_t CLOSED_LINGER
    const int64_t LEAST_SWEEP_INTERVAL
    const int64_t DISORDER
    const int64_t SAMPLE_TIME_SPAN
    const uint64_t ID_1
    const uint64_t ID_2


@cython.final
cdef class FlowTable:
    """Group packets of one capture after another into flows: all, or a shard of them.

    Parameters
    ----------
    idle_timeout, active_timeout : int
        Nanoseconds after which a flow without packets ends, and after which a flow is
        cut although it goes on (0: never).
    """

    def __cinit__(self, int64_t idle_timeout, int64_t active_timeout):
        self.addresses = AddressTable()
        self.idle_timeout = idle_timeout
        self.closed_timeout = min(idle_timeout, CLOSED_LINGER)
        self.active_timeout = active_timeout
        self.sweep_interval = max(self.closed_timeout // 2, LEAST_SWEEP_INTERVAL)
        self.hot = <FlowHot**>calloc(MOST_SEGMENTS, sizeof(void*))
        self.cold = <FlowCold**>calloc(MOST_SEGMENTS, sizeof(void*))
        self.tails = <FlowTail**>calloc(MOST_SEGMENTS, sizeof(void*))
        self.slots = FIRST_SLOTS
        self.layout = 1
        self.index = <uint64_t*>calloc(self.slots, sizeof(uint64_t))
        self.tunnel_capacity = FIRST_TUNNELS
        self.tunnels = <TunnelEntry*>malloc(FIRST_TUNNELS * sizeof(TunnelEntry))
        self.tunnel_slots = <TunnelSlot*>calloc(2 * FIRST_TUNNELS, sizeof(TunnelSlot))
        if not (
            self.hot and self.cold and self.tails and self.index and self.tunnels
            and self.tunnel_slots
        ):
            raise MemoryError
        # A capture made to collide under one seed does not under the next.
        for number in range(3):
            self.seeds[number] = secrets.randbits(64) | 1

    def __dealloc__(self):
        if self.hot and self.cold and self.tails:
            self.free_records()
        free(self.hot)
        free(self.cold)
        free(self.tails)
        free(self.index)
        free(self.tunnels)
        free(self.tunnel_slots)
        free(self.ended)

    cdef void free_records(self) noexcept nogil:
        cdef uint32_t segment
        for segment in range(self.segments):
            free(self.hot[segment])
            free(self.cold[segment])
            free(self.tails[segment])
        self.segments = 0

    cdef int clear(self) except -1:
        """Let go of all flows and their memory."""
        cdef uint64_t* index = <uint64_t*>calloc(FIRST_SLOTS, sizeof(uint64_t))
        if index == NULL:
            raise MemoryError
        free(self.index)
        self.index, self.slots = index, FIRST_SLOTS
        self.layout += 1
        self.free_records()
        self.begin_capture()
        return 0

    def begin_capture(self):
        """Start with an empty table; the rows before must have been taken."""
        memset(self.index, 0, self.slots * sizeof(uint64_t))
        self.used = self.free_record = self.live = 0
        self.taken = self.removed = 0
        self.shuffled = False
        self.waiting = self.waiting_count = 0

    cdef void add(self, const Packet** packets, int count) noexcept nogil:
        """Take at most FRAME_BATCH packets, in order.

        They are looked up, and those of the batch before accounted while memory
        answers. The packets must stay where they are until the next batch but one, or
        `flush`.
        """
        cdef Lookup* keys = self.keys[1 - self.waiting]
        cdef int index, known = 0
        for index in range(count):
            known += describe(self, packets[index], &keys[known])
        self.flush()
        self.waiting = 1 - self.waiting
        self.waiting_count = known
        for index in range(known):
            prefetch_record(self, &keys[index])

    cdef void flush(self) noexcept nogil:
        """Account the packets that have been looked up."""
        cdef Lookup* keys = self.keys[self.waiting]
        cdef Sample samples[FRAME_BATCH]
        cdef const Sample* sample
        cdef int count = self.waiting_count
        cdef int index, put_off = 0
        self.waiting_count = 0
        if likely_false(
            self.taken + FRAME_BATCH > self.slots // 4 * 3 and not self.grow_index()
        ):
            return
        if likely_false(
            self.used + FRAME_BATCH > self.segments << SEGMENT_BITS
            and not self.add_segment()
        ):
            return
        for index in range(count):
            account(self, &keys[index], samples, &put_off)
        # By now their tails have come from memory.
        for index in range(put_off):
            sample = &samples[index]
            insert_sample(
                &sample.hot.head,
                &sample.hot.sides[sample.side],
                &sample.cold.sides[sample.side],
                sample.tail,
                sample.side,
                sample.id,
                sample.microseconds,
            )

    cdef uint32_t place_of(self, uint32_t hash, uint32_t record) noexcept nogil:
        """Give the slot of a record that is in the index."""
        cdef uint32_t at = <uint32_t>(<uint64_t>hash * self.slots >> 32)
        cdef uint64_t entry = <uint64_t>hash << 32 | (record + 1)
        while self.index[at] != entry:
            at += 1
            if at == self.slots:
                at = 0
        return at

    cdef bint grow_index(self) noexcept nogil:
        """Make the index half as large again, or only clear removed slots."""
        cdef uint32_t slots = self.slots
        cdef uint64_t* index = NULL
        cdef uint32_t at, place
        if self.live + FRAME_BATCH > slots // 2:
            slots = slots // 2 * 3
        if slots <= UINT32_MAX // 2:
            index = <uint64_t*>huge_malloc(slots * sizeof(uint64_t))
        if index == NULL:
            self.out_of_memory = True
            return False
        memset(index, 0, slots * sizeof(uint64_t))
        self.taken = 0
        for at in range(self.slots):
            if self.index[at] != SLOT_EMPTY and self.index[at] != SLOT_REMOVED:
                place = <uint32_t>((self.index[at] >> 32) * slots >> 32)
                while index[place]:
                    place += 1
                    if place == slots:
                        place = 0
                index[place] = self.index[at]
                self.taken += 1
        free(self.index)
        self.index = index
        self.slots = slots
        self.removed = 0
        self.layout += 1
        return True

    cdef bint add_segment(self) noexcept nogil:
        cdef FlowHot* hot = NULL
        cdef FlowCold* cold = NULL
        cdef FlowTail* tails = NULL
        if self.segments < MOST_SEGMENTS:
            hot = <FlowHot*>huge_malloc(SEGMENT_SIZE * sizeof(FlowHot))
            cold = <FlowCold*>huge_malloc(SEGMENT_SIZE * sizeof(FlowCold))
            tails = <FlowTail*>huge_malloc(SEGMENT_SIZE * sizeof(FlowTail))
        if hot == NULL or cold == NULL or tails == NULL:
            free(hot)
            free(cold)
            free(tails)
            self.out_of_memory = True
            return False
        self.hot[self.segments] = hot
        self.cold[self.segments] = cold
        self.tails[self.segments] = tails
        self.segments += 1
        return True

    cdef uint32_t begin(self, const Lookup* key, int originator) noexcept nogil:
        """Begin a flow, in the slot of the one it follows if any; give its record."""
        cdef const Packet* packet = key.packet
        cdef uint32_t slot, record
        cdef FlowHot* flow
        cdef FlowCold* cold
        if likely_true(has_room(self, key)):
            slot = key.slot
        else:
            find(self, key, &slot)
        if likely_false(self.free_record != 0):
            record = self.free_record - 1
            flow = &self.hot[record >> SEGMENT_BITS][record & SEGMENT_MASK]
            self.free_record = flow.head.ends[0]
            self.shuffled = True
        else:
            record = self.used
            self.used += 1
            flow = &self.hot[record >> SEGMENT_BITS][record & SEGMENT_MASK]
        if self.index[slot] == SLOT_EMPTY:
            self.taken += 1
        elif self.index[slot] == SLOT_REMOVED:
            self.removed -= 1
        self.index[slot] = <uint64_t>key.hash << 32 | (record + 1)
        self.live += 1
        cold = &self.cold[record >> SEGMENT_BITS][record & SEGMENT_MASK]
        clear_lines(flow, sizeof(FlowHot) // CACHE_LINE)
        clear_lines(cold, sizeof(FlowCold) // CACHE_LINE)
        memcpy(flow, key, KEY_OCTETS)
        flow.head.start = packet.time
        flow.head.last = packet.time
        if packet.has & HAS_VLAN:
            flow.head.marks = MARK_VLAN
            cold.sides[1].first_seen[0] = packet.vlan
        if likely_false(not packet.has & (HAS_PORTS | IS_JOINED)):
            flow.head.marks |= MARK_NO_PORTS
        if packet.has & HAS_ICMP:
            cold.sides[1].first_seen[1] = packet.icmp_type << 8 | packet.icmp_code
        if originator == 1:
            flow.head.state = STATE_ORIGINATOR_1
        if key.outer_swapped:
            flow.head.state |= STATE_OUTER_SWAPPED
        cold.sides[0].first_seen[0] = <uint32_t>packet.frame
        cold.sides[0].first_seen[1] = <uint32_t>(packet.frame >> 32)
        return record

    cdef void count_quoted(self, const Packet* packet) noexcept nogil:
        """Find the flow of the packet that an ICMP error quotes; count the error."""
        cdef Packet quoted
        cdef Lookup key
        cdef uint32_t slot, record
        cdef uint64_t tunnel
        cdef uint8_t swapped
        memset(&quoted, 0, sizeof(Packet))
        if not read_quoted(packet, &quoted):
            return
        quoted.point = packet.point
        # The error need not come back through the tunnel that the packet went by.
        if not describe(self, &quoted, &key):
            return
        if packet.ip_layers > 1:
            tunnel = hash_of_tunnel(self, packet, &swapped)
            key.outer_swapped = swapped ^ key.side
            key.tunnel = number_of_tunnel(self, packet, tunnel, &key)
            key.hash = hash_of(self, &key, tunnel)
        record = find(self, &key, &slot)
        if not record and key.tunnel:
            key.tunnel = 0
            key.hash = hash_of(self, &key, 0)
            record = find(self, &key, &slot)
        if record:
            record -= 1
            count_icmp_error(
                &self.hot[record >> SEGMENT_BITS][record & SEGMENT_MASK].head,
                &self.tails[record >> SEGMENT_BITS][record & SEGMENT_MASK],
            )

    cdef uint32_t add_tunnel(
        self, const Packet* packet, uint64_t hashed, bint swapped
    ) noexcept nogil:
        """Number a new tunnel; 0 if there is no memory."""
        cdef const Address* a = &packet.outer_dst if swapped else &packet.outer_src
        cdef const Address* b = &packet.outer_src if swapped else &packet.outer_dst
        cdef TunnelEntry* entry
        cdef uint32_t at, mask
        if self.tunnel_count == self.tunnel_capacity and not self.grow_tunnels():
            return 0
        entry = &self.tunnels[self.tunnel_count]
        entry.hash = hashed
        entry.vni = packet.ip_vni
        entry.kind = packet.ip_tunnel
        entry.has_vni = (packet.has & HAS_IP_VNI) != 0
        entry.numbers[0] = self.addresses.intern(a.high, a.low, packet.outer_version)
        entry.numbers[1] = self.addresses.intern(b.high, b.low, packet.outer_version)
        self.tunnel_count += 1
        mask = 2 * self.tunnel_capacity - 1
        at = <uint32_t>(hashed >> 20) & mask
        while self.tunnel_slots[at].key:
            at = (at + 1) & mask
        self.tunnel_slots[at].key = hashed
        self.tunnel_slots[at].number = self.tunnel_count
        return self.tunnel_count

    cdef bint grow_tunnels(self) noexcept nogil:
        cdef TunnelEntry* entries
        cdef TunnelSlot* slots
        cdef uint32_t old, at, mask
        entries = <TunnelEntry*>realloc(
            self.tunnels, 2 * <size_t>self.tunnel_capacity * sizeof(TunnelEntry)
        )
        if entries != NULL:
            self.tunnels = entries
        slots = <TunnelSlot*>calloc(
            4 * <size_t>self.tunnel_capacity, sizeof(TunnelSlot)
        )
        if entries == NULL or slots == NULL or self.tunnel_capacity >= 1 << 28:
            free(slots)
            self.out_of_memory = True
            return False
        mask = 4 * self.tunnel_capacity - 1
        for old in range(2 * self.tunnel_capacity):
            if self.tunnel_slots[old].key:
                at = <uint32_t>(self.tunnel_slots[old].key >> 20) & mask
                while slots[at].key:
                    at = (at + 1) & mask
                slots[at] = self.tunnel_slots[old]
        self.tunnel_capacity *= 2
        free(self.tunnel_slots)
        self.tunnel_slots = slots
        return True

    cdef void sweep(self, int64_t now, uint64_t number) noexcept nogil:
        """Let all that has ended or timed out leave the table; nothing may wait."""
        cdef uint32_t record, hash
        cdef uint64_t tunnel
        cdef FlowHot* flow
        cdef Lookup key
        for record in range(self.used):
            flow = &self.hot[record >> SEGMENT_BITS][record & SEGMENT_MASK]
            if flow.head.ip_version == 0:
                continue        # free
            if not flow.head.marks & MARK_ENDED:
                if not expired(self, flow, now - DISORDER):
                    continue
                memcpy(&key, flow, KEY_OCTETS)
                tunnel = self.tunnels[key.tunnel - 1].hash if key.tunnel else 0
                hash = hash_of(self, &key, tunnel)
                self.index[self.place_of(hash, record)] = SLOT_REMOVED
                self.removed += 1
                self.live -= 1
            if not self.keep_ended(record, number):
                return
            flow.head.ip_version = 0
            flow.head.ends[0] = self.free_record
            self.free_record = record + 1

    cdef void end_record(self, uint32_t record) noexcept nogil:
        """End a flow whose five-tuple begins anew; its slot is the new flow's."""
        cdef FlowHead* head = (
            &self.hot[record >> SEGMENT_BITS][record & SEGMENT_MASK].head
        )
        head.marks |= MARK_ENDED
        self.live -= 1

    cdef bint keep_ended(self, uint32_t record, uint64_t sweep) noexcept nogil:
        """Copy a record to the rows that wait to be taken."""
        cdef EndedFlow* larger
        cdef EndedFlow* kept
        cdef size_t capacity
        if self.ended_count == self.ended_capacity:
            capacity = 2 * self.ended_capacity if self.ended_capacity else 4096
            larger = <EndedFlow*>realloc(self.ended, capacity * sizeof(EndedFlow))
            if larger == NULL:
                self.out_of_memory = True
                return False
            self.ended = larger
            self.ended_capacity = capacity
        kept = &self.ended[self.ended_count]
        kept.sweep = sweep
        kept.flow.hot = self.hot[record >> SEGMENT_BITS][record & SEGMENT_MASK]
        kept.flow.cold = self.cold[record >> SEGMENT_BITS][record & SEGMENT_MASK]
        kept.flow.tail = self.tails[record >> SEGMENT_BITS][record & SEGMENT_MASK]
        self.ended_count += 1
        return True


cdef inline bint describe(
    FlowTable table, const Packet* packet, Lookup* key
) noexcept nogil:
    """Find the flow's key, the same for both directions; False if there is none.

    Asks for the index slot as soon as it is known.
    """
    cdef uint32_t src, dst
    cdef uint16_t src_port = 0, dst_port = 0
    cdef uint64_t tunnel = 0, first, second, swap
    cdef uint16_t rare_ports[2]
    cdef bint icmp = False
    if likely_false(packet.ip_version == 0):
        return False
    if likely_true(packet.ip_version == 4):
        src = <uint32_t>packet.src.low
        dst = <uint32_t>packet.dst.low
    else:
        src = table.addresses.intern(packet.src.high, packet.src.low, 6)
        dst = table.addresses.intern(packet.dst.high, packet.dst.low, 6)
    key.packet = packet
    key.protocol = packet.protocol
    key.ip_version = packet.ip_version
    key.point = packet.point
    key.outer_swapped = 0
    if packet.ip_layers > 1:
        tunnel = hash_of_tunnel(table, packet, &key.outer_swapped)
    if likely_true((packet.has & HAS_PORTS) != 0):
        src_port = packet.src_port
        dst_port = packet.dst_port
    if likely_false((packet.has & (HAS_PORTS | IS_FRAGMENT)) != HAS_PORTS):
        # By way of other variables, so that the usual ones can stay in registers.
        rare_ports[0], rare_ports[1] = src_port, dst_port
        icmp = packet.protocol == PROTOCOL_ICMP or packet.protocol == PROTOCOL_ICMP6
        if packet.has & HAS_ICMP:
            icmp_ports(packet, &rare_ports[0], &rare_ports[1])
        elif icmp:
            rare_ports[0], rare_ports[1] = ICMP_ERROR_PORTS, ICMP_UNKNOWN
        if packet.has & IS_JOINED:
            rare_ports[0], rare_ports[1] = packet.src_port, packet.dst_port
        src_port, dst_port = rare_ports[0], rare_ports[1]
    # Numbers of IPv6 addresses need not be in the order of the addresses: all that
    # matters is that both directions agree. No branch could be predicted here.
    first = <uint64_t>src << 16 | src_port
    second = <uint64_t>dst << 16 | dst_port
    key.side = first > second
    swap = (first ^ second) & -<uint64_t>key.side
    first ^= swap
    second ^= swap
    key.outer_swapped ^= key.side
    key.ends[0] = <uint32_t>(first >> 16)
    key.ends[1] = <uint32_t>(second >> 16)
    key.ports[0] = <uint16_t>first
    key.ports[1] = <uint16_t>second
    if likely_false(icmp):
        # They belong to the packet, not to its ends.
        key.ports[0] = src_port
        key.ports[1] = dst_port
    key.hash = hash_of(table, key, tunnel)
    prefetch_read(&table.index[<uint64_t>key.hash * table.slots >> 32])
    key.tunnel = number_of_tunnel(table, packet, tunnel, key) if tunnel else 0
    return True


cdef inline uint32_t hash_of(
    FlowTable table, const Lookup* key, uint64_t tunnel
) noexcept nogil:
    """Hash a key of which only the hash of the tunnel need be known."""
    cdef uint64_t ends = <uint64_t>key.ends[0] << 32 | key.ends[1]
    cdef uint64_t rest = (
        <uint64_t>key.ports[0] << 48 | <uint64_t>key.ports[1] << 32
        | <uint32_t>key.point << 16 | <uint32_t>key.protocol << 8 | key.ip_version
    )
    cdef uint64_t hashed = fold_multiply(
        ends ^ table.seeds[0], rest ^ table.seeds[1] ^ tunnel
    )
    hashed = hashed * table.seeds[2]
    return <uint32_t>(hashed >> 32) | 1


cdef inline void prefetch_record(FlowTable table, Lookup* key) noexcept nogil:
    """Fetch the record that a look-up most likely ends at; its slot is there."""
    cdef uint32_t at = <uint32_t>(<uint64_t>key.hash * table.slots >> 32)
    cdef uint64_t entry = table.index[at]
    cdef FlowHot* flow
    while entry >> 32 != key.hash and entry != SLOT_EMPTY:
        at += 1
        if at == table.slots:
            at = 0
        entry = table.index[at]
    key.candidate = <uint32_t>entry
    key.slot = at
    # Where slots were freed, the same key may be put into one of those meanwhile.
    key.layout = 0 if table.removed else table.layout
    if entry != SLOT_EMPTY:
        flow = &table.hot[(key.candidate - 1) >> SEGMENT_BITS][
            (key.candidate - 1) & SEGMENT_MASK
        ]
        prefetch_write(flow)
        prefetch_write(&flow.sides)
        prefetch_write(
            &table.cold[(key.candidate - 1) >> SEGMENT_BITS][
                (key.candidate - 1) & SEGMENT_MASK
            ]
        )


cdef inline uint32_t find_live(FlowTable table, const Lookup* key) noexcept nogil:
    """Give the number plus one of the record, or 0: the candidate, mostly."""
    cdef uint32_t slot, record = key.candidate - 1
    cdef FlowHead* head
    if likely_true(key.candidate != 0):
        head = &table.hot[record >> SEGMENT_BITS][record & SEGMENT_MASK].head
        if likely_true(same_key(head, key) and not head.marks & MARK_ENDED):
            return key.candidate
    elif has_room(table, key):
        return 0
    return find(table, key, &slot)


cdef inline bint has_room(FlowTable table, const Lookup* key) noexcept nogil:
    """Whether the empty slot at which the look-up ended is still the place to begin."""
    return (
        key.candidate == 0
        and key.layout == table.layout
        and table.index[key.slot] == SLOT_EMPTY
    )


cdef inline bint expired(
    FlowTable table, const FlowHot* flow, int64_t time
) noexcept nogil:
    """Whether a packet at this time comes too late for the flow."""
    cdef int64_t silence
    if likely_false(time == NO_TIME or flow.head.last == NO_TIME):
        return False
    silence = time - flow.head.last
    if likely_true(silence <= table.closed_timeout):
        return False
    return silence > table.idle_timeout or (
        flow.head.protocol == PROTOCOL_TCP and is_closed(&flow.head)
    )


cdef inline bint overdue(
    FlowTable table, const FlowHot* flow, int64_t time
) noexcept nogil:
    """Whether a flow that goes on has to be cut: the active timeout."""
    return (
        table.active_timeout != 0
        and time != NO_TIME
        and flow.head.start != NO_TIME
        and time - flow.head.start > table.active_timeout
    )


cdef inline void account(
    FlowTable table, const Lookup* key, Sample* samples, int* put_off
) noexcept nogil:
    """Add one packet to its flow, which begins with it if need be."""
    cdef const Packet* packet = key.packet
    cdef uint32_t record = find_live(table, key)
    cdef int side = key.side
    cdef int originator = side
    cdef FlowHot* flow
    cdef FlowHead* head
    cdef FlowSide* mine
    cdef FlowCold* cold
    cdef FlowTail* tail
    cdef uint64_t id = 0
    cdef uint32_t microseconds
    cdef Sample* sample
    cdef bint is_tcp = packet.protocol == PROTOCOL_TCP
    cdef bint known_payload = (packet.has & HAS_PAYLOAD_LENGTH) != 0
    cdef bint repeated = False, copied = False
    cdef int speaks
    if is_tcp and packet.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK:
        originator = 1 - side   # who answers a SYN did not send the first packet
    if likely_true(record != 0):
        record -= 1
        flow = &table.hot[record >> SEGMENT_BITS][record & SEGMENT_MASK]
        cold = &table.cold[record >> SEGMENT_BITS][record & SEGMENT_MASK]
        if likely_false(
            expired(table, flow, packet.time)
            or (is_tcp and starts_anew(flow, cold, packet, side))
        ):
            table.end_record(record)
            record = table.begin(key, originator)
        elif likely_false(
            overdue(table, flow, packet.time)
            or flow.sides[side].packets == UINT32_MAX
        ):
            originator = originator_of(&flow.head)
            table.end_record(record)
            record = table.begin(key, originator)
    else:
        record = table.begin(key, originator)
    flow = &table.hot[record >> SEGMENT_BITS][record & SEGMENT_MASK]
    head = &flow.head
    mine = &flow.sides[side]
    cold = &table.cold[record >> SEGMENT_BITS][record & SEGMENT_MASK]
    tail = &table.tails[record >> SEGMENT_BITS][record & SEGMENT_MASK]
    if likely_false((packet.has & (IS_COPY | IS_FRAGMENT)) != 0):
        if packet.has & IS_FRAGMENT:
            count_fragment(head, tail)
        if packet.has & IS_COPY:
            count_copy(head, tail)
            copied = True
    if likely_true(packet.time >= head.last):
        if likely_false(head.last == NO_TIME):
            head.start = packet.time
        head.last = packet.time
    elif packet.time < head.start and packet.time != NO_TIME:
        head.start = packet.time
    head.wire_bytes += packet.wire_length
    if mine.packets == 0:
        head.ttl[side] = packet.ttl
    mine.packets += 1
    mine.bytes += packet.ip_length
    if likely_true(known_payload):
        mine.payload += packet.payload_length
    else:
        head.state |= STATE_PAYLOAD_UNKNOWN << side
    if is_tcp:
        if likely_true((packet.has & HAS_SEQ) != 0):
            if likely_true((packet.has & HAS_FLAGS) != 0):
                follow_handshake(flow, cold, packet, side)
            if likely_true(known_payload):
                repeated = follow_sequence(
                    flow, cold, &tail.sides[side], packet, side
                )
                if repeated and not copied:
                    cold.sides[side].retransmits += 1
            else:
                follow_cut_sequence(flow, cold, packet, side)
            if packet.has & HAS_ACK:
                id = segment_id(packet)
        if likely_true((packet.has & HAS_FLAGS) != 0):
            follow_endpoints(head, packet.tcp_flags, side)
            head.flags[side] |= packet.tcp_flags
    elif packet.has & HAS_DIGEST and not packet.has & IS_LATER_FRAGMENT:
        id = packet.digest
        if not head.marks & MARK_SAMPLE << side:
            cold.sides[side].digest = id
    # Who speaks when is unpredictable, so without branches.
    speaks = (
        (packet.payload_length != 0) & known_payload & (not repeated) & (not copied)
    )
    head.turns += (
        speaks
        & (side == originator_of(head))
        & (not head.state & STATE_SPEAKER << side)
    )
    head.state &= ~(3 * STATE_SPEAKER * speaks)
    head.state |= STATE_SPEAKER * speaks << side
    if id and (
        id < mine.sample_limit or not head.marks & MARK_TAIL_SAMPLE << side
    ):
        microseconds = <uint32_t>(packet.time // 1000)
        if (
            packet.time == NO_TIME
            or head.start == NO_TIME
            or packet.time - head.start >= SAMPLE_TIME_SPAN
        ):
            microseconds = UINT32_MAX
        if not head.marks & MARK_SAMPLE << side:
            head.marks |= MARK_SAMPLE << side
            mine.sample_limit = id
            cold.sides[side].sample_time = microseconds
        else:
            prefetch_write(&tail.sides[side])
            sample = &samples[put_off[0]]
            sample.hot = flow
            sample.cold = cold
            sample.tail = &tail.sides[side]
            sample.side = side
            sample.id = id
            sample.microseconds = microseconds
            put_off[0] += 1
    if likely_false(packet.quoted != NULL):
        table.count_quoted(packet)


cdef inline uint64_t segment_id(const Packet* packet) noexcept nogil:
    """Tell a TCP segment from others by what NAT, offloads and cuts leave alone.

    What acknowledges has the numbers of what is sent next, payload or FIN. Offloads
    change the length of segments with much payload alone, and few cuts leave numbers
    without flags.
    """
    cdef uint64_t kind = packet.segment_length
    kind |= <uint64_t>(packet.tcp_flags & TCP_FIN) << 6
    return fold_multiply(
        (<uint64_t>packet.seq << 32 | packet.ack) ^ ID_1, ID_2 ^ kind
    )


cdef uint32_t find(FlowTable table, const Lookup* key, uint32_t* slot) noexcept nogil:
    """Give the number plus one of the record, or 0 and the slot for a new one."""
    cdef uint32_t at = <uint32_t>(<uint64_t>key.hash * table.slots >> 32)
    cdef uint32_t room = UINT32_MAX
    cdef uint64_t entry
    cdef uint32_t record
    cdef FlowHead* head
    while True:
        entry = table.index[at]
        if entry >> 32 == key.hash:
            record = <uint32_t>entry
            head = &table.hot[(record - 1) >> SEGMENT_BITS][
                (record - 1) & SEGMENT_MASK
            ].head
            if likely_true(same_key(head, key)):
                slot[0] = at
                return record
        elif entry == SLOT_EMPTY:
            slot[0] = at if room == UINT32_MAX else room
            return 0
        elif entry == SLOT_REMOVED and room == UINT32_MAX:
            room = at
        at += 1
        if at == table.slots:
            at = 0


cdef inline uint64_t hash_of_tunnel(
    FlowTable table, const Packet* packet, uint8_t* swapped
) noexcept nogil:
    """Hash (type, VNI, unordered endpoints) of a tunnel; odd, so never 0.

    A seeded hash of 64 bits stands for the whole key, so that a packet touches one
    cache line to find the number.
    """
    cdef const Address* a = &packet.outer_src
    cdef const Address* b = &packet.outer_dst
    cdef uint64_t kind = (
        <uint64_t>packet.ip_vni << 16 | packet.ip_tunnel << 8
        | packet.outer_version << 1 | ((packet.has & HAS_IP_VNI) != 0)
    )
    cdef uint64_t hashed, swap
    if likely_true(packet.outer_version == 4):
        swapped[0] = a.low > b.low
        swap = (a.low ^ b.low) & -<uint64_t>swapped[0]
        hashed = (a.low ^ swap) << 32 | (b.low ^ swap)
    else:
        swapped[0] = a.high > b.high or (a.high == b.high and a.low > b.low)
        if swapped[0]:
            a, b = b, a
        hashed = fold_multiply(a.low ^ table.seeds[0], b.low ^ table.seeds[1])
        hashed ^= fold_multiply(a.high ^ table.seeds[2], b.high ^ hashed)
    return fold_multiply(hashed ^ table.seeds[2], kind ^ table.seeds[0]) | 1


cdef inline uint32_t number_of_tunnel(
    FlowTable table, const Packet* packet, uint64_t hashed, const Lookup* key
) noexcept nogil:
    """Number tunnels from 1, in order of appearance."""
    cdef uint32_t mask = 2 * table.tunnel_capacity - 1
    cdef uint32_t at = <uint32_t>(hashed >> 20) & mask
    while table.tunnel_slots[at].key:
        if likely_true(table.tunnel_slots[at].key == hashed):
            return table.tunnel_slots[at].number
        at = (at + 1) & mask
    return table.add_tunnel(packet, hashed, key.outer_swapped != key.side)


cdef inline bint same_key(const void* head, const void* key) noexcept nogil:
    """Compare the first KEY_OCTETS of a record and a look-up."""
    return (
        raw64(head) == raw64(key)
        and raw64(<const uint8_t*>head + 8) == raw64(<const uint8_t*>key + 8)
        and raw32(<const uint8_t*>head + 16) == raw32(<const uint8_t*>key + 16)
    )


cdef inline void follow_cut_sequence(
    FlowHot* flow, FlowCold* cold, const Packet* packet, int side
) noexcept nogil:
    """Follow sequence numbers alone, where the capture has cut the header length."""
    cdef FlowSide* mine = &flow.sides[side]
    if not flow.head.state & STATE_SEQ << side:
        flow.head.state |= STATE_SEQ << side
        cold.sides[side].seq_start = mine.seq_end = packet.seq
        flow.head.marks &= ~(MARK_GAP << side)
    elif <int32_t>(packet.seq - mine.seq_end) > 0:
        mine.seq_end = packet.seq
