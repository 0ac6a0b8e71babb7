"""The weight gradient of a convolution with filters in the lanes: a product over pixels of x's scalars by vectors of
grad_output, none of which is packed more than once.

    dW[k, c, r, s] = sum over pixels of dY[k, pixel] X[c, pixel * stride + (r, s) * dilation]

    parallel for chunk of the blocks of pixels, group, share of its panels of two vectors of filters:
        for block of output rows (of several images where these are small), L2:
            bands of channel vectors -> X[vector][image][row][column][channel], padding and all
            grad_output -> packed [panel][pixel][2 vectors]
            for panel: for vector of channels: for tile of (taps, channels), at most 14 scalars of X:
                for 128 pixels: micro-kernel: the tile stays in registers, taps are but offsets in X
        add the sums to the chunk's totals
    add the chunks' totals up, in order; transpose them to the filters

In NHWC pixels are copied and nothing is transposed. The pixels of X have no more room than their channels, if these are
fewer than a vector; then a line of scalars that the kernel takes is a whole row of taps: 9 for 3 x 3 taps of an RGB
image. A tile goes on from row to row and from image to image, so planes of a few pixels cost little more than large
ones.

A sum runs over 128 pixels, in registers, then over 128 of these sums, then in double precision. The split of the
reduction (blocks, chunks) follows from the sizes alone. What would take too much scratch is cut into parts first: see
parts.py.

Sources: Georganas et al., "Anatomy of high-performance deep learning convolutions on SIMD architectures" (2018).
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memset

from fastconv._core.direct.layout cimport only_met, work
from fastconv._core.direct.gradient_layout cimport (
    RUN, WeightLayout, channels_of, filters_of, lay_out_weights, scratch_of,
)
from fastconv._core.problem.blocks cimport PixelBlock, block_at
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.lanes cimport LaneBand, fill_lanes, fill_pixels, lane_band, lane_positions
from fastconv._core.problem.problem cimport Problem, ceildiv, flatten, part
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport WeightTile, split_pixels, to_lanes, transpose, weight_tile
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, FC_MAX_LINES, FC_MAX_NV, fc_pixel_run, fc_pixel_runs
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport WHEN_READY, in_parallel

cnp.import_array()

cdef enum:
    NEAR_BYTES = 256 << 10    # of a panel's sums

cdef Py_ssize_t MOST = parts.BACKWARD_BYTES    # of scratch


# What the units of a call share: the tables of fill_lanes and of pack_panel (of a whole panel and of one vector), the
# chunks' totals [chunk][group][panel], and into how many shares the panels of a group are cut.
cdef struct WeightCall:
    const Problem *p
    const WeightLayout *l
    Py_ssize_t group_step    # of x
    const Py_ssize_t *at
    const Py_ssize_t *packed_at
    const Py_ssize_t *narrow_at
    double *totals
    Py_ssize_t shares

# A share of a group's panels, and the blocks of a chunk.
cdef struct WeightUnit:
    Py_ssize_t group, first, last
    Py_ssize_t chunk


# ---------------------------------------------------------------------------------------------------------------------
# A block of pixels


cdef void fill_band(const WeightCall *call, const PixelBlock *block, Py_ssize_t group, floating *dst) noexcept nogil:
    """X of one block and group."""
    cdef const Problem *p = call.p
    cdef const WeightLayout *l = call.l
    cdef const floating *x = <const floating *>p.x + group * call.group_step + block.n0 * p.xn
    cdef Py_ssize_t i, v
    cdef LaneBand band = lane_band(p, block.col0 * p.stride_w - p.left, l.band_cols, l.pixel)
    band.row0 = block.row0 * p.stride_h - p.top
    band.rows = (block.rows - 1) * p.stride_h + (p.r - 1) * p.dilation_h + 1
    for i in range(block.images):
        if p.xc == 1:
            fill_pixels(p, &band, 0, band.rows, x + i * p.xn, p.c, dst + i * l.image_pitch, l.channel_pitch)
            continue
        for v in range(l.vectors):
            fill_lanes(p, &band, x + i * p.xn + v * l.lanes * p.xc, <int>channels_of(p, l, v), <floating>p.value,
                       call.at, dst + v * l.channel_pitch + i * l.image_pitch)


cdef inline Py_ssize_t vectors_of(const Problem *p, const WeightLayout *l, Py_ssize_t panel) noexcept nogil:
    return ceildiv(filters_of(p, l, panel), l.lanes)


cdef void pack_pixels(const WeightCall *call, Py_ssize_t panel, const floating *dy, Py_ssize_t pixels,
                      floating *dst) noexcept nogil:
    """Pixels that are yw apart, of one panel of filters: [pixel][1 or 2 vectors], idle lanes being 0."""
    cdef const Problem *p = call.p
    cdef const WeightLayout *l = call.l
    cdef Py_ssize_t filters = filters_of(p, l, panel), vectors = vectors_of(p, l, panel), width = vectors * l.lanes
    cdef Py_ssize_t rows[FC_MAX_LANES]
    cdef Py_ssize_t v, k, i, n
    cdef const Py_ssize_t *at = call.packed_at if width == l.width else call.narrow_at
    if p.yk == 1:
        split_pixels(dy, p.yw, pixels, filters, dst, width, l.lanes)
        return
    for v in range(vectors):
        k = v * l.lanes
        n = min(l.lanes, filters - k)
        if p.yw == 1:
            for i in range(n):
                rows[i] = (k + i) * p.yk
            to_lanes(dy, rows, <int>n, pixels, dst + k, at)
            continue
        for i in range(pixels):
            for k in range(v * l.lanes, width if v == vectors - 1 else (v + 1) * l.lanes):
                dst[i * width + k] = dy[i * p.yw + k * p.yk] if k < filters else 0


cdef void pack_panel(const WeightCall *call, const PixelBlock *block, Py_ssize_t group, Py_ssize_t panel,
                     floating *dst) noexcept nogil:
    """grad_output of one block and panel; rows that follow each other in memory are packed together."""
    cdef const Problem *p = call.p
    cdef const floating *dy = (<const floating *>p.y + (group * p.k + panel * call.l.width) * p.yk + block.n0 * p.yn
                               + block.row0 * p.yh + block.col0 * p.yw)
    cdef Py_ssize_t width = vectors_of(p, call.l, panel) * call.l.lanes, rows = block.rows, cols = block.cols, i, q
    if p.yh == cols * p.yw:
        rows, cols = 1, rows * cols
    for i in range(block.images):
        for q in range(rows):
            pack_pixels(call, panel, dy + i * p.yn + q * p.yh, cols, dst + (i * rows + q) * cols * width)


cdef void cut_into_runs(const Problem *p, const WeightLayout *l, const PixelBlock *block, Py_ssize_t *firsts,
                        fc_pixel_run *runs) noexcept nogil:
    """The pixels of a block as runs, RUN pixels after RUN pixels: the n-th RUN has the runs from firsts[n] on."""
    cdef Py_ssize_t step = p.stride_w * l.pixel, n = 0, done = 0, i, q, col, length, a
    for i in range(block.images):
        for q in range(block.rows):
            col = 0
            while col < block.cols:
                length = min(RUN - done % RUN, block.cols - col)
                a = i * l.image_pitch + q * l.row_step + col * step
                if done % RUN and runs[n - 1].a + runs[n - 1].length * step == a:
                    runs[n - 1].length += length
                else:
                    if done % RUN == 0:
                        firsts[done // RUN] = n
                    runs[n].a, runs[n].b, runs[n].length = a, done, length
                    n += 1
                done += length
                col += length
    firsts[ceildiv(done, RUN)] = n


# ---------------------------------------------------------------------------------------------------------------------
# A block by a panel


# What a panel's tiles have in common: which RUNs of the block's pixels they take, one after the other, where the runs
# of each begin, packed grad_output, the sums.
cdef struct WeightPanel:
    Py_ssize_t begin, end
    const Py_ssize_t *firsts
    const fc_pixel_run *runs
    const void *packed
    void *sums
    int vectors


cdef void add_line(const WeightCall *call, const WeightPanel *f, Py_ssize_t scalars, const floating *a, Py_ssize_t row,
                   Py_ssize_t row_step) noexcept nogil:
    """So many scalars of each row of taps, which begin at a in X, to the sums: those of the first row of taps from
    `row` on, of the others row_step apart."""
    cdef const Problem *p = call.p
    cdef const WeightLayout *l = call.l
    cdef Py_ssize_t width = f.vectors * l.lanes, pieces = ceildiv(scalars, l.mr), sets, piece, first, r, i, n
    cdef const floating *packed = <const floating *>f.packed
    cdef floating *sums
    cdef WeightTile tile
    cdef fc_pixel_runs pixels
    pixels.a_step, pixels.a_line = p.stride_w * l.pixel, p.dilation_h * l.band_cols * l.pixel
    tile.vectors = f.vectors
    sets = ceildiv(p.r, max(1, min(FC_MAX_LINES, l.mr // ceildiv(scalars, pieces))))
    for i in range(sets):
        r = part(p.r, sets, i)
        tile.lines = <int>(part(p.r, sets, i + 1) - r)
        for piece in range(pieces):
            first = part(scalars, pieces, piece)
            tile.scalars = <int>(part(scalars, pieces, piece + 1) - first)
            sums = <floating *>f.sums + (row + r * row_step + first) * width
            for n in range(f.begin, f.end):
                pixels.runs, pixels.n_runs = f.runs + f.firsts[n], f.firsts[n + 1] - f.firsts[n]
                weight_tile(&tile, &pixels, a + r * pixels.a_line + first, packed, sums, row_step * width)


cdef void multiply(const WeightCall *call, const WeightPanel *f, const floating *x) noexcept nogil:
    """All channels and taps. Sums are [vector of channels][tap][channel]."""
    cdef const Problem *p = call.p
    cdef const WeightLayout *l = call.l
    cdef Py_ssize_t v, s, channels, row
    for v in range(l.vectors):
        channels = channels_of(p, l, v)
        row = v * l.lanes * p.r * p.s
        if p.dilation_w == 1 and channels == l.pixel:    # those of neighbouring taps follow each other
            add_line(call, f, p.s * channels, x + v * l.channel_pitch, row, p.s * channels)
            continue
        for s in range(p.s):
            add_line(call, f, channels, x + v * l.channel_pitch + s * p.dilation_w * l.pixel, row + s * channels,
                     p.s * channels)


cdef void add_block(const WeightCall *call, const WeightUnit *u, Py_ssize_t index, floating *scratch) noexcept nogil:
    """One block to a unit's sums."""
    cdef const WeightLayout *l = call.l
    cdef PixelBlock block = block_at(call.p, &l.blocking, index)
    cdef Py_ssize_t *firsts = <Py_ssize_t *>scratch
    cdef fc_pixel_run *runs = <fc_pixel_run *>(firsts + ceildiv(l.pixels, RUN) + 1)
    cdef floating *x = scratch + l.x_at
    cdef floating *packed = scratch + l.packed_at
    cdef Py_ssize_t all_runs = ceildiv(block.pixels, RUN), at_once, i
    cdef WeightPanel f
    cut_into_runs(call.p, l, &block, firsts, runs)
    fill_band(call, &block, u.group, x)
    # either RUN pixels stay in L1 while all tiles meet them, or, where the sums are too large for L2, a tile does
    at_once = 1 if l.panel_sums * <Py_ssize_t>sizeof(floating) <= NEAR_BYTES else all_runs
    f.firsts, f.runs, f.packed = firsts, runs, packed
    for i in range(u.first, u.last):
        pack_panel(call, &block, u.group, i, packed)
        f.vectors, f.sums = <int>vectors_of(call.p, l, i), scratch + l.sums_at + (i - u.first) * l.panel_sums
        f.begin = 0
        while f.begin < all_runs:
            f.end = min(all_runs, f.begin + at_once)
            multiply(call, &f, x)
            f.begin = f.end


