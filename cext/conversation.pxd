# What correlation reads of a row of the flows table.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from analyzer._cext.arrays cimport (
    Arrays,
    Values,
    bool_of,
    is_known,
    u8_of,
    u16_of,
    u32_of,
)
from cext.flow_schema cimport (
    ICMP_ID,
    ICMP_TYPE,
    ORIGINATOR_IP,
    ORIGINATOR_PORT,
    PROTOCOL,
    RESPONDER_PORT,
    TUNNEL,
)
from cext.wire.geneve cimport GENEVE_UDP_PORT
from cext.wire.vxlan cimport VXLAN_UDP_PORT

cdef enum:
    PORT_BITS = 16
    PORT_MASK = 0xFFFF
    FLANNEL_UDP_PORT = 8472     # VXLAN as Linux began with
    ECHO_REPLY = 0
    ECHO = 8
    ECHO_V6 = 128
    ECHO_REPLY_V6 = 129

# What is told of a flow, see analyzer/correlate/company.py.
cdef enum:
    NO_CONVERSATION
    ALONE
    IN_COMPANY

# Columns of protocols, a row for each code that a text may have.
cdef enum:
    IS_TCP
    IS_UDP
    IS_SCTP
    IS_ICMP
    PROTOCOL_COLUMNS


cdef inline bint is_protocol(
    Arrays protocols, int which, const Values* flow, Py_ssize_t row
) noexcept nogil:
    return is_known(&flow[PROTOCOL], row) and bool_of(
        &protocols.columns[which], u32_of(&flow[PROTOCOL], row)
    )


cdef inline bint is_echo(const Values* flow, Py_ssize_t row) noexcept nogil:
    cdef uint8_t type
    if not (is_known(&flow[ICMP_TYPE], row) and is_known(&flow[ICMP_ID], row)):
        return False
    type = u8_of(&flow[ICMP_TYPE], row)
    return type in (ECHO_REPLY, ECHO, ECHO_V6, ECHO_REPLY_V6)


cdef inline bint is_tunnel_port(uint16_t port) noexcept nogil:
    return port in (VXLAN_UDP_PORT, FLANNEL_UDP_PORT, GENEVE_UDP_PORT)


cdef inline bint is_conversation(
    Arrays protocols, const Values* flow, Py_ssize_t row
) noexcept nogil:
    """See analyzer.correlate.sightings.is_conversation."""
    cdef bint is_udp
    if is_echo(flow, row):
        return True
    if not is_known(&flow[ORIGINATOR_PORT], row):
        return False
    is_udp = is_protocol(protocols, IS_UDP, flow, row)
    if is_udp and not is_known(&flow[TUNNEL], row):
        return is_known(&flow[RESPONDER_PORT], row) and not is_tunnel_port(
            u16_of(&flow[RESPONDER_PORT], row)
        )
    return (
        is_udp
        or is_protocol(protocols, IS_TCP, flow, row)
        or is_protocol(protocols, IS_SCTP, flow, row)
    )


cdef inline uint64_t end_of(
    const Values* flow, int side, Py_ssize_t row
) noexcept nogil:
    """Give the address's code and the port, of ICMP its identifier."""
    cdef uint64_t end = <uint64_t>u32_of(&flow[ORIGINATOR_IP + 2 * side], row)
    cdef const Values* port = &flow[ORIGINATOR_PORT + 2 * side]
    end <<= PORT_BITS
    if is_known(port, row):
        return end | u16_of(port, row)
    if is_known(&flow[ICMP_ID], row):
        return end | u16_of(&flow[ICMP_ID], row)
    return end
