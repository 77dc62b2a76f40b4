# A table from keys of 64 bits to numbers, in open addressing.

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from cext.cursor cimport fold_multiply

cdef enum:
    FIRST_SLOTS = 64


cdef struct KeySlot:
    uint64_t key
    uint64_t number             # 0: empty


cdef struct KeyMap:
    KeySlot* slots
    size_t mask
    size_t count
    uint64_t seed


cdef inline bint open_keys(KeyMap* map, uint64_t seed) noexcept nogil:
    """Make an empty table; False if there is not enough memory."""
    map.count = 0
    map.seed = seed
    map.mask = FIRST_SLOTS - 1
    map.slots = <KeySlot*>calloc(FIRST_SLOTS, sizeof(KeySlot))
    return map.slots != NULL


cdef inline void close_keys(KeyMap* map) noexcept nogil:
    free(map.slots)


cdef inline KeySlot* slot_of(const KeyMap* map, uint64_t key) noexcept nogil:
    """Give the slot of a key, or the empty one where it belongs."""
    cdef size_t at = (
        <size_t>fold_multiply(key ^ map.seed, 0xE7037ED1A0B428DBULL) & map.mask
    )
    while map.slots[at].number and map.slots[at].key != key:
        at = (at + 1) & map.mask
    return &map.slots[at]


cdef inline uint64_t number_of(const KeyMap* map, uint64_t key) noexcept nogil:
    """Give the number of a key, 0 if it has none."""
    return slot_of(map, key).number if map.count else 0


cdef inline KeySlot* slot_for(KeyMap* map, uint64_t key) noexcept nogil:
    """Give the slot of a key that is about to get a number; NULL: no memory is left."""
    cdef KeyMap larger
    cdef size_t at
    cdef KeySlot* slot = slot_of(map, key)
    if slot.number:
        return slot
    if 2 * (map.count + 1) > map.mask:
        larger = map[0]
        larger.mask = 2 * map.mask + 1
        larger.slots = <KeySlot*>calloc(larger.mask + 1, sizeof(KeySlot))
        if larger.slots == NULL:
            return NULL
        for at in range(map.mask + 1):
            if map.slots[at].number:
                slot_of(&larger, map.slots[at].key)[0] = map.slots[at]
        free(map.slots)
        map[0] = larger
        slot = slot_of(map, key)
    map.count += 1
    slot.key = key
    return slot


cdef inline bint set_number(
    KeyMap* map, uint64_t key, uint64_t number
) noexcept nogil:
    """Give a key a number, which is not 0; False: no memory is left."""
    cdef KeySlot* slot = slot_for(map, key)
    if slot == NULL:
        return False
    slot.number = number
    return True
