"""What connections of the kinds that are named have in their columns."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from analyzer._cext.arrays cimport (
    Arrays,
    Values,
    bool_of,
    is_known,
    u16_of,
    u32_of,
    u64_of,
)
from analyzer._cext.columns cimport (
    Columns,
    put_bit,
    put_u16,
    put_u32,
    put_u64,
)

cdef enum:
    PORT_BITS = 16
    PORT_MASK = 0xFFFF

# Columns of connections, as correlation leaves them.
cdef enum:
    PROTOCOL                    # codes of texts
    CLIENT                      # ends: code of the address, and port
    DESTINATION
    SOURCE
    BACKEND
    RAW_START
    START
    END
    TCP_STATE
    CONNECTION_COLUMNS

# Columns of kinds: names are places in the table's dictionaries.
cdef enum:
    CALLS_FROM_POD
    CALLS_FROM_NODE
    IS_DESTINATION_KNOWN
    IS_BACKEND_KNOWN
    ENDPOINT_IP
    ENDPOINT_PORT
    NAMES

# Columns of addresses, by their codes.
cdef enum:
    ADDRESS
    POD
    NAMESPACE
    ADDRESS_COLUMNS

# Columns that are filled; behind them the names of kinds, as many as there are.
cdef enum:
    TO_CONNECTION_ID
    TO_PROTOCOL
    TO_CLIENT_IP
    TO_CLIENT_PORT
    TO_DESTINATION_IP
    TO_DESTINATION_PORT
    TO_SNAT_IP
    TO_SNAT_PORT
    TO_BACKEND_IP
    TO_BACKEND_PORT
    TO_CLIENT_POD
    TO_CLIENT_NAMESPACE
    TO_IS_HAIRPIN
    TO_END_TIME
    TO_TCP_STATE
    TO_NAMES


def put_names(
    Arrays connections,
    const uint32_t[::1] numbers,
    Arrays kinds,
    Arrays addresses,
    Arrays protocols,
    Arrays states,
    uint64_t first,
    Columns out,
):
    """Fill the columns of the connections table that names go into.

    Parameters
    ----------
    connections : Arrays
        One row per connection: ``protocol`` (u32), ``client``, ``destination``,
        ``source``, ``backend`` (u64), ``raw_start``, ``start``, ``end`` (i64),
        ``tcp_state`` (u32).
    numbers : buffer of u32
        The kind of each, a row of `kinds`.
    kinds : Arrays
        Whether a pod calls, whether a node does, whether destination and backend are
        known (bool), the address and port of the endpoint that answered if it was not
        seen (i32, u16), and names (i32).
    addresses : Arrays
        One row per code of an address: its own place, those of its pod and of the
        pod's namespace (i32).
    protocols : Arrays
        One row per code of a protocol: its place (i32), whether it has ports (bool).
    states : Arrays
        One column: the place (i32) of each code of a TCP state.
    first : int
        Number of the first of these connections.
    out : Columns
        Those that :mod:`analyzer.correlate.connections` lists.
    """
    cdef Py_ssize_t row, rows = connections.rows
    cdef int name
    if connections.count != CONNECTION_COLUMNS or numbers.shape[0] != rows:
        raise ValueError("columns or numbers of connections are missing")
    if addresses.count != ADDRESS_COLUMNS or protocols.count != 2 or states.count != 1:
        raise ValueError("columns of what names are made of are missing")
    if out.rows < rows or out.count != TO_NAMES + kinds.count - NAMES:
        raise ValueError("there is no room for all columns or rows")
    with nogil:
        out.clear(rows)
        for row in range(rows):
            put_ends(
                out, row, connections.columns, kinds.columns, numbers[row],
                addresses.columns, protocols.columns,
            )
            put_u64(out, TO_CONNECTION_ID, row, first + <uint64_t>row, True)
            put_place(
                out, TO_TCP_STATE, row, states.columns,
                &connections.columns[TCP_STATE], row,
            )
        for name in range(kinds.count - NAMES):
            if not is_any_known(&kinds.columns[NAMES + name], kinds.rows):
                out.forget(TO_NAMES + name)
                continue
            for row in range(rows):
                put_i32(
                    out, TO_NAMES + name, row, &kinds.columns[NAMES + name],
                    numbers[row],
                )


cdef bint is_any_known(const Values* values, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(rows):
        if is_known(values, row):
            return True
    return False


cdef inline void put_i32(
    Columns out, int column, Py_ssize_t row, const Values* values, Py_ssize_t at
) noexcept nogil:
    put_u32(out, column, row, u32_of(values, at), is_known(values, at))


cdef inline void put_place(
    Columns out,
    int column,
    Py_ssize_t row,
    const Values* places,
    const Values* codes,
    Py_ssize_t at,
) noexcept nogil:
    """Write the place of a text's code."""
    if is_known(codes, at):
        put_i32(out, column, row, places, u32_of(codes, at))
    else:
        put_u32(out, column, row, 0, False)


