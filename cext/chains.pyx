"""Connections from their sightings in path order.

What a connection has from which of them is said in
:func:`analyzer.correlate.chains.chains`.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from analyzer._cext.arrays cimport (
    Arrays,
    Values,
    bool_of,
    is_known,
    u8_of,
    u32_of,
    u64_of,
)
from analyzer._cext.columns cimport (
    Columns,
    put_bit,
    put_u8,
    put_u32,
    put_u64,
)
from cext.grouped cimport sort_numbers
from cext.path cimport (
    CLIENT_OUTER,
    GROUP,
    IS_TUNNELED,
    LEG,
    MORE_COLUMNS,
    POINT,
    compare_places,
    end_of_group,
    most_of_a_group,
)

# More columns of sightings; of numbers of a side, the client's come first.
cdef enum:
    LANE = MORE_COLUMNS
    COPIES
    PROTOCOL                    # codes of texts, as in all columns of names
    CLIENT
    SERVER
    CLIENT_TTL
    IS_OVERLAY
    IS_POD_SIDE
    NODE
    RAW_START
    START
    END
    IS_ANSWERED
    IS_NUMBERED
    HANDSHAKE_RTT
    TCP_STATE
    NUMBERS
    COLUMNS = NUMBERS + 8

# Numbers that pieces of one flow share.
cdef enum:
    PACKETS
    BYTES
    PAYLOAD
    OF_SIDE                     # of the server: three on
    RETRANSMITS = 2 * OF_SIDE
    REQUESTS
    ALL_NUMBERS

# Columns of connections.
cdef enum:
    TO_GROUP
    TO_PROTOCOL
    TO_CLIENT
    TO_DESTINATION
    TO_SOURCE
    TO_BACKEND
    TO_CLIENT_TTL
    TO_CLIENT_OUTER
    TO_IS_TUNNELED
    TO_IS_OVERLAY
    TO_IS_POD_SIDE
    TO_NODE
    TO_RAW_START
    TO_START
    TO_END
    TO_IS_ANSWERED
    TO_IS_NUMBERED
    TO_HANDSHAKE_RTT
    TO_TCP_STATE
    TO_NUMBERS
    CONNECTION_COLUMNS = TO_NUMBERS + 8

cdef extern from *:
    """
    /* What makes a view the best, from the most important on. */
    #define NO_COPIES ((uint64_t)1 << 62)
    #define MOST_PAYLOAD ((uint64_t)1 << 40)
    #define PAYLOAD_SHIFT 20
    #define HAS_STATE ((uint64_t)1 << 19)
    #define MOST_PACKETS (HAS_STATE - 1)
    """
    const uint64_t NO_COPIES
    const uint64_t MOST_PAYLOAD
    const int PAYLOAD_SHIFT
    const uint64_t HAS_STATE
    const uint64_t MOST_PACKETS


cdef struct Counted:
    uint64_t lane
    uint64_t values[ALL_NUMBERS]
    bint known[ALL_NUMBERS]


cdef struct Room:
    Counted* counted            # of the sightings of one connection at a time
    uint32_t* numbers           # of those, and room to sort them
    Py_ssize_t most


def reduce(
    Arrays ordered,
    Columns connections,
    uint32_t[::1] flow_ends,
    uint32_t[::1] points,
    uint32_t[::1] point_ends,
):
    """Fill columns with one connection for each group of sightings.

    Parameters
    ----------
    ordered : Arrays
        The columns that :mod:`analyzer.correlate.chains` lists.
    connections : Columns
        Those that it lists, with room for as many rows as there are groups.
    flow_ends : buffer of u32
        One per connection, and one before: behind which sighting its own end.
    points : buffer of u32
        Room for a number per sighting: the points of each connection, a place of
        several captures once.
    point_ends : buffer of u32
        Where those end, in the same way.
    """
    cdef const Values* seen = ordered.columns
    cdef Py_ssize_t rows = ordered.rows, first = 0, last, out = 0
    cdef Py_ssize_t count = flow_ends.shape[0] - 1, most
    cdef uint32_t point_count = 0
    cdef Room room
    if ordered.count != COLUMNS or connections.count != CONNECTION_COLUMNS:
        raise ValueError("columns of sightings or connections are missing")
    if connections.rows < count or point_ends.shape[0] != count + 1:
        raise ValueError("room for each connection and its ends is needed")
    if points.shape[0] < rows:
        raise ValueError("room for a point per sighting is needed")
    most = most_of_a_group(seen, rows)
    room.counted = <Counted*>malloc((most + 1) * sizeof(Counted))
    room.numbers = <uint32_t*>malloc((2 * most + 1) * sizeof(uint32_t))
    room.most = most
    if room.counted == NULL or room.numbers == NULL:
        free(room.counted)
        free(room.numbers)
        raise MemoryError
    with nogil:
        connections.clear(count)
        flow_ends[0] = point_ends[0] = 0
        while first < rows and out < count:
            last = end_of_group(seen, rows, first)
            put_ends(seen, first, last, connections, out)
            put_whole(seen, first, last, connections, out)
            add_pieces(seen, first, last, &room)
            put_best(seen, first, last, room.counted, connections, out)
            point_count = put_points(seen, first, last, points, point_count)
            out += 1
            flow_ends[out] = <uint32_t>last
            point_ends[out] = point_count
            first = last
    free(room.counted)
    free(room.numbers)


cdef void put_ends(
    const Values* seen,
    Py_ssize_t first,
    Py_ssize_t last,
    Columns out,
    Py_ssize_t to,
) noexcept nogil:
    """Write where the path begins, and the last tuple."""
    put_u32(out, TO_GROUP, to, u32_of(&seen[GROUP], first), True)
    put_u32(out, TO_PROTOCOL, to, u32_of(&seen[PROTOCOL], first), True)
    put_u64(out, TO_CLIENT, to, u64_of(&seen[CLIENT], first), True)
    put_u64(out, TO_DESTINATION, to, u64_of(&seen[SERVER], first), True)
    put_u64(out, TO_SOURCE, to, u64_of(&seen[CLIENT], last - 1), True)
    put_u64(out, TO_BACKEND, to, u64_of(&seen[SERVER], last - 1), True)
    put_u8(
        out, TO_CLIENT_TTL, to,
        u8_of(&seen[CLIENT_TTL], first), is_known(&seen[CLIENT_TTL], first),
    )
    put_u32(
        out, TO_CLIENT_OUTER, to,
        u32_of(&seen[CLIENT_OUTER], first), is_known(&seen[CLIENT_OUTER], first),
    )
    put_bit(out, TO_IS_TUNNELED, to, bool_of(&seen[IS_TUNNELED], first), True)
    put_bit(out, TO_IS_OVERLAY, to, bool_of(&seen[IS_OVERLAY], first), True)
    put_bit(out, TO_IS_POD_SIDE, to, bool_of(&seen[IS_POD_SIDE], first), True)
    put_u64(
        out, TO_RAW_START, to,
        u64_of(&seen[RAW_START], first), is_known(&seen[RAW_START], first),
    )


cdef void put_whole(
    const Values* seen,
    Py_ssize_t first,
    Py_ssize_t last,
    Columns out,
    Py_ssize_t to,
) noexcept nogil:
    """Write what all sightings tell together."""
    cdef int64_t start = INT64_MAX, end = INT64_MIN, rtt = INT64_MIN
    cdef bint is_answered = False, is_numbered = False
    cdef Py_ssize_t row, node = first
    for row in range(first, last):
        if is_known(&seen[START], row):
            start = min(start, <int64_t>u64_of(&seen[START], row))
        if is_known(&seen[END], row):
            end = max(end, <int64_t>u64_of(&seen[END], row))
        # The client's own is the longest.
        if is_known(&seen[HANDSHAKE_RTT], row):
            rtt = max(rtt, <int64_t>u64_of(&seen[HANDSHAKE_RTT], row))
        is_answered |= bool_of(&seen[IS_ANSWERED], row)
        is_numbered |= bool_of(&seen[IS_NUMBERED], row)
    put_u64(out, TO_START, to, <uint64_t>start, start != INT64_MAX)
    put_u64(out, TO_END, to, <uint64_t>end, end != INT64_MIN)
    put_u64(out, TO_HANDSHAKE_RTT, to, <uint64_t>rtt, rtt != INT64_MIN)
    put_bit(out, TO_IS_ANSWERED, to, is_answered, True)
    put_bit(out, TO_IS_NUMBERED, to, is_numbered, True)
    # A pod's or a tunnel's device is on a node, of which only the name is not known.
    # Other tuples may have got it from the node that translated it.
    if not bool_of(&seen[IS_POD_SIDE], first) and not bool_of(&seen[IS_OVERLAY], first):
        while (
            node < last - 1
            and not is_known(&seen[NODE], node)
            and u32_of(&seen[LEG], node + 1) == u32_of(&seen[LEG], first)
        ):
            node += 1
    put_u32(
        out, TO_NODE, to, u32_of(&seen[NODE], node), is_known(&seen[NODE], node)
    )


cdef void add_pieces(
    const Values* seen,
    Py_ssize_t first,
    Py_ssize_t last,
    Room* room,
) noexcept nogil:
    """Take numbers of sightings, those of what timeouts have cut together."""
    cdef Py_ssize_t at, begin = 0, end, rows = last - first
    cdef int number
    cdef const Values* numbers = &seen[NUMBERS]
    cdef Counted* counted
    for at in range(rows):
        counted = &room.counted[at]
        counted.lane = u64_of(&seen[LANE], first + at)
        for number in range(ALL_NUMBERS):
            counted.known[number] = is_known(&numbers[number], first + at)
            counted.values[number] = (
                u64_of(&numbers[number], first + at) if counted.known[number] else 0
            )
        room.numbers[at] = <uint32_t>at
    sort_numbers(
        room.numbers, room.numbers + room.most, rows, is_lesser_lane, room.counted
    )
    while begin < rows:
        counted = &room.counted[room.numbers[begin]]
        end = begin + 1
        while end < rows and room.counted[room.numbers[end]].lane == counted.lane:
            add(counted, &room.counted[room.numbers[end]])
            end += 1
        for at in range(begin + 1, end):
            room.counted[room.numbers[at]] = counted[0]
        begin = end


cdef bint is_lesser_lane(const void* of, uint32_t one, uint32_t other) noexcept nogil:
    cdef const Counted* counted = <const Counted*>of
    return counted[one].lane < counted[other].lane


cdef inline void add(Counted* whole, const Counted* piece) noexcept nogil:
    cdef int number
    for number in range(ALL_NUMBERS):
        whole.values[number] += piece.values[number]
        whole.known[number] |= piece.known[number]


cdef void put_best(
    const Values* seen,
    Py_ssize_t first,
    Py_ssize_t last,
    const Counted* counted,
    Columns out,
    Py_ssize_t to,
) noexcept nogil:
    """Write the numbers of the view with the most payload, then state, then packets.

    One that counts copies of other interfaces is worse than any that does not.
    """
    cdef const Values* state = &seen[TCP_STATE]
    cdef Py_ssize_t at, best = first
    cdef uint64_t score, highest = 0
    cdef const Counted* of_best
    cdef Counted most = counted[0]
    cdef int number
    for at in range(first, last):
        score = score_of(seen, at, &counted[at - first])
        if score > highest:
            best, highest = at, score
        for number in range(ALL_NUMBERS):
            most.values[number] = max(
                most.values[number], counted[at - first].values[number]
            )
            most.known[number] |= counted[at - first].known[number]
    of_best = &counted[best - first]
    for number in range(ALL_NUMBERS):
        # On `lo`, no sighting has both ways.
        if number == REQUESTS or (
            number < RETRANSMITS
            and not of_best.values[number - number % OF_SIDE + PACKETS]
        ):
            put_u64(
                out, TO_NUMBERS + number, to, most.values[number], most.known[number]
            )
        else:
            put_u64(
                out, TO_NUMBERS + number, to,
                of_best.values[number], of_best.known[number],
            )
    if not is_known(state, best):
        best = first
        while best < last - 1 and not is_known(state, best):
            best += 1
    put_u32(
        out, TO_TCP_STATE, to,
        u32_of(state, best), is_known(state, best),
    )


cdef inline uint64_t score_of(
    const Values* seen, Py_ssize_t row, const Counted* counted
) noexcept nogil:
    cdef uint64_t packets = counted.values[PACKETS] + counted.values[OF_SIDE + PACKETS]
    cdef uint64_t payload = counted.values[PAYLOAD] + counted.values[OF_SIDE + PAYLOAD]
    cdef uint64_t score = min(payload, MOST_PAYLOAD) << PAYLOAD_SHIFT
    score += min(packets, MOST_PACKETS)
    if is_known(&seen[TCP_STATE], row):
        score += HAS_STATE
    if not u64_of(&seen[COPIES], row):
        score += NO_COPIES
    return score


cdef inline uint32_t put_points(
    const Values* seen,
    Py_ssize_t first,
    Py_ssize_t last,
    uint32_t[::1] points,
    uint32_t count,
) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(first, last):
        if row == first or compare_places(seen, row - 1, row):
            points[count] = u32_of(&seen[POINT], row)
            count += 1
    return count
