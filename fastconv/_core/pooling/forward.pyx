"""Max and average pooling, forward: which loops serve a call, and those that need no band. What windows are too large
for that is in large.pyx.

Which loop serves a call follows from the memory of x and from the windows (windows.pyx):

    channels are neighbours in memory (NHWC):
        where windows overlap much, or channels are few: from a padded band of pixels (banded.pyx)
        else parallel for image, row of outputs:
            for output: for vectors of channels: all pixels of the window -> registers -> y
    columns are neighbours (NCHW, and everything else):
        "whole"  one window, that is the plane: parallel for block of planes: for a vector of planes -> y
        "2x2"    parallel for image, block of channels, block of rows:
                     for row of outputs: straight from two rows of x -> y
        "rows"   windows of few rows, without indices: parallel for image, block of channels, block of rows:
                     straight from the rows of x (rows.pyx)
        "band"   from a padded band of planes (banded.pyx)
        "lanes"  small windows, of unequal sizes or on small planes:
                 parallel for image, vector of channels, row of outputs:
                     the rows of its windows, transposed so that channels are lanes -> a buffer
                     for output: all pixels of the window -> registers -> a buffer -> y
        "runs"   parallel for image, channel: for output: for row of its window: best (or sum) of a run of x -> y

What a band cannot hold, or 32-bit positions, goes window by window. Sums of many pixels are as right as those of a few
(reduce.h).
"""

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

from fastconv._core.runtime.isa cimport (
    from_lanes, max_2x2, max_channels, max_of_planes, max_of_run, mean_2x2, mean_channels, mean_of_planes,
    sum_of_run, to_lanes, vector_length,
)
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport ceildiv
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, fc_window
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team
from fastconv._core.pooling.banded cimport BandLayout, lay_out_band, pool_from_bands
from fastconv._core.pooling.problem cimport PoolProblem, join_images, new_images, pool_problem
from fastconv._core.pooling.rows cimport begin_rows, reads_rows, rows_of_outputs, rows_scratch
from fastconv._core.pooling.windows cimport (
    BAND, CHANNELS, LANES, PAIRS, ROWS, RUNS, WHOLE, Method, Span, Windows, longest, overlapping, span, whole,
)

cnp.import_array()

cdef enum:
    PIXELS = 16384             # of x, for one unit of PAIRS, ROWS or WHOLE
    NEAR = 2048                # elements of a run that are gathered at a time
    PIECE = 64                 # channels whose maxima are put together from pieces of a window
    UNITS = 16                 # of CHANNELS; where rows of outputs are fewer, channels are cut into blocks
    THIN = 8                   # channels up to which a pixel of its own wastes most of a vector
    NARROW = 28                # columns of x up to which LANES serves windows of one size as well: twice as fast there
    LONG = 64                  # pixels of a run from which on it is rather compared by itself than with other channels
    TRANSPOSED = 1 << 17       # elements of LANES' buffer at most
    MANY = 64                  # channels: four vectors of any instruction set
    FAR_BYTES = 16 << 20       # of x that come from memory rather than from a cache

cdef Py_ssize_t POSITIONS = 1 << 31    # of a window, that 32 bits can tell apart

# About the nanoseconds of an element of x, for the thread policy.
cdef double COST = 0.4

# How the work is cut into units: of an image, a block of `planes` channels and a block of `rows` rows of outputs. In
# elements: a thread's scratch, and of LANES, where in it the outputs, and their indices, begin.
cdef struct PoolLayout:
    Method method
    bint average, far    # far: x comes from memory rather than from a cache
    Py_ssize_t rows, row_blocks, planes, groups, units
    Py_ssize_t pixels_at, outputs_at, indices_at, scratch_size

# What the units of a call share.
cdef struct PoolCall:
    const PoolProblem *g
    const PoolLayout *l

# One unit: `planes` planes from the one that the pointers are at, `rows` rows of outputs from i on.
cdef struct PoolUnit:
    Py_ssize_t planes, i, rows


cdef bint channels_are_lanes(cnp.ndarray x) noexcept:
    return cnp.PyArray_STRIDE(x, 1) == cnp.PyArray_ITEMSIZE(x) and cnp.PyArray_STRIDE(x, 3) != cnp.PyArray_ITEMSIZE(x)


