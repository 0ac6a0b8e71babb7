"""Gradients of max and average pooling: the loops around pool.h. The forward loops are in forward.pyx.

    max, windows "2x2" in NCHW: parallel for image, channel: for row of outputs: the pixels whose position is the index
    get the
        gradient, the others 0; two rows are written as a whole, nothing is scattered
    max, otherwise:    parallel for image, block of channels: zeros, then grad_x[index] += grad
    average, "2x2":    as the maximum
    average, "band":   parallel for image, channel, block of rows:
                           for row of outputs: spread its gradients to where their windows start, with zeros between;
                               across: sums of S neighbours -> a buffer of rows (L1, L2)
                           down: for row of grad_x: the sum of the buffered rows whose windows cover it
    average, "runs":   parallel for image, channel: zeros, then each window += its gradient
    average, NHWC:     parallel for image, block of channels: the same for vectors of channels

Where a pixel belongs to many windows, a running sum in single precision would not be right to 1e-6. Then, but for
"band", whose sums are those of reduce.h:

    max:               parallel for image, channel: for block of pixels: all gradients that belong there += in double
    average:           parallel for image, block of channels, block of pixels: all windows that reach it += in double

Units of work share no pixel of grad_x, so nothing is added across threads.
"""

import numpy as np

from cython cimport floating
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastconv._core.runtime.isa cimport (
    max_2x2_backward, mean_2x2_backward, mean_down, scatter, spread_channels, spread_row, sum_across,
)
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.pooling.forward cimport PoolProblem, pool_problem
from fastconv._core.runtime.kernels cimport FC_MAX_LANES
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, mark, team
from fastconv._core.pooling.windows cimport PAIRS, RUNS, PoolAxis, Span, Windows, first_reaching, overlap, span

from fastconv._core.runtime.memory import empty

cdef enum:
    CHANNELS = 64            # of a unit of work in NHWC: a few cache lines of each pixel
    BUFFER = 8192            # elements of rows of sums; more only where one row of grad_x needs more
    COLUMNS = 4096           # of grad_x in such a row; more only where windows are about as wide
    MOST_BUFFER = 1 << 20    # elements of rows of sums, of whatever windows
    SUMS = 1 << 16           # of a block of pixels, added up in double
    SCATTERED = 1 << 20      # pixels of a block, to each of which any gradient may belong
    RUNNING = 49             # terms of a sum in single precision that are added as they come: it loses at most 8e-7
    SLACK = 2 * FC_MAX_LANES # elements behind a buffer that whole vectors may touch

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


# What the units of a maximum's gradient share: x is grad_x, y the gradient, whose indices have strides of their own.
cdef struct MaxGradient:
    PoolProblem g
    Py_ssize_t index_n, index_channel, index_row, index_col
    Py_ssize_t channels, groups    # of a unit; so many units are an image
    Py_ssize_t sums                # pixels of a block of a plane, whose pixels may get many gradients; else 0
    bint pairs
    int wrong                      # whether an index was outside its plane


