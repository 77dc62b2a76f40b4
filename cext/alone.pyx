"""Flows that belong with no others, each as a connection of its own.

Who is the client is told by the same reasons as for flows that belong together, see
:mod:`analyzer.correlate.legs`; the rest is put where a connection has it.
"""

cimport cython

from libc.math cimport rint
from libc.stdint cimport int64_t, uint32_t, uint64_t

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
from analyzer._cext.columns cimport (
    Columns,
    put_bit,
    put_u8,
    put_u32,
    put_u64,
)
from cext.clock cimport MORE_OF_CLOCKS, corrected
from cext.conversation cimport (
    ALONE,
    ECHO_REPLY,
    ECHO_REPLY_V6,
    IS_ICMP,
    IS_TCP,
    PORT_BITS,
    PORT_MASK,
    PROTOCOL_COLUMNS,
    end_of,
)
from cext.flow_schema cimport (
    COLUMN_COUNT,
    COPIES,
    END_TIME,
    FLOW_ID,
    HANDSHAKE_RTT,
    ICMP_TYPE,
    ORIGINATOR_ISN,
    ORIGINATOR_PACKETS,
    ORIGINATOR_PAYLOAD_BYTES,
    ORIGINATOR_RETRANSMITS,
    ORIGINATOR_SEQ_START,
    ORIGINATOR_TCP_FLAGS,
    ORIGINATOR_TTL,
    OUTER_ORIGINATOR_IP,
    POINT,
    PROTOCOL,
    REQUESTS,
    START_TIME,
    TCP_STATE,
    TUNNEL,
)
from cext.keymap cimport (
    KeyMap,
    close_keys,
    number_of,
    open_keys,
    set_number,
)

cdef enum:
    SYN_ACK = 0x12
    LEAST_TAKEN = 1024          # where MASQUERADE --random-fully begins
    EPHEMERAL = 32768           # where ip_local_port_range begins
    FIRST_NODE_PORT = 30000     # --service-node-port-range
    LAST_NODE_PORT = 32767

# Columns of points, by their codes.
cdef enum:
    NODE
    IS_OVERLAY
    IS_POD_SIDE
    CLOCK                       # the first of its columns
    POINT_COLUMNS = CLOCK + MORE_OF_CLOCKS

# Columns of connections.
cdef enum:
    TO_GROUP
    TO_FLOW_ID
    TO_POINT
    TO_PROTOCOL
    TO_CLIENT
    TO_SERVER
    TO_CLIENT_TTL
    TO_CLIENT_OUTER
    TO_IS_TUNNELED
    TO_NODE
    TO_IS_OVERLAY
    TO_IS_POD_SIDE
    TO_RAW_START
    TO_START
    TO_END
    TO_IS_ANSWERED
    TO_IS_NUMBERED
    TO_REQUESTS
    TO_HANDSHAKE_RTT
    TO_TCP_STATE
    TO_RETRANSMITS
    TO_PACKETS
    TO_PACKETS_OF_SERVER
    TO_BYTES
    TO_BYTES_OF_SERVER
    TO_PAYLOAD
    TO_PAYLOAD_OF_SERVER
    CONNECTION_COLUMNS


