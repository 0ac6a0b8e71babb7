"""Max and average pooling, forward: the loops around pool.h. The gradients are in backward.pyx.

Which loop serves a call follows from the memory of x and from the windows (windows.pyx):

    channels are neighbours in memory (NHWC):
        parallel for image, row of outputs:
            for output: for vector of channels: all pixels of the window -> registers -> y
    columns are neighbours (NCHW, and everything else):
        "2x2"    parallel for image, block of channels, block of rows:
                     for row of outputs: straight from two rows of x -> y
        "band"   parallel for image, block of channels, block of rows:
                     fill the padded band (band.pyx; the stride's phases apart)
                     across: band -> best (or sum) of S columns and which it was, buffers as large as the band
                     down:   for row of outputs: best (or sum) of R rows -> y
        "runs"   parallel for image, channel: for output: for row of its window: best (or sum) of a run of x -> y

The band and its two copies hold about BAND_ELEMENTS each and stay in L1 and L2; where one row of outputs needs more,
its columns are cut into blocks too. What a band cannot hold, or 32-bit positions, goes window by window. The padding of
maxima is -inf, which wins nothing: an output whose window holds nothing but -inf gets the index of its first pixel
afterwards. Sums of many pixels are as right as those of a few (reduce.h).
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport INFINITY
from libc.stdint cimport int64_t

from fastconv._core.problem.band cimport CONSTANT, Band, axis, fill, layout, tap_offsets
from fastconv._core.runtime.isa cimport (
    max_2x2, max_across, max_channels, max_down, max_of_run, mean_2x2, mean_channels, mean_down, sum_across, sum_of_run,
)
from fastconv._core.runtime.memory cimport Block, new_array, take
from fastconv._core.problem.problem cimport elements
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, fc_down, fc_window
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team
from fastconv._core.pooling.windows cimport BAND, PAIRS, RUNS, Method, Span, span

cnp.import_array()

cdef enum:
    BAND_ELEMENTS = 4096       # of a band; more only where one row of outputs needs more
    WIDE_ELEMENTS = 16384      # of such a band; more only where a window has a large part of its columns
    MOST_ELEMENTS = 1 << 18    # of any band: three buffers of doubles stay under 8 MB
    PIXELS = 16384             # of x, for one unit of PAIRS
    SLACK = 2 * FC_MAX_LANES   # elements behind a buffer that whole vectors may touch
    NEAR = 2048                # elements of a run that are gathered at a time
    CHANNELS = 64              # whose maxima are put together from pieces of a window

cdef Py_ssize_t POSITIONS = 1 << 31    # of a window, that 32 bits can tell apart

# About the nanoseconds of an element of x, for the thread policy.
cdef double COST = 0.4

# How the work is cut into units: of an image, a block of `planes` channels, a block of `rows` rows and one of `cols`
# columns of outputs. In a thread's scratch are the offsets of taps, then three buffers; all in elements.
cdef struct PoolLayout:
    Method method
    bint channels_last, average
    Py_ssize_t rows, row_blocks, cols, col_blocks, planes, groups, units
    Py_ssize_t band_at, buffer, scratch_size    # 0 but for BAND

# What the units of a call share.
cdef struct PoolCall:
    const PoolProblem *g
    const PoolLayout *l

# One unit: `planes` planes from the one that the pointers are at, `rows` rows of outputs from i on, `cols` columns from
# j on.
cdef struct PoolUnit:
    Py_ssize_t planes, i, rows, j, cols


cdef PoolProblem pool_problem(cnp.ndarray x, cnp.ndarray y, Windows windows):
    cdef PoolProblem g
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    g.x, g.y, g.index = cnp.PyArray_DATA(x), cnp.PyArray_DATA(y), NULL
    g.n, g.c = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    g.rows, g.cols = windows.rows, windows.cols
    g.xn, g.xc = elements(cnp.PyArray_STRIDE(x, 0), size), elements(cnp.PyArray_STRIDE(x, 1), size)
    g.xh, g.xw = elements(cnp.PyArray_STRIDE(x, 2), size), elements(cnp.PyArray_STRIDE(x, 3), size)
    g.yn, g.yc = elements(cnp.PyArray_STRIDE(y, 0), size), elements(cnp.PyArray_STRIDE(y, 1), size)
    g.yh, g.yw = elements(cnp.PyArray_STRIDE(y, 2), size), elements(cnp.PyArray_STRIDE(y, 3), size)
    return g


cdef bint channels_are_lanes(cnp.ndarray x) noexcept:
    return cnp.PyArray_STRIDE(x, 1) == cnp.PyArray_ITEMSIZE(x) and cnp.PyArray_STRIDE(x, 3) != cnp.PyArray_ITEMSIZE(x)


cdef cnp.ndarray result(Py_ssize_t n, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow, bint channels_last, int typenum):
    """An (N, C, OH, OW) view whose memory has the channels last, or in their place."""
    cdef cnp.npy_intp[4] sizes
    sizes[0] = n
    if channels_last:
        sizes[1], sizes[2], sizes[3] = oh, ow, c
        return new_array(4, sizes, typenum).transpose(0, 3, 1, 2)
    sizes[1], sizes[2], sizes[3] = c, oh, ow
    return new_array(4, sizes, typenum)


def pool(cnp.ndarray x, Windows windows, bint average, bint with_indices):
    """Pools an (N, C, H, W) view with any strides -> (y, indices or None), (N, C, OH, OW) views, contiguous in the
    order of axes that x has: NHWC where channels are neighbours in memory and columns are not, else NCHW."""
    cdef bint channels_last = channels_are_lanes(x)
    cdef Py_ssize_t n = cnp.PyArray_DIM(x, 0), c = cnp.PyArray_DIM(x, 1)
    cdef Py_ssize_t oh = windows.rows.outputs, ow = windows.cols.outputs
    cdef cnp.ndarray y = result(n, c, oh, ow, channels_last, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray indices = result(n, c, oh, ow, channels_last, cnp.NPY_INT64) if with_indices else None
    if n == 0:
        return y, indices
    cdef PoolProblem g = pool_problem(x, y, windows)
    if with_indices:
        g.index = <int64_t *>cnp.PyArray_DATA(indices)
    cdef PoolLayout l = lay_out(&g, windows.method, channels_last, average, cnp.PyArray_ITEMSIZE(x))
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        run[float](&g, &l, NULL)
    else:
        run[double](&g, &l, NULL)
    return y, indices


cdef run(const PoolProblem *g, const PoolLayout *l, floating *unused):
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef Block scratch = take(threads * l.scratch_size * sizeof(floating)) if l.scratch_size else None
    cdef floating *data = <floating *>scratch.data if scratch is not None else unused
    cdef PoolCall call
    call.g, call.l = g, l
    with nogil:
        in_parallel(pool_unit[floating], &call, l.units, threads, EVENLY, data, l.scratch_size)


cdef PoolLayout lay_out(const PoolProblem *g, Method method, bint channels_last, bint average,
                        Py_ssize_t size) noexcept:
    """size is that of an element."""
    cdef PoolLayout l
    l.method, l.channels_last, l.average = method, channels_last, average
    l.band_at = l.buffer = l.scratch_size = 0
    l.rows, l.cols, l.planes = g.rows.outputs, g.cols.outputs, 1
    if channels_last:
        l.rows, l.planes = 1, g.c
    elif method == BAND or (method == PAIRS and g.xw != 1):
        l.method = BAND
        cut_band(g, &l, size)
    elif method == PAIRS:
        l.rows = min(g.rows.outputs, max(1, PIXELS // (2 * g.cols.size)))
        l.planes = min(g.c, max(1, PIXELS // (g.rows.size * g.cols.size)))
    l.row_blocks = (g.rows.outputs + l.rows - 1) // l.rows
    l.col_blocks = (g.cols.outputs + l.cols - 1) // l.cols
    l.groups = (g.c + l.planes - 1) // l.planes
    l.units = g.n * l.groups * l.row_blocks * l.col_blocks
    return l


cdef void cut_band(const PoolProblem *g, PoolLayout *l, Py_ssize_t size) noexcept:
    """Blocks of rows, where one row is too wide of columns; RUNS where no block is small enough for a band."""
    cdef Band band
    cdef double halo = <double>(g.cols.kernel_size - 1) * g.cols.dilation
    cdef double positions = (<double>(g.rows.kernel_size - 1) * g.rows.dilation * g.cols.size + halo
                             + <double>FC_MAX_LANES * g.cols.stride)
    band_of(g, l.rows, l.cols, &band)
    while l.rows > 1 and band_elements(&band) > BAND_ELEMENTS:
        l.rows = (l.rows + 1) // 2
        band_of(g, l.rows, l.cols, &band)
    while l.cols > 1 and band_elements(&band) > (WIDE_ELEMENTS if l.cols * g.cols.stride > 4 * halo else MOST_ELEMENTS):
        l.cols = (l.cols + 1) // 2
        band_of(g, l.rows, l.cols, &band)
    if band_elements(&band) > MOST_ELEMENTS or (positions >= POSITIONS and not l.average):
        l.method, l.rows, l.cols = RUNS, g.rows.outputs, g.cols.outputs
        return
    layout(&band, SLACK)
    if l.rows == g.rows.outputs and l.cols == g.cols.outputs:
        l.planes = min(g.c, max(1, BAND_ELEMENTS // band.channel_pitch))
    l.band_at = ((g.rows.kernel_size * g.cols.kernel_size + g.rows.kernel_size) * 8 // 64 * 64 + 64) // size
    l.buffer = l.planes * band.channel_pitch + band.pitch + SLACK
    l.buffer = (l.buffer * size // 64 * 64 + 64) // size
    l.scratch_size = l.band_at + 3 * l.buffer


cdef void pool_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    cdef const PoolProblem *g = (<const PoolCall *>data).g
    cdef const PoolLayout *l = (<const PoolCall *>data).l
    cdef Py_ssize_t block = index // l.col_blocks, plane = block // l.row_blocks
    cdef Py_ssize_t n = plane // l.groups, c = plane % l.groups * l.planes
    cdef const floating *x = <const floating *>g.x + n * g.xn + c * g.xc
    cdef floating *y = <floating *>g.y + n * g.yn + c * g.yc
    cdef int64_t *indices = g.index
    cdef PoolUnit u
    u.j = index % l.col_blocks * l.cols
    u.i = block % l.row_blocks * l.rows
    u.planes = min(l.planes, g.c - c)
    u.rows, u.cols = min(l.rows, g.rows.outputs - u.i), min(l.cols, g.cols.outputs - u.j)
    if indices != NULL:
        indices += n * g.yn + c * g.yc
    if l.channels_last:
        channels_row(g, x, y, indices, l.average, u.i)
    elif l.method == PAIRS:
        block_2x2(g, &u, x, y, indices, l.average)
    elif l.method == BAND:
        block_band(g, l, &u, x, y, indices, scratch)
    else:
        plane_runs(g, x, y, indices, l.average)


# ---------------------------------------------------------------------------------------------------------------------
# Channels in the lanes


cdef void channels_row(const PoolProblem *g, const floating *x, floating *y, int64_t *index, bint average,
                       Py_ssize_t i) noexcept nogil:
    """One row of outputs of an image."""
    cdef fc_window steps
    cdef Py_ssize_t j, at
    cdef Span rows = span(&g.rows, i), cols
    cdef const floating *window
    steps.row, steps.column = g.rows.dilation * g.xh, g.cols.dilation * g.xw
    steps.row_step, steps.column_step = g.rows.dilation * g.cols.size if rows.taps > 1 else 0, g.cols.dilation
    for j in range(g.cols.outputs):
        cols = span(&g.cols, j)
        at = i * g.yh + j * g.yw
        window = x + rows.first * g.xh + cols.first * g.xw
        if average:
            mean_channels(window, steps.row, steps.column, rows.taps, cols.taps,
                          <floating>rows.count * <floating>cols.count, y + at, g.c)
        else:
            max_of_channels(g, &steps, window, &rows, &cols, y + at, index + at if index != NULL else index)


cdef void max_of_channels(const PoolProblem *g, const fc_window *steps, const floating *x, const Span *rows,
                          const Span *cols, floating *y, int64_t *index) noexcept nogil:
    """One output."""
    cdef Py_ssize_t c
    cdef int64_t base = rows.first * g.cols.size + cols.first
    cdef double farthest = <double>(rows.taps - 1) * steps.row_step + <double>(cols.taps - 1) * steps.column_step
    if index == NULL or farthest < POSITIONS:
        max_channels(steps, x, rows.taps, cols.taps, y, index, base, g.c)
        return
    for c in range((g.c + CHANNELS - 1) // CHANNELS):
        max_of_pieces(steps, x + c * CHANNELS, rows.taps, cols.taps, y + c * CHANNELS, index + c * CHANNELS, base,
                      min(CHANNELS, g.c - c * CHANNELS))


cdef void max_of_pieces(const fc_window *steps, const floating *x, Py_ssize_t rows, Py_ssize_t cols, floating *y,
                        int64_t *index, int64_t base, Py_ssize_t channels) noexcept nogil:
    """The same for up to CHANNELS channels, where 32 bits cannot tell the window's positions apart; base is its first
    one."""
    cdef Py_ssize_t most_rows = 1, most_cols = min(cols, POSITIONS // steps.column_step), r = 0, s, c
    cdef floating best[CHANNELS]
    cdef int64_t at[CHANNELS]
    if most_cols == cols and rows > 1:
        most_rows += (POSITIONS - 1 - (cols - 1) * steps.column_step) // steps.row_step
    while r < rows:
        s = 0
        while s < cols:
            max_channels(steps, x + r * steps.row + s * steps.column, min(most_rows, rows - r),
                         min(most_cols, cols - s), best, at, base + r * steps.row_step + s * steps.column_step,
                         channels)
            for c in range(channels):
                if r == s == 0 or best[c] > y[c] or best[c] != best[c]:
                    y[c], index[c] = best[c], at[c]
            s += most_cols
        r += most_rows


# ---------------------------------------------------------------------------------------------------------------------
# 2 x 2 windows with step 2, all inside the image


cdef void block_2x2(const PoolProblem *g, const PoolUnit *u, const floating *x, floating *y, int64_t *index,
                    bint average) noexcept nogil:
    cdef Py_ssize_t c, i, at
    for c in range(u.planes):
        for i in range(u.i, u.i + u.rows):
            at = c * g.yc + i * g.yh
            if average:
                mean_2x2(x + c * g.xc + 2 * i * g.xh, g.xh, y + at, g.cols.outputs)
            else:
                max_2x2(x + c * g.xc + 2 * i * g.xh, g.xh, g.cols.size, y + at, index + at if index != NULL else index,
                        2 * i * g.cols.size, g.cols.outputs)


# ---------------------------------------------------------------------------------------------------------------------
# Any window, from a padded band


cdef void band_of(const PoolProblem *g, Py_ssize_t rows, Py_ssize_t cols, Band *band) noexcept nogil:
    """The band of so many rows and columns of outputs, but for its pitches."""
    band.rows = axis(g.rows.size, rows, g.rows.kernel_size, g.rows.stride, g.rows.dilation)
    band.cols = axis(g.cols.size, cols, g.cols.kernel_size, g.cols.stride, g.cols.dilation)
    band.row_stride, band.col_stride = g.xh, g.xw
    band.padding = CONSTANT


cdef double band_elements(const Band *band) noexcept:
    return <double>band.rows.pieces * band.rows.length * band.cols.pieces * band.cols.length


cdef void block_band(const PoolProblem *g, const PoolLayout *l, const PoolUnit *u, const floating *x, floating *y,
                     int64_t *index, floating *scratch) noexcept nogil:
    """x, y and index are the first plane's. The scratch: offsets of the taps, the band, and two buffers more."""
    cdef Band band
    cdef fc_down rows
    cdef Py_ssize_t *taps = <Py_ssize_t *>scratch
    cdef floating *band_data = scratch + l.band_at
    cdef Py_ssize_t c, i, r, row, at
    cdef Py_ssize_t *down = taps + g.rows.kernel_size * g.cols.kernel_size
    cdef floating *best = band_data + l.buffer
    cdef floating *tap = best + l.buffer    # of an average: the columns that each of its outputs counts
    cdef int kernel_h = <int>g.rows.kernel_size, kernel_w = <int>g.cols.kernel_size
    cdef int64_t base
    band_of(g, u.rows, u.cols, &band)
    band.rows.start, band.cols.start = g.rows.start + u.i * g.rows.stride, g.cols.start + u.j * g.cols.stride
    layout(&band, SLACK)
    cdef Py_ssize_t band_rows = band.rows.pieces * band.rows.length
    tap_offsets(&band, taps)
    for r in range(kernel_h):
        down[r] = taps[r * kernel_w]
    rows.rows, rows.n_rows, rows.row_step, rows.stride = down, kernel_h, g.rows.dilation * g.cols.size, g.cols.stride
    if l.average:
        for i in range(u.cols):
            tap[i] = <floating>span(&g.cols, u.j + i).count
        for i in range(u.cols, u.cols + SLACK):
            tap[i] = 1    # the last vector divides by them
    fill(&band, x, g.xc, u.planes, <floating>(0 if l.average else -INFINITY), band_data)
    for c in range(u.planes):
        if band.cols.pieces == 1:
            across(band_data, taps, kernel_w, g.cols.dilation, best, tap, band_rows * band.pitch, l.average)
        else:
            for row in range(band_rows):
                across(band_data + row * band.pitch, taps, kernel_w, g.cols.dilation, best + row * band.pitch,
                       tap + row * band.pitch, u.cols, l.average)
        for i in range(u.rows):
            at = c * g.yc + (u.i + i) * g.yh + u.j
            if l.average:
                mean_down(best + i * band.pitch, down, kernel_h, <floating>span(&g.rows, u.i + i).count, tap, y + at,
                          u.cols)
                continue
            base = (band.rows.start + i * g.rows.stride) * g.cols.size + band.cols.start
            max_down(&rows, best + i * band.pitch, tap + i * band.pitch, y + at, index + at if index != NULL else index,
                     base, u.cols)
            if index != NULL:
                set_first_pixels(g, u, u.i + i, base, index + at)
        band_data = band_data + band.channel_pitch


