"""Convolution by Winograd's minimal filtering: 3 x 3 with stride 1 and 2, 5 x 5. src_c/winograd.h has the mathematics.

Vector lanes are channels. A strip is a row of 4 x 4 output tiles of one image; a block is so many strips, of several images
where these are small, that what belongs to it stays in a cache. U is the transformed filters, V the patches, M their products:

    for block:
        for vector of input channels:                                      (in parallel where blocks are few)
            band of channel vectors (L1, L2) -> patches -> V[point][block of up to MR tiles][channel vector][MR]
        for FILTERS output channels:                                       (in parallel where blocks are few)
            filters -> U[point][channel][2 vectors], unless all were transformed beforehand
            for point: for 2 vectors of output channels: for MR tiles: micro-kernel over all input channels -> M[point][tile]
            M -> 4 rows of outputs (L1), bias and activation -> y

Where the transformed filters are small they are made once and blocks run in parallel, each with a V and M of its own in L2.
Where they are large they would fall out of the cache between blocks: then a block has as many tiles as L3 holds, and filters
are transformed FILTERS at a time, just before their use. Narrow groups are joined until they fill a vector, with zeros for the
filters between them: their transforms cost what they would cost alone.

An output is not finite where an input, a filter or the sum is not, but a transform spreads it over its tile. So an image in
which a tile came out not finite is computed again as a matrix product.

Source: Lavin, Gray, "Fast algorithms for convolutional neural networks" (2016); the blocking follows Jia, Zlateski, Durand, Li,
"Optimizing N-dimensional, Winograd-based convolution for manycore CPUs" (2018).
"""

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange, threadid

from fastconv._core import gemm

from fastconv._core cimport threads
from fastconv._core.isa cimport channel_tile, kernels, tile_rows, to_lanes, vector_length
from fastconv._core.kernels cimport FC_F43, FC_F43_STRIDE_2, FC_F45, FC_MAX_NV
from fastconv._core.lanes cimport LaneBand, fill_lanes, lane_band, lane_positions, position_count, store_lanes
from fastconv._core.memory cimport Block, take
from fastconv._core.shape cimport Shape, activate, ceildiv, filters_alone, part, rounded, shape_of, shape_of_arrays

cnp.import_array()

cdef enum:
    FILTERS_BYTES = 1 << 20  # transformed filters of a group up to this size are all made beforehand
    ALL_FILTERS_BYTES = 16 << 20  # and of all groups
    PRIVATE_BYTES = 512 << 10    # V and M of a block that is one thread's
    SHARED_BYTES = 8 << 20   # V of a block that all threads work on
    STRIP_TILES = 64         # of a strip at most
    CHANNELS_AT_ONCE = 64    # of filters, transposed for their transform
    MOST_LANES = 16

# What is the same for all blocks of a call.
cdef struct Layout:
    int scheme, points, filter_points, taps, step, lanes, mr
    Py_ssize_t groups, channels, filters     # after groups were joined, of all but the last
    Py_ssize_t joined                        # groups in one
    Py_ssize_t tiles, col_blocks, tile_rows  # tiles of a strip; strips side by side; rows of tiles of an image
    Py_ssize_t strips, block_strips, blocks
    Py_ssize_t rows                          # of a band at most
    Py_ssize_t width                         # output channels of one tile of the product
    Py_ssize_t filters_at_once               # output channels of M
    Py_ssize_t u_point, u_panel              # elements from one point, one panel of U to the next
    Py_ssize_t v_point, v_tiles              # elements from one point, one block of mr tiles of V to the next
    Py_ssize_t m_point
    bint beforehand                          # all filters are transformed before the first block, and blocks are private
    # scratch, in elements: its arrays, and all of one thread, all that is shared
    Py_ssize_t at_size, band_size, weights_size, u_size, v_size, m_size, strip_size, thread_size, shared_size


