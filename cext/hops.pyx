"""What two successive places on a connection's path saw of the same packets."""

from libc.math cimport NAN, ceil
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t

from analyzer._cext.arrays cimport (
    Arrays,
    Values,
    bool_of,
    is_known,
    u16_of,
    u32_of,
    u64_of,
)

cdef enum:
    SAMPLE_SIZE = 4             # packet ids that a flow keeps of each direction
    FULL_SEGMENT = 1460         # payload on Ethernet, where no SYN told
    UNKNOWN = -1                # segments that were lost

# Columns of places; those of a side are there twice.
cdef enum:
    CONNECTION
    SAMPLE
    HOST
    REFERENCE
    BOUND
    START
    END
    SINCE
    UNTIL
    IS_TWO_WAY
    FRAGMENTS
    FLIPS
    IS_TCP
    CLIENT
    SERVER = CLIENT + 4
    PLACE_COLUMNS = SERVER + 4

cdef enum:
    PACKETS
    PAYLOAD
    SEQ_START
    MSS

# Arrays of sampled packets, of the originator and then of the responder.
cdef enum:
    OFFSETS
    IDS
    TIMES
    SAMPLE_ARRAYS


cdef struct Sampled:
    const uint64_t* ids
    const int64_t* times
    int count


cdef struct Hop:
    int segments
    double median               # ns; NaN: not comparable, or no packet in common
    double most
    int64_t lost
    bint is_capture_loss


def measure(
    Arrays places,
    list samples,
    double resolution,
    uint32_t[::1] froms,
    uint32_t[::1] tos,
    uint32_t[::1] numbers,
    uint64_t[::1] segments,
    double[::1] medians,
    double[::1] longest,
    double[::1] bounds,
    int64_t[::1] lost,
    uint8_t[::1] capture_losses,
):
    """Measure each hop of each connection, there and back.

    Parameters
    ----------
    places : Arrays
        One row per place on the path of a connection, in its order:
        ``connection_id`` (u64), the row of its samples (u32), ``host``, ``reference``
        (u32), how far its clock may be off (f64, ns), ``start``, ``end``, when its
        capture began and ended (i64, ns), whether that has both directions of anything
        (bool), ``fragments`` (u64), ``flips``, whether it is TCP (bool), and of client
        and server packets, octets of payload (u64), first sequence number (u32) and
        segment size (u16).
    samples : list of Arrays
        Of originator and responder offsets of lists (i64), ids of packets (u64) and
        their times (i64, ns).
    resolution : float
        How exact times of one clock are (ns).
    froms, tos, numbers, segments, medians, longest, bounds, lost, capture_losses
        Two rows per hop: the way to the backend, and the way to the client. The places
        that packets pass first and next, the number of the hop in its direction,
        packets in common, median and longest time between the places and how far the
        clocks may be off (ns; NaN: not known), segments that were lost (-1: not known),
        and whether more was seen behind than before.
    """
    cdef Values lists[2 * SAMPLE_ARRAYS]
    cdef Sampled here[2]
    cdef Sampled there[2]
    cdef Hop hop
    cdef Py_ssize_t place, first, last = 0, out = 0, hops = froms.shape[0]
    cdef int at, side
    cdef double bound
    if places.count != PLACE_COLUMNS or len(samples) != 2 * SAMPLE_ARRAYS:
        raise ValueError("columns of places or arrays of samples are missing")
    if {
        tos.shape[0],
        numbers.shape[0],
        segments.shape[0],
        medians.shape[0],
        longest.shape[0],
        bounds.shape[0],
        lost.shape[0],
        capture_losses.shape[0],
    } != {hops}:
        raise ValueError("columns of hops are of unequal length")
    for at in range(2 * SAMPLE_ARRAYS):
        lists[at] = (<Arrays>samples[at]).columns[0]
    with nogil:
        for place in range(places.rows - 1):
            if place == last:
                first = place
                while last < places.rows and is_same(places.columns, first, last):
                    last += 1
            if place + 1 == last:
                continue
            if out + 2 > hops:
                break
            take_samples(places.columns, lists, place, here)
            take_samples(places.columns, lists, place + 1, there)
            bound = clock_bound(places.columns, place, resolution)
            for side in range(2):
                hop = compare(places.columns, place, side, bound, here, there)
                froms[out] = <uint32_t>(place + side)
                tos[out] = <uint32_t>(place + 1 - side)
                numbers[out] = <uint32_t>(
                    last - 2 - place if side else place - first
                )
                segments[out] = hop.segments
                medians[out] = hop.median
                longest[out] = hop.most
                bounds[out] = bound
                lost[out] = hop.lost
                capture_losses[out] = hop.is_capture_loss
                out += 1
    if out != hops:
        raise ValueError(f"room for {hops} hops, of which there are others")


