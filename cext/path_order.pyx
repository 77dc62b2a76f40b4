"""Sightings of each connection in the order in which its client's packets pass them.

What the order is, and why, is said in :func:`analyzer.correlate.legs.in_path_order`.
"""

cimport cython

from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

import secrets

from analyzer._cext.arrays cimport (
    Arrays,
    Values,
    bool_of,
    is_known,
    u8_of,
    u32_of,
    u64_of,
)
from cext.grouped cimport put_in_order, sort_numbers
from cext.keymap cimport (
    KeyMap,
    close_keys,
    number_of,
    open_keys,
    set_number,
)

cdef enum:
    PORT_BITS = 16
    ADDRESS_BITS = 32
    NO_TTL = 256                # above any that was seen

# Sides of a host, in the order in which the client's packets reach them.
cdef enum:
    CLIENT_ITSELF
    CLIENT_SIDE
    NO_SIDE
    SERVER_SIDE
    SERVER_ITSELF

# Columns of sightings; those of a side are there twice.
cdef enum:
    GROUP
    FLOW
    ENDS
    HOST
    POINT
    IS_TUNNELED
    IS_INITIAL
    PASSED
    END
    END_OF_SERVER
    TTL
    TTL_OF_SERVER
    OUTER
    OUTER_OF_SERVER
    COLUMNS


cdef struct Sighting:
    uint64_t ends
    int64_t passed              # INT64_MAX: not known
    int64_t host_passed         # when the first of its leg, TTL and host was
    int64_t place_passed        # when the first of its place was
    uint64_t outer[2]           # codes of addresses, plus one; 0: none
    uint32_t address[2]
    int ttl[2]                  # -1: not known
    uint32_t row
    uint32_t flow
    uint32_t leg                # number of its tuple; at last, in order of the path
    uint32_t host
    uint32_t point
    int side
    bint is_tunneled
    bint is_initial
    bint is_behind              # of two that the same packet passed at one moment


cdef struct Leg:
    int64_t passed
    uint64_t outer[2]           # the greatest
    int ttl                     # the greatest of the client
    int reply_ttl               # the least of the server
    uint32_t first_flow
    uint32_t number


