"""The rows of all flow tables of a run in one order, and as columns.

A table holds a shard of the flows, with numbers of its own for tunnels and IPv6
addresses. What leaves it gets the numbers of the run here. Rows are in order of the
sweep in which they left their table and then of their first frame; those that are open
when the capture ends follow by first frame: nothing tells how many shards there were.
"""

cimport cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memset

from analyzer._cext.addresses cimport AddressEntry, AddressTable
from analyzer._cext.columns cimport Columns
from analyzer._cext.flows cimport FlowTable
from cext.cursor cimport prefetch_read
from cext.flow_columns cimport RowWriter, write_flow
from cext.record cimport (
    SEGMENT_BITS,
    SEGMENT_MASK,
    STATE_OUTER_SWAPPED,
    FlowHead,
    FlowRecord,
    TunnelEntry,
    first_frame_of,
)
from cext.tcp_state cimport originator_of

cdef enum:
    LOOK_AHEAD = 16     # rows

cdef struct Ended:
    uint64_t sweep
    uint64_t frame
    uint32_t shard
    const FlowRecord* flow


cdef struct FirstFrame:
    uint64_t frame
    Place place


cdef int by_sweep(const void* a, const void* b) noexcept nogil:
    cdef const Ended* first = <const Ended*>a
    cdef const Ended* second = <const Ended*>b
    if first.sweep != second.sweep:
        return 1 if first.sweep > second.sweep else -1
    return (first.frame > second.frame) - (first.frame < second.frame)


cdef int by_frame(const void* a, const void* b) noexcept nogil:
    cdef uint64_t first = (<const FirstFrame*>a).frame
    cdef uint64_t second = (<const FirstFrame*>b).frame
    return (first > second) - (first < second)


