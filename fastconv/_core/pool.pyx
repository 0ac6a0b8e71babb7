"""Max and average pooling, forward: the loops around pool.h. The gradients are in pool_backward.pyx.

Which loop serves a call follows from the memory of x and from the windows (windows.py):

    channels are neighbours in memory (NHWC):
        parallel for image, row of outputs: for output: for vector of channels: all pixels of the window -> registers -> y
    columns are neighbours (NCHW, and everything else):
        "2x2"    parallel for image, block of channels, block of rows: for row of outputs: straight from two rows of x -> y
        "band"   parallel for image, block of channels, block of rows:
                     fill the padded band (band.pyx; the stride's phases apart)
                     across: band -> best (or sum) of S columns and which it was, buffers as large as the band
                     down:   for row of outputs: best (or sum) of R rows -> y
        "runs"   parallel for image, channel: for output: for row of its window: best (or sum) of a run of x -> y

The band and its two copies hold about BAND elements each and stay in L1 and L2. The padding of maxima is -inf, which wins
nothing: an output whose window holds nothing but -inf gets the index of its first pixel afterwards.
"""

import functools

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.stdint cimport int64_t

from fastconv._core.band cimport CONSTANT, Band, axis, fill, layout, tap_offsets
from fastconv._core.isa cimport (
    max_2x2, max_across, max_channels, max_down, max_of_run, mean_2x2, mean_channels, mean_down, sum_across, sum_of_run,
)
from fastconv._core.memory cimport Block, take
from fastconv._core.threads cimport team

from fastconv._core.memory import empty

cdef enum:
    BAND = 4096      # elements of a band; more only where one row of outputs needs more
    PIXELS = 16384   # of x, for one unit of "2x2"
    SLACK = 32       # elements behind a buffer that whole vectors may touch

# About the nanoseconds of an element of x, for the thread policy.
cdef double COST = 0.4


cdef Axis axis_of(windows):
    cdef Axis a
    cdef const int64_t[::1] first = windows.first, taps = windows.taps
    a.size, a.outputs, a.kernel_size = windows.size, windows.outputs, windows.kernel_size
    a.stride, a.dilation, a.start = windows.stride, windows.dilation, windows.start
    a.first, a.taps = &first[0], &taps[0]    # owned by windows
    return a


cdef class Tables:
    """The windows of a geometry in C."""
    cdef Axis rows, cols
    cdef object windows

    def __init__(self, windows):
        self.rows, self.cols, self.windows = axis_of(windows.rows), axis_of(windows.cols), windows


_tables = functools.lru_cache(maxsize=256)(Tables)


cdef Shape shape_of(x, y, windows):
    cdef Shape g
    cdef Tables tables = _tables(windows)
    cdef Py_ssize_t size = x.itemsize
    x_strides, y_strides = x.strides, y.strides
    g.n, g.c = x.shape[0], x.shape[1]
    g.rows, g.cols = tables.rows, tables.cols
    g.xn, g.xc, g.xh, g.xw = x_strides[0] // size, x_strides[1] // size, x_strides[2] // size, x_strides[3] // size
    g.yn, g.yc, g.yh, g.yw = y_strides[0] // size, y_strides[1] // size, y_strides[2] // size, y_strides[3] // size
    return g


def channels_in_lanes(x):
    """Whether the channels of an (N, C, H, W) view are neighbours in memory and its columns are not."""
    return x.strides[1] == x.itemsize and x.strides[3] != x.itemsize


def pool(x, windows, bint average, bint with_indices):
    """Pools an (N, C, H, W) view with any strides -> (y, indices or None), (N, C, OH, OW) views, contiguous in the order of
    axes that x has: NHWC where channels_in_lanes(x), else NCHW."""
    n, c = x.shape[:2]
    oh, ow = windows.output_size
    channels = channels_in_lanes(x)
    shape = (n, oh, ow, c) if channels else (n, c, oh, ow)
    y = empty(shape, x.dtype)
    indices = empty(shape, np.int64) if with_indices else None
    if channels:
        y = y.transpose(0, 3, 1, 2)
        indices = indices.transpose(0, 3, 1, 2) if with_indices else None
    if y.size == 0:
        return y, indices
    method = "channels" if channels else windows.method
    if method in ("2x2", "runs") and x.strides[3] != x.itemsize and x.shape[3] > 1:
        x = np.ascontiguousarray(x)
    cdef Shape g = shape_of(x, y, windows)
    if x.dtype == np.float32:
        run[float](&g, x, y, indices, windows, method, average)
    else:
        run[double](&g, x, y, indices, windows, method, average)
    return y, indices