@cython.final
cdef class Filler:
    """Make connections of flows.

    Parameters
    ----------
    protocols : Arrays
        See :mod:`analyzer.correlate.flow_arrays`.
    points : Arrays
        One row per code of a point: its node's code (u32), whether it is in an overlay
        or at a pod (bool), and its clock's offset, drift and moment (f64; offset and
        drift 0: it needs no correction).
    told, seen : Arrays
        One column: ends (u64) that serve, by cluster state and by a SYN.
    met : Arrays
        Ends (u64) of several connections of TCP, and how many (u32).
    tunnels, nodes : Arrays
        One column: codes of addresses (u64).
    """

    cdef Arrays protocols
    cdef Arrays points
    cdef KeyMap told
    cdef KeyMap serving
    cdef KeyMap met
    cdef KeyMap tunnels
    cdef KeyMap nodes

    def __cinit__(
        self,
        Arrays protocols,
        Arrays points,
        Arrays told,
        Arrays seen,
        Arrays met,
        Arrays tunnels,
        Arrays nodes,
    ):
        cdef uint64_t seed = secrets.randbits(64)
        if protocols.count != PROTOCOL_COLUMNS or points.count != POINT_COLUMNS:
            raise ValueError("columns of protocols or points are missing")
        self.protocols = protocols
        self.points = points
        if not (
            open_keys(&self.told, seed)
            and open_keys(&self.serving, seed)
            and open_keys(&self.met, seed)
            and open_keys(&self.tunnels, seed)
            and open_keys(&self.nodes, seed)
            and put_all(&self.told, told)
            and put_all(&self.serving, told)
            and put_all(&self.serving, seen)
            and put_all(&self.met, met)
            and put_all(&self.tunnels, tunnels)
            and put_all(&self.nodes, nodes)
        ):
            raise MemoryError

    def __dealloc__(self):
        close_keys(&self.told)
        close_keys(&self.serving)
        close_keys(&self.met)
        close_keys(&self.tunnels)
        close_keys(&self.nodes)

    def fill(
        self,
        Arrays flows,
        uint32_t first,
        Arrays told,
        Columns connections,
    ):
        """Fill columns with those flows that are marked.

        Several threads may fill columns of their own at the same time.

        Parameters
        ----------
        flows : Arrays
            See :mod:`analyzer.correlate.flow_arrays`.
        first : int
            Number of the first of these flows.
        told : Arrays
            One column (u8) of all flows: 1 for those to take, see
            :mod:`analyzer.correlate.company`.
        connections : Columns
            Those that :mod:`analyzer.correlate.alone` lists, with room for as many
            rows.

        Returns
        -------
        int
            Rows filled.
        """
        cdef Py_ssize_t row, count = 0
        if flows.count != COLUMN_COUNT or connections.count != CONNECTION_COLUMNS:
            raise ValueError("columns of flows or connections are missing")
        if flows.rows > connections.rows or first + flows.rows > told.rows:
            raise ValueError("more flows than are told of, or than have room")
        with nogil:
            for row in range(flows.rows):
                count += u8_of(told.columns, first + row) == ALONE
            connections.clear(count)
            count = 0
            for row in range(flows.rows):
                if u8_of(told.columns, first + row) == ALONE:
                    self.put(flows.columns, row, first, connections, count)
                    count += 1
        return count

    cdef void put(
        self,
        const Values* flow,
        Py_ssize_t row,
        uint32_t first,
        Columns out,
        Py_ssize_t to,
    ) noexcept nogil:
        cdef uint32_t protocol = u32_of(&flow[PROTOCOL], row)
        cdef uint32_t point = u32_of(&flow[POINT], row)
        cdef bint is_tcp = bool_of(&self.protocols.columns[IS_TCP], protocol)
        cdef bint is_icmp = bool_of(&self.protocols.columns[IS_ICMP], protocol)
        cdef const Values* about = self.points.columns
        cdef const Values* isns = &flow[ORIGINATOR_ISN]
        cdef const Values* again = &flow[ORIGINATOR_RETRANSMITS]
        cdef const Values* ttl
        cdef const Values* outer
        cdef uint64_t[2] ends = [end_of(flow, 0, row), end_of(flow, 1, row)]
        cdef int c, s
        # An echo's reply does not make its sender the client.
        c = is_icmp and u8_of(&flow[ICMP_TYPE], row) in (ECHO_REPLY, ECHO_REPLY_V6)
        if is_tcp:
            if not (is_known(&isns[0], row) or is_known(&isns[1], row)):
                c ^= self.turns_tcp(flow, row, ends)
        else:
            c ^= self.turns(flow, row, ends[c], ends[1 - c], is_icmp)
        s = 1 - c
        put_u32(out, TO_GROUP, to, first + <uint32_t>row, True)
        put_u64(out, TO_FLOW_ID, to, u64_of(&flow[FLOW_ID], row), True)
        put_u32(out, TO_POINT, to, point, True)
        put_u32(out, TO_PROTOCOL, to, protocol, True)
        put_u64(out, TO_CLIENT, to, ends[c], True)
        put_u64(out, TO_SERVER, to, ends[s], True)
        ttl = &flow[ORIGINATOR_TTL + c]
        put_u8(out, TO_CLIENT_TTL, to, u8_of(ttl, row), is_known(ttl, row))
        outer = &flow[OUTER_ORIGINATOR_IP + c]
        put_u32(out, TO_CLIENT_OUTER, to, u32_of(outer, row), is_known(outer, row))
        put_bit(out, TO_IS_TUNNELED, to, is_known(&flow[TUNNEL], row), True)
        put_u32(
            out, TO_NODE, to, u32_of(&about[NODE], point), is_known(&about[NODE], point)
        )
        put_bit(out, TO_IS_OVERLAY, to, bool_of(&about[IS_OVERLAY], point), True)
        put_bit(out, TO_IS_POD_SIDE, to, bool_of(&about[IS_POD_SIDE], point), True)
        copy(out, TO_RAW_START, to, &flow[START_TIME], row)
        self.put_time(out, TO_START, to, &flow[START_TIME], row, point)
        self.put_time(out, TO_END, to, &flow[END_TIME], row, point)
        put_bit(out, TO_IS_ANSWERED, to, is_answered(flow, row, s, is_tcp), True)
        put_bit(
            out, TO_IS_NUMBERED, to,
            is_known(&isns[0], row) and is_known(&isns[1], row), True,
        )
        copy(out, TO_REQUESTS, to, &flow[REQUESTS], row)
        copy(out, TO_HANDSHAKE_RTT, to, &flow[HANDSHAKE_RTT], row)
        put_u32(
            out, TO_TCP_STATE, to,
            u32_of(&flow[TCP_STATE], row), is_known(&flow[TCP_STATE], row),
        )
        put_u64(
            out, TO_RETRANSMITS, to,
            u64_of(&again[0], row) + u64_of(&again[1], row),
            is_known(&again[0], row) and is_known(&again[1], row),
        )
        put_counters(out, to, flow, row, c)

    cdef bint turns(
        self,
        const Values* flow,
        Py_ssize_t row,
        uint64_t client,
        uint64_t server,
        bint is_icmp,
    ) noexcept nogil:
        """Tell whether the client of what has no SYN is the other end.

        What is known to serve tells; else an answer of which the question was not seen.
        """
        cdef bint serves = number_of(&self.told, client) != 0
        cdef uint32_t ports[2]
        if serves != (number_of(&self.told, server) != 0):
            return serves
        if is_icmp or u64_of(&flow[ORIGINATOR_PACKETS + 1], row):
            return False
        ports[0], ports[1] = client & PORT_MASK, server & PORT_MASK
        return (ports[0] < LEAST_TAKEN and ports[1] >= LEAST_TAKEN) or (
            ports[0] < EPHEMERAL and ports[1] >= EPHEMERAL
        )

    cdef bint turns_tcp(
        self, const Values* flow, Py_ssize_t row, const uint64_t* ends
    ) noexcept nogil:
        """Tell the same of a TCP connection whose beginning was not seen."""
        cdef uint64_t about[2]
        cdef uint32_t ports[2]
        cdef int side
        for side in range(2):
            ports[side] = ends[side] & PORT_MASK
            about[side] = number_of(&self.serving, ends[side])
        if about[0] != about[1]:
            return about[0] != 0
        # A beginning without flags shows its first packet all the same, unless packets
        # of the other side go by elsewhere.
        if (
            is_known(&flow[ORIGINATOR_SEQ_START], row)
            and u64_of(&flow[ORIGINATOR_PACKETS + 1], row)
            and not is_known(&flow[ORIGINATOR_TCP_FLAGS], row)
            and not is_known(&flow[ORIGINATOR_TCP_FLAGS + 1], row)
        ):
            return False
        for side in range(2):
            about[side] = number_of(&self.tunnels, ends[side] >> PORT_BITS)
        if about[0] != about[1]:
            return about[1] != 0
        for side in range(2):
            about[side] = number_of(&self.met, ends[side])
        if about[0] != about[1]:
            return about[0] > about[1]
        if (ports[0] < LEAST_TAKEN) != (ports[1] < LEAST_TAKEN):
            return ports[0] < LEAST_TAKEN
        if (ports[0] >= EPHEMERAL) != (ports[1] >= EPHEMERAL):
            return ports[1] >= EPHEMERAL
        for side in range(2):
            about[side] = (
                FIRST_NODE_PORT <= ports[side] <= LAST_NODE_PORT
                and number_of(&self.nodes, ends[side] >> PORT_BITS)
            )
        if about[0] != about[1]:
            return about[0] != 0
        return ports[0] < ports[1]

    cdef void put_time(
        self,
        Columns out,
        int column,
        Py_ssize_t to,
        const Values* times,
        Py_ssize_t row,
        uint32_t point,
    ) noexcept nogil:
        """Set a time back to what the clock of reference showed."""
        cdef int64_t time = corrected(
            &self.points.columns[CLOCK], point, <int64_t>u64_of(times, row)
        )
        put_u64(out, column, to, <uint64_t>time, is_known(times, row))


