"""Numbers that flows share if they may be of one connection."""

from libc.stdint cimport uint8_t, uint64_t

import secrets

from analyzer._cext.arrays cimport Arrays, Values, is_known, u32_of, u64_of
from cext.conversation cimport (
    ALONE,
    IN_COMPANY,
    IS_SCTP,
    IS_TCP,
    IS_UDP,
    NO_CONVERSATION,
    PROTOCOL_COLUMNS,
    end_of,
    is_conversation,
    is_protocol,
)
from cext.cursor cimport fold_multiply
from cext.flow_schema cimport (
    COLUMN_COUNT,
    ICMP_TYPE,
    ORIGINATOR_DIGEST,
    ORIGINATOR_ISN,
    ORIGINATOR_PACKETS,
    ORIGINATOR_PAYLOAD_BYTES,
    ORIGINATOR_SEQ_END,
    ORIGINATOR_SEQ_START,
    ORIGINATOR_TCP_FLAGS,
    PROTOCOL,
)
from cext.keymap cimport (
    KeyMap,
    close_keys,
    number_of,
    open_keys,
    set_number,
)
from cext.packet cimport DIGEST_HALF

# The keys of a flow; all but the first are others for TCP than for datagrams.
cdef enum:
    BY_TUPLE
    BY_CLIENT                   # its first number; its address and digest
    BY_SERVER                   # its first number; the client's address and the sizes
    BY_END                      # last numbers of both; heads of digests and the sizes
    KEYS

NUMBER_OF_KEYS = KEYS

cdef uint64_t MIX = 0xE7037ED1A0B428DB
cdef uint64_t SEED = secrets.randbits(64) | 1


def put_keys(
    Arrays flows,
    Arrays protocols,
    int which,
    uint64_t[::1] keys,
    uint8_t[::1] validity,
    Py_ssize_t first,
):
    """Write one of the keys of some flows.

    Parameters
    ----------
    flows, protocols : Arrays
        See :mod:`analyzer.correlate.flow_arrays`.
    which : int
        From 0 up to `NUMBER_OF_KEYS`; 0 is the protocol with both ends.
    keys : writable buffer of u64
    validity : writable buffer of u8
        A bitmap, 0 to begin with, of the flows that have the key.
    first : int
        Place of the first of these flows.
    """
    cdef Py_ssize_t row
    check(flows, protocols)
    if first < 0 or first + flows.rows > min(keys.shape[0], 8 * validity.shape[0]):
        raise ValueError("there is no room for the keys of all flows")
    if not 0 <= which < KEYS:
        raise ValueError(f"there is no key {which}")
    with nogil:
        for row in range(flows.rows):
            if put_key(flows.columns, row, protocols, which, &keys[first + row]):
                validity[(first + row) >> 3] |= 1 << ((first + row) & 7)


def tell_company(
    parts, Arrays protocols, const uint8_t[::1] of_tuple, uint8_t[::1] shared
):
    """Tell which flows may belong with others.

    Parameters
    ----------
    parts : iterable of Arrays
        All flows; gone through three times.
    protocols : Arrays
    of_tuple : buffer of u8
        One octet per flow: whether others have its first key.
    shared : writable buffer of u8
        Whether others have one of its other keys; in its place comes 0 for what is no
        conversation, 1 for flows alone, 2 for those in company.

    Returns
    -------
    bool
        Whether flows of TCP lack the first number of a side.

    Notes
    -----
    Datagrams of a tuple that several flows show count as one with what all of them
    sent: what shares an end or a digest with any of those may be joined with it.
    """
    cdef Arrays part
    cdef KeyMap ends, digests
    cdef uint64_t number
    cdef Py_ssize_t row, first = 0
    cdef const Values* flow
    cdef bint is_short = False, has_memory
    for part in parts:
        check(part, protocols)
        first += part.rows
    if of_tuple.shape[0] != first or shared.shape[0] != first:
        raise ValueError("one octet per flow is needed")
    has_memory = open_keys(&ends, SEED) and open_keys(&digests, SEED)
    first = 0
    for part in parts:
        with nogil:
            for row in range(part.rows):
                if of_tuple[first + row] and is_datagram(part.columns, row, protocols):
                    has_memory = has_memory and put_several(
                        part.columns, row, &ends, &digests
                    )
        first += part.rows
    first = 0
    for part in parts:
        flow = part.columns
        with nogil:
            for row in range(part.rows if has_memory else 0):
                if not is_conversation(protocols, flow, row):
                    shared[first + row] = NO_CONVERSATION
                    continue
                if (
                    of_tuple[first + row]
                    or shared[first + row]
                    or is_known(&flow[ICMP_TYPE], row)
                    or (
                        is_datagram(flow, row, protocols)
                        and is_like_several(flow, row, &ends, &digests)
                    )
                ):
                    shared[first + row] = IN_COMPANY
                else:
                    shared[first + row] = ALONE
                if is_protocol(protocols, IS_TCP, flow, row):
                    is_short = is_short or not (
                        put_number(flow, 0, row, &number)
                        and put_number(flow, 1, row, &number)
                    )
        first += part.rows
    close_keys(&ends)
    close_keys(&digests)
    if not has_memory:
        raise MemoryError
    return is_short


