"""What two successive places on a connection's path saw of the same packets."""

cimport cython

from libc.math cimport NAN, ceil, fabs, isnan, rint
from libc.stdint cimport (
    INT64_MAX,
    INT64_MIN,
    int64_t,
    uint32_t,
    uint64_t,
)
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from analyzer._cext.arrays cimport (
    Arrays,
    Values,
    bool_of,
    is_known,
    u16_of,
    u32_of,
    u64_of,
)
from analyzer._cext.columns cimport Columns, put_bit, put_u32, put_u64
from cext.clock cimport AT, MORE_OF_CLOCKS, corrected, f64_of
from cext.cursor cimport prefetch_read
from cext.grouped cimport sort_numbers
from cext.path cimport (
    MORE_COLUMNS,
    POINT,
    compare_places,
    end_of_group,
    most_of_a_group,
)

cdef enum:
    SAMPLE_SIZE = 4             # packet ids that a flow keeps of each direction
    FULL_SEGMENT = 1460         # payload on Ethernet, where no SYN told
    UNKNOWN = -1                # segments that were lost
    AHEAD = 8                   # sightings whose packets are asked for in advance

# More columns of sightings; those of a side are there twice.
cdef enum:
    SAMPLE = MORE_COLUMNS
    HOST
    START
    END
    FRAGMENTS
    FLIPS
    IS_TCP
    CLIENT
    SERVER = CLIENT + 3
    COLUMNS = SERVER + 3

cdef enum:
    PACKETS
    PAYLOAD
    SEQ_START

# Arrays of sampled packets, of the originator and then of the responder.
cdef enum:
    OFFSETS
    IDS
    TIMES
    MSS
    SAMPLE_ARRAYS

# More columns of hosts' clocks.
cdef enum:
    REFERENCE = MORE_OF_CLOCKS
    BOUND
    DRIFT_BOUND
    CLOCK_COLUMNS

# Columns of sightings in any order; of packets there are two.
cdef enum:
    SPAN_POINT
    SPAN_START
    SPAN_END
    SPAN_PACKETS
    SPAN_COLUMNS = SPAN_PACKETS + 2

# Columns of hops.
cdef enum:
    TO_CONNECTION
    TO_DIRECTION
    TO_HOP
    TO_FROM_POINT
    TO_TO_POINT
    TO_SEGMENTS
    TO_MEDIAN
    TO_MOST
    TO_BOUND
    TO_LOST
    TO_CAPTURE_LOSS
    HOP_COLUMNS


cdef struct Point:
    int64_t since               # when its capture began, and ended
    int64_t until
    bint is_two_way             # it has both directions of anything


cdef struct Part:
    Py_ssize_t first            # of its rows
    Values arrays[2 * SAMPLE_ARRAYS]


cdef struct Sampled:
    const uint64_t* ids
    int64_t times[SAMPLE_SIZE]  # the reference's
    int count
    bint has_mss
    double mss


cdef struct Hop:
    int segments
    double median               # ns; NaN: not comparable, or no packet in common
    double most
    int64_t lost
    bint is_capture_loss