cdef inline void across(const floating *band, const Py_ssize_t *taps, int n_taps, Py_ssize_t step, floating *best,
                        floating *tap, Py_ssize_t n, bint average) noexcept nogil:
    if average:
        sum_across(band, taps, n_taps, best, n)
    else:
        max_across(band, taps, n_taps, step, best, tap, n)


cdef void set_first_pixels(const PoolProblem *g, const PoolUnit *u, Py_ssize_t i, int64_t base,
                           int64_t *index) noexcept nogil:
    """Outputs of row i whose index is their window's first tap although that lies in the padding: all was -inf."""
    cdef Py_ssize_t j, row = span(&g.rows, i).first * g.cols.size, first
    for j in range(u.cols):
        first = row + span(&g.cols, u.j + j).first
        if first == base + j * g.cols.stride:
            return    # neither this window nor a later one starts in the padding
        if index[j] == base + j * g.cols.stride:
            index[j] = first


# ---------------------------------------------------------------------------------------------------------------------
# Large, distant or unequal windows, one by one


# Pixels of a window that follow each other: `count` runs of `length` taps; where they lie in x and in the plane.
cdef struct PoolRuns:
    Py_ssize_t length, count
    Py_ssize_t step, next_run    # in memory: from tap to tap, from run to run
    Py_ssize_t index_step, next_index


