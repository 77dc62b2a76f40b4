# Memory that is used at once: of huge pages there is little to fault in.

cdef extern from * nogil:
    """
    #include <stdlib.h>
    #include <sys/mman.h>

    static inline void *huge_malloc(size_t size)
    {
        const size_t page = (size_t)2 << 20;
        void *memory;
        if (size < page) return malloc(size);
        if (posix_memalign(&memory, page, size)) return NULL;
        madvise(memory, size, MADV_HUGEPAGE);
        return memory;
    }
    """
    void* huge_malloc(size_t size)
