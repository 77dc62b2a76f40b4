"""Capture blocks to frames: pcap and pcapng, from a bounded buffer.

The caller fills the buffer, with octets (`space`, `filled`), from a file (`fill`), or
with a piece that another thread has filled (`take`);
compiled code takes frames from it (`next`), and goes on reading the file without the
interpreter (`refill`). A block that is not complete yet stays for the next filling.

Specifications: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

cimport cython

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

from cext.cursor cimport (
    be16,
    be32,
    be64,
    le16,
    le32,
    likely_false,
    multiply_shift,
)
from cext.frame cimport NO_TIME
from cext.packet cimport Packet

cdef extern from "<unistd.h>" nogil:
    ssize_t read(int descriptor, void* buffer, size_t octets)

cdef enum:
    FORMAT_UNREAD = 0
    FORMAT_PCAP
    FORMAT_PCAPNG
    FORMAT_UNKNOWN
    PCAP_FILE_HEADER = 24
    PCAP_RECORD_HEADER = 16
    PCAP_MICROSECONDS = 0xA1B2C3D4
    PCAP_NANOSECONDS = 0xA1B23C4D
    BLOCK_HEADER = 8
    BLOCK_SECTION = 0x0A0D0D0A
    BLOCK_INTERFACE = 1
    BLOCK_PACKET = 2            # obsolete
    BLOCK_SIMPLE_PACKET = 3
    BLOCK_INTERFACE_STATISTICS = 5
    BLOCK_ENHANCED_PACKET = 6
    BYTE_ORDER_MAGIC = 0x1A2B3C4D
    OPTION_IF_NAME = 2
    OPTION_IF_TSRESOL = 9
    OPTION_IF_TSOFFSET = 14
    OPTION_ISB_RECEIVED = 4
    OPTION_ISB_DROPPED = 5
    FIRST_CAPACITY = 2 << 20
    PIECE_MARGIN = 64 << 10
    PIECE = 256 << 10
    # No capture library writes longer frames: libpcap's limit is 262,144 octets, for
    # USB and D-Bus 128 MiB, which are not decoded here.
    LONGEST_FRAME = 16 << 20
    LEAST_SNAPSHOT_LIMIT = 262144
    MOST_INTERFACES = 65536
    MOST_DAMAGES = 100          # kept; damage beyond that is no news

cdef enum:
    PROBLEM_NONE = 0
    PROBLEM_FRAME_LENGTH
    PROBLEM_BLOCK_LENGTH
    PROBLEM_TRAILER
    PROBLEM_BYTE_ORDER
    PROBLEM_BLOCK_BODY
    PROBLEM_INTERFACE
    PROBLEM_TOO_MANY_INTERFACES
    PROBLEM_CUT

PROBLEMS = {
    PROBLEM_FRAME_LENGTH: "a frame claims {value:,} octets",
    PROBLEM_BLOCK_LENGTH: "a block claims {value:,} octets",
    PROBLEM_TRAILER: "the length after a block ({value:,}) is not the one before it",
    PROBLEM_BYTE_ORDER: "a section header has the byte-order magic {value:#010x}",
    PROBLEM_BLOCK_BODY: "a block of type {value} is too short for what it claims",
    PROBLEM_INTERFACE: "a frame names interface {value}, which is not described",
    PROBLEM_TOO_MANY_INTERFACES: "more than {value:,} interfaces are described",
    PROBLEM_CUT: "the capture ends {value:,} octets into a block",
}

cdef uint64_t NANOSECONDS = 1000000000
# An int64 of nanoseconds ends in the year 2262.
cdef int64_t LAST_SECOND = 9223372035
cdef uint64_t LAST_MICROSECOND = 9223372036854774
cdef int64_t LAST_TIME = 0x7FFFFFFFFFFFFFFF


@cython.final
cdef class Piece:
    """A buffer for octets that become a reader's without being copied.

    In front of them is room for what the reader has left of the octets before.
    """

    def __cinit__(self):
        self.capacity = FIRST_CAPACITY
        self.buffer = <uint8_t*>malloc(self.capacity)
        if self.buffer == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.buffer)

    def space(self):
        """Give a writable view of the buffer, valid until a reader takes it."""
        return <uint8_t[:PIECE]>(self.buffer + PIECE_MARGIN)


@cython.final
cdef class FrameReader:
    """Find the frames of one capture in the octets that are put into its buffer.

    Parameters
    ----------
    frames : int
        Frames of the capture that earlier files held.
    """

    def __cinit__(self, uint64_t frames=0):
        self.frames = frames
        self.capacity = FIRST_CAPACITY
        self.buffer = <uint8_t*>malloc(self.capacity)
        self.interface_capacity = 4
        self.states = <InterfaceState*>malloc(
            self.interface_capacity * sizeof(InterfaceState)
        )
        if self.buffer == NULL or self.states == NULL:
            raise MemoryError
        self.details = []
        self.damage_list = []
        self.needed = 4
        self.until = LAST_TIME

    def __dealloc__(self):
        free(self.buffer)
        free(self.states)

    def space(self, size_t wanted):
        """Give a writable view of up to `wanted` octets behind the unconsumed ones."""
        if not self.make_room():
            raise MemoryError
        wanted = min(wanted, self.capacity - self.end)
        return <uint8_t[:wanted]>(self.buffer + self.end)

    cdef bint make_room(self) noexcept nogil:
        """Move what is left to the front; let the current block fit in behind it."""
        cdef size_t left = self.end - self.start
        cdef size_t capacity
        cdef uint8_t* larger
        if self.start:
            memmove(self.buffer, self.buffer + self.start, left)
            self.start, self.end = 0, left
        capacity = max(self.needed, left + 1)
        if capacity > self.capacity:
            larger = <uint8_t*>realloc(self.buffer, capacity)
            if larger == NULL:
                self.out_of_memory = True
                return False
            self.buffer, self.capacity = larger, capacity
        return True

    cdef bint exchange(self, uint8_t** buffer, size_t* capacity) noexcept nogil:
        """Give the buffer away, with the frames taken from it, for another one.

        What was not taken goes into the other one.
        """
        cdef size_t left = self.end - self.start
        cdef size_t needed = max(left, FIRST_CAPACITY)
        cdef uint8_t* other = buffer[0]
        if capacity[0] < needed:
            other = <uint8_t*>realloc(buffer[0], needed)
            if other == NULL:
                self.out_of_memory = True
                return False
            capacity[0] = needed
        memcpy(other, self.buffer + self.start, left)
        buffer[0], self.buffer = self.buffer, other
        capacity[0], self.capacity = self.capacity, capacity[0]
        self.start, self.end = 0, left
        return True

    def filled(self, size_t octets):
        """Say how many octets were written into the view that `space` gave."""
        if octets > self.capacity - self.end:
            raise ValueError("more octets than there was space for")
        self.end += octets

    def take(self, Piece piece not None, size_t octets):
        """Go on with the octets of a piece; it has the buffer of before then.

        Parameters
        ----------
        piece : Piece
        octets : int
            That were written into its space.
        """
        cdef size_t left = self.end - self.start
        if octets > PIECE:
            raise ValueError("more octets than a piece has space for")
        if left > PIECE_MARGIN:     # of a long frame
            self.needed = max(self.needed, left + octets)
            if not self.make_room():
                raise MemoryError
            memcpy(self.buffer + self.end, piece.buffer + PIECE_MARGIN, octets)
            self.end += octets
            return
        memcpy(
            piece.buffer + PIECE_MARGIN - left, self.buffer + self.start, left
        )
        piece.buffer, self.buffer = self.buffer, piece.buffer
        piece.capacity, self.capacity = self.capacity, piece.capacity
        self.start, self.end = PIECE_MARGIN - left, PIECE_MARGIN + octets

    def fill(self, int descriptor, size_t piece, size_t most):
        """Read from a file, now and whenever the buffer has been used up.

        Parameters
        ----------
        descriptor : int
            The open file.
        piece : int
            Octets to read at a time.
        most : int
            Octets after which the interpreter is to be asked again.

        Returns
        -------
        int
            Octets that were read now, 0 at the end of the file.
        """
        cdef Py_ssize_t count
        self.descriptor, self.piece, self.left = descriptor, piece, most
        while True:
            with nogil:
                count = self.refill()
            if count >= 0:
                return count
            if self.out_of_memory:
                raise MemoryError
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()

    cdef Py_ssize_t refill(self) noexcept nogil:
        """Read the next piece; 0 at the end or when it is the interpreter's turn."""
        cdef size_t wanted
        cdef Py_ssize_t count
        if (
            self.left == 0
            or self.stopped
            or self.window_full
            or self.file_format == FORMAT_UNKNOWN
        ):
            return 0
        if not self.make_room():
            return -1
        wanted = min(self.piece, self.capacity - self.end)
        count = read(self.descriptor, self.buffer + self.end, wanted)
        if count < 0:
            return -1
        self.end += count
        self.taken += count
        # After less than was asked for, the next read may wait: signals come first.
        self.left = self.left - count if count == wanted < self.left else 0
        return count

    def next_time(self):
        """Give the time of the next frame in nanoseconds, None if it has none.

        The frame is not taken: `next` will give it.

        Raises
        ------
        LookupError
            If the buffer has no complete frame.
        """
        cdef Packet packet
        cdef int64_t until = self.until
        self.looking, self.seen = True, False
        self.until = NO_TIME        # no frame is earlier: `is_beyond` sees each
        self.next(&packet, 1)
        self.looking, self.until = False, until
        if not self.seen:
            raise LookupError("no complete frame")
        return None if self.seen_time == NO_TIME else self.seen_time

    def finish(self):
        """Say that the capture has ended; a block that is not complete is damage."""
        cdef uint64_t left = self.end - self.start
        if not self.stopped and (left or self.skip):
            if self.file_format == FORMAT_UNREAD:
                self.file_format = FORMAT_UNKNOWN
            else:
                self.damage(PROBLEM_CUT, left, True)

    def open_window(self, int64_t length, start=None):
        """Give the frames of one window of capture time, and then no more.

        Windows begin at multiples of their length since the epoch. The first frame that
        is late enough for another window ends it, and is the first of the next. A frame
        without a time is in the window of the frame before.

        Parameters
        ----------
        length : int
            Nanoseconds.
        start : int, optional
            Nanoseconds since the epoch; the first frame says which window it is if not
            given.
        """
        self.window = length
        self.window_full = False
        self.until = NO_TIME
        if start is not None:
            self.until = end_of_window(start, length)

    @property
    def window_start(self):
        """Nanoseconds since the epoch, None before the first frame of the window."""
        return None if self.until == NO_TIME else self.until - self.window

    cdef bint is_beyond(self, int64_t time) noexcept nogil:
        """Whether a frame is to be left where it is: it is of another window."""
        if likely_false(self.looking):
            self.seen, self.seen_time = True, time
            return True
        if time == NO_TIME or self.window == 0:
            return False
        if self.until == NO_TIME:
            self.until = end_of_window(time, self.window)
            return False
        self.window_full = time >= self.until
        return self.window_full

    @property
    def offset(self):
        """Octets of the capture that were taken from the buffer."""
        return self.consumed

    @property
    def octets_read(self):
        """Octets that were read from a file."""
        return self.taken

    @property
    def cut_in_header(self):
        """The capture ended inside its file header."""
        return self.file_format == FORMAT_UNKNOWN and self.needed == PCAP_FILE_HEADER

    @property
    def done(self):
        """Nothing more can be read from this capture."""
        return self.stopped or self.file_format == FORMAT_UNKNOWN

    @property
    def format(self):
        """One of ``pcap``, ``pcapng``, ``unknown``, or None before the file header."""
        return (None, "pcap", "pcapng", "unknown")[self.file_format]

    @property
    def interfaces(self):
        """One (name, link type, snapshot length, received, dropped) per interface."""
        return [
            (
                detail[0],
                self.states[index].link_type,
                self.states[index].snapshot_length,
                detail[1],
                detail[2],
            )
            for index, detail in enumerate(self.details)
        ]

    @property
    def damages(self):
        """One (reason, offset, frame) per place that does not keep to the format."""
        return list(self.damage_list)

    cdef uint16_t u16(self, const void* octets) noexcept nogil:
        return be16(octets) if self.swapped else le16(octets)

    cdef uint32_t u32(self, const void* octets) noexcept nogil:
        return be32(octets) if self.swapped else le32(octets)

    cdef uint64_t u64(self, const void* octets) noexcept nogil:
        cdef const uint8_t* at = <const uint8_t*>octets
        if self.swapped:
            return be64(octets)
        return <uint64_t>le32(at + 4) << 32 | le32(at)

    cdef void damage(self, int problem, uint64_t value, bint stop) noexcept nogil:
        """Note a damaged place; `stop` where the format gives no way to go on."""
        if stop:
            self.stopped = True
        with gil:
            if len(self.damage_list) < MOST_DAMAGES:
                self.damage_list.append(
                    (PROBLEMS[problem].format(value=value), self.consumed, self.frames)
                )

    cdef int next(self, Packet* packets, int room) noexcept nogil:
        """Take up to `room` frames; 0 when the buffer has no complete block left."""
        if likely_false(self.file_format == FORMAT_UNREAD):
            self.read_file_header()
        if self.stopped:
            return 0
        if self.file_format == FORMAT_PCAP:
            return self.next_pcap(packets, room)
        if self.file_format == FORMAT_PCAPNG:
            return self.next_pcapng(packets, room)
        return 0

    cdef void read_file_header(self) noexcept nogil:
        cdef const uint8_t* at = self.buffer + self.start
        cdef size_t left = self.end - self.start
        cdef uint32_t magic
        if left < 4:
            return
        magic = be32(at)
        if magic == BLOCK_SECTION:
            self.file_format = FORMAT_PCAPNG
            return
        self.swapped = magic == PCAP_MICROSECONDS or magic == PCAP_NANOSECONDS
        if not self.swapped:
            magic = le32(at)
        if magic != PCAP_MICROSECONDS and magic != PCAP_NANOSECONDS:
            self.file_format = FORMAT_UNKNOWN
            return
        if left < PCAP_FILE_HEADER:
            self.needed = PCAP_FILE_HEADER
            return
        self.nanoseconds = magic == PCAP_NANOSECONDS
        self.file_format = FORMAT_PCAP
        # The upper half may hold the length of a frame check sequence.
        self.add_interface(self.u32(at + 20) & 0xFFFF, self.u32(at + 16))
        self.start += PCAP_FILE_HEADER
        self.consumed += PCAP_FILE_HEADER

    cdef int next_pcap(self, Packet* packets, int room) noexcept nogil:
        cdef const uint8_t* at = self.buffer + self.start
        cdef const uint8_t* end = self.buffer + self.end
        cdef const uint8_t* begin = at
        cdef uint32_t link_type = self.states[0].link_type
        cdef uint32_t limit = self.states[0].snapshot_length
        cdef int64_t scale = 1 if self.nanoseconds else 1000
        cdef bint swapped = self.swapped
        cdef uint64_t frames = self.frames
        cdef uint32_t length, wire_length, seconds, fraction
        cdef int64_t time
        cdef int count = 0
        if limit < LEAST_SNAPSHOT_LIMIT:
            limit = LEAST_SNAPSHOT_LIMIT
        if limit > LONGEST_FRAME:
            limit = LONGEST_FRAME
        while count < room and end - at >= PCAP_RECORD_HEADER:
            if swapped:
                seconds = be32(at)
                fraction = be32(at + 4)
                length = be32(at + 8)
                wire_length = be32(at + 12)
            else:
                seconds = le32(at)
                fraction = le32(at + 4)
                length = le32(at + 8)
                wire_length = le32(at + 12)
            if likely_false(length > limit):
                self.frames += count
                self.consumed += at - begin
                self.start += at - begin
                self.damage(PROBLEM_FRAME_LENGTH, length, True)
                return count
            if end - at < PCAP_RECORD_HEADER + <int64_t>length:
                self.needed = PCAP_RECORD_HEADER + length
                break
            time = <int64_t>seconds * NANOSECONDS + fraction * scale
            if likely_false(time >= self.until) and self.is_beyond(time):
                break
            packets[count].data = at + PCAP_RECORD_HEADER
            packets[count].time = time
            packets[count].captured_length = length
            packets[count].wire_length = wire_length
            packets[count].interface = 0
            packets[count].link_type = link_type
            packets[count].frame = frames + count + 1
            count += 1
            at += PCAP_RECORD_HEADER + length
        self.frames += count
        self.consumed += at - begin
        self.start += at - begin
        return count

    cdef int next_pcapng(self, Packet* packets, int room) noexcept nogil:
        cdef const uint8_t* at
        cdef uint64_t left
        cdef uint32_t kind, length, trailer
        cdef int count = 0
        while count < room and not self.stopped:
            left = self.end - self.start
            at = self.buffer + self.start
            if self.skip:
                left = min(left, self.skip)
                self.skip -= left
                self.start += left
                self.consumed += left
                if self.skip:
                    break
                continue
            if left < BLOCK_HEADER + 4:
                self.needed = BLOCK_HEADER + 4
                break
            kind = self.u32(at)
            if kind == BLOCK_SECTION:
                # Its byte-order magic says how to read what follows, its length too.
                if be32(at + 8) == BYTE_ORDER_MAGIC:
                    self.swapped = True
                elif le32(at + 8) == BYTE_ORDER_MAGIC:
                    self.swapped = False
                else:
                    self.damage(PROBLEM_BYTE_ORDER, be32(at + 8), True)
                    break
            length = self.u32(at + 4)
            if likely_false(length < BLOCK_HEADER + 4 or length & 3):
                self.damage(PROBLEM_BLOCK_LENGTH, length, True)
                break
            if likely_false(length > LONGEST_FRAME + 65536):
                if kind <= BLOCK_ENHANCED_PACKET or kind == BLOCK_SECTION:
                    self.damage(PROBLEM_BLOCK_LENGTH, length, True)
                    break
                self.skip = length      # unknown and long: nothing of it is needed
                continue
            if left < length:
                self.needed = length
                break
            trailer = self.u32(at + length - 4)
            if likely_false(trailer != length):
                self.damage(PROBLEM_TRAILER, trailer, True)
                break
            if (
                kind == BLOCK_ENHANCED_PACKET
                or kind == BLOCK_SIMPLE_PACKET
                or kind == BLOCK_PACKET
            ):
                if self.fill_frame(
                    &packets[count], at + BLOCK_HEADER, length - BLOCK_HEADER - 4, kind
                ):
                    if likely_false(
                        packets[count].time >= self.until
                    ) and self.is_beyond(packets[count].time):
                        break
                    self.frames += 1
                    packets[count].frame = self.frames
                    count += 1
            elif kind == BLOCK_SECTION:
                self.section_header(at + BLOCK_HEADER, length - BLOCK_HEADER - 4)
            elif kind == BLOCK_INTERFACE:
                self.describe_interface(at + BLOCK_HEADER, length - BLOCK_HEADER - 4)
            elif kind == BLOCK_INTERFACE_STATISTICS:
                self.interface_statistics(at + BLOCK_HEADER, length - BLOCK_HEADER - 4)
            self.start += length
            self.consumed += length
        return count

    cdef bint fill_frame(
        self, Packet* packet, const uint8_t* body, uint32_t length, uint32_t kind
    ) noexcept nogil:
        """Read one of the three packet blocks; False if it is no use."""
        cdef uint32_t header = 4 if kind == BLOCK_SIMPLE_PACKET else 20
        cdef uint32_t interface = 0
        cdef uint32_t captured_length, wire_length
        cdef uint64_t ticks = 0
        cdef InterfaceState* state
        if length < header:
            self.damage(PROBLEM_BLOCK_BODY, kind, False)
            return False
        if kind == BLOCK_ENHANCED_PACKET:
            interface = self.u32(body)
        elif kind == BLOCK_PACKET:
            interface = self.u16(body)
        if interface >= self.interface_count - self.section_base:
            self.damage(PROBLEM_INTERFACE, interface, False)
            return False
        state = &self.states[self.section_base + interface]
        if kind == BLOCK_SIMPLE_PACKET:
            wire_length = self.u32(body)
            captured_length = min(wire_length, length - header)
            if state.snapshot_length:
                captured_length = min(captured_length, state.snapshot_length)
        else:
            ticks = <uint64_t>self.u32(body + 4) << 32 | self.u32(body + 8)
            captured_length = self.u32(body + 12)
            wire_length = self.u32(body + 16)
            if captured_length > length - header:
                self.damage(PROBLEM_BLOCK_BODY, kind, False)
                return False
        packet.data = body + header
        packet.captured_length = captured_length
        packet.wire_length = wire_length
        packet.interface = self.section_base + interface
        packet.link_type = state.link_type
        packet.time = (
            NO_TIME if kind == BLOCK_SIMPLE_PACKET else time_of(state, ticks)
        )
        return True

    cdef void section_header(self, const uint8_t* body, uint32_t length) noexcept nogil:
        self.section_base = self.interface_count
        self.sections += 1

    cdef int add_interface(
        self, uint32_t link_type, uint32_t snapshot_length
    ) noexcept nogil:
        """Append an interface; -1 if there is no room."""
        cdef InterfaceState* larger
        cdef InterfaceState* state
        if self.interface_count == MOST_INTERFACES:
            self.damage(PROBLEM_TOO_MANY_INTERFACES, MOST_INTERFACES, True)
            return -1
        if self.interface_count == self.interface_capacity:
            larger = <InterfaceState*>realloc(
                self.states,
                2 * self.interface_capacity * sizeof(InterfaceState),
            )
            if larger == NULL:
                self.out_of_memory = True
                self.stopped = True
                return -1
            self.states = larger
            self.interface_capacity *= 2
        state = &self.states[self.interface_count]
        state.link_type = link_type
        state.snapshot_length = snapshot_length
        state.ticks_per_second = 1000000
        state.shift = 0
        state.offset = 0
        self.interface_count += 1
        with gil:
            self.details.append([None, None, None])
        return self.interface_count - 1

    cdef void describe_interface(
        self, const uint8_t* body, uint32_t length
    ) noexcept nogil:
        cdef uint32_t at = 8, option, size, exponent
        cdef int added
        cdef InterfaceState* state
        if length < 8:
            self.damage(PROBLEM_BLOCK_BODY, BLOCK_INTERFACE, False)
            return
        added = self.add_interface(self.u16(body), self.u32(body + 4))
        if added < 0:
            return
        state = &self.states[added]
        while at + 4 <= length:
            option = self.u16(body + at)
            size = self.u16(body + at + 2)
            at += 4
            if option == 0 or size > length - at:
                break
            if option == OPTION_IF_NAME:
                with gil:
                    self.details[added][0] = text_of(body + at, size)
            elif option == OPTION_IF_TSRESOL and size >= 1:
                exponent = body[at] & 0x7F
                if body[at] & 0x80:
                    state.ticks_per_second = 0
                    state.shift = min(exponent, 63)
                else:
                    state.ticks_per_second = 1
                    for _ in range(min(exponent, 19)):
                        state.ticks_per_second *= 10
            elif option == OPTION_IF_TSOFFSET and size >= 8:
                state.offset = <int64_t>self.u64(body + at)
            at += (size + 3) & ~<uint32_t>3

    cdef void interface_statistics(
        self, const uint8_t* body, uint32_t length
    ) noexcept nogil:
        cdef uint32_t at = 12, option, size, interface
        if length < 12:
            self.damage(PROBLEM_BLOCK_BODY, BLOCK_INTERFACE_STATISTICS, False)
            return
        interface = self.u32(body)
        if interface >= self.interface_count - self.section_base:
            self.damage(PROBLEM_INTERFACE, interface, False)
            return
        interface += self.section_base
        while at + 4 <= length:
            option = self.u16(body + at)
            size = self.u16(body + at + 2)
            at += 4
            if option == 0 or size > length - at:
                break
            if size >= 8 and (
                option == OPTION_ISB_RECEIVED or option == OPTION_ISB_DROPPED
            ):
                with gil:
                    self.details[interface][
                        1 if option == OPTION_ISB_RECEIVED else 2
                    ] = self.u64(body + at)
            at += (size + 3) & ~<uint32_t>3


