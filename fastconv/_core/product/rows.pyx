"""Filters of one row on one channel with stride 1, as many random filters on a signal (ROCKET): a matrix product whose
pixels need not be packed, because the row of a tap is the row of x, that much further on.

    parallel for row of outputs of an image, block of its columns, part of the filters:
        the row of x with its padding -> band (L1; band.pyx)
        for panel of up to MR filters:
            for tile of two vectors of outputs: micro-kernel, one step a tap -> y, the last tile of a row over the one
                before; or, where y is larger than the caches, -> scratch (L1), and a part of the panel before from
                there -> y, past them: so the memory is busy while the next products are made

There are few steps to a tile, so time goes with y: what is not read before it is written moves half of the bytes.
100 x 271 x 494 outputs of 7 taps are 54 MB: 13.5 ms by the product, 11.1 from the band, 6.2 past the caches (Zen 3, one
thread, of which to fill as many bytes takes 5.6).

Each output is one sum in the order of its taps. Filters are read as [tap][filter], rearranged once for all units.

Source: Dempster, Petitjean, Webb, "ROCKET: exceptionally fast and accurate time series classification using random
convolutional kernels" (2020), for what it serves.
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from fastconv._core.problem.band cimport Band, axis, fill, layout
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, activation_of, ceildiv, part, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport gemm_tile, stream, tile_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_NV, fc_product
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel

cnp.import_array()

cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch

cdef enum:
    COLUMNS = 2048            # of a block: a band, and the rows of a panel, in L1 and L2
    PANELS = 32               # of a unit
    FAR_BYTES = 24 << 20      # of y that no cache keeps
    LINE_BYTES = 64           # of a cache


# How a call is cut; sizes in elements.
cdef struct RowsLayout:
    int lanes, mr, team
    bint streams                       # y is written past the caches
    bint stored                        # tiles go straight to y
    Py_ssize_t cols, col_blocks        # of a block; blocks of a row
    Py_ssize_t panels, units_a_row     # of a group's filters; parts of them
    Py_ssize_t tap_step                # of the band: from one tap to the next
    Py_ssize_t band_size, tile_at, tile_size, thread_size, filters_size


# What the units of a call share: the filters as [group][tap][filter].
cdef struct ChannelRowsCall:
    const Problem *p
    const RowsLayout *l
    void *filters


# So many filters on so many outputs of a row.
cdef struct RowsPanel:
    int filters
    Py_ssize_t cols, depth
    fc_product how


# Outputs that are still to go past the caches to y.
cdef struct StreamedRows:
    const void *src
    void *dst
    Py_ssize_t left


cdef Band band_of(const Problem *p, Py_ssize_t cols, int lanes) noexcept nogil:
    """The band of one row and so many outputs, but for where it starts."""
    cdef Band band
    band.row_stride, band.col_stride, band.padding = p.xh, p.xw, p.padding
    band.rows, band.cols = axis(p.h, 1, 1, 1, 1), axis(p.w, cols, p.s, 1, p.dilation_w)
    layout(&band, lanes)
    return band


cdef RowsLayout lay_out(const Problem *p, int team, const floating *unused) noexcept nogil:
    cdef RowsLayout l
    cdef Band band
    l.lanes, l.mr, l.team = vector_length(unused), tile_rows(unused), team
    l.col_blocks = ceildiv(p.ow, COLUMNS)
    l.cols = ceildiv(p.ow, l.col_blocks)
    l.col_blocks = ceildiv(p.ow, l.cols)
    l.panels = ceildiv(p.k, l.mr)
    l.units_a_row = ceildiv(l.panels, PANELS)
    l.streams = (p.yw == 1 and p.n * p.groups * p.k * p.oh * p.ow * <Py_ssize_t>sizeof(floating) >= FAR_BYTES)
    l.stored = p.yw == 1 and not l.streams and l.cols >= l.lanes
    band = band_of(p, l.cols, l.lanes)
    l.tap_step = band.cols.length if band.cols.period == 0 else p.dilation_w
    l.band_size = rounded(band.pitch + FC_MAX_NV * l.lanes)
    l.tile_at, l.tile_size = l.band_size, 0 if l.stored else rounded(l.mr * max(l.cols, l.lanes))
    l.thread_size = l.tile_at + 2 * l.tile_size
    l.filters_size = p.groups * rounded(p.s * p.k)
    return l


cdef void arrange_filters(const Problem *p, floating *dst) noexcept nogil:
    cdef Py_ssize_t group, t, k
    cdef const floating *w = <const floating *>p.weights
    for group in range(p.groups):
        for t in range(p.s):
            for k in range(p.k):
                dst[t * p.k + k] = w[(group * p.k + k) * p.wk + t * p.ws]
        dst += rounded(p.s * p.k)


cdef inline void store_rows(const Problem *p, const RowsLayout *l, const floating *tile, Py_ssize_t pitch, int filters,
                            Py_ssize_t cols, floating *y) noexcept nogil:
    """The rows of a panel, from the scratch to y."""
    cdef Py_ssize_t i, j
    for i in range(filters):
        if l.streams:
            stream(tile + i * pitch, cols, y + i * p.yk, 0)
        elif p.yw == 1:
            memcpy(y + i * p.yk, tile + i * pitch, cols * sizeof(floating))
        else:
            for j in range(cols):
                y[i * p.yk + j * p.yw] = tile[i * pitch + j]


cdef void stream_some(StreamedRows *rows, Py_ssize_t tiles, const floating *unused) noexcept nogil:
    """What is due with one of so many tiles that are still to come: up to the end of a line."""
    cdef Py_ssize_t n = rows.left if tiles <= 1 else ceildiv(rows.left, tiles), beyond
    cdef const floating *src = <const floating *>rows.src
    cdef floating *dst = <floating *>rows.dst
    if n < rows.left:
        beyond = <Py_ssize_t>(<uintptr_t>(dst + n) % LINE_BYTES) // <Py_ssize_t>sizeof(floating)
        n = max(0, n - beyond)
    if n > 0:
        stream(src, n, dst, 0)
        rows.src, rows.dst, rows.left = src + n, dst + n, rows.left - n


cdef void multiply_panel(const RowsPanel *panel, int lanes, const floating *band, const floating *a, floating *c,
                         const floating *bias, StreamedRows *streamed) noexcept nogil:
    """The filters of a panel on the outputs of a block, which are at least a vector or have room for one; meanwhile
    those of the panel before go to y."""
    cdef Py_ssize_t cols = panel.cols, width = FC_MAX_NV * lanes, tiles = ceildiv(cols, width), i, j
    cdef const fc_product *how = &panel.how
    for i in range(tiles):
        if streamed.left:
            stream_some(streamed, tiles - i, band)
        if cols >= width:
            j = min(i * width, cols - width)
            gemm_tile(FC_MAX_NV, panel.filters, how, panel.depth, a, band + j, c + j, bias)
            continue
        gemm_tile(1, panel.filters, how, panel.depth, a, band, c, bias)
        if cols > lanes:
            j = cols - lanes
            gemm_tile(1, panel.filters, how, panel.depth, a, band + j, c + j, bias)


cdef void convolve_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    cdef const ChannelRowsCall *call = <const ChannelRowsCall *>data
    cdef const Problem *p = call.p
    cdef const RowsLayout *l = call.l
    cdef Py_ssize_t some = index % l.units_a_row, block = index // l.units_a_row % l.col_blocks
    cdef Py_ssize_t line = index // l.units_a_row // l.col_blocks, group, row, n, col, i, k, pitch
    cdef Band band
    cdef RowsPanel panel
    cdef StreamedRows streamed
    cdef const floating *a
    cdef const floating *bias = NULL
    cdef floating *y
    cdef floating *c
    cdef bint in_one_piece
    n, group, row = line // p.oh // p.groups, line // p.oh % p.groups, line % p.oh
    col = part(p.ow, l.col_blocks, block)
    panel.cols, panel.depth = part(p.ow, l.col_blocks, block + 1) - col, p.s
    band = band_of(p, l.cols, l.lanes)
    band.rows.start, band.cols.start = row * p.stride_h - p.top, col - p.left
    fill(&band, <const floating *>p.x + n * p.xn + group * p.xc, 0, 1, <floating>p.value, scratch)
    a = <const floating *>call.filters + group * rounded(p.s * p.k)
    y = <floating *>p.y + n * p.yn + group * p.k * p.yk + row * p.yh + col * p.yw
    if p.bias != NULL:
        bias = <const floating *>p.bias + group * p.k
    pitch = p.yk if l.stored else max(panel.cols, l.lanes)
    in_one_piece = l.streams and p.yk == pitch and panel.cols == pitch
    panel.how.a, panel.how.b, panel.how.b_vector, panel.how.c = p.k, l.tap_step, l.lanes, pitch
    panel.how.accumulate, panel.how.activation = 0, activation_of(p, True)
    streamed.src, streamed.dst, streamed.left = NULL, NULL, 0
    for i in range(part(l.panels, l.units_a_row, some), part(l.panels, l.units_a_row, some + 1)):
        k = part(p.k, l.panels, i)
        panel.filters = <int>(part(p.k, l.panels, i + 1) - k)
        c = y + k * p.yk if l.stored else scratch + l.tile_at + i % 2 * l.tile_size
        multiply_panel(&panel, l.lanes, scratch, a + k, c, bias + k if bias != NULL else bias, &streamed)
        if in_one_piece:
            streamed.src, streamed.dst, streamed.left = c, y + k * p.yk, panel.filters * pitch
        elif not l.stored:
            store_rows(p, l, c, pitch, panel.filters, panel.cols, y + k * p.yk)
    if l.streams:
        stream(<const floating *>streamed.src, streamed.left, <floating *>streamed.dst, 1)


cdef double work(const Problem *p) noexcept nogil:
    return 1.0 * p.n * p.groups * p.k * p.oh * p.ow * (p.s + 8) / 40


cdef inline Py_ssize_t total_bytes(const RowsLayout *l, Py_ssize_t size) noexcept nogil:
    return (l.filters_size + l.team * l.thread_size) * size


cdef bint forward(const Problem *p, const floating *unused) except -1:
    """Returns False, with nothing done, where one thread would take too much scratch."""
    cdef RowsLayout l = lay_out(p, 1, unused)
    cdef ChannelRowsCall call
    cdef Block memory
    if total_bytes(&l, sizeof(floating)) > MOST:
        return False
    l.team = threads.team(work(p))
    memory = take(total_bytes(&l, sizeof(floating)))
    call.p, call.l, call.filters = p, &l, memory.data
    arrange_filters(p, <floating *>memory.data)
    with nogil:
        in_parallel(convolve_unit[floating], &call, p.n * p.groups * p.oh * l.col_blocks * l.units_a_row, l.team,
                    EVENLY, <floating *>memory.data + l.filters_size, l.thread_size)
    return True


def conv2d(Convolution conv not None):
    """As forward's, for filters of one row and one channel, with stride 1 along it."""
    if cnp.PyArray_SIZE(conv.y) == 0:
        return
    if not (forward[float](&conv.problem, NULL) if conv.single else forward[double](&conv.problem, NULL)):
        parts.convolve(conv2d, workspace, conv)


def workspace(Convolution conv not None, bint alone):
    """As forward's."""
    return scratch_bytes[float](&conv.problem, alone, NULL) if conv.single else scratch_bytes[double](
        &conv.problem, alone, NULL)


cdef Py_ssize_t scratch_bytes(const Problem *p, bint alone, const floating *unused) noexcept:
    cdef RowsLayout l = lay_out(p, 1 if alone else threads.team(work(p)), unused)
    return total_bytes(&l, sizeof(floating))
