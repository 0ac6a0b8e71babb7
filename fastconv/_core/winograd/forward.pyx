"""Convolution by Winograd's minimal filtering: 3 x 3 with stride 1 and 2, 5 x 5. src_c/winograd.h has the mathematics.

Vector lanes are channels. A strip is a row of 4 x 4 output tiles of one image; a block is so many strips, of several images
where these are small, that what belongs to it stays in a cache; a panel is one or two vectors of output channels. U is the
transformed filters, V the patches of a block, M their products for one panel:

    for block:
        for piece (up to 8 strips of one image), vector of input channels (NHWC: several, as they lie side by side):
            band of channel vectors (L1, L2) -> patches -> V[point][block of up to MR tiles][channel vector][MR]
        for panel:
            filters -> U[point][channel][vectors of the panel], unless all were transformed beforehand
            for point: for MR tiles: micro-kernel over all input channels -> M[point][tile] (L2)
            M -> y: for NHWC from registers, for NCHW and for an activation by way of 4 rows of one vector (L1)

Where the transformed filters are fewer bytes than the patches they are made once, and each thread takes whole blocks with a V
and M of its own in L2. It makes even U for itself where that is small: to write a cache line that another core has read costs
more than to compute it. Where the transformed filters are more, or there are too few strips to keep all threads busy, a block
has as many tiles as L3 holds, threads share its pieces, then its panels, and U of a panel is made just before its use, so that
it never leaves L2. The tiles of a product prefetch what comes next: U of the next point, or filters to be transformed.

Narrow groups, of as many channels as filters, lie side by side in one vector, so that their transforms cost what those of one
group cost; in the products a lane meets the channels of its own group only, U[point][channel of a group][vector], and the tiles
of a block are one run, as U of a point stays in registers.

With dilation each phase of rows and columns is such a convolution, of views of x and y, with the same U.

An output is not finite where an input, a filter or the sum is not, but a transform spreads it over its tile; and it spreads the
rounding error of a pixel that is louder than others by far (src_c/contrast.h) to outputs that do not see it. So rows of tiles of
which one came out not finite, or has such a contrast among its inputs, are computed again as a matrix product.

Source: Lavin, Gray, "Fast algorithms for convolutional neural networks" (2016); the blocking follows Jia, Zlateski, Durand, Li,
"Optimizing N-dimensional, Winograd-based convolution for manycore CPUs" (2018).
"""

import functools

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t
from libc.string cimport memchr, memset

from fastconv._core.problem import parts
from fastconv._core.product import forward as gemm
from fastconv._core.winograd.filters import prepare

from fastconv._core.problem.convolution cimport Convolution, Window
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport channel_tile, kernels
from fastconv._core.runtime.kernels cimport fc_pixels
from fastconv._core.problem.lanes cimport LaneBand, fill_lanes, fill_pixels, lane_band, lane_positions, store_lanes
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport Problem, activate, ceildiv, part, rounded
from fastconv._core.runtime.threads cimport Share, deal, draw
from fastconv._core.winograd.filters cimport lies_as_it_is, pack_panel, pack_panels, place_weights, prepared_bytes, problem_of
from fastconv._core.winograd.layout cimport (
    IN_ONE_PLACE, Layout, channels_of, filters_at_once, filters_of, lay_out, weights_table_size,
)

cnp.import_array()

cdef enum:
    MOST_CONTRAST = 256    # of magnitudes: the energy of a block of pixels against the square of this
    HELD_BYTES = 4 << 20   # of transformed filters, made once for all phases of a dilation
    LARGE_CHANNELS = 512   # see may_be_large
    LARGE_FILTERS = 1 << 16
    LARGE_ROWS = 1 << 18
    LARGE_BYTES = 1 << 20  # of filters that may take several passes

cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch


cdef inline void transform_inputs(int scheme, const floating *band, Py_ssize_t pitch, Py_ssize_t tiles, floating *v,
                                  const Py_ssize_t *at, Py_ssize_t point_stride) noexcept nogil:
    if floating is float:
        kernels.f32.winograd[scheme].inputs(band, pitch, tiles, v, at, point_stride)
    else:
        kernels.f64.winograd[scheme].inputs(band, pitch, tiles, v, at, point_stride)


cdef inline int transform_outputs(int scheme, const floating *m, Py_ssize_t point_stride, Py_ssize_t tile_stride,
                                  Py_ssize_t tiles, const floating *bias, floating *y, Py_ssize_t y_row, Py_ssize_t y_col,
                                  Py_ssize_t rows, Py_ssize_t cols) noexcept nogil:
    if floating is float:
        return kernels.f32.winograd[scheme].outputs(m, point_stride, tile_stride, tiles, bias, y, y_row, y_col, rows, cols)
    else:
        return kernels.f64.winograd[scheme].outputs(m, point_stride, tile_stride, tiles, bias, y, y_row, y_col, rows, cols)


cdef inline int band_contrast(const floating *band, Py_ssize_t pitch, const int32_t *at, Py_ssize_t blocks, int window, int known,
                              floating *energy, floating most) noexcept nogil:
    if floating is float:
        return kernels.f32.band_contrast(band, pitch, at, blocks, window, known, energy, most)
    else:
        return kernels.f64.band_contrast(band, pitch, at, blocks, window, known, energy, most)


cdef inline void group_products(Py_ssize_t depth, Py_ssize_t tiles, const floating *v, const floating *u, floating *m,
                                const floating *ahead) noexcept nogil:
    if floating is float:
        kernels.f32.group_products[depth](tiles, v, u, m, ahead)
    else:
        kernels.f64.group_products[depth](tiles, v, u, m, ahead)


cdef void place_tiles(const Layout *l, Py_ssize_t n_tiles, Py_ssize_t *tile_at) noexcept nogil:
    """Where in V each tile of a block is: in even blocks of at most mr."""
    cdef Py_ssize_t blocks = ceildiv(n_tiles, l.mr), b, t
    for b in range(blocks):
        for t in range(part(n_tiles, blocks, b), part(n_tiles, blocks, b + 1)):
            tile_at[t] = b * l.v_tiles + (t - part(n_tiles, blocks, b)) * l.lanes


cdef void place_blocks(const Layout *l, int32_t *at) noexcept nogil:
    """The table of band_contrast. Where the last row or column of a tile is one too many, the last blocks begin one earlier."""
    cdef Py_ssize_t cols = (l.tiles - 1) * l.step + l.points, row, block, i
    for row in range(l.contrast_window):
        for block in range(l.contrast_blocks):
            at[row * l.contrast_blocks + block] = <int32_t>((min(2 * row, l.points - 2) * cols + min(2 * block, cols - 2)) * l.lanes)
    for i in range(l.lanes):
        at[l.contrast_window * l.contrast_blocks + i] = 0


cdef inline Py_ssize_t piece_of(const Layout *l, Py_ssize_t strip) noexcept nogil:
    """Strips of a piece lie one under the other in one image, so they have a band in common."""
    return strip // l.tile_rows * l.pieces + strip % l.tile_rows // l.piece_strips