cdef PoolRuns runs_of(const PoolProblem *g, const Span *rows, const Span *cols) noexcept nogil:
    cdef PoolRuns runs
    runs.length, runs.count = cols.taps, rows.taps
    runs.step, runs.next_run = g.cols.dilation * g.xw, g.rows.dilation * g.xh
    runs.index_step, runs.next_index = g.cols.dilation, g.rows.dilation * g.cols.size
    if cols.taps == 1:    # one column is one run
        runs.length, runs.count, runs.step, runs.index_step = rows.taps, 1, runs.next_run, runs.next_index
    elif cols.taps == runs.next_index and runs.next_run == cols.taps * runs.step:    # so are whole rows
        runs.length, runs.count = rows.taps * cols.taps, 1
    return runs


cdef void plane_runs(const PoolProblem *g, const floating *x, floating *y, int64_t *index, bint average) noexcept nogil:
    cdef Py_ssize_t i, j, r, position, at = 0
    cdef Span rows, cols
    cdef PoolRuns runs
    cdef const floating *window
    cdef floating best, value
    cdef double total
    for i in range(g.rows.outputs):
        rows = span(&g.rows, i)
        for j in range(g.cols.outputs):
            cols = span(&g.cols, j)
            runs = runs_of(g, &rows, &cols)
            window = x + rows.first * g.xh + cols.first * g.xw
            if average:
                total = 0
                for r in range(runs.count):
                    total += sum_of(window + r * runs.next_run, runs.step, runs.length)
                y[i * g.yh + j] = <floating>(total / (<double>rows.count * cols.count))
                continue
            best = window[0]
            at = 0
            for r in range(runs.count):
                value = max_of(window + r * runs.next_run, runs.step, runs.length, &position)
                if r == 0 or value > best or value != value:
                    best = value
                    at = r * runs.next_index + position * runs.index_step
            y[i * g.yh + j] = best
            if index != NULL:
                index[i * g.yh + j] = rows.first * g.cols.size + cols.first + at


cdef inline Py_ssize_t gather(const floating *x, Py_ssize_t step, Py_ssize_t n, floating *near) noexcept nogil:
    """The first taps of a run, as many as fit, side by side; returns how many."""
    cdef Py_ssize_t i, count = min(n, NEAR)
    for i in range(count):
        near[i] = x[i * step]
    return count


cdef double sum_of(const floating *x, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    cdef floating near[NEAR]
    cdef double total = 0
    cdef Py_ssize_t done = 0, count
    if step == 1:
        return sum_of_run(x, n)
    while done < n:
        count = gather(x + done * step, step, n - done, near)
        total += sum_of_run(near, count)
        done += count
    return total


cdef floating max_of(const floating *x, Py_ssize_t step, Py_ssize_t n, Py_ssize_t *position) noexcept nogil:
    cdef floating near[NEAR]
    cdef floating best = x[0], value
    cdef Py_ssize_t done = 0, count, at
    if step == 1:
        return max_of_run(x, n, position)
    position[0] = 0
    while done < n:
        count = gather(x + done * step, step, n - done, near)
        value = max_of_run(near, count, &at)
        if value > best or value != value:
            best = value
            position[0] = done + at
        done += count
    return best