@cython.final
cdef class Hops:
    """Measure hops.

    Parameters
    ----------
    sightings : Arrays
        All of them, in any order: ``point`` (u32), ``start`` and ``end`` (i64, ns),
        packets of client and server (u64).
    samples : list of list of Arrays
        In parts, of originator and responder offsets of lists (i64), ids of packets
        (u64), their times (i64, ns) and segment size (u16).
    clocks : Arrays
        One row per host: ``offset``, ``drift``, ``at`` (f64), ``reference`` (u32),
        ``bound`` and ``drift_bound`` (f64) of its clock.
    resolution : float
        How exact times of one clock are (ns).
    margin : int
        How much before its first packet a capture may have begun, and how much behind
        its last one it may have ended (ns).
    """

    cdef Arrays clocks
    cdef list samples
    cdef Part* parts
    cdef Py_ssize_t part_count
    cdef double resolution
    cdef Point* points          # by their codes
    cdef uint32_t* places       # of one connection at a time, and room to sort them
    cdef Py_ssize_t capacity
    cdef Py_ssize_t point_count

    def __cinit__(
        self,
        Arrays sightings,
        list samples,
        Arrays clocks,
        double resolution,
        int64_t margin,
    ):
        if sightings.count != SPAN_COLUMNS or clocks.count != CLOCK_COLUMNS:
            raise ValueError("columns of sightings or clocks are missing")
        self.clocks, self.samples, self.resolution = clocks, samples, resolution
        self.take_parts(samples)
        self.find_spans(sightings, margin)

    def __dealloc__(self):
        free(self.parts)
        free(self.points)
        free(self.places)

    cdef int take_parts(self, list samples) except -1:
        cdef Py_ssize_t first = 0
        cdef list arrays
        cdef int at
        cdef Part* part
        self.parts = <Part*>malloc((len(samples) + 1) * sizeof(Part))
        if self.parts == NULL:
            raise MemoryError
        for arrays in samples:
            if len(arrays) != 2 * SAMPLE_ARRAYS:
                raise ValueError("arrays of samples are missing")
            part = &self.parts[self.part_count]
            part.first = first
            for at in range(2 * SAMPLE_ARRAYS):
                part.arrays[at] = (<Arrays>arrays[at]).columns[0]
            first += (<Arrays>arrays[MSS]).rows
            self.part_count += 1
        return 0

    cdef int find_spans(self, Arrays sightings, int64_t margin) except -1:
        """Find what the captures of points span, by all that belongs together there."""
        cdef const Values* seen = sightings.columns
        cdef Py_ssize_t row
        cdef Point* point
        for row in range(sightings.rows):
            self.point_count = max(
                self.point_count, u32_of(&seen[SPAN_POINT], row) + 1
            )
        self.points = <Point*>malloc((self.point_count + 1) * sizeof(Point))
        if self.points == NULL:
            raise MemoryError
        for row in range(self.point_count):
            self.points[row].since = INT64_MAX
            self.points[row].until = INT64_MIN
            self.points[row].is_two_way = False
        for row in range(sightings.rows):
            point = &self.points[u32_of(&seen[SPAN_POINT], row)]
            # The first packets of a capture may have been seen elsewhere before.
            if is_known(&seen[SPAN_START], row):
                point.since = min(point.since, i64_of(&seen[SPAN_START], row) - margin)
            if is_known(&seen[SPAN_END], row):
                point.until = max(point.until, i64_of(&seen[SPAN_END], row) + margin)
            if u64_of(&seen[SPAN_PACKETS], row) and u64_of(
                &seen[SPAN_PACKETS + 1], row
            ):
                point.is_two_way = True
        return 0

    def measure(self, Arrays ordered, uint64_t first_connection, Columns hops):
        """Fill columns with each hop of each connection, there and back.

        Parameters
        ----------
        ordered : Arrays
            Sightings in path order, connections as a whole: the columns that
            :mod:`analyzer.correlate.hops` lists.
        first_connection : int
            Number of the first connection.
        hops : Columns
            Those that it lists, with room for two rows for each sighting that follows
            another one.

        Returns
        -------
        int
            Rows filled: two per hop, the way to the backend and the way to the client,
            unless they go by other places.
        """
        cdef const Values* seen = ordered.columns
        cdef Py_ssize_t rows = ordered.rows, first = 0, last, out = 0, place, places
        cdef uint64_t connection = first_connection
        cdef Sampled sampled[2][2]  # of a place and the next, by side
        cdef int side
        if ordered.count != COLUMNS or hops.count != HOP_COLUMNS:
            raise ValueError("columns of sightings or hops are missing")
        for place in range(rows):
            if u32_of(&seen[POINT], place) >= <uint64_t>self.point_count:
                raise ValueError("a point that no sighting had before")
        while first < rows:
            last = end_of_group(seen, rows, first)
            out += 2 * (last - first - 1)
            first = last
        if hops.rows < out:
            raise ValueError("room for two rows per hop is needed")
        self.make_room(most_of_a_group(seen, rows))
        with nogil:
            hops.clear(hops.rows)
            first = out = 0
            while first < rows:
                last = end_of_group(seen, rows, first)
                self.prefetch_samples(seen, first + AHEAD, rows)
                places = self.find_places(seen, first, last)
                if self.all_see_both(seen, places):
                    self.take_samples(seen, self.places[0], sampled[0])
                    for place in range(places - 1):
                        self.take_samples(
                            seen, self.places[place + 1], sampled[(place + 1) % 2]
                        )
                        for side in range(2):
                            self.put(
                                seen, hops, out + side, connection, self.places,
                                place, places, side,
                                sampled[place % 2], sampled[(place + 1) % 2],
                            )
                        out += 2
                else:
                    for side in range(2):
                        out += self.put_way(
                            seen, hops, out, connection, places, side
                        )
                connection += 1
                first = last
        return out

    cdef bint all_see_both(
        self, const Values* seen, Py_ssize_t places
    ) noexcept nogil:
        """Tell whether every place saw packets of both directions."""
        cdef Py_ssize_t place
        cdef uint32_t row
        for place in range(places):
            row = self.places[place]
            if not (
                u64_of(&seen[CLIENT + PACKETS], row)
                and u64_of(&seen[SERVER + PACKETS], row)
            ):
                return False
        return True

    cdef Py_ssize_t put_way(
        self,
        const Values* seen,
        Columns hops,
        Py_ssize_t out,
        uint64_t connection,
        Py_ssize_t places,
        int side,
    ) noexcept nogil:
        """Write one direction, by the places that it takes; give the number of rows.

        Routes need not be the same there and back: a place that saw none of the packets
        that came farther is not on their way.
        """
        cdef const Values* packets = &seen[CLIENT + side * (SERVER - CLIENT) + PACKETS]
        cdef uint32_t* taken = self.places + self.capacity
        cdef Py_ssize_t place, count = 0, farthest = places if side else -1
        cdef Sampled sampled[2][2]
        for place in range(places):
            if u64_of(packets, self.places[place]):
                farthest = place
                if side:
                    break
        for place in range(places):
            if u64_of(packets, self.places[place]) or (
                place < farthest if side else place > farthest
            ):
                taken[count] = self.places[place]
                count += 1
        for place in range(count - 1):
            self.take_samples(seen, taken[place], sampled[0])
            self.take_samples(seen, taken[place + 1], sampled[1])
            self.put(
                seen, hops, out + place, connection, taken, place, count, side,
                sampled[0], sampled[1],
            )
        return max(count - 1, 0)

    cdef int make_room(self, Py_ssize_t count) except -1:
        free(self.places)
        self.capacity = count
        self.places = <uint32_t*>malloc((2 * count + 1) * sizeof(uint32_t))
        if self.places == NULL:
            raise MemoryError
        return 0

    cdef Py_ssize_t find_places(
        self, const Values* seen, Py_ssize_t first, Py_ssize_t last
    ) noexcept nogil:
        """Keep one sighting of each place on a path: the one with the most packets."""
        cdef uint32_t* places = self.places
        cdef uint32_t* spare = places + self.capacity
        cdef Py_ssize_t at, count = 0
        for at in range(last - first):
            places[at] = <uint32_t>(first + at)
        sort_numbers(places, spare, last - first, is_lesser_place, seen)
        for at in range(last - first):
            if at == 0 or compare_places(seen, places[at - 1], places[at]):
                spare[count] = places[at]
                count += 1
        memcpy(places, spare, count * sizeof(uint32_t))
        sort_numbers(places, spare, count, is_less, NULL)
        return count

    cdef void put(
        self,
        const Values* seen,
        Columns hops,
        Py_ssize_t out,
        uint64_t connection,
        const uint32_t* places,
        Py_ssize_t place,
        Py_ssize_t count,
        int side,
        const Sampled* here,
        const Sampled* there,
    ) noexcept nogil:
        """Write one direction between a place and the next of so many."""
        cdef const Values* point = &seen[POINT]
        cdef uint32_t one = places[place], other = places[place + 1]
        cdef double bound = self.bound_between(seen, one, other)
        cdef Hop hop = compare(side, bound, here, there)
        self.find_losses(seen, one, other, side, here, there, &hop)
        put_u64(hops, TO_CONNECTION, out, connection, True)
        put_u32(hops, TO_DIRECTION, out, side, True)
        put_u32(
            hops, TO_HOP, out, <uint32_t>(count - 2 - place if side else place), True
        )
        put_u32(
            hops, TO_FROM_POINT, out, u32_of(point, other if side else one), True
        )
        put_u32(hops, TO_TO_POINT, out, u32_of(point, one if side else other), True)
        put_u64(hops, TO_SEGMENTS, out, hop.segments, True)
        put_time(hops, TO_MEDIAN, out, hop.median)
        put_time(hops, TO_MOST, out, hop.most)
        put_time(hops, TO_BOUND, out, bound)
        put_u64(hops, TO_LOST, out, <uint64_t>hop.lost, hop.lost != UNKNOWN)
        put_bit(hops, TO_CAPTURE_LOSS, out, hop.is_capture_loss, True)

    cdef void take_samples(
        self, const Values* seen, uint32_t row, Sampled* sampled
    ) noexcept nogil:
        """Find the packets of both sides that can be compared."""
        cdef Py_ssize_t sample = u32_of(&seen[SAMPLE], row)
        cdef const Part* part = self.part_of(sample)
        cdef bint flips = bool_of(&seen[FLIPS], row)
        cdef const Values* of_way
        cdef const Values* mss
        cdef int side, index
        cdef int64_t first
        sample -= part.first
        for side in range(2):
            of_way = &part.arrays[(side ^ flips) * SAMPLE_ARRAYS]
            first = i64_of(&of_way[OFFSETS], sample)
            sampled[side].count = <int>min(
                i64_of(&of_way[OFFSETS], sample + 1) - first, SAMPLE_SIZE
            )
            sampled[side].ids = <const uint64_t*>of_way[IDS].data + first
            for index in range(sampled[side].count):
                sampled[side].times[index] = corrected(
                    self.clocks.columns,
                    u32_of(&seen[HOST], row),
                    i64_of(&of_way[TIMES], first + index),
                )
            # Each side says how much it takes.
            mss = &part.arrays[(1 - (side ^ flips)) * SAMPLE_ARRAYS + MSS]
            sampled[side].has_mss = is_known(mss, sample)
            sampled[side].mss = u16_of(mss, sample) if sampled[side].has_mss else 0
            # Of datagrams that are all the same, nobody knows which one others have.
            if not bool_of(&seen[IS_TCP], row) and <uint64_t>sampled[side].count < min(
                u64_of(&seen[CLIENT + side * (SERVER - CLIENT) + PACKETS], row),
                <uint64_t>SAMPLE_SIZE,
            ):
                sampled[side].count = 0

    cdef void prefetch_samples(
        self, const Values* seen, Py_ssize_t row, Py_ssize_t rows
    ) noexcept nogil:
        """Ask for the sampled packets of a few sightings that come later."""
        cdef Py_ssize_t at, sample
        cdef int64_t first
        cdef const Part* part
        cdef const Values* of_way
        cdef int side
        for at in range(row, min(row + AHEAD, rows)):
            sample = u32_of(&seen[SAMPLE], at)
            part = self.part_of(sample)
            sample -= part.first
            for side in range(2):
                of_way = &part.arrays[side * SAMPLE_ARRAYS]
                first = i64_of(&of_way[OFFSETS], sample)
                prefetch_read(<const uint64_t*>of_way[IDS].data + first)
                prefetch_read(<const int64_t*>of_way[TIMES].data + first)

    cdef const Part* part_of(self, Py_ssize_t row) noexcept nogil:
        cdef Py_ssize_t low = 0, high = self.part_count - 1, middle
        while low < high:
            middle = (low + high + 1) // 2
            if self.parts[middle].first <= row:
                low = middle
            else:
                high = middle - 1
        return &self.parts[low]

    cdef double bound_between(
        self, const Values* seen, uint32_t one, uint32_t other
    ) noexcept nogil:
        """Say how far times at two places may be apart by their clocks."""
        cdef const Values* host = &seen[HOST]
        cdef const Values* reference = &self.clocks.columns[REFERENCE]
        if u32_of(host, one) == u32_of(host, other):
            return self.resolution
        if u32_of(reference, u32_of(host, one)) != u32_of(
            reference, u32_of(host, other)
        ):
            return NAN
        return self.bound_of(seen, one) + self.bound_of(seen, other)

    cdef double bound_of(self, const Values* seen, uint32_t row) noexcept nogil:
        """Say how far a sighting's clock may be off when it began; NaN: not known."""
        cdef const Values* start = &seen[START]
        cdef const Values* clock = self.clocks.columns
        cdef uint32_t host = u32_of(&seen[HOST], row)
        if not is_known(start, row):
            return NAN
        return f64_of(&clock[BOUND], host) + f64_of(&clock[DRIFT_BOUND], host) * fabs(
            <double>i64_of(start, row) - f64_of(&clock[AT], host)
        )

    cdef void find_losses(
        self,
        const Values* seen,
        uint32_t one,
        uint32_t other,
        int side,
        const Sampled* here,
        const Sampled* there,
        Hop* hop,
    ) noexcept nogil:
        """Compare what was counted before and behind."""
        cdef const Values* of_side = &seen[CLIENT + side * (SERVER - CLIENT)]
        cdef uint32_t before = other if side else one
        cdef uint32_t behind = one if side else other
        cdef int64_t sent = u64_of(&of_side[PAYLOAD], before)
        cdef int64_t came = u64_of(&of_side[PAYLOAD], behind)
        cdef int64_t packets_sent = u64_of(&of_side[PACKETS], before)
        cdef int64_t packets_came = u64_of(&of_side[PACKETS], behind)
        cdef double size_sent = <double>sent / max(packets_sent, 1)
        cdef double size_came = <double>came / max(packets_came, 1)
        cdef double full
        cdef int64_t least
        hop.lost = UNKNOWN
        hop.is_capture_loss = False
        if not (
            is_known(&of_side[PAYLOAD], one)
            and is_known(&of_side[PAYLOAD], other)
            and packets_sent > 0
            # On `lo`, each direction has a tuple of its own; filters may take only one.
            and (
                packets_came > 0
                or self.points[u32_of(&seen[POINT], behind)].is_two_way
            )
            # Hosts put fragments together and take datagrams apart again.
            and not u64_of(&seen[FRAGMENTS], one)
            and not u64_of(&seen[FRAGMENTS], other)
            # A capture that began later has fewer.
            and begins_alike(&seen[CLIENT], one, other)
            and begins_alike(&seen[SERVER], one, other)
            and self.spans(seen, one, other)
            and self.spans(seen, other, one)
        ):
            return
        if here[side].has_mss:
            full = here[side].mss
        elif there[side].has_mss:
            full = there[side].mss
        else:
            full = max(ceil(min(size_sent, size_came)), <double>FULL_SEGMENT)
        full = max(full, 1.0)
        if sent > came:
            least = <int64_t>ceil(<double>(sent - came) / full)
            # Offloads join segments: then frames do not count them.
            if max(size_sent, size_came) > full:
                hop.lost = least
            else:
                hop.lost = max(least, packets_sent - packets_came)
        elif sent == 0 and came == 0:
            hop.lost = max(packets_sent - packets_came, 0)
        else:
            hop.lost = 0
        hop.is_capture_loss = came > sent or (
            came == sent and came == 0 and packets_came > packets_sent
        )

    cdef bint spans(
        self, const Values* seen, uint32_t place, uint32_t other
    ) noexcept nogil:
        """Tell whether a place's capture has the time of what was seen at the other."""
        cdef const Point* point = &self.points[u32_of(&seen[POINT], place)]
        return (
            is_known(&seen[START], other)
            and is_known(&seen[END], other)
            and point.since <= i64_of(&seen[START], other)
            and point.until >= i64_of(&seen[END], other)
        )


