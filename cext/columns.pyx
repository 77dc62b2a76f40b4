"""The buffers of a record batch, which Python owns and compiled code fills."""

cimport cython

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset


@cython.final
cdef class Columns:
    """Writable buffers, one set per column in the order of a compiled table's columns.

    Parameters
    ----------
    rows : int
        Rows that every buffer has room for; a multiple of 64.
    data, validity, offsets : sequence of buffer or None
        Values; validity bitmaps of the values; int32 offsets of lists and texts. A
        column whose data is None is not filled.
    """

    def __cinit__(self, Py_ssize_t rows, data, validity, offsets):
        cdef int column
        self.rows = rows
        self.count = len(data)
        self.views = [data, validity, offsets]
        self.data = <void**>calloc(self.count, sizeof(void*))
        self.widths = <uint8_t*>calloc(self.count, sizeof(uint8_t))
        self.validity = <uint8_t**>calloc(self.count, sizeof(void*))
        self.offsets = <int32_t**>calloc(self.count, sizeof(void*))
        self.sizes = <Py_ssize_t*>calloc(self.count, sizeof(Py_ssize_t))
        self.validity_sizes = <Py_ssize_t*>calloc(self.count, sizeof(Py_ssize_t))
        self.buffers = <Py_buffer*>calloc(3 * self.count, sizeof(Py_buffer))
        if not (
            self.data and self.widths and self.validity and self.offsets
            and self.sizes and self.validity_sizes and self.buffers
        ):
            raise MemoryError
        for column in range(self.count):
            self.data[column] = self.address_of(data[column])
            if self.data[column] != NULL:
                self.sizes[column] = self.buffers[self.buffer_count - 1].len
                self.widths[column] = <uint8_t>(self.sizes[column] // rows)
            self.validity[column] = <uint8_t*>self.address_of(validity[column])
            if self.validity[column] != NULL:
                self.validity_sizes[column] = self.buffers[self.buffer_count - 1].len
            self.offsets[column] = <int32_t*>self.address_of(offsets[column])

    cdef void* address_of(self, object owner) except? NULL:
        cdef Py_buffer* buffer = &self.buffers[self.buffer_count]
        if owner is None:
            return NULL
        PyObject_GetBuffer(owner, buffer, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
        self.buffer_count += 1
        return buffer.buf

    def __dealloc__(self):
        cdef int index
        for index in range(self.buffer_count):
            PyBuffer_Release(&self.buffers[index])
        free(self.buffers)
        free(self.data)
        free(self.widths)
        free(self.sizes)
        free(self.validity)
        free(self.validity_sizes)
        free(self.offsets)

    cdef void clear(self, Py_ssize_t coming) noexcept nogil:
        """Make every value known, and every list end where it begins.

        Behind fewer rows than there is room for, nothing of earlier ones is left: the
        padding goes into files.
        """
        cdef int column
        for column in range(self.count):
            if coming < self.rows and self.data[column] != NULL:
                memset(self.data[column], 0, self.sizes[column])
            if self.validity[column] != NULL:
                memset(self.validity[column], 0xFF, self.validity_sizes[column])
            if self.offsets[column] != NULL:
                self.offsets[column][0] = 0

    cdef void forget(self, int column) noexcept nogil:
        """Make every value of a column null."""
        memset(self.data[column], 0, self.sizes[column])
        memset(self.validity[column], 0, self.validity_sizes[column])
