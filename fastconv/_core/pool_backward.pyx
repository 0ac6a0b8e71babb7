"""Gradients of max and average pooling: the loops around pool.h. The forward loops are in pool.pyx.

    max, windows "2x2" in NCHW: parallel for image, channel: for row of outputs: the pixels whose position is the index get the
        gradient, the others 0; two rows are written as a whole, nothing is scattered
    max, otherwise:    parallel for image, block of channels: zeros, then grad_x[index] += grad
    average, "2x2":    as the maximum
    average, "band":   parallel for image, channel, block of rows:
                           for row of outputs: spread its gradients to where their windows start, with zeros between;
                               across: sums of S neighbours -> a buffer of rows (L1, L2)
                           down: for row of grad_x: the sum of the buffered rows whose windows cover it
    average, "runs":   parallel for image, channel: zeros, then each window += its gradient
    average, NHWC:     parallel for image, block of channels: the same for vectors of channels

Units of work share no pixel of grad_x, so nothing is added across threads.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastconv._core.isa cimport (
    max_2x2_backward, mean_2x2_backward, mean_down, scatter, spread_channels, spread_row, sum_across,
)
from fastconv._core.memory cimport Block, take
from fastconv._core.pool cimport Shape, shape_of
from fastconv._core.threads cimport team

from fastconv._core.memory import empty

cdef enum:
    CHANNELS = 64    # of a unit of work in NHWC: a few cache lines of each pixel
    BUFFER = 8192    # elements of rows of sums; more only where one row of grad_x needs more
    SLACK = 32       # elements behind a buffer that whole vectors may touch

# About the nanoseconds of an element of grad_x, for the thread policy.
cdef double COST = 0.6


def _empty_gradient(shape, dtype, bint channels_last):
    n, c, h, w = shape
    return empty((n, h, w, c), dtype).transpose(0, 3, 1, 2) if channels_last else empty((n, c, h, w), dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Maximum


def max_backward(grad, indices, shape, windows, bint channels_last):
    """grad_x of an (N, C, H, W) shape, its memory in NCHW or NHWC order; None where an index is not in the plane.

    grad and indices are (N, C, OH, OW) views with any strides.
    """
    grad_x = _empty_gradient(shape, grad.dtype, channels_last)
    if grad_x.size == 0:
        return grad_x
    if grad.dtype == np.float32:
        fine = run_max[float](grad, indices, grad_x, windows, channels_last)
    else:
        fine = run_max[double](grad, indices, grad_x, windows, channels_last)
    return grad_x if fine else None


cdef bint run_max(const floating[:, :, :, :] grad, const int64_t[:, :, :, :] indices, floating[:, :, :, :] grad_x, windows,
                  bint channels_last) except -1:
    cdef Shape g = shape_of(grad_x.base, grad.base, windows)
    cdef Py_ssize_t block = min(CHANNELS, g.c) if channels_last else 1
    cdef Py_ssize_t groups = (g.c + block - 1) // block, unit, n, c
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef int wrong = 0
    cdef bint pairs = (windows.method == "2x2" and not channels_last and g.yw == 1
                       and indices.strides[3] == sizeof(int64_t))
    for unit in prange(g.n * groups, nogil=True, num_threads=threads, schedule="static"):
        n = unit // groups
        c = unit % groups * block
        wrong += unit_max(&g, &grad[n, c, 0, 0], &indices[n, c, 0, 0], indices.strides, &grad_x[n, c, 0, 0],
                          min(block, g.c - c), pairs)
    return wrong == 0


cdef int unit_max(const Shape *g, const floating *grad, const int64_t *indices, const Py_ssize_t *strides, floating *grad_x,
                  Py_ssize_t channels, bint pairs) noexcept nogil:
    """The planes of one unit; returns whether an index was outside the plane. strides are the indices', in bytes."""
    if pairs and plane_max_2x2(g, grad, indices, strides[2] // 8, grad_x):
        return 0
    return not scatter_unit(g, grad, indices, strides[1] // 8, strides[2] // 8, strides[3] // 8, grad_x, channels)


cdef bint plane_max_2x2(const Shape *g, const floating *grad, const int64_t *indices, Py_ssize_t index_row,
                        floating *grad_x) noexcept nogil:
    """One plane from 2 x 2 windows; False where an index is outside its window: then the plane is to be done again."""
    cdef Py_ssize_t i, rows = 2 * g.rows.outputs, cols = 2 * g.cols.outputs, w = g.cols.size
    for i in range(g.rows.outputs):
        if not max_2x2_backward(grad + i * g.yh, indices + i * index_row, 2 * i * w, w, grad_x + 2 * i * w, w,
                                g.cols.outputs):
            return False
    clear_rest(grad_x, g.rows.size, w, rows, cols)
    return True


cdef void clear_rest(floating *plane, Py_ssize_t h, Py_ssize_t w, Py_ssize_t rows, Py_ssize_t cols) noexcept nogil:
    """Zeros right of and below rows x cols."""
    cdef Py_ssize_t i
    if cols < w:
        for i in range(rows):
            memset(plane + i * w + cols, 0, (w - cols) * sizeof(floating))
    memset(plane + rows * w, 0, (h - rows) * w * sizeof(floating))


cdef void clear_pixels(const Shape *g, floating *grad_x, Py_ssize_t channels) noexcept nogil:
    """Zeros in so many neighbouring channels of an image; grad_x is the first of them."""
    cdef Py_ssize_t pixel, pixels = g.rows.size * g.cols.size
    if g.xw == 1 or channels == g.xw:
        memset(grad_x, 0, pixels * channels * sizeof(floating))
        return
    for pixel in range(pixels):
        memset(grad_x + pixel * g.xw, 0, channels * sizeof(floating))


cdef bint scatter_unit(const Shape *g, const floating *grad, const int64_t *indices, Py_ssize_t index_channel,
                       Py_ssize_t index_row, Py_ssize_t index_col, floating *grad_x, Py_ssize_t channels) noexcept nogil:
    """Neighbouring channels of an image; False where an index is outside the plane."""
    cdef Py_ssize_t i, j, n = g.cols.outputs, rows = g.rows.outputs
    cdef const floating *grad_row
    cdef const int64_t *index_row_start
    clear_pixels(g, grad_x, channels)
    if g.yh == n * g.yw and index_row == n * index_col:    # rows without gaps: the plane is one row
        n = n * rows
        rows = 1
    for i in range(rows):
        grad_row = grad + i * g.yh
        index_row_start = indices + i * index_row
        if channels == 1:
            if not scatter(grad_row, g.yw, index_row_start, index_col, n, grad_x, g.xw, g.rows.size * g.cols.size):
                return False
            continue
        for j in range(n):
            if not scatter_channels(grad_row + j * g.yw, g.yc, index_row_start + j * index_col, index_channel, channels,
                                    grad_x, g.xw, g.rows.size * g.cols.size):
                return False
    return True


cdef inline bint scatter_channels(const floating *grad, Py_ssize_t grad_step, const int64_t *index, Py_ssize_t index_step,
                                  Py_ssize_t channels, floating *grad_x, Py_ssize_t pixel, size_t pixels) noexcept nogil:
    """One output of neighbouring channels."""
    cdef Py_ssize_t c
    cdef size_t at
    for c in range(channels):
        at = <size_t>index[c * index_step]
        if at >= pixels:
            return False
        grad_x[at * pixel + c] += grad[c * grad_step]
    return True


# ---------------------------------------------------------------------------------------------------------------------
# Average


def average_backward(grad, shape, windows, bint channels_last):
    """grad_x of an (N, C, H, W) shape, its memory in NCHW or NHWC order; grad is an (N, C, OH, OW) view with any strides."""
    grad_x = _empty_gradient(shape, grad.dtype, channels_last)
    if grad_x.size == 0:
        return grad_x
    if channels_last and grad.strides[1] != grad.itemsize:
        grad = np.ascontiguousarray(grad.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if grad.dtype == np.float32:
        run_average[float](grad, grad_x, windows, channels_last)
    else:
        run_average[double](grad, grad_x, windows, channels_last)
    return grad_x


cdef run_average(const floating[:, :, :, :] grad, floating[:, :, :, :] grad_x, windows, bint channels_last):
    cdef Shape g = shape_of(grad_x.base, grad.base, windows)
    cdef const floating[::1] row_counts = windows.rows.counts, col_counts = windows.cols.counts
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    if channels_last:
        average_channels(&g, &grad[0, 0, 0, 0], &grad_x[0, 0, 0, 0], &row_counts[0], &col_counts[0], threads)
    elif windows.method == "2x2" and g.yw == 1:
        average_2x2(&g, &grad[0, 0, 0, 0], &grad_x[0, 0, 0, 0], threads)
    elif windows.method == "runs":
        average_runs(&g, &grad[0, 0, 0, 0], &grad_x[0, 0, 0, 0], &row_counts[0], &col_counts[0], threads)
    else:
        average_rows(&g, &grad[0, 0, 0, 0], &grad_x[0, 0, 0, 0], &row_counts[0], &col_counts[0], threads)


cdef void average_channels(const Shape *g, const floating *grad, floating *grad_x, const floating *row_counts,
                           const floating *col_counts, int threads) noexcept:
    cdef Py_ssize_t groups = (g.c + CHANNELS - 1) // CHANNELS, unit, n, c
    for unit in prange(g.n * groups, nogil=True, num_threads=threads, schedule="static"):
        n = unit // groups
        c = unit % groups * CHANNELS
        spread_windows(g, grad + n * g.yn + c * g.yc, grad_x + n * g.xn + c * g.xc, row_counts, col_counts,
                       min(CHANNELS, g.c - c))


cdef void spread_windows(const Shape *g, const floating *grad, floating *grad_x, const floating *row_counts,
                         const floating *col_counts, Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t i, j
    clear_pixels(g, grad_x, channels)
    for i in range(g.rows.outputs):
        for j in range(g.cols.outputs):
            spread_channels(grad + i * g.yh + j * g.yw, row_counts[i] * col_counts[j],
                            grad_x + g.rows.first[i] * g.xh + g.cols.first[j] * g.xw, g.xh, g.xw,
                            <int>g.rows.taps[i], <int>g.cols.taps[j], channels)


cdef void average_2x2(const Shape *g, const floating *grad, floating *grad_x, int threads) noexcept:
    cdef Py_ssize_t unit
    for unit in prange(g.n * g.c, nogil=True, num_threads=threads, schedule="static"):
        plane_average_2x2(g, grad + unit // g.c * g.yn + unit % g.c * g.yc, grad_x + unit * g.xc)


cdef void plane_average_2x2(const Shape *g, const floating *grad, floating *grad_x) noexcept nogil:
    cdef Py_ssize_t i, w = g.cols.size
    for i in range(g.rows.outputs):
        mean_2x2_backward(grad + i * g.yh, grad_x + 2 * i * w, w, g.cols.outputs)
    clear_rest(grad_x, g.rows.size, w, 2 * g.rows.outputs, 2 * g.cols.outputs)


cdef void average_runs(const Shape *g, const floating *grad, floating *grad_x, const floating *row_counts,
                       const floating *col_counts, int threads) noexcept:
    cdef Py_ssize_t unit
    for unit in prange(g.n * g.c, nogil=True, num_threads=threads, schedule="static"):
        plane_average_runs(g, grad + unit // g.c * g.yn + unit % g.c * g.yc, grad_x + unit * g.xc, row_counts, col_counts)


cdef void plane_average_runs(const Shape *g, const floating *grad, floating *grad_x, const floating *row_counts,
                             const floating *col_counts) noexcept nogil:
    cdef Py_ssize_t i, j, h, w
    cdef floating share
    cdef floating *row
    memset(grad_x, 0, g.rows.size * g.cols.size * sizeof(floating))
    for i in range(g.rows.outputs):
        for j in range(g.cols.outputs):
            share = grad[i * g.yh + j * g.yw] / (row_counts[i] * col_counts[j])
            for h in range(g.rows.first[i], g.rows.first[i] + g.rows.taps[i]):
                row = grad_x + h * g.cols.size + g.cols.first[j]
                for w in range(g.cols.taps[j]):
                    row[w] += share


cdef void average_rows(const Shape *g, const floating *grad, floating *grad_x, const floating *row_counts,
                       const floating *col_counts, int threads):
    cdef Py_ssize_t pitch = (g.cols.size + 15) // 16 * 16 + 16
    cdef Py_ssize_t rows = max(1, min(g.rows.size, (BUFFER // pitch - g.rows.kernel_size) * g.rows.stride))
    cdef Py_ssize_t blocks = (g.rows.size + rows - 1) // rows
    cdef Py_ssize_t covering = (rows + g.rows.kernel_size) // g.rows.stride + 2    # rows of outputs of a block, at most
    cdef Py_ssize_t spread = (g.cols.size + 2 * g.cols.kernel_size + SLACK + 15) // 16 * 16
    cdef Py_ssize_t tables = ((covering + g.cols.kernel_size) * sizeof(Py_ssize_t) + 63) // 64 * 64
    cdef Py_ssize_t scratch_size = tables + ((spread + covering * pitch) * sizeof(floating) + 63) // 64 * 64 + 64
    cdef Block scratch = take(threads * scratch_size)
    cdef char *data = scratch.data
    cdef Py_ssize_t unit, plane, h
    for unit in prange(g.n * g.c * blocks, nogil=True, num_threads=threads, schedule="static"):
        plane = unit // blocks
        h = unit % blocks * rows
        block_average_rows(g, grad + plane // g.c * g.yn + plane % g.c * g.yc, grad_x + plane * g.xc, row_counts, col_counts,
                           h, min(h + rows, g.rows.size), <Py_ssize_t *>(data + threadid() * scratch_size),
                           <floating *>(data + threadid() * scratch_size + tables), spread, pitch)


cdef void block_average_rows(const Shape *g, const floating *grad, floating *grad_x, const floating *row_counts,
                             const floating *col_counts, Py_ssize_t h0, Py_ssize_t h1, Py_ssize_t *taps, floating *spread,
                             Py_ssize_t spread_size, Py_ssize_t pitch) noexcept nogil:
    """Rows h0 to h1 - 1 of one plane of grad_x."""
    cdef Py_ssize_t h, i, t, lo, hi, columns = g.cols.kernel_size
    cdef Py_ssize_t *rows = taps + columns
    cdef floating *sums = spread + spread_size
    cdef Py_ssize_t first = first_covering(g, h0), until = last_covering(g, h1 - 1) + 1
    for t in range(columns):
        taps[t] = t
    memset(spread, 0, spread_size * sizeof(floating))
    for i in range(first, until):
        spread_row(grad + i * g.yh, g.yw, row_counts[i], col_counts, spread + g.cols.start + columns - 1, g.cols.stride,
                   g.cols.outputs)
        sum_across(spread, taps, <int>columns, sums + (i - first) * pitch, g.cols.size)
    for h in range(h0, h1):
        lo = first_covering(g, h)
        hi = last_covering(g, h) + 1
        for i in range(lo, hi):
            rows[i - lo] = (i - first) * pitch
        mean_down(sums, rows, <int>max(0, hi - lo), 1, <const floating *>NULL, grad_x + h * g.cols.size, g.cols.size)


cdef inline Py_ssize_t first_covering(const Shape *g, Py_ssize_t h) noexcept nogil:
    """The first row of outputs whose window reaches row h."""
    cdef Py_ssize_t beyond = h - g.rows.start - g.rows.kernel_size + 1
    return 0 if beyond <= 0 else (beyond + g.rows.stride - 1) // g.rows.stride


cdef inline Py_ssize_t last_covering(const Shape *g, Py_ssize_t h) noexcept nogil:
    return min(g.rows.outputs - 1, (h - g.rows.start) // g.rows.stride)