cdef bint run_max(const floating[:, :, :, :] grad, const int64_t[:, :, :, :] indices, floating[:, :, :, :] grad_x,
                  Windows windows, bint channels_last) except -1:
    cdef MaxGradient call
    cdef PoolProblem *g = &call.g
    call.g = pool_problem(grad_x.base, grad.base, windows)
    g.x, g.y, g.index = &grad_x[0, 0, 0, 0], <void *>&grad[0, 0, 0, 0], <int64_t *>&indices[0, 0, 0, 0]
    cdef bint many = sizeof(floating) == sizeof(float) and overlap(&g.rows) * overlap(&g.cols) > RUNNING
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    call.index_n, call.index_channel = indices.strides[0] // 8, indices.strides[1] // 8
    call.index_row, call.index_col = indices.strides[2] // 8, indices.strides[3] // 8
    call.channels = min(CHANNELS, g.c) if channels_last and not many else 1
    call.groups = (g.c + call.channels - 1) // call.channels
    call.sums = min(g.rows.size * g.cols.size, SCATTERED) if many else 0
    call.pairs = windows.method == PAIRS and not channels_last and g.yw == 1 and call.index_col == 1
    call.wrong = 0
    cdef Block scratch = take(threads * call.sums * sizeof(double)) if many else None
    cdef floating *data = <floating *>scratch.data if many else <floating *>g.x
    with nogil:
        in_parallel(max_unit[floating], &call, g.n * call.groups, threads, EVENLY, data,
                    call.sums * <Py_ssize_t>(sizeof(double) // sizeof(floating)))
    return call.wrong == 0


cdef void max_unit(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    """Neighbouring channels of an image."""
    cdef MaxGradient *call = <MaxGradient *>data
    cdef const PoolProblem *g = &call.g
    cdef Py_ssize_t n = unit // call.groups, c = unit % call.groups * call.channels
    cdef const floating *grad = <const floating *>g.y + n * g.yn + c * g.yc
    cdef const int64_t *indices = g.index + n * call.index_n + c * call.index_channel
    cdef floating *grad_x = <floating *>g.x + n * g.xn + c * g.xc
    cdef bint right
    if call.sums:
        right = scatter_many(call, grad, indices, grad_x, <double *>scratch)
    elif call.pairs and plane_max_2x2(g, grad, indices, call.index_row, grad_x):
        right = True
    else:
        right = scatter_unit(call, grad, indices, grad_x, min(call.channels, g.c - c))
    if not right:
        mark(&call.wrong)


cdef bint plane_max_2x2(const PoolProblem *g, const floating *grad, const int64_t *indices, Py_ssize_t index_row,
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


cdef void clear_pixels(const PoolProblem *g, floating *grad_x, Py_ssize_t channels) noexcept nogil:
    """Zeros in so many neighbouring channels of an image; grad_x is the first of them."""
    cdef Py_ssize_t pixel, pixels = g.rows.size * g.cols.size
    if g.xw == 1 or channels == g.xw:
        memset(grad_x, 0, pixels * channels * sizeof(floating))
        return
    for pixel in range(pixels):
        memset(grad_x + pixel * g.xw, 0, channels * sizeof(floating))


cdef bint scatter_unit(const MaxGradient *call, const floating *grad, const int64_t *indices, floating *grad_x,
                       Py_ssize_t channels) noexcept nogil:
    """Neighbouring channels of an image; False where an index is outside the plane."""
    cdef const PoolProblem *g = &call.g
    cdef Py_ssize_t i, j, n = g.cols.outputs, rows = g.rows.outputs
    cdef const floating *grad_row
    cdef const int64_t *index_row
    clear_pixels(g, grad_x, channels)
    if g.yh == n * g.yw and call.index_row == n * call.index_col:    # rows without gaps: the plane is one row
        n = n * rows
        rows = 1
    for i in range(rows):
        grad_row = grad + i * g.yh
        index_row = indices + i * call.index_row
        if channels == 1:
            if not scatter(grad_row, g.yw, index_row, call.index_col, n, grad_x, g.xw, g.rows.size * g.cols.size):
                return False
            continue
        for j in range(n):
            if not scatter_channels(grad_row + j * g.yw, g.yc, index_row + j * call.index_col, call.index_channel,
                                    channels, grad_x, g.xw, g.rows.size * g.cols.size):
                return False
    return True


cdef inline bint scatter_channels(const floating *grad, Py_ssize_t grad_step, const int64_t *index,
                                  Py_ssize_t index_step, Py_ssize_t channels, floating *grad_x, Py_ssize_t pixel,
                                  size_t pixels) noexcept nogil:
    """One output of neighbouring channels."""
    cdef Py_ssize_t c
    cdef size_t at
    for c in range(channels):
        at = <size_t>index[c * index_step]
        if at >= pixels:
            return False
        grad_x[at * pixel + c] += grad[c * grad_step]
    return True


cdef bint scatter_many(const MaxGradient *call, const floating *grad, const int64_t *indices, floating *grad_x,
                       double *sums) noexcept nogil:
    """One plane, each of whose pixels may get many gradients; False where an index is outside the plane."""
    cdef const PoolProblem *g = &call.g
    cdef Py_ssize_t i, j, first = 0, count, pixels = g.rows.size * g.cols.size
    cdef size_t at
    while first < pixels:
        count = min(SCATTERED, pixels - first)
        memset(sums, 0, count * sizeof(double))
        for i in range(g.rows.outputs):
            for j in range(g.cols.outputs):
                at = <size_t>indices[i * call.index_row + j * call.index_col]
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
    """grad_x of an (N, C, H, W) shape, its memory in NCHW or NHWC order; grad is an (N, C, OH, OW) view with any
    strides."""
    grad_x = _empty_gradient(shape, grad.dtype, channels_last)
    if grad_x.size == 0:
        return grad_x
    if grad.dtype == np.float32:
        run_average[float](grad, grad_x, windows, channels_last)
    else:
        run_average[double](grad, grad_x, windows, channels_last)
    return grad_x


# How "band" cuts a plane of grad_x into blocks of rows and columns, and what a thread needs for one, in elements:
# tables, of `spread_at`, a row spread out and its counts, of `spread` each, and rows of sums.
cdef struct AverageLayout:
    Py_ssize_t rows, row_blocks, cols, col_blocks
    Py_ssize_t covering, spread, pitch    # rows of outputs of a block, at most; of one row spread out; of its sums
    Py_ssize_t spread_at, scratch_size

# How grad_x is cut into blocks of pixels and of channels, where sums are in double.
cdef struct AverageBlocks:
    Py_ssize_t rows, row_blocks, cols, col_blocks, channels, groups

# What the units of an average's gradient share: x is grad_x, y the gradient.
cdef struct AverageGradient:
    PoolProblem g
    AverageLayout l
    AverageBlocks b


cdef run_average(const floating[:, :, :, :] grad, floating[:, :, :, :] grad_x, Windows windows, bint channels_last):
    cdef AverageGradient call
    cdef PoolProblem *g = &call.g
    call.g = pool_problem(grad_x.base, grad.base, windows)
    cdef floating *target = &grad_x[0, 0, 0, 0]
    g.x, g.y = target, <void *>&grad[0, 0, 0, 0]
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef bint few = sizeof(floating) == sizeof(double) or overlap(&g.rows) * overlap(&g.cols) <= RUNNING
    cdef Block scratch
    call.l = lay_out_rows(g, sizeof(floating))
    if windows.method == PAIRS and not channels_last and g.yw == 1:
        with nogil:
            in_parallel(plane_average_2x2[floating], &call, g.n * g.c, threads, EVENLY, target, 0)
    elif windows.method != RUNS and not channels_last and call.l.covering * call.l.pitch <= MOST_BUFFER:
        scratch = take(threads * call.l.scratch_size * sizeof(floating))
        with nogil:
            in_parallel(block_average_rows[floating], &call, g.n * g.c * call.l.row_blocks * call.l.col_blocks, threads,
                        EVENLY, <floating *>scratch.data, call.l.scratch_size)
    elif not few:
        call.b = blocks_of(g)
        scratch = take(threads * (SUMS + CHANNELS) * sizeof(double))
        with nogil:
            in_parallel(block_average[floating], &call, g.n * call.b.groups * call.b.row_blocks * call.b.col_blocks,
                        threads, EVENLY, <floating *>scratch.data,
                        (SUMS + CHANNELS) * <Py_ssize_t>(sizeof(double) // sizeof(floating)))
    elif channels_last:
        with nogil:
            in_parallel(spread_windows[floating], &call, g.n * ((g.c + CHANNELS - 1) // CHANNELS), threads, EVENLY,
                        target, 0)
    else:
        with nogil:
            in_parallel(plane_average_runs[floating], &call, g.n * g.c, threads, EVENLY, target, 0)


cdef void spread_windows(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    """Neighbouring channels of an image."""
    cdef const PoolProblem *g = &(<const AverageGradient *>data).g
    cdef Py_ssize_t groups = (g.c + CHANNELS - 1) // CHANNELS, n = unit // groups, first = unit % groups * CHANNELS
    cdef Py_ssize_t channels = min(CHANNELS, g.c - first), i, j, c
    cdef const floating *grad = <const floating *>g.y + n * g.yn + first * g.yc
    cdef floating *grad_x = <floating *>g.x + n * g.xn + first * g.xc
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
            spread_channels(output, <floating>rows.count * <floating>cols.count,
                            grad_x + rows.first * g.xh + cols.first * g.xw, g.xh, g.xw, rows.taps, cols.taps, channels)


cdef inline const floating *plane_gradient(const PoolProblem *g, Py_ssize_t plane,
                                           const floating *unused) noexcept nogil:
    """Where the gradient of a plane, counted over all images, begins."""
    return <const floating *>g.y + plane // g.c * g.yn + plane % g.c * g.yc


cdef void plane_average_2x2(const void *data, Py_ssize_t plane, floating *unused) noexcept nogil:
    cdef const PoolProblem *g = &(<const AverageGradient *>data).g
    cdef const floating *grad = plane_gradient(g, plane, unused)
    cdef floating *grad_x = <floating *>g.x + plane * g.xc
    cdef Py_ssize_t i, w = g.cols.size
    for i in range(g.rows.outputs):
        mean_2x2_backward(grad + i * g.yh, grad_x + 2 * i * w, w, g.cols.outputs)
    clear_rest(grad_x, g.rows.size, w, 2 * g.rows.outputs, 2 * g.cols.outputs)


cdef void plane_average_runs(const void *data, Py_ssize_t plane, floating *unused) noexcept nogil:
    cdef const PoolProblem *g = &(<const AverageGradient *>data).g
    cdef const floating *grad = plane_gradient(g, plane, unused)
    cdef floating *grad_x = <floating *>g.x + plane * g.xc
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


cdef AverageLayout lay_out_rows(const PoolProblem *g, Py_ssize_t size) noexcept:
    """size is that of an element."""
    cdef AverageLayout l
    cdef Py_ssize_t kernel_h = g.rows.kernel_size, kernel_w = g.cols.kernel_size
    l.cols = min(g.cols.size, max(COLUMNS, 4 * kernel_w))
    while True:
        l.pitch = (l.cols + 15) // 16 * 16 + 16
        l.rows = max(1, min(g.rows.size, (BUFFER // l.pitch - kernel_h) * g.rows.stride))
        l.covering = min(g.rows.outputs, (l.rows + kernel_h) // max(1, g.rows.stride) + 2)
        if l.covering * l.pitch <= MOST_BUFFER or l.cols == 1:
            break
        l.cols = (l.cols + 1) // 2
    l.spread = (l.cols + 2 * kernel_w + SLACK + 15) // 16 * 16
    l.spread_at = ((l.covering + kernel_w) * <Py_ssize_t>sizeof(Py_ssize_t) + 63) // 64 * 64 // size
    l.scratch_size = l.spread_at + (((2 * l.spread + l.covering * l.pitch) * size + 63) // 64 * 64 + 64) // size
    l.row_blocks = (g.rows.size + l.rows - 1) // l.rows
    l.col_blocks = (g.cols.size + l.cols - 1) // l.cols
    return l


cdef void block_average_rows(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    """A block of one plane of grad_x."""
    cdef const PoolProblem *g = &(<const AverageGradient *>data).g
    cdef const AverageLayout *l = &(<const AverageGradient *>data).l
    cdef Py_ssize_t block = unit // l.col_blocks, plane = block // l.row_blocks
    cdef Py_ssize_t h0 = block % l.row_blocks * l.rows, w0 = unit % l.col_blocks * l.cols
    cdef Py_ssize_t h, i, j, t, lo, hi, columns = g.cols.kernel_size
    cdef Py_ssize_t h1 = min(h0 + l.rows, g.rows.size), width = min(l.cols, g.cols.size - w0)
    cdef const floating *grad = plane_gradient(g, plane, scratch)
    cdef floating *grad_x = <floating *>g.x + plane * g.xc
    cdef Py_ssize_t *taps = <Py_ssize_t *>scratch
    cdef Py_ssize_t *rows = taps + columns
    cdef floating *spread = scratch + l.spread_at
    cdef floating *counts = spread + l.spread
    cdef floating *sums = counts + l.spread
    cdef Py_ssize_t first = first_covering(&g.rows, h0), until = last_covering(&g.rows, h1 - 1) + 1
    cdef Py_ssize_t left = first_covering(&g.cols, w0), right = last_covering(&g.cols, w0 + width - 1) + 1
    # An output's gradient goes to where its window ends in the block: sums of `columns` elements from there on are
    # grad_x's.
    cdef floating *begin = spread + g.cols.start + left * g.cols.stride - w0 + columns - 1
    for t in range(columns):
        taps[t] = t
    for j in range(left, right):
        counts[j - left] = <floating>span(&g.cols, j).count
    memset(spread, 0, l.spread * sizeof(floating))
    for i in range(first, until):
        spread_row(grad + i * g.yh + left * g.yw, g.yw, <floating>span(&g.rows, i).count, counts, begin, g.cols.stride,
                   right - left)
        sum_across(spread, taps, <int>columns, sums + (i - first) * l.pitch, width)
    for h in range(h0, h1):
        lo = first_covering(&g.rows, h)
        hi = last_covering(&g.rows, h) + 1
        for i in range(lo, hi):
            rows[i - lo] = (i - first) * l.pitch
        mean_down(sums, rows, <int>max(0, hi - lo), 1, <const floating *>NULL, grad_x + h * g.cols.size + w0, width)


cdef inline Py_ssize_t first_covering(const PoolAxis *a, Py_ssize_t position) noexcept nogil:
    """The first output whose window reaches a pixel, by its size alone."""
    cdef Py_ssize_t beyond = position - a.start - a.kernel_size + 1
    return 0 if beyond <= 0 else (beyond + a.stride - 1) // a.stride


cdef inline Py_ssize_t last_covering(const PoolAxis *a, Py_ssize_t position) noexcept nogil:
    return min(a.outputs - 1, (position - a.start) // a.stride)


# ---------------------------------------------------------------------------------------------------------------------
# Averages with many windows over a pixel, window by window


cdef AverageBlocks blocks_of(const PoolProblem *g) noexcept:
    cdef AverageBlocks b
    b.channels = min(g.c, CHANNELS) if g.xw != 1 else 1
    b.cols = min(g.cols.size, SUMS // (8 * b.channels))
    b.rows = min(g.rows.size, SUMS // (b.cols * b.channels))
    b.groups = (g.c + b.channels - 1) // b.channels
    b.row_blocks = (g.rows.size + b.rows - 1) // b.rows
    b.col_blocks = (g.cols.size + b.cols - 1) // b.cols
    return b


cdef void block_average(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    """The scratch, in double: one output's channels, then the sums of the block's pixels."""
    cdef const PoolProblem *g = &(<const AverageGradient *>data).g
    cdef const AverageBlocks *b = &(<const AverageGradient *>data).b
    cdef double *share = <double *>scratch
    cdef double *sums = share + CHANNELS
    cdef Py_ssize_t block = unit // b.col_blocks, group = block // b.row_blocks
    cdef Py_ssize_t n = group // b.groups, first = group % b.groups * b.channels
    cdef Py_ssize_t channels = min(b.channels, g.c - first)
    cdef Py_ssize_t h0 = block % b.row_blocks * b.rows, h1 = min(h0 + b.rows, g.rows.size)
    cdef Py_ssize_t w0 = unit % b.col_blocks * b.cols, w1 = min(w0 + b.cols, g.cols.size), row = (w1 - w0) * channels
    cdef Py_ssize_t i, j, c, h, w, top, left, reached = first_reaching(&g.cols, w0)
    cdef Span rows, cols
    cdef const floating *grad = <const floating *>g.y + n * g.yn + first * g.yc
    cdef floating *grad_x = <floating *>g.x + n * g.xn + first * g.xc
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
            add_share(share, sums + (top - h0) * row + (left - w0) * channels, row,
                      min(rows.first + rows.taps, h1) - top, min(cols.first + cols.taps, w1) - left, channels)
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
