"""The buffers of Arrow arrays that compiled code reads."""

cimport cython

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free


@cython.final
cdef class Arrays:
    """Arrays of fixed width and equal length, one per column.

    Parameters
    ----------
    arrays : sequence of pa.Array or None
        Of numbers, times or booleans; None stands for a column that nobody reads.
    """

    def __cinit__(self, arrays):
        cdef int column
        cdef Py_ssize_t offset
        self.count = len(arrays)
        read = [array for array in arrays if array is not None]
        self.rows = len(read[0]) if read else 0
        self.columns = <Values*>calloc(self.count + 1, sizeof(Values))
        self.buffers = <Py_buffer*>calloc(2 * self.count + 1, sizeof(Py_buffer))
        if self.columns == NULL or self.buffers == NULL:
            raise MemoryError
        for column, array in enumerate(arrays):
            if array is None:
                continue
            if len(array) != self.rows:
                raise ValueError("columns are of unequal length")
            validity, data = array.buffers()
            offset = array.offset
            self.columns[column].bit = offset
            self.columns[column].width = array.type.bit_width // 8
            self.columns[column].data = self.address_of(data)
            if self.columns[column].data != NULL:
                self.columns[column].data = (
                    <const uint8_t*>self.columns[column].data
                    + offset * self.columns[column].width
                )
            if array.null_count:
                self.columns[column].validity = <const uint8_t*>self.address_of(
                    validity
                )

    cdef const void* address_of(self, object owner) except? NULL:
        cdef Py_buffer* buffer = &self.buffers[self.buffer_count]
        if owner is None:
            return NULL
        PyObject_GetBuffer(owner, buffer, PyBUF_SIMPLE)
        self.buffer_count += 1
        return buffer.buf

    def __len__(self):
        return self.rows

    def __dealloc__(self):
        cdef int index
        for index in range(self.buffer_count):
            PyBuffer_Release(&self.buffers[index])
        free(self.buffers)
        free(self.columns)
