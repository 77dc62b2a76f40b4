# The bounded cursor over one captured frame, and unaligned reads in either byte order.
#
# A reader checks `has` once for all that it will read, reads, advances. Nothing reads
# at or beyond `end`.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>

    #define likely_true(x) __builtin_expect(!!(x), 1)
    #define likely_false(x) __builtin_expect(!!(x), 0)
    #define prefetch_read(p) __builtin_prefetch((const void *)(p), 0, 3)
    #define prefetch_write(p) __builtin_prefetch((const void *)(p), 1, 3)

    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define big16(v) __builtin_bswap16(v)
    #define big32(v) __builtin_bswap32(v)
    #define big64(v) __builtin_bswap64(v)
    #define little16(v) (v)
    #define little32(v) (v)
    #define little64(v) (v)
    #else
    #define big16(v) (v)
    #define big32(v) (v)
    #define big64(v) (v)
    #define little16(v) __builtin_bswap16(v)
    #define little32(v) __builtin_bswap32(v)
    #define little64(v) __builtin_bswap64(v)
    #endif

    static inline uint16_t be16(const void *p)
    { uint16_t v; memcpy(&v, p, 2); return big16(v); }
    static inline uint32_t be32(const void *p)
    { uint32_t v; memcpy(&v, p, 4); return big32(v); }
    static inline uint64_t be64(const void *p)
    { uint64_t v; memcpy(&v, p, 8); return big64(v); }
    static inline uint16_t le16(const void *p)
    { uint16_t v; memcpy(&v, p, 2); return little16(v); }
    static inline uint32_t le32(const void *p)
    { uint32_t v; memcpy(&v, p, 4); return little32(v); }
    static inline uint32_t raw32(const void *p)
    { uint32_t v; memcpy(&v, p, 4); return v; }
    static inline uint64_t raw64(const void *p)
    { uint64_t v; memcpy(&v, p, 8); return v; }

    /* Both halves of a 64 by 64 bit product, folded: the mixing step of wyhash. */
    static inline uint64_t fold_multiply(uint64_t a, uint64_t b)
    { __uint128_t p = (__uint128_t)a * b; return (uint64_t)p ^ (uint64_t)(p >> 64); }

    /* What memset does, without its start-up cost for small sizes. */
    typedef uint64_t cache_line __attribute__((vector_size(64), may_alias));
    static inline void clear_lines(void *p, int lines)
    {
        const cache_line zero = {0};
        for (int i = 0; i < lines; i++) ((cache_line *)p)[i] = zero;
    }
    static inline uint64_t multiply_shift(uint64_t a, uint64_t b, unsigned n)
    { return (uint64_t)((__uint128_t)a * b >> n); }
    """
    bint likely_true(bint condition)
    bint likely_false(bint condition)
    void prefetch_read(const void* address)
    void prefetch_write(const void* address)
    uint16_t be16(const void* octets)
    uint32_t be32(const void* octets)
    uint64_t be64(const void* octets)
    uint16_t le16(const void* octets)
    uint32_t le32(const void* octets)
    uint64_t little64(uint64_t value)
    uint32_t raw32(const void* octets)
    uint64_t raw64(const void* octets)
    uint64_t fold_multiply(uint64_t a, uint64_t b)
    void clear_lines(void* memory, int lines)
    uint64_t multiply_shift(uint64_t a, uint64_t b, unsigned int n)


cdef enum:
    CACHE_LINE = 64


cdef struct Cursor:
    const uint8_t* at
    const uint8_t* end


cdef inline bint has(const Cursor* cursor, Py_ssize_t octets) noexcept nogil:
    return cursor.end - cursor.at >= octets


cdef inline uint32_t be24(const uint8_t* octets) noexcept nogil:
    return <uint32_t>octets[0] << 16 | <uint32_t>octets[1] << 8 | octets[2]