cdef bint put_all(KeyMap* map, Arrays keys) noexcept nogil:
    """Put keys into a table, with the numbers in a second column if there is one."""
    cdef Py_ssize_t row
    cdef uint64_t number
    for row in range(keys.rows):
        number = u32_of(&keys.columns[1], row) if keys.count > 1 else 1
        if not set_number(map, u64_of(&keys.columns[0], row), number):
            return False
    return True


cdef inline void copy(
    Columns out, int column, Py_ssize_t to, const Values* values, Py_ssize_t row
) noexcept nogil:
    put_u64(out, column, to, u64_of(values, row), is_known(values, row))


cdef inline bint is_answered(
    const Values* flow, Py_ssize_t row, int server, bint is_tcp
) noexcept nogil:
    """Tell whether the server took the connection."""
    cdef const Values* flags = &flow[ORIGINATOR_TCP_FLAGS + server]
    cdef const Values* payload = &flow[ORIGINATOR_PAYLOAD_BYTES + server]
    if not is_tcp and u64_of(&flow[ORIGINATOR_PACKETS + server], row):
        return True
    if is_known(flags, row) and (u8_of(flags, row) & SYN_ACK) == SYN_ACK:
        return True
    return is_known(payload, row) and u64_of(payload, row) > 0


cdef inline void put_counters(
    Columns out, Py_ssize_t to, const Values* flow, Py_ssize_t row, int client
) noexcept nogil:
    """Write both sides' counters, without copies that cannot be told apart."""
    cdef uint64_t copies = u64_of(&flow[COPIES], row)
    cdef uint64_t value, frames
    cdef double share = 1
    cdef int counter, side
    cdef const Values* values
    if copies:
        frames = u64_of(&flow[ORIGINATOR_PACKETS], row)
        frames += u64_of(&flow[ORIGINATOR_PACKETS + 1], row)
        share = <double>(frames - copies) / <double>frames
    for counter in range(3):
        for side in range(2):
            values = &flow[ORIGINATOR_PACKETS + 2 * counter + (side ^ client)]
            value = u64_of(values, row)
            if copies:
                value = <uint64_t>rint(<double>value * share)
            put_u64(
                out, TO_PACKETS + 2 * counter + side, to, value, is_known(values, row)
            )
