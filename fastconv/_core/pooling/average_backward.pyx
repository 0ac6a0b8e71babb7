"""The gradient of average pooling.

    windows "2x2" in NCHW: parallel for image, channel: for row of outputs: each gradient to its four pixels
    side by side in NCHW:  parallel for image, channel: for output: its share to the pixels of its window
    "band", stride 1:      sums over windows of the shares, as forward (banded.pyx)
    "band" in NCHW:        parallel for image, channel, block of rows:
                               for row of outputs: spread its gradients to where their windows start, zeros between;
                                   across: sums of S neighbours -> a buffer of rows (L1, L2)
                               down: for row of grad_x: the sum of the buffered rows whose windows cover it
    "runs" in NCHW:        parallel for image, channel: zeros, then each window += its gradient
    NHWC:                  parallel for image, block of channels: the same for vectors of channels; where windows share
                           no pixel, they are written and nothing is added

Where a pixel belongs to many windows, a running sum in single precision would not be right to 1e-6. Then, but for
"band", whose sums are those of reduce.h:

    parallel for image, block of channels, block of pixels: all windows that reach it += in double

Units of work share no pixel of grad_x, so nothing is added across threads.
"""

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memset

from fastconv._core.runtime.isa cimport mean_2x2_backward, mean_down, spread_channels, spread_row, sum_across
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, fc_window
from fastconv._core.problem.problem cimport ceildiv
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team
from fastconv._core.pooling.banded cimport BandLayout, lay_out_band, pool_from_bands
from fastconv._core.pooling.problem cimport (
    CHANNELS, PoolProblem, channels_of_unit, clear_rest, clear_rows, pool_problem, set_steps,
)
from fastconv._core.pooling.windows cimport (
    BAND, PAIRS, RUNS, PoolAxis, Span, Windows, covered, first_reaching, overlap, overlapping, side_by_side, span,
)

cnp.import_array()

cdef enum:
    BUFFER = 8192            # elements of rows of sums; more only where one row of grad_x needs more
    COLUMNS = 4096           # of grad_x in such a row; more only where windows are about as wide
    MOST_BUFFER = 1 << 20    # elements of rows of sums, of whatever windows
    SUMS = 1 << 16           # of a block of pixels, added up in double
    CLEARED = 1 << 20        # bytes of pixels that are cleared at once: about L2
    THIN = 8                 # channels up to which a pixel of its own wastes most of a vector
    RUNNING = 49             # terms of a sum in single precision that are added as they come: it loses at most 8e-7
    SLACK = 2 * FC_MAX_LANES    # elements behind a buffer that whole vectors may touch

# About the nanoseconds of an element of grad_x, for the thread policy.
cdef double COST = 0.6


def average_backward(cnp.ndarray grad, cnp.ndarray grad_x, Windows windows, bint channels_last):
    """Fills grad_x, an (N, C, H, W) view of planes (with channels_last of images) without gaps; grad is an
    (N, C, OH, OW) view with any strides."""
    spread(grad, grad_x, windows, channels_last)


cdef spread(cnp.ndarray grad, cnp.ndarray grad_x, Windows windows, bint channels_last):
    """`average_backward`, for other Cython modules."""
    if cnp.PyArray_SIZE(grad_x) == 0:
        return
    channels_last = channels_last and cnp.PyArray_DIM(grad_x, 1) != 1    # one channel is a plane in either order
    if cnp.PyArray_TYPE(grad) == cnp.NPY_FLOAT:
        run_average[float](grad, grad_x, windows, channels_last, NULL)
    else:
        run_average[double](grad, grad_x, windows, channels_last, NULL)


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
    Py_ssize_t channels, groups    # of a unit in NHWC; so many units are an image
    AverageLayout l
    AverageBlocks b


cdef run_average(cnp.ndarray grad, cnp.ndarray grad_x, Windows windows, bint channels_last, const floating *unused):
    cdef AverageGradient call
    cdef PoolProblem *g = &call.g
    call.g = pool_problem(grad_x, grad, windows)
    set_steps(g, channels_last)
    cdef floating *target = <floating *>g.x
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef bint few = sizeof(floating) == sizeof(double) or overlap(&g.rows) * overlap(&g.cols) <= RUNNING
    cdef bint dilated = g.rows.dilation != 1 or g.cols.dilation != 1
    cdef Block scratch
    cdef PoolProblem shares
    cdef BandLayout bands
    if (windows.method == BAND and g.rows.stride == g.cols.stride == 1
            and (not channels_last or g.yc == 1 and (g.c <= THIN or overlapping(&g.rows, &g.cols)))):
        shares = sharing(g)
        bands.average, bands.lanes = True, channels_last
        bands.shares = NULL if even(&g.rows) and even(&g.cols) else g
        if lay_out_band(&shares, &bands, sizeof(floating)):
            pool_from_bands(&shares, &bands, target)
            return
    call.l = lay_out_rows(g, sizeof(floating))
    if windows.method == PAIRS and not channels_last and g.yw == 1:
        with nogil:
            in_parallel(plane_average_2x2[floating], &call, g.n * g.c, threads, EVENLY, target, 0)
    elif not channels_last and side_by_side(&g.rows) and side_by_side(&g.cols):
        with nogil:
            in_parallel(plane_side_by_side[floating], &call, g.n * g.c, threads, EVENLY, target, 0)
    elif windows.method != RUNS and not (channels_last or dilated) and call.l.covering * call.l.pitch <= MOST_BUFFER:
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
        call.channels = channels_of_unit(g, threads) if g.yc == 1 else min(CHANNELS, g.c)
        call.groups = ceildiv(g.c, call.channels)
        with nogil:
            in_parallel(spread_windows[floating], &call, g.n * call.groups, threads, EVENLY, target, 0)
    else:
        with nogil:
            in_parallel(plane_average_runs[floating], &call, g.n * g.c, threads, EVENLY, target, 0)


