"""y = f(a + b): the sum at the end of a residual block, with the activation behind it in one pass over memory.

    parallel for chunk: for element: a + b -> y, which stays in L1; activation of the chunk
"""

cimport numpy as cnp
from cython cimport floating

from fastconv._core.problem.problem cimport activate
from fastconv._core.problem.sums cimport add_run
from fastconv._core.runtime.kernels cimport FC_IDENTITY
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    CHUNK = 2048    # elements: three arrays of at most 16 KB

# About the nanoseconds of an element, for the thread policy.
cdef double COST = 0.3


cdef struct AdditionCall:
    const void *a
    const void *b
    void *y
    Py_ssize_t n
    int activation
    double slope


def add(cnp.ndarray a not None, cnp.ndarray b not None, cnp.ndarray y not None, int activation, double slope):
    """Fills y, which may be a or b; all three have one shape and dtype and are pieces of memory in one order."""
    cdef AdditionCall call
    call.a, call.b, call.y = cnp.PyArray_DATA(a), cnp.PyArray_DATA(b), cnp.PyArray_DATA(y)
    call.n, call.activation, call.slope = cnp.PyArray_SIZE(y), activation, slope
    cdef int threads = team(COST * call.n)
    cdef Py_ssize_t chunks = (call.n + CHUNK - 1) // CHUNK
    if cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(add_chunk[float], &call, chunks, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(add_chunk[double], &call, chunks, threads, EVENLY, <double *>NULL, 0)


cdef void add_chunk(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    cdef const AdditionCall *call = <const AdditionCall *>data
    cdef Py_ssize_t at = index * CHUNK, n = min(CHUNK, call.n - at), i
    cdef const floating *a = <const floating *>call.a + at
    cdef const floating *b = <const floating *>call.b + at
    cdef floating *y = <floating *>call.y + at
    if y == a:
        add_run(n, b, y)
    elif y == b:
        add_run(n, a, y)
    else:
        for i in range(n):
            y[i] = a[i] + b[i]
    if call.activation != FC_IDENTITY:
        activate(call.activation, y, n, call.slope)
