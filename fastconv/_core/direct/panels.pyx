"""A block by one panel of filters: see forward.pyx for the loop nest."""

from cython cimport floating

from fastconv._core.direct.filters cimport pack_panel
from fastconv._core.direct.layout cimport DirectLayout, panel_of
from fastconv._core.direct.tiles cimport (
    IMAGES, JOINED, ROWS, Lines, Rectangle, Tiling, before_all, lines_of, list_taps, next_rectangle, sum_tiles,
)
from fastconv._core.problem.filters cimport are_finite, lie_in_order
from fastconv._core.problem.lanes cimport add_lanes, store_lanes
from fastconv._core.problem.problem cimport Problem, activate, activation_of, beyond, ceildiv, part
from fastconv._core.problem.sums cimport add_pixels
from fastconv._core.runtime.isa cimport channel_tile, channel_tile_pair, group_tile
from fastconv._core.runtime.kernels cimport FC_MAX_MR, fc_pixels

# A panel of filters or a pair of them: B, the bias or NULL, what tiles prefetch for the next one or NULL; where a
# block's pixels go.
cdef struct DirectPanel:
    bint pair
    Py_ssize_t vectors
    const void *b
    const void *bias
    const void *ahead
    void *out
    Py_ssize_t out_image, out_row, out_pixel
    bint finite         # all of B is, or no tap is left out
    Py_ssize_t *taps    # room for those that a rectangle meets, and for the bias of a rectangle
    void *own_bias

# All tiles of a block by such a panel and a part of the depth.
cdef struct DirectPass:
    const DirectUnit *u
    const DirectPanel *f
    Tiling tiling           # tiles of one vector may be taller
    bint joinable           # rows of outputs follow each other
    const void *x
    const void *b
    const void *upcoming    # what the last tiles prefetch, or NULL
    Py_ssize_t left         # tiles
    fc_pixels pixels


cdef const floating *following(const DirectCall *call, const floating *w, const floating *prepared,
                               Py_ssize_t panels) noexcept nogil:
    """What the panel that comes `panels` after the one at w, or at prepared, is made from, if that is one piece; or
    NULL."""
    cdef const Problem *p = call.p
    if panels == 0 or (call.l.beforehand and not call.l.far):
        return NULL
    if prepared != NULL:
        return prepared + panels * call.l.b_size
    if lie_in_order(p) and p.wk == p.own * p.wc:
        return w + panels * call.l.width * p.wk
    return NULL


cdef void place_pixels(const DirectLayout *l, const Rectangle *r, Py_ssize_t first, Py_ssize_t m,
                       Py_ssize_t *at) noexcept nogil:
    """Where m pixels of a rectangle are read, counted over images and rows."""
    cdef Py_ssize_t col = first % r.cols, row = first // r.cols, i, place
    cdef Py_ssize_t next_row = l.row_step - r.cols * l.pixel_step
    cdef Py_ssize_t next_image = l.tiling.image_step - r.rows * l.row_step
    place = row // r.rows * l.tiling.image_step + row % r.rows * l.row_step + col * l.pixel_step
    row %= r.rows
    for i in range(m):
        at[i] = place
        place += l.pixel_step
        col += 1
        if col == r.cols:
            col, row, place = 0, row + 1, place + next_row
            if row == r.rows:
                row, place = 0, place + next_image


cdef bint is_finite(const DirectUnit *u, const floating *b, Py_ssize_t filters) noexcept nogil:
    """Whether all weights of a panel are, as far as it matters: where taps that meet zeros are left out."""
    cdef const DirectLayout *l = u.call.l
    if u.call.finite or not (l.tiling.by_rows or l.tiling.by_columns):
        return True
    return are_finite(b, l.depth * l.tiling.n_taps * filters)


cdef const floating *with_left_out(const DirectUnit *u, const DirectPanel *f, const fc_pixels *pixels,
                                   const floating *unused) noexcept nogil:
    """The bias, and what taps that are left out add to it: zeros times weights, which are NaN for some weights."""
    cdef const DirectLayout *l = u.call.l
    cdef Py_ssize_t panels = 2 if f.pair else 1, width = f.vectors * l.lanes // panels, panel, block, tap, kept, i
    cdef Py_ssize_t terms
    cdef const floating *bias = <const floating *>f.bias
    cdef const floating *b
    cdef floating *sums
    for panel in range(panels):
        b = <const floating *>f.b + panel * l.b_size
        sums = <floating *>f.own_bias + panel * width
        for i in range(width):
            sums[i] = bias[panel * width + i] if bias != NULL else 0
        for block in range(ceildiv(l.depth, l.lanes)):
            terms, kept = min(l.lanes, l.depth - block * l.lanes) * width, 0
            for tap in range(l.tiling.n_taps):
                if kept < pixels.n_taps and pixels.numbers[kept] == tap:
                    kept += 1
                else:
                    for i in range(terms):
                        sums[i % width] += 0 * b[i]
                b += terms
    return <const floating *>f.own_bias


