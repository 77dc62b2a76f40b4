// The floor: how fast one thread can turn a capture into a flow table, and no more.
//
//     cc -O3 -o floor floor.c && ./floor CAPTURE.pcap
//
// It reads each octet once, takes VXLAN off, finds the innermost two-way flow in a hash
// table and keeps per direction what a flow exporter keeps: packets, octets, payload,
// flags, window, TTL, retransmits, and the first and last time. It prints what it
// counted as one line of JSON.
//
// It leaves out what a tool cannot: other byte orders, formats, link types and tunnels,
// fragments, IPv6 extension headers, timeouts, reused ports, options, hostile input
// beyond not reading past a frame, and writing the result. What it does, it does as
// fast as its author could make it: packets are parsed into a batch, the table's index
// and then its records are prefetched for the whole batch, and only then updated. That
// is worth a factor of two over looking up each packet in turn.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum {
    BATCH = 32,
    PIECE = 256 << 10,     // octets per read: stays in the second-level cache
    RECORD_HEADER = 16,
    LONGEST_FRAME = 256 << 10,
    KEY_WORDS = 6,
    FIRST_INDEX = 1 << 16,
    MOST_FLOWS = 1 << 26,  // address space, not memory
};

// Network order, as loaded on a little-endian machine.
enum { ETHERTYPE_IPV4 = 0x0008, ETHERTYPE_IPV6 = 0xDD86, VXLAN_PORT = 0xB512 };
enum { ETHERTYPE_VLAN = 0x0081, ETHERTYPE_QINQ = 0xA888 };
enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58 };
#define IN_VXLAN 0x80000000u  // above the 24 bits of a VNI

static inline uint16_t load16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t load32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t load64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint16_t net16(const uint8_t *at) { return __builtin_bswap16(load16(at)); }
static inline uint32_t net32(const uint8_t *at) { return __builtin_bswap32(load32(at)); }

static void *map(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

// ---- the flow table ----

struct direction {
    uint64_t octets, payload;
    uint32_t packets, next_seq, retransmits;
    uint16_t window;
    uint8_t flags, ttl;
};

// Two cache lines. The key: both addresses, the lower endpoint first (IPv4 in one word
// of two), ports with protocol and version, VNI.
struct flow {
    uint64_t key[KEY_WORDS];
    uint64_t first, last;
    struct direction direction[2];
};
_Static_assert(sizeof(struct flow) == 128, "a flow fills two cache lines");

// What one packet adds to its flow.
struct sighting {
    uint64_t key[KEY_WORDS];
    uint64_t time;
    uint32_t hash, wire, payload, seq;
    uint16_t window;
    uint8_t flags, ttl, direction, is_tcp;
};

// An index slot holds a hash in its upper half and one more than the number of a flow
// in its lower; zero is empty. Flows lie densely, in order of appearance.
struct table {
    uint64_t *index;
    uint32_t mask, flows;
    struct flow *flow;
    uint32_t waiting;
    struct sighting batch[BATCH];
};

static inline uint64_t mix(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#define SALT_0 0xa0761d6478bd642full
#define SALT_1 0xe7037ed1a0b428dbull
#define SALT_2 0x8ebc6af09c88c6e3ull

static inline bool same(const uint64_t *a, const uint64_t *b) {
    return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) |
             (a[4] ^ b[4]) | (a[5] ^ b[5]));
}

static __attribute__((noinline)) void grow(struct table *table) {
    uint32_t mask = table->mask * 2 + 1;
    uint64_t *index = map(((size_t)mask + 1) * sizeof *index);
    for (size_t i = 0; i <= table->mask; i++) {
        uint64_t slot = table->index[i];
        if (!slot) continue;
        uint32_t at = (uint32_t)(slot >> 32) & mask;
        while (index[at]) at = (at + 1) & mask;
        index[at] = slot;
    }
    munmap(table->index, ((size_t)table->mask + 1) * sizeof *index);
    table->index = index;
    table->mask = mask;
}

static inline struct flow *find(struct table *table, const struct sighting *seen) {
    uint32_t at = seen->hash & table->mask;
    for (;; at = (at + 1) & table->mask) {
        uint64_t slot = table->index[at];
        if (!slot) break;
        if ((uint32_t)(slot >> 32) != seen->hash) continue;
        struct flow *flow = table->flow + ((uint32_t)slot - 1);
        if (likely(same(flow->key, seen->key))) return flow;
    }
    if (unlikely(table->flows >= MOST_FLOWS)) {
        fprintf(stderr, "floor: more than %d flows\n", MOST_FLOWS);
        exit(1);
    }
    if (unlikely(table->flows * 2 >= table->mask)) {
        grow(table);
        at = seen->hash & table->mask;
        while (table->index[at]) at = (at + 1) & table->mask;
    }
    struct flow *flow = table->flow + table->flows++;
    table->index[at] = (uint64_t)seen->hash << 32 | table->flows;
    memcpy(flow->key, seen->key, sizeof flow->key);
    flow->first = seen->time;
    return flow;
}

