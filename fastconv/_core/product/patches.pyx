"""Patches of few outputs, as rows of a matrix: the pixels that each meets, laid out as a filter is, with constant
padding."""

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, ceildiv

cnp.import_array()


cdef void gather_patch(const Problem *g, const floating *image, Py_ssize_t i, Py_ssize_t j,
                       floating *to) noexcept nogil:
    """That of output (i, j) of an image."""
    cdef Py_ssize_t column = j * g.stride_w - g.left, step = g.dilation_w * g.xw, c, r, s, row, first, last
    cdef floating value = <floating>g.value
    cdef const floating *src
    first = min(g.s, ceildiv(max(0, -column), g.dilation_w))    # of the taps that meet pixels
    last = max(first, min(g.s, ceildiv(max(0, g.w - column), g.dilation_w)))
    for c in range(g.c):
        for r in range(g.r):
            row = i * g.stride_h + r * g.dilation_h - g.top
            if 0 <= row < g.h:
                src = image + c * g.xc + row * g.xh + column * g.xw
                for s in range(first):
                    to[s] = value
                if step == 1 and last - first == 3:    # as most filters have them: copied without a loop
                    memcpy(to + first, src + first, 3 * sizeof(floating))
                else:
                    for s in range(first, last):
                        to[s] = src[s * step]
                for s in range(last, g.s):
                    to[s] = value
            else:
                for s in range(g.s):
                    to[s] = value
            to += g.s


cdef void gather_all(const Problem *g, floating *to) noexcept nogil:
    cdef Py_ssize_t n, i, j
    for n in range(g.n):
        for i in range(g.oh):
            for j in range(g.ow):
                gather_patch(g, <const floating *>g.x + n * g.xn, i, j, to)
                to += g.c * g.r * g.s


def gather(Convolution conv not None, cnp.ndarray rows not None):
    """Fills rows (N OH OW, C R S), without gaps, with the patches of all outputs of a convolution without groups."""
    with nogil:
        if conv.single:
            gather_all(&conv.problem, <float *>cnp.PyArray_DATA(rows))
        else:
            gather_all(&conv.problem, <double *>cnp.PyArray_DATA(rows))
