"""Direct convolution with channels in the vector lanes: an implicit matrix product of pixels by filters.

No lane is lost to narrow rows, so it is the better form of the product for small planes and deep sums; and its outputs are
pixels of channels, which is NHWC as it is. Tiles are 14 pixels x 2 vectors of filters (AVX-512), 7, 14, 28 and 56 being
multiples of 7 or 14.

    for block of output rows (of several images where these are small):
        parallel for vector of input channels (NHWC: row): bands of channel vectors -> X[vector][image][row][column] (L2, L3)
        parallel for group, panel of 2 vectors of filters:
            filters -> B[channel vector][tap][channel][2 vectors]: just before their use, so they stay in L2
            for row: for tile of pixels: micro-kernel over all channels and taps -> Y[pixel][2 vectors] (L2)
            bias and activation on the way; Y -> y

With many blocks each thread takes whole blocks instead, with an X of its own: no thread waits for another. If the packed
filters fit in L2, they are packed once, and X is small enough to stay there beside them. Each thread packs them for itself: to
fetch lines from the other's cache takes longer.

The pixels of X have no more room than their channels, if these are fewer than a vector. In NHWC the tiles go straight to y. A
1 x 1 filter takes only the pixels that it meets, and then a block is one long row; in NHWC there is no X, tiles are read from
x: panel by panel, or, where the packed filters fit in L2, each tile by all panels while it is in L1. Where pixels lie a
multiple of 2 KB apart and so share few sets of L1, a tile has only as many as L1 can hold, 7, and two panels instead. Without
AVX-512 the X of 1 x 1 filters is [image][row][column][channel], as NHWC: the few rows of a tile are streams then.

Narrow groups, of as many channels as filters, lie side by side in one vector, as many as fill it and divide the number of
groups: to fill X and to store they are one group, but B holds a filter's own channels only, and in the tile a lane meets those.

What would take too much scratch (X of a row of many channels, B of filters of very many terms) is cut into parts first: see
parts.py.

Sources: Georganas et al., "Anatomy of high-performance deep learning convolutions on SIMD architectures" (2018).
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange, threadid

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.runtime cimport threads
from fastconv._core.problem.blocks cimport PixelBlock, block_at
from fastconv._core.direct.layout cimport Layout, lay_out, only_met, panel_of, with_groups_joined
from fastconv._core.runtime.isa cimport channel_tile, channel_tile_pair, group_tile, join_pixels, to_lanes, vector_length
from fastconv._core.problem.lanes cimport LaneBand, fill_lanes, fill_pixels, lane_band, lane_positions, store_lanes
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport Problem, activate, ceildiv, part, rounded

cnp.import_array()

cdef enum:
    MOST_LANES = 16

cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch


cdef LaneBand band_of(const Layout *l, const Problem *g, const PixelBlock *block) noexcept nogil:
    cdef LaneBand band = lane_band(g, block.col0 * g.stride_w - g.left, l.band_cols, l.pixel)
    band.row0 = block.row0 * g.stride_h - g.top
    band.rows = input_rows(g, block)
    return band


cdef void fill_block(const Layout *l, const Problem *g, const PixelBlock *block, const floating *x, int channels, floating value,
                     const Py_ssize_t *at, floating *dst) noexcept nogil:
    """One vector of channels of a block; x is its first channel of the first image."""
    cdef Py_ssize_t i
    cdef LaneBand band = band_of(l, g, block)
    for i in range(block.images):
        fill_lanes(g, &band, x + (block.n0 + i) * g.xn, channels, value, at, dst + i * l.image_pitch)


cdef void fill_block_rows(const Layout *l, const Problem *g, const PixelBlock *block, const floating *x, floating value,
                          Py_ssize_t image, Py_ssize_t start, Py_ssize_t stop, floating *dst) noexcept nogil:
    """All channels of rows start .. stop - 1 of one image of a block; x is the first channel of the first image."""
    cdef LaneBand band = band_of(l, g, block)
    fill_pixels(g, &band, start, stop, x + (block.n0 + image) * g.xn, g.c, value, dst + image * l.image_pitch, l.channel_pitch)


cdef inline Py_ssize_t place(int lanes, Py_ssize_t channels, Py_ssize_t taps, Py_ssize_t c, Py_ssize_t tap) noexcept nogil:
    """Where B has a channel and tap, counted in rows of a panel: vectors of channels, fewer in the last one, [tap][channel of the
    vector]."""
    cdef Py_ssize_t first = c // lanes * lanes
    return first * taps + tap * min(lanes, channels - first) + c - first


cdef void place_weights(const Layout *l, const Problem *g, Py_ssize_t width, Py_ssize_t *at) noexcept nogil:
    """The tables of pack_panel: a chunk of channels that fill their vectors, and those of the last vector, which need not."""
    cdef Py_ssize_t c, t, taps = g.r * g.s
    for c in range(l.chunk // l.lanes * l.lanes):
        for t in range(taps):
            at[c * taps + t] = place(l.lanes, l.chunk // l.lanes * l.lanes, taps, c, t) * width
    at += l.chunk * taps
    for c in range(g.own % l.lanes):
        for t in range(taps):
            at[c * taps + t] = place(l.lanes, g.own % l.lanes, taps, c, t) * width


cdef void place_all_weights(const Layout *l, const Problem *g, Py_ssize_t *at) noexcept nogil:
    """Two tables of at_size: of panels of all vectors, and of a narrow one, if there is one."""
    place_weights(l, g, l.width, at)
    if l.narrow:
        place_weights(l, g, l.lanes, at + l.at_size)


cdef inline bint lies_as_it_is(const Problem *g) noexcept nogil:
    """Filters in memory as [k][c][r][s], channels and taps without gaps."""
    return g.wc == g.r * g.s and (g.wc == 1 or (g.ws == 1 and g.wr == g.s))


cdef void pack_panel(const Layout *l, const Problem *g, const floating *w, Py_ssize_t filters, const Py_ssize_t *at,
                     floating *b) noexcept nogil:
    """B of one panel of at most `width` filters, the first at w."""
    cdef Py_ssize_t vectors = ceildiv(filters, l.lanes), width = vectors * l.lanes
    cdef Py_ssize_t v, k, c, n, i, r, s, taps = g.r * g.s, whole = g.own // l.lanes * l.lanes
    cdef Py_ssize_t rows[MOST_LANES]
    cdef int have
    cdef floating *out
    if vectors < l.vectors:
        at += l.at_size
    for v in range(vectors):
        k = v * l.lanes
        have = <int>min(l.lanes, filters - k)
        for i in range(have):
            rows[i] = (k + i) * g.wk
        if lies_as_it_is(g):
            c = 0
            while c < g.own:
                n = min(l.chunk, whole - c) if c < whole else g.own - c
                to_lanes(w + c * g.wc, rows, have, n * taps, b + c * taps * width + k, at if c < whole else at + l.chunk * taps)
                c += n
            continue
        for c in range(g.own):
            for r in range(g.r):
                for s in range(g.s):
                    out = b + place(l.lanes, g.own, taps, c, r * g.s + s) * width + k
                    for i in range(have):
                        out[i] = w[rows[i] + c * g.wc + r * g.wr + s * g.ws]
                    for i in range(have, l.lanes):
                        out[i] = 0


cdef const floating *following(const Layout *l, const Problem *g, const floating *w, const floating *prepared,
                               Py_ssize_t panels) noexcept nogil:
    """What the panel that comes `panels` after the one at w, or at prepared, is made from, if that is one piece; or NULL."""
    if panels == 0 or l.beforehand:
        return NULL
    if prepared != NULL:
        return prepared + panels * l.b_size
    if lies_as_it_is(g) and g.wk == g.own * g.wc:
        return w + panels * l.width * g.wk
    return NULL


cdef void convolve_panels(const Layout *l, const Problem *g, const PixelBlock *block, const floating *x, const floating *w,
                          const floating *bias, floating *y, Py_ssize_t filters, Py_ssize_t next_panel, int activation,
                          double slope, const Py_ssize_t *taps, const Py_ssize_t *at, const floating *prepared,
                          floating *scratch) noexcept nogil:
    """One block by one panel of filters or by a pair, the first filter at w and y; x is the block's first pixel, in the
    group's X or in place; prepared is the first panel's B or NULL; scratch: B, Y, bias. The thread's next panel comes
    next_panel after the first (0: there is none)."""
    cdef Py_ssize_t i, row, q, t, m, tiles, cols, rows, left, lines = g.own * g.r * g.s, panels = ceildiv(filters, l.width)
    cdef Py_ssize_t vectors = ceildiv(filters, l.lanes), width = vectors * l.lanes
    cdef const floating *b = prepared
    cdef const floating *ahead = following(l, g, w, prepared, next_panel)
    cdef const floating *fetched
    cdef floating *result = scratch + panels * l.b_size
    cdef floating *panel_bias = result + panels * l.y_size
    cdef floating *out
    cdef const floating *start
    cdef bint stored = l.stored and filters == width
    cdef Py_ssize_t out_step = g.yw if stored else width
    if prepared == NULL:
        for i in range(panels):
            pack_panel(l, g, w + i * l.width * g.wk, min(l.width, filters - i * l.width), at, scratch + i * l.b_size)
        b = scratch
    if bias == NULL:
        panel_bias = NULL
    else:
        for i in range(width):
            panel_bias[i] = bias[i] if i < filters else 0
    y += block.n0 * g.yn + block.row0 * g.yh + block.col0 * g.yw
    rows, cols = block.images * block.rows, block.cols
    if l.one_row:
        rows, cols = 1, block.pixels
    tiles = ceildiv(cols, l.mr)
    left = rows * tiles
    for row in range(rows):
        start = x + row // block.rows * l.image_step + row % block.rows * l.row_step
        out = y + row // block.rows * g.yn + row % block.rows * g.yh if stored else result + row * cols * width
        for q in range(tiles):
            t = part(cols, tiles, q)
            m = part(cols, tiles, q + 1) - t
            # the last tiles prefetch: what X pushes out of L2 would be lost before its use
            fetched = ahead + (vectors - left) * lines * l.lanes if ahead != NULL and left <= vectors else b
            if g.own < g.c:
                group_tile(<int>m, l.depth, taps, l.n_taps, start + t * l.pixel_step, l.pixel_step, b, out + t * out_step,
                           out_step, panel_bias, fetched)
            elif panels == 2:
                channel_tile_pair(<int>m, l.depth, l.channel_pitch, taps, l.n_taps, start + t * l.pixel_step, l.pixel_step, b,
                                  l.b_size, out + t * out_step, out_step, panel_bias, fetched)
            else:
                channel_tile(<int>vectors, <int>m, l.depth, l.channel_pitch, taps, l.n_taps, start + t * l.pixel_step,
                             l.pixel_step, b, out + t * out_step, out_step, panel_bias, fetched)
            left -= 1
    if stored:
        return
    if activation and not l.stored:
        activate(activation, result, block.pixels * width, slope)
    for i in range(block.images):
        for q in range(vectors):
            store_lanes(g, y + i * g.yn + q * l.lanes * g.yk, <int>min(l.lanes, filters - q * l.lanes), block.rows,
                        block.cols, result + i * block.rows * block.cols * width + q * l.lanes, width)


cdef void activate_block(const Problem *g, const PixelBlock *block, floating *y, int activation, double slope) noexcept nogil:
    """All channels of a block in y, where they and the pixels of a row follow each other."""
    cdef Py_ssize_t i, row
    for i in range(block.images):
        for row in range(block.rows):
            activate(activation, y + (block.n0 + i) * g.yn + (block.row0 + row) * g.yh + block.col0 * g.yw, block.cols * g.yw,
                     slope)


cdef void convolve(const Layout *l, const Problem *g, const floating *x, const floating *w, const floating *bias, floating *y,
                   double value, int activation, double slope, const Py_ssize_t *taps, const Py_ssize_t *at,
                   const Py_ssize_t *weights_at, const floating *prepared, floating *packed, floating *shared,
                   floating *scratch, int team) noexcept nogil:
    """prepared: B of all filters, or NULL; packed: room for it, if it is to be packed before the first block, or NULL. shared,
    scratch and packed belong to a thread each where blocks are private, else shared and packed are one for all."""
    cdef Py_ssize_t b, group, u
    cdef PixelBlock block
    if team == 1:
        if packed != NULL:
            pack_panels(l, g, w, weights_at, packed, 1)
        for u in range(l.blocking.count * g.groups):
            private_block(l, g, u // g.groups, u % g.groups, x, w, bias, y, value, activation, slope, taps, at, weights_at,
                          <const floating *>packed if packed != NULL else prepared, shared, scratch)
        return
    if l.private:
        if packed != NULL:
            for u in prange(team, num_threads=team, schedule="static"):
                pack_panels(l, g, w, weights_at, packed + u * l.filters_size, 1)
        for u in prange(l.blocking.count * g.groups, num_threads=team, schedule="dynamic"):
            private_block(l, g, u // g.groups, u % g.groups, x, w, bias, y, value, activation, slope, taps, at, weights_at,
                          <const floating *>(packed + threadid() * l.filters_size) if packed != NULL else prepared,
                          shared + threadid() * l.x_size, scratch + threadid() * l.thread_size)
        return
    if packed != NULL:
        pack_panels(l, g, w, weights_at, packed, team)
        prepared = packed
    for b in range(l.blocking.count):
        block = block_at(g, &l.blocking, b)
        for group in range(g.groups):
            if not l.in_place:
                for u in prange(fill_steps(l, g, &block), num_threads=team, schedule="static"):
                    fill_step(l, g, &block, group, u, x, <floating>value, at, shared)
            for u in prange(l.steps, num_threads=team, schedule="dynamic"):
                panel_step(l, g, &block, group, u, team, x, shared, w, bias, y, activation, slope, taps,
                           weights_at, prepared, scratch + threadid() * l.thread_size)


cdef void private_block(const Layout *l, const Problem *g, Py_ssize_t index, Py_ssize_t group, const floating *x,
                        const floating *w, const floating *bias, floating *y, double value, int activation, double slope,
                        const Py_ssize_t *taps, const Py_ssize_t *at, const Py_ssize_t *weights_at, const floating *prepared,
                        floating *mine, floating *scratch) noexcept nogil:
    """All of one block and group."""
    cdef PixelBlock block = block_at(g, &l.blocking, index)
    cdef Py_ssize_t u
    if l.each_tile:
        pointwise_block(l, g, &block, x + group * g.c, bias + group * g.k if bias != NULL else bias, y + group * g.k,
                        prepared + group * l.panels * l.b_size, scratch)
    else:
        if not l.in_place:
            for u in range(fill_steps(l, g, &block)):
                fill_step(l, g, &block, group, u, x, <floating>value, at, mine)
        for u in range(l.steps):
            panel_step(l, g, &block, group, u, 1, x, mine, w, bias, y, activation, slope, taps, weights_at, prepared, scratch)
    if activation and l.stored:
        activate_block(g, &block, y, activation, slope)


cdef void pointwise_block(const Layout *l, const Problem *g, const PixelBlock *block, const floating *x, const floating *bias,
                          floating *y, const floating *prepared, floating *scratch) noexcept nogil:
    """One block of a group under 1 x 1 filters, tile by tile, from x to y as they lie. While the first panel works on a tile,
    the next tile's pixels are prefetched. scratch: a tile and the bias of the last panel, where it lacks filters."""
    cdef Py_ssize_t rows = block.images * block.rows, cols = block.cols, row, q, t, m, u, i, k, filters, vectors
    cdef Py_ssize_t tiles, zero = 0, out_step, lacking = g.k % l.lanes
    cdef const floating *src
    cdef const floating *b
    cdef const floating *ahead
    cdef const floating *panel_bias
    cdef floating *last_bias = scratch + l.mr * l.width
    cdef floating *dst
    cdef floating *out
    x += block.n0 * g.xn + block.row0 * g.xh + block.col0 * g.xw
    y += block.n0 * g.yn + block.row0 * g.yh + block.col0 * g.yw
    k = (l.panels - 1) * l.width
    if lacking and bias != NULL:
        for i in range(l.width):
            last_bias[i] = bias[k + i] if k + i < g.k else 0
    if l.one_row:
        rows, cols = 1, block.pixels
    tiles = ceildiv(cols, l.mr)
    for row in range(rows):
        for q in range(tiles):
            t = part(cols, tiles, q)
            m = part(cols, tiles, q + 1) - t
            src = x + row // block.rows * g.xn + row % block.rows * g.xh + t * g.xw
            dst = y + row // block.rows * g.yn + row % block.rows * g.yh + t * g.yw
            for u in range(l.steps):
                k = panel_of(l, u) * l.width
                b = prepared + panel_of(l, u) * l.b_size
                ahead = src + m * g.xw if u == 0 else b
                panel_bias = bias + k if bias != NULL else bias
                if u < l.pairs:
                    channel_tile_pair(<int>m, g.c, l.lanes, &zero, 1, src, g.xw, b, l.b_size, dst + k, g.yw, panel_bias, ahead)
                    continue
                filters = min(l.width, g.k - k)
                vectors = ceildiv(filters, l.lanes)
                out, out_step = dst + k, g.yw
                if filters < vectors * l.lanes:
                    out, out_step = scratch, vectors * l.lanes
                    if bias != NULL:
                        panel_bias = last_bias
                channel_tile(<int>vectors, <int>m, g.c, l.lanes, &zero, 1, src, g.xw, b, out, out_step, panel_bias, ahead)
                if out == scratch:
                    for i in range(vectors):
                        join_pixels(scratch + i * l.lanes, out_step, m, <int>min(l.lanes, filters - i * l.lanes),
                                    dst + k + i * l.lanes, g.yw)


