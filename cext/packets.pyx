"""Packets to the columns of the packets table."""

cimport cython

from libc.stdint cimport int32_t, uint64_t

from analyzer._cext.addresses cimport AddressTable
from analyzer._cext.columns cimport (
    Columns,
    put_bit,
    put_u8,
    put_u16,
    put_u32,
    put_u64,
)
from cext.frame cimport NO_TIME
from cext.packet cimport (
    HAS_ACK,
    HAS_ETHERTYPE,
    HAS_FLAGS,
    HAS_PAYLOAD_LENGTH,
    HAS_PORTS,
    HAS_SEQ,
    HAS_VLAN,
    HAS_VNI,
    HAS_WINDOW,
    IS_FRAGMENT,
    Packet,
)

# The columns, in the order of PACKETS in analyzer/tables/schema.py.
cdef enum:
    FRAME = 0
    CAPTURE
    POINT
    TIME
    CAPTURED_LENGTH
    WIRE_LENGTH
    VLAN
    OUTER_SRC
    OUTER_DST
    TUNNEL
    VNI
    TUNNEL_DEPTH
    IP_VERSION
    PROTOCOL
    ETHERTYPE
    SRC_IP
    SRC_PORT
    DST_IP
    DST_PORT
    TTL
    IP_ID
    IS_FRAGMENT_COLUMN
    TCP_FLAGS
    SEQ
    ACK
    WINDOW
    PAYLOAD_LENGTH
    STOP_REASON
    STOP_LAYER
    COLUMN_COUNT


@cython.final
cdef class PacketRows:
    """Write one row per frame; the capture column is written by the caller.

    Parameters
    ----------
    addresses : AddressTable
        Numbers the addresses, shared with the other tables of a run.
    columns : Columns
        One per column of the packets table.
    most : int
        Rows wanted in all.
    """

    def __cinit__(self, AddressTable addresses, Columns columns, uint64_t most):
        self.addresses = addresses
        self.left = most
        self.protocol_list = []
        for protocol in range(256):
            self.protocols[protocol] = -1
        self.continue_in(columns)

    def continue_in(self, Columns columns not None):
        """Write the rows that follow into other columns, from their first row."""
        self.columns = columns
        self.columns.clear(columns.rows)
        self.count = 0

    @property
    def protocols_met(self):
        """Protocol numbers in order of appearance: the dictionary of the column."""
        return list(self.protocol_list)

    @property
    def satisfied(self):
        """All rows that were wanted have been written."""
        return self.left == 0

    cdef bint full(self, int coming) noexcept nogil:
        return self.count + coming > self.columns.rows or self.left == 0

    cdef void add(self, const Packet* packets, int count) noexcept nogil:
        """Write a batch of packets, as many as are still wanted."""
        cdef int index
        if <uint64_t>count > self.left:
            count = <int>self.left
        for index in range(count):
            write_row(self, self.columns, &packets[index], self.count + index)
        self.count += count
        self.left -= count

    cdef int32_t protocol_index(self, int protocol) noexcept nogil:
        if self.protocols[protocol] < 0:
            with gil:
                self.protocols[protocol] = len(self.protocol_list)
                self.protocol_list.append(protocol)
        return self.protocols[protocol]


cdef inline void write_row(
    PacketRows rows, Columns out, const Packet* packet, Py_ssize_t row
) noexcept nogil:
    cdef bint ip = packet.ip_version != 0
    cdef bint outer = packet.outer_version != 0
    put_u64(out, FRAME, row, packet.frame, True)
    put_u32(out, POINT, row, packet.point, True)
    put_u64(out, TIME, row, packet.time, packet.time != NO_TIME)
    put_u32(out, CAPTURED_LENGTH, row, packet.captured_length, True)
    put_u32(out, WIRE_LENGTH, row, packet.wire_length, True)
    put_u16(out, VLAN, row, packet.vlan, packet.has & HAS_VLAN)
    if out.data[OUTER_SRC] != NULL or out.data[OUTER_DST] != NULL:
        put_u32(
            out,
            OUTER_SRC,
            row,
            rows.addresses.intern(
                packet.outer_src.high, packet.outer_src.low, packet.outer_version
            ) if outer else 0,
            outer,
        )
        put_u32(
            out,
            OUTER_DST,
            row,
            rows.addresses.intern(
                packet.outer_dst.high, packet.outer_dst.low, packet.outer_version
            ) if outer else 0,
            outer,
        )
    put_u32(out, TUNNEL, row, packet.tunnel - 1, packet.tunnel)
    put_u32(out, VNI, row, packet.vni, packet.has & HAS_VNI)
    put_u8(out, TUNNEL_DEPTH, row, packet.tunnel_depth, True)
    put_u8(out, IP_VERSION, row, packet.ip_version, ip)
    if ip and out.data[PROTOCOL] != NULL:
        put_u32(
            out, PROTOCOL, row, rows.protocol_index(packet.protocol), True
        )
    else:
        put_u32(out, PROTOCOL, row, 0, False)
    put_u16(out, ETHERTYPE, row, packet.ethertype, packet.has & HAS_ETHERTYPE)
    if out.data[SRC_IP] != NULL or out.data[DST_IP] != NULL:
        put_u32(
            out,
            SRC_IP,
            row,
            rows.addresses.intern(
                packet.src.high, packet.src.low, packet.ip_version
            ) if ip else 0,
            ip,
        )
        put_u32(
            out,
            DST_IP,
            row,
            rows.addresses.intern(
                packet.dst.high, packet.dst.low, packet.ip_version
            ) if ip else 0,
            ip,
        )
    put_u16(out, SRC_PORT, row, packet.src_port, packet.has & HAS_PORTS)
    put_u16(out, DST_PORT, row, packet.dst_port, packet.has & HAS_PORTS)
    put_u8(out, TTL, row, packet.ttl, ip)
    put_u16(out, IP_ID, row, packet.ip_id, packet.ip_version == 4)
    put_bit(out, IS_FRAGMENT_COLUMN, row, (packet.has & IS_FRAGMENT) != 0, ip)
    put_u8(out, TCP_FLAGS, row, packet.tcp_flags, packet.has & HAS_FLAGS)
    put_u32(out, SEQ, row, packet.seq, packet.has & HAS_SEQ)
    put_u32(out, ACK, row, packet.ack, packet.has & HAS_ACK)
    put_u16(out, WINDOW, row, packet.window, packet.has & HAS_WINDOW)
    put_u32(
        out,
        PAYLOAD_LENGTH,
        row,
        packet.payload_length,
        packet.has & HAS_PAYLOAD_LENGTH,
    )
    put_u32(out, STOP_REASON, row, packet.stop_reason - 1, packet.stop_reason)
    put_u32(out, STOP_LAYER, row, packet.stop_layer, packet.stop_reason)