cdef inline Py_ssize_t channels_of(const Layout *l, const Shape *g, Py_ssize_t group) noexcept nogil:
    return min(l.channels, g.groups * g.c - group * l.channels) if l.joined > 1 else l.channels


cdef inline Py_ssize_t filters_of(const Layout *l, const Shape *g, Py_ssize_t group) noexcept nogil:
    return min(l.filters, g.groups * g.k - group * l.filters) if l.joined > 1 else l.filters


cdef inline void transform_inputs(int scheme, const floating *band, Py_ssize_t pitch, Py_ssize_t tiles, floating *v,
                                  const Py_ssize_t *at, Py_ssize_t point_stride) noexcept nogil:
    if floating is float:
        kernels.f32.winograd[scheme].inputs(band, pitch, tiles, v, at, point_stride)
    else:
        kernels.f64.winograd[scheme].inputs(band, pitch, tiles, v, at, point_stride)


cdef inline void transform_filters(int scheme, const floating *w, Py_ssize_t channels, floating *u, Py_ssize_t point_stride,
                                   Py_ssize_t channel_stride) noexcept nogil:
    if floating is float:
        kernels.f32.winograd[scheme].filters(w, channels, u, point_stride, channel_stride)
    else:
        kernels.f64.winograd[scheme].filters(w, channels, u, point_stride, channel_stride)


cdef inline int transform_outputs(int scheme, const floating *m, Py_ssize_t point_stride, Py_ssize_t tile_stride,
                                  Py_ssize_t tiles, const floating *bias, floating *y, Py_ssize_t rows,
                                  Py_ssize_t cols) noexcept nogil:
    if floating is float:
        return kernels.f32.winograd[scheme].outputs(m, point_stride, tile_stride, tiles, bias, y, rows, cols)
    else:
        return kernels.f64.winograd[scheme].outputs(m, point_stride, tile_stride, tiles, bias, y, rows, cols)


cdef inline bint lies_as_it_is(const Shape *g) noexcept nogil:
    """Filters in memory as [k][c][r][s], channels and taps without gaps."""
    return g.ws == 1 and g.wr == g.s and g.wc == g.r * g.s


cdef inline bint lies_turned(const Shape *g) noexcept nogil:
    """Filters in memory as [c][k][r][s] without gaps, to be read with their taps backwards: those of a data gradient."""
    return g.ws == -1 and g.wr == -g.s and g.wk == g.r * g.s and g.wc == g.k * g.wk


cdef void load_filters(const Layout *l, const Shape *g, const floating *w, int filters, Py_ssize_t first, Py_ssize_t channels,
                       bint last, const Py_ssize_t *at, floating *dst) noexcept nogil:
    """dst[channel][tap][lane]: `channels` channels from `first` on of `filters` filters, the first at w; the other lanes 0.
    `last` says that the group's last filter is among them: what lies behind it may be the end of the array."""
    cdef Py_ssize_t c, i, t, r, s, taps = l.taps * l.taps, whole = ceildiv(taps, l.lanes) * l.lanes
    cdef Py_ssize_t rows[MOST_LANES]
    cdef const floating *src
    for i in range(filters):
        rows[i] = i * g.wk
    if lies_as_it_is(g):
        to_lanes(w + first * g.wc, rows, filters, channels * taps, dst, at)
        return
    for c in range(channels):
        src = w + (first + c) * g.wc
        if lies_turned(g) and filters == l.lanes and not (last and first + c == g.c - 1):
            # Whole vectors from the tap that comes first in memory; those behind the taps go to where they do no harm.
            to_lanes(src - (taps - 1), rows, filters, whole, dst + c * taps * l.lanes, at + CHANNELS_AT_ONCE * taps)
            continue
        for r in range(l.taps):
            for s in range(l.taps):
                t = (c * taps + r * l.taps + s) * l.lanes
                for i in range(filters):
                    dst[t + i] = src[i * g.wk + r * g.wr + s * g.ws]
                for i in range(filters, l.lanes):
                    dst[t + i] = 0