cdef inline Py_ssize_t input_rows(const Problem *g, const PixelBlock *block) noexcept nogil:
    """Of each image of a block."""
    return (block.rows - 1) * g.stride_h + (g.r - 1) * g.dilation_h + 1


cdef Py_ssize_t fill_steps(const Layout *l, const Problem *g, const PixelBlock *block) noexcept nogil:
    """Into how many steps X of a block is cut: where channels come last images, or their rows if threads share a block; else
    vectors of channels."""
    if g.xc == 1:
        return block.images if l.private else block.images * input_rows(g, block)
    return ceildiv(g.c, l.lanes)


cdef void fill_step(const Layout *l, const Problem *g, const PixelBlock *block, Py_ssize_t group, Py_ssize_t step,
                    const floating *x, floating value, const Py_ssize_t *at, floating *dst) noexcept nogil:
    cdef Py_ssize_t c = step * l.lanes, rows = input_rows(g, block)
    x += group * g.c * g.xc
    if g.xc != 1:
        fill_block(l, g, block, x + c * g.xc, <int>min(l.lanes, g.c - c), value, at, dst + step * l.channel_pitch)
    elif l.private:
        fill_block_rows(l, g, block, x, value, step, 0, rows, dst)
    else:
        fill_block_rows(l, g, block, x, value, step // rows, step % rows, step % rows + 1, dst)


cdef void panel_step(const Layout *l, const Problem *g, const PixelBlock *block, Py_ssize_t group, Py_ssize_t step, int team,
                     const floating *x, const floating *packed, const floating *w, const floating *bias, floating *y,
                     int activation, double slope, const Py_ssize_t *taps, const Py_ssize_t *weights_at,
                     const floating *prepared, floating *scratch) noexcept nogil:
    """One panel of a group or a pair of them; `team` threads work on the group. packed is X."""
    cdef Py_ssize_t panel = panel_of(l, step), k = group * g.k + panel * l.width
    convolve_panels(l, g, block,
                    x + group * g.c + block.n0 * g.xn + block.row0 * g.xh + block.col0 * g.xw if l.in_place else packed,
                    w + k * g.wk, bias + k if bias != NULL else bias, y + k * g.yk,
                    min((panel_of(l, step + 1) - panel) * l.width, g.k - panel * l.width),
                    panel_of(l, step + team) - panel if step + team < l.steps else 0, activation, slope, taps, weights_at,
                    prepared + (group * l.panels + panel) * l.b_size if prepared != NULL else prepared, scratch)


cdef void pack_panels(const Layout *l, const Problem *g, const floating *w, const Py_ssize_t *at, floating *b,
                      int team) noexcept nogil:
    """B of all panels of all groups."""
    cdef Py_ssize_t i
    if team == 1:
        for i in range(g.groups * l.panels):
            pack_panel_at(l, g, w, i, at, b)
    else:
        for i in prange(g.groups * l.panels, num_threads=team, schedule="static"):
            pack_panel_at(l, g, w, i, at, b)


cdef void pack_panel_at(const Layout *l, const Problem *g, const floating *w, Py_ssize_t index, const Py_ssize_t *at,
                        floating *b) noexcept nogil:
    """One panel, counted over all groups."""
    cdef Py_ssize_t group = index // l.panels, k = index % l.panels * l.width
    pack_panel(l, g, w + (group * g.k + k) * g.wk, min(l.width, g.k - k), at, b + index * l.b_size)


cdef double work(const Problem *g) noexcept nogil:
    return 2.0 * g.n * g.groups * g.k * g.oh * g.ow * g.own * g.r * g.s / 50


# Bytes of scratch: X, what belongs to a thread, tables and packed filters.
cdef struct Room:
    Py_ssize_t shared, threads, tables, filters


cdef Room room_of(const Problem *g, const Layout *l, int team, const floating *unused) noexcept nogil:
    cdef Room room
    cdef Py_ssize_t copies = team if l.private else 1
    room.shared, room.threads = copies * l.x_size * sizeof(floating), team * l.thread_size * sizeof(floating)
    room.tables = (3 * l.at_size + rounded(g.r * g.s)) * sizeof(Py_ssize_t)
    room.filters = copies * l.filters_size * sizeof(floating) if l.beforehand else 0
    return room


cdef inline Py_ssize_t total(Room room) noexcept nogil:
    return room.shared + room.threads + room.tables + room.filters


cdef bint forward(const Problem *shape, const floating *x, const floating *w, const floating *bias, floating *y, double value,
                  int activation, double slope, Block prepared) except -1:
    """Returns False, with nothing done, where one thread would take too much scratch; prepared filters don't count: the bits
    are the same with and without them."""
    cdef Problem joined = with_groups_joined(shape[0], vector_length(x))
    cdef const Problem *g = &joined
    cdef int team = threads.team(work(g))
    cdef Layout l = lay_out(g, 1, activation, x)
    cdef Room room = room_of(g, &l, 1, x)
    if total(room) > MOST:
        return False
    if team > 1:
        l = lay_out(g, team, activation, x)
        room = room_of(g, &l, team, x)
    cdef Block shared = take(room.shared)
    cdef Block scratch = take(room.threads)
    cdef Block tables = take(room.tables)
    cdef Py_ssize_t *at = <Py_ssize_t *>tables.data
    cdef Py_ssize_t *weights_at = at + l.at_size
    cdef Py_ssize_t *taps = weights_at + 2 * l.at_size
    cdef Py_ssize_t i
    cdef LaneBand band = lane_band(g, 0, l.band_cols, l.pixel)
    lane_positions(g, &band, l.band_rows, at)
    place_all_weights(&l, g, weights_at)
    cdef Py_ssize_t taps_a_row = l.n_taps // g.r
    for i in range(l.n_taps):
        taps[i] = (i // taps_a_row * g.dilation_h * l.band_cols + i % taps_a_row * g.dilation_w) * l.pixel
    cdef Block filters = None
    cdef floating *packed = NULL
    cdef floating *prepared_data = NULL
    if prepared is not None:
        prepared_data = <floating *>prepared.data
    elif l.beforehand:
        filters = take(room.filters)
        packed = <floating *>filters.data
    with nogil:
        convolve(&l, g, x, w, bias, y, value, activation, slope, taps, at, weights_at, prepared_data, packed,
                 <floating *>shared.data, <floating *>scratch.data, team)
    return True


cdef Problem problem_of(Convolution conv) noexcept:
    cdef Problem g = only_met(conv.problem)
    if g.c == 1:
        g.xc = 1    # there is no second one
    return g


def conv2d(Convolution conv, Block prepared=None):
    """As product's."""
    if cnp.PyArray_SIZE(conv.y) == 0:
        return
    cdef Problem g = problem_of(conv)
    cdef bint done
    if conv.single:
        done = forward(&g, <const float *>g.x, <const float *>g.weights, <const float *>g.bias, <float *>g.y, g.value,
                       g.activation, g.slope, prepared)
    else:
        done = forward(&g, <const double *>g.x, <const double *>g.weights, <const double *>g.bias, <double *>g.y, g.value,
                       g.activation, g.slope, prepared)
    if not done:
        parts.convolve(conv2d, workspace, conv)


def prepare(Convolution conv):
    """As product's."""
    cdef Problem g = problem_of(conv)
    return packed[float](&g, NULL) if conv.single else packed[double](&g, NULL)


cdef Block packed(const Problem *problem, const floating *unused):
    cdef Problem g = with_groups_joined(problem[0], vector_length(unused))
    cdef Layout l = lay_out(&g, 1, 0, unused)
    cdef Block filters = take(l.filters_size * sizeof(floating))
    cdef Block table = take(2 * l.at_size * sizeof(Py_ssize_t))
    place_all_weights(&l, &g, <Py_ssize_t *>table.data)
    pack_panels(&l, &g, <const floating *>g.weights, <Py_ssize_t *>table.data, <floating *>filters.data, 1)
    return filters


def workspace(Convolution conv, bint alone):
    """As product's."""
    cdef Problem g = problem_of(conv)
    return scratch_bytes[float](&g, alone, NULL) if conv.single else scratch_bytes[double](&g, alone, NULL)


cdef Py_ssize_t scratch_bytes(const Problem *shape, bint alone, const floating *unused) noexcept:
    cdef Problem g = with_groups_joined(shape[0], vector_length(unused))
    cdef int team = 1 if alone else threads.team(work(&g))
    cdef Layout l = lay_out(&g, team, 0, unused)
    return total(room_of(&g, &l, team, unused))
