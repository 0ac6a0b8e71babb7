"""The data gradient with a stride, channels of grad_x in the lanes: all phases in one call. problem/geometry.py has the
derivation.

Each phase is a sum over other taps of the same pixels of grad_output. So these are packed once for all phases,
and so is a filter, whose taps lie together in memory; and the tiles of a phase go where its pixels lie between
those of the others, so that whole rows of grad_x are stored. Rows and columns are counted in steps of the stride:
row m stands for the rows of grad_x that begin at m times the stride, one of each phase.

    for block of rows (of several images where these are small):
        parallel for vector of filters (NHWC: image): bands of grad_output -> X[vector][image][row][column] (L2, L3)
        parallel for panel of 2 vectors of channels, and part of the strips:
            weights -> B[phase][vector of filters][tap][filter][2 vectors] (L2), unless they were packed before
            for strip: for phase: for tile of pixels: micro-kernel over all filters and taps
                -> Y[row of grad_x][column][2 vectors] (L1) -> grad_x (NHWC: straight there)

A strip is one row, or, where rows are shorter than tiles, so many that tiles go on from row to row,
over the columns of X between them: what is computed there is stored nowhere. Where pixels are met by no tap Y is filled
before, with what a transposed convolution has there.

Weights lie as [filter][channel][tap]. The taps of a vector of channels are transposed in registers; where there are
fewer taps than lanes the loads reach into the next channels, and what comes of that goes to a place behind B.

Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016).
"""

from fastconv._core.problem.finish import lay_ground

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.problem.blocks cimport Blocking, PixelBlock, block_at, block_pixels
from fastconv._core.problem.convolution cimport Convolution, Window
from fastconv._core.problem.lanes cimport (
    LaneBand, fill_lanes, fill_pixels, lane_band, lane_positions, position_count, store_lanes,
)
from fastconv._core.problem.problem cimport Problem, ceildiv, part, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport activation, channel_tile, tile_rows, to_lanes, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, FC_MAX_NV, fc_pixels
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, WHEN_READY, in_parallel

cnp.import_array()

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *address) noexcept nogil

cdef enum:
    PIXELS = 1024                # of grad_output, of a block
    INPUT_BYTES = 4 << 20        # of X at most
    FILTERS_BYTES = 512 << 10    # B of all panels up to this size stays in L2 from block to block
    LINE = 64                    # bytes of a line of the caches
    AHEAD = 2                    # filters whose weights are fetched before they are packed
    OUTPUT_BYTES = 512 << 10     # of grad_x, of a block, where a pixel's channels follow each other
    STRIP_BYTES = 64 << 10       # of Y of a strip of several rows


# One phase of rows or columns: its first position and how many there are, its first tap and how many;
# `at` is where in X the last of these meets position 0.
cdef struct AxisPhase:
    Py_ssize_t first, outputs, tap, taps, at


# The phases along one axis, of which there are `count` with taps; `most` positions in steps of the stride;
# pixels of X before the first and all of them.
cdef struct PhasedAxis:
    Py_ssize_t stride, tap_step, dilation, count, most, before, length
    AxisPhase *phases


# Sizes in elements, of tables in numbers.
cdef struct PhasedLayout:
    Blocking blocking
    PhasedAxis rows, columns
    int lanes, mr, team
    Py_ssize_t width, panels, vectors           # channels of a panel; panels; vectors of filters
    Py_ssize_t halo                             # rows of X more than of a block
    Py_ssize_t band_rows, image_pitch, vector_pitch
    Py_ssize_t strip, pieces                    # rows of a strip; parts that the strips of a block are shared out in
    bint covers                                 # each pixel is met by some tap
    bint stored                                 # tiles go straight to grad_x
    bint beforehand                             # B of all panels is packed before the first block
    Py_ssize_t taps                             # of all phases
    Py_ssize_t y_pitch                          # of Y, in pixels
    Py_ssize_t b_size, at_size, y_size, ordered_size, x_size
    Py_ssize_t thread_size, shared_size, table_size


# What the units of a call share. `positions` is the table of fill_lanes; `offsets` where the taps of all phases
# lie in X; `places` of each tap of a filter: how many taps the phases before its own have or -1, its number
# in its own, how many that has.
cdef struct PhasedCall:
    const Problem *g         # x is grad_output, y is grad_x
    const PhasedLayout *l
    Py_ssize_t *positions
    Py_ssize_t *offsets
    Py_ssize_t *places
    PixelBlock block
    void *x
    void *b                  # of all panels, or NULL