cdef inline int64_t i64_of(const Values* values, Py_ssize_t row) noexcept nogil:
    return (<const int64_t*>values.data)[row]


cdef inline void put_time(
    Columns hops, int column, Py_ssize_t row, double time
) noexcept nogil:
    """Write a time in whole nanoseconds, of which none is below 0."""
    if isnan(time):
        put_u64(hops, column, row, 0, False)
    else:
        put_u64(hops, column, row, <uint64_t><int64_t>rint(max(time, 0.0)), True)


cdef bint is_lesser_place(const void* of, uint32_t one, uint32_t other) noexcept nogil:
    """Put the sightings of one place together, the one with the most packets first."""
    cdef const Values* seen = <const Values*>of
    cdef int64_t order = compare_places(seen, one, other)
    if order:
        return order < 0
    return packets_of(seen, one) > packets_of(seen, other)


cdef inline uint64_t packets_of(const Values* seen, uint32_t row) noexcept nogil:
    return u64_of(&seen[CLIENT + PACKETS], row) + u64_of(&seen[SERVER + PACKETS], row)


cdef bint is_less(const void* of, uint32_t one, uint32_t other) noexcept nogil:
    return one < other


cdef Hop compare(
    int side,
    double bound,
    const Sampled* here,
    const Sampled* there,
) noexcept nogil:
    """Measure one direction: of the client's packets, or back of the server's."""
    cdef Hop hop
    cdef const Sampled* one = &here[side]
    cdef const Sampled* other = &there[side]
    cdef int64_t between, total = 0, least = INT64_MAX, most = INT64_MIN
    cdef int index, found
    # Where both have sampled the same packets, number goes with number.
    cdef bint is_aligned = are_equal(&here[0], &there[0]) and are_equal(
        &here[1], &there[1]
    )
    hop.segments = 0
    hop.median = hop.most = NAN
    hop.lost = UNKNOWN
    hop.is_capture_loss = False
    for index in range(one.count):
        found = index
        if not is_aligned:
            found = 0
            while found < other.count and other.ids[found] != one.ids[index]:
                found += 1
        if found == other.count:
            continue
        between = other.times[found] - one.times[index]
        if side:
            between = -between
        hop.segments += 1
        total += between
        least = min(least, between)
        most = max(most, between)
    # What came before it was sent tells nothing.
    if hop.segments and least >= -bound:
        hop.most = <double>most
        # Of four numbers at most, the median needs no order.
        if hop.segments <= 2:
            hop.median = <double>total / hop.segments
        else:
            hop.median = <double>(total - least - most) / (hop.segments - 2)
    return hop


cdef inline bint are_equal(const Sampled* one, const Sampled* other) noexcept nogil:
    cdef int index
    if one.count != other.count:
        return False
    for index in range(one.count):
        if one.ids[index] != other.ids[index]:
            return False
    return True


cdef inline bint begins_alike(
    const Values* of_side, Py_ssize_t place, Py_ssize_t other
) noexcept nogil:
    """Tell whether both saw one side from the same packet on, if they saw it at all."""
    cdef const Values* start = &of_side[SEQ_START]
    if not u64_of(&of_side[PACKETS], place) or not u64_of(&of_side[PACKETS], other):
        return True
    if not is_known(start, place) or not is_known(start, other):
        return is_known(start, place) == is_known(start, other)
    return u32_of(start, place) == u32_of(start, other)
