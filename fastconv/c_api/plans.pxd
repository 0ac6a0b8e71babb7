"""Plans of the C API: see plans.pyx."""
cimport numpy as cnp

cdef enum Kind:
    CONV2D, CONV2D_BACKWARD, MAX_POOL2D, MAX_POOL2D_BACKWARD, AVG_POOL2D, AVG_POOL2D_BACKWARD, OUTPUT_SHAPE

# The pointers of a call, in the order of its function in fastconv.h.
cdef struct Pointers:
    const void *read[3]
    void *written[3]

# How an array lies around the pointer to its first element: its bytes begin `before` it and end `behind` it.
cdef struct Memory:
    int axes, type
    cnp.npy_intp[4] shape, strides
    Py_ssize_t itemsize, before, behind
    bint empty


cdef class Plan:
    cdef Kind kind
    cdef Memory y    # or grad_y

    cdef run(self, const Pointers *p)


cdef Plan planned(Kind kind, const void *problem)
