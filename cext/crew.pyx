"""Several threads on one capture: chunks of frames go from stage to stage.

One thread reads and finds frames; any thread decodes a chunk; chunks are put in order
one after the other (`PacketOrder`); and every thread accounts the packets of its shard
of the flows in all chunks, in capture order. So a flow meets its packets as it would
with one thread, and no lock is held while anything is computed. A thread with nothing
to do sleeps until another one has news.
"""

cimport cython

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

import secrets

from analyzer._cext.decode cimport Decoder
from analyzer._cext.flows cimport FlowTable
from analyzer._cext.frames cimport FrameReader
from analyzer._cext.order cimport PacketOrder
from analyzer._cext.packets cimport PacketRows
from cext.atomic cimport increase, observe, publish, relax, replace
from cext.cursor cimport (
    CACHE_LINE,
    fold_multiply,
    likely_false,
    likely_true,
    prefetch_read,
)
from cext.frame cimport FRAME_BATCH, MOST_ENDED
from cext.packet cimport (
    HAS_PORTS,
    IS_FRAGMENT,
    IS_JOINED,
    Packet,
)
from cext.quoted cimport read_quoted
from cext.wire.ipv4 cimport PROTOCOL_ICMP, PROTOCOL_ICMP6

cdef extern from "<pthread.h>" nogil:
    int pthread_mutex_init(pthread_mutex_t* mutex, const void* attributes)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_cond_init(pthread_cond_t* cond, const void* attributes)
    int pthread_cond_destroy(pthread_cond_t* cond)
    int pthread_cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex)
    int pthread_cond_broadcast(pthread_cond_t* cond)

cdef enum:
    CHUNK_PACKETS = 4096    # at most the packets between two chances to sweep
    CHUNKS_PER_THREAD = 3
    NO_SHARD = 255
    PATIENCE = 500          # looks for work before a thread goes to sleep


