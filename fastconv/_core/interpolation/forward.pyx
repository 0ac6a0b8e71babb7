"""Images at another size, forward: each output is the nearest pixel, or lies between two rows and two columns.

    parallel for image, block of planes, block of rows, block of columns of outputs:
        where the columns lie -> the stack
        for plane: for row of outputs:
            the two rows of x, mixed -> a buffer in L1 (where columns are neighbours, and no further apart than outputs)
            for output: two pixels of the buffer, mixed -> y
    where channels are neighbours in memory (NHWC):
        for row of outputs: one call of a kernel: for output: for vector of channels: the four pixels, mixed -> y

Rows are mixed first and columns then in each of these loops, so of planes results are the same bits for any strides,
and those of channels that are neighbours the same but for the rounding of products that are fused with sums.
"""

cimport numpy as cnp
from cython cimport floating

from fastconv._core.interpolation.places cimport CORNERS as corners, HALF_PIXELS as half_pixels, NEAREST as nearest
from fastconv._core.interpolation.places cimport Place, place
from fastconv._core.interpolation.resizing cimport COLUMNS, Area, Resizing, area_of, resizing
from fastconv._core.runtime.isa cimport mix_pixels
from fastconv._core.runtime.kernels cimport fc_mixing
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    SPAN = 1024     # pixels of a row that are mixed at a time, at most

# About the nanoseconds of an output, for the thread policy.
cdef double COST = 1

# The rules of coordinates, for Python.
NEAREST, HALF_PIXELS, CORNERS = nearest, half_pixels, corners

# Where the columns of a unit lie: offsets of the first and the second pixel in a row of x.
cdef struct Columns:
    Py_ssize_t[COLUMNS] left, right
    double[COLUMNS] weight


def resize(cnp.ndarray x not None, cnp.ndarray y not None, int rule, double row_scale, double column_scale):
    """Fills y (N, C, OH, OW) from x (N, C, H, W), views with any strides; the scales are pixels from one output to the
    next."""
    cdef Resizing r = resizing(x, y, rule, row_scale, column_scale, False)
    cdef int threads = team(COST * cnp.PyArray_SIZE(y))
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(resize_unit[float], &r, r.units, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(resize_unit[double], &r, r.units, threads, EVENLY, <double *>NULL, 0)


cdef void resize_unit(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef const Resizing *r = <const Resizing *>data
    cdef Area a = area_of(r, unit)
    cdef Columns columns
    cdef Place p
    cdef Py_ssize_t j, plane
    for j in range(a.column_end - a.column):
        p = place(&r.cols, a.column + j)
        columns.left[j], columns.right[j], columns.weight[j] = p.first * r.xw, p.second * r.xw, p.weight
    cdef const floating *x = <const floating *>r.x + a.image * r.xn
    cdef floating *y = <floating *>r.y + a.image * r.yn + a.column * r.yw
    if r.channels_last:
        pixels(r, &a, &columns, x, y)
        return
    for plane in range(a.plane, a.plane_end):
        rows_of_plane(r, &a, &columns, x + plane * r.xc, y + plane * r.yc)


cdef void rows_of_plane(const Resizing *r, const Area *a, const Columns *columns, const floating *x,
                        floating *y) noexcept nogil:
    cdef floating[SPAN] mixed
    cdef Py_ssize_t n = a.column_end - a.column, i, j, first = columns.left[0], last = columns.right[n - 1]
    cdef bint spans = r.xw == 1 and last - first < min(SPAN, 2 * n + 2)
    cdef const floating *upper
    cdef const floating *lower
    cdef const floating *row
    cdef floating *out
    cdef floating weight, left, right
    cdef Place p
    for i in range(a.row, a.row_end):
        p = place(&r.rows, i)
        upper, lower, weight = x + p.first * r.xh, x + p.second * r.xh, <floating>p.weight
        out = y + i * r.yh
        if r.rows.rule == nearest:
            for j in range(n):
                out[j * r.yw] = upper[columns.left[j]]
        elif spans:
            row = upper + first
            if p.weight != 0:
                mix(upper + first, lower + first, weight, last - first + 1, mixed)
                row = mixed
            for j in range(n):
                left = row[columns.left[j] - first]
                if columns.weight[j] != 0:
                    left = between(left, row[columns.right[j] - first], <floating>columns.weight[j])
                out[j * r.yw] = left
        else:
            for j in range(n):
                left, right = upper[columns.left[j]], upper[columns.right[j]]
                if p.weight != 0:
                    left = between(left, lower[columns.left[j]], weight)
                    right = between(right, lower[columns.right[j]], weight)
                if columns.weight[j] != 0:
                    left = between(left, right, <floating>columns.weight[j])
                out[j * r.yw] = left


cdef void pixels(const Resizing *r, const Area *a, const Columns *columns, const floating *x,
                 floating *y) noexcept nogil:
    cdef Py_ssize_t i
    cdef fc_mixing how
    cdef Place p
    how.left, how.right, how.across = columns.left, columns.right, columns.weight
    how.pixels, how.channels, how.step = a.column_end - a.column, r.channels, r.yw
    for i in range(a.row, a.row_end):
        p = place(&r.rows, i)
        mix_pixels(&how, x + p.first * r.xh, x + p.second * r.xh, p.weight, y + i * r.yh)


cdef void mix(const floating *a, const floating *b, floating weight, Py_ssize_t n, floating *out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = between(a[i], b[i], weight)


cdef inline floating between(floating a, floating b, floating weight) noexcept nogil:
    """Not a + (b - a) weight: the difference of two numbers that can be represented may be none."""
    return a * (1 - weight) + b * weight
