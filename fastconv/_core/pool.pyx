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

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.stdint cimport int64_t

from fastconv._core.band cimport CONSTANT, Band, axis, fill, layout, tap_offsets
from fastconv._core.isa cimport (
    max_2x2, max_across, max_channels, max_down, max_of_run, mean_2x2, mean_channels, mean_down, sum_across, sum_of_run,
)
from fastconv._core.memory cimport Block, new_array, take
from fastconv._core.shape cimport elements
from fastconv._core.threads cimport team

cnp.import_array()

cdef enum:
    BAND_ELEMENTS = 4096    # of a band; more only where one row of outputs needs more
    PIXELS = 16384          # of x, for one unit of "2x2"
    SLACK = 32              # elements behind a buffer that whole vectors may touch

# About the nanoseconds of an element of x, for the thread policy.
cdef double COST = 0.4

cdef enum Method:
    CHANNELS, PAIRS, BAND, RUNS    # "channels", "2x2", "band", "runs"

# How the work is cut into units: of an image, a block of `planes` channels and a block of `rows` rows of outputs.
cdef struct Cut:
    Method method
    bint average
    Py_ssize_t rows, blocks, planes, groups, units
    Py_ssize_t taps_bytes, buffer, scratch_bytes    # "band": of its tables; elements of a buffer; of all


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
    cdef Method method
    cdef void *row_counts    # of the dtype of the windows
    cdef void *col_counts
    cdef object windows

    def __init__(self, windows):
        self.rows, self.cols, self.windows = axis_of(windows.rows), axis_of(windows.cols), windows
        self.method = {"2x2": PAIRS, "band": BAND, "runs": RUNS}[windows.method]
        self.row_counts = cnp.PyArray_DATA(<cnp.ndarray?>windows.rows.counts)
        self.col_counts = cnp.PyArray_DATA(<cnp.ndarray?>windows.cols.counts)


_tables = functools.lru_cache(maxsize=256)(Tables)


cdef Shape shape_of(cnp.ndarray x, cnp.ndarray y, windows):
    return shape_by(x, y, _tables(windows))


cdef Shape shape_by(cnp.ndarray x, cnp.ndarray y, Tables tables):
    cdef Shape g
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    g.n, g.c = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    g.rows, g.cols = tables.rows, tables.cols
    g.xn, g.xc = elements(cnp.PyArray_STRIDE(x, 0), size), elements(cnp.PyArray_STRIDE(x, 1), size)
    g.xh, g.xw = elements(cnp.PyArray_STRIDE(x, 2), size), elements(cnp.PyArray_STRIDE(x, 3), size)
    g.yn, g.yc = elements(cnp.PyArray_STRIDE(y, 0), size), elements(cnp.PyArray_STRIDE(y, 1), size)
    g.yh, g.yw = elements(cnp.PyArray_STRIDE(y, 2), size), elements(cnp.PyArray_STRIDE(y, 3), size)
    return g


cdef bint channels_are_lanes(cnp.ndarray x) noexcept:
    return cnp.PyArray_STRIDE(x, 1) == cnp.PyArray_ITEMSIZE(x) and cnp.PyArray_STRIDE(x, 3) != cnp.PyArray_ITEMSIZE(x)


def channels_in_lanes(cnp.ndarray x):
    """Whether the channels of an (N, C, H, W) view are neighbours in memory and its columns are not."""
    return channels_are_lanes(x)


cdef cnp.ndarray result(Py_ssize_t n, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow, bint channels_last, int typenum):
    """An (N, C, OH, OW) view whose memory has the channels last, or in their place."""
    cdef cnp.npy_intp[4] sizes
    sizes[0] = n
    if channels_last:
        sizes[1], sizes[2], sizes[3] = oh, ow, c
        return new_array(4, sizes, typenum).transpose(0, 3, 1, 2)
    sizes[1], sizes[2], sizes[3] = c, oh, ow
    return new_array(4, sizes, typenum)