cdef bint holds(cnp.ndarray y, bint channels_last) noexcept:
    """Whether the loops for this order of x can fill y: without gaps in the same order."""
    cdef Py_ssize_t step = cnp.PyArray_ITEMSIZE(y)
    cdef int axis
    if not channels_last:
        return cnp.PyArray_CHKFLAGS(y, cnp.NPY_ARRAY_C_CONTIGUOUS)
    for axis in (1, 3, 2, 0):
        if cnp.PyArray_DIM(y, axis) != 1 and cnp.PyArray_STRIDE(y, axis) != step:
            return False
        step *= cnp.PyArray_DIM(y, axis)
    return True


cdef pool_planes(cnp.ndarray x, Windows windows, bint average, cnp.ndarray y, cnp.ndarray indices):
    """Pools an (N, C, H, W) view with any strides into y, and into indices where these are not None: (N, C, OH, OW)
    views, both the same. Where these have gaps, or another order in memory than x, the results are computed apart."""
    cdef bint channels_last = channels_are_lanes(x)
    if cnp.PyArray_DIM(x, 0) == 0:
        return
    if holds(y, channels_last):
        pool_in_order(x, windows, average, y, indices, channels_last)
        return
    cdef Py_ssize_t n = cnp.PyArray_DIM(x, 0), c = cnp.PyArray_DIM(x, 1)
    cdef Py_ssize_t oh = windows.rows.outputs, ow = windows.cols.outputs
    cdef cnp.ndarray found = new_images(n, c, oh, ow, channels_last, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray positions = None
    if indices is not None:
        positions = new_images(n, c, oh, ow, channels_last, cnp.NPY_INT64)
    pool_in_order(x, windows, average, found, positions, channels_last)
    y[...] = found
    if indices is not None:
        indices[...] = positions


cdef pool_in_order(cnp.ndarray x, Windows windows, bint average, cnp.ndarray y, cnp.ndarray indices,
                   bint channels_last):
    """The order of y is that of x: channels_last where channels are neighbours in memory and columns are not."""
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    cdef PoolProblem g = pool_problem(x, y, windows)
    cdef Method method = windows.method
    cdef double tap
    cdef BandLayout b
    cdef PoolLayout l
    if indices is not None:
        g.index = <int64_t *>cnp.PyArray_DATA(indices)
    if channels_last:
        # To add a pixel takes half as long as to compare it, where vectors are so many that sums need not wait.
        tap = 0.5 if average and g.c >= MANY else 1
        method = BAND if method != RUNS and (g.c <= THIN or overlapping(&g.rows, &g.cols, tap)) else CHANNELS
    else:
        join_images(&g)
        if whole(&g.rows, &g.cols) and g.xw == 1 and g.xh == g.cols.size:
            method = WHOLE
        elif method == PAIRS and g.xw != 1:
            method = BAND
        elif (method == BAND and g.xw == 1 and indices is None and reads_rows(&g)
              and (g.rows.kernel_size == 1 or not narrow(&g))):
            method = ROWS
        elif g.xw == 1 and fits_lanes(&g) and (method == RUNS or method == BAND and narrow(&g)):
            method = LANES
    b.average, b.lanes, b.shares = average, channels_last, NULL
    if method == BAND and lay_out_band(&g, &b, size):
        if size == sizeof(float):
            pool_from_bands[float](&g, &b, NULL)
        else:
            pool_from_bands[double](&g, &b, NULL)
        return
    if method == BAND:
        method = CHANNELS if channels_last else RUNS
    l = lay_out(&g, method, average, size)
    if size == sizeof(float):
        run[float](&g, &l, NULL)
    else:
        run[double](&g, &l, NULL)


cdef run(const PoolProblem *g, const PoolLayout *l, floating *unused):
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef Block scratch = take(threads * l.scratch_size * sizeof(floating)) if l.scratch_size else None
    cdef floating *data = <floating *>scratch.data if scratch is not None else unused
    cdef PoolCall call
    call.g, call.l = g, l
    with nogil:
        in_parallel(pool_unit[floating], &call, l.units, threads, EVENLY, data, l.scratch_size)


cdef bint fits_lanes(const PoolProblem *g) noexcept:
    return (g.c > 1 and longest(&g.cols) < LONG
            and <double>longest(&g.rows) * g.cols.size * FC_MAX_LANES <= TRANSPOSED)


cdef bint narrow(const PoolProblem *g) noexcept:
    """Whether rows are so short that most of a band would be slack and borders, and windows share few of them."""
    return (g.cols.size <= NARROW and g.c >= FC_MAX_LANES and g.rows.dilation == g.cols.dilation == 1
            and g.rows.kernel_size <= 2 * g.rows.stride and g.cols.kernel_size <= 2 * g.cols.stride)


cdef PoolLayout lay_out(const PoolProblem *g, Method method, bint average, Py_ssize_t size) noexcept:
    """size is that of an element."""
    cdef PoolLayout l
    cdef Py_ssize_t vector = 0
    l.method, l.average = method, average
    l.far = <double>g.n * g.c * g.rows.size * g.cols.size * size > FAR_BYTES
    l.pixels_at = l.outputs_at = l.indices_at = l.scratch_size = 0
    l.rows, l.planes = g.rows.outputs, 1
    if method == CHANNELS:
        l.rows, l.planes = 1, g.c if g.n * g.rows.outputs >= UNITS else min(g.c, PIECE)
    elif method == PAIRS:
        l.rows = min(g.rows.outputs, max(1, PIXELS // (2 * g.cols.size)))
        l.planes = min(g.c, max(1, PIXELS // (g.rows.size * g.cols.size)))
    elif method == ROWS:
        l.rows = min(g.rows.outputs, max(1, PIXELS // g.cols.size))
        l.planes = min(g.c, max(1, PIXELS // (l.rows * g.cols.size)))
        l.scratch_size = rows_scratch(g, average)
    elif method == WHOLE:
        l.planes = max(1, PIXELS // (g.rows.size * g.cols.size))
        if l.planes > FC_MAX_LANES:
            l.planes = l.planes // FC_MAX_LANES * FC_MAX_LANES
    elif method == LANES:
        vector = vector_length(<float *>NULL) if size == sizeof(float) else vector_length(<double *>NULL)
        l.rows, l.planes = 1, vector
        l.pixels_at = (longest(&g.rows) * g.cols.size * 8 // 64 * 64 + 64) // size
        l.outputs_at = l.pixels_at + longest(&g.rows) * g.cols.size * vector
        l.indices_at = l.outputs_at + g.cols.outputs * vector
        l.scratch_size = (l.indices_at + g.cols.outputs * vector * 8 // size + 15) // 16 * 16
    l.row_blocks, l.groups = ceildiv(g.rows.outputs, l.rows), ceildiv(g.c, l.planes)
    l.units = g.n * l.groups * l.row_blocks
    return l


cdef void pool_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    cdef const PoolProblem *g = (<const PoolCall *>data).g
    cdef const PoolLayout *l = (<const PoolCall *>data).l
    cdef Py_ssize_t plane = index // l.row_blocks, n = plane // l.groups, c = plane % l.groups * l.planes
    cdef const floating *x = <const floating *>g.x + n * g.xn + c * g.xc
    cdef floating *y = <floating *>g.y + n * g.yn + c * g.yc
    cdef int64_t *indices = g.index
    cdef PoolUnit u
    u.i = index % l.row_blocks * l.rows
    u.planes, u.rows = min(l.planes, g.c - c), min(l.rows, g.rows.outputs - u.i)
    if indices != NULL:
        indices += n * g.yn + c * g.yc
    if l.method == CHANNELS:
        channels_row(g, l, &u, x, y, indices)
    elif l.method == WHOLE:
        if l.average:
            mean_of_planes(x, g.xc, g.rows.size * g.cols.size, u.planes, y)
        else:
            max_of_planes(x, g.xc, g.rows.size * g.cols.size, u.planes, y, indices)
    elif l.method == PAIRS:
        block_2x2(g, &u, x, y, indices, l.average)
    elif l.method == ROWS:
        begin_rows(g, scratch, l.average)
        for c in range(u.planes):
            rows_of_outputs(g, u.i, u.rows, x + c * g.xc, y + c * g.yc, scratch, l.average)
    elif l.method == LANES:
        row_in_lanes(g, l, &u, x, y, indices, scratch)
    else:
        plane_runs(g, x, y, indices, l.average)


# ---------------------------------------------------------------------------------------------------------------------
# Channels in the lanes


cdef void channels_row(const PoolProblem *g, const PoolLayout *l, const PoolUnit *u, const floating *x, floating *y,
                       int64_t *index) noexcept nogil:
    """One row of outputs of a block of channels."""
    cdef fc_window steps
    cdef Py_ssize_t j, at
    cdef Span rows = span(&g.rows, u.i), cols
    cdef const floating *window
    steps.row, steps.column, steps.far = g.rows.dilation * g.xh, g.cols.dilation * g.xw, l.far
    steps.row_step, steps.column_step = g.rows.dilation * g.cols.size if rows.taps > 1 else 0, g.cols.dilation
    for j in range(g.cols.outputs):
        cols = span(&g.cols, j)
        at = u.i * g.yh + j * g.yw
        window = x + rows.first * g.xh + cols.first * g.xw
        steps.base, steps.count = rows.first * g.cols.size + cols.first, <double>rows.count * <double>cols.count
        if l.average:
            mean_channels(&steps, window, rows.taps, cols.taps, y + at, u.planes)
        else:
            max_of_channels(&steps, window, rows.taps, cols.taps, y + at, index + at if index != NULL else index,
                            u.planes)


cdef void max_of_channels(fc_window *steps, const floating *x, Py_ssize_t rows, Py_ssize_t cols, floating *y,
                          int64_t *index, Py_ssize_t channels) noexcept nogil:
    """One output."""
    cdef Py_ssize_t c
    cdef double farthest = <double>(rows - 1) * steps.row_step + <double>(cols - 1) * steps.column_step
    if index == NULL or farthest < POSITIONS:
        max_channels(steps, x, rows, cols, y, index, channels)
        return
    for c in range(ceildiv(channels, PIECE)):
        max_of_pieces(steps, x + c * PIECE, rows, cols, y + c * PIECE, index + c * PIECE,
                      min(PIECE, channels - c * PIECE))


cdef void max_of_pieces(const fc_window *whole_window, const floating *x, Py_ssize_t rows, Py_ssize_t cols, floating *y,
                        int64_t *index, Py_ssize_t channels) noexcept nogil:
    """The same for up to PIECE channels, where 32 bits cannot tell the window's positions apart."""
    cdef fc_window steps = whole_window[0]
    cdef Py_ssize_t most_rows = 1, most_cols = min(cols, POSITIONS // steps.column_step), r = 0, s, c
    cdef floating best[PIECE]
    cdef int64_t at[PIECE]
    if most_cols == cols and rows > 1:
        most_rows += (POSITIONS - 1 - (cols - 1) * steps.column_step) // steps.row_step
    while r < rows:
        s = 0
        while s < cols:
            steps.base = whole_window.base + r * steps.row_step + s * steps.column_step
            max_channels(&steps, x + r * steps.row + s * steps.column, min(most_rows, rows - r),
                         min(most_cols, cols - s), best, at, channels)
            for c in range(channels):
                if r == s == 0 or best[c] > y[c] or best[c] != best[c]:
                    y[c], index[c] = best[c], at[c]
            s += most_cols
        r += most_rows


cdef void row_in_lanes(const PoolProblem *g, const PoolLayout *l, const PoolUnit *u, const floating *x, floating *y,
                       int64_t *index, floating *scratch) noexcept nogil:
    """One row of outputs of `planes` planes, no more than a vector."""
    cdef Py_ssize_t j, r, c, vector = l.planes, width = g.cols.size * vector
    cdef Py_ssize_t *at = <Py_ssize_t *>scratch
    cdef floating *pixels = scratch + l.pixels_at
    cdef floating *outputs = scratch + l.outputs_at
    cdef int64_t *found = <int64_t *>(scratch + l.indices_at) if index != NULL else NULL
    cdef Py_ssize_t planes[FC_MAX_LANES]
    cdef Span rows = span(&g.rows, u.i), cols
    cdef fc_window steps
    for c in range(u.planes):
        planes[c] = c * g.xc
    for j in range(rows.taps * g.cols.size):
        at[j] = j * vector
    if g.xh == g.cols.size:
        to_lanes(x + rows.first * g.xh, planes, <int>u.planes, rows.taps * g.cols.size, pixels, at)
    else:
        for r in range(rows.taps):
            to_lanes(x + (rows.first + r) * g.xh, planes, <int>u.planes, g.cols.size, pixels + r * width, at)
    steps.row, steps.column, steps.row_step, steps.column_step, steps.far = width, vector, g.cols.size, 1, False
    for j in range(g.cols.outputs):
        cols = span(&g.cols, j)
        steps.base, steps.count = rows.first * g.cols.size + cols.first, <double>rows.count * <double>cols.count
        if l.average:
            mean_channels(&steps, pixels + cols.first * vector, rows.taps, cols.taps, outputs + j * vector, vector)
        else:
            max_channels(&steps, pixels + cols.first * vector, rows.taps, cols.taps, outputs + j * vector,
                         found + j * vector if found != NULL else NULL, vector)
    for c in range(u.planes):
        planes[c] = c * g.yc
    from_lanes(outputs, vector, g.cols.outputs, y + u.i * g.yh, planes, <int>u.planes)
    if found != NULL:
        for c in range(u.planes):
            for j in range(g.cols.outputs):
                index[c * g.yc + u.i * g.yh + j] = found[j * vector + c]


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
