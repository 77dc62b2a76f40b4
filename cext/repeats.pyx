"""Which of many keys occur more than once: a Bloom filter that counts to two."""

cimport cython

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from cext.cursor cimport fold_multiply

cdef enum:
    SLOTS_PER_KEY = 16          # one key in 16 to 32 meets another in its slot
    SLOTS_PER_WORD = 32         # of two bits: once, and more than once

cdef uint64_t MIX = 0xE7037ED1A0B428DB
cdef uint64_t SEED = 0x8EBC6AF09C88C6E3


@cython.final
cdef class Repeats:
    """Tell which keys were added more than once.

    Parameters
    ----------
    keys : int
        How many will be added.

    Notes
    -----
    A key that was added twice is always found; of those that were added once, up to one
    in 16 is found, too.
    """

    cdef uint64_t* words
    cdef uint64_t mask

    def __cinit__(self, Py_ssize_t keys):
        cdef uint64_t slots = SLOTS_PER_WORD
        while slots < <uint64_t>keys * SLOTS_PER_KEY:
            slots *= 2
        self.mask = slots - 1
        self.words = <uint64_t*>calloc(slots // SLOTS_PER_WORD, sizeof(uint64_t))
        if self.words == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.words)

    cdef uint64_t slot(self, uint64_t key) noexcept nogil:
        return fold_multiply(key ^ SEED, MIX) & self.mask

    def add(self, const uint64_t[::1] keys):
        """Count keys."""
        cdef Py_ssize_t at
        cdef uint64_t slot, once
        with nogil:
            for at in range(keys.shape[0]):
                slot = self.slot(keys[at])
                once = <uint64_t>1 << (slot % SLOTS_PER_WORD * 2)
                self.words[slot // SLOTS_PER_WORD] |= (
                    once | (self.words[slot // SLOTS_PER_WORD] & once) << 1
                )

    def find(self, const uint64_t[::1] keys, uint8_t[::1] found):
        """Write 1 for each key that was added more than once, else 0."""
        cdef Py_ssize_t at
        cdef uint64_t slot
        if keys.shape[0] != found.shape[0]:
            raise ValueError("one octet per key is needed")
        with nogil:
            for at in range(keys.shape[0]):
                slot = self.slot(keys[at])
                found[at] = (
                    self.words[slot // SLOTS_PER_WORD]
                    >> (slot % SLOTS_PER_WORD * 2 + 1)
                ) & 1
