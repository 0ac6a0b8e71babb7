"""A block by one panel of filters: see forward.pyx for the loop nest."""

from cython cimport floating

from fastconv._core.direct.filters cimport pack_panel
from fastconv._core.direct.layout cimport DirectLayout, across_images, joins_rows, panel_of, place_pixels
from fastconv._core.problem.filters cimport lie_in_order
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


cdef void multiply(const DirectUnit *u, const DirectPanel *f, const floating *unused) noexcept nogil:
    """All tiles of a block by a panel or a pair."""
    cdef const DirectLayout *l = u.call.l
    cdef const Problem *p = u.call.p
    cdef Py_ssize_t n = u.block.images, rows = u.block.rows, cols = u.block.cols, line, q, t, m, tiles, left, first = 0
    cdef Py_ssize_t vectors = f.vectors, width = f.vectors * l.lanes, mr = l.mr
    cdef Py_ssize_t of_pixels = n * rows, inner = rows, length = cols
    cdef Py_ssize_t outer_step = l.image_step, inner_step = l.row_step, outer_out = f.out_image, inner_out = f.out_row
    cdef Py_ssize_t[FC_MAX_MR] at    # the pixels of a tile of several rows
    cdef const floating *x = first_pixel(u, unused) if l.in_place else <const floating *>u.x
    cdef const floating *b = <const floating *>f.b
    cdef const floating *bias = <const floating *>f.bias
    cdef const floating *ahead = <const floating *>f.ahead
    cdef const floating *upcoming
    cdef const floating *fetched
    cdef const floating *start
    cdef floating *out
    cdef fc_pixels pixels
    pixels.block_stride, pixels.taps, pixels.n_taps = l.channel_pitch, u.call.taps, l.n_taps
    pixels.step, pixels.ldc, pixels.b_panel, pixels.rows = l.pixel_step, f.out_pixel, l.b_size, NULL
    if l.one_row:
        of_pixels, inner, length = 1, 1, u.block.pixels
    if vectors == 1 and p.own == p.c and l.tall > l.mr and length > l.mr:
        mr = l.tall
    elif (joins_rows(l, &u.block) and f.out_row == cols * f.out_pixel
          and (n == 1 or f.out_image == rows * f.out_row)):
        of_pixels, inner, length = 1, 1, u.block.pixels
        pixels.step, pixels.rows = 0, at
    elif not l.one_row and across_images(l, &u.block):
        of_pixels, inner, length = rows * cols, cols, n
        outer_step, inner_step, pixels.step = l.row_step, l.pixel_step, l.image_step
        outer_out, inner_out, pixels.ldc = f.out_row, f.out_pixel, f.out_image
    tiles = ceildiv(length, mr)
    while first < l.depth:
        pixels.channels, pixels.accumulate = min(l.cut, l.depth - first), first > 0
        pixels.activation = activation_of(p, not p.accumulate and first + pixels.channels == l.depth)
        upcoming = ahead
        if u.filters != NULL and first + pixels.channels < l.depth:    # the next part of B
            upcoming = b + pixels.channels * l.n_taps * width
        elif u.filters == NULL and ahead != NULL:
            upcoming = beyond(ahead, first * l.n_taps * width)
        left = of_pixels * tiles
        for line in range(of_pixels):    # a row, or one pixel of all images, or the whole block
            start = x + line // inner * outer_step + line % inner * inner_step
            out = <floating *>f.out + line // inner * outer_out + line % inner * inner_out
            for q in range(tiles):
                t = part(length, tiles, q)
                m = part(length, tiles, q + 1) - t
                if pixels.rows != NULL:
                    place_pixels(l, &u.block, t, m, at)
                # the last tiles prefetch: what X pushes out of L2 would be lost before its use
                fetched = beyond(start, (t + m) * pixels.step) if l.low and l.one_row else b
                if left <= vectors and upcoming != NULL:
                    fetched = beyond(upcoming, (vectors - left) * pixels.channels * l.n_taps * l.lanes)
                if p.own < p.c:
                    group_tile(<int>m, &pixels, start + t * pixels.step, b, out + t * pixels.ldc, bias, fetched)
                elif f.pair:
                    channel_tile_pair(<int>m, &pixels, start + t * pixels.step, b, out + t * pixels.ldc, bias, fetched)
                else:
                    channel_tile(<int>vectors, <int>m, &pixels, start + t * pixels.step, b, out + t * pixels.ldc, bias,
                                 fetched)
                left -= 1
        first += pixels.channels
        x += l.part_pitch
        b += pixels.channels * l.n_taps * width


cdef void panel_step(const void *data, Py_ssize_t step, floating *scratch) noexcept nogil:
    """A block by one panel of a group or by a pair of them. The scratch: B, Y, bias."""
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