# ---------------------------------------------------------------------------------------------------------------------
# B


cdef inline bint taps_follow(const Problem *g) noexcept nogil:
    """Whether the taps of a channel follow each other in memory, channels these, and filters these."""
    cdef Py_ssize_t taps = g.r * g.s
    return (g.s == 1 or g.ws == 1) and (g.r == 1 or g.wr == g.s) and (g.k == 1 or g.wk == taps) and g.wc >= g.k * taps


cdef void pack_vector(const PhasedCall *call, const floating *w, int channels, Py_ssize_t reach, const Py_ssize_t *at,
                      floating *b) noexcept nogil:
    """All taps of one filter, and of at most a vector of channels;
    `reach` elements may be read from each channel's first."""
    cdef const Problem *g = call.g
    cdef Py_ssize_t taps = g.r * g.s, lanes = call.l.lanes, t, i
    cdef Py_ssize_t rows[FC_MAX_LANES]
    cdef const floating *src
    if taps == 1 and g.wk == 1 and channels == lanes:
        memcpy(b + at[0], w, lanes * sizeof(floating))
        return
    if reach > 0:
        for i in range(channels):
            rows[i] = i * g.wk
        to_lanes(w, rows, channels, reach, b, at)
        return
    for t in range(taps):
        src = w + t // g.s * g.wr + t % g.s * g.ws
        for i in range(channels):
            b[at[t] + i] = src[i * g.wk]
        for i in range(channels, lanes):
            b[at[t] + i] = 0


