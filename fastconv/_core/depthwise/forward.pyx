"""Depthwise convolution (one input channel a group, any number of filters each), forward and weight gradient; the data
gradient is the forward driver on views.

    parallel for image, channel, block of output rows and columns:
        fill a padded band of the channel's plane (L1)
        for filter of the channel: micro-kernel, a tile of rows x one vector in registers -> y; activation while it is in L1

    parallel for channel, chunk of the (image, block):                                    (weight gradient)
        for image, block: fill the band; for filter: micro-kernel, sums of all taps, spread over the lanes
        for filter: add up the lanes
    add the chunks' sums up, in order

The band (see band.pyx) shows the kernels neither border nor stride: output (i, j) of a block meets tap (r, s) in band
row rows.taps[r] + i and band column columns.taps[s] + j.

Vector lanes run over columns. Where y has its channels side by side (NHWC) they run over channels instead, and the work is
that of channels.pyx; short rows and strides are transposed for it by planes.pyx.

Sizes and splits do not depend on the number of threads, so neither do the bits of a result. What would take too much scratch (the
tables of long rows or of millions of taps, as many packed filters) is cut into parts first: see parts.py.
"""

import numpy as np

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memcmp, memcpy, memset
from fastconv._core.depthwise cimport channels as depthwise_channels, planes as depthwise_planes
from fastconv._core.problem.convolution cimport Convolution, Window
from fastconv._core.runtime cimport threads
from fastconv._core.problem.band cimport CONSTANT
from fastconv._core.depthwise.band cimport (
    Shape, edge_bytes, fill, find_edges, lay_out, list_bytes, measure as measure_axis, table_bytes,
)
from fastconv._core.runtime.isa cimport kernels, vector_length
from fastconv._core.runtime.memo cimport slot_of
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport Problem, activate, ceildiv, part

cnp.import_array()

cdef enum:
    TILE_ROWS = 7              # the tallest tile of the square filters' kernels
    TALL_ROWS = 4              # of the others
    MOST_LANES = 16
    BAND_BYTES = 8 << 10       # of the band where lanes are columns: with what it is made from and goes to, it fits L1
    SPLIT_BAND_BYTES = 4 << 10 # the same for stride 2 (112 x 112, 3 x 3: 1.2 ms with 4 rows, 1.4 with 7, 2.0 with 14)
    BLOCK_COLUMNS = 512        # wider rows are cut
    RUN = 128                  # terms of a lane, and of an output, that are added one after the other: see src_c/reduce.h
    UNITS = 64                 # of a weight gradient, at least, where there is so much to do
    LAYOUT_BITS = 6            # layouts that are kept: 64
    LAYOUT_BYTES = 32 << 10    # of one's tables, at most
    LAYOUT_WORDS = 32
    MOST_TAPS = 16384          # of one sum in single precision: beyond that it is a sum of sums, which is more exact
    ENDLESS = 1 << 30          # taps: what more would need no longer counts

cdef Py_ssize_t MOST = parts.FORWARD_BYTES, MOST_BACKWARD = parts.BACKWARD_BYTES    # of scratch


