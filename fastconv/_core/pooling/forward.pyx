"""Max and average pooling, forward: the loops around pool.h. The gradients are in backward.pyx.

Which loop serves a call follows from the memory of x and from the windows (windows.pyx):

    channels are neighbours in memory (NHWC):
        parallel for image, row of outputs: for output: for vector of channels: all pixels of the window -> registers -> y
    columns are neighbours (NCHW, and everything else):
        "2x2"    parallel for image, block of channels, block of rows: for row of outputs: straight from two rows of x -> y
        "band"   parallel for image, block of channels, block of rows:
                     fill the padded band (band.pyx; the stride's phases apart)
                     across: band -> best (or sum) of S columns and which it was, buffers as large as the band
                     down:   for row of outputs: best (or sum) of R rows -> y
        "runs"   parallel for image, channel: for output: for row of its window: best (or sum) of a run of x -> y

The band and its two copies hold about BAND_ELEMENTS each and stay in L1 and L2; where one row of outputs needs more, its
columns are cut into blocks too. What a band cannot hold, or 32-bit positions, goes window by window. The padding of maxima is
-inf, which wins nothing: an output whose window holds nothing but -inf gets the index of its first pixel afterwards. Sums of
many pixels are as right as those of a few (reduce.h).
"""

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.stdint cimport int64_t

from fastconv._core.problem.band cimport CONSTANT, Band, axis, fill, layout, tap_offsets
from fastconv._core.runtime.isa cimport (
    max_2x2, max_across, max_channels, max_down, max_of_run, mean_2x2, mean_channels, mean_down, sum_across, sum_of_run,
)
from fastconv._core.runtime.memory cimport Block, new_array, take
from fastconv._core.problem.problem cimport elements
from fastconv._core.runtime.threads cimport team
from fastconv._core.pooling.windows cimport BAND, PAIRS, RUNS, Method, Span, span

cnp.import_array()

cdef enum:
    BAND_ELEMENTS = 4096       # of a band; more only where one row of outputs needs more
    WIDE_ELEMENTS = 16384      # of such a band; more only where the columns of a window would be a large part of its block's
    MOST_ELEMENTS = 1 << 18    # of any band: three buffers of doubles stay under 8 MB
    PIXELS = 16384             # of x, for one unit of PAIRS
    SLACK = 32                 # elements behind a buffer that whole vectors may touch
    NEAR = 2048                # elements of a run that are gathered at a time
    CHANNELS = 64              # whose maxima are put together from pieces of a window
    FARTHEST_LANE = 16         # lanes of a vector, at most

cdef Py_ssize_t POSITIONS = 1 << 31    # of a window, that 32 bits can tell apart

# About the nanoseconds of an element of x, for the thread policy.
cdef double COST = 0.4

# How the work is cut into units: of an image, a block of `planes` channels, a block of `rows` rows and one of `cols` columns of
# outputs.
cdef struct Cut:
    Method method
    bint channels_last, average
    Py_ssize_t rows, row_blocks, cols, col_blocks, planes, groups, units
    Py_ssize_t taps_bytes, buffer, scratch_bytes    # BAND: of its tables; elements of a buffer; of all

# One unit: `planes` planes from the one that the pointers are at, `rows` rows of outputs from i on, `cols` columns from j on.
cdef struct Part:
    Py_ssize_t planes, i, rows, j, cols