cdef inline bint is_same(
    const Values* columns, Py_ssize_t place, Py_ssize_t other
) noexcept nogil:
    return u64_of(&columns[CONNECTION], place) == u64_of(&columns[CONNECTION], other)


cdef inline int64_t i64_of(const Values* values, Py_ssize_t row) noexcept nogil:
    return (<const int64_t*>values.data)[row]


cdef inline double f64_of(const Values* values, Py_ssize_t row) noexcept nogil:
    return (<const double*>values.data)[row]


cdef void take_samples(
    const Values* columns, const Values* lists, Py_ssize_t place, Sampled* sampled
) noexcept nogil:
    """Find the packets of both sides that can be compared."""
    cdef Py_ssize_t row = u32_of(&columns[SAMPLE], place)
    cdef bint flips = bool_of(&columns[FLIPS], place)
    cdef int side
    cdef int64_t first
    cdef const Values* of_way
    for side in range(2):
        of_way = &lists[(side ^ flips) * SAMPLE_ARRAYS]
        first = i64_of(&of_way[OFFSETS], row)
        sampled[side].count = <int>(i64_of(&of_way[OFFSETS], row + 1) - first)
        sampled[side].ids = <const uint64_t*>of_way[IDS].data + first
        sampled[side].times = <const int64_t*>of_way[TIMES].data + first
        # Of datagrams that are all the same, nobody knows which one others have.
        if not bool_of(&columns[IS_TCP], place) and <uint64_t>sampled[side].count < min(
            u64_of(&columns[CLIENT + side * (SERVER - CLIENT) + PACKETS], place),
            <uint64_t>SAMPLE_SIZE,
        ):
            sampled[side].count = 0


cdef double clock_bound(
    const Values* columns, Py_ssize_t place, double resolution
) noexcept nogil:
    """Say how far times at this place and the next may be apart by their clocks."""
    cdef const Values* bound = &columns[BOUND]
    if u32_of(&columns[HOST], place) == u32_of(&columns[HOST], place + 1):
        return resolution
    if u32_of(&columns[REFERENCE], place) != u32_of(&columns[REFERENCE], place + 1):
        return NAN
    if not is_known(bound, place) or not is_known(bound, place + 1):
        return NAN
    return f64_of(bound, place) + f64_of(bound, place + 1)


cdef Hop compare(
    const Values* columns,
    Py_ssize_t place,
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
    find_losses(columns, place, place + 1, side, &hop)
    return hop


cdef inline bint are_equal(const Sampled* one, const Sampled* other) noexcept nogil:
    cdef int index
    if one.count != other.count:
        return False
    for index in range(one.count):
        if one.ids[index] != other.ids[index]:
            return False
    return True


cdef void find_losses(
    const Values* columns, Py_ssize_t place, Py_ssize_t next_, int side, Hop* hop
) noexcept nogil:
    """Compare what was counted before and behind."""
    cdef const Values* of_side = &columns[CLIENT + side * (SERVER - CLIENT)]
    cdef Py_ssize_t before = next_ if side else place
    cdef Py_ssize_t behind = place if side else next_
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
        is_known(&of_side[PAYLOAD], place)
        and is_known(&of_side[PAYLOAD], next_)
        and packets_sent > 0
        # On `lo`, each direction has a tuple of its own; filters may take only one.
        and (packets_came > 0 or bool_of(&columns[IS_TWO_WAY], behind))
        # Hosts put fragments together and take datagrams apart again.
        and u64_of(&columns[FRAGMENTS], place) + u64_of(&columns[FRAGMENTS], next_) == 0
        # A capture that began later has fewer.
        and begins_alike(&columns[CLIENT], place, next_)
        and begins_alike(&columns[SERVER], place, next_)
        and spans(columns, place, next_)
        and spans(columns, next_, place)
    ):
        return
    if is_known(&of_side[MSS], place):
        full = u16_of(&of_side[MSS], place)
    elif is_known(&of_side[MSS], next_):
        full = u16_of(&of_side[MSS], next_)
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


cdef inline bint spans(
    const Values* columns, Py_ssize_t place, Py_ssize_t other
) noexcept nogil:
    """Tell whether a place's capture has the time of what was seen at the other."""
    return (
        is_known(&columns[START], other)
        and is_known(&columns[END], other)
        and is_known(&columns[SINCE], place)
        and is_known(&columns[UNTIL], place)
        and i64_of(&columns[SINCE], place) <= i64_of(&columns[START], other)
        and i64_of(&columns[UNTIL], place) >= i64_of(&columns[END], other)
    )
