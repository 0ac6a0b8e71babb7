"""The geometry of a pooling call in C, shared by pool.pyx and pool_backward.pyx."""
cimport numpy as cnp

from fastconv._core.pooling.windows cimport Axis, Windows

# Sizes, and strides in elements: of x (or its gradient) and of y (and its indices, or its gradient).
cdef struct Shape:
    Py_ssize_t n, c
    Axis rows, cols
    Py_ssize_t xn, xc, xh, xw
    Py_ssize_t yn, yc, yh, yw

cdef Shape shape_of(cnp.ndarray x, cnp.ndarray y, Windows windows)