cdef void piece_inputs(const Layout *l, const Problem *g, Py_ssize_t first, Py_ssize_t last, const floating *x,
                       Py_ssize_t channels, floating value, const Py_ssize_t *at, const Py_ssize_t *tile_at, floating *band_data,
                       floating *v, char *again) noexcept nogil:
    """Strips first .. last - 1, of one piece, of one or several vectors of channels, to V; x and v are those of the first
    channel, tile_at is the first strip's. Marks rows of tiles whose contrast is too great."""
    cdef Py_ssize_t n = first // l.tile_rows, i, q, step = l.step
    cdef LaneBand band = lane_band(g, n % l.col_blocks * l.tiles * step - g.left, (l.tiles - 1) * step + l.points, l.lanes)
    cdef const floating *strip
    again += n // l.col_blocks * l.tile_rows + first % l.tile_rows
    band.row0 = first % l.tile_rows * step - g.top
    band.rows = (last - first - 1) * step + l.points
    x += n // l.col_blocks * g.xn
    if l.pixels:
        fill_pixels(g, &band, 0, band.rows, x, channels, band_data, l.band_vector)
    else:
        fill_lanes(g, &band, x, <int>channels, value, at, band_data)
    for q in range(ceildiv(channels, l.lanes)):
        for i in range(last - first):
            strip = band_data + q * l.band_vector + i * step * band.pitch
            if l.contrast > 0 and band_contrast(strip, band.pitch, <const int32_t *>(at + l.places_at), l.contrast_blocks,
                                                l.contrast_window, l.contrast_known if i else 0,
                                                band_data + l.vectors_at_once * l.band_vector, <floating>l.contrast):
                again[i] = 1
            transform_inputs(l.scheme, strip, band.pitch, l.tiles, v + q * l.mr * l.lanes, tile_at + i * l.tiles, l.v_point)