cdef void pack_panel(const PhasedCall *call, Py_ssize_t panel, Py_ssize_t *at, floating *b) noexcept nogil:
    """B of one panel. at: room for a number for each tap, or for each lane if these are more."""
    cdef const PhasedLayout *l = call.l
    cdef const Problem *g = call.g
    cdef const Py_ssize_t *place
    cdef const floating *w = <const floating *>g.weights + panel * l.width * g.wk
    cdef Py_ssize_t taps = g.r * g.s, before = panel * l.width, width, first, have, c, v, t, i, q, reach
    cdef Py_ssize_t channels = min(l.width, g.k - before), behind
    cdef bint follow = taps_follow(g)
    cdef int of_vector
    width = ceildiv(channels, l.lanes) * l.lanes
    behind = g.c * l.taps * width
    for t in range(taps, l.lanes):
        at[t] = behind
    for q in range(l.vectors):
        first = q * l.lanes
        have = min(l.lanes, g.c - first)
        for t in range(taps):
            place = call.places + 3 * t
            at[t] = behind if place[0] < 0 else (place[0] * g.c + place[2] * first + place[1] * have) * width
        for c in range(have):
            if follow and first + c + AHEAD < g.c:    # filters are too far apart for the hardware to see it
                for i in range(channels * taps * <Py_ssize_t>sizeof(floating) // LINE):
                    prefetch(<const char *>(w + (first + c + AHEAD) * g.wc) + i * LINE)
            for i in range(width // l.lanes):
                v = i * l.lanes
                of_vector = <int>min(l.lanes, channels - v)
                reach = 0
                if follow:
                    reach = max(taps, l.lanes)
                    if (g.c - 1 - first - c) * g.wc + (g.k - before - v - of_vector + 1) * taps < reach:
                        reach = taps    # the last channels of the last filters have not as much behind them
                pack_vector(call, w + (first + c) * g.wc + v * g.wk, of_vector, reach, at, b + c * width + v)


cdef void pack_one(const void *data, Py_ssize_t panel, floating *scratch) noexcept nogil:
    """One panel, before the first block."""
    cdef const PhasedCall *call = <const PhasedCall *>data
    pack_panel(call, panel, <Py_ssize_t *>scratch, <floating *>call.b + panel * call.l.b_size)


# ---------------------------------------------------------------------------------------------------------------------
# X and Y of a block


cdef void fill_unit(const void *data, Py_ssize_t i, floating *unused) noexcept nogil:
    """X of one vector of filters, or, where a pixel's filters follow each other, of one image."""
    cdef const PhasedCall *call = <const PhasedCall *>data
    cdef const PhasedLayout *l = call.l
    cdef const Problem *g = call.g
    cdef LaneBand band = lane_band(g, -l.columns.before, l.columns.length, l.lanes)
    cdef const floating *x = <const floating *>g.x + call.block.n0 * g.xn
    cdef floating *to = <floating *>call.x
    cdef Py_ssize_t n
    band.row0, band.rows = call.block.row0 - l.rows.before, call.block.rows + l.halo
    if g.xc == 1:
        fill_pixels(g, &band, 0, band.rows, x + i * g.xn, g.c, to + i * l.image_pitch, l.vector_pitch)
        return
    for n in range(call.block.images):
        fill_lanes(g, &band, x + n * g.xn + i * l.lanes * g.xc, <int>min(l.lanes, g.c - i * l.lanes), <floating>0,
                   call.positions, to + i * l.vector_pitch + n * l.image_pitch)


cdef inline void store_vectors(const PhasedCall *call, const floating *rows, Py_ssize_t count, Py_ssize_t channels,
                               floating *to) noexcept nogil:
    """So many rows of a panel's pixels that follow each other."""
    cdef const Problem *g = call.g
    cdef Py_ssize_t lanes = call.l.lanes, v, vectors = ceildiv(channels, lanes)
    for v in range(vectors):
        store_lanes(g, to + v * lanes * g.yk, <int>min(lanes, channels - v * lanes), count, g.ow, rows + v * lanes,
                    vectors * lanes)


cdef void store_strip(const PhasedCall *call, Py_ssize_t n, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t panel,
                      floating *y) noexcept nogil:
    """Y of so many rows of an image, counted in steps of the stride, and one panel, to grad_x.
    The rows of planes are put in order behind Y before, if these are several, without what stands between them."""
    cdef const PhasedLayout *l = call.l
    cdef const Problem *g = call.g
    cdef Py_ssize_t channels = min(l.width, g.k - panel * l.width), first = row * l.rows.stride, i
    cdef Py_ssize_t width = ceildiv(channels, l.lanes) * l.lanes, count = min(rows * l.rows.stride, g.oh - first)
    cdef floating *to = <floating *>g.y + n * g.yn + panel * l.width * g.yk + first * g.yh
    cdef floating *ordered = y + l.y_size - l.ordered_size
    cdef const floating *src
    if l.strip > 1:
        for i in range(count):
            src = y + (i % l.rows.stride * l.strip + i // l.rows.stride) * l.y_pitch * width
            if g.yk == 1:
                store_vectors(call, src, 1, channels, to + i * g.yh)
            else:
                memcpy(ordered + i * g.ow * width, src, g.ow * width * sizeof(floating))
        y = ordered
    if l.strip == 1 or g.yk != 1:
        store_vectors(call, y, count, channels, to)


# Where the pixels of a strip and a panel go: the first one, and from one row, one column of grad_x to the next;
# their bias, or NULL.
cdef struct StripPlace:
    void *first
    const void *bias
    Py_ssize_t row, column


cdef void multiply_strip(const PhasedCall *call, const floating *x, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t width,
                         const floating *b, const StripPlace *place) noexcept nogil:
    """All phases of a strip, whose X begins at x; `row` is its first in the image."""
    cdef const PhasedLayout *l = call.l
    cdef Py_ssize_t pitch = l.columns.length, i, j, t, m, q, tiles, length, some
    cdef const AxisPhase *down
    cdef const AxisPhase *across
    cdef const floating *start
    cdef floating *out
    cdef fc_pixels pixels
    pixels.channels, pixels.block_stride, pixels.step, pixels.b_panel = call.g.c, l.vector_pitch, l.lanes, 0
    pixels.ldc, pixels.taps = l.columns.stride * place.column, call.offsets
    pixels.activation.kind, pixels.activation.slope = call.g.activation, call.g.slope
    for i in range(l.rows.count):
        down = &l.rows.phases[i]
        some = min(rows, down.outputs - row)
        for j in range(l.columns.count):
            across = &l.columns.phases[j]
            pixels.n_taps = down.taps * across.taps
            if some > 0:
                start = x + (down.at * pitch + across.at) * l.lanes
                out = <floating *>place.first + down.first * place.row + across.first * place.column
                length = (some - 1) * pitch + across.outputs
                tiles = ceildiv(length, l.mr)
                for q in range(tiles):
                    t = part(length, tiles, q)
                    m = part(length, tiles, q + 1) - t
                    channel_tile(<int>(width // l.lanes), <int>m, &pixels, start + t * l.lanes, b, out + t * pixels.ldc,
                                 <const floating *>place.bias, b)
            pixels.taps += pixels.n_taps
            b += pixels.n_taps * call.g.c * width


cdef const floating *bias_of_panel(const PhasedCall *call, Py_ssize_t panel, floating *bias) noexcept nogil:
    """The bias of a panel, zeros in its last lanes, or NULL."""
    cdef Py_ssize_t width = call.l.width, before = panel * width, i
    for i in range(width if call.g.bias != NULL else 0):
        bias[i] = (<const floating *>call.g.bias)[before + i] if before + i < call.g.k else 0
    return bias if call.g.bias != NULL else <const floating *>NULL


cdef void lay_strip(const PhasedCall *call, Py_ssize_t width, const floating *bias, floating *y) noexcept nogil:
    """Y where no tap meets its pixels."""
    cdef Py_ssize_t i
    for i in range(width):
        y[i] = bias[i] if bias != NULL else 0
    if call.g.activation:
        activation(call.g.activation, y, y, width, call.g.slope)
    for i in range(1, (call.l.y_size - call.l.ordered_size) // call.l.width):
        memcpy(y + i * width, y, width * sizeof(floating))


cdef void panel_unit(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    """One panel, and a part of the strips of a block. The scratch: B, the table of its taps, Y, the bias."""
    cdef const PhasedCall *call = <const PhasedCall *>data
    cdef const PhasedLayout *l = call.l
    cdef Py_ssize_t panel = unit // l.pieces, piece = unit % l.pieces, strips, i, n, row, rows
    cdef Py_ssize_t width = ceildiv(min(l.width, call.g.k - panel * l.width), l.lanes) * l.lanes
    cdef const floating *b = scratch
    cdef const floating *x
    cdef floating *y = scratch + l.b_size + l.at_size
    cdef StripPlace place
    if l.beforehand:
        b = <const floating *>call.b + panel * l.b_size
    else:
        pack_panel(call, panel, <Py_ssize_t *>(scratch + l.b_size), scratch)
    place.bias = bias_of_panel(call, panel, y + l.y_size)
    if not l.covers:    # some pixels are met by no tap
        lay_strip(call, width, <const floating *>place.bias, y)
    strips = ceildiv(call.block.rows, l.strip)
    for i in range(part(call.block.images * strips, l.pieces, piece),
                   part(call.block.images * strips, l.pieces, piece + 1)):
        n, row = i // strips, i % strips * l.strip
        x = <const floating *>call.x + n * l.image_pitch + row * l.columns.length * l.lanes
        rows, n, row = min(l.strip, call.block.rows - row), n + call.block.n0, row + call.block.row0
        if l.stored and width <= call.g.k - panel * l.width:
            place.first = (<floating *>call.g.y + n * call.g.yn + row * l.rows.stride * call.g.yh + panel * l.width)
            place.row, place.column = call.g.yh, call.g.yw
            multiply_strip(call, x, row, rows, width, b, &place)
        else:
            place.first, place.column, place.row = y, width, l.strip * l.y_pitch * width
            multiply_strip(call, x, row, rows, width, b, &place)
            store_strip(call, n, row, rows, panel, y)


cdef void compute(PhasedCall *call, floating *shared, floating *scratch) noexcept nogil:
    cdef const PhasedLayout *l = call.l
    cdef Problem steps = in_steps(call.g, l)
    cdef Py_ssize_t i
    call.x, call.b = shared, shared + l.x_size
    if l.beforehand:
        in_parallel(pack_one[floating], call, l.panels, l.team, EVENLY, scratch, l.thread_size)
    for i in range(l.blocking.count):
        call.block = block_at(&steps, &l.blocking, i)
        in_parallel(fill_unit[floating], call, call.block.images if call.g.xc == 1 else l.vectors, l.team,
                    EVENLY, scratch, 0)
        in_parallel(panel_unit[floating], call, l.panels * l.pieces, l.team, WHEN_READY, scratch, l.thread_size)


# ---------------------------------------------------------------------------------------------------------------------
# The layout


cdef Problem in_steps(const Problem *g, const PhasedLayout *l) noexcept nogil:
    """Rows and columns of grad_x counted in steps of the stride, to be cut into blocks."""
    cdef Problem steps = g[0]
    steps.oh, steps.ow = l.rows.most, l.columns.most
    return steps


cdef PhasedAxis phased(Py_ssize_t size, Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t before,
                       AxisPhase *phases) noexcept nogil:
    """As phases in geometry.py; room is for as many as there are taps."""
    cdef PhasedAxis axis
    cdef AxisPhase phase
    cdef Py_ssize_t common = stride, rest = dilation, i, reach = 0
    while rest:
        common, rest = rest, common % rest
    axis.stride, axis.tap_step, axis.dilation = stride, stride // common, dilation // common
    axis.count, axis.most, axis.before, axis.phases = 0, ceildiv(size, stride), 0, phases
    for phase.tap in range(min(axis.tap_step, taps)):
        phase.first = ((phase.tap * dilation - before) % stride + stride) % stride
        if phase.first < size:
            phase.taps = ceildiv(taps - phase.tap, axis.tap_step)
            phase.outputs = ceildiv(size - phase.first, stride)
            phase.at = (phase.first + before - phase.tap * dilation) // stride - (phase.taps - 1) * axis.dilation
            phases[axis.count] = phase
            axis.count += 1
    for i in range(axis.count):
        axis.before = -phases[i].at if i == 0 else max(axis.before, -phases[i].at)
    for i in range(axis.count):
        phases[i].at += axis.before
        reach = max(reach, phases[i].at + (phases[i].taps - 1) * axis.dilation - (axis.most - phases[i].outputs))
    axis.length = axis.most + reach
    return axis


cdef PhasedLayout lay_out(const Problem *g, Window window, int team, AxisPhase *phases, Py_ssize_t size) noexcept:
    """Blocks, and the sizes of all arrays. phases: room for those of rows and columns."""
    cdef PhasedLayout l
    cdef Problem steps
    cdef Py_ssize_t row_bytes, rows, i, j, separate, run
    l.rows = phased(g.oh, g.r, window.stride_h, g.dilation_h, g.top, phases)
    l.columns = phased(g.ow, g.s, window.stride_w, g.dilation_w, g.left, phases + g.r)
    if size == sizeof(float):
        l.lanes, l.mr = vector_length(<float *>NULL), tile_rows(<float *>NULL)
    else:
        l.lanes, l.mr = vector_length(<double *>NULL), tile_rows(<double *>NULL)
    l.team, l.width, l.vectors = team, l.lanes * (1 if g.k <= l.lanes else FC_MAX_NV), ceildiv(g.c, l.lanes)
    l.panels = ceildiv(g.k, l.width)
    l.halo = l.taps = 0
    for i in range(l.rows.count):    # phases with fewer outputs end before the image does, but not before a block does
        l.halo = max(l.halo, l.rows.phases[i].at + (l.rows.phases[i].taps - 1) * l.rows.dilation)
        for j in range(l.columns.count):
            l.taps += l.rows.phases[i].taps * l.columns.phases[j].taps
    steps = in_steps(g, &l)
    row_bytes = l.columns.length * l.vectors * l.lanes * size
    rows = max(1, INPUT_BYTES // row_bytes - l.halo)
    l.b_size = rounded((g.c * l.taps + l.lanes) * l.width)
    l.beforehand = l.panels * l.b_size * size <= FILTERS_BYTES
    if g.yk == 1 and l.beforehand:    # panels write parts of pixels, the rest of which should still be in L2
        rows = max(1, min(rows, OUTPUT_BYTES // (l.rows.stride * g.ow * g.k * size)))
    l.blocking = block_pixels(&steps, max(l.columns.most, min(PIXELS, rows * l.columns.most)))
    l.band_rows = l.blocking.rows + l.halo
    l.image_pitch = l.band_rows * l.columns.length * l.lanes
    if l.image_pitch % 32 == 0:    # lines of images spread over the sets of L1
        l.image_pitch += 16
    l.vector_pitch = l.blocking.images * l.image_pitch + 2 * l.lanes
    # tiles that go on from row to row, where that makes them fewer by far
    separate, run = l.blocking.rows * ceildiv(l.columns.most, l.mr), l.blocking.rows * l.columns.length
    l.strip = 1
    if l.columns.most < l.mr and 4 * ceildiv(run, l.mr) <= 3 * separate:
        l.strip = max(1, min(l.blocking.rows, STRIP_BYTES // (
            l.rows.stride * l.columns.length * l.columns.stride * l.width * size)))
    l.covers = l.rows.count == min(l.rows.stride, g.oh) and l.columns.count == min(l.columns.stride, g.ow)
    l.stored = g.yk == 1 and l.strip == 1
    l.pieces = 1 if l.panels % team == 0 or l.panels >= 2 * team else team
    l.beforehand = l.beforehand and l.blocking.count > 1
    l.at_size = rounded(max(g.r * g.s, l.lanes) * <Py_ssize_t>sizeof(Py_ssize_t) // size)
    l.y_pitch = l.columns.length * l.columns.stride if l.strip > 1 else g.ow
    l.ordered_size = rounded(l.rows.stride * l.strip * g.ow * l.width) if l.strip > 1 and g.yk != 1 else 0
    l.y_size = rounded(l.rows.stride * l.strip * l.y_pitch * l.width) + l.ordered_size
    l.x_size = rounded(l.vectors * l.vector_pitch)
    l.thread_size = l.b_size + l.at_size + l.y_size + rounded(l.width)
    l.shared_size = l.x_size + (l.panels * l.b_size if l.beforehand else 0)
    l.table_size = 4 * g.r * g.s + (0 if g.xc == 1 else position_count(g, l.band_rows, l.columns.length))
    return l


cdef void fill_tables(PhasedCall *call, Py_ssize_t *tables) noexcept nogil:
    cdef const PhasedLayout *l = call.l
    cdef const Problem *g = call.g
    cdef Py_ssize_t taps = g.r * g.s, i, j, r, s, t, before = 0
    cdef const AxisPhase *down
    cdef const AxisPhase *across
    cdef Py_ssize_t *place
    cdef LaneBand band
    call.places, call.offsets, call.positions = tables, tables + 3 * taps, tables + 4 * taps
    for t in range(taps):
        call.places[3 * t] = -1
    for i in range(l.rows.count):
        for j in range(l.columns.count):
            down, across = &l.rows.phases[i], &l.columns.phases[j]
            for r in range(down.taps):
                for s in range(across.taps):
                    t = r * across.taps + s
                    place = call.places + 3 * ((down.tap + r * l.rows.tap_step) * g.s + across.tap
                                               + s * l.columns.tap_step)
                    place[0], place[1], place[2] = before, t, down.taps * across.taps
                    call.offsets[before + t] = ((down.taps - 1 - r) * l.rows.dilation * l.columns.length
                                                + (across.taps - 1 - s) * l.columns.dilation) * l.lanes
            before += down.taps * across.taps
    if g.xc != 1:
        band = lane_band(g, -l.columns.before, l.columns.length, l.lanes)
        lane_positions(g, &band, l.band_rows, call.positions)


cdef double work(const Problem *g) noexcept:
    return 2.0 * g.n * g.k * g.h * g.w * g.c * g.r * g.s / 100


cdef Problem problem_of(Convolution conv) noexcept:
    cdef Problem g = conv.problem
    if g.c == 1:
        g.xc = 0    # there is no second one
    return g


def data_gradient(Convolution conv not None):
    """Fills y, which is grad_x, from x, which is grad_output, and w, (C, K, R, S), whose input and output channels are
    swapped; the window is that of the forward pass, padding is constant, and there are no groups. Returns the images
    that must be computed otherwise, which are none."""
    cdef Problem g = problem_of(conv)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(conv.x)
    cdef Block phases = take((g.r + g.s) * sizeof(AxisPhase))
    cdef PhasedLayout l = lay_out(&g, conv.window, threads.team(work(&g)), <AxisPhase *>phases.data, size)
    cdef Block tables = take(l.table_size * sizeof(Py_ssize_t))
    cdef Block shared = take(l.shared_size * size), scratch = take(l.team * l.thread_size * size)
    cdef PhasedCall call
    call.g, call.l = &g, &l
    if l.stored and not l.covers:
        lay_ground(conv.y, conv.bias, conv.epilogue)
    with nogil:
        fill_tables(&call, <Py_ssize_t *>tables.data)
        if conv.single:
            compute(&call, <float *>shared.data, <float *>scratch.data)
        else:
            compute(&call, <double *>shared.data, <double *>scratch.data)
    return ()


def workspace(Convolution conv not None, bint alone):
    """Bytes of scratch that data_gradient takes, on one thread or on those that it would use now."""
    cdef Problem g = problem_of(conv)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(conv.x)
    cdef Block phases = take((g.r + g.s) * sizeof(AxisPhase))
    cdef int team = 1 if alone else threads.team(work(&g))
    cdef PhasedLayout l = lay_out(&g, conv.window, team, <AxisPhase *>phases.data, size)
    return (l.shared_size + l.team * l.thread_size) * size + l.table_size * <Py_ssize_t>sizeof(Py_ssize_t)