cdef void measure(Shape *g, Py_ssize_t *x_shape, Py_ssize_t *x_strides, Py_ssize_t *w_shape, Py_ssize_t *w_strides,
                  Py_ssize_t *y_shape, Py_ssize_t *y_strides, Py_ssize_t size, int lanes, tuple stride, tuple dilation):
    """Sizes and blocks of a call whose result is not empty; strides come in bytes."""
    cdef Py_ssize_t dilation_h, dilation_w, block_columns, block_rows, tile
    g.n, g.c, g.h, g.w = x_shape[0], x_shape[1], x_shape[2], x_shape[3]
    g.k, g.r, g.s = w_shape[0], w_shape[2], w_shape[3]
    g.oh, g.ow = y_shape[2], y_shape[3]
    g.multiplier, g.taps, g.lanes = g.k // g.c, g.r * g.s, lanes
    g.xn, g.xc, g.xh, g.xw = x_strides[0] // size, x_strides[1] // size, x_strides[2] // size, x_strides[3] // size
    g.yn, g.yk, g.yh, g.yw = y_strides[0] // size, y_strides[1] // size, y_strides[2] // size, y_strides[3] // size
    g.wk, g.wr, g.ws = w_strides[0] // size, w_strides[2] // size, w_strides[3] // size
    g.stride_h, g.stride_w = stride
    dilation_h, dilation_w = dilation
    # Where there is one output or one pixel, any step will do.
    g.stride_h = 1 if g.oh == 1 else g.stride_h
    g.stride_w = 1 if g.ow == 1 else g.stride_w
    g.dilation_h = 1 if g.r == 1 else dilation_h
    g.dilation_w = 1 if g.s == 1 else dilation_w
    g.xw = 1 if g.w == 1 else g.xw
    g.yw = 1 if g.ow == 1 else g.yw
    g.xc = 1 if g.c == 1 and g.multiplier == 1 else g.xc
    g.square = g.r == g.s and g.s in (3, 5, 7) and g.dilation_h == 1 and g.dilation_w == 1
    g.tall = g.r >= 4 and g.stride_h == 1 and g.dilation_h == 1 and not (g.square and g.stride_w == 1)

    block_columns = ceildiv(g.ow, ceildiv(g.ow, BLOCK_COLUMNS))
    measure_axis(&g.columns, g.ow, block_columns, g.s, g.stride_w, g.dilation_w, lanes)
    g.pitch = g.columns.length
    block_rows = BAND_BYTES if g.stride_h == 1 else SPLIT_BAND_BYTES
    block_rows = max(TALL_ROWS, block_rows // (g.pitch * size * min(g.stride_h, g.r)))
    tile = TALL_ROWS if block_rows < TILE_ROWS or g.tall else TILE_ROWS
    block_rows = min(g.oh, block_rows // tile * tile)
    measure_axis(&g.rows, g.oh, block_rows, g.r, g.stride_h, g.dilation_h, 0)
    g.ahead = block_rows * g.xh if g.rows.blocks > 1 else g.xc

    g.kernel_stride = g.kernel_size = 0
    if g.square and (g.stride_h == g.stride_w == 1
                     or (g.stride_h == g.stride_w == 2 and g.columns.segments == 2 and g.rows.segments == 2)):
        g.kernel_stride, g.kernel_size = <int>g.stride_h - 1, <int>g.s // 2
    g.in_place = g.yw == 1
    g.band_size = ceildiv(g.rows.length * g.pitch, 16) * 16 + MOST_LANES   # a row's last vector may run over
    g.tile_size = ceildiv(block_rows * block_columns, 16) * 16


cdef Py_ssize_t most_bytes(const Shape *g, Py_ssize_t others) noexcept nogil:
    """What plan and then a call that takes `others` take at a time."""
    cdef Py_ssize_t columns = table_bytes(&g.columns, g.s), rows = table_bytes(&g.rows, g.r)
    return max(columns + rows + edge_bytes(&g.columns) + g.taps * <Py_ssize_t>sizeof(Py_ssize_t) + others,
               max(columns + list_bytes(g.s), columns + rows + list_bytes(g.r)))


cdef list plan(Shape *g, tuple origin, int padding):
    """The tables of what is measured. Returns their memory."""
    cdef Py_ssize_t top, left, r, s
    top, left = origin
    cdef list tables = [lay_out(&g.columns, g.s, g.stride_w, g.dilation_w, left, g.w, g.xw, padding, 1),
                        lay_out(&g.rows, g.r, g.stride_h, g.dilation_h, top, g.h, g.xh, padding, g.pitch), find_edges(g, padding)]
    cdef Block taps = take(g.taps * sizeof(Py_ssize_t))
    tables.append(taps)
    g.tap_offsets = <Py_ssize_t *>taps.data
    for r in range(g.r):
        for s in range(g.s):
            g.tap_offsets[r * g.s + s] = g.rows.taps[r] * g.pitch + g.columns.taps[s]
    return tables


cdef class Layout:
    """What `plan` worked out. That takes longer than a small convolution, so it is kept for the next call of its kind."""
    cdef Py_ssize_t key[LAYOUT_WORDS]
    cdef bint channel_lanes
    cdef Shape shape                         # where lanes are columns
    cdef depthwise_channels.Shape channels   # where they are channels, side by side in memory or in planes
    cdef list tables

cdef list layouts = [None] * (1 << LAYOUT_BITS)


cdef Layout measured(const Py_ssize_t *key, tuple stride, tuple dilation):
    """The layout of what a key (see layout_of) says, without its tables."""
    cdef Layout layout = Layout.__new__(Layout)
    cdef Py_ssize_t size = key[31]
    memcpy(layout.key, key, sizeof(layout.key))
    key = layout.key
    cdef int lanes = kernels.f32.vector if size == sizeof(float) else kernels.f64.vector
    cdef bint planes = depthwise_planes.channels_pay(key, key + 4, key + 8, key + 16, key + 20, size, lanes, stride, dilation)
    layout.channel_lanes = planes or depthwise_channels.channels_in_lanes(key, key + 4, key + 16, key + 20, size, lanes, key[25],
                                                                          key[27])
    if layout.channel_lanes:
        depthwise_channels.measure(&layout.channels, key, key + 4, key + 8, key + 12, key + 16, key + 20, size, lanes, stride,
                                   dilation, planes)
    else:
        measure(&layout.shape, layout.key, layout.key + 4, layout.key + 8, layout.key + 12, layout.key + 16, layout.key + 20, size,
                lanes, stride, dilation)
    return layout


cdef void fill_key(Py_ssize_t *key, Convolution conv):
    cdef Window window = conv.window
    memcpy(key, cnp.PyArray_DIMS(conv.x), 4 * sizeof(Py_ssize_t))
    memcpy(key + 4, cnp.PyArray_STRIDES(conv.x), 4 * sizeof(Py_ssize_t))
    memcpy(key + 8, cnp.PyArray_DIMS(conv.w), 4 * sizeof(Py_ssize_t))
    memcpy(key + 12, cnp.PyArray_STRIDES(conv.w), 4 * sizeof(Py_ssize_t))
    memcpy(key + 16, cnp.PyArray_DIMS(conv.y), 4 * sizeof(Py_ssize_t))
    memcpy(key + 20, cnp.PyArray_STRIDES(conv.y), 4 * sizeof(Py_ssize_t))
    key[24], key[25], key[26], key[27] = window.stride_h, window.stride_w, window.dilation_h, window.dilation_w
    key[28], key[29] = window.top, window.left
    key[30], key[31] = window.padding_mode, cnp.PyArray_ITEMSIZE(conv.x)


cdef void add_tables(Layout layout, tuple origin, int padding):
    if layout.channel_lanes:
        layout.tables = depthwise_channels.lay_out(&layout.channels, origin, padding)
    else:
        layout.tables = plan(&layout.shape, origin, padding)


cdef Layout layout_of(Convolution conv):
    """The layout for arrays of these shapes and strides, or None where one thread would take too much scratch."""
    cdef Py_ssize_t key[LAYOUT_WORDS]
    cdef Py_ssize_t slot, bytes = 0
    cdef Layout layout
    fill_key(key, conv)
    slot = slot_of(key, LAYOUT_WORDS, LAYOUT_BITS)
    layout = layouts[slot]
    if layout is not None and memcmp(layout.key, key, sizeof(key)) == 0:
        return layout
    layout = measured(key, conv.window.stride, conv.window.dilation)
    if forward_bytes(layout, True) > MOST:
        return None
    add_tables(layout, conv.window.origin, conv.window.padding_mode)
    for table in layout.tables:
        bytes += (<Block>table).size
    if bytes <= LAYOUT_BYTES:
        layouts[slot] = layout
    return layout


def forget_layouts():
    """Frees what is kept."""
    layouts[:] = [None] * len(layouts)


# ---------------------------------------------------------------------------------------------------------------------
# Forward


cdef void convolve_taps(const Shape *g, Py_ssize_t first, Py_ssize_t last, const floating *w, floating bias, const floating *band,
                        floating *out, Py_ssize_t out_row, Py_ssize_t rows, Py_ssize_t cols) noexcept nogil:
    """The sum over taps first .. last - 1 (where the filter is tall, rows of taps) of one block."""
    cdef Py_ssize_t n = last - first
    cdef const Py_ssize_t *taps = g.tap_offsets if g.tall else g.tap_offsets + first
    if g.tall:
        band, w = band + first * g.pitch, w + first * g.s
        if floating is float:
            kernels.f32.depthwise_tall(band, g.pitch, taps, n, g.s, w, bias, out, out_row, rows, cols)
        else:
            kernels.f64.depthwise_tall(band, g.pitch, taps, n, g.s, w, bias, out, out_row, rows, cols)
    elif floating is float:
        kernels.f32.depthwise[g.kernel_stride][g.kernel_size](band, g.pitch, taps, n, w + first, bias, out, out_row, rows, cols)
    else:
        kernels.f64.depthwise[g.kernel_stride][g.kernel_size](band, g.pitch, taps, n, w + first, bias, out, out_row, rows, cols)


cdef Py_ssize_t runs_of(const Shape *g) noexcept nogil:
    """In how many parts the taps of a filter are summed."""
    return max(1, g.r // max(TALL_ROWS, RUN // g.s)) if g.tall else ceildiv(g.taps, RUN)


cdef Py_ssize_t forward_size(const Shape *g) noexcept nogil:
    """A thread's scratch: band, tile, and a tile for the sums of further taps."""
    return g.band_size + g.tile_size * (2 if runs_of(g) > 1 else 1)


cdef void convolve_plane(const Shape *g, const floating *x, const floating *w, const floating *bias, floating *y,
                         floating value, Py_ssize_t unit, floating *band) noexcept nogil:
    """One (image, channel, block), all filters of the channel; band and tiles are this thread's scratch."""
    cdef Py_ssize_t col_block = unit % g.columns.blocks, row_block = unit // g.columns.blocks % g.rows.blocks
    cdef Py_ssize_t plane = unit // (g.columns.blocks * g.rows.blocks), channel = plane % g.c, image = plane // g.c
    cdef Py_ssize_t row0 = row_block * g.rows.block, rows = min(g.rows.block, g.oh - row0)
    cdef Py_ssize_t col0 = col_block * g.columns.block, cols = min(g.columns.block, g.ow - col0)
    cdef Py_ssize_t k, i, j, run, out_row = g.yh if g.in_place else cols
    cdef Py_ssize_t runs = runs_of(g), all_taps = g.r if g.tall else g.taps
    cdef floating *tile = band + g.band_size
    cdef floating *more = tile + g.tile_size
    cdef floating *target = y + image * g.yn + row0 * g.yh + col0 * g.yw    # of filter 0
    cdef floating *out
    fill(g, x + image * g.xn + channel * g.xc, row_block, col_block, value, band)
    for k in range(channel * g.multiplier, (channel + 1) * g.multiplier):
        out = target + k * g.yk if g.in_place else tile
        convolve_taps(g, 0, part(all_taps, runs, 1), w + k * g.taps, bias[k], band, out, out_row, rows, cols)
        for run in range(1, runs):
            convolve_taps(g, part(all_taps, runs, run), part(all_taps, runs, run + 1), w + k * g.taps, 0, band, more, cols, rows, cols)
            for i in range(rows):
                for j in range(cols):
                    out[i * out_row + j] += more[i * cols + j]
        if g.activation:
            if out_row == cols:
                activate(g.activation, out, rows * cols, g.slope)
            else:
                for i in range(rows):
                    activate(g.activation, out + i * out_row, cols, g.slope)
        if not g.in_place:
            for i in range(rows):
                for j in range(cols):
                    target[k * g.yk + i * g.yh + j * g.yw] = tile[i * cols + j]


cdef void pack_weights(const Shape *g, const floating *w, const floating *bias, Py_ssize_t bias_step, floating *packed,
                       floating *packed_bias) noexcept nogil:
    """To [filter][tap]."""
    cdef Py_ssize_t k, r, s
    for k in range(g.k):
        packed_bias[k] = bias[k * bias_step] if bias != NULL else 0
        for r in range(g.r):
            for s in range(g.s):
                packed[k * g.taps + r * g.s + s] = w[k * g.wk + r * g.wr + s * g.ws]


cdef int forward_team(const Shape *g) noexcept:
    """Threads for a forward pass, from its ns on one: what an output costs in memory traffic, plus its taps."""
    return threads.team(g.n * g.k * g.oh * g.ow * (0.15 + 0.03 * g.taps))


cdef Py_ssize_t packed_size(const Shape *g) noexcept nogil:
    return ceildiv(g.k * (g.taps + 1), 16) * 16


cdef Py_ssize_t forward_bytes(Layout layout, bint alone):
    """What conv2d takes at a time, tables and all, with the threads that it would use now, or alone, where too long a sum does not fit."""
    cdef const Shape *g = &layout.shape
    cdef depthwise_channels.Shape *channels = &layout.channels
    cdef Py_ssize_t size = layout.key[31], taps = layout.key[10] * layout.key[11]
    cdef int team
    if alone and size == sizeof(float) and taps > MOST_TAPS:
        return MOST // MOST_TAPS * min(taps, ENDLESS) + MOST
    if not layout.channel_lanes:
        team = 1 if alone else forward_team(g)
        return most_bytes(g, (packed_size(g) + team * forward_size(g)) * size)
    if channels.planes:
        team = 1 if alone else threads.team(depthwise_planes.work(channels))
        return depthwise_channels.table_bytes(channels) + depthwise_planes.convolve_bytes(channels, size, team)
    team = 1 if alone else threads.team(depthwise_channels.work(channels))
    return depthwise_channels.table_bytes(channels) + depthwise_channels.convolve_bytes(channels, size, team)


cdef convolve(const Shape *g, const floating *x, const floating *w, const floating *bias, Py_ssize_t bias_step, floating *y,
              floating value):
    cdef int team = forward_team(g)
    cdef Py_ssize_t unit, units = g.n * g.rows.blocks * g.columns.blocks * g.c
    cdef Py_ssize_t scratch_size = forward_size(g)
    cdef Block memory = take((packed_size(g) + team * scratch_size) * sizeof(floating))
    cdef floating *weights = <floating *>memory.data
    cdef floating *biases = weights + g.k * g.taps
    cdef floating *scratch = weights + packed_size(g)
    with nogil:
        pack_weights(g, w, bias, bias_step, weights, biases)
        if team == 1:
            for unit in range(units):
                convolve_plane(g, x, weights, biases, y, value, unit, scratch)
        else:
            for unit in prange(units, num_threads=team, schedule="static"):
                convolve_plane(g, x, weights, biases, y, value, unit, scratch + threadid() * scratch_size)


cdef convolve_channels(depthwise_channels.Shape *g, const floating *x, const floating *w, const floating *bias,
                       Py_ssize_t bias_step, floating *y, floating value):
    if g.planes:
        depthwise_planes.convolve(g, x, w, bias, bias_step, y, value)
    else:
        depthwise_channels.convolve(g, x, w, bias, bias_step, y, value)


def conv2d(Convolution conv):
    """As product's, where a group has one channel; the bias may have any stride."""
    if cnp.PyArray_SIZE(conv.y) == 0:
        return
    cdef Layout layout = layout_of(conv)
    if layout is None:
        parts.convolve(conv2d, workspace, conv)
        return
    cdef const Problem *p = &conv.problem
    cdef Shape g = layout.shape
    cdef depthwise_channels.Shape channels
    cdef Py_ssize_t bias_step = 0 if conv.bias is None else cnp.PyArray_STRIDE(conv.bias, 0) // cnp.PyArray_ITEMSIZE(conv.bias)
    if layout.channel_lanes:
        channels = layout.channels
        channels.activation, channels.slope = p.activation, p.slope
        if conv.single:
            convolve_channels(&channels, <const float *>p.x, <const float *>p.weights, <const float *>p.bias, bias_step,
                              <float *>p.y, <float>p.value)
        else:
            convolve_channels(&channels, <const double *>p.x, <const double *>p.weights, <const double *>p.bias, bias_step,
                              <double *>p.y, p.value)
        return
    g.activation, g.slope = p.activation, p.slope
    if conv.single:
        convolve(&g, <const float *>p.x, <const float *>p.weights, <const float *>p.bias, bias_step, <float *>p.y, <float>p.value)
    else:
        convolve(&g, <const double *>p.x, <const double *>p.weights, <const double *>p.bias, bias_step, <double *>p.y, p.value)


def workspace(Convolution conv, bint alone):
    """As product's, of a call that finds no layout of an earlier one."""
    cdef Py_ssize_t key[LAYOUT_WORDS]
    fill_key(key, conv)
    return forward_bytes(measured(key, conv.window.stride, conv.window.dilation), alone)


cdef void convolve_pair(const Shape *g, const floating *x, const Py_ssize_t *taps, Py_ssize_t n_even, Py_ssize_t n_taps,
                        const floating *w, floating *y, Py_ssize_t unit, floating *band) noexcept nogil:
    """One (image, channel, block), all filters of the channel, whose results are the even and the odd columns of y."""
    cdef Py_ssize_t col_block = unit % g.columns.blocks, row_block = unit // g.columns.blocks % g.rows.blocks
    cdef Py_ssize_t plane = unit // (g.columns.blocks * g.rows.blocks), channel = plane % g.c, image = plane // g.c
    cdef Py_ssize_t row0 = row_block * g.rows.block, rows = min(g.rows.block, g.oh - row0)
    cdef Py_ssize_t col0 = col_block * g.columns.block, cols = min(g.columns.block, g.ow - col0), k
    fill(g, x + image * g.xn + channel * g.xc, row_block, col_block, <floating>0, band)
    y += image * g.yn + row0 * g.yh + 2 * col0
    for k in range(channel * g.multiplier, (channel + 1) * g.multiplier):
        if floating is float:
            kernels.f32.depthwise_pair(band, g.pitch, taps, n_even, n_taps, w + k * n_taps, y + k * g.yk, g.yh, rows, cols)
        else:
            kernels.f64.depthwise_pair(band, g.pitch, taps, n_even, n_taps, w + k * n_taps, y + k * g.yk, g.yh, rows, cols)


def conv2d_pair(const floating[:, :, :, :] x, const floating[:, :, :, :] even, const floating[:, :, :, :] odd,
                floating[:, :, :, :] y, Py_ssize_t dilation_h, Py_ssize_t top, Py_ssize_t left_even, Py_ssize_t left_odd):
    """conv2d with two sets of filters, whose results are the even and the odd columns of y; nothing is checked.

    Stride 1, zero padding, no dilation of columns, and the columns of y (more than one) must lie side by side. This is
    the data gradient of a stride of 2: written as two passes over every second column it takes 8 ms instead of 2 for
    4 x 96 x 112 x 112 and 3 x 3, as both passes move all of grad_x.
    """
    cdef Shape g
    cdef Py_ssize_t size = sizeof(floating), unit, units, k, r, s, t, p, count
    cdef floating *no_data = NULL
    if y.shape[0] == 0 or y.shape[1] == 0 or y.shape[2] == 0:
        return
    # One filter's worth of columns, wide enough for both.
    cdef Py_ssize_t left = max(left_even, left_odd)
    cdef Py_ssize_t width = max(left - left_even + even.shape[3], left - left_odd + odd.shape[3])
    cdef Py_ssize_t w_shape[4]
    cdef Py_ssize_t y_shape[4]
    w_shape[:] = [even.shape[0], 1, even.shape[2], width]
    y_shape[:] = [y.shape[0], y.shape[1], y.shape[2], y.shape[3] // 2]
    measure(&g, x.shape, x.strides, w_shape, even.strides, y_shape, y.strides, size, vector_length(no_data), (1, 1), (dilation_h, 1))
    cdef Py_ssize_t n_even = g.r * even.shape[3], n_taps = n_even + g.r * odd.shape[3]
    if most_bytes(&g, g.k * n_taps * size + n_taps * sizeof(Py_ssize_t) + g.band_size * size) > MOST:
        conv2d(Convolution(np.asarray(x), np.asarray(even), None, np.asarray(y)[..., ::2],
                           Window((1, 1), (dilation_h, 1), (top, left_even))))
        conv2d(Convolution(np.asarray(x), np.asarray(odd), None, np.asarray(y)[..., 1::2],
                           Window((1, 1), (dilation_h, 1), (top, left_odd))))
        return
    tables = plan(&g, (top, left), CONSTANT)
    cdef Block packed = take(g.k * n_taps * size)
    cdef Block offsets = take(n_taps * sizeof(Py_ssize_t))
    cdef Py_ssize_t *taps = <Py_ssize_t *>offsets.data
    cdef floating *weights = <floating *>packed.data
    for p in range(2):
        count = odd.shape[3] if p else even.shape[3]
        for r in range(g.r):
            for s in range(count):
                t = (n_even if p else 0) + r * count + s
                taps[t] = g.tap_offsets[r * width + left - (left_odd if p else left_even) + s]
                for k in range(g.k):
                    weights[k * n_taps + t] = odd[k, 0, r, s] if p else even[k, 0, r, s]
    cdef int team = threads.team(g.n * g.k * g.oh * g.ow * (0.3 + 0.03 * n_taps))
    cdef Block scratch = take(team * g.band_size * size)
    cdef floating *scratch_data = <floating *>scratch.data
    cdef const floating *xp = &x[0, 0, 0, 0] if g.h and g.w else NULL
    cdef floating *yp = &y[0, 0, 0, 0]
    units = g.n * g.c * g.rows.blocks * g.columns.blocks
    with nogil:
        for unit in prange(units, num_threads=team, schedule="static"):
            convolve_pair(&g, xp, taps, n_even, n_taps, weights, yp, unit, scratch_data + threadid() * g.band_size)
    if y.shape[3] % 2:
        conv2d(Convolution(np.asarray(x), np.asarray(even), None, np.asarray(y)[:, :, :, y.shape[3] - 1:],
                           Window((1, 1), (dilation_h, 1), (top, left_even - y.shape[3] // 2))))


# ---------------------------------------------------------------------------------------------------------------------
# Weight gradient


cdef void end_run(floating *sums, Py_ssize_t taps, Py_ssize_t lanes, double *totals) noexcept nogil:
    """Adds sums, of all lanes, to totals, and begins them anew; behind them there is room for one of each tap."""
    cdef floating *added = sums + taps * lanes
    cdef Py_ssize_t t
    if floating is float:
        kernels.f32.depthwise_weight_sum(sums, taps, added)
    else:
        kernels.f64.depthwise_weight_sum(sums, taps, added)
    for t in range(taps):
        totals[t] += added[t]
    memset(sums, 0, taps * lanes * sizeof(floating))


cdef void correlate_plane(const Shape *g, const floating *x, const floating *dy, floating value, Py_ssize_t channel,
                          Py_ssize_t begin, Py_ssize_t end, floating *band, double *totals) noexcept nogil:
    """Sums of one channel's filters over blocks `begin` to `end` of (image, rows, columns): totals, of the channel's first tap."""
    cdef Py_ssize_t col_block, row_block, image, row0, rows, col0, cols, block, k, f, i, j, dy_row
    cdef Py_ssize_t pixels = 0, taps = g.multiplier * g.taps
    cdef const floating *src
    cdef floating *tile = band + g.band_size
    cdef floating *sums = tile + g.tile_size
    memset(sums, 0, taps * g.lanes * sizeof(floating))
    memset(totals, 0, taps * sizeof(double))
    for block in range(begin, end):
        col_block = block % g.columns.blocks
        row_block = block // g.columns.blocks % g.rows.blocks
        image = block // g.columns.blocks // g.rows.blocks
        row0, col0 = row_block * g.rows.block, col_block * g.columns.block
        rows, cols = min(g.rows.block, g.oh - row0), min(g.columns.block, g.ow - col0)
        if pixels + rows * cols > RUN * g.lanes and pixels:
            end_run(sums, taps, g.lanes, totals)
            pixels = 0
        pixels += rows * cols
        fill(g, x + image * g.xn + channel * g.xc, row_block, col_block, value, band)
        for f in range(g.multiplier):
            k = channel * g.multiplier + f
            src = dy + image * g.yn + k * g.yk + row0 * g.yh + col0 * g.yw
            dy_row = g.yh
            if not g.in_place:
                for i in range(rows):
                    for j in range(cols):
                        tile[i * cols + j] = src[i * g.yh + j * g.yw]
                src, dy_row = tile, cols
            if floating is float:
                kernels.f32.depthwise_weight[g.kernel_stride][g.kernel_size](
                    band, g.pitch, g.tap_offsets, g.taps, src, dy_row, rows, cols, sums + f * g.taps * g.lanes)
            else:
                kernels.f64.depthwise_weight[g.kernel_stride][g.kernel_size](
                    band, g.pitch, g.tap_offsets, g.taps, src, dy_row, rows, cols, sums + f * g.taps * g.lanes)
    end_run(sums, taps, g.lanes, totals)


# A channel's blocks in chunks, if channels are few, by the sizes alone; a thread's scratch in elements, the totals of all.
cdef struct Chunks:
    Py_ssize_t count, blocks, thread_size, totals


cdef Chunks chunks_of(const Shape *g) noexcept nogil:
    cdef Chunks chunks
    chunks.blocks = g.n * g.rows.blocks * g.columns.blocks
    chunks.count = min(chunks.blocks, ceildiv(UNITS, g.c))
    chunks.thread_size = g.band_size + g.tile_size + ceildiv(g.multiplier * g.taps * (g.lanes + 1), 16) * 16
    chunks.totals = chunks.count * g.k * g.taps
    return chunks


cdef Py_ssize_t backward_bytes(Layout layout, bint alone):
    """What conv2d_weight_gradient takes at a time: as forward_bytes."""
    cdef const Shape *g = &layout.shape
    cdef depthwise_channels.Shape *channels = &layout.channels
    cdef Chunks chunks
    cdef Py_ssize_t size = layout.key[31]
    cdef int team
    if not layout.channel_lanes:
        chunks = chunks_of(g)
        team = 1 if alone else forward_team(g)
        return most_bytes(g, team * chunks.thread_size * size + chunks.totals * <Py_ssize_t>sizeof(double))
    if channels.planes:
        team = 1 if alone else threads.team(depthwise_planes.work(channels))
        return depthwise_channels.table_bytes(channels) + depthwise_planes.correlate_bytes(channels, size, team)
    team = 1 if alone else threads.team(depthwise_channels.work(channels))
    return depthwise_channels.table_bytes(channels) + depthwise_channels.correlate_bytes(channels, size, team)


cdef correlate(const Shape *g, const floating *x, const floating *dy, floating *gradient, floating value):
    """gradient, of the weights: filters wk apart, each in one piece."""
    cdef int team = forward_team(g)
    cdef Chunks chunks = chunks_of(g)
    cdef Py_ssize_t size = g.k * g.taps, of_channel = g.multiplier * g.taps, unit, i, k, t
    cdef Block scratch = take(team * chunks.thread_size * sizeof(floating))
    cdef Block partial = take(chunks.totals * sizeof(double))
    cdef double *totals = <double *>partial.data
    with nogil:
        for unit in prange(g.c * chunks.count, num_threads=team, schedule="static"):
            correlate_plane(g, x, dy, value, unit % g.c, unit // g.c * chunks.blocks // chunks.count,
                            (unit // g.c + 1) * chunks.blocks // chunks.count,
                            <floating *>scratch.data + threadid() * chunks.thread_size, totals + unit // g.c * size + unit % g.c * of_channel)
        for i in range(1, chunks.count):
            for t in range(size):
                totals[t] += totals[i * size + t]
        for k in range(g.k):
            for t in range(g.taps):
                gradient[k * g.wk + t] = <floating>totals[k * g.taps + t]


cdef correlate_of(Layout layout, const floating *x, const floating *dy, floating *gradient, floating value):
    if not layout.channel_lanes:
        correlate(&layout.shape, x, dy, gradient, value)
    elif layout.channels.planes:
        depthwise_planes.correlate(&layout.channels, x, dy, gradient, value)
    else:
        depthwise_channels.correlate(&layout.channels, x, dy, gradient, value)


def conv2d_weight_gradient(Convolution conv):
    """As product's."""
    cdef Py_ssize_t key[LAYOUT_WORDS]
    cdef const Problem *p = &conv.problem
    cdef Layout layout
    if cnp.PyArray_SIZE(conv.w) == 0:
        return
    if cnp.PyArray_SIZE(conv.y) == 0:
        conv.w.fill(0)
        return
    fill_key(key, conv)
    layout = measured(key, conv.window.stride, conv.window.dilation)
    if backward_bytes(layout, True) > MOST_BACKWARD:
        parts.weight_gradient(conv2d_weight_gradient, gradient_workspace, conv)
        return
    add_tables(layout, conv.window.origin, conv.window.padding_mode)
    if conv.single:
        correlate_of(layout, <const float *>p.x, <const float *>p.y, <float *>p.weights, <float>p.value)
    else:
        correlate_of(layout, <const double *>p.x, <const double *>p.y, <double *>p.weights, p.value)


def gradient_workspace(Convolution conv, bint alone):
    """As workspace, of conv2d_weight_gradient."""
    cdef Py_ssize_t key[LAYOUT_WORDS]
    fill_key(key, conv)
    return backward_bytes(measured(key, conv.window.stride, conv.window.dilation), alone)