@cython.final
cdef class Crew:
    """Let threads share the work on captures, one capture after another.

    Parameters
    ----------
    order : PacketOrder
        Goes on from packet to packet.
    rows : PacketRows or None
        Receives one row per packet.
    threads : int
        That will call `work`, and the one that calls `scan`.
    flows : bool
        Every thread has a flow table for its shard of the flows.
    """

    def __cinit__(
        self, PacketOrder order not None, PacketRows rows, int threads, bint flows
    ):
        cdef Chunk* chunk
        cdef uint64_t number
        self.order, self.rows = order, rows
        if not 0 < threads <= MOST_SHARDS:
            raise ValueError(f"from 1 to {MOST_SHARDS} threads")
        self.shards = threads if flows else 0
        self.chunk_count = CHUNKS_PER_THREAD * threads
        self.chunks = <Chunk*>calloc(self.chunk_count, sizeof(Chunk))
        self.accounted = <uint64_t*>calloc(threads, sizeof(uint64_t))
        if self.chunks == NULL or self.accounted == NULL:
            raise MemoryError
        for number in range(self.chunk_count):
            chunk = &self.chunks[number]
            chunk.packets = <Packet*>malloc(CHUNK_PACKETS * sizeof(Packet))
            chunk.shards = <uint8_t*>malloc(CHUNK_PACKETS)
            chunk.quoted = <uint8_t*>malloc(CHUNK_PACKETS)
            if not (chunk.packets and chunk.shards and chunk.quoted):
                raise MemoryError
        self.seed = secrets.randbits(64) | 1
        pthread_mutex_init(&self.mutex, NULL)
        pthread_cond_init(&self.cond, NULL)

    def __dealloc__(self):
        cdef uint64_t number
        if self.chunks != NULL:
            for number in range(self.chunk_count):
                free(self.chunks[number].buffer)
                free(self.chunks[number].packets)
                free(self.chunks[number].shards)
                free(self.chunks[number].quoted)
            pthread_mutex_destroy(&self.mutex)
            pthread_cond_destroy(&self.cond)
        free(self.chunks)
        free(self.accounted)

    def work(self, int me, Decoder decoder not None, FlowTable table):
        """Work until `stop`, in a thread of its own.

        Parameters
        ----------
        me : int
            Number of the thread, from 1: that of its shard. 0 calls `scan`.
        decoder : Decoder
            Of this thread alone.
        table : FlowTable or None
            Of the shard.
        """
        cdef uint64_t news
        with nogil:
            while not observe(&self.stopped):
                news = observe(&self.news)
                if not self.turn(me, decoder, table):
                    self.rest(news)

    def stop(self):
        """Send the threads home."""
        publish(&self.stopped, 1)
        self.tell()

    def scan(
        self, FrameReader reader not None, Decoder decoder not None, FlowTable table
    ):
        """Hand the frames of the reader's buffer and of its next fillings to the crew.

        Parameters
        ----------
        reader : FrameReader
            Gives frames until its buffer has no complete one left.
        decoder, table
            Of thread 0, which works as well while there is no room for more frames.

        Returns
        -------
        bool
            True when the buffer is used up and it is the interpreter's turn to fill it;
            False when the rows are full and must be taken first, after `finish`.
        """
        cdef bint used_up = True
        cdef uint64_t news
        if self.rows is not None and self.at_rest():
            self.promised = self.rows.count  # they may have been taken since, or not
        with nogil:
            while True:
                if self.rows is not None and (
                    self.promised + CHUNK_PACKETS > <uint64_t>self.rows.columns.rows
                    or self.rows.left == 0
                ):
                    used_up = False
                    break
                news = observe(&self.news)
                if not self.has_room():
                    if not self.turn(0, decoder, table):
                        self.rest(news)
                elif not self.take_chunk(reader):
                    if observe(&self.ended) >= MOST_ENDED or reader.refill() <= 0:
                        break
        if (
            reader.out_of_memory
            or self.out_of_memory
            or self.order.out_of_memory
            or (self.rows is not None and self.rows.addresses.out_of_memory)
        ):
            raise MemoryError
        return used_up

    def finish(self, Decoder decoder not None, FlowTable table):
        """Finish all chunks, as thread 0; then rows may be taken."""
        cdef uint64_t news
        with nogil:
            while True:
                news = observe(&self.news)
                if self.at_rest():
                    break
                if not self.turn(0, decoder, table):
                    self.rest(news)
        self.ended = 0
        if decoder.out_of_memory or self.out_of_memory:
            raise MemoryError

    cdef bint has_room(self) noexcept nogil:
        """Whether the next chunk's place in the ring is free."""
        cdef int shard
        if self.read < self.chunk_count:
            return True
        if observe(&self.ordered) + self.chunk_count <= self.read:
            return False
        for shard in range(self.shards):
            if observe(&self.accounted[shard]) + self.chunk_count <= self.read:
                return False
        return True

    cdef bint at_rest(self) noexcept nogil:
        """Whether all that was read has passed all stages."""
        cdef int shard
        for shard in range(self.shards):
            if observe(&self.accounted[shard]) != self.read:
                return False
        return observe(&self.ordered) == self.read

    cdef bint take_chunk(self, FrameReader reader) noexcept nogil:
        """Make a chunk of the next frames; False if the buffer has no complete one."""
        cdef Chunk* chunk = &self.chunks[self.read % self.chunk_count]
        chunk.count = reader.next(chunk.packets, CHUNK_PACKETS)
        if chunk.count == 0:
            return False
        if not reader.exchange(&chunk.buffer, &chunk.capacity):
            return False
        chunk.decoded = 0
        self.promised += chunk.count
        publish(&self.read, self.read + 1)
        self.tell()
        return True

    cdef bint turn(self, int me, Decoder decoder, FlowTable table) noexcept nogil:
        """Do one piece of work; False if there is none."""
        return (
            self.put_in_order()
            or (table is not None and self.account(me, table))
            or self.decode(decoder)
        )

    cdef bint decode(self, Decoder decoder) noexcept nogil:
        """Decode the next chunk that nobody has claimed."""
        cdef uint64_t number
        cdef Chunk* chunk
        cdef Packet* packet
        cdef Packet quoted
        cdef int index
        while True:
            number = observe(&self.claimed)
            if number == observe(&self.read):
                return False
            if replace(&self.claimed, number, number + 1):
                break
        chunk = &self.chunks[number % self.chunk_count]
        chunk.fragments = chunk.quotes = False
        decoder.decode(chunk.packets, chunk.count)
        if self.shards:
            for index in range(chunk.count):
                packet = &chunk.packets[index]
                chunk.shards[index] = shard_of(self, packet)
                chunk.quoted[index] = NO_SHARD
                if likely_false((packet.has & IS_FRAGMENT) != 0):
                    chunk.fragments = True
                if likely_false(packet.quoted != NULL):
                    memset(&quoted, 0, sizeof(Packet))
                    if read_quoted(packet, &quoted):
                        chunk.quoted[index] = shard_of(self, &quoted)
                        chunk.quotes = True
        publish(&chunk.decoded, 1)
        self.tell()
        return True

    cdef bint put_in_order(self) noexcept nogil:
        """Put the chunks in order that have been decoded, unless a thread does it."""
        cdef uint64_t number
        cdef bint worked = False
        if not self.next_is_decoded() or not replace(&self.ordering, 0, 1):
            return False
        while self.next_is_decoded():
            number = observe(&self.ordered)
            self.arrange(&self.chunks[number % self.chunk_count])
            publish(&self.ordered, number + 1)
            self.tell()
            worked = True
        publish(&self.ordering, 0)
        return worked

    cdef bint next_is_decoded(self) noexcept nogil:
        """Whether the chunk that is to be put in order next is ready for it."""
        cdef uint64_t number = observe(&self.ordered)
        return number < observe(&self.claimed) and observe(
            &self.chunks[number % self.chunk_count].decoded
        )

    cdef void arrange(self, Chunk* chunk) noexcept nogil:
        cdef int index
        chunk.sweep = self.order.arrange(chunk.packets, chunk.count)
        if self.shards and chunk.fragments:
            for index in range(chunk.count):
                if chunk.packets[index].has & IS_JOINED:
                    chunk.shards[index] = shard_of(self, &chunk.packets[index])
        if self.rows is not None:
            self.rows.add(chunk.packets, chunk.count)

    cdef bint account(self, int me, FlowTable table) noexcept nogil:
        """Account the packets of a shard in the next chunk that is in order."""
        cdef uint64_t number = self.accounted[me]
        cdef const Chunk* chunk = &self.chunks[number % self.chunk_count]
        cdef const Packet* packets[FRAME_BATCH]
        cdef size_t ended = table.ended_count
        cdef int index, waiting = 0
        if number == observe(&self.ordered):
            return False
        for index in range(chunk.count):
            if chunk.shards[index] == me:
                packets[waiting] = &chunk.packets[index]
                fetch(packets[waiting])
                waiting += 1
                if waiting == FRAME_BATCH:
                    table.add(packets, waiting)
                    waiting = 0
            if likely_false(
                chunk.quotes
                and chunk.quoted[index] == me
                and chunk.shards[index] != me
            ):
                table.add(packets, waiting)
                table.flush()
                waiting = 0
                table.count_quoted(&chunk.packets[index])
            if likely_false(index + 1 == chunk.sweep.after):
                table.add(packets, waiting)
                table.flush()
                waiting = 0
                table.sweep(chunk.sweep.now, chunk.sweep.number)
        table.add(packets, waiting)
        table.flush()
        if table.out_of_memory or table.addresses.out_of_memory:
            self.out_of_memory = True
        if table.ended_count > ended:
            increase(&self.ended, table.ended_count - ended)
        publish(&self.accounted[me], number + 1)
        self.tell()
        return True

    cdef void tell(self) noexcept nogil:
        """Wake the threads that wait for news."""
        increase(&self.news, 1)
        if observe(&self.asleep):
            pthread_mutex_lock(&self.mutex)
            pthread_cond_broadcast(&self.cond)
            pthread_mutex_unlock(&self.mutex)

    cdef void rest(self, uint64_t news) noexcept nogil:
        """Wait until the news are not those of before a vain look for work."""
        for _ in range(PATIENCE):
            if observe(&self.news) != news:
                return
            relax()
        pthread_mutex_lock(&self.mutex)
        increase(&self.asleep, 1)
        while observe(&self.news) == news:
            pthread_cond_wait(&self.cond, &self.mutex)
        increase(&self.asleep, -1)
        pthread_mutex_unlock(&self.mutex)


