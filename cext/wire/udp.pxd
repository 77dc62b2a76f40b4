# User Datagram Protocol.
# Specification: RFC 768.
#
#   +-------------------------------+-------------------------------+
#   |          source port          |       destination port        |
#   +-------------------------------+-------------------------------+
#   |            length             |           checksum            |
#   +-------------------------------+-------------------------------+

from libc.stdint cimport uint8_t


cdef packed struct UdpHeader:
    uint8_t source_port[2]
    uint8_t destination_port[2]
    uint8_t length[2]
    uint8_t checksum[2]