# ---------------------------------------------------------------------------------------------------------------------
# Sums of blocks


cdef void store_panel(const WeightCall *call, Py_ssize_t group, Py_ssize_t panel, const floating *sums,
                      floating *tile) noexcept nogil:
    """A panel's sums to its filters; the tile has room for two vectors of terms of each of them."""
    cdef const Problem *p = call.p
    cdef const WeightLayout *l = call.l
    cdef Py_ssize_t taps = p.r * p.s, filters = filters_of(p, l, panel), width = vectors_of(p, l, panel) * l.lanes
    cdef Py_ssize_t most = FC_MAX_NV * l.lanes, term = 0, n, i, k, c
    cdef Py_ssize_t rows[FC_MAX_NV * FC_MAX_LANES]
    cdef floating *w = <floating *>p.weights + (group * p.k + panel * l.width) * p.wk
    while term < l.rows:
        n = min(most, l.rows - term)
        for i in range(n):
            c = (term + i) // taps
            rows[i] = (c // l.lanes * l.lanes * taps + (term + i) % taps * channels_of(p, l, c // l.lanes)
                       + c % l.lanes) * width
        if n == most:
            transpose(sums, rows, <int>n, filters, w + term, p.wk)
        else:    # it would write past the end of a filter
            transpose(sums, rows, <int>n, filters, tile, most)
            for k in range(filters):
                for i in range(n):
                    w[k * p.wk + term + i] = tile[k * most + i]
        term += n


