"""The gradient of max pooling: the loops around pool.h's scatter.

    windows "2x2" of wide planes in NCHW:
        parallel for image, channel: for row of outputs: the pixels whose position is the index get the gradient, the
            others 0; two rows are written as a whole, nothing is scattered
    small windows of pixels in NHWC that share none:
        parallel for image, block of channels: for output: for vector of channels: to all pixels of its window the
            gradient where their position is the index, else 0
    otherwise: parallel for image, block of channels: zeros, then grad_x[index] += grad; in NHWC row of outputs by row,
        zeros in rows of pixels before the first window reaches them (L2). Of neighbours in a row that have the same
        index, as those of overlapping windows mostly do, the sum is added

Where a pixel belongs to so many windows that such sums in single precision would not be right to 1e-6:

    parallel for image, few channels: for block of pixels: all gradients that belong there += in double

Units of work share no pixel of grad_x, so nothing is added across threads.
"""

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastconv._core.runtime.isa cimport max_2x2_backward, max_channels_backward, scatter, vector_length
from fastconv._core.runtime.kernels cimport fc_scatter, fc_window
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, mark, team
from fastconv._core.pooling.problem cimport (
    PoolProblem, channels_of_unit, clear_pixels, clear_rest, clear_rows, pool_problem, set_steps,
)
from fastconv._core.pooling.windows cimport PAIRS, Span, Windows, covered, overlap, span

cnp.import_array()

cdef enum:
    PIXELS = 16384           # of grad_x, for one unit of small planes
    THIN = 8                 # channels of a pixel under which most of a vector would be idle
    WIDE = 16                # outputs of a row from which on rows are written as a whole
    FEW = 25                 # pixels of a window that are compared with the index, sooner than found by it
    SCATTERED = 1 << 20      # pixels of a block, to each of which any gradient may belong
    TOGETHER = 16            # channels of such a block in NHWC: a line of each pixel
    # Outputs that may share an index times the lanes of a vector from which on it is worth looking for those that do.
    LONG_OF_PLANE = 88
    LONG_OF_CHANNEL = 40
    MOST_PLACES = 2147483647  # that runs count
    RUNNING = 49             # terms of a sum in single precision that are added as they come: it loses at most 8e-7

# About the nanoseconds of an element of grad_x, for the thread policy.
cdef double COST = 0.6


# What the units of a maximum's gradient share: x is grad_x, y the gradient, whose indices have strides of their own.
cdef struct MaxGradient:
    PoolProblem g
    Py_ssize_t index_n, index_channel, index_row, index_col
    Py_ssize_t channels, groups    # of a unit; so many units are an image
    Py_ssize_t sums                # pixels of a block of a plane, whose pixels may get many gradients; else 0
    bint pairs, small, runs
    int wrong                      # whether an index was outside its plane


def max_backward(cnp.ndarray grad, cnp.ndarray indices, cnp.ndarray grad_x, Windows windows, bint channels_last):
    """Fills grad_x, an (N, C, H, W) view of memory without gaps in NCHW or NHWC order; False where an index is not in
    the plane: then what is in grad_x is of no use.

    grad and indices are (N, C, OH, OW) views with any strides.
    """
    cdef MaxGradient call
    if cnp.PyArray_SIZE(grad_x) == 0:
        return True
    channels_last = channels_last and cnp.PyArray_DIM(grad_x, 1) != 1    # one channel is a plane in either order
    call.g = pool_problem(grad_x, grad, windows)
    set_steps(&call.g, channels_last)
    call.g.index = <int64_t *>cnp.PyArray_DATA(indices)
    call.index_n, call.index_channel = cnp.PyArray_STRIDE(indices, 0) // 8, cnp.PyArray_STRIDE(indices, 1) // 8
    call.index_row, call.index_col = cnp.PyArray_STRIDE(indices, 2) // 8, cnp.PyArray_STRIDE(indices, 3) // 8
    if call.g.c == 1:
        call.index_channel = call.index_n
    if cnp.PyArray_TYPE(grad) == cnp.NPY_FLOAT:
        return run_max[float](&call, windows.method == PAIRS, channels_last, NULL)
    return run_max[double](&call, windows.method == PAIRS, channels_last, NULL)