static inline void update(struct flow *flow, const struct sighting *seen) {
    struct direction *side = &flow->direction[seen->direction];
    uint32_t end = seen->seq + seen->payload;
    bool behind = (int32_t)(end - side->next_seq) < 0;
    bool again = seen->is_tcp & (side->packets > 0) & behind;
    flow->last = seen->time;
    side->octets += seen->wire;
    side->payload += seen->payload;
    side->packets++;
    side->flags |= seen->flags;
    side->ttl = seen->ttl;
    side->window = seen->window;
    side->retransmits += again;
    side->next_seq = seen->is_tcp & !again ? end : side->next_seq;
}

static inline void drain(struct table *table) {
    uint32_t count = table->waiting;
    struct sighting *batch = table->batch;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t slot = table->index[batch[i].hash & table->mask];
        if (!slot) continue;
        const char *flow = (const char *)(table->flow + ((uint32_t)slot - 1));
        __builtin_prefetch(flow, 1);
        __builtin_prefetch(flow + 64, 1);
    }
    for (uint32_t i = 0; i < count; i++) update(find(table, batch + i), batch + i);
    table->waiting = 0;
}

// ---- one packet ----

// Describe the IP packet at `at` in `seen`. Gives the transport header of a UDP packet
// to VXLAN's port, or NULL; `*found` says whether there was an IP packet at all.
static inline const uint8_t *read_ip(struct sighting *seen, const uint8_t *at,
                                     const uint8_t *end, uint16_t ethertype,
                                     uint32_t network, bool *found) {
    const uint8_t *transport;
    uint32_t protocol, length, low_port = 0, high_port = 0;
    uint64_t low, high;
    *found = false;
    if (likely(ethertype == ETHERTYPE_IPV4)) {
        if (unlikely(at + 20 > end)) return NULL;
        uint32_t header = (at[0] & 15u) * 4;
        bool later_fragment = load16(at + 6) & 0xFF1F;
        protocol = at[9];
        length = net16(at + 2) - header;
        transport = at + header;
        if (likely(transport + 8 <= end && !later_fragment)) {
            low_port = load16(transport);
            high_port = load16(transport + 2);
            if (unlikely(protocol == ICMP)) low_port = high_port = load16(transport + 4);
        }
        uint64_t src = (uint64_t)load32(at + 12) << 16 | low_port;
        uint64_t dst = (uint64_t)load32(at + 16) << 16 | high_port;
        seen->direction = src > dst;
        low = src < dst ? src : dst;
        high = src < dst ? dst : src;
        seen->key[0] = low >> 16;
        seen->key[1] = 0;
        seen->key[2] = high >> 16;
        seen->key[3] = 0;
        seen->key[4] = (low & 0xFFFF) | (high & 0xFFFF) << 16 | (uint64_t)protocol << 32 |
                       (uint64_t)4 << 40;
        seen->ttl = at[8];
    } else if (ethertype == ETHERTYPE_IPV6) {
        if (unlikely(at + 40 > end)) return NULL;
        protocol = at[6];
        length = net16(at + 4);
        transport = at + 40;
        if (likely(transport + 8 <= end)) {
            low_port = load16(transport);
            high_port = load16(transport + 2);
            if (protocol == ICMP6) low_port = high_port = load16(transport + 4);
        }
        uint64_t src[2] = {load64(at + 8), load64(at + 16)};
        uint64_t dst[2] = {load64(at + 24), load64(at + 32)};
        bool swap = src[0] != dst[0]   ? src[0] > dst[0]
                    : src[1] != dst[1] ? src[1] > dst[1]
                                       : low_port > high_port;
        seen->direction = swap;
        memcpy(seen->key, swap ? dst : src, sizeof src);
        memcpy(seen->key + 2, swap ? src : dst, sizeof dst);
        if (swap) {
            uint32_t port = low_port;
            low_port = high_port;
            high_port = port;
        }
        seen->key[4] = low_port | (uint64_t)high_port << 16 | (uint64_t)protocol << 32 |
                       (uint64_t)6 << 40;
        low = mix(seen->key[0] ^ SALT_0, seen->key[1] ^ SALT_1) ^ low_port;
        high = mix(seen->key[2] ^ SALT_1, seen->key[3] ^ SALT_2) ^ high_port;
        seen->ttl = at[7];
    } else {
        return NULL;
    }
    *found = true;
    seen->key[5] = network;
    uint64_t hash = mix(low ^ (uint64_t)protocol << 48 ^ SALT_0, high ^ SALT_1);
    hash = mix(hash ^ network, SALT_2);
    seen->hash = (uint32_t)(hash ^ hash >> 32) | 1;
    seen->payload = length;
    seen->seq = 0;
    seen->window = 0;
    seen->flags = 0;
    seen->is_tcp = 0;
    if (protocol == TCP) {
        if (likely(transport + 20 <= end)) {
            seen->is_tcp = 1;
            seen->seq = net32(transport + 4);
            seen->flags = transport[13];
            seen->window = net16(transport + 14);
            seen->payload = length - (transport[12] >> 4) * 4;
        }
    } else if (protocol == UDP) {
        seen->payload = length - 8;
        if (transport + 8 <= end && load16(transport + 2) == VXLAN_PORT) return transport;
    }
    return NULL;
}

