# Community ID v1: a hash of the five-tuple that other tools compute alike.
# Specification: github.com/corelight/community-id-spec, version 1, seed 0.
#
#   "1:" + base64(SHA-1(seed (2), address (4|16), address, protocol, 0, port (2), port))

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

cdef extern from "sha1.h" nogil:
    enum:
        COMMUNITY_ID_LANES "SHA1_LANES"
    void sha1_each(
        uint32_t block[16][COMMUNITY_ID_LANES], uint32_t state[5][COMMUNITY_ID_LANES]
    )

cdef enum:
    COMMUNITY_ID_LENGTH = 30

cdef extern from *:
    """
    static const char BASE64_DIGITS[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    """
    const char* BASE64_DIGITS


cdef inline void put_octet(uint8_t* message, int* at, uint8_t octet) noexcept nogil:
    message[at[0]] = octet
    at[0] += 1


cdef inline void put_address(
    uint8_t* message, int* at, uint64_t high, uint64_t low
) noexcept nogil:
    cdef int shift
    for shift in range(56, -8, -8):
        put_octet(message, at, <uint8_t>(high >> shift))
    for shift in range(56, -8, -8):
        put_octet(message, at, <uint8_t>(low >> shift))


cdef inline void community_message(
    uint32_t block[16][COMMUNITY_ID_LANES],
    int lane,
    const uint64_t* source,         # high, low
    const uint64_t* destination,
    int version,
    uint8_t protocol,
    bint with_ports,
    uint16_t source_port,
    uint16_t destination_port,
) noexcept nogil:
    """Lay out and pad one message, ends already in order, as one lane of a block."""
    cdef uint8_t message[64]
    cdef uint32_t a = <uint32_t>source[1]
    cdef uint32_t b = <uint32_t>destination[1]
    cdef int at = 2
    cdef int length, word
    if version == 4:
        # The same message as below, word by word.
        block[0][lane] = a >> 16
        block[1][lane] = a << 16 | b >> 16
        block[2][lane] = b << 16 | <uint32_t>protocol << 8
        block[3][lane] = 0x80000000
        block[4][lane] = 0
        for word in range(5, 15):
            block[word][lane] = 0
        block[15][lane] = 8 * 12
        if with_ports:
            block[3][lane] = <uint32_t>source_port << 16 | destination_port
            block[4][lane] = 0x80000000
            block[15][lane] = 8 * 16
        return
    memset(message, 0, 64)
    put_address(message, &at, source[0], source[1])
    put_address(message, &at, destination[0], destination[1])
    put_octet(message, &at, protocol)
    put_octet(message, &at, 0)
    if with_ports:
        put_octet(message, &at, <uint8_t>(source_port >> 8))
        put_octet(message, &at, <uint8_t>source_port)
        put_octet(message, &at, <uint8_t>(destination_port >> 8))
        put_octet(message, &at, <uint8_t>destination_port)
    length = at
    message[at] = 0x80
    message[62] = <uint8_t>(8 * length >> 8)
    message[63] = <uint8_t>(8 * length)
    for word in range(16):
        block[word][lane] = (
            <uint32_t>message[4 * word] << 24
            | <uint32_t>message[4 * word + 1] << 16
            | <uint32_t>message[4 * word + 2] << 8
            | message[4 * word + 3]
        )


cdef inline void community_text(
    uint32_t state[5][COMMUNITY_ID_LANES], int lane, char* out
) noexcept nogil:
    """Write the COMMUNITY_ID_LENGTH characters of one lane's hash."""
    cdef uint8_t octets[21]
    cdef uint32_t three
    cdef int index
    for index in range(5):
        octets[4 * index] = <uint8_t>(state[index][lane] >> 24)
        octets[4 * index + 1] = <uint8_t>(state[index][lane] >> 16)
        octets[4 * index + 2] = <uint8_t>(state[index][lane] >> 8)
        octets[4 * index + 3] = <uint8_t>state[index][lane]
    octets[20] = 0
    out[0] = b"1"
    out[1] = b":"
    for index in range(7):
        three = (
            <uint32_t>octets[3 * index] << 16
            | <uint32_t>octets[3 * index + 1] << 8
            | octets[3 * index + 2]
        )
        out[2 + 4 * index] = BASE64_DIGITS[three >> 18]
        out[3 + 4 * index] = BASE64_DIGITS[three >> 12 & 63]
        out[4 + 4 * index] = BASE64_DIGITS[three >> 6 & 63]
        out[5 + 4 * index] = BASE64_DIGITS[three & 63]
    out[29] = b"="