cdef void multiply(const DirectUnit *u, const DirectPanel *f, const floating *unused) noexcept nogil:
    """All tiles of a block by a panel or a pair."""
    cdef const DirectLayout *l = u.call.l
    cdef const Problem *p = u.call.p
    cdef Py_ssize_t first = 0, width = f.vectors * l.lanes
    cdef DirectPass now
    cdef Rectangle r
    now.tiling = l.tiling
    if (f.vectors == 1 and p.own == p.c and l.tall > l.tiling.mr
            and (l.tiling.one_row or not l.tiling.low or u.block.cols > l.tiling.mr)):
        now.tiling.mr, now.tiling.low = l.tall, False
    now.joinable = f.out_row == u.block.cols * f.out_pixel
    now.joinable &= u.block.images == 1 or f.out_image == u.block.rows * f.out_row
    now.u, now.f, now.left = u, f, 0
    now.x = first_pixel(u, unused) if l.in_place else <const floating *>u.x
    now.b = f.b
    now.pixels.block_stride, now.pixels.b_panel, now.pixels.n_all = l.channel_pitch, l.b_size, l.tiling.n_taps
    while first < l.depth:
        now.pixels.channels, now.pixels.accumulate = min(l.cut, l.depth - first), first > 0
        now.pixels.activation = activation_of(p, not p.accumulate and first + now.pixels.channels == l.depth)
        now.upcoming = f.ahead
        if u.filters != NULL and first + now.pixels.channels < l.depth:    # the next part of B
            now.upcoming = <const floating *>now.b + now.pixels.channels * l.tiling.n_taps * width
        elif u.filters == NULL and f.ahead != NULL:
            now.upcoming = beyond(<const floating *>f.ahead, first * l.tiling.n_taps * width)
        if now.upcoming != NULL:
            now.left = sum_tiles(&now.tiling, p, &u.block).tiles
        r = before_all(&u.block)
        while next_rectangle(&now.tiling, p, &u.block, &r):
            multiply_rectangle(&now, &r, unused)
        first += now.pixels.channels
        now.x = <const floating *>now.x + l.part_pitch
        now.b = <const floating *>now.b + now.pixels.channels * l.tiling.n_taps * width


cdef void multiply_rectangle(DirectPass *now, const Rectangle *r, const floating *unused) noexcept nogil:
    cdef const DirectUnit *u = now.u
    cdef const DirectPanel *f = now.f
    cdef const DirectLayout *l = u.call.l
    cdef const Problem *p = u.call.p
    cdef Lines lines = lines_of(&now.tiling, &u.block, r, now.joinable)
    cdef Py_ssize_t inner, outer_step, inner_step, outer_out, inner_out, line, q, t, m, tiles
    cdef Py_ssize_t[FC_MAX_MR] at    # the pixels of a tile of several rows
    cdef const floating *b = <const floating *>now.b
    cdef const floating *x = <const floating *>now.x + r.row * l.row_step + r.col * l.pixel_step
    cdef floating *out = <floating *>f.out + r.row * f.out_row + r.col * f.out_pixel
    cdef const floating *bias = <const floating *>f.bias
    cdef const floating *start
    cdef const floating *fetched
    cdef floating *dst
    cdef fc_pixels *pixels = &now.pixels
    pixels.rows, pixels.taps, pixels.numbers, pixels.n_taps = NULL, u.call.taps, NULL, l.tiling.n_taps
    if r.bottom - r.top < p.r or r.right - r.left < p.s:
        pixels.n_taps = list_taps(&l.tiling, p, r, u.call.taps, f.taps, f.taps + l.tiling.n_taps)
        pixels.taps, pixels.numbers = f.taps, f.taps + l.tiling.n_taps
        if not f.finite:
            bias = with_left_out(u, f, pixels, unused)
    inner, outer_step, inner_step, pixels.step = r.rows, l.tiling.image_step, l.row_step, l.pixel_step
    outer_out, inner_out, pixels.ldc = f.out_image, f.out_row, f.out_pixel
    if lines.along == ROWS:
        inner, inner_step, pixels.step = r.cols, l.pixel_step, l.row_step
        inner_out, pixels.ldc = f.out_pixel, f.out_row
    elif lines.along == IMAGES:
        inner, outer_step, inner_step, pixels.step = r.cols, l.row_step, l.pixel_step, l.tiling.image_step
        outer_out, inner_out, pixels.ldc = f.out_row, f.out_pixel, f.out_image
    elif lines.along == JOINED:
        inner, pixels.step, pixels.rows = 1, 0, at
    tiles = ceildiv(lines.length, now.tiling.mr)
    for line in range(lines.count):
        start = x + line // inner * outer_step + line % inner * inner_step
        dst = out + line // inner * outer_out + line % inner * inner_out
        for q in range(tiles):
            t = part(lines.length, tiles, q)
            m = part(lines.length, tiles, q + 1) - t
            if pixels.rows != NULL:
                place_pixels(l, r, t, m, at)
            # the last tiles prefetch: what X pushes out of L2 would be lost before its use
            fetched = beyond(start, (t + m) * pixels.step) if l.tiling.low and l.tiling.one_row else b
            if now.upcoming != NULL and now.left <= f.vectors:
                fetched = beyond(<const floating *>now.upcoming,
                                 (f.vectors - now.left) * pixels.channels * l.tiling.n_taps * l.lanes)
            if p.own < p.c:
                group_tile(<int>m, pixels, start + t * pixels.step, b, dst + t * pixels.ldc, bias, fetched)
            elif f.pair:
                channel_tile_pair(<int>m, pixels, start + t * pixels.step, b, dst + t * pixels.ldc, bias, fetched)
            else:
                channel_tile(<int>f.vectors, <int>m, pixels, start + t * pixels.step, b, dst + t * pixels.ldc, bias,
                             fetched)
            now.left -= 1


