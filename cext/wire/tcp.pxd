# Transmission Control Protocol.
# Specification: RFC 9293, section 3.1; options: RFC 9293 3.2, RFC 7323, RFC 2018.
#
#    0                   1                   2                   3
#   +-------------------------------+-------------------------------+
#   |          source port          |       destination port        |
#   +-------------------------------+-------------------------------+
#   |                        sequence number                        |
#   +---------------------------------------------------------------+
#   |                     acknowledgement number                    |
#   +-------+-------+---------------+-------------------------------+
#   |offset |   0   |     flags     |            window             |
#   +-------+-------+---------------+-------------------------------+
#   |           checksum            |         urgent pointer        |
#   +-------------------------------+-------------------------------+

from libc.stdint cimport uint8_t


cdef packed struct TcpHeader:
    uint8_t source_port[2]
    uint8_t destination_port[2]
    uint8_t seq[4]
    uint8_t ack[4]
    uint8_t data_offset
    uint8_t flags
    uint8_t window[2]
    uint8_t checksum[2]
    uint8_t urgent[2]

cdef enum:
    TCP_FIN = 0x01
    TCP_SYN = 0x02
    TCP_RST = 0x04
    TCP_PSH = 0x08
    TCP_ACK = 0x10
    TCP_OPTION_END = 0
    TCP_OPTION_NOP = 1
    TCP_OPTION_MSS = 2
    TCP_OPTION_WINDOW_SCALE = 3
    TCP_OPTION_SACK_PERMITTED = 4
    TCP_OPTION_TIMESTAMPS = 8
    TCP_MAX_OPTION_KINDS = 7    # of four bits each, beside the four of the window scale
