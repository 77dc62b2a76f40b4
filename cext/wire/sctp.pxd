# Stream Control Transmission Protocol: the common header.
# Specification: RFC 9260, section 3.1.
#
#   +-------------------------------+-------------------------------+
#   |          source port          |       destination port        |
#   +-------------------------------+-------------------------------+
#   |                       verification tag                        |
#   +---------------------------------------------------------------+
#   |                           checksum                            |
#   +---------------------------------------------------------------+

from libc.stdint cimport uint8_t


cdef packed struct SctpHeader:
    uint8_t source_port[2]
    uint8_t destination_port[2]
    uint8_t verification_tag[4]
    uint8_t checksum[4]