cdef PoolProblem sharing(const PoolProblem *g) noexcept:
    """The sums that make the gradient of an average with stride 1: a pixel is in the windows of so many outputs that
    follow each other. Where each output shares out evenly over a whole window, sums are divided by that, as forward;
    else the shares themselves are added."""
    cdef PoolProblem s = g[0]
    s.x, s.y, s.index = g.y, g.x, NULL
    s.xn, s.xc, s.xh, s.xw = g.yn, g.yc, g.yh, g.yw
    s.yn, s.yc, s.yh, s.yw = g.xn, g.xc, g.xh, g.xw
    s.rows, s.cols = meeting(&g.rows), meeting(&g.cols)
    return s


cdef PoolAxis meeting(const PoolAxis *a) noexcept:
    cdef PoolAxis b = a[0]
    b.size, b.outputs, b.start = a.outputs, a.size, -a.start - (a.kernel_size - 1) * a.dilation
    b.end = b.size + a.size + 2 * a.kernel_size * a.dilation    # each window counts whole
    b.divisor = 0
    return b


cdef bint even(const PoolAxis *a) noexcept:
    """Whether all outputs count as much as a window holds."""
    return span(a, 0).count == span(a, a.outputs - 1).count == a.kernel_size


cdef void spread_windows(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    """Neighbouring channels of an image. Where pixels must be cleared and are too many for the cache, a row of them is
    when a window first reaches it."""
    cdef const AverageGradient *call = <const AverageGradient *>data
    cdef const PoolProblem *g = &call.g
    cdef Py_ssize_t n = unit // call.groups, first = unit % call.groups * call.channels
    cdef Py_ssize_t channels = min(call.channels, g.c - first), i, j, c, cleared = 0, reached
    cdef const floating *grad = <const floating *>g.y + n * g.yn + first * g.yc
    cdef floating *grad_x = <floating *>g.x + n * g.xn + first * g.xc
    cdef bint add = overlap(&g.rows) > 1 or overlap(&g.cols) > 1
    cdef bint written = not add and covered(&g.rows) and covered(&g.cols)
    cdef Span rows, cols
    cdef fc_window window
    cdef const floating *output
    cdef floating *window_x
    cdef floating near[CHANNELS]
    window.row, window.column = g.rows.dilation * g.xh, g.cols.dilation * g.xw
    if not written and g.rows.size * g.cols.size * channels * <Py_ssize_t>sizeof(floating) <= CLEARED:
        cleared = g.rows.size
        clear_rows(g, grad_x, channels, 0, cleared)
    for i in range(g.rows.outputs):
        rows = span(&g.rows, i)
        reached = rows.first + (rows.taps - 1) * g.rows.dilation + 1
        if not written and reached > cleared:
            clear_rows(g, grad_x, channels, cleared, reached)
            cleared = reached
        for j in range(g.cols.outputs):
            cols = span(&g.cols, j)
            output = grad + i * g.yh + j * g.yw
            if g.yc != 1:
                for c in range(channels):
                    near[c] = output[c * g.yc]
                output = near
            window.count = <double>rows.count * <double>cols.count
            window_x = grad_x + rows.first * g.xh + cols.first * g.xw
            if add and channels == 3:    # a constant, without which it takes twice as long
                add_thin(&window, output, window_x, rows.taps, cols.taps, 3)
            elif add and channels < THIN:
                add_thin(&window, output, window_x, rows.taps, cols.taps, channels)
            else:
                spread_channels(&window, output, window_x, rows.taps, cols.taps, add, channels)
    if not written:
        clear_rows(g, grad_x, channels, cleared, g.rows.size)


cdef inline void add_thin(const fc_window *window, const floating *grad, floating *grad_x, Py_ssize_t rows,
                          Py_ssize_t cols, Py_ssize_t channels) noexcept nogil:
    """One output of less than THIN channels. Vectors of them would overlap, and be read before they are written."""
    cdef Py_ssize_t h, w, c
    cdef floating shares[THIN]
    cdef floating *pixel
    for c in range(channels):
        shares[c] = grad[c] / <floating>window.count
    for h in range(rows):
        for w in range(cols):
            pixel = grad_x + h * window.row + w * window.column
            for c in range(channels):
                pixel[c] += shares[c]


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


cdef void plane_side_by_side(const void *data, Py_ssize_t plane, floating *unused) noexcept nogil:
    """Each pixel is written once; widths that are constants make vectors of the pixels of a row of a window."""
    cdef const PoolProblem *g = &(<const AverageGradient *>data).g
    cdef const floating *grad = plane_gradient(g, plane, unused)
    cdef floating *grad_x = <floating *>g.x + plane * g.xc
    if g.cols.kernel_size == 2:
        write_shares(g, grad, grad_x, 2)
    elif g.cols.kernel_size == 3:
        write_shares(g, grad, grad_x, 3)
    elif g.cols.kernel_size == 4:
        write_shares(g, grad, grad_x, 4)
    else:
        write_shares(g, grad, grad_x, g.cols.kernel_size)
    clear_rest(grad_x, g.rows.size, g.cols.size, g.rows.kernel_size * g.rows.outputs,
               g.cols.kernel_size * g.cols.outputs)


cdef inline void write_shares(const PoolProblem *g, const floating *grad, floating *grad_x,
                              Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t i, j, h, w
    cdef floating count = <floating>span(&g.rows, 0).count * <floating>span(&g.cols, 0).count, share
    cdef floating *row
    for i in range(g.rows.outputs):
        for j in range(g.cols.outputs):
            share = grad[i * g.yh + j * g.yw] / count
            for h in range(g.rows.kernel_size):
                row = grad_x + (i * g.rows.kernel_size + h) * g.cols.size + j * width
                for w in range(width):
                    row[w] = share


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
            for h in range(rows.taps):
                row = grad_x + (rows.first + h * g.rows.dilation) * g.cols.size + cols.first
                if g.cols.dilation == 1:
                    for w in range(cols.taps):
                        row[w] += share
                else:
                    for w in range(cols.taps):
                        row[w * g.cols.dilation] += share


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
    cdef Py_ssize_t i, j, c, h, w, top, left, reached = first_of(&g.cols, w0)
    cdef Span rows, cols
    cdef fc_window inside
    cdef const floating *grad = <const floating *>g.y + n * g.yn + first * g.yc
    cdef floating *grad_x = <floating *>g.x + n * g.xn + first * g.xc
    inside.row, inside.column, inside.count = g.rows.dilation * row, g.cols.dilation * channels, 1
    memset(sums, 0, (h1 - h0) * row * sizeof(double))
    for i in range(first_of(&g.rows, h0), g.rows.outputs):
        rows = span(&g.rows, i)
        if rows.first >= h1 and g.rows.dilation == 1:
            break
        top = cut(&rows, g.rows.dilation, h0, h1)
        if rows.taps <= 0:
            continue
        for j in range(reached, g.cols.outputs):
            cols = span(&g.cols, j)
            if cols.first >= w1 and g.cols.dilation == 1:
                break
            left = cut(&cols, g.cols.dilation, w0, w1)
            if cols.taps <= 0:
                continue
            for c in range(channels):
                share[c] = grad[i * g.yh + j * g.yw + c * g.yc] / (<double>rows.count * cols.count)
            add_share(share, sums + (top - h0) * row + (left - w0) * channels, &inside, rows.taps, cols.taps, channels)
    for h in range(h0, h1):
        for w in range(w0, w1):
            for c in range(channels):
                grad_x[h * g.xh + w * g.xw + c * g.xc] = <floating>sums[(h - h0) * row + (w - w0) * channels + c]


cdef inline Py_ssize_t first_of(const PoolAxis *a, Py_ssize_t position) noexcept nogil:
    """The first output that may reach a position or what is behind it."""
    return first_reaching(a, position) if a.dilation == 1 else 0


cdef inline Py_ssize_t cut(Span *s, Py_ssize_t dilation, Py_ssize_t first, Py_ssize_t until) noexcept nogil:
    """Leaves of a window the taps from `first` until `until`, if there are any, and returns where they begin."""
    cdef Py_ssize_t skipped = max(0, (first - s.first + dilation - 1) // dilation), begin = s.first + skipped * dilation
    s.taps = min(s.taps - skipped, (until - begin + dilation - 1) // dilation)
    return begin


cdef inline void add_share(const double *share, double *sums, fc_window *inside, Py_ssize_t rows, Py_ssize_t cols,
                           Py_ssize_t channels) noexcept nogil:
    """To so many pixels."""
    cdef Py_ssize_t h, w
    if channels > 1:
        spread_channels(inside, share, sums, rows, cols, True, channels)
        return
    for h in range(rows):
        for w in range(cols):
            sums[h * inside.row + w * inside.column] += share[0]