@cython.final
cdef class PathOrder:
    """Sort sightings.

    Parameters
    ----------
    addresses : Arrays
        Nodes that captured and their addresses outside of tunnels: ``host`` and code
        (u32).
    hosts : Arrays
        One column: hosts (u32) that are nodes. Where `addresses` is empty, no host has
        a side.
    own : Arrays
        One column: codes (u32) of all addresses that nodes have, in tunnels, too.
    """

    cdef KeyMap addresses
    cdef KeyMap hosts
    cdef KeyMap own
    cdef bint has_sides
    cdef Sighting* sightings    # of one group at a time
    cdef Leg* legs
    cdef uint32_t* numbers      # of sightings, of legs, and room to sort them
    cdef Py_ssize_t capacity
    cdef uint32_t leg_count

    def __cinit__(self, Arrays addresses, Arrays hosts, Arrays own):
        cdef uint64_t seed = secrets.randbits(64)
        if not (
            open_keys(&self.addresses, seed)
            and open_keys(&self.hosts, seed)
            and open_keys(&self.own, seed)
        ):
            raise MemoryError
        if addresses.count != 2 or hosts.count != 1 or own.count != 1:
            raise ValueError("columns of addresses or hosts are missing")
        if not (
            put_all(&self.addresses, addresses)
            and put_all(&self.hosts, hosts)
            and put_all(&self.own, own)
        ):
            raise MemoryError
        self.has_sides = addresses.rows > 0

    def __dealloc__(self):
        close_keys(&self.addresses)
        close_keys(&self.hosts)
        close_keys(&self.own)
        free(self.sightings)
        free(self.legs)
        free(self.numbers)

    def sort(self, Arrays seen, uint32_t[::1] order, uint32_t[::1] legs):
        """Write which sighting comes where, and of which leg it is.

        Parameters
        ----------
        seen : Arrays
            ``group``, ``flow`` (u32), ``ends`` (u64), ``host`` (u32), ``point`` (u32,
            in the order of their names), ``is_tunneled``, whether the TTL of the client
            is one that hosts begin with (bool), when its packet passed (i64, null if
            that cannot be compared), and of client and server the end (u64), the TTL
            (u8) and the end of the tunnel (u32).
        order : buffer of u32
            Rows of sightings, in order.
        legs : buffer of u32
            The leg of each of them, in the same order.
        """
        cdef Py_ssize_t rows = seen.rows, first = 0, last, most = 0
        cdef const uint32_t* groups
        if seen.count != COLUMNS:
            raise ValueError("columns of sightings are missing")
        if order.shape[0] != rows or legs.shape[0] != rows:
            raise ValueError("a place in the order and a leg per row are needed")
        if rows == 0:
            return
        groups = <const uint32_t*>seen.columns[GROUP].data
        if not put_in_order(groups, rows, &order[0]):
            raise MemoryError
        while first < rows:
            last = end_of_group(groups, &order[0], rows, first)
            most = max(most, last - first)
            first = last
        self.make_room(most)
        self.leg_count = 0
        first = 0
        with nogil:
            while first < rows:
                last = end_of_group(groups, &order[0], rows, first)
                self.sort_group(seen.columns, &order[first], &legs[first], last - first)
                first = last

    cdef int make_room(self, Py_ssize_t count) except -1:
        free(self.sightings)
        free(self.legs)
        free(self.numbers)
        self.sightings = <Sighting*>malloc(count * sizeof(Sighting))
        self.legs = <Leg*>malloc(count * sizeof(Leg))
        self.numbers = <uint32_t*>malloc(3 * count * sizeof(uint32_t))
        self.capacity = count
        if self.sightings == NULL or self.legs == NULL or self.numbers == NULL:
            raise MemoryError
        return 0

    cdef void sort_group(
        self,
        const Values* seen,
        uint32_t* order,
        uint32_t* legs,
        Py_ssize_t count,
    ) noexcept nogil:
        cdef uint32_t* numbers = self.numbers
        cdef uint32_t* spare = numbers + 2 * self.capacity
        cdef const Sighting* sighting
        cdef Py_ssize_t at
        for at in range(count):
            take(seen, order[at], &self.sightings[at])
            numbers[at] = <uint32_t>at
        sort_numbers(numbers, spare, count, has_lesser_ends, self.sightings)
        self.find_legs(count)
        for at in range(count):
            self.find_side(&self.sightings[at])
        sort_numbers(numbers, spare, count, is_of_lesser_place, self.sightings)
        self.find_passing(count)
        sort_numbers(numbers, spare, count, is_earlier, self.sightings)
        for at in range(count):
            sighting = &self.sightings[numbers[at]]
            order[at] = sighting.row
            legs[at] = self.leg_count + sighting.leg
        self.leg_count += self.sightings[numbers[count - 1]].leg + 1

    cdef void find_legs(self, Py_ssize_t count) noexcept nogil:
        """Number the tuples of a group in their order; numbers are sorted by ends."""
        cdef uint32_t* numbers = self.numbers
        cdef uint32_t* in_order = numbers + self.capacity
        cdef uint32_t legs = 0, leg
        cdef Py_ssize_t at
        cdef Sighting* sighting
        cdef const Leg* leg_of
        for at in range(count):
            sighting = &self.sightings[numbers[at]]
            if at == 0 or sighting.ends != self.sightings[numbers[at - 1]].ends:
                begin_leg(&self.legs[legs])
                legs += 1
            sighting.leg = legs - 1
            add_to_leg(&self.legs[legs - 1], sighting)
        for leg in range(legs):
            in_order[leg] = leg
            if self.legs[leg].ttl < 0:
                self.legs[leg].ttl = NO_TTL
        sort_numbers(
            in_order, in_order + self.capacity, legs, is_earlier_leg, self.legs
        )
        for leg in range(legs):
            self.legs[in_order[leg]].number = leg
        for at in range(count):
            sighting = &self.sightings[at]
            leg_of = &self.legs[sighting.leg]
            if sighting.ttl[0] < 0:
                sighting.ttl[0] = leg_of.ttl
            sighting.leg = leg_of.number
            # Without its tunnel, a packet goes where others of its tuple go in it, else
            # from one address to the other.
            if not sighting.outer[0] and leg_of.outer[0]:
                sighting.address[0] = <uint32_t>(leg_of.outer[0] - 1)
            if not sighting.outer[1] and leg_of.outer[1]:
                sighting.address[1] = <uint32_t>(leg_of.outer[1] - 1)

    cdef void find_side(self, Sighting* sighting) noexcept nogil:
        """Find at which side of the connection's tunnel a sighting's host is."""
        cdef uint64_t host = <uint64_t>sighting.host << ADDRESS_BITS
        sighting.side = NO_SIDE
        if self.has_sides:
            if not number_of(&self.hosts, sighting.host):
                # Where a node calls, who is no node is the server.
                sighting.side = SERVER_ITSELF
                if sighting.is_initial and not number_of(
                    &self.own, sighting.address[0]
                ):
                    sighting.side = CLIENT_ITSELF
            elif number_of(&self.addresses, host | sighting.address[0]):
                sighting.side = CLIENT_SIDE
            elif number_of(&self.addresses, host | sighting.address[1]):
                sighting.side = SERVER_SIDE
        # As it came, in its tunnel, and without: taking a packet out does not stamp it
        # anew. Putting it in does.
        sighting.is_behind = sighting.is_tunneled == (
            sighting.side == CLIENT_SIDE
        )

    cdef void find_passing(self, Py_ssize_t count) noexcept nogil:
        """Find when hosts and places were passed; numbers are sorted by place."""
        cdef const uint32_t* numbers = self.numbers
        cdef Py_ssize_t host = 0, place = 0, at, index
        cdef int64_t host_passed = INT64_MAX, place_passed = INT64_MAX
        cdef const Sighting* here
        cdef const Sighting* next_
        for at in range(count):
            here = &self.sightings[numbers[at]]
            host_passed = min(host_passed, here.passed)
            place_passed = min(place_passed, here.passed)
            next_ = &self.sightings[numbers[at + 1]] if at + 1 < count else NULL
            if next_ == NULL or not is_one_place(here, next_):
                for index in range(place, at + 1):
                    self.sightings[numbers[index]].place_passed = place_passed
                place, place_passed = at + 1, INT64_MAX
            if next_ == NULL or not is_one_host(here, next_):
                for index in range(host, at + 1):
                    self.sightings[numbers[index]].host_passed = host_passed
                host, host_passed = at + 1, INT64_MAX


