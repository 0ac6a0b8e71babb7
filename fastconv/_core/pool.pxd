"""The geometry of a pooling call in C, shared by pool.pyx and pool_backward.pyx."""
cimport numpy as cnp
from libc.stdint cimport int64_t

# One axis of windows: windows.Axis.
cdef struct Axis:
    Py_ssize_t size, outputs, kernel_size, stride, dilation, start
    const int64_t *first
    const int64_t *taps

# Sizes, and strides in elements: of x (or its gradient) and of y (and its indices, or its gradient).
cdef struct Shape:
    Py_ssize_t n, c
    Axis rows, cols
    Py_ssize_t xn, xc, xh, xw
    Py_ssize_t yn, yc, yh, yw

cdef Shape shape_of(cnp.ndarray x, cnp.ndarray y, windows)
