"""What the flows of all captures show at a glance: addresses, points and tunnels."""

cimport cython

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

import secrets

from analyzer._cext.arrays cimport Arrays, Values, is_known, u8_of, u32_of, u64_of
from cext.conversation cimport PROTOCOL_COLUMNS, is_conversation
from cext.flow_schema cimport (
    COLUMN_COUNT,
    END_TIME,
    ORIGINATOR_IP,
    ORIGINATOR_TTL,
    OUTER_ORIGINATOR_IP,
    POINT,
    START_TIME,
)
from cext.keymap cimport KeyMap, KeySlot, close_keys, open_keys, slot_for

# What is known of an address.
cdef enum:
    IS_SEEN = 1
    IS_INSIDE = 2               # of a tunnel
    IS_OWN = 4                  # it sent with a TTL that nobody had lowered


cdef struct Place:
    uint32_t point
    int64_t start               # of conversations
    int64_t end
    uint64_t conversations


cdef struct Pair:
    size_t place
    uint32_t ends[2]            # outer addresses, the originator's first
    uint64_t flows
    uint64_t conversations


@cython.final
cdef class Survey:
    """Look at every flow once.

    Parameters
    ----------
    protocols : Arrays
        See :mod:`analyzer.correlate.flow_arrays`.
    about : writable buffer of u8
        One octet per code of an address, 0 to begin with: 1 is added where it was seen,
        2 where it was inside of a tunnel, 4 if it sent into one with a TTL that hosts
        begin with.
    low, high : writable buffer of u32
        The least and the greatest code of the outer addresses on its side, where it was
        inside of a tunnel.
    """

    cdef Arrays protocols
    cdef uint8_t[::1] about
    cdef uint32_t[::1] low
    cdef uint32_t[::1] high
    cdef KeyMap numbers         # of points, from 1
    cdef KeyMap ways            # between outer addresses
    cdef KeyMap numbers_of_pairs
    cdef Place* all_places
    cdef Pair* all_pairs

    def __cinit__(
        self,
        Arrays protocols,
        uint8_t[::1] about,
        uint32_t[::1] low,
        uint32_t[::1] high,
    ):
        cdef uint64_t seed = secrets.randbits(64)
        if protocols.count != PROTOCOL_COLUMNS:
            raise ValueError("columns of protocols are missing")
        if not about.shape[0] == low.shape[0] == high.shape[0]:
            raise ValueError("as much is known of every address")
        self.protocols = protocols
        self.about, self.low, self.high = about, low, high
        if not (
            open_keys(&self.numbers, seed)
            and open_keys(&self.ways, seed)
            and open_keys(&self.numbers_of_pairs, seed)
        ):
            raise MemoryError

    def __dealloc__(self):
        close_keys(&self.numbers)
        close_keys(&self.ways)
        close_keys(&self.numbers_of_pairs)
        free(self.all_places)
        free(self.all_pairs)

    def add(self, Arrays flows):
        """Look at some flows, see :mod:`analyzer.correlate.flow_arrays`."""
        cdef Py_ssize_t row
        cdef bint has_memory = True
        if flows.count != COLUMN_COUNT:
            raise ValueError("columns of flows are missing")
        with nogil:
            for row in range(flows.rows):
                has_memory = self.look_at(flows.columns, row)
                if not has_memory:
                    break
        if not has_memory:
            raise MemoryError

    def places(self):
        """List the points: code, start and end (ns) and number of conversations.

        Start and end are None where no conversation has a time.
        """
        cdef const Place* place
        cdef size_t at
        found = []
        for at in range(self.numbers.count):
            place = &self.all_places[at]
            found.append(
                (
                    place.point,
                    None if place.start == INT64_MAX else place.start,
                    None if place.end == INT64_MIN else place.end,
                    place.conversations,
                )
            )
        return found

    def pairs(self):
        """List the tunnels of each point.

        Codes of the point and of both outer addresses, the originator's first, number
        of flows and of conversations.
        """
        cdef const Pair* pair
        cdef size_t at
        found = []
        for at in range(self.numbers_of_pairs.count):
            pair = &self.all_pairs[at]
            point = self.all_places[pair.place].point
            found.append(
                (point, pair.ends[0], pair.ends[1], pair.flows, pair.conversations)
            )
        return found

    cdef bint look_at(self, const Values* flow, Py_ssize_t row) noexcept nogil:
        cdef bint is_talk = is_conversation(self.protocols, flow, row)
        cdef bint is_tunneled = is_known(&flow[OUTER_ORIGINATOR_IP], row)
        cdef size_t place = 0
        cdef int side
        for side in range(2):
            self.see(&flow[ORIGINATOR_IP + 2 * side], row)
            self.see(&flow[OUTER_ORIGINATOR_IP + side], row)
            if is_talk and is_tunneled:
                self.see_inside(flow, side, row)
        if not self.meet(flow, row, is_talk, &place):
            return False
        return not is_tunneled or self.pass_through(flow, row, is_talk, place)

    cdef void see(self, const Values* addresses, Py_ssize_t row) noexcept nogil:
        if is_known(addresses, row):
            self.about[u32_of(addresses, row)] |= IS_SEEN

    cdef void see_inside(
        self, const Values* flow, int side, Py_ssize_t row
    ) noexcept nogil:
        cdef const Values* ttl = &flow[ORIGINATOR_TTL + side]
        cdef const Values* outer = &flow[OUTER_ORIGINATOR_IP + side]
        cdef const Values* inner = &flow[ORIGINATOR_IP + 2 * side]
        cdef uint32_t address, node
        if not (is_known(inner, row) and is_known(outer, row)):
            return
        address, node = u32_of(inner, row), u32_of(outer, row)
        if not self.about[address] & IS_INSIDE:
            self.low[address] = self.high[address] = node
        self.low[address] = min(self.low[address], node)
        self.high[address] = max(self.high[address], node)
        self.about[address] |= IS_INSIDE
        # See analyzer.cluster.inferred.INITIAL_TTLS.
        if is_known(ttl, row) and u8_of(ttl, row) in (64, 128, 255):
            self.about[address] |= IS_OWN

    cdef bint meet(
        self, const Values* flow, Py_ssize_t row, bint is_talk, size_t* number
    ) noexcept nogil:
        """Note that something was seen at a point; False if no memory is left."""
        cdef uint32_t point = u32_of(&flow[POINT], row)
        cdef KeySlot* slot = slot_for(&self.numbers, point)
        cdef void* grown
        cdef Place* place
        if slot == NULL:
            return False
        if not slot.number:
            grown = with_room(self.all_places, self.numbers.count, sizeof(Place))
            if grown == NULL:
                return False
            self.all_places = <Place*>grown
            slot.number = self.numbers.count
            self.all_places[slot.number - 1] = Place(point, INT64_MAX, INT64_MIN, 0)
        number[0] = slot.number - 1
        if is_talk:
            place = &self.all_places[number[0]]
            place.conversations += 1
            if is_known(&flow[START_TIME], row):
                place.start = min(place.start, <int64_t>u64_of(&flow[START_TIME], row))
            if is_known(&flow[END_TIME], row):
                place.end = max(place.end, <int64_t>u64_of(&flow[END_TIME], row))
        return True

    cdef bint pass_through(
        self, const Values* flow, Py_ssize_t row, bint is_talk, size_t place
    ) noexcept nogil:
        """Note that something was in a tunnel; False if no memory is left."""
        cdef uint32_t ends[2]
        cdef KeySlot* way
        cdef KeySlot* slot
        cdef void* grown
        cdef Pair* pair
        cdef int side
        for side in range(2):
            if not is_known(&flow[OUTER_ORIGINATOR_IP + side], row):
                return True
            ends[side] = u32_of(&flow[OUTER_ORIGINATOR_IP + side], row)
        way = slot_for(&self.ways, <uint64_t>ends[0] << 32 | ends[1])
        if way == NULL:
            return False
        if not way.number:
            way.number = self.ways.count
        slot = slot_for(&self.numbers_of_pairs, <uint64_t>place << 32 | way.number)
        if slot == NULL:
            return False
        if not slot.number:
            grown = with_room(self.all_pairs, self.numbers_of_pairs.count, sizeof(Pair))
            if grown == NULL:
                return False
            self.all_pairs = <Pair*>grown
            slot.number = self.numbers_of_pairs.count
            pair = &self.all_pairs[slot.number - 1]
            pair.place, pair.flows, pair.conversations = place, 0, 0
            pair.ends[0], pair.ends[1] = ends[0], ends[1]
        pair = &self.all_pairs[slot.number - 1]
        pair.flows += 1
        pair.conversations += is_talk
        return True


cdef void* with_room(void* items, size_t count, size_t size) noexcept nogil:
    """Give as many items with room for the last of `count`; NULL: no memory is left."""
    if count & (count - 1):
        return items            # the last power of two made room for it
    return realloc(items, 2 * count * size)
