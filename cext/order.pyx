"""What hangs on the order of a capture's packets, whichever thread decodes them.

Observation points are numbered as they appear, the ports of a first fragment go to
those that follow, copies of a packet that was just seen are marked, and the flow tables
are swept after fixed packet numbers. All else about a packet is found without the
others, or with those of its flow alone.

What is remembered of fragments and copies is bounded: a later datagram takes the place
of one with the same hash. The hash has no seed, so that the same capture always loses
the same; to collide on purpose gains nothing but a fragment without ports.
"""

cimport cython

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

from cext.cursor cimport fold_multiply, likely_false, likely_true
from cext.frame cimport NO_TIME
from cext.icmp_key cimport icmp_ports
from cext.packet cimport (
    HAS_ACK,
    HAS_DIGEST,
    HAS_ICMP,
    HAS_PORTS,
    HAS_SEQ,
    IS_COOKED_V1,
    IS_COPY,
    IS_FRAGMENT,
    IS_JOINED,
    IS_LATER_FRAGMENT,
    Packet,
)

cdef enum:
    MOST_POINTS = 65535
    FRAGMENT_SLOTS = 1 << 14
    SIGHTING_SLOTS = 1 << 16
    TICK = 4096             # packets between two chances to sweep the flow tables

cdef extern from *:
    """
    /* RFC 8200 section 4.5 */
    #define FRAGMENT_LIFE ((int64_t)60 * 1000000000)
    /* One packet passes the devices of one host within this time. */
    #define COPY_WINDOW ((int64_t)5000000)

    #define ORDER_1 ((uint64_t)0xA0761D6478BD642F)  /* odd constants of wyhash */
    #define ORDER_2 ((uint64_t)0xE7037ED1A0B428DB)
    #define ORDER_3 ((uint64_t)0x8EBC6AF09C88C6E3)
    """
    const int64_t FRAGMENT_LIFE
    const int64_t COPY_WINDOW
    const uint64_t ORDER_1
    const uint64_t ORDER_2
    const uint64_t ORDER_3


