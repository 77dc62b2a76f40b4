/* SHA-1 of sixteen one-block messages at a time (FIPS 180-4, section 6.1).
 *
 * Vectors of the compiler, which every target has; Cython has no way to say them.
 * A Community ID is the hash of one block of its own, so rows go in parallel: as many
 * as the processor's vectors hold, which is known when the program runs.
 */

#ifndef ANALYZER_SHA1_H
#define ANALYZER_SHA1_H

#include <stdint.h>

#define SHA1_LANES 16

#define SHA1_ROTATE(v, n) ((v) << (n) | (v) >> (32 - (n)))
#define SHA1_SCHEDULE                                                               \
    t = w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15];           \
    w[i & 15] = SHA1_ROTATE(t, 1)
#define SHA1_ROUND(function, constant)                                              \
    t = SHA1_ROTATE(a, 5) + (function) + e + (uint32_t)constant + w[i & 15];        \
    e = d;                                                                          \
    d = c;                                                                          \
    c = SHA1_ROTATE(b, 30);                                                         \
    b = a;                                                                          \
    a = t

/* Hash the messages with vectors of so many octets. */
#define SHA1_FUNCTION(name, octets, target)                                         \
    typedef uint32_t name##_lanes __attribute__((vector_size(octets), aligned(4))); \
    target static void name(                                                        \
        uint32_t block[16][SHA1_LANES], uint32_t state[5][SHA1_LANES])              \
    {                                                                               \
        static const uint32_t first[5] = {                                          \
            0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};            \
        const name##_lanes zero = {0};                                              \
        name##_lanes a, b, c, d, e, t, w[16];                                       \
        int i, lane;                                                                \
        for (lane = 0; lane < SHA1_LANES; lane += octets / 4) {                     \
            for (i = 0; i < 16; i++) {                                              \
                w[i] = *(const name##_lanes *)&block[i][lane];                      \
            }                                                                       \
            a = zero + first[0];                                                    \
            b = zero + first[1];                                                    \
            c = zero + first[2];                                                    \
            d = zero + first[3];                                                    \
            e = zero + first[4];                                                    \
            for (i = 0; i < 16; i++) {                                              \
                SHA1_ROUND(d ^ (b & (c ^ d)), 0x5A827999);                          \
            }                                                                       \
            for (; i < 20; i++) {                                                   \
                SHA1_SCHEDULE;                                                      \
                SHA1_ROUND(d ^ (b & (c ^ d)), 0x5A827999);                          \
            }                                                                       \
            for (; i < 40; i++) {                                                   \
                SHA1_SCHEDULE;                                                      \
                SHA1_ROUND(b ^ c ^ d, 0x6ED9EBA1);                                  \
            }                                                                       \
            for (; i < 60; i++) {                                                   \
                SHA1_SCHEDULE;                                                      \
                SHA1_ROUND((b & c) | (d & (b | c)), 0x8F1BBCDC);                    \
            }                                                                       \
            for (; i < 80; i++) {                                                   \
                SHA1_SCHEDULE;                                                      \
                SHA1_ROUND(b ^ c ^ d, 0xCA62C1D6);                                  \
            }                                                                       \
            *(name##_lanes *)&state[0][lane] = a + first[0];                        \
            *(name##_lanes *)&state[1][lane] = b + first[1];                        \
            *(name##_lanes *)&state[2][lane] = c + first[2];                        \
            *(name##_lanes *)&state[3][lane] = d + first[3];                        \
            *(name##_lanes *)&state[4][lane] = e + first[4];                        \
        }                                                                           \
    }

SHA1_FUNCTION(sha1_by_4, 16, )
#ifdef __x86_64__
SHA1_FUNCTION(sha1_by_8, 32, __attribute__((target("avx2"))))
SHA1_FUNCTION(sha1_by_16, 64, __attribute__((target("avx512f"))))
#endif

/* block[word][lane] is a message, padded; state[word][lane] receives its hash. */
static void sha1_each(uint32_t block[16][SHA1_LANES], uint32_t state[5][SHA1_LANES])
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) {
        sha1_by_16(block, state);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        sha1_by_8(block, state);
        return;
    }
#endif
    sha1_by_4(block, state);
}

#undef SHA1_FUNCTION
#undef SHA1_ROUND
#undef SHA1_SCHEDULE
#undef SHA1_ROTATE

#endif