cdef Shape shape_of(cnp.ndarray x, cnp.ndarray y, Windows windows):
    cdef Shape g
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
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
    """Pools an (N, C, H, W) view with any strides -> (y, indices or None), (N, C, OH, OW) views, contiguous in the order of
    axes that x has: NHWC where channels are neighbours in memory and columns are not, else NCHW."""
    cdef bint channels_last = channels_are_lanes(x)
    cdef Py_ssize_t n = cnp.PyArray_DIM(x, 0), c = cnp.PyArray_DIM(x, 1)
    cdef Py_ssize_t oh = windows.rows.outputs, ow = windows.cols.outputs
    cdef cnp.ndarray y = result(n, c, oh, ow, channels_last, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray indices = result(n, c, oh, ow, channels_last, cnp.NPY_INT64) if with_indices else None
    cdef int64_t *index = <int64_t *>cnp.PyArray_DATA(indices) if with_indices else NULL
    if n == 0:
        return y, indices
    cdef Shape g = shape_of(x, y, windows)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        run(&g, <const float *>cnp.PyArray_DATA(x), <float *>cnp.PyArray_DATA(y), index, windows.method, channels_last, average)
    else:
        run(&g, <const double *>cnp.PyArray_DATA(x), <double *>cnp.PyArray_DATA(y), index, windows.method, channels_last, average)
    return y, indices


cdef run(const Shape *g, const floating *x, floating *y, int64_t *index, Method method, bint channels_last, bint average):
    cdef Cut cut = cut_of(g, method, channels_last, average, sizeof(floating))
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef Block scratch = take(threads * cut.scratch_bytes) if cut.scratch_bytes else None
    cdef char *data = scratch.data if scratch is not None else NULL
    cdef Py_ssize_t unit
    if threads == 1:
        with nogil:
            for unit in range(cut.units):
                pool_unit(g, &cut, x, y, index, unit, data)
        return
    for unit in prange(cut.units, nogil=True, num_threads=threads, schedule="static"):
        pool_unit(g, &cut, x, y, index, unit, data + threadid() * cut.scratch_bytes)


cdef Cut cut_of(const Shape *g, Method method, bint channels_last, bint average, Py_ssize_t size) noexcept:
    """size is that of an element."""
    cdef Cut cut
    cut.method, cut.channels_last, cut.average = method, channels_last, average
    cut.taps_bytes = cut.buffer = cut.scratch_bytes = 0
    cut.rows, cut.cols, cut.planes = g.rows.outputs, g.cols.outputs, 1
    if channels_last:
        cut.rows, cut.planes = 1, g.c
    elif method == BAND or (method == PAIRS and g.xw != 1):
        cut.method = BAND
        cut_band(g, &cut, size)
    elif method == PAIRS:
        cut.rows = min(g.rows.outputs, max(1, PIXELS // (2 * g.cols.size)))
        cut.planes = min(g.c, max(1, PIXELS // (g.rows.size * g.cols.size)))
    cut.row_blocks = (g.rows.outputs + cut.rows - 1) // cut.rows
    cut.col_blocks = (g.cols.outputs + cut.cols - 1) // cut.cols
    cut.groups = (g.c + cut.planes - 1) // cut.planes
    cut.units = g.n * cut.groups * cut.row_blocks * cut.col_blocks
    return cut


cdef void cut_band(const Shape *g, Cut *cut, Py_ssize_t size) noexcept:
    """Blocks of rows, where one row is too wide of columns; RUNS where no block is small enough for a band."""
    cdef Band band
    cdef double halo = <double>(g.cols.kernel_size - 1) * g.cols.dilation
    cdef double positions = (<double>(g.rows.kernel_size - 1) * g.rows.dilation * g.cols.size + halo
                             + <double>FARTHEST_LANE * g.cols.stride)
    band_of(g, cut.rows, cut.cols, &band)
    while cut.rows > 1 and band_elements(&band) > BAND_ELEMENTS:
        cut.rows = (cut.rows + 1) // 2
        band_of(g, cut.rows, cut.cols, &band)
    while cut.cols > 1 and band_elements(&band) > (WIDE_ELEMENTS if cut.cols * g.cols.stride > 4 * halo else MOST_ELEMENTS):
        cut.cols = (cut.cols + 1) // 2
        band_of(g, cut.rows, cut.cols, &band)
    if band_elements(&band) > MOST_ELEMENTS or (positions >= POSITIONS and not cut.average):
        cut.method, cut.rows, cut.cols = RUNS, g.rows.outputs, g.cols.outputs
        return
    layout(&band, SLACK)
    if cut.rows == g.rows.outputs and cut.cols == g.cols.outputs:
        cut.planes = min(g.c, max(1, BAND_ELEMENTS // band.channel_pitch))
    cut.taps_bytes = (g.rows.kernel_size * g.cols.kernel_size + g.rows.kernel_size) * 8 // 64 * 64 + 64
    cut.buffer = cut.planes * band.channel_pitch + band.pitch + SLACK
    cut.buffer = (cut.buffer * size // 64 * 64 + 64) // size
    cut.scratch_bytes = cut.taps_bytes + 3 * cut.buffer * size


cdef void pool_unit(const Shape *g, const Cut *cut, const floating *x, floating *y, int64_t *index, Py_ssize_t unit,
                    char *scratch) noexcept nogil:
    cdef Py_ssize_t block = unit // cut.col_blocks, plane = block // cut.row_blocks
    cdef Py_ssize_t n = plane // cut.groups, c = plane % cut.groups * cut.planes
    cdef Part part
    part.j = unit % cut.col_blocks * cut.cols
    part.i = block % cut.row_blocks * cut.rows
    part.planes = min(cut.planes, g.c - c)
    part.rows, part.cols = min(cut.rows, g.rows.outputs - part.i), min(cut.cols, g.cols.outputs - part.j)
    x += n * g.xn + c * g.xc
    y += n * g.yn + c * g.yc
    if index != NULL:
        index += n * g.yn + c * g.yc
    if cut.channels_last:
        channels_row(g, x, y, index, cut.average, part.i)
    elif cut.method == PAIRS:
        block_2x2(g, &part, x, y, index, cut.average)
    elif cut.method == BAND:
        block_band(g, cut, &part, x, y, index, <Py_ssize_t *>scratch, <floating *>(scratch + cut.taps_bytes))
    else:
        plane_runs(g, x, y, index, cut.average)


# ---------------------------------------------------------------------------------------------------------------------
# Channels in the lanes


cdef void channels_row(const Shape *g, const floating *x, floating *y, int64_t *index, bint average, Py_ssize_t i) noexcept nogil:
    """One row of outputs of an image."""
    cdef Py_ssize_t j, at
    cdef Span rows = span(&g.rows, i), cols
    cdef const floating *window
    for j in range(g.cols.outputs):
        cols = span(&g.cols, j)
        at = i * g.yh + j * g.yw
        window = x + rows.first * g.xh + cols.first * g.xw
        if average:
            mean_channels(window, g.rows.dilation * g.xh, g.cols.dilation * g.xw, rows.taps, cols.taps,
                          <floating>rows.count * <floating>cols.count, y + at, g.c)
        else:
            max_of_channels(g, window, &rows, &cols, y + at, index + at if index != NULL else index)


cdef void max_of_channels(const Shape *g, const floating *x, const Span *rows, const Span *cols, floating *y,
                          int64_t *index) noexcept nogil:
    """One output."""
    cdef Py_ssize_t row_step = g.rows.dilation * g.cols.size if rows.taps > 1 else 0, c
    if index == NULL or <double>(rows.taps - 1) * row_step + <double>(cols.taps - 1) * g.cols.dilation < POSITIONS:
        max_channels(x, g.rows.dilation * g.xh, g.cols.dilation * g.xw, rows.taps, cols.taps, row_step, g.cols.dilation, y, index,
                     rows.first * g.cols.size + cols.first, g.c)
        return
    for c in range((g.c + CHANNELS - 1) // CHANNELS):
        max_of_pieces(g, x + c * CHANNELS, rows, cols, row_step, y + c * CHANNELS, index + c * CHANNELS,
                      min(CHANNELS, g.c - c * CHANNELS))


cdef void max_of_pieces(const Shape *g, const floating *x, const Span *rows, const Span *cols, Py_ssize_t row_step, floating *y,
                        int64_t *index, Py_ssize_t channels) noexcept nogil:
    """The same for up to CHANNELS channels, where 32 bits cannot tell the window's positions apart."""
    cdef Py_ssize_t row = g.rows.dilation * g.xh, column = g.cols.dilation * g.xw, column_step = g.cols.dilation
    cdef Py_ssize_t most_rows = 1, most_cols = min(cols.taps, POSITIONS // column_step), r = 0, s, c
    cdef int64_t base = rows.first * g.cols.size + cols.first
    cdef floating best[CHANNELS]
    cdef int64_t at[CHANNELS]
    if most_cols == cols.taps and rows.taps > 1:
        most_rows += (POSITIONS - 1 - (cols.taps - 1) * column_step) // row_step
    while r < rows.taps:
        s = 0
        while s < cols.taps:
            max_channels(x + r * row + s * column, row, column, min(most_rows, rows.taps - r), min(most_cols, cols.taps - s),
                         row_step, column_step, best, at, base + r * row_step + s * column_step, channels)
            for c in range(channels):
                if r == s == 0 or best[c] > y[c] or best[c] != best[c]:
                    y[c], index[c] = best[c], at[c]
            s += most_cols
        r += most_rows


# ---------------------------------------------------------------------------------------------------------------------
# 2 x 2 windows with step 2, all inside the image


cdef void block_2x2(const Shape *g, const Part *part, const floating *x, floating *y, int64_t *index,
                    bint average) noexcept nogil:
    cdef Py_ssize_t c, i, at
    for c in range(part.planes):
        for i in range(part.i, part.i + part.rows):
            at = c * g.yc + i * g.yh
            if average:
                mean_2x2(x + c * g.xc + 2 * i * g.xh, g.xh, y + at, g.cols.outputs)
            else:
                max_2x2(x + c * g.xc + 2 * i * g.xh, g.xh, g.cols.size, y + at, index + at if index != NULL else index,
                        2 * i * g.cols.size, g.cols.outputs)


# ---------------------------------------------------------------------------------------------------------------------
# Any window, from a padded band


cdef void band_of(const Shape *g, Py_ssize_t rows, Py_ssize_t cols, Band *band) noexcept nogil:
    """The band of so many rows and columns of outputs, but for its pitches."""
    band.rows = axis(g.rows.size, rows, g.rows.kernel_size, g.rows.stride, g.rows.dilation)
    band.cols = axis(g.cols.size, cols, g.cols.kernel_size, g.cols.stride, g.cols.dilation)
    band.row_stride, band.col_stride = g.xh, g.xw
    band.padding = CONSTANT


cdef double band_elements(const Band *band) noexcept:
    return <double>band.rows.pieces * band.rows.length * band.cols.pieces * band.cols.length


cdef void block_band(const Shape *g, const Cut *cut, const Part *part, const floating *x, floating *y, int64_t *index,
                     Py_ssize_t *taps, floating *band_data) noexcept nogil:
    """x, y and index are the first plane's; behind band_data are two more buffers."""
    cdef Band band
    cdef Py_ssize_t c, i, r, row, at
    cdef Py_ssize_t *down = taps + g.rows.kernel_size * g.cols.kernel_size
    cdef floating *best = band_data + cut.buffer
    cdef floating *tap = best + cut.buffer    # of an average: the columns that each of its outputs counts
    cdef int kernel_h = <int>g.rows.kernel_size, kernel_w = <int>g.cols.kernel_size
    cdef int64_t base
    band_of(g, part.rows, part.cols, &band)
    band.rows.start, band.cols.start = g.rows.start + part.i * g.rows.stride, g.cols.start + part.j * g.cols.stride
    layout(&band, SLACK)
    cdef Py_ssize_t band_rows = band.rows.pieces * band.rows.length
    tap_offsets(&band, taps)
    for r in range(kernel_h):
        down[r] = taps[r * kernel_w]
    if cut.average:
        for i in range(part.cols):
            tap[i] = <floating>span(&g.cols, part.j + i).count
        for i in range(part.cols, part.cols + SLACK):
            tap[i] = 1    # the last vector divides by them
    fill(&band, x, g.xc, part.planes, <floating>(0 if cut.average else -INFINITY), band_data)
    for c in range(part.planes):
        if band.cols.pieces == 1:
            across(band_data, taps, kernel_w, g.cols.dilation, best, tap, band_rows * band.pitch, cut.average)
        else:
            for row in range(band_rows):
                across(band_data + row * band.pitch, taps, kernel_w, g.cols.dilation, best + row * band.pitch,
                       tap + row * band.pitch, part.cols, cut.average)
        for i in range(part.rows):
            at = c * g.yc + (part.i + i) * g.yh + part.j
            if cut.average:
                mean_down(best + i * band.pitch, down, kernel_h, <floating>span(&g.rows, part.i + i).count, tap, y + at, part.cols)
                continue
            base = (band.rows.start + i * g.rows.stride) * g.cols.size + band.cols.start
            max_down(best + i * band.pitch, tap + i * band.pitch, down, kernel_h, g.rows.dilation * g.cols.size, g.cols.stride,
                     y + at, index + at if index != NULL else index, base, part.cols)
            if index != NULL:
                set_first_pixels(g, part, part.i + i, base, index + at)
        band_data = band_data + band.channel_pitch


cdef inline void across(const floating *band, const Py_ssize_t *taps, int n_taps, Py_ssize_t step, floating *best,
                        floating *tap, Py_ssize_t n, bint average) noexcept nogil:
    if average:
        sum_across(band, taps, n_taps, best, n)
    else:
        max_across(band, taps, n_taps, step, best, tap, n)


cdef void set_first_pixels(const Shape *g, const Part *part, Py_ssize_t i, int64_t base, int64_t *index) noexcept nogil:
    """Outputs of row i whose index is their window's first tap although that lies in the padding: all was -inf."""
    cdef Py_ssize_t j, row = span(&g.rows, i).first * g.cols.size, first
    for j in range(part.cols):
        first = row + span(&g.cols, part.j + j).first
        if first == base + j * g.cols.stride:
            return    # neither this window nor a later one starts in the padding
        if index[j] == base + j * g.cols.stride:
            index[j] = first


# ---------------------------------------------------------------------------------------------------------------------
# Large, distant or unequal windows, one by one


# Pixels of a window that follow each other: `count` runs of `length` taps; where they lie in x and in the plane.
cdef struct Runs:
    Py_ssize_t length, count
    Py_ssize_t step, next_run    # in memory: from tap to tap, from run to run
    Py_ssize_t index_step, next_index


cdef Runs runs_of(const Shape *g, const Span *rows, const Span *cols) noexcept nogil:
    cdef Runs runs
    runs.length, runs.count = cols.taps, rows.taps
    runs.step, runs.next_run = g.cols.dilation * g.xw, g.rows.dilation * g.xh
    runs.index_step, runs.next_index = g.cols.dilation, g.rows.dilation * g.cols.size
    if cols.taps == 1:    # one column is one run
        runs.length, runs.count, runs.step, runs.index_step = rows.taps, 1, runs.next_run, runs.next_index
    elif cols.taps == runs.next_index and runs.next_run == cols.taps * runs.step:    # so are whole rows, one after the other
        runs.length, runs.count = rows.taps * cols.taps, 1
    return runs


cdef void plane_runs(const Shape *g, const floating *x, floating *y, int64_t *index, bint average) noexcept nogil:
    cdef Py_ssize_t i, j, r, position, at = 0
    cdef Span rows, cols
    cdef Runs runs
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