cdef void end_run(const WeightCall *call, const WeightUnit *u, bint first, floating *sums) noexcept nogil:
    """A unit's sums to its totals, which the first of them are, and begins them anew."""
    cdef const WeightLayout *l = call.l
    cdef Py_ssize_t size = (u.last - u.first) * l.panel_sums, e
    cdef double *totals = call.totals + ((u.chunk * call.p.groups + u.group) * l.panels + u.first) * l.panel_sums
    for e in range(size):
        totals[e] = sums[e] if first else totals[e] + sums[e]
    memset(sums, 0, size * sizeof(floating))


cdef void weight_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """One share of a group's panels in one chunk of the blocks."""
    cdef const WeightCall *call = <const WeightCall *>data
    cdef const WeightLayout *l = call.l
    cdef Py_ssize_t share = index % call.shares, b, first, last
    cdef floating *sums = scratch + l.sums_at
    cdef WeightUnit u
    u.group, u.chunk = index // call.shares % call.p.groups, index // call.shares // call.p.groups
    u.first, u.last = part(l.panels, call.shares, share), part(l.panels, call.shares, share + 1)
    first, last = part(l.blocking.count, l.chunks, u.chunk), part(l.blocking.count, l.chunks, u.chunk + 1)
    memset(sums, 0, (u.last - u.first) * l.panel_sums * sizeof(floating))
    for b in range(first, last):
        add_block(call, &u, b, scratch)
        if l.long_sums and ((b - first + 1) % l.blocks_a_run == 0 or b == last - 1):
            end_run(call, &u, b - first < l.blocks_a_run, sums)
    if not l.long_sums:
        for b in range(u.first, u.last):
            store_panel(call, u.group, b, sums + (b - u.first) * l.panel_sums, scratch + l.x_at)