cdef bint run_max(MaxGradient *call, bint pairs, bint channels_last, const floating *unused) except -1:
    cdef PoolProblem *g = &call.g
    cdef bint many
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    call.runs = sizeof(floating) == sizeof(float) and adds_runs(call, channels_last, vector_length(unused))
    many = sizeof(floating) == sizeof(float) and terms(call) > RUNNING
    call.pairs = (pairs and not channels_last and g.yw == 1 and call.index_col == 1
                  and g.cols.outputs >= WIDE)
    call.small = (channels_last and not many and g.yc == call.index_channel == 1 and g.c >= THIN
                  and 1 <= g.rows.kernel_size * g.cols.kernel_size <= FEW
                  and overlap(&g.rows) * overlap(&g.cols) == 1)
    if many:
        call.channels = min(TOGETHER, g.c) if channels_last else 1
    elif call.pairs:
        call.channels = 1
    elif channels_last:
        call.channels = channels_of_unit(g, threads)
    else:
        if (g.xn == g.c * g.xc and g.yn == g.c * g.yc and call.index_n == g.c * call.index_channel):
            g.c *= g.n    # images that follow each other as the channels do
            g.n = 1
        call.channels = min(g.c, max(1, PIXELS // (g.rows.size * g.cols.size)))
    call.groups = (g.c + call.channels - 1) // call.channels
    call.sums = min(g.rows.size * g.cols.size, SCATTERED // call.channels) if many else 0
    call.wrong = 0
    cdef Py_ssize_t sums = call.sums * call.channels
    cdef Block scratch = take(threads * sums * sizeof(double)) if many else None
    cdef floating *data = <floating *>scratch.data if many else <floating *>g.x
    with nogil:
        in_parallel(max_unit[floating], call, g.n * call.groups, threads, EVENLY, data,
                    sums * <Py_ssize_t>(sizeof(double) // sizeof(floating)))
    return call.wrong == 0


cdef bint adds_runs(const MaxGradient *call, bint channels_last, int lanes) noexcept nogil:
    """Whether of neighbours in a row of outputs with the same index the sum is added: where such runs are long, or sums
    one by one would not be right."""
    cdef const PoolProblem *g = &call.g
    cdef double run = overlap(&g.cols), places = <double>g.rows.size * g.cols.size * (g.c if channels_last else 1)
    if run < 2 or g.cols.kernel_size == 0 or g.cols.dilation > 1 or places > MOST_PLACES:
        return False
    if not (g.yc == call.index_channel == 1 if channels_last else g.yw == call.index_col == 1):
        return False
    if run * overlap(&g.rows) > RUNNING:
        return True
    if channels_last:
        return g.c >= THIN and run * lanes >= LONG_OF_CHANNEL
    return run * (1 + run / g.cols.outputs) * lanes >= LONG_OF_PLANE    # windows at the edges lose fewer pixels


cdef double terms(const MaxGradient *call) noexcept nogil:
    """The most that are added to a pixel one after the other. The end of a vector may cut a run of pixels in two."""
    cdef const PoolProblem *g = &call.g
    if call.runs:
        return overlap(&g.cols) + 2 * overlap(&g.rows)
    return overlap(&g.rows) * overlap(&g.cols)


cdef void max_unit(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    """Neighbouring channels of an image."""
    cdef MaxGradient *call = <MaxGradient *>data
    cdef const PoolProblem *g = &call.g
    cdef Py_ssize_t n = unit // call.groups, c = unit % call.groups * call.channels
    cdef const floating *grad = <const floating *>g.y + n * g.yn + c * g.yc
    cdef const int64_t *indices = g.index + n * call.index_n + c * call.index_channel
    cdef floating *grad_x = <floating *>g.x + n * g.xn + c * g.xc
    cdef Py_ssize_t channels = min(call.channels, g.c - c)
    cdef bint right
    if call.sums:
        if channels == 1:    # a constant, without which it takes twice as long
            right = scatter_many(call, grad, indices, grad_x, 1, <double *>scratch)
        else:
            right = scatter_many(call, grad, indices, grad_x, channels, <double *>scratch)
    elif call.pairs and plane_max_2x2(g, grad, indices, call.index_row, grad_x):
        right = True
    elif call.small and windows_of_unit(call, grad, indices, grad_x, channels):
        right = True
    else:
        right = scatter_unit(call, grad, indices, grad_x, channels)
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


cdef bint windows_of_unit(const MaxGradient *call, const floating *grad, const int64_t *indices, floating *grad_x,
                          Py_ssize_t channels) noexcept nogil:
    """Neighbouring channels of an image; False where an index is outside its window: then all is to be done again."""
    cdef const PoolProblem *g = &call.g
    cdef Py_ssize_t i, j
    cdef Span rows, cols
    cdef fc_window window
    window.row, window.column = g.rows.dilation * g.xh, g.cols.dilation * g.xw
    window.row_step, window.column_step = g.rows.dilation * g.cols.size, g.cols.dilation
    if (<double>g.rows.kernel_size * window.row_step + <double>g.cols.kernel_size * window.column_step) >= 2147483647:
        return False    # a lane could not tell its positions apart
    if not (covered(&g.rows) and covered(&g.cols)):
        clear_pixels(g, grad_x, channels)
    for i in range(g.rows.outputs):
        rows = span(&g.rows, i)
        for j in range(g.cols.outputs):
            cols = span(&g.cols, j)
            window.base = rows.first * g.cols.size + cols.first
            if not max_channels_backward(&window, grad + i * g.yh + j * g.yw,
                                         indices + i * call.index_row + j * call.index_col,
                                         grad_x + rows.first * g.xh + cols.first * g.xw, rows.taps, cols.taps,
                                         channels):
                return False
    return True


cdef bint scatter_unit(const MaxGradient *call, const floating *grad, const int64_t *indices, floating *grad_x,
                       Py_ssize_t channels) noexcept nogil:
    """Planes, or neighbouring channels of an image; False where an index is outside the plane."""
    cdef const PoolProblem *g = &call.g
    cdef Py_ssize_t i, rows = g.rows.outputs
    cdef fc_scatter how
    how.n, how.planes, how.pixels = g.cols.outputs, channels, g.rows.size * g.cols.size
    how.grad_step, how.grad_plane, how.index_step, how.index_plane = g.yw, g.yc, call.index_col, call.index_channel
    how.pixel, how.plane, how.runs = g.xw, g.xc, call.runs
    if g.xw != 1 and scatter_rows(call, how, grad, indices, grad_x):
        return True
    clear_pixels(g, grad_x, channels)
    if g.yh == how.n * g.yw and call.index_row == how.n * call.index_col:    # without gaps the plane is one row
        how.n *= rows
        rows = 1
    for i in range(rows):
        if not scatter(&how, grad + i * g.yh, indices + i * call.index_row, grad_x):
            return False
    return True


cdef bint scatter_rows(const MaxGradient *call, fc_scatter how, const floating *grad, const int64_t *indices,
                       floating *grad_x) noexcept nogil:
    """Neighbouring channels, whose rows of pixels are cleared when a window first reaches them, so that all that is
    done to them is done in the cache; False where an index is behind its window: then all is to be done again."""
    cdef const PoolProblem *g = &call.g
    cdef Py_ssize_t i, cleared = 0, reached
    cdef Span rows
    for i in range(g.rows.outputs):
        rows = span(&g.rows, i)
        reached = rows.first + (rows.taps - 1) * g.rows.dilation + 1
        if reached > cleared:
            clear_rows(g, grad_x, how.planes, cleared, reached)
            cleared = reached
        how.pixels = cleared * g.cols.size
        if not scatter(&how, grad + i * g.yh, indices + i * call.index_row, grad_x):
            return False
    clear_rows(g, grad_x, how.planes, cleared, g.rows.size)
    return True


cdef inline bint scatter_many(const MaxGradient *call, const floating *grad, const int64_t *indices, floating *grad_x,
                              Py_ssize_t channels, double *sums) noexcept nogil:
    """A plane, or neighbouring channels, each of whose pixels may get many gradients; False where an index is outside
    the plane."""
    cdef const PoolProblem *g = &call.g
    cdef Py_ssize_t i, j, c, first = 0, count, pixels = g.rows.size * g.cols.size
    cdef size_t at
    while first < pixels:
        count = min(call.sums, pixels - first)
        memset(sums, 0, count * channels * sizeof(double))
        for i in range(g.rows.outputs):
            for j in range(g.cols.outputs):
                for c in range(channels):
                    at = <size_t>indices[i * call.index_row + j * call.index_col + c * call.index_channel]
                    if at >= <size_t>pixels:
                        return False
                    at -= first    # what lies before the block goes round
                    if at < <size_t>count:
                        sums[at * channels + c] += grad[i * g.yh + j * g.yw + c * g.yc]
        for i in range(count):
            for c in range(channels):
                grad_x[(first + i) * g.xw + c * g.xc] = <floating>sums[i * channels + c]
        first += count
    return True
