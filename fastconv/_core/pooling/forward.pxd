"""One pooling of arrays, for forward.pyx and backward.pyx."""
cimport numpy as cnp
from libc.stdint cimport int64_t

from fastconv._core.pooling.windows cimport PoolAxis, Windows

# Where the arrays begin, their sizes, and their strides in elements: of x (or its gradient) and of y (or its gradient),
# and of the indices, in a result as those of y.
cdef struct PoolProblem:
    void *x
    void *y
    int64_t *index    # or NULL
    Py_ssize_t n, c
    PoolAxis rows, cols
    Py_ssize_t xn, xc, xh, xw
    Py_ssize_t yn, yc, yh, yw

cdef PoolProblem pool_problem(cnp.ndarray x, cnp.ndarray y, Windows windows)