cdef inline Py_ssize_t end_of_group(
    const uint32_t* groups, const uint32_t* order, Py_ssize_t rows, Py_ssize_t first
) noexcept nogil:
    """Find the place behind the last sighting of a group."""
    cdef Py_ssize_t last = first + 1
    while last < rows and groups[order[last]] == groups[order[first]]:
        last += 1
    return last


cdef bint put_all(KeyMap* map, Arrays keys) noexcept nogil:
    """Put keys of one or two columns into a table."""
    cdef Py_ssize_t row
    cdef uint64_t key
    for row in range(keys.rows):
        key = u32_of(&keys.columns[0], row)
        if keys.count > 1:
            key = key << ADDRESS_BITS | u32_of(&keys.columns[1], row)
        if not set_number(map, key, 1):
            return False
    return True


cdef inline void take(
    const Values* seen, uint32_t row, Sighting* sighting
) noexcept nogil:
    cdef int side
    sighting.row = row
    sighting.flow = u32_of(&seen[FLOW], row)
    sighting.ends = u64_of(&seen[ENDS], row)
    sighting.host = u32_of(&seen[HOST], row)
    sighting.point = u32_of(&seen[POINT], row)
    sighting.is_tunneled = bool_of(&seen[IS_TUNNELED], row)
    sighting.is_initial = bool_of(&seen[IS_INITIAL], row)
    sighting.passed = INT64_MAX
    if is_known(&seen[PASSED], row):
        sighting.passed = <int64_t>u64_of(&seen[PASSED], row)
    for side in range(2):
        sighting.ttl[side] = -1
        if is_known(&seen[TTL + side], row):
            sighting.ttl[side] = u8_of(&seen[TTL + side], row)
        sighting.outer[side] = 0
        sighting.address[side] = <uint32_t>(
            u64_of(&seen[END + side], row) >> PORT_BITS
        )
        if is_known(&seen[OUTER + side], row):
            sighting.address[side] = u32_of(&seen[OUTER + side], row)
            sighting.outer[side] = <uint64_t>sighting.address[side] + 1


