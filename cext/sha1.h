/* SHA-1 of four one-block messages at a time (FIPS 180-4, section 6.1).
 *
 * Vectors of the compiler, which every target has; Cython has no way to say them.
 * A Community ID is the hash of one block of its own, so four rows go in parallel.
 */

#ifndef ANALYZER_SHA1_H
#define ANALYZER_SHA1_H

#include <stdint.h>

typedef uint32_t sha1_lanes __attribute__((vector_size(16)));

static inline sha1_lanes sha1_rotate(sha1_lanes v, int n)
{
    return v << n | v >> (32 - n);
}

/* block[word][lane] is overwritten; state[word][lane] receives the hashes. */
static void sha1_four(uint32_t block[16][4], uint32_t state[5][4])
{
    static const uint32_t first[5] = {
        0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    sha1_lanes *w = (sha1_lanes *)block;
    sha1_lanes a, b, c, d, e, f, t;
    const sha1_lanes zero = {0, 0, 0, 0};
    int i;

    a = zero + first[0];
    b = zero + first[1];
    c = zero + first[2];
    d = zero + first[3];
    e = zero + first[4];
#define SHA1_SCHEDULE                                                              \
    w[i & 15] = sha1_rotate(                                                       \
        w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15], 1)
#define SHA1_ROUND(function, constant)                                             \
    f = function;                                                                  \
    t = sha1_rotate(a, 5) + f + e + (uint32_t)constant + w[i & 15];                \
    e = d;                                                                         \
    d = c;                                                                         \
    c = sha1_rotate(b, 30);                                                        \
    b = a;                                                                         \
    a = t
    for (i = 0; i < 16; i++) {
        SHA1_ROUND(d ^ (b & (c ^ d)), 0x5A827999);
    }
    for (; i < 20; i++) {
        SHA1_SCHEDULE;
        SHA1_ROUND(d ^ (b & (c ^ d)), 0x5A827999);
    }
    for (; i < 40; i++) {
        SHA1_SCHEDULE;
        SHA1_ROUND(b ^ c ^ d, 0x6ED9EBA1);
    }
    for (; i < 60; i++) {
        SHA1_SCHEDULE;
        SHA1_ROUND((b & c) | (d & (b | c)), 0x8F1BBCDC);
    }
    for (; i < 80; i++) {
        SHA1_SCHEDULE;
        SHA1_ROUND(b ^ c ^ d, 0xCA62C1D6);
    }
#undef SHA1_SCHEDULE
#undef SHA1_ROUND
    ((sha1_lanes *)state)[0] = a + first[0];
    ((sha1_lanes *)state)[1] = b + first[1];
    ((sha1_lanes *)state)[2] = c + first[2];
    ((sha1_lanes *)state)[3] = d + first[3];
    ((sha1_lanes *)state)[4] = e + first[4];
}

#endif