cdef inline Py_ssize_t input_units(const Layout *l, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Into how many units the transform of the inputs of strips first .. last - 1 is cut."""
    return (piece_of(l, last - 1) + 1 - piece_of(l, first)) * ceildiv(l.vectors, l.vectors_at_once)


cdef void input_unit(const Layout *l, const Problem *g, Py_ssize_t first, Py_ssize_t last, Py_ssize_t group, Py_ssize_t unit,
                     const floating *x, floating value, const Py_ssize_t *at, const Py_ssize_t *tile_at,
                     floating *band, floating *v, char *again) noexcept nogil:
    cdef Py_ssize_t at_once = l.vectors_at_once * l.lanes, parts = ceildiv(l.vectors, l.vectors_at_once)
    cdef Py_ssize_t piece = piece_of(l, first) + unit // parts, c = unit % parts * at_once
    cdef Py_ssize_t start = piece // l.pieces * l.tile_rows + piece % l.pieces * l.piece_strips
    cdef Py_ssize_t stop = min(start + l.piece_strips, (piece // l.pieces + 1) * l.tile_rows)
    cdef Py_ssize_t channels = min(at_once, channels_of(l, g, group) - c)
    start, stop = max(first, start), min(last, stop)
    if channels > 0:
        piece_inputs(l, g, start, stop, x + (group * l.channels + c) * g.xc, channels, value, at,
                     tile_at + (start - first) * l.tiles, band, v + c * l.mr, again)


cdef inline Py_ssize_t filter_point(const Layout *l, Py_ssize_t point) noexcept nogil:
    return min(point // l.points, l.filter_points - 1) * l.filter_points + min(point % l.points, l.filter_points - 1)


cdef void block_products(const Layout *l, Py_ssize_t n_tiles, Py_ssize_t channels, const floating *v, const floating *u,
                         floating *m, const floating *next_weights) noexcept nogil:
    """M of one block and one panel, at u. While they are computed, tiles prefetch a vector for each channel: U of the next point
    (after the last one, of the next panel) or, towards the end, next_weights, those of one panel, if it is not NULL."""
    cdef Py_ssize_t points = l.points * l.points, blocks = ceildiv(n_tiles, l.mr), zero = 0, point, b, t, later
    cdef int vectors = <int>(l.width // l.lanes)
    cdef const floating *no_bias = NULL
    cdef fc_pixels pixels
    cdef const floating *up
    cdef const floating *next_up = u
    cdef const floating *ahead
    pixels.channels, pixels.block_stride, pixels.taps, pixels.n_taps = channels, l.mr * l.lanes, &zero, 1
    pixels.step, pixels.ldc, pixels.b_panel = l.lanes, l.width, 0
    for point in range(points):
        up = next_up
        next_up = u + (filter_point(l, point + 1) * l.u_point if point + 1 < points else l.u_panel)
        if l.joined > 1:
            group_products(l.depth, n_tiles, v + point * l.v_point, up, m + point * l.m_point, next_up)
            continue
        for b in range(blocks):
            t = part(n_tiles, blocks, b)
            later = (points - 1 - point) * blocks + blocks - 1 - b
            ahead = next_up + min(blocks - 1 - b, vectors - 1) * channels * l.lanes
            if next_weights != NULL and later < vectors * l.taps * l.taps:
                ahead = next_weights + later * channels * l.lanes
            channel_tile(vectors, <int>(part(n_tiles, blocks, b + 1) - t), &pixels, v + point * l.v_point + b * l.v_tiles, up,
                         m + point * l.m_point + t * l.width, no_bias, ahead)


cdef void block_outputs(const Layout *l, const Problem *g, Py_ssize_t first, Py_ssize_t last, Py_ssize_t filters,
                        const floating *m, const floating *bias, floating *y, int activation, double slope,
                        floating *strip_data, char *again) noexcept nogil:
    """M of strips first .. last - 1 to y, whose first of `filters` output channels it is."""
    cdef Py_ssize_t i, k, strip, row, n, col, rows, cols, row_step, col_step, vectors = ceildiv(filters, l.lanes)
    cdef int channels
    cdef bint in_place
    cdef floating *out
    cdef floating *place
    for i in range((last - first) * vectors):
        if g.yk == 1:    # strip by strip, or plane by plane
            strip, k = first + i // vectors, i % vectors * l.lanes
        else:
            strip, k = first + i % (last - first), i // (last - first) * l.lanes
        n = strip // l.tile_rows
        row = strip % l.tile_rows * 4
        col = n % l.col_blocks * l.tiles * 4
        n = n // l.col_blocks
        rows, cols = min(4, g.oh - row), min(4 * l.tiles, g.ow - col)
        if cols <= 0:
            continue
        place = y + n * g.yn + k * g.yk + row * g.yh + col * g.yw
        channels = <int>min(l.lanes, filters - k)
        in_place = g.yk == 1 and channels == l.lanes and not activation
        if in_place:
            out, row_step, col_step = place, g.yh, g.yw
        else:
            out, row_step, col_step = strip_data, cols * l.lanes, l.lanes
        if not transform_outputs(l.scheme, m + (strip - first) * l.tiles * l.width + k, l.m_point, l.width, ceildiv(cols, 4),
                                 bias + k if bias != NULL else bias, out, row_step, col_step, rows, cols):
            again[n * l.tile_rows + strip % l.tile_rows] = 1
        if activation:
            activate(activation, out, rows * cols * l.lanes, slope)
        if not in_place:
            store_lanes(g, place, channels, rows, cols, out, l.lanes)


cdef void panel_stage(const Layout *l, const Problem *g, Py_ssize_t first, Py_ssize_t last, Py_ssize_t group, Py_ssize_t panel,
                      const floating *w, const floating *u_all, const Py_ssize_t *weights_at, const floating *v,
                      const floating *bias, floating *y, int activation, double slope, char *again,
                      floating *scratch) noexcept nogil:
    """Products and outputs of strips first .. last - 1 and one panel of a group; u_all is NULL where it is not made yet."""
    cdef Py_ssize_t k = panel * l.width, i = group * l.panels + panel, filters = min(l.width, filters_of(l, g, group) - k)
    cdef const floating *u = scratch + l.u_at
    cdef const floating *next_weights = NULL
    cdef floating *m = scratch + l.m_at
    if filters <= 0:
        return
    if u_all != NULL:
        u = u_all + i * l.u_panel
    else:
        pack_panel(l, g, w, group, k, weights_at, scratch + l.weights_at, scratch + l.u_at)
        if lies_as_it_is(g):
            next_weights = w + (group * l.filters + k + l.width) * g.wk
    block_products(l, (last - first) * l.tiles, channels_of(l, g, group), v, u, m, next_weights)
    block_outputs(l, g, first, last, filters, m, bias + i * l.width if bias != NULL else bias,
                  y + (group * l.filters + k) * g.yk, activation, slope, scratch + l.strip_at, again)


cdef void private_unit(const Layout *l, const Problem *g, Py_ssize_t unit, const floating *x, const floating *w,
                       const floating *u_all, const floating *bias, floating *y, double value, int activation, double slope,
                       char *again, const Py_ssize_t *at, const Py_ssize_t *weights_at, floating *scratch) noexcept nogil:
    """All of one block and some groups."""
    cdef Py_ssize_t parts = ceildiv(l.groups, l.groups_at_once), i, group, first, last
    cdef Py_ssize_t *tile_at = <Py_ssize_t *>scratch
    cdef floating *v = scratch + l.v_at
    if u_all == NULL:
        u_all = scratch + l.u_at
    first, last = part(l.strips, l.blocks, unit // parts), part(l.strips, l.blocks, unit // parts + 1)
    place_tiles(l, (last - first) * l.tiles, tile_at)
    group = unit % parts * l.groups_at_once
    for group in range(group, min(l.groups, group + l.groups_at_once)):
        for i in range(input_units(l, first, last)):
            input_unit(l, g, first, last, group, i, x, <floating>value, at, tile_at, scratch + l.band_at, v, again)
        for i in range(l.panels):
            panel_stage(l, g, first, last, group, i, w, u_all, weights_at, v, bias, y, activation, slope, again, scratch)


cdef void private_share(const Layout *l, const Problem *g, const floating *x, const floating *w, const floating *u_all,
                        const floating *bias, floating *y, double value, int activation, double slope, char *again,
                        const Py_ssize_t *at, const Py_ssize_t *weights_at, floating *scratch, Share *shares, int team,
                        int thread) noexcept nogil:
    """What one thread does of all blocks; u_all is NULL where each has a copy of U."""
    cdef Py_ssize_t unit = draw(shares, team, thread)
    if unit >= 0 and u_all == NULL:
        pack_panels(l, g, w, weights_at, 0, l.groups * l.panels, scratch + l.weights_at, scratch + l.u_at)
    while unit >= 0:
        private_unit(l, g, unit, x, w, u_all, bias, y, value, activation, slope, again, at, weights_at, scratch)
        unit = draw(shares, team, thread)


cdef void private_blocks(const Layout *l, const Problem *g, const floating *x, const floating *w, const floating *u_all,
                         const floating *bias, floating *y, double value, int activation, double slope, char *again,
                         const Py_ssize_t *at, const Py_ssize_t *weights_at, floating *scratch, Share *shares,
                         int team) noexcept nogil:
    """Blocks in parallel."""
    cdef int t
    deal(shares, team, l.blocks * ceildiv(l.groups, l.groups_at_once))
    if team == 1:
        private_share(l, g, x, w, u_all, bias, y, value, activation, slope, again, at, weights_at, scratch, shares, 1, 0)
        return
    for t in prange(team, num_threads=team, schedule="static"):
        private_share(l, g, x, w, u_all, bias, y, value, activation, slope, again, at, weights_at,
                      scratch + t * l.thread_size, shares, team, t)


cdef void input_share(const Layout *l, const Problem *g, Py_ssize_t first, Py_ssize_t last, Py_ssize_t group, const floating *x,
                      floating value, const Py_ssize_t *at, const Py_ssize_t *tile_at, floating *v, char *again,
                      floating *scratch, Share *shares, int team, int thread) noexcept nogil:
    """What one thread does of the inputs of a shared block."""
    cdef Py_ssize_t unit = draw(shares, team, thread)
    while unit >= 0:
        input_unit(l, g, first, last, group, unit, x, value, at, tile_at, scratch + l.band_at, v, again)
        unit = draw(shares, team, thread)


cdef void panel_share(const Layout *l, const Problem *g, Py_ssize_t first, Py_ssize_t last, Py_ssize_t group, const floating *w,
                      const floating *u_all, const Py_ssize_t *weights_at, const floating *v, const floating *bias, floating *y,
                      int activation, double slope, char *again, floating *scratch, Share *shares, int team,
                      int thread) noexcept nogil:
    """What one thread does of the panels of a shared block."""
    cdef Py_ssize_t panel = draw(shares, team, thread)
    while panel >= 0:
        panel_stage(l, g, first, last, group, panel, w, u_all, weights_at, v, bias, y, activation, slope, again, scratch)
        panel = draw(shares, team, thread)


cdef void shared_blocks(const Layout *l, const Problem *g, const floating *x, const floating *w, const floating *u_all,
                        const floating *bias, floating *y, double value, int activation, double slope, char *again,
                        const Py_ssize_t *at, const Py_ssize_t *weights_at, Py_ssize_t *tile_at, floating *v,
                        floating *scratch, Share *shares, int team) noexcept nogil:
    """One block after the other, each in parallel; u_all is NULL where panels of U are made just before their use."""
    cdef Py_ssize_t block, group, first, last
    cdef int t
    for block in range(l.blocks):
        first, last = part(l.strips, l.blocks, block), part(l.strips, l.blocks, block + 1)
        place_tiles(l, (last - first) * l.tiles, tile_at)
        for group in range(l.groups):
            deal(shares, team, input_units(l, first, last))
            if team == 1:
                input_share(l, g, first, last, group, x, <floating>value, at, tile_at, v, again, scratch, shares, 1, 0)
            else:
                for t in prange(team, num_threads=team, schedule="static"):
                    input_share(l, g, first, last, group, x, <floating>value, at, tile_at, v, again,
                                scratch + t * l.thread_size, shares, team, t)
            deal(shares, team, l.panels)
            if team == 1:
                panel_share(l, g, first, last, group, w, u_all, weights_at, v, bias, y, activation, slope, again, scratch,
                            shares, 1, 0)
            else:
                for t in prange(team, num_threads=team, schedule="static"):
                    panel_share(l, g, first, last, group, w, u_all, weights_at, v, bias, y, activation, slope, again,
                                scratch + t * l.thread_size, shares, team, t)


cdef double work(const Problem *g) noexcept nogil:
    return 2.0 * g.n * g.groups * g.k * g.oh * g.ow * g.c * g.r * g.s / 200


cdef Py_ssize_t tables_bytes(const Layout *l, Py_ssize_t size) noexcept nogil:
    """Of the table of positions, that of a shared block's tiles, the bias, and the table of load_filters."""
    return (2 * l.table_size + rounded(l.groups * l.panels * l.width)) * size + weights_table_size(l) * sizeof(Py_ssize_t)


cdef Block forward(const Problem *g, const floating *x, const floating *w, const floating *bias, floating *y, double value,
                   int activation, double slope, Block prepared, Py_ssize_t held, bint any_contrast):
    """Returns a flag for each row of tiles of each image: whether it must be computed again. `held` as for lay_out."""
    cdef int team = threads.team(work(g))
    cdef Layout l = lay_out(g, x, prepared is not None, held, team)
    cdef Py_ssize_t i, j, size = sizeof(floating), biases = l.groups * l.panels * l.width if bias != NULL else 0
    cdef Block tables = take(tables_bytes(&l, size))
    cdef Block scratch = take(team * l.thread_size * size)
    cdef Block v = take(0 if l.private else l.v_size * size)
    cdef Block filters = prepared
    if prepared is None and l.place == IN_ONE_PLACE:
        filters = take(l.u_size * size)
    cdef Block flags = take(g.n * l.tile_rows)
    cdef Block shares = take(team * sizeof(Share))
    cdef floating *scratch_data = <floating *>scratch.data
    cdef floating *u_data = <floating *>filters.data if filters is not None else NULL
    cdef Py_ssize_t *at = <Py_ssize_t *>tables.data
    cdef Py_ssize_t *tile_at = <Py_ssize_t *>(tables.data + l.table_size * size)
    cdef floating *bias_data = <floating *>tables.data + 2 * l.table_size if bias != NULL else NULL
    cdef Py_ssize_t *weights_at = <Py_ssize_t *>(tables.data + tables_bytes(&l, size)) - weights_table_size(&l)
    cdef LaneBand band
    for i in range(biases):
        j = i % (l.panels * l.width)
        bias_data[i] = bias[i // (l.panels * l.width) * l.filters + j] if j < filters_of(&l, g, i // (l.panels * l.width)) else 0
    l.contrast = 0 if any_contrast else <double>MOST_CONTRAST * MOST_CONTRAST
    memset(flags.data, 0, g.n * l.tile_rows)
    place_weights(&l, weights_at)
    place_blocks(&l, <int32_t *>(at + l.places_at))
    if not l.pixels:
        band = lane_band(g, 0, (l.tiles - 1) * l.step + l.points, l.lanes)
        lane_positions(g, &band, l.rows, at)
    with nogil:
        if prepared is None and l.place == IN_ONE_PLACE and team == 1:
            pack_panels(&l, g, w, weights_at, 0, l.groups * l.panels, scratch_data + l.weights_at, u_data)
        elif prepared is None and l.place == IN_ONE_PLACE:
            for i in prange(l.groups * l.panels, num_threads=team, schedule="static"):
                pack_panels(&l, g, w, weights_at, i, i + 1, scratch_data + threadid() * l.thread_size + l.weights_at, u_data)
        if l.private:
            private_blocks(&l, g, x, w, u_data, bias_data, y, value, activation, slope, flags.data, at, weights_at,
                           scratch_data, <Share *>shares.data, team)
        else:
            shared_blocks(&l, g, x, w, u_data, bias_data, y, value, activation, slope, flags.data, at, weights_at, tile_at,
                          <floating *>v.data, scratch_data, <Share *>shares.data, team)
    return flags


cdef Py_ssize_t pass_of(Convolution conv):
    """Filters, of all groups, that are computed in one pass: see filters_at_once."""
    cdef Problem g = problem_of(conv)
    cdef int team = threads.team(work(&g))
    return g.groups * (filters_at_once[float](&g, NULL, team) if conv.single else filters_at_once[double](&g, NULL, team))


cdef bint may_be_large(const Problem *g) noexcept:
    """Whether the scratch may be more than its bound, so that it is worth while to find out: it holds a panel of transformed
    filters, a number for each filter and a flag for each row of tiles."""
    return g.c > LARGE_CHANNELS or g.groups * g.k > LARGE_FILTERS or g.n * g.oh > LARGE_ROWS


def conv2d(Convolution conv, Block prepared=None, bint any_contrast=False):
    """As product's, for 3 x 3 filters with stride 1 or 2 and 5 x 5 filters with stride 1; dilation with stride 1 and constant
    padding. With any_contrast nothing is computed again for the contrast of its inputs."""
    cdef const Problem *g = &conv.problem
    cdef Py_ssize_t first, step
    if cnp.PyArray_SIZE(conv.y) == 0:
        return
    if may_be_large(g) and workspace(conv, True) > MOST:
        parts.convolve(functools.partial(conv2d, any_contrast=any_contrast), workspace, conv)
    elif g.dilation_h == 1 and g.dilation_w == 1:
        step = cnp.PyArray_DIM(conv.w, 0)
        if prepared is None and cnp.PyArray_NBYTES(conv.w) > LARGE_BYTES:
            step = pass_of(conv)
        if step >= cnp.PyArray_DIM(conv.w, 0):
            undilated(conv, prepared, 0, any_contrast)
            return
        for first in range(0, cnp.PyArray_DIM(conv.w, 0), step):
            undilated(Convolution(conv.x, conv.w[first:first + step], None if conv.bias is None else conv.bias[first:first + step],
                                  conv.y[:, first:first + step], conv.window, conv.epilogue), None, 0, any_contrast)
    else:
        dilated(conv, prepared, any_contrast)


cdef undilated(Convolution conv, Block prepared, Py_ssize_t held, bint any_contrast):
    cdef Problem g = problem_of(conv)
    cdef Block flags
    cdef Py_ssize_t image, first, last, rows = ceildiv(g.oh, 4)
    cdef char *again
    if conv.single:
        flags = forward(&g, <const float *>g.x, <const float *>g.weights, <const float *>g.bias, <float *>g.y, g.value,
                        g.activation, g.slope, prepared, held, any_contrast)
    else:
        flags = forward(&g, <const double *>g.x, <const double *>g.weights, <const double *>g.bias, <double *>g.y, g.value,
                        g.activation, g.slope, prepared, held, any_contrast)
    if memchr(flags.data, 1, g.n * rows) == NULL:
        return
    for image in range(g.n):
        again, first = flags.data + image * rows, 0
        while first < rows:
            last = first
            while last < rows and again[last]:
                last += 1
            if last > first:
                gemm.conv2d(conv.of(x=conv.x[image:image + 1], y=conv.y[image:image + 1, :, 4 * first:4 * last],
                                    origin=(conv.window.top - 4 * first * g.stride_h, conv.window.left)))
            first = last + 1


cdef dilated(Convolution conv, Block prepared, bint any_contrast):
    """Every dilation-th output meets every dilation-th pixel: so many convolutions without dilation, of parts of x and y. Where the
    transformed filters are small they are made once."""
    cdef Py_ssize_t rows = conv.window.dilation_h, cols = conv.window.dilation_w
    cdef Py_ssize_t row, col, i, j, first_row, first_col, held = 0
    cdef Window phase
    if prepared is None and prepared_bytes(conv) <= HELD_BYTES:
        prepared = prepare(conv)
        held = prepared.size
    for i in range(min(rows, conv.problem.oh)):
        for j in range(min(cols, conv.problem.ow)):
            row, col = i - conv.window.top, j - conv.window.left    # of x: what output (i, j) meets first
            first_row, first_col = (row % rows + rows) % rows, (col % cols + cols) % cols
            phase = Window((1, 1), (1, 1), ((first_row - row) // rows, (first_col - col) // cols), conv.window.padding_mode,
                           conv.window.padding_value)
            undilated(Convolution(conv.x[:, :, first_row::rows, first_col::cols], conv.w, conv.bias, conv.y[:, :, i::rows, j::cols],
                                  phase, conv.epilogue), prepared, held, any_contrast)


def workspace(Convolution conv, bint alone):
    """As product's."""
    return scratch_bytes[float](conv, alone, NULL) if conv.single else scratch_bytes[double](conv, alone, NULL)


cdef Py_ssize_t scratch_bytes(Convolution conv, bint alone, const floating *unused) noexcept:
    cdef Problem g = problem_of(conv)
    cdef Py_ssize_t held = 0
    cdef bint is_dilated = g.dilation_h > 1 or g.dilation_w > 1
    if is_dilated:    # of the first phase, which is the largest
        held = prepared_bytes(conv)
        held = held if held <= HELD_BYTES else 0
        g.h, g.w = ceildiv(g.h, g.dilation_h), ceildiv(g.w, g.dilation_w)
        g.oh, g.ow = ceildiv(g.oh, g.dilation_h), ceildiv(g.ow, g.dilation_w)
        g.xh, g.xw = g.xh * g.dilation_h, g.xw * g.dilation_w
    cdef int team = 1 if alone else threads.team(work(&g))
    if not is_dilated:
        g.k = min(g.k, filters_at_once(&g, unused, team))
    cdef Layout l = lay_out(&g, unused, held > 0, held, team)
    return (held + (l.shared_size + team * l.thread_size) * sizeof(floating) + tables_bytes(&l, sizeof(floating))
            + g.n * l.tile_rows + team * sizeof(Share))