// Step over an Ethernet header and its VLAN tags; NULL if the frame ends inside.
static inline const uint8_t *read_link(const uint8_t *at, const uint8_t *end,
                                       uint16_t *ethertype) {
    if (unlikely(at + 14 > end)) return NULL;
    *ethertype = load16(at + 12);
    at += 14;
    while (unlikely(*ethertype == ETHERTYPE_VLAN || *ethertype == ETHERTYPE_QINQ)) {
        if (at + 4 > end) return NULL;
        *ethertype = load16(at + 2);
        at += 4;
    }
    return at;
}

// Describe the frame's innermost packet as the batch's next sighting.
static inline void read_frame(struct table *table, const uint8_t *frame,
                              uint32_t captured, uint32_t wire, uint64_t time) {
    const uint8_t *end = frame + captured;
    struct sighting *seen = table->batch + table->waiting;
    uint16_t ethertype;
    bool found;
    const uint8_t *ip = read_link(frame, end, &ethertype);
    if (unlikely(!ip)) return;
    const uint8_t *udp = read_ip(seen, ip, end, ethertype, 0, &found);
    if (unlikely(!found)) return;
    if (udp && udp + 16 <= end && udp[8] & 8) {
        const uint8_t *inner = read_link(udp + 16, end, &ethertype);
        bool inside = false;
        if (likely(inner)) {
            uint32_t network = net32(udp + 12) >> 8 | IN_VXLAN;
            read_ip(seen, inner, end, ethertype, network, &inside);
        }
        // What VXLAN carries is no IP packet: the outer one is the innermost.
        if (unlikely(!inside)) read_ip(seen, ip, end, (uint16_t)load16(ip - 2), 0, &found);
    }
    seen->wire = wire;
    seen->time = time;
    __builtin_prefetch(&table->index[seen->hash & table->mask]);
    if (++table->waiting == BATCH) drain(table);
}

// ---- the capture ----

struct totals {
    uint64_t packets, wire;
};

// Read the whole records in [at, end); gives where the first incomplete one starts.
static const uint8_t *read_records(struct table *table, struct totals *totals,
                                   const uint8_t *at, const uint8_t *end,
                                   uint64_t fraction) {
    uint64_t packets = 0, octets = 0;
    while (likely(at + RECORD_HEADER <= end)) {
        uint32_t captured = load32(at + 8), wire = load32(at + 12);
        if (unlikely(captured > LONGEST_FRAME)) {
            fprintf(stderr, "floor: a frame of %u octets\n", captured);
            exit(1);
        }
        const uint8_t *next = at + RECORD_HEADER + captured;
        if (unlikely(next > end)) break;
        uint64_t time = load32(at) * 1000000000ull + load32(at + 4) * fraction;
        read_frame(table, at + RECORD_HEADER, captured, wire, time);
        packets++;
        octets += wire;
        at = next;
    }
    totals->packets += packets;
    totals->wire += octets;
    return at;
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: floor CAPTURE.pcap\n");
        return 2;
    }
    int file = open(arguments[1], O_RDONLY);
    uint8_t header[24];
    if (file < 0 || read(file, header, sizeof header) != sizeof header) {
        perror(arguments[1]);
        return 1;
    }
    uint32_t magic = load32(header);
    if ((magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) || load32(header + 20) != 1) {
        fprintf(stderr, "floor: reads little-endian pcap of Ethernet only\n");
        return 1;
    }
    uint64_t fraction = magic == 0xa1b2c3d4 ? 1000 : 1;  // nanoseconds

    struct table table = {.mask = FIRST_INDEX - 1};
    table.index = map(FIRST_INDEX * sizeof *table.index);
    table.flow = map((size_t)MOST_FLOWS * sizeof *table.flow);

    // A record that a piece cuts is carried over to just before the next piece.
    const size_t room = LONGEST_FRAME + RECORD_HEADER;
    uint8_t *piece = (uint8_t *)map(room + PIECE) + room;
    struct totals totals = {0};
    size_t kept = 0;
    for (;;) {
        ssize_t got = read(file, piece, PIECE);
        if (got < 0) {
            perror(arguments[1]);
            return 1;
        }
        if (!got) break;
        const uint8_t *end = piece + got;
        const uint8_t *rest =
            read_records(&table, &totals, piece - kept, end, fraction);
        kept = (size_t)(end - rest);
        memmove(piece - kept, rest, kept);
    }
    drain(&table);

    uint64_t retransmits = 0;
    for (uint32_t i = 0; i < table.flows; i++)
        for (int side = 0; side < 2; side++)
            retransmits += table.flow[i].direction[side].retransmits;
    printf("{\"packets\": %lu, \"wire_bytes\": %lu, \"flows\": %u, \"retransmits\": %lu}\n",
           totals.packets, totals.wire, table.flows, retransmits);
    return 0;
}