@cython.final
cdef class FlowRows:
    """Take the rows of flow tables.

    Parameters
    ----------
    addresses : AddressTable
        Numbers the addresses of the run.
    tables : iterable of FlowTable
        None may be at work while rows are taken.
    """

    record_size = sizeof(FlowRecord)

    def __cinit__(self, AddressTable addresses, tables):
        self.addresses = addresses
        self.tables = tuple(tables)
        self.shard_count = len(self.tables)
        self.shards = <Shard*>calloc(self.shard_count, sizeof(Shard))
        if self.shards == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef uint32_t number
        if self.shards != NULL:
            for number in range(self.shard_count):
                free(self.shards[number].tunnel_numbers)
        free(self.shards)
        free(self.tunnels)
        free(self.order)

    cdef void look(self):
        """See what the tables hold now."""
        cdef FlowTable table
        cdef Shard* shard = self.shards
        for table in self.tables:
            shard.hot, shard.cold, shard.tails = table.hot, table.cold, table.tails
            shard.used = table.used
            shard.shuffled = table.shuffled or table.free_record
            shard.addresses = table.addresses.entries
            shard.tunnels = table.tunnels
            shard.tunnel_count = table.tunnel_count
            shard.ended = table.ended
            shard.ended_count = table.ended_count
            shard += 1

    @property
    def waiting(self):
        """Rows that have left their tables and wait to be taken."""
        cdef FlowTable table
        cdef size_t count = 0
        for table in self.tables:
            count += table.ended_count
        return count

    def take_ended(self):
        """Take the rows that have left their tables, in order, as opaque octets."""
        cdef size_t count = self.waiting, at = 0, row
        cdef FlowTable table
        cdef uint32_t number
        cdef Shard* shard
        cdef bytes taken = PyBytes_FromStringAndSize(NULL, count * sizeof(FlowRecord))
        cdef FlowRecord* records = <FlowRecord*>PyBytes_AS_STRING(taken)
        cdef Ended* ended = <Ended*>malloc(count * sizeof(Ended))
        if ended == NULL:
            raise MemoryError
        self.look()
        with nogil:
            for number in range(self.shard_count):
                shard = &self.shards[number]
                for row in range(shard.ended_count):
                    ended[at].sweep = shard.ended[row].sweep
                    ended[at].flow = &shard.ended[row].flow
                    ended[at].frame = first_frame_of(&ended[at].flow.cold)
                    ended[at].shard = number
                    at += 1
            qsort(ended, count, sizeof(Ended), by_sweep)
            for row in range(count):
                records[row] = ended[row].flow[0]
                self.number(ended[row].shard, &records[row].hot.head)
            free(ended)
        for table in self.tables:
            table.ended_count = 0
        self.check_memory()
        self.taken += count
        return taken

    def clear(self):
        """Let go of all rows that are left, and of the tables' memory."""
        cdef FlowTable table
        for table in self.tables:
            table.clear()
        free(self.order)
        self.order = NULL
        self.left = 0

    def end_capture(self):
        """Fix the order of the rows that are left in the tables."""
        cdef bint sorted
        self.look()
        with nogil:
            sorted = self.sort_left()
        if not sorted:
            raise MemoryError

    cdef bint sort_left(self) noexcept nogil:
        """Merge what is left in the tables, each by itself in order or put so."""
        cdef uint32_t number, record
        cdef Shard* shard
        cdef FirstFrame* frames
        cdef FirstFrame* at
        cdef size_t most = 0
        # Where each shard's frames go on, and end.
        cdef FirstFrame** heads = <FirstFrame**>malloc(
            2 * self.shard_count * sizeof(FirstFrame*)
        )
        cdef FirstFrame** ends = heads + self.shard_count
        for number in range(self.shard_count):
            most += self.shards[number].used
        frames = <FirstFrame*>malloc((most + 1) * sizeof(FirstFrame))
        free(self.order)
        self.order = <Place*>malloc((most + 1) * sizeof(Place))
        if heads == NULL or frames == NULL or self.order == NULL:
            free(heads)
            free(frames)
            return False
        at = frames
        for number in range(self.shard_count):
            shard = &self.shards[number]
            heads[number] = at
            for record in range(shard.used):
                if shard.hot[record >> SEGMENT_BITS][
                    record & SEGMENT_MASK
                ].head.ip_version:
                    at.frame = first_frame_of(
                        &shard.cold[record >> SEGMENT_BITS][record & SEGMENT_MASK]
                    )
                    at.place.shard, at.place.record = number, record
                    at += 1
            ends[number] = at
            if shard.shuffled:
                qsort(
                    heads[number],
                    at - heads[number],
                    sizeof(FirstFrame),
                    by_frame,
                )
        self.left = merge(heads, ends, self.shard_count, self.order)
        free(heads)
        free(frames)
        return True

    def take_left(self, size_t first, size_t most):
        """Take up to `most` of the rows that are left, from `first` on, as octets."""
        cdef size_t count = min(most, self.left - first), row
        cdef bytes taken = PyBytes_FromStringAndSize(NULL, count * sizeof(FlowRecord))
        cdef FlowRecord* record = <FlowRecord*>PyBytes_AS_STRING(taken)
        cdef const Shard* shard
        cdef uint32_t segment, index
        cdef const Place* place
        with nogil:
            for row in range(count):
                place = &self.order[first + row]
                shard = &self.shards[place.shard]
                segment = place.record >> SEGMENT_BITS
                index = place.record & SEGMENT_MASK
                record.hot = shard.hot[segment][index]
                record.cold = shard.cold[segment][index]
                record.tail = shard.tails[segment][index]
                self.number(place.shard, &record.hot.head)
                record += 1
        self.check_memory()
        self.taken += count
        return taken

    def number_left(self):
        """Give the rows that are left the numbers of the run; then `write` may follow.

        The tables are of no other use afterwards.
        """
        cdef size_t row
        cdef const Place* place
        cdef const Place* ahead
        with nogil:
            for row in range(self.left):
                ahead = &self.order[min(row + LOOK_AHEAD, self.left - 1)]
                prefetch_read(
                    &self.shards[ahead.shard].hot[ahead.record >> SEGMENT_BITS][
                        ahead.record & SEGMENT_MASK
                    ]
                )
                place = &self.order[row]
                self.number(
                    place.shard,
                    &self.shards[place.shard].hot[place.record >> SEGMENT_BITS][
                        place.record & SEGMENT_MASK
                    ].head,
                )
        self.check_memory()

    @property
    def protocols(self):
        """Protocol numbers of the rows that have their numbers, sorted."""
        return [number for number in range(256) if self.seen_protocols[number]]

    cdef void number(self, uint32_t shard, FlowHead* head) noexcept nogil:
        """Replace a table's numbers of addresses and tunnels by those of the run."""
        cdef int o = originator_of(head)
        cdef int end, turn
        cdef const AddressEntry* entry
        self.seen_protocols[head.protocol] = 1
        for turn in range(2):
            end = turn ^ o
            if head.ip_version == 4:
                head.ends[end] = self.addresses.intern(0, head.ends[end], 4)
            else:
                entry = &self.shards[shard].addresses[head.ends[end]]
                head.ends[end] = self.addresses.intern(entry.high, entry.low, 6)
        if head.tunnel:
            head.tunnel = self.number_tunnel(
                shard,
                head.tunnel,
                1 - o if head.state & STATE_OUTER_SWAPPED else o,
            )

    cdef uint32_t number_tunnel(
        self, uint32_t number, uint32_t local, int first
    ) noexcept nogil:
        """Number a tunnel of a table in the run, its end `first` first."""
        cdef Shard* shard = &self.shards[number]
        cdef const TunnelEntry* entry = &shard.tunnels[local - 1]
        cdef const AddressEntry* address
        cdef TunnelEntry* tunnels
        cdef uint32_t* numbers
        cdef int end, turn
        if local > shard.numbered:
            numbers = <uint32_t*>realloc(
                shard.tunnel_numbers, shard.tunnel_count * sizeof(uint32_t)
            )
            if numbers == NULL:
                self.out_of_memory = True
                return 0
            memset(
                numbers + shard.numbered,
                0,
                (shard.tunnel_count - shard.numbered) * sizeof(uint32_t),
            )
            shard.tunnel_numbers, shard.numbered = numbers, shard.tunnel_count
        if shard.tunnel_numbers[local - 1]:
            return shard.tunnel_numbers[local - 1]
        if self.tunnel_count == self.tunnel_capacity:
            tunnels = <TunnelEntry*>realloc(
                self.tunnels,
                (2 * <size_t>self.tunnel_capacity + 64) * sizeof(TunnelEntry),
            )
            if tunnels == NULL:
                self.out_of_memory = True
                return 0
            self.tunnels = tunnels
            self.tunnel_capacity = 2 * self.tunnel_capacity + 64
        self.tunnels[self.tunnel_count] = entry[0]
        for turn in range(2):
            end = turn ^ first
            address = &shard.addresses[entry.numbers[end]]
            self.tunnels[self.tunnel_count].numbers[end] = self.addresses.intern(
                address.high, address.low, address.version
            )
        self.tunnel_count += 1
        shard.tunnel_numbers[local - 1] = self.tunnel_count
        return self.tunnel_count

    def check_memory(self):
        """Raise MemoryError if there was not enough of it."""
        if self.out_of_memory or self.addresses.out_of_memory:
            raise MemoryError

    def write(
        self,
        size_t first,
        Columns columns,
        const int32_t[::1] captures,
        const int32_t[::1] points,
        const int32_t[::1] protocols,
    ):
        """Fill columns with rows that are left, from the row `first` of them on.

        Several threads may write at the same time, each into columns of its own.

        Parameters
        ----------
        first : int
            Index of a row among those that are left.
        columns : Columns
            One per column of the flows table.
        captures, points, protocols : buffer of int32
            Dictionary index of the capture and of the name of each observation point,
            and of each protocol number.

        Returns
        -------
        int
            Rows written.
        """
        cdef size_t count = min(self.left - first, <size_t>columns.rows), row
        cdef RowWriter writer = self.row_writer(
            self.taken + first, captures, points, protocols
        )
        cdef const Shard* shard
        cdef const Place* place
        cdef uint32_t segment, index
        with nogil:
            columns.clear(count)
            for row in range(count):
                place = &self.order[first + row]
                shard = &self.shards[place.shard]
                segment = place.record >> SEGMENT_BITS
                index = place.record & SEGMENT_MASK
                write_flow(
                    &writer,
                    self.addresses,
                    columns,
                    row,
                    row + 1 == count,
                    &shard.hot[segment][index],
                    &shard.cold[segment][index],
                    &shard.tails[segment][index],
                )
        return count

    def write_taken(
        self,
        size_t first,
        const unsigned char[::1] records,
        Columns columns,
        const int32_t[::1] captures,
        const int32_t[::1] points,
        const int32_t[::1] protocols,
    ):
        """Fill columns with rows that were taken, of which `first` came before."""
        cdef size_t count = records.shape[0] // sizeof(FlowRecord), row
        cdef const FlowRecord* rows = <const FlowRecord*>&records[0]
        cdef RowWriter writer = self.row_writer(first, captures, points, protocols)
        if count > <size_t>columns.rows:
            raise ValueError("more rows than the columns have room for")
        with nogil:
            columns.clear(count)
            for row in range(count):
                write_flow(
                    &writer,
                    self.addresses,
                    columns,
                    row,
                    row + 1 == count,
                    &rows[row].hot,
                    &rows[row].cold,
                    &rows[row].tail,
                )
        return count

    cdef RowWriter row_writer(
        self,
        uint64_t first,
        const int32_t[::1] captures,
        const int32_t[::1] points,
        const int32_t[::1] protocols,
    ):
        cdef RowWriter writer
        memset(&writer, 0, sizeof(RowWriter))
        writer.tunnels = self.tunnels
        writer.captures = &captures[0]
        writer.points = &points[0]
        writer.protocols = &protocols[0]
        writer.number = first
        return writer


