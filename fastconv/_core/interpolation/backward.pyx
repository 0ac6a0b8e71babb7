"""Images at another size, the gradient: each pixel of grad_x gets what the outputs that looked at it have received.

    parallel for image, block of planes, block of rows, block of columns of grad_x:
        for plane: for row of grad_x:
            for run of columns of grad_output that look at these columns:
                for row of grad_output that looks at this row: the run, weighted, added -> a buffer in L1
                for column of the run: two pixels of the row's sums
            the sums -> grad_x
    where channels are neighbours in memory (NHWC):
        for row, column of grad_x: one call of a kernel:
            for vectors of channels: for row, column of grad_output that looks at it: -> sums in registers

The outputs that look at a pixel follow each other, and places.pxd says where they begin and end; so a pixel has all
that it gets from one thread, in one order. Sums are of doubles: a pixel may get a part of millions of outputs. Those of
the kernel are of few terms.
"""

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memset

from fastconv._core.interpolation.places cimport ResizedAxis, Place, first_beyond, first_to_reach, part_of, place
from fastconv._core.interpolation.resizing cimport COLUMNS, Area, Resizing, area_of, resizing
from fastconv._core.runtime.isa cimport add_pixels
from fastconv._core.runtime.kernels cimport fc_adding
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    RUN = 512        # columns of grad_output at a time
    CHANNELS = 256   # sums of channels at a time
    KNOWN = 8        # outputs that look at a pixel, of each of which the weight is kept

# About the nanoseconds of an element of grad_output, for the thread policy.
cdef double COST = 2

# A run of columns of grad_output: where they look, counted from the column before the area's first, and how.
cdef struct Run:
    Py_ssize_t begin, end
    Py_ssize_t[RUN] left, right
    double[RUN] weight

# The outputs of an axis that look at one pixel, and the weights of the first ones.
cdef struct Lookers:
    Py_ssize_t begin, end
    double[KNOWN] weight