cdef run(const Shape *g, const floating[:, :, :, :] x, floating[:, :, :, :] y, indices, windows, method, bint average):
    cdef int64_t[:, :, :, :] index_view
    cdef int64_t *index = NULL
    cdef const floating[::1] row_counts = windows.rows.counts, col_counts = windows.cols.counts
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    if indices is not None:
        index_view = indices
        index = &index_view[0, 0, 0, 0]
    if method == "channels":
        pool_channels(g, &x[0, 0, 0, 0], &y[0, 0, 0, 0], index, &row_counts[0], &col_counts[0], average, threads)
    elif method == "2x2":
        pool_2x2(g, &x[0, 0, 0, 0], &y[0, 0, 0, 0], index, average, threads)
    elif method == "band":
        pool_band(g, &x[0, 0, 0, 0], &y[0, 0, 0, 0], index, &row_counts[0], &col_counts[0], average, threads)
    else:
        pool_runs(g, &x[0, 0, 0, 0], &y[0, 0, 0, 0], index, &row_counts[0], &col_counts[0], average, threads)


# ---------------------------------------------------------------------------------------------------------------------
# Channels in the lanes


cdef void pool_channels(const Shape *g, const floating *x, floating *y, int64_t *index, const floating *row_counts,
                        const floating *col_counts, bint average, int threads) noexcept:
    cdef Py_ssize_t unit, units = g.n * g.rows.outputs
    for unit in prange(units, nogil=True, num_threads=threads, schedule="static"):
        channels_row(g, x, y, index, row_counts, col_counts, average, unit // g.rows.outputs, unit % g.rows.outputs)


cdef void channels_row(const Shape *g, const floating *x, floating *y, int64_t *index, const floating *row_counts,
                       const floating *col_counts, bint average, Py_ssize_t n, Py_ssize_t i) noexcept nogil:
    cdef Py_ssize_t j, h = g.rows.first[i], w, at
    cdef Py_ssize_t row = g.rows.dilation * g.xh, column = g.cols.dilation * g.xw
    cdef int rows = <int>g.rows.taps[i]
    for j in range(g.cols.outputs):
        w = g.cols.first[j]
        at = n * g.yn + i * g.yh + j * g.yw
        if average:
            mean_channels(x + n * g.xn + h * g.xh + w * g.xw, row, column, rows, <int>g.cols.taps[j],
                          row_counts[i] * col_counts[j], y + at, g.c)
        else:
            max_channels(x + n * g.xn + h * g.xh + w * g.xw, row, column, rows, <int>g.cols.taps[j],
                         g.rows.dilation * g.cols.size, g.cols.dilation, y + at, index + at if index != NULL else index,
                         h * g.cols.size + w, g.c)


# ---------------------------------------------------------------------------------------------------------------------
# 2 x 2 windows with step 2, all inside the image


cdef void pool_2x2(const Shape *g, const floating *x, floating *y, int64_t *index, bint average, int threads) noexcept:
    cdef Py_ssize_t rows = min(g.rows.outputs, max(1, PIXELS // (2 * g.cols.size)))
    cdef Py_ssize_t blocks = (g.rows.outputs + rows - 1) // rows
    cdef Py_ssize_t planes = min(g.c, max(1, PIXELS // (g.rows.size * g.cols.size)))
    cdef Py_ssize_t groups = (g.c + planes - 1) // planes
    cdef Py_ssize_t unit, n, c, i
    for unit in prange(g.n * groups * blocks, nogil=True, num_threads=threads, schedule="static"):
        n = unit // blocks // groups
        c = unit // blocks % groups * planes
        i = unit % blocks * rows
        block_2x2(g, x + n * g.xn, y + n * g.yn, index + n * g.yn if index != NULL else index, average,
                  c, min(c + planes, g.c), i, min(i + rows, g.rows.outputs))


cdef void block_2x2(const Shape *g, const floating *x, floating *y, int64_t *index, bint average, Py_ssize_t c0,
                    Py_ssize_t c1, Py_ssize_t i0, Py_ssize_t i1) noexcept nogil:
    cdef Py_ssize_t c, i, at
    for c in range(c0, c1):
        for i in range(i0, i1):
            at = c * g.yc + i * g.yh
            if average:
                mean_2x2(x + c * g.xc + 2 * i * g.xh, g.xh, y + at, g.cols.outputs)
            else:
                max_2x2(x + c * g.xc + 2 * i * g.xh, g.xh, g.cols.size, y + at, index + at if index != NULL else index,
                        2 * i * g.cols.size, g.cols.outputs)


# ---------------------------------------------------------------------------------------------------------------------
# Any window, from a padded band


cdef Band band_of(const Shape *g, Py_ssize_t first_row, Py_ssize_t rows) noexcept nogil:
    """The band of `rows` rows of outputs."""
    cdef Band band
    band.rows = axis(g.rows.size, rows, g.rows.kernel_size, g.rows.stride, g.rows.dilation)
    band.cols = axis(g.cols.size, g.cols.outputs, g.cols.kernel_size, g.cols.stride, g.cols.dilation)
    band.rows.start = g.rows.start + first_row * g.rows.stride
    band.cols.start = g.cols.start
    band.row_stride, band.col_stride = g.xh, g.xw
    band.padding = CONSTANT
    layout(&band, SLACK)
    return band


cdef void pool_band(const Shape *g, const floating *x, floating *y, int64_t *index, const floating *row_counts,
                    const floating *col_counts, bint average, int threads):
    cdef Py_ssize_t rows = g.rows.outputs, planes = 1, blocks, groups, unit, n, c, i, size, taps, scratch_size
    cdef Band band = band_of(g, 0, rows)
    while rows > 1 and band.channel_pitch > BAND:
        rows = (rows + 1) // 2
        band = band_of(g, 0, rows)
    blocks = (g.rows.outputs + rows - 1) // rows
    if blocks == 1:
        planes = min(g.c, max(1, BAND // band.channel_pitch))
    groups = (g.c + planes - 1) // planes
    taps = (g.rows.kernel_size * g.cols.kernel_size + g.rows.kernel_size) * 8 // 64 * 64 + 64    # bytes
    size = planes * band.channel_pitch + band.cols.taps * band.cols.length + SLACK
    scratch_size = taps + 3 * (size * sizeof(floating) // 64 * 64 + 64)
    cdef Block scratch = take(threads * scratch_size)
    cdef char *data = scratch.data
    for unit in prange(g.n * groups * blocks, nogil=True, num_threads=threads, schedule="static"):
        n = unit // blocks // groups
        c = unit // blocks % groups * planes
        i = unit % blocks * rows
        block_band(g, x + n * g.xn + c * g.xc, y + n * g.yn + c * g.yc,
                   index + n * g.yn + c * g.yc if index != NULL else index, row_counts, col_counts, average,
                   min(planes, g.c - c), i, min(rows, g.rows.outputs - i),
                   <Py_ssize_t *>(data + threadid() * scratch_size),
                   <floating *>(data + threadid() * scratch_size + taps), (size * sizeof(floating) // 64 * 64 + 64) // sizeof(floating))


cdef void block_band(const Shape *g, const floating *x, floating *y, int64_t *index, const floating *row_counts,
                     const floating *col_counts, bint average, Py_ssize_t planes, Py_ssize_t i0, Py_ssize_t rows,
                     Py_ssize_t *taps, floating *band_data, Py_ssize_t size) noexcept nogil:
    """rows x planes of outputs; x, y and index are the first plane's, size that of each of the three buffers."""
    cdef Band band = band_of(g, i0, rows)
    cdef Py_ssize_t c, i, r, row, band_rows = band.rows.pieces * band.rows.length
    cdef Py_ssize_t *down = taps + g.rows.kernel_size * g.cols.kernel_size
    cdef floating *best = band_data + size
    cdef floating *tap = best + size
    cdef int kernel_h = <int>g.rows.kernel_size, kernel_w = <int>g.cols.kernel_size
    cdef int64_t base
    tap_offsets(&band, taps)
    for r in range(kernel_h):
        down[r] = taps[r * kernel_w]
    fill(&band, x, g.xc, planes, <floating>(0 if average else -INFINITY), band_data)
    for c in range(planes):
        if band.cols.pieces == 1:
            across(band_data, taps, kernel_w, g.cols.dilation, best, tap, band_rows * band.pitch, average)
        else:
            for row in range(band_rows):
                across(band_data + row * band.pitch, taps, kernel_w, g.cols.dilation, best + row * band.pitch,
                       tap + row * band.pitch, g.cols.outputs, average)
        for i in range(rows):
            if average:
                mean_down(best + i * band.pitch, down, kernel_h, row_counts[i0 + i], col_counts,
                          y + c * g.yc + (i0 + i) * g.yh, g.cols.outputs)
                continue
            base = (band.rows.start + i * g.rows.stride) * g.cols.size + g.cols.start
            max_down(best + i * band.pitch, tap + i * band.pitch, down, kernel_h, g.rows.dilation * g.cols.size,
                     g.cols.stride, y + c * g.yc + (i0 + i) * g.yh,
                     index + c * g.yc + (i0 + i) * g.yh if index != NULL else index, base, g.cols.outputs)
            if index != NULL:
                set_first_pixels(g, i0 + i, base, index + c * g.yc + (i0 + i) * g.yh)
        band_data = band_data + band.channel_pitch


cdef inline void across(const floating *band, const Py_ssize_t *taps, int n_taps, Py_ssize_t step, floating *best,
                        floating *tap, Py_ssize_t n, bint average) noexcept nogil:
    if average:
        sum_across(band, taps, n_taps, best, n)
    else:
        max_across(band, taps, n_taps, step, best, tap, n)


cdef void set_first_pixels(const Shape *g, Py_ssize_t i, int64_t base, int64_t *index) noexcept nogil:
    """Outputs of row i whose index is their window's first tap although that lies in the padding: all was -inf."""
    cdef Py_ssize_t j
    for j in range(g.cols.outputs):
        if g.rows.first[i] * g.cols.size + g.cols.first[j] == base + j * g.cols.stride:
            return    # neither this window nor a later one starts in the padding
        if index[j] == base + j * g.cols.stride:
            index[j] = g.rows.first[i] * g.cols.size + g.cols.first[j]


# ---------------------------------------------------------------------------------------------------------------------
# Large, distant or unequal windows, one by one


cdef void pool_runs(const Shape *g, const floating *x, floating *y, int64_t *index, const floating *row_counts,
                    const floating *col_counts, bint average, int threads) noexcept:
    cdef Py_ssize_t unit
    for unit in prange(g.n * g.c, nogil=True, num_threads=threads, schedule="static"):
        plane_runs(g, x + unit // g.c * g.xn + unit % g.c * g.xc, y + unit * g.yc,
                   index + unit * g.yc if index != NULL else index, row_counts, col_counts, average)


cdef void plane_runs(const Shape *g, const floating *x, floating *y, int64_t *index, const floating *row_counts,
                     const floating *col_counts, bint average) noexcept nogil:
    cdef Py_ssize_t i, j, r, h, w, rows, length, position
    cdef Py_ssize_t at = 0
    cdef floating best, value
    cdef double total
    for i in range(g.rows.outputs):
        for j in range(g.cols.outputs):
            h, w, rows, length = g.rows.first[i], g.cols.first[j], g.rows.taps[i], g.cols.taps[j]
            if length == g.cols.size and (g.xh == g.cols.size or rows == 1):
                length = length * rows    # whole rows, one after the other
                rows = 1
            if average:
                total = 0
                for r in range(rows):
                    total += sum_of_run(x + (h + r) * g.xh + w, length)
                y[i * g.yh + j] = <floating>(total / (row_counts[i] * col_counts[j]))
                continue
            best = max_of_run(x + h * g.xh + w, length, &position)
            at = h * g.cols.size + w + position
            for r in range(1, rows):
                value = max_of_run(x + (h + r) * g.xh + w, length, &position)
                if value > best or value != value:
                    best = value
                    at = (h + r) * g.cols.size + w + position
            y[i * g.yh + j] = best
            if index != NULL:
                index[i * g.yh + j] = at