cdef inline void begin_leg(Leg* leg) noexcept nogil:
    leg.passed = INT64_MAX
    leg.outer[0] = leg.outer[1] = 0
    leg.ttl = -1
    leg.reply_ttl = NO_TTL
    leg.first_flow = <uint32_t>-1


cdef inline void add_to_leg(Leg* leg, const Sighting* sighting) noexcept nogil:
    leg.passed = min(leg.passed, sighting.passed)
    leg.outer[0] = max(leg.outer[0], sighting.outer[0])
    leg.outer[1] = max(leg.outer[1], sighting.outer[1])
    leg.ttl = max(leg.ttl, sighting.ttl[0])
    if sighting.ttl[1] >= 0:
        leg.reply_ttl = min(leg.reply_ttl, sighting.ttl[1])
    # Numbers of addresses, and so of ends, are other ones in another process.
    leg.first_flow = min(leg.first_flow, sighting.flow)


# Each tells whether one sighting, or leg, comes before the other.

cdef bint has_lesser_ends(const void* of, uint32_t one, uint32_t other) noexcept nogil:
    cdef const Sighting* sightings = <const Sighting*>of
    return sightings[one].ends < sightings[other].ends


cdef bint is_earlier_leg(const void* of, uint32_t one, uint32_t other) noexcept nogil:
    cdef const Leg* a = &(<const Leg*>of)[one]
    cdef const Leg* b = &(<const Leg*>of)[other]
    if a.ttl != b.ttl:
        return a.ttl > b.ttl
    if a.reply_ttl != b.reply_ttl:
        return a.reply_ttl > b.reply_ttl
    if a.passed != b.passed:
        return a.passed < b.passed
    return a.first_flow < b.first_flow


cdef bint is_of_lesser_place(
    const void* of, uint32_t one, uint32_t other
) noexcept nogil:
    cdef const Sighting* a = &(<const Sighting*>of)[one]
    cdef const Sighting* b = &(<const Sighting*>of)[other]
    if a.leg != b.leg:
        return a.leg < b.leg
    if a.ttl[0] != b.ttl[0]:
        return a.ttl[0] > b.ttl[0]
    if a.host != b.host:
        return a.host < b.host
    if a.point != b.point:
        return a.point < b.point
    if a.is_tunneled != b.is_tunneled:
        return b.is_tunneled
    return a.outer[0] < b.outer[0]


cdef bint is_earlier(const void* of, uint32_t one, uint32_t other) noexcept nogil:
    cdef const Sighting* a = &(<const Sighting*>of)[one]
    cdef const Sighting* b = &(<const Sighting*>of)[other]
    if a.leg != b.leg:
        return a.leg < b.leg
    if a.ttl[0] != b.ttl[0]:
        return a.ttl[0] > b.ttl[0]
    if a.side != b.side:
        return a.side < b.side
    if a.host_passed != b.host_passed:
        return a.host_passed < b.host_passed
    if a.host != b.host:
        return a.host < b.host
    if a.place_passed != b.place_passed:
        return a.place_passed < b.place_passed
    if a.is_behind != b.is_behind:
        return b.is_behind
    if a.point != b.point:
        return a.point < b.point
    return a.flow < b.flow


cdef inline bint is_one_host(const Sighting* a, const Sighting* b) noexcept nogil:
    return a.leg == b.leg and a.ttl[0] == b.ttl[0] and a.host == b.host


cdef inline bint is_one_place(const Sighting* a, const Sighting* b) noexcept nogil:
    return (
        is_one_host(a, b)
        and a.point == b.point
        and a.is_tunneled == b.is_tunneled
        and a.outer[0] == b.outer[0]
    )