cdef int check(Arrays flows, Arrays protocols) except -1:
    if flows.count != COLUMN_COUNT or protocols.count != PROTOCOL_COLUMNS:
        raise ValueError("columns of flows or protocols are missing")
    return 0


cdef inline uint64_t mixed(uint64_t key, uint64_t value) noexcept nogil:
    return fold_multiply(key ^ value, MIX ^ SEED)


cdef inline bint is_datagram(
    const Values* flow, Py_ssize_t row, Arrays protocols
) noexcept nogil:
    return is_conversation(protocols, flow, row) and (
        is_protocol(protocols, IS_UDP, flow, row)
        or is_protocol(protocols, IS_SCTP, flow, row)
    )


cdef bint put_key(
    const Values* flow, Py_ssize_t row, Arrays protocols, int which, uint64_t* key
) noexcept nogil:
    """Write a key; False if the flow has none."""
    cdef uint64_t ends[2]
    cdef int column
    if not is_conversation(protocols, flow, row):
        return False
    if which == BY_TUPLE:
        ends[0], ends[1] = end_of(flow, 0, row), end_of(flow, 1, row)
        key[0] = mixed(SEED, u32_of(&flow[PROTOCOL], row))
        key[0] = mixed(mixed(key[0], min(ends[0], ends[1])), max(ends[0], ends[1]))
        return True
    if is_protocol(protocols, IS_TCP, flow, row):
        if which == BY_END:
            return put_last_numbers(flow, row, key)
        return put_number(flow, which - BY_CLIENT, row, key)
    if not is_datagram(flow, row, protocols):
        return False
    if which == BY_END:
        if not is_known(&flow[ORIGINATOR_DIGEST + 1], row):
            return False
        key[0] = SEED
        for column in range(2):
            key[0] = mixed_head(key[0], &flow[ORIGINATOR_DIGEST + column], row)
    else:
        key[0] = mixed(SEED, end_of(flow, 0, row))
    if which == BY_CLIENT:
        key[0] = mixed_column(key[0], &flow[ORIGINATOR_DIGEST], row)
    if which != BY_CLIENT:
        for column in range(2):
            key[0] = mixed_column(key[0], &flow[ORIGINATOR_PACKETS + column], row)
            key[0] = mixed_column(key[0], &flow[ORIGINATOR_PAYLOAD_BYTES + column], row)
    return True


cdef inline uint64_t mixed_column(
    uint64_t key, const Values* values, Py_ssize_t row
) noexcept nogil:
    return mixed(key, u64_of(values, row) + 1 if is_known(values, row) else 0)


cdef inline uint64_t mixed_head(
    uint64_t key, const Values* digest, Py_ssize_t row
) noexcept nogil:
    return mixed(key, head_of(digest, row) + 1 if is_known(digest, row) else 0)


cdef inline uint64_t head_of(const Values* digest, Py_ssize_t row) noexcept nogil:
    """Give the part of a digest that a snapshot length of 96 octets leaves."""
    return u64_of(digest, row) >> DIGEST_HALF


cdef inline bint put_number(
    const Values* flow, int side, Py_ssize_t row, uint64_t* number
) noexcept nogil:
    """Write a side's first number, see analyzer.correlate.tcp.numbered."""
    cdef const Values* numbers = &flow[ORIGINATOR_ISN + side]
    if not is_known(numbers, row):
        if is_known(&flow[ORIGINATOR_TCP_FLAGS], row) or is_known(
            &flow[ORIGINATOR_TCP_FLAGS + 1], row
        ):
            return False
        numbers = &flow[ORIGINATOR_SEQ_START + 2 * side]
    number[0] = u32_of(numbers, row)
    return is_known(numbers, row)


cdef inline bint put_last_numbers(
    const Values* flow, Py_ssize_t row, uint64_t* numbers
) noexcept nogil:
    cdef uint64_t last[2]
    cdef int side
    for side in range(2):
        if not is_known(&flow[ORIGINATOR_SEQ_END + 2 * side], row):
            return False
        last[side] = u32_of(&flow[ORIGINATOR_SEQ_END + 2 * side], row)
    numbers[0] = min(last[0], last[1]) << 32 | max(last[0], last[1])
    return True


cdef bint put_several(
    const Values* flow, Py_ssize_t row, KeyMap* ends, KeyMap* digests
) noexcept nogil:
    """Note ends and digests' heads of one of several; False if no memory is left."""
    cdef const Values* digest
    cdef int side
    for side in range(2):
        digest = &flow[ORIGINATOR_DIGEST + side]
        if not set_number(ends, end_of(flow, side, row), 1):
            return False
        if is_known(digest, row) and not set_number(digests, head_of(digest, row), 1):
            return False
    return True


cdef inline bint is_like_several(
    const Values* flow, Py_ssize_t row, const KeyMap* ends, const KeyMap* digests
) noexcept nogil:
    if number_of(ends, end_of(flow, 0, row)):
        return True
    return is_known(&flow[ORIGINATOR_DIGEST], row) and number_of(
        digests, head_of(&flow[ORIGINATOR_DIGEST], row)
    )