@cython.final
cdef class PacketOrder:
    """Put the packets of one capture after another in order.

    Parameters
    ----------
    sweep_interval : int
        Nanoseconds of capture time between two sweeps of the flow tables.
    """

    def __cinit__(self, int64_t sweep_interval):
        self.sweep_interval = sweep_interval
        self.point_capacity = 16
        self.points = <PointKey*>malloc(self.point_capacity * sizeof(PointKey))
        self.fragments = <FragmentEntry*>calloc(FRAGMENT_SLOTS, sizeof(FragmentEntry))
        self.sightings = <SightingEntry*>calloc(SIGHTING_SLOTS, sizeof(SightingEntry))
        if not (self.points and self.fragments and self.sightings):
            raise MemoryError
        self.begin_capture()

    def __dealloc__(self):
        free(self.points)
        free(self.fragments)
        free(self.sightings)

    def begin_capture(self):
        """Forget the packets of the capture before; points go on being numbered."""
        self.point_base = self.last_point = self.point_count
        memset(self.fragments, 0, FRAGMENT_SLOTS * sizeof(FragmentEntry))
        memset(self.sightings, 0, SIGHTING_SLOTS * sizeof(SightingEntry))
        self.packets = 0
        self.now = self.swept = NO_TIME

    @property
    def capture_points(self):
        """Observation points of this capture: number -> (interface, SLL2 index)."""
        return {
            index: (self.points[index].interface, self.points[index].link_interface)
            for index in range(self.point_base, self.point_count)
        }

    cdef Sweep arrange(self, Packet* packets, int count) noexcept nogil:
        """Take the next packets, at most TICK; say whether and where to sweep."""
        cdef int index
        cdef int tick = TICK - <int>(self.packets % TICK)
        cdef Packet* packet
        cdef const PointKey* point
        cdef Sweep sweep
        sweep.after = -1
        for index in range(count):
            packet = &packets[index]
            point = &self.points[self.last_point]
            if likely_true(
                self.last_point < self.point_count
                and packet.interface == point.interface
                and packet.link_interface == point.link_interface
            ):
                packet.point = self.last_point
            else:
                packet.point = self.point_of(packet.interface, packet.link_interface)
            if likely_false((packet.has & (IS_FRAGMENT | IS_COOKED_V1)) != 0):
                if packet.has & IS_FRAGMENT:
                    self.join_fragment(packet)
                if packet.has & IS_COOKED_V1:
                    self.mark_copy(packet)
            if packet.time > self.now:
                if likely_false(self.now == NO_TIME):
                    self.swept = packet.time
                self.now = packet.time
            if likely_false(index + 1 == tick) and self.now != NO_TIME:
                if self.now - self.swept >= self.sweep_interval:
                    self.swept = self.now
                    self.sweeps += 1
                    sweep.after = tick
                    sweep.now = self.now
                    sweep.number = self.sweeps
        self.packets += count
        return sweep

    cdef uint32_t point_of(
        self, uint32_t interface, uint32_t link_interface
    ) noexcept nogil:
        """Number the observation points of all captures in order of appearance."""
        cdef uint32_t index = self.point_base
        cdef PointKey* larger
        while index < self.point_count and not (
            self.points[index].interface == interface
            and self.points[index].link_interface == link_interface
        ):
            index += 1
        if index == self.point_count:
            if index == MOST_POINTS:
                return index - 1    # the rest share the last
            if index == self.point_capacity:
                larger = <PointKey*>realloc(
                    self.points, 2 * self.point_capacity * sizeof(PointKey)
                )
                if larger == NULL:
                    self.out_of_memory = True
                    return index - 1
                self.points = larger
                self.point_capacity *= 2
            self.points[index].interface = interface
            self.points[index].link_interface = link_interface
            self.point_count += 1
        self.last_point = index
        return index

    cdef void join_fragment(self, Packet* packet) noexcept nogil:
        """Remember the ports of a first fragment, or recall them for a later one.

        Those of ICMP are what stands for ports in its key.
        """
        cdef uint64_t hashed = fold_multiply(
            hash_of_ends(packet) ^ packet.fragment_id, ORDER_1
        )
        cdef FragmentEntry* entry
        cdef uint16_t ports[2]
        entry = &self.fragments[hashed & (FRAGMENT_SLOTS - 1)]
        if not packet.has & IS_LATER_FRAGMENT:
            if packet.has & (HAS_PORTS | HAS_ICMP):
                if packet.has & HAS_ICMP:
                    icmp_ports(packet, &ports[0], &ports[1])
                else:
                    ports[0], ports[1] = packet.src_port, packet.dst_port
                entry.datagram = hashed
                entry.time = packet.time
                entry.src_port, entry.dst_port = ports[0], ports[1]
        elif entry.datagram == hashed and (
            packet.time - entry.time <= FRAGMENT_LIFE or packet.time == NO_TIME
        ):
            packet.src_port = entry.src_port
            packet.dst_port = entry.dst_port
            packet.has |= IS_JOINED

    cdef void mark_copy(self, Packet* packet) noexcept nogil:
        """Mark what SLL shows again that passed another interface just now."""
        cdef uint64_t hashed = hash_of_ends(packet) ^ packet.ip_length
        # What a packet does not have is what the one before it left there.
        cdef uint64_t told = packet.tcp_flags
        cdef SightingEntry* entry
        if packet.ip_version == 4:
            told |= <uint64_t>packet.ip_id << 8
        hashed = fold_multiply(hashed, ORDER_1 ^ told)
        told = <uint64_t>packet.seq << 32 if packet.has & HAS_SEQ else 0
        if packet.has & HAS_ACK:
            told |= packet.ack
        hashed = fold_multiply(hashed ^ told, ORDER_2 ^ packet.payload_length)
        if packet.has & (HAS_PORTS | IS_JOINED):
            hashed = fold_multiply(
                hashed ^ (<uint64_t>packet.src_port << 16 | packet.dst_port), ORDER_3
            )
        if packet.has & HAS_DIGEST:
            hashed ^= packet.digest
        entry = &self.sightings[hashed & (SIGHTING_SLOTS - 1)]
        if (
            entry.packet == hashed
            and 0 <= packet.time - entry.time <= COPY_WINDOW
            and packet.time != NO_TIME
        ):
            packet.has |= IS_COPY
            return
        entry.packet = hashed
        entry.time = packet.time


cdef inline uint64_t hash_of_ends(const Packet* packet) noexcept nogil:
    """Hash what the packets of one direction share, but for ports."""
    cdef uint64_t hashed = fold_multiply(
        packet.src.low ^ ORDER_1, packet.dst.low ^ ORDER_2
    )
    if packet.ip_version == 6:
        hashed = fold_multiply(hashed ^ packet.src.high, packet.dst.high ^ ORDER_3)
    if packet.ip_layers > 1:
        hashed = fold_multiply(
            hashed ^ packet.outer_src.low, packet.outer_dst.low ^ ORDER_1
        )
        if packet.outer_version == 6:
            hashed = fold_multiply(
                hashed ^ packet.outer_src.high, packet.outer_dst.high ^ ORDER_3
            )
        hashed = fold_multiply(hashed ^ packet.ip_vni, ORDER_2 ^ packet.ip_tunnel)
    return fold_multiply(
        hashed ^ <uint64_t>packet.point << 8, ORDER_3 ^ packet.protocol
    )
