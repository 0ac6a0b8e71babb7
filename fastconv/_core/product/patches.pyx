"""Patches of few outputs, as rows of a matrix: the pixels that each meets, laid out as a filter is, with constant
padding."""

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, ceildiv

cnp.import_array()


cdef void gather_rows(const Problem *g, const floating *image, Py_ssize_t i, Py_ssize_t j,
                      floating *to) noexcept nogil:
    """The patch of output (i, j) of an image under wide filters of few channels: row of taps by row of taps."""
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
                for s in range(first, last):
                    to[s] = src[s * step]
                for s in range(last, g.s):
                    to[s] = value
            else:
                for s in range(g.s):
                    to[s] = value
            to += g.s


cdef inline void gather_tap(const floating *pixel, Py_ssize_t channels, Py_ssize_t step, Py_ssize_t taps,
                            floating *to) noexcept nogil:
    """What a tap meets in so many channels, `step` apart."""
    cdef Py_ssize_t c
    if step == 1 and taps == 1:
        memcpy(to, pixel, channels * sizeof(floating))
    else:
        for c in range(channels):
            to[c * taps] = pixel[c * step]


cdef void gather_channels(const Problem *g, const floating *image, Py_ssize_t i, Py_ssize_t j,
                          floating *to) noexcept nogil:
    """The patch of output (i, j) of an image: tap by tap, through all channels."""
    cdef Py_ssize_t taps = g.r * g.s, r, s, row, col, c
    for r in range(g.r):
        row = i * g.stride_h + r * g.dilation_h - g.top
        for s in range(g.s):
            col = j * g.stride_w + s * g.dilation_w - g.left
            if 0 <= row < g.h and 0 <= col < g.w:
                gather_tap(image + row * g.xh + col * g.xw, g.c, g.xc, taps, to)
            else:
                for c in range(g.c):
                    to[c * taps] = <floating>g.value
            to += 1


cdef void gather_all(const Problem *g, floating *to) noexcept nogil:
    cdef Py_ssize_t n, i, j
    for n in range(g.n):
        for i in range(g.oh):
            for j in range(g.ow):
                if g.c < g.s:
                    gather_rows(g, <const floating *>g.x + n * g.xn, i, j, to)
                else:
                    gather_channels(g, <const floating *>g.x + n * g.xn, i, j, to)
                to += g.c * g.r * g.s


def gather(Convolution conv not None, cnp.ndarray rows not None):
    """Fills rows (N OH OW, C R S), without gaps, with the patches of all outputs of a convolution without groups."""
    with nogil:
        if conv.single:
            gather_all(&conv.problem, <float *>cnp.PyArray_DATA(rows))
        else:
            gather_all(&conv.problem, <double *>cnp.PyArray_DATA(rows))