cdef str text_of(const uint8_t* octets, uint32_t size):
    return (<const char*>octets)[:size].rstrip(b"\0").decode("utf-8", "replace")


cdef inline int64_t end_of_window(int64_t time, int64_t length) noexcept nogil:
    """Give the multiple of a window's length that comes after a time."""
    cdef int64_t since = time % length
    if since < 0:
        since += length
    return LAST_TIME if time - since > LAST_TIME - length else time - since + length


cdef inline int64_t time_of(
    const InterfaceState* state, uint64_t ticks
) noexcept nogil:
    """Convert an interface's ticks to nanoseconds since the epoch."""
    cdef uint64_t whole, rest, second
    cdef int64_t seconds
    if state.ticks_per_second == 1000000 and state.offset == 0:
        if ticks > LAST_MICROSECOND:
            return NO_TIME
        return ticks * 1000
    if state.ticks_per_second:
        second = state.ticks_per_second
        whole = ticks // second
        rest = ticks - whole * second
        if second <= NANOSECONDS:
            rest = rest * (NANOSECONDS // second)
        else:
            rest = rest // (second // NANOSECONDS)
    else:
        whole = ticks >> state.shift
        rest = ticks - (whole << state.shift)
        rest = multiply_shift(rest, NANOSECONDS, state.shift)
    if (
        whole > <uint64_t>LAST_SECOND
        or state.offset > LAST_SECOND
        or state.offset < -LAST_SECOND
    ):
        return NO_TIME
    seconds = <int64_t>whole + state.offset
    if seconds > LAST_SECOND or seconds < -LAST_SECOND:
        return NO_TIME
    return seconds * <int64_t>NANOSECONDS + <int64_t>rest