cdef inline void fetch(const Packet* packet) noexcept nogil:
    """Fetch what another thread has decoded."""
    cdef const uint8_t* line = <const uint8_t*>packet
    prefetch_read(line)
    prefetch_read(line + CACHE_LINE)
    prefetch_read(line + 2 * CACHE_LINE)
    prefetch_read(line + 3 * CACHE_LINE)


cdef inline uint64_t hash_of_end(
    uint64_t high, uint64_t low, uint16_t port, uint64_t seed
) noexcept nogil:
    return fold_multiply(low ^ seed, (high ^ seed) * 2 + port)


cdef inline uint8_t shard_of(Crew crew, const Packet* packet) noexcept nogil:
    """Give the shard of a packet's flow: by its ends, whichever sent it.

    Neither tunnel nor observation point matter, so that an error that came back another
    way is counted in the shard of the flow that caused it.
    """
    cdef uint16_t src_port = 0, dst_port = 0
    cdef uint64_t hashed
    if packet.ip_version == 0:
        return NO_SHARD
    if likely_true((packet.has & (HAS_PORTS | IS_JOINED)) != 0) and (
        packet.protocol != PROTOCOL_ICMP and packet.protocol != PROTOCOL_ICMP6
    ):
        src_port, dst_port = packet.src_port, packet.dst_port
    if packet.ip_version == 4:
        hashed = (
            hash_of_end(0, packet.src.low, src_port, crew.seed)
            + hash_of_end(0, packet.dst.low, dst_port, crew.seed)
        )
    else:
        hashed = (
            hash_of_end(packet.src.high, packet.src.low, src_port, crew.seed)
            + hash_of_end(packet.dst.high, packet.dst.low, dst_port, crew.seed)
        )
    hashed = fold_multiply(hashed, crew.seed)
    return <uint8_t>((hashed >> 32) * <uint64_t>crew.shards >> 32)