cdef inline void put_ends(
    Columns out,
    Py_ssize_t row,
    const Values* connections,
    const Values* kinds,
    Py_ssize_t kind,
    const Values* addresses,
    const Values* protocols,
) noexcept nogil:
    cdef uint32_t protocol = u32_of(&connections[PROTOCOL], row)
    cdef bint has_port = bool_of(&protocols[1], protocol)
    cdef uint64_t client = u64_of(&connections[CLIENT], row)
    cdef uint64_t destination = u64_of(&connections[DESTINATION], row)
    cdef uint64_t source = u64_of(&connections[SOURCE], row)
    cdef uint64_t backend = u64_of(&connections[BACKEND], row)
    cdef uint64_t caller = client >> PORT_BITS
    cdef bint is_there = bool_of(&kinds[IS_DESTINATION_KNOWN], kind)
    cdef bint is_seen = bool_of(&kinds[IS_BACKEND_KNOWN], kind)
    cdef bint is_pod = bool_of(&kinds[CALLS_FROM_POD], kind)
    # NAT may give an echo another identifier, which is no port. Who was not seen to
    # take it may have got it from yet another address.
    cdef bint is_translated = is_seen and (
        client != source if has_port else caller != source >> PORT_BITS
    )
    cdef const Values* start = &connections[START]
    cdef const Values* end = &connections[END]
    cdef bint is_timed = (
        is_known(&connections[RAW_START], row)
        and is_known(start, row)
        and is_known(end, row)
    )
    cdef bint is_endpoint
    cdef uint32_t address
    put_i32(out, TO_PROTOCOL, row, &protocols[0], protocol)
    put_i32(out, TO_CLIENT_IP, row, &addresses[ADDRESS], caller)
    put_port(out, TO_CLIENT_PORT, row, client, has_port)
    put_u32(
        out, TO_DESTINATION_IP, row,
        u32_of(&addresses[ADDRESS], destination >> PORT_BITS), is_there,
    )
    put_port(out, TO_DESTINATION_PORT, row, destination, has_port and is_there)
    put_u32(
        out, TO_SNAT_IP, row,
        u32_of(&addresses[ADDRESS], source >> PORT_BITS), is_translated,
    )
    put_port(out, TO_SNAT_PORT, row, source, has_port and is_translated)
    if is_seen:
        is_endpoint = True
        address = u32_of(&addresses[ADDRESS], backend >> PORT_BITS)
        put_port(out, TO_BACKEND_PORT, row, backend, has_port)
    else:
        is_endpoint = is_known(&kinds[ENDPOINT_IP], kind)
        address = u32_of(&kinds[ENDPOINT_IP], kind)
        put_u16(
            out, TO_BACKEND_PORT, row,
            u16_of(&kinds[ENDPOINT_PORT], kind),
            has_port and is_known(&kinds[ENDPOINT_PORT], kind),
        )
    put_u32(out, TO_BACKEND_IP, row, address, is_endpoint)
    put_u32(
        out, TO_CLIENT_POD, row,
        u32_of(&addresses[POD], caller), is_pod and is_known(&addresses[POD], caller),
    )
    put_u32(
        out, TO_CLIENT_NAMESPACE, row,
        u32_of(&addresses[NAMESPACE], caller),
        is_pod and is_known(&addresses[NAMESPACE], caller),
    )
    # A node that calls itself needs no hairpin.
    put_bit(
        out, TO_IS_HAIRPIN, row,
        is_endpoint
        and address == u32_of(&addresses[ADDRESS], caller)
        and not bool_of(&kinds[CALLS_FROM_NODE], kind),
        True,
    )
    put_u64(
        out, TO_END_TIME, row,
        u64_of(&connections[RAW_START], row) + u64_of(end, row) - u64_of(start, row),
        is_timed,
    )


cdef inline void put_port(
    Columns out, int column, Py_ssize_t row, uint64_t end, bint known
) noexcept nogil:
    put_u16(out, column, row, <uint16_t>(end & PORT_MASK), known)