cdef void panel_step(const void *data, Py_ssize_t step, floating *scratch) noexcept nogil:
    """A block by one panel of a group or by a pair of them. The scratch: B, Y, bias, taps."""
    cdef const DirectUnit *u = <const DirectUnit *>data
    cdef const DirectLayout *l = u.call.l
    cdef const Problem *p = u.call.p
    cdef Py_ssize_t panel = panel_of(l, step), k = panel * l.width, filters, panels, width, next_panel = 0, i, q
    cdef const floating *w = <const floating *>p.weights + (u.group * p.k + k) * p.wk
    cdef const floating *prepared = <const floating *>u.filters
    cdef const floating *bias = <const floating *>p.bias
    cdef floating *panel_bias
    cdef floating *result
    cdef floating *y = first_output(u, scratch) + k * p.yk
    cdef DirectPanel f
    filters = min((panel_of(l, step + 1) - panel) * l.width, p.k - k)
    panels, f.vectors = ceildiv(filters, l.width), ceildiv(filters, l.lanes)
    f.pair, width = panels == 2, f.vectors * l.lanes
    result = scratch + panels * l.b_size
    panel_bias = result + panels * l.y_size
    if prepared != NULL:
        prepared += (u.group * l.panels + panel) * l.b_size
    if step + u.team < l.steps:    # the next one of this thread, or about that
        next_panel = panel_of(l, step + u.team) - panel
    f.ahead = following(u.call, w, prepared, next_panel)
    f.b = prepared
    if prepared == NULL:
        for i in range(panels):
            pack_panel(l, p, w + i * l.width * p.wk, min(l.width, filters - i * l.width), u.call.weights_at,
                       scratch + i * l.b_size)
        f.b = scratch
    f.finite = is_finite(u, <const floating *>f.b, min(width, l.width))
    if f.pair:
        f.finite &= is_finite(u, <const floating *>f.b + l.b_size, l.width)
    f.taps, f.own_bias = <Py_ssize_t *>(scratch + l.taps_at), scratch + l.bias_at
    f.bias = NULL
    if bias != NULL:
        bias += u.group * p.k + k
        for i in range(width):
            panel_bias[i] = bias[i] if i < filters else 0
        f.bias = panel_bias
    if l.stored and filters == width:
        f.out, f.out_image, f.out_row, f.out_pixel = y, p.yn, p.yh, p.yw
        multiply(u, &f, scratch)
        return
    f.out, f.out_pixel = result, width
    f.out_row = u.block.cols * width
    f.out_image = u.block.rows * f.out_row
    multiply(u, &f, scratch)
    if p.accumulate and p.yk == 1:
        for i in range(u.block.images):
            add_pixels(p, u.block.rows, u.block.cols, filters, <const floating *>(result + i * f.out_image), width,
                       y + i * p.yn)
        return
    if p.accumulate:
        for i in range(u.block.images):
            for q in range(f.vectors):
                add_lanes(p, y + i * p.yn + q * l.lanes * p.yk, <int>min(l.lanes, filters - q * l.lanes), u.block.rows,
                          u.block.cols, result + i * f.out_image + q * l.lanes, width)
        if p.activation:
            activate(p.activation, result, u.block.pixels * width, p.slope)
    for i in range(u.block.images):
        for q in range(f.vectors):
            store_lanes(p, y + i * p.yn + q * l.lanes * p.yk, <int>min(l.lanes, filters - q * l.lanes), u.block.rows,
                        u.block.cols, result + i * f.out_image + q * l.lanes, width)
