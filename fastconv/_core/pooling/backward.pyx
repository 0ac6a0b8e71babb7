"""Gradients of max and average pooling: the loops around pool.h. The forward loops are in forward.pyx.

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

Where a pixel belongs to many windows, a running sum in single precision would not be right to 1e-6. Then, but for "band", whose
sums are those of reduce.h:

    max:               parallel for image, channel: for block of pixels: all gradients that belong there += in double
    average:           parallel for image, block of channels, block of pixels: all windows that reach it += in double

Units of work share no pixel of grad_x, so nothing is added across threads.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastconv._core.runtime.isa cimport (
    max_2x2_backward, mean_2x2_backward, mean_down, scatter, spread_channels, spread_row, sum_across,
)
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.pooling.forward cimport Shape, shape_of
from fastconv._core.runtime.threads cimport team
from fastconv._core.pooling.windows cimport PAIRS, RUNS, Axis, Span, Windows, first_reaching, overlap, span

from fastconv._core.runtime.memory import empty

cdef enum:
    CHANNELS = 64            # of a unit of work in NHWC: a few cache lines of each pixel
    BUFFER = 8192            # elements of rows of sums; more only where one row of grad_x needs more
    COLUMNS = 4096           # of grad_x in such a row; more only where windows are about as wide
    MOST_BUFFER = 1 << 20    # elements of rows of sums, of whatever windows
    SUMS = 1 << 16           # of a block of pixels, added up in double
    SCATTERED = 1 << 20      # pixels of a block, to each of which any gradient may belong
    RUNNING = 49             # terms of a sum in single precision that are added as they come: 8e-7 of it are lost at most
    SLACK = 32               # elements behind a buffer that whole vectors may touch

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


cdef bint run_max(const floating[:, :, :, :] grad, const int64_t[:, :, :, :] indices, floating[:, :, :, :] grad_x,
                  Windows windows, bint channels_last) except -1:
    cdef Shape g = shape_of(grad_x.base, grad.base, windows)
    cdef bint many = sizeof(floating) == sizeof(float) and overlap(&g.rows) * overlap(&g.cols) > RUNNING
    cdef Py_ssize_t block = min(CHANNELS, g.c) if channels_last and not many else 1
    cdef Py_ssize_t groups = (g.c + block - 1) // block, unit, n, c, sums = min(g.rows.size * g.cols.size, SCATTERED) if many else 0
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef int wrong = 0
    cdef bint pairs = windows.method == PAIRS and not channels_last and g.yw == 1 and indices.strides[3] == sizeof(int64_t)
    cdef Block scratch = take(threads * sums * sizeof(double)) if many else None
    cdef double *data = <double *>scratch.data if many else NULL
    for unit in prange(g.n * groups, nogil=True, num_threads=threads, schedule="static"):
        n = unit // groups
        c = unit % groups * block
        if many:
            wrong += not scatter_many(&g, &grad[n, c, 0, 0], &indices[n, c, 0, 0], indices.strides[2] // 8,
                                      indices.strides[3] // 8, &grad_x[n, c, 0, 0], data + threadid() * sums)
        else:
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


cdef bint scatter_many(const Shape *g, const floating *grad, const int64_t *indices, Py_ssize_t index_row, Py_ssize_t index_col,
                       floating *grad_x, double *sums) noexcept nogil:
    """One plane, each of whose pixels may get many gradients; False where an index is outside the plane."""
    cdef Py_ssize_t i, j, first = 0, count, pixels = g.rows.size * g.cols.size
    cdef size_t at
    while first < pixels:
        count = min(SCATTERED, pixels - first)
        memset(sums, 0, count * sizeof(double))
        for i in range(g.rows.outputs):
            for j in range(g.cols.outputs):
                at = <size_t>indices[i * index_row + j * index_col]
                if at >= <size_t>pixels:
                    return False
                at -= first    # what lies before the block goes round
                if at < <size_t>count:
                    sums[at] += grad[i * g.yh + j * g.yw]
        for i in range(count):
            grad_x[(first + i) * g.xw] = <floating>sums[i]
        first += count
    return True


# ---------------------------------------------------------------------------------------------------------------------
# Average


def average_backward(grad, shape, Windows windows, bint channels_last):
    """grad_x of an (N, C, H, W) shape, its memory in NCHW or NHWC order; grad is an (N, C, OH, OW) view with any strides."""
    grad_x = _empty_gradient(shape, grad.dtype, channels_last)
    if grad_x.size == 0:
        return grad_x
    if grad.dtype == np.float32:
        run_average[float](grad, grad_x, windows, channels_last)
    else:
        run_average[double](grad, grad_x, windows, channels_last)
    return grad_x


# How "band" cuts a plane of grad_x into blocks of rows and columns, and what a thread needs for one, in elements and bytes.
cdef struct Cut:
    Py_ssize_t rows, row_blocks, cols, col_blocks
    Py_ssize_t covering, spread, pitch    # rows of outputs of a block, at most; of one row spread out; of its sums
    Py_ssize_t tables, scratch_bytes


cdef run_average(const floating[:, :, :, :] grad, floating[:, :, :, :] grad_x, Windows windows, bint channels_last):
    cdef Shape g = shape_of(grad_x.base, grad.base, windows)
    cdef const floating *source = &grad[0, 0, 0, 0]
    cdef floating *target = &grad_x[0, 0, 0, 0]
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef bint few = sizeof(floating) == sizeof(double) or overlap(&g.rows) * overlap(&g.cols) <= RUNNING
    cdef Cut cut = cut_rows(&g, sizeof(floating))
    if windows.method == PAIRS and not channels_last and g.yw == 1:
        average_2x2(&g, source, target, threads)
    elif windows.method != RUNS and not channels_last and cut.covering * cut.pitch <= MOST_BUFFER:
        average_rows(&g, &cut, source, target, threads)
    elif not few:
        average_blocks(&g, source, target, threads)
    elif channels_last:
        average_channels(&g, source, target, threads)
    else:
        average_runs(&g, source, target, threads)


cdef void average_channels(const Shape *g, const floating *grad, floating *grad_x, int threads) noexcept:
    cdef Py_ssize_t groups = (g.c + CHANNELS - 1) // CHANNELS, unit, n, c
    for unit in prange(g.n * groups, nogil=True, num_threads=threads, schedule="static"):
        n = unit // groups
        c = unit % groups * CHANNELS
        spread_windows(g, grad + n * g.yn + c * g.yc, grad_x + n * g.xn + c * g.xc, min(CHANNELS, g.c - c))


cdef void spread_windows(const Shape *g, const floating *grad, floating *grad_x, Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t i, j, c
    cdef Span rows, cols
    cdef const floating *output
    cdef floating near[CHANNELS]
    clear_pixels(g, grad_x, channels)
    for i in range(g.rows.outputs):
        rows = span(&g.rows, i)
        for j in range(g.cols.outputs):
            cols = span(&g.cols, j)
            output = grad + i * g.yh + j * g.yw
            if g.yc != 1:
                for c in range(channels):
                    near[c] = output[c * g.yc]
                output = near
            spread_channels(output, <floating>rows.count * <floating>cols.count, grad_x + rows.first * g.xh + cols.first * g.xw,
                            g.xh, g.xw, rows.taps, cols.taps, channels)


cdef void average_2x2(const Shape *g, const floating *grad, floating *grad_x, int threads) noexcept:
    cdef Py_ssize_t unit
    for unit in prange(g.n * g.c, nogil=True, num_threads=threads, schedule="static"):
        plane_average_2x2(g, grad + unit // g.c * g.yn + unit % g.c * g.yc, grad_x + unit * g.xc)


cdef void plane_average_2x2(const Shape *g, const floating *grad, floating *grad_x) noexcept nogil:
    cdef Py_ssize_t i, w = g.cols.size
    for i in range(g.rows.outputs):
        mean_2x2_backward(grad + i * g.yh, grad_x + 2 * i * w, w, g.cols.outputs)
    clear_rest(grad_x, g.rows.size, w, 2 * g.rows.outputs, 2 * g.cols.outputs)


cdef void average_runs(const Shape *g, const floating *grad, floating *grad_x, int threads) noexcept:
    cdef Py_ssize_t unit
    for unit in prange(g.n * g.c, nogil=True, num_threads=threads, schedule="static"):
        plane_average_runs(g, grad + unit // g.c * g.yn + unit % g.c * g.yc, grad_x + unit * g.xc)


cdef void plane_average_runs(const Shape *g, const floating *grad, floating *grad_x) noexcept nogil:
    cdef Py_ssize_t i, j, h, w
    cdef Span rows, cols
    cdef floating share
    cdef floating *row
    memset(grad_x, 0, g.rows.size * g.cols.size * sizeof(floating))
    for i in range(g.rows.outputs):
        rows = span(&g.rows, i)
        for j in range(g.cols.outputs):
            cols = span(&g.cols, j)
            share = grad[i * g.yh + j * g.yw] / (<floating>rows.count * <floating>cols.count)
            for h in range(rows.first, rows.first + rows.taps):
                row = grad_x + h * g.cols.size + cols.first
                for w in range(cols.taps):
                    row[w] += share


# ---------------------------------------------------------------------------------------------------------------------
# Averages whose windows share pixels: sums of neighbours across, then down


cdef Cut cut_rows(const Shape *g, Py_ssize_t size) noexcept:
    """size is that of an element."""
    cdef Cut cut
    cdef Py_ssize_t kernel_h = g.rows.kernel_size, kernel_w = g.cols.kernel_size
    cut.cols = min(g.cols.size, max(COLUMNS, 4 * kernel_w))
    while True:
        cut.pitch = (cut.cols + 15) // 16 * 16 + 16
        cut.rows = max(1, min(g.rows.size, (BUFFER // cut.pitch - kernel_h) * g.rows.stride))
        cut.covering = min(g.rows.outputs, (cut.rows + kernel_h) // max(1, g.rows.stride) + 2)
        if cut.covering * cut.pitch <= MOST_BUFFER or cut.cols == 1:
            break
        cut.cols = (cut.cols + 1) // 2
    cut.spread = (cut.cols + 2 * kernel_w + SLACK + 15) // 16 * 16
    cut.tables = ((cut.covering + kernel_w) * sizeof(Py_ssize_t) + 63) // 64 * 64
    cut.scratch_bytes = cut.tables + ((2 * cut.spread + cut.covering * cut.pitch) * size + 63) // 64 * 64 + 64
    cut.row_blocks = (g.rows.size + cut.rows - 1) // cut.rows
    cut.col_blocks = (g.cols.size + cut.cols - 1) // cut.cols
    return cut


cdef void average_rows(const Shape *g, const Cut *cut, const floating *grad, floating *grad_x, int threads):
    cdef Block scratch = take(threads * cut.scratch_bytes)
    cdef char *data = scratch.data
    cdef Py_ssize_t unit, plane, block, h, w
    for unit in prange(g.n * g.c * cut.row_blocks * cut.col_blocks, nogil=True, num_threads=threads, schedule="static"):
        block = unit // cut.col_blocks
        plane = block // cut.row_blocks
        h = block % cut.row_blocks * cut.rows
        w = unit % cut.col_blocks * cut.cols
        block_average_rows(g, cut, grad + plane // g.c * g.yn + plane % g.c * g.yc, grad_x + plane * g.xc, h, w,
                           data + threadid() * cut.scratch_bytes)


cdef void block_average_rows(const Shape *g, const Cut *cut, const floating *grad, floating *grad_x, Py_ssize_t h0, Py_ssize_t w0,
                             char *scratch) noexcept nogil:
    """The block of one plane of grad_x that begins at row h0 and column w0."""
    cdef Py_ssize_t h, i, j, t, lo, hi, columns = g.cols.kernel_size
    cdef Py_ssize_t h1 = min(h0 + cut.rows, g.rows.size), width = min(cut.cols, g.cols.size - w0)
    cdef Py_ssize_t *taps = <Py_ssize_t *>scratch
    cdef Py_ssize_t *rows = taps + columns
    cdef floating *spread = <floating *>(scratch + cut.tables)
    cdef floating *counts = spread + cut.spread
    cdef floating *sums = counts + cut.spread
    cdef Py_ssize_t first = first_covering(&g.rows, h0), until = last_covering(&g.rows, h1 - 1) + 1
    cdef Py_ssize_t left = first_covering(&g.cols, w0), right = last_covering(&g.cols, w0 + width - 1) + 1
    # An output's gradient goes to where its window ends in the block: sums of `columns` elements from there on are grad_x's.
    cdef floating *begin = spread + g.cols.start + left * g.cols.stride - w0 + columns - 1
    for t in range(columns):
        taps[t] = t
    for j in range(left, right):
        counts[j - left] = <floating>span(&g.cols, j).count
    memset(spread, 0, cut.spread * sizeof(floating))
    for i in range(first, until):
        spread_row(grad + i * g.yh + left * g.yw, g.yw, <floating>span(&g.rows, i).count, counts, begin, g.cols.stride,
                   right - left)
        sum_across(spread, taps, <int>columns, sums + (i - first) * cut.pitch, width)
    for h in range(h0, h1):
        lo = first_covering(&g.rows, h)
        hi = last_covering(&g.rows, h) + 1
        for i in range(lo, hi):
            rows[i - lo] = (i - first) * cut.pitch
        mean_down(sums, rows, <int>max(0, hi - lo), 1, <const floating *>NULL, grad_x + h * g.cols.size + w0, width)


cdef inline Py_ssize_t first_covering(const Axis *a, Py_ssize_t position) noexcept nogil:
    """The first output whose window reaches a pixel, by its size alone."""
    cdef Py_ssize_t beyond = position - a.start - a.kernel_size + 1
    return 0 if beyond <= 0 else (beyond + a.stride - 1) // a.stride


cdef inline Py_ssize_t last_covering(const Axis *a, Py_ssize_t position) noexcept nogil:
    return min(a.outputs - 1, (position - a.start) // a.stride)


# ---------------------------------------------------------------------------------------------------------------------
# Averages with many windows over a pixel, window by window


# How grad_x is cut into blocks of pixels and of channels.
cdef struct Blocks:
    Py_ssize_t rows, row_blocks, cols, col_blocks, channels, groups


cdef void average_blocks(const Shape *g, const floating *grad, floating *grad_x, int threads):
    cdef Blocks b
    cdef Py_ssize_t unit
    b.channels = min(g.c, CHANNELS) if g.xw != 1 else 1
    b.cols = min(g.cols.size, SUMS // (8 * b.channels))
    b.rows = min(g.rows.size, SUMS // (b.cols * b.channels))
    b.groups = (g.c + b.channels - 1) // b.channels
    b.row_blocks = (g.rows.size + b.rows - 1) // b.rows
    b.col_blocks = (g.cols.size + b.cols - 1) // b.cols
    cdef Block scratch = take(threads * (SUMS + CHANNELS) * sizeof(double))
    cdef double *sums = <double *>scratch.data
    for unit in prange(g.n * b.groups * b.row_blocks * b.col_blocks, nogil=True, num_threads=threads, schedule="static"):
        average_block(g, &b, grad, grad_x, unit, sums + threadid() * (SUMS + CHANNELS))


cdef void average_block(const Shape *g, const Blocks *b, const floating *grad, floating *grad_x, Py_ssize_t unit,
                        double *share) noexcept nogil:
    """share are one output's channels; behind it are the sums of the block's pixels."""
    cdef double *sums = share + CHANNELS
    cdef Py_ssize_t block = unit // b.col_blocks, group = block // b.row_blocks
    cdef Py_ssize_t n = group // b.groups, first = group % b.groups * b.channels, channels = min(b.channels, g.c - first)
    cdef Py_ssize_t h0 = block % b.row_blocks * b.rows, h1 = min(h0 + b.rows, g.rows.size)
    cdef Py_ssize_t w0 = unit % b.col_blocks * b.cols, w1 = min(w0 + b.cols, g.cols.size), row = (w1 - w0) * channels
    cdef Py_ssize_t i, j, c, h, w, top, left, reached = first_reaching(&g.cols, w0)
    cdef Span rows, cols
    grad += n * g.yn + first * g.yc
    grad_x += n * g.xn + first * g.xc
    memset(sums, 0, (h1 - h0) * row * sizeof(double))
    for i in range(first_reaching(&g.rows, h0), g.rows.outputs):
        rows = span(&g.rows, i)
        if rows.first >= h1:
            break
        top = max(rows.first, h0)
        for j in range(reached, g.cols.outputs):
            cols = span(&g.cols, j)
            if cols.first >= w1:
                break
            left = max(cols.first, w0)
            for c in range(channels):
                share[c] = grad[i * g.yh + j * g.yw + c * g.yc] / (<double>rows.count * cols.count)
            add_share(share, sums + (top - h0) * row + (left - w0) * channels, row, min(rows.first + rows.taps, h1) - top,
                      min(cols.first + cols.taps, w1) - left, channels)
    for h in range(h0, h1):
        for w in range(w0, w1):
            for c in range(channels):
                grad_x[h * g.xh + w * g.xw + c * g.xc] = <floating>sums[(h - h0) * row + (w - w0) * channels + c]


cdef inline void add_share(const double *share, double *sums, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t cols,
                           Py_ssize_t channels) noexcept nogil:
    """To so many pixels, whose rows are `row` apart."""
    cdef Py_ssize_t h, w
    if channels > 1:
        spread_channels(share, 1, sums, row, channels, rows, cols, channels)
        return
    for h in range(rows):
        for w in range(cols):
            sums[h * row + w] += share[0]