cdef void load_joined_filters(const Layout *l, const Shape *g, const floating *w, int filters, Py_ssize_t channels,
                              floating *dst) noexcept nogil:
    """As load_filters, for joined groups: a filter has zeros for the channels of the others."""
    cdef Py_ssize_t c, i, r, s, t, taps = l.taps * l.taps
    for i in range(channels * taps * l.lanes):
        dst[i] = 0
    for c in range(channels):
        for i in range(filters):
            if c // g.c != i // g.k:
                continue
            for r in range(l.taps):
                for s in range(l.taps):
                    t = (c * taps + r * l.taps + s) * l.lanes
                    dst[t + i] = w[i * g.wk + c % g.c * g.wc + r * g.wr + s * g.ws]


cdef void pack_panel(const Layout *l, const Shape *g, const floating *w, Py_ssize_t group, Py_ssize_t first,
                     const Py_ssize_t *at, floating *weights, floating *u) noexcept nogil:
    """U of one panel: output channels first .. first + width - 1 of a group; w is all filters."""
    cdef Py_ssize_t v, q, k, c, n, filters = filters_of(l, g, group), channels = channels_of(l, g, group)
    cdef int have
    for v in range(l.width // l.lanes):
        k = first + v * l.lanes
        have = <int>max(0, min(l.lanes, filters - k))
        for q in range(ceildiv(channels, CHANNELS_AT_ONCE)):
            c = q * CHANNELS_AT_ONCE
            n = min(CHANNELS_AT_ONCE, channels - c)
            if l.joined > 1:
                load_joined_filters(l, g, w + (group * l.filters + k) * g.wk, have, n, weights)
            else:
                load_filters(l, g, w + (group * l.filters + k) * g.wk, have, c, n, k + l.lanes >= filters, at, weights)
            transform_filters(l.scheme, weights, n, u + v * l.lanes + c * l.width, l.u_point, l.width)


cdef void pack_panels(const Layout *l, const Shape *g, const floating *w, const Py_ssize_t *at, floating *scratch,
                      Py_ssize_t thread_size, floating *u, int team) noexcept nogil:
    """U of all panels of all groups."""
    cdef Py_ssize_t i, panels = ceildiv(l.filters, l.width)
    if team == 1:
        for i in range(l.groups * panels):
            pack_panel(l, g, w, i // panels, i % panels * l.width, at, scratch, u + i * l.u_panel)
        return
    for i in prange(l.groups * panels, num_threads=team, schedule="static"):
        pack_panel(l, g, w, i // panels, i % panels * l.width, at, scratch + threadid() * thread_size, u + i * l.u_panel)


cdef void place_weights(const Layout *l, Py_ssize_t *at) noexcept nogil:
    """The tables of load_filters: taps in order, and one channel's taps backwards with a place for what lies behind them."""
    cdef Py_ssize_t i, taps = l.taps * l.taps
    for i in range(CHANNELS_AT_ONCE * taps):
        at[i] = i * l.lanes
    at += CHANNELS_AT_ONCE * taps
    for i in range(ceildiv(taps, l.lanes) * l.lanes):
        at[i] = (taps - 1 - i if i < taps else taps) * l.lanes


cdef Py_ssize_t segment(const Layout *l, Py_ssize_t strip, Py_ssize_t stop) noexcept nogil:
    """How many strips from this one on, before stop, lie one under the other in one image."""
    return min(stop - strip, l.tile_rows - strip % l.tile_rows)


cdef void block_inputs(const Layout *l, const Shape *g, Py_ssize_t first, Py_ssize_t last, const floating *x, int channels,
                       floating value, const Py_ssize_t *at, const Py_ssize_t *tile_at, floating *band_data,
                       floating *v) noexcept nogil:
    """One vector of channels of strips first .. last - 1, to V; x is its first channel."""
    cdef Py_ssize_t strip = first, n, count, i, step = l.step
    cdef LaneBand band
    while strip < last:
        count = segment(l, strip, last)
        n = strip // l.tile_rows
        band = lane_band(g, n % l.col_blocks * l.tiles * step - g.left, (l.tiles - 1) * step + l.points, l.lanes)
        band.row0 = strip % l.tile_rows * step - g.top
        band.rows = (count - 1) * step + l.points
        fill_lanes(g, &band, x + n // l.col_blocks * g.xn, channels, value, at, band_data)
        for i in range(count):
            transform_inputs(l.scheme, band_data + i * step * band.pitch, band.pitch, l.tiles, v,
                             tile_at + (strip - first + i) * l.tiles, l.v_point)
        strip += count


cdef void block_products(const Layout *l, Py_ssize_t n_tiles, Py_ssize_t channels, Py_ssize_t filters, const floating *v,
                         const floating *u, floating *m) noexcept nogil:
    """M of one block, `filters` output channels from the first panel at u on."""
    cdef Py_ssize_t point, p, k, b, i, j, blocks = ceildiv(n_tiles, l.mr), t, zero = 0
    cdef int vectors = <int>(l.width // l.lanes)
    cdef const floating *up
    cdef const floating *no_bias = NULL
    for point in range(l.points * l.points):
        i = min(point // l.points, l.filter_points - 1)
        j = min(point % l.points, l.filter_points - 1)
        for p in range(ceildiv(filters, l.width)):
            k = p * l.width
            up = u + p * l.u_panel + (i * l.filter_points + j) * l.u_point
            for b in range(blocks):
                t = part(n_tiles, blocks, b)
                channel_tile(vectors, <int>(part(n_tiles, blocks, b + 1) - t), channels, l.mr * l.lanes, &zero, 1,
                             v + point * l.v_point + b * l.v_tiles, l.lanes, up,
                             m + point * l.m_point + t * l.filters_at_once + k, l.filters_at_once, no_bias, up)


cdef void block_outputs(const Layout *l, const Shape *g, Py_ssize_t first, Py_ssize_t last, Py_ssize_t filters,
                        const floating *m, const floating *bias, floating *y, int activation, double slope,
                        floating *out, char *not_finite) noexcept nogil:
    """M of strips first .. last - 1 to y, whose first of `filters` output channels it is."""
    cdef Py_ssize_t p, k, strip, row, n, col, rows, cols
    for p in range(ceildiv(filters, l.lanes)):
        k = p * l.lanes
        for strip in range(first, last):
            n = strip // l.tile_rows
            row = strip % l.tile_rows * 4
            col = n % l.col_blocks * l.tiles * 4
            n = n // l.col_blocks
            rows, cols = min(4, g.oh - row), min(4 * l.tiles, g.ow - col)
            if cols <= 0:
                continue
            if not transform_outputs(l.scheme, m + (strip - first) * l.tiles * l.filters_at_once + k, l.m_point,
                                     l.filters_at_once, ceildiv(cols, 4), bias + k if bias != NULL else bias, out, rows, cols):
                not_finite[n] = 1
            if activation:
                activate(activation, out, rows * cols * l.lanes, slope)
            store_lanes(g, y + n * g.yn + k * g.yk + row * g.yh + col * g.yw, <int>min(l.lanes, filters - k), rows, cols, out, l.lanes)


cdef void place_tiles(const Layout *l, Py_ssize_t n_tiles, Py_ssize_t *tile_at) noexcept nogil:
    """Where in V each tile of a block is: in even blocks of at most mr."""
    cdef Py_ssize_t blocks = ceildiv(n_tiles, l.mr), b, t
    for b in range(blocks):
        for t in range(part(n_tiles, blocks, b), part(n_tiles, blocks, b + 1)):
            tile_at[t] = b * l.v_tiles + (t - part(n_tiles, blocks, b)) * l.lanes


cdef void filter_stage(const Layout *l, const Shape *g, Py_ssize_t block, Py_ssize_t group, Py_ssize_t k,
                       const floating *w, const floating *u_all, const Py_ssize_t *at, const floating *v,
                       const floating *bias, floating *y, int activation, double slope, char *not_finite,
                       floating *scratch) noexcept nogil:
    """Products and outputs of one block and output channels k .. k + filters_at_once - 1 of a group; scratch: weights, U, M, strip."""
    cdef Py_ssize_t first = block * l.block_strips, last = min(l.strips, first + l.block_strips), i
    cdef Py_ssize_t filters = min(l.filters_at_once, filters_of(l, g, group) - k)
    cdef const floating *u = u_all
    cdef floating *m = scratch + l.weights_size + l.u_size
    if u != NULL:
        u += (group * ceildiv(l.filters, l.width) + k // l.width) * l.u_panel
    else:
        for i in range(ceildiv(filters, l.width)):
            pack_panel(l, g, w, group, k + i * l.width, at, scratch, scratch + l.weights_size + i * l.u_panel)
        u = scratch + l.weights_size
    block_products(l, (last - first) * l.tiles, channels_of(l, g, group), filters, v, u, m)
    block_outputs(l, g, first, last, filters, m,
                  bias + group * ceildiv(l.filters, l.width) * l.width + k if bias != NULL else bias,
                  y + (group * l.filters + k) * g.yk, activation, slope, m + l.m_size, not_finite)


cdef void convolve(const Layout *l, const Shape *g, const floating *x, const floating *w, const floating *u_all,
                   const floating *bias, floating *y, double value, int activation, double slope, char *not_finite,
                   floating *shared, floating *scratch, Py_ssize_t scratch_size, int team) noexcept nogil:
    """shared: the tables of pixels, of weights and of tiles, V; scratch, for each thread: band, tables and V where blocks are private, then
    filter_stage's."""
    cdef Py_ssize_t u, block, group, c, first, last, panels = ceildiv(l.filters, l.width), stages, vectors, n
    cdef floating *mine
    cdef Py_ssize_t *at = <Py_ssize_t *>shared
    cdef Py_ssize_t *tile_at
    cdef floating *v
    stages = ceildiv(l.filters, l.filters_at_once)
    vectors = ceildiv(l.channels, l.lanes)
    if l.beforehand and team == 1:
        for u in range(l.blocks * l.groups):
            private_block(l, g, u // l.groups, u % l.groups, x, w, u_all, bias, y, value, activation, slope, not_finite, at, scratch)
        return
    if l.beforehand:
        for u in prange(l.blocks * l.groups, num_threads=team, schedule="dynamic"):
            mine = scratch + threadid() * scratch_size
            private_block(l, g, u // l.groups, u % l.groups, x, w, u_all, bias, y, value, activation, slope, not_finite, at,
                          mine)
        return
    tile_at = <Py_ssize_t *>(shared + 2 * l.at_size)
    v = shared + 3 * l.at_size
    for block in range(l.blocks):
        first = block * l.block_strips
        last = min(l.strips, first + l.block_strips)
        place_tiles(l, (last - first) * l.tiles, tile_at)
        for group in range(l.groups):
            for u in prange(vectors, num_threads=team, schedule="dynamic"):
                n = channels_of(l, g, group) - u * l.lanes
                if n > 0:
                    block_inputs(l, g, first, last, x + (group * l.channels + u * l.lanes) * g.xc, <int>min(l.lanes, n),
                                 <floating>value, at, tile_at, scratch + threadid() * scratch_size,
                                 v + u * l.mr * l.lanes)
            for u in prange(stages, num_threads=team, schedule="dynamic"):
                if u * l.filters_at_once < filters_of(l, g, group):
                    filter_stage(l, g, block, group, u * l.filters_at_once, w, u_all, at + l.at_size * sizeof(floating) // 8, v, bias, y, activation, slope,
                                 not_finite, scratch + threadid() * scratch_size + l.band_size)


cdef void private_block(const Layout *l, const Shape *g, Py_ssize_t block, Py_ssize_t group, const floating *x,
                        const floating *w, const floating *u_all, const floating *bias, floating *y, double value,
                        int activation, double slope, char *not_finite, const Py_ssize_t *at,
                        floating *scratch) noexcept nogil:
    """All of one block and group; scratch: band, table of tiles, V, then filter_stage's."""
    cdef Py_ssize_t first = block * l.block_strips, last = min(l.strips, first + l.block_strips), i
    cdef Py_ssize_t *tile_at = <Py_ssize_t *>(scratch + l.band_size)
    cdef floating *v = scratch + l.band_size + l.at_size
    cdef Py_ssize_t channels = channels_of(l, g, group)
    place_tiles(l, (last - first) * l.tiles, tile_at)
    for i in range(ceildiv(channels, l.lanes)):
        block_inputs(l, g, first, last, x + (group * l.channels + i * l.lanes) * g.xc,
                     <int>min(l.lanes, channels - i * l.lanes), <floating>value, at, tile_at, scratch,
                     v + i * l.mr * l.lanes)
    for i in range(ceildiv(filters_of(l, g, group), l.filters_at_once)):
        filter_stage(l, g, block, group, i * l.filters_at_once, w, u_all, at, v, bias, y, activation, slope, not_finite, v + l.v_size)


cdef Layout lay_out(const Shape *g, const floating *unused) noexcept nogil:
    """Blocks, and where everything lies; from the sizes alone."""
    cdef Layout l
    cdef Py_ssize_t u_all, patch, most_tiles, vectors
    l.scheme = FC_F45 if g.r == 5 else FC_F43 if g.stride_h == 1 and g.stride_w == 1 else FC_F43_STRIDE_2
    l.lanes, l.mr = vector_length(unused), tile_rows(unused)
    if floating is float:
        l.points, l.filter_points = kernels.f32.winograd[l.scheme].points, kernels.f32.winograd[l.scheme].filter_points
        l.taps, l.step = kernels.f32.winograd[l.scheme].taps, kernels.f32.winograd[l.scheme].step
    else:
        l.points, l.filter_points = kernels.f64.winograd[l.scheme].points, kernels.f64.winograd[l.scheme].filter_points
        l.taps, l.step = kernels.f64.winograd[l.scheme].taps, kernels.f64.winograd[l.scheme].step
    l.groups, l.channels, l.filters, l.joined = g.groups, g.c, g.k, 1
    if g.groups > 1 and g.c == g.k and 2 * g.c <= l.lanes:
        l.joined = min(l.lanes // g.c, g.groups)
        l.groups = ceildiv(g.groups, l.joined)
        l.channels = l.filters = l.joined * g.c
    vectors = ceildiv(l.channels, l.lanes)
    # strips
    l.tile_rows = ceildiv(g.oh, 4)
    l.tiles = ceildiv(g.ow, 4)
    l.col_blocks = ceildiv(l.tiles, STRIP_TILES)
    l.tiles = ceildiv(l.tiles, l.col_blocks)
    l.strips = g.n * l.col_blocks * l.tile_rows
    # filters
    l.width = l.lanes if l.filters <= l.lanes else FC_MAX_NV * l.lanes
    l.u_point = l.channels * l.width + l.lanes     # not a power of two apart: all points of a filter would meet in one L1 set
    l.u_panel = l.filter_points * l.filter_points * l.u_point
    u_all = l.groups * ceildiv(l.filters, l.width) * l.u_panel * sizeof(floating)
    l.beforehand = u_all <= FILTERS_BYTES * l.groups and u_all <= ALL_FILTERS_BYTES
    # blocks
    patch = l.points * l.points * sizeof(floating)
    l.filters_at_once = ceildiv(l.filters, l.width) * l.width if l.beforehand else l.width
    if l.beforehand:
        most_tiles = PRIVATE_BYTES // (patch * (vectors * l.lanes + l.filters_at_once))
    else:
        most_tiles = SHARED_BYTES // (patch * vectors * l.lanes)
    l.block_strips = min(l.strips, max(1, most_tiles // l.tiles))
    l.blocks = ceildiv(l.strips, l.block_strips)
    l.block_strips = ceildiv(l.strips, l.blocks)
    l.blocks = ceildiv(l.strips, l.block_strips)
    most_tiles = l.block_strips * l.tiles
    l.v_tiles = vectors * l.mr * l.lanes
    l.v_point = ceildiv(most_tiles, l.mr) * l.v_tiles + l.lanes
    l.m_point = most_tiles * l.filters_at_once + l.lanes
    l.rows = (min(l.block_strips, l.tile_rows) - 1) * l.step + l.points
    # Tables hold Py_ssize_t: two elements each, or one double.
    l.at_size = 2 * rounded(max(max(position_count(g, l.rows), (CHANNELS_AT_ONCE + 1) * l.taps * l.taps + l.lanes), most_tiles))
    l.band_size = rounded(l.rows * ((l.tiles - 1) * l.step + l.points) * l.lanes)
    l.weights_size = 0 if l.beforehand else rounded((CHANNELS_AT_ONCE * l.taps * l.taps + 1) * l.lanes)
    l.u_size = 0 if l.beforehand else rounded(l.filters_at_once // l.width * l.u_panel)
    l.v_size = rounded(l.points * l.points * l.v_point)
    l.m_size = rounded(l.points * l.points * l.m_point)
    l.strip_size = rounded(4 * 4 * l.tiles * l.lanes)
    l.thread_size = l.band_size + l.weights_size + l.u_size + l.m_size + l.strip_size
    if l.beforehand:
        l.thread_size = max(l.thread_size + l.at_size + l.v_size, rounded((CHANNELS_AT_ONCE * l.taps * l.taps + 1) * l.lanes))
    l.shared_size = 3 * l.at_size + (0 if l.beforehand else l.v_size)
    return l


cdef double work(const Shape *g) noexcept nogil:
    return 2.0 * g.n * g.groups * g.k * g.oh * g.ow * g.c * g.r * g.s / 150


cdef Block forward(const Shape *g, const floating *x, const floating *w, const floating *bias, floating *y, double value,
                   int activation, double slope, Block prepared):
    """Returns a flag for each image: whether a tile of it came out not finite."""
    cdef Layout l = lay_out(g, x)
    cdef int team = threads.team(work(g))
    cdef Py_ssize_t panels = ceildiv(l.filters, l.width), i, j, size = sizeof(floating)
    cdef Py_ssize_t thread_size = l.thread_size
    cdef Block shared = take(l.shared_size * size)
    cdef Block scratch = take(team * thread_size * size)
    cdef Block filters = prepared
    if prepared is None and l.beforehand:
        filters = take(l.groups * panels * l.u_panel * size)
    cdef Block biases = take(l.groups * panels * l.width * size if bias != NULL else 0)
    cdef Block flags = take(g.n)
    cdef floating *scratch_data = <floating *>scratch.data
    cdef floating *u_data = <floating *>filters.data if filters is not None else NULL
    cdef floating *bias_data = NULL
    cdef Py_ssize_t *at = <Py_ssize_t *>shared.data
    cdef Py_ssize_t *weights_at = <Py_ssize_t *>(shared.data + l.at_size * size)
    cdef LaneBand band
    if bias != NULL:
        bias_data = <floating *>biases.data
        for i in range(l.groups):
            for j in range(panels * l.width):
                bias_data[i * panels * l.width + j] = bias[i * l.filters + j] if j < filters_of(&l, g, i) else 0
    for i in range(g.n):
        flags.data[i] = 0
    place_weights(&l, weights_at)
    band = lane_band(g, 0, (l.tiles - 1) * l.step + l.points, l.lanes)
    lane_positions(g, &band, l.rows, at)
    with nogil:
        if l.beforehand and prepared is None:
            pack_panels(&l, g, w, weights_at, scratch_data, thread_size, u_data, team)
        convolve(&l, g, x, w, u_data, bias_data, y, value, activation, slope, flags.data, <floating *>shared.data,
                 scratch_data, thread_size, team)
    return flags


def conv2d(cnp.ndarray x, cnp.ndarray w, cnp.ndarray bias, cnp.ndarray y, tuple stride, tuple dilation, tuple origin,
           int padding_mode, double padding_value, int activation, double negative_slope, Block prepared=None):
    """As gemm.conv2d, for 3 x 3 filters with stride 1 or 2 and 5 x 5 filters with stride 1, no dilation."""
    if cnp.PyArray_SIZE(y) == 0:
        return
    cdef Shape g = shape_of_arrays(x, w, y, stride, dilation, origin, padding_mode)
    cdef void *bias_data = NULL if bias is None else cnp.PyArray_DATA(bias)
    cdef Block flags
    cdef Py_ssize_t i
    g.stride_h, g.stride_w = stride
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        flags = forward(&g, <const float *>cnp.PyArray_DATA(x), <const float *>cnp.PyArray_DATA(w), <const float *>bias_data,
                        <float *>cnp.PyArray_DATA(y), padding_value, activation, negative_slope, prepared)
    else:
        flags = forward(&g, <const double *>cnp.PyArray_DATA(x), <const double *>cnp.PyArray_DATA(w), <const double *>bias_data,
                        <double *>cnp.PyArray_DATA(y), padding_value, activation, negative_slope, prepared)
    for i in range(g.n):
        if flags.data[i]:
            gemm.conv2d(x[i:i + 1], w, bias, y[i:i + 1], stride, dilation, origin, padding_mode, padding_value, activation,
                        negative_slope)


def prepare(const floating[:, :, :, :] w, Py_ssize_t groups, tuple stride):
    """The filters transformed once, for conv2d's `prepared`."""
    cdef Shape g = filters_alone(w.shape, w.strides, sizeof(floating), groups, stride)
    cdef floating *no_data = NULL
    cdef Layout l = lay_out(&g, no_data)
    cdef Block filters = take(l.groups * ceildiv(l.filters, l.width) * l.u_panel * sizeof(floating))
    cdef Block scratch = take(rounded((CHANNELS_AT_ONCE * l.taps * l.taps + 1) * l.lanes) * sizeof(floating))
    cdef Block table = take(l.at_size * sizeof(Py_ssize_t))
    place_weights(&l, <Py_ssize_t *>table.data)
    pack_panels(&l, &g, &w[0, 0, 0, 0], <Py_ssize_t *>table.data, <floating *>scratch.data, 0, <floating *>filters.data, 1)
    return filters


def workspace(const floating[:, :, :, :] x, const floating[:, :, :, :] w, const floating[:, :, :, :] y, tuple stride,
              tuple dilation, tuple origin):
    """Bytes of scratch that conv2d takes for such views, whose elements are not looked at."""
    cdef Shape g = shape_of(x.shape, x.strides, w.shape, w.strides, y.shape, y.strides, sizeof(floating), stride, dilation,
                            origin, 0)
    g.stride_h, g.stride_w = stride
    cdef floating *no_data = NULL
    cdef Layout l = lay_out(&g, no_data)
    cdef Py_ssize_t filters = l.groups * ceildiv(l.filters, l.width) * l.u_panel if l.beforehand else 0
    return (l.shared_size + filters + threads.team(work(&g)) * l.thread_size) * sizeof(floating)