def pool(cnp.ndarray x, windows, bint average, bint with_indices):
    """Pools an (N, C, H, W) view with any strides -> (y, indices or None), (N, C, OH, OW) views, contiguous in the order of
    axes that x has: NHWC where channels_in_lanes(x), else NCHW."""
    cdef Tables tables = _tables(windows)
    cdef bint channels = channels_are_lanes(x)
    cdef Method method = CHANNELS if channels else tables.method
    cdef Py_ssize_t n = cnp.PyArray_DIM(x, 0), c = cnp.PyArray_DIM(x, 1), oh = tables.rows.outputs, ow = tables.cols.outputs
    cdef cnp.ndarray y = result(n, c, oh, ow, channels, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray indices = result(n, c, oh, ow, channels, cnp.NPY_INT64) if with_indices else None
    cdef int64_t *index = <int64_t *>cnp.PyArray_DATA(indices) if with_indices else NULL
    if n == 0:
        return y, indices
    if method in (PAIRS, RUNS) and cnp.PyArray_STRIDE(x, 3) != cnp.PyArray_ITEMSIZE(x) and cnp.PyArray_DIM(x, 3) > 1:
        x = np.ascontiguousarray(x)
    cdef Shape g = shape_by(x, y, tables)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        run(&g, <const float *>cnp.PyArray_DATA(x), <float *>cnp.PyArray_DATA(y), index, <const float *>tables.row_counts,
            <const float *>tables.col_counts, method, average)
    else:
        run(&g, <const double *>cnp.PyArray_DATA(x), <double *>cnp.PyArray_DATA(y), index, <const double *>tables.row_counts,
            <const double *>tables.col_counts, method, average)
    return y, indices


cdef run(const Shape *g, const floating *x, floating *y, int64_t *index, const floating *row_counts, const floating *col_counts,
         Method method, bint average):
    cdef Cut cut = cut_of(g, method, average, sizeof(floating))
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef Block scratch = take(threads * cut.scratch_bytes) if cut.scratch_bytes else None
    cdef char *data = scratch.data if scratch is not None else NULL
    cdef Py_ssize_t unit
    if threads == 1:
        with nogil:
            for unit in range(cut.units):
                pool_unit(g, &cut, x, y, index, row_counts, col_counts, unit, data)
        return
    for unit in prange(cut.units, nogil=True, num_threads=threads, schedule="static"):
        pool_unit(g, &cut, x, y, index, row_counts, col_counts, unit, data + threadid() * cut.scratch_bytes)


cdef Cut cut_of(const Shape *g, Method method, bint average, Py_ssize_t size) noexcept:
    """size is that of an element."""
    cdef Cut cut
    cdef Band band
    cut.method, cut.average = method, average
    cut.taps_bytes = cut.buffer = cut.scratch_bytes = 0
    cut.rows, cut.planes = g.rows.outputs, 1
    if method == CHANNELS:
        cut.rows, cut.planes = 1, g.c
    elif method == PAIRS:
        cut.rows = min(g.rows.outputs, max(1, PIXELS // (2 * g.cols.size)))
        cut.planes = min(g.c, max(1, PIXELS // (g.rows.size * g.cols.size)))
    elif method == BAND:
        band = band_of(g, 0, cut.rows)
        while cut.rows > 1 and band.channel_pitch > BAND_ELEMENTS:
            cut.rows = (cut.rows + 1) // 2
            band = band_of(g, 0, cut.rows)
        if cut.rows == g.rows.outputs:
            cut.planes = min(g.c, max(1, BAND_ELEMENTS // band.channel_pitch))
        cut.taps_bytes = (g.rows.kernel_size * g.cols.kernel_size + g.rows.kernel_size) * 8 // 64 * 64 + 64
        cut.buffer = cut.planes * band.channel_pitch + band.cols.taps * band.cols.length + SLACK
        cut.buffer = (cut.buffer * size // 64 * 64 + 64) // size
        cut.scratch_bytes = cut.taps_bytes + 3 * cut.buffer * size
    cut.blocks = (g.rows.outputs + cut.rows - 1) // cut.rows
    cut.groups = (g.c + cut.planes - 1) // cut.planes
    cut.units = g.n * cut.groups * cut.blocks
    return cut


cdef void pool_unit(const Shape *g, const Cut *cut, const floating *x, floating *y, int64_t *index, const floating *row_counts,
                    const floating *col_counts, Py_ssize_t unit, char *scratch) noexcept nogil:
    """One image, block of channels and block of rows of outputs."""
    cdef Py_ssize_t n = unit // cut.blocks // cut.groups, c = unit // cut.blocks % cut.groups * cut.planes
    cdef Py_ssize_t i = unit % cut.blocks * cut.rows, planes = min(cut.planes, g.c - c), rows = min(cut.rows, g.rows.outputs - i)
    x += n * g.xn + c * g.xc
    y += n * g.yn + c * g.yc
    if index != NULL:
        index += n * g.yn + c * g.yc
    if cut.method == CHANNELS:
        channels_row(g, x, y, index, row_counts, col_counts, cut.average, i)
    elif cut.method == PAIRS:
        block_2x2(g, x, y, index, cut.average, planes, i, rows)
    elif cut.method == BAND:
        block_band(g, x, y, index, row_counts, col_counts, cut.average, planes, i, rows, <Py_ssize_t *>scratch,
                   <floating *>(scratch + cut.taps_bytes), cut.buffer)
    else:
        plane_runs(g, x, y, index, row_counts, col_counts, cut.average)


# ---------------------------------------------------------------------------------------------------------------------
# Channels in the lanes


cdef void channels_row(const Shape *g, const floating *x, floating *y, int64_t *index, const floating *row_counts,
                       const floating *col_counts, bint average, Py_ssize_t i) noexcept nogil:
    """One row of outputs of an image."""
    cdef Py_ssize_t j, h = g.rows.first[i], w, at
    cdef Py_ssize_t row = g.rows.dilation * g.xh, column = g.cols.dilation * g.xw
    cdef int rows = <int>g.rows.taps[i]
    for j in range(g.cols.outputs):
        w = g.cols.first[j]
        at = i * g.yh + j * g.yw
        if average:
            mean_channels(x + h * g.xh + w * g.xw, row, column, rows, <int>g.cols.taps[j], row_counts[i] * col_counts[j], y + at,
                          g.c)
        else:
            max_channels(x + h * g.xh + w * g.xw, row, column, rows, <int>g.cols.taps[j], g.rows.dilation * g.cols.size,
                         g.cols.dilation, y + at, index + at if index != NULL else index, h * g.cols.size + w, g.c)


# ---------------------------------------------------------------------------------------------------------------------
# 2 x 2 windows with step 2, all inside the image


cdef void block_2x2(const Shape *g, const floating *x, floating *y, int64_t *index, bint average, Py_ssize_t planes,
                    Py_ssize_t i0, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t c, i, at
    for c in range(planes):
        for i in range(i0, i0 + rows):
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