def resize_backward(cnp.ndarray grad_output not None, cnp.ndarray grad_x not None, int rule, double row_scale,
                    double column_scale):
    """Fills grad_x (N, C, H, W) from grad_output (N, C, OH, OW), views with any strides; the scales are those of
    `resize`."""
    cdef Resizing r = resizing(grad_x, grad_output, rule, row_scale, column_scale, True)
    cdef int threads = team(COST * max(cnp.PyArray_SIZE(grad_output), cnp.PyArray_SIZE(grad_x)))
    if cnp.PyArray_TYPE(grad_x) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(gradient_unit[float], &r, r.units, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(gradient_unit[double], &r, r.units, threads, EVENLY, <double *>NULL, 0)


cdef void gradient_unit(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef const Resizing *r = <const Resizing *>data
    cdef Area a = area_of(r, unit)
    cdef floating *grad_x = <floating *>r.x + a.image * r.xn
    cdef const floating *grad = <const floating *>r.y + a.image * r.yn
    cdef Py_ssize_t plane
    if r.channels_last:
        pixels(r, &a, grad_x, grad)
        return
    cdef Run run
    run.begin = run.end = -1
    for plane in range(a.plane, a.plane_end):
        rows_of_plane(r, &a, &run, grad_x + plane * r.xc, grad + plane * r.yc)


cdef Lookers lookers_of(const ResizedAxis *axis, Py_ssize_t pixel) noexcept nogil:
    cdef Lookers those
    cdef Py_ssize_t i
    those.begin, those.end = first_to_reach(axis, pixel), first_beyond(axis, pixel)
    for i in range(min(those.end - those.begin, KNOWN)):
        those.weight[i] = part_of(axis, those.begin + i, pixel)
    return those


cdef inline double weight_of(const ResizedAxis *axis, const Lookers *those, Py_ssize_t output,
                             Py_ssize_t pixel) noexcept nogil:
    cdef Py_ssize_t i = output - those.begin
    return those.weight[i] if i < KNOWN else part_of(axis, output, pixel)


cdef void rows_of_plane(const Resizing *r, const Area *a, Run *run, floating *grad_x,
                        const floating *grad) noexcept nogil:
    """`run` is kept from one plane to the next: mostly there is one for all."""
    cdef double[RUN] received
    cdef double[COLUMNS + 2] sums    # from the column before the area's first to the one behind its last
    cdef Py_ssize_t i, j, output, begin, first, end, n
    cdef Lookers rows
    first, end = first_to_reach(&r.cols, a.column), first_beyond(&r.cols, a.column_end - 1)
    for i in range(a.row, a.row_end):
        rows = lookers_of(&r.rows, i)
        memset(sums, 0, sizeof(sums))
        begin = first
        while begin < end and rows.begin < rows.end:
            if run.begin != begin:
                find_run(r, a, run, begin, min(begin + RUN, end))
            n = run.end - run.begin
            memset(received, 0, n * sizeof(double))
            for output in range(rows.begin, rows.end):
                add_row(grad + output * r.yh + begin * r.yw, r.yw, n, weight_of(&r.rows, &rows, output, i), received)
            for j in range(n):
                sums[run.left[j]] += received[j] * (1 - run.weight[j])
                if run.weight[j] != 0:
                    sums[run.right[j]] += received[j] * run.weight[j]
            begin = run.end
        for j in range(a.column, a.column_end):
            grad_x[i * r.xh + j * r.xw] = <floating>sums[j - a.column + 1]


cdef void find_run(const Resizing *r, const Area *a, Run *run, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t j
    cdef Place p
    run.begin, run.end = begin, end
    for j in range(end - begin):
        p = place(&r.cols, begin + j)
        run.left[j], run.right[j], run.weight[j] = p.first - a.column + 1, p.second - a.column + 1, p.weight


cdef void add_row(const floating *grad, Py_ssize_t step, Py_ssize_t n, double weight, double *sums) noexcept nogil:
    cdef Py_ssize_t j
    if step == 1:
        for j in range(n):
            sums[j] += grad[j] * weight
    else:
        for j in range(n):
            sums[j] += grad[j * step] * weight


cdef void pixels(const Resizing *r, const Area *a, floating *grad_x, const floating *grad) noexcept nogil:
    cdef Lookers rows
    cdef Lookers[COLUMNS] lookers
    cdef const Lookers *cols
    cdef double[CHANNELS] sums
    cdef double down
    cdef fc_adding how
    cdef Py_ssize_t i, j, k, channel, n, row, col
    cdef floating *pixel
    how.row, how.column, how.down = r.yh, r.yw, rows.weight
    for j in range(a.column, a.column_end):
        lookers[j - a.column] = lookers_of(&r.cols, j)
    for i in range(a.row, a.row_end):
        rows = lookers_of(&r.rows, i)
        for j in range(a.column, a.column_end):
            cols = &lookers[j - a.column]
            if rows.end - rows.begin <= KNOWN and cols.end - cols.begin <= KNOWN:
                how.rows, how.columns, how.across = rows.end - rows.begin, cols.end - cols.begin, cols.weight
                add_pixels(&how, grad + rows.begin * r.yh + cols.begin * r.yw, grad_x + i * r.xh + j * r.xw, r.channels)
                continue
            channel = 0
            while channel < r.channels:
                n = min(CHANNELS, r.channels - channel)
                memset(sums, 0, n * sizeof(double))
                for row in range(rows.begin, rows.end):
                    down = weight_of(&r.rows, &rows, row, i)
                    for col in range(cols.begin, cols.end):
                        add_row(grad + row * r.yh + col * r.yw + channel, 1, n,
                                down * weight_of(&r.cols, cols, col, j), sums)
                pixel = grad_x + i * r.xh + j * r.xw + channel
                for k in range(n):
                    pixel[k] = <floating>sums[k]
                channel += n