cdef size_t merge(
    FirstFrame** heads, FirstFrame** ends, uint32_t count, Place* order
) noexcept nogil:
    """Merge runs that are in order of their frames; give the number of rows.

    The heads of the runs are a heap: each row costs the logarithm of their number.
    """
    cdef uint32_t run, alive = 0
    cdef size_t rows = 0
    for run in range(count):
        if heads[run] != ends[run]:
            heads[alive], ends[alive] = heads[run], ends[run]
            alive += 1
    for run in range(alive // 2, 0, -1):
        sink(heads, ends, run - 1, alive)
    while alive:
        order[rows] = heads[0].place
        rows += 1
        heads[0] += 1
        if heads[0] == ends[0]:
            alive -= 1
            heads[0], ends[0] = heads[alive], ends[alive]
        sink(heads, ends, 0, alive)
    return rows


cdef inline void sink(
    FirstFrame** heads, FirstFrame** ends, uint32_t at, uint32_t count
) noexcept nogil:
    """Move a run down the heap until none below it begins earlier."""
    cdef FirstFrame* head = heads[at]
    cdef FirstFrame* end = ends[at]
    cdef uint32_t child = 2 * at + 1
    while child < count:
        if child + 1 < count and heads[child + 1].frame < heads[child].frame:
            child += 1
        if head.frame <= heads[child].frame:
            break
        heads[at], ends[at] = heads[child], ends[child]
        at = child
        child = 2 * at + 1
    heads[at], ends[at] = head, end
