# What threads tell each other without a lock: what was written before a `publish` is
# seen by whoever `observe`s its value.

from libc.stdint cimport uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #define observe(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
    #define publish(p, value) __atomic_store_n((p), (value), __ATOMIC_SEQ_CST)
    #define increase(p, by) __atomic_add_fetch((p), (uint64_t)(by), __ATOMIC_SEQ_CST)
    static inline int replace(uint64_t *p, uint64_t old, uint64_t value)
    {
        return __atomic_compare_exchange_n(
            p, &old, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    #if defined(__x86_64__)
    #define relax() __builtin_ia32_pause()
    #elif defined(__aarch64__)
    #define relax() __asm__ __volatile__("yield")
    #else
    #define relax() ((void)0)
    #endif
    """
    uint64_t observe(const uint64_t* value)
    void publish(uint64_t* target, uint64_t value)
    uint64_t increase(uint64_t* target, uint64_t by)
    bint replace(uint64_t* target, uint64_t old, uint64_t value)
    void relax()