cdef void add_chunks(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """One panel's totals of all chunks, in order, to its filters."""
    cdef const WeightCall *call = <const WeightCall *>data
    cdef const WeightLayout *l = call.l
    cdef Py_ssize_t chunk, e, step = call.p.groups * l.panels * l.panel_sums
    cdef double *totals = call.totals + index * l.panel_sums
    cdef floating *sums = scratch + l.sums_at
    for chunk in range(1, l.chunks):
        for e in range(l.panel_sums):
            totals[e] += totals[chunk * step + e]
    for e in range(l.panel_sums):
        sums[e] = <floating>totals[e]
    store_panel(call, index // l.panels, index % l.panels, sums, scratch + l.x_at)


# ---------------------------------------------------------------------------------------------------------------------
# The call


cdef Problem simplified(Problem p) noexcept nogil:
    """What is the same to the loops, and simpler."""
    p = only_met(p)
    flatten(&p)
    if p.c == 1:
        p.xc = 1    # pixels of one channel are copied, not transposed
    return p


cdef bint backward(const Problem *given, const floating *unused) except -1:
    """Returns False, with nothing done, where one thread would take too much scratch."""
    cdef Problem p = simplified(given[0])
    cdef WeightLayout l = lay_out_weights(&p, unused)
    cdef Py_ssize_t scratch_size
    cdef int team = threads.team(work(&p))
    cdef Block tables, scratch, totals
    cdef Py_ssize_t *at
    cdef Py_ssize_t i
    cdef LaneBand band
    cdef WeightCall call
    if total_bytes(&l, 1, scratch_of(&l, l.panels), sizeof(floating)) > MOST:
        return False
    call.p, call.l, call.group_step = &p, &l, given.c * given.xc
    call.shares = min(l.panels, ceildiv(team, l.chunks * p.groups))
    scratch_size = scratch_of(&l, ceildiv(l.panels, call.shares))
    scratch = take(team * scratch_size * sizeof(floating))
    totals = take(l.totals_size * sizeof(double))
    tables = take(l.tables_size * sizeof(Py_ssize_t))
    at = <Py_ssize_t *>tables.data
    call.totals, call.at = <double *>totals.data, at
    call.packed_at, call.narrow_at = at + l.at_size, at + l.at_size + l.pixels
    with nogil:
        band = lane_band(&p, -p.left, l.band_cols, l.pixel)
        lane_positions(&p, &band, l.band_rows, at)
        for i in range(l.blocking.rows * l.blocking.cols):
            at[l.at_size + i], at[l.at_size + l.pixels + i] = i * l.width, i * l.lanes
        in_parallel(weight_unit[floating], &call, l.chunks * p.groups * call.shares, team, WHEN_READY,
                    <floating *>scratch.data, scratch_size)
        if l.long_sums:
            in_parallel(add_chunks[floating], &call, p.groups * l.panels, team, WHEN_READY, <floating *>scratch.data,
                        scratch_size)
    return True


def conv2d_weight_gradient(Convolution conv not None):
    """As product's."""
    if cnp.PyArray_SIZE(conv.w) == 0:
        return
    if cnp.PyArray_SIZE(conv.y) == 0:
        conv.w.fill(0)
        return
    if not (backward[float](&conv.problem, NULL) if conv.single else backward[double](&conv.problem, NULL)):
        parts.weight_gradient(conv2d_weight_gradient, gradient_workspace, conv)


def gradient_workspace(Convolution conv not None, bint alone):
    """As product's."""
    return (gradient_bytes[float](&conv.problem, alone, NULL) if conv.single
            else gradient_bytes[double](&conv.problem, alone, NULL))


cdef inline Py_ssize_t total_bytes(const WeightLayout *l, int team, Py_ssize_t scratch_size, Py_ssize_t size) noexcept:
    return (l.tables_size * <Py_ssize_t>sizeof(Py_ssize_t) + l.totals_size * <Py_ssize_t>sizeof(double)
            + team * scratch_size * size)


cdef Py_ssize_t gradient_bytes(const Problem *given, bint alone, const floating *unused) noexcept:
    """With all panels in one share, which is the most that a thread takes."""
    cdef Problem p = simplified(given[0])
    cdef WeightLayout l = lay_out_weights(&p, unused)
    return total_bytes(&l, 1 if alone else threads.team(work(&p)), scratch_of(&l, l.panels), sizeof(floating))
