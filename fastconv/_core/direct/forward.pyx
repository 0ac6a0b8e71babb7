"""Direct convolution with channels in the vector lanes: an implicit matrix product of pixels by filters.

No lane is lost to narrow rows, so it is the better form of the product for small planes and deep sums; and its outputs
are pixels of channels, which is NHWC as it is. Tiles are 14 pixels x 2 vectors of filters (AVX-512), 7, 14, 28 and 56
being multiples of 7 or 14.

    for block of output rows (of several images where these are small):
        parallel for vector of input channels (NHWC: row):
            bands of channel vectors -> X[vector][image][row][column] (L2, L3)
        parallel for group, panel of 2 vectors of filters:
            filters -> B[channel vector][tap][channel][2 vectors]: just before their use, so they stay in L2
            for rectangle of outputs that meet the same taps (tiles.pxd):
                for row (for column, or for pixel, where rows are shorter than tiles):
                    for tile of pixels (of images): micro-kernel over channels and taps -> Y[pixel][2 vectors] (L2)
            bias and activation on the way; Y -> y

Low tiles, of 6 pixels without AVX-512, take B twice as fast as L2 gives it. So all tiles of a block meet one part of
the channels, of which B stays in L1, then the next, and go on from what is in Y. Where rows of outputs are no multiple
of a tile, low tiles go on in the next row, or image: each of their pixels has a pointer.

With many blocks each thread takes whole blocks instead, with an X of its own: no thread waits for another.
If the packed filters fit in L2, they are packed once, and X is small enough to stay there beside them.
Each thread packs them for itself: to fetch lines from the other's cache takes longer. The same where they fit
in L3 and an X of all pixels is too large for L2: to read panels from L3, each in one piece, takes less time than X,
of which a tile meets little pieces.

The pixels of X have no more room than their channels, if these are fewer than a vector. In NHWC the tiles go straight
to y, and mostly there is no X: tiles are read from x, and taps that meet zeros around it are left out. A 1 x 1 filter
takes only the pixels that it meets, and then a block is one long row; in NHWC, where the packed filters fit in L2, each
tile is taken by all panels while it is in L1. Filters of one vector have tiles of up to 18 pixels (AVX2: 12), which
load less for a product. Where pixels lie a multiple of 2 KB apart and so share few sets of L1, there is an X; for 1 x 1
filters a tile has only as many as L1 can hold, 7, and two panels instead. Without AVX-512 the X of 1 x 1 filters is
[part of the channels][image][row][column][channel]: the few rows of a tile are streams then.

Few channels in planes (first layers) are not transposed where layout.pyx says so: X is [image][channel][row][column],
a copy with padding, or, where there is none, x itself. The sum then runs over the columns of filters, neighbours
in a row, as it does over channels elsewhere.

Narrow groups, of as many channels as filters, lie side by side in one vector, as many as fill it and divide the number
of groups: to fill X and to store they are one group, but B holds a filter's own channels only, and in the tile a lane
meets those.

What would take too much scratch (X of a row of many channels, B of filters of very many terms) is cut into parts first:
see parts.py.

Sources: Georganas et al., "Anatomy of high-performance deep learning convolutions on SIMD architectures" (2018).
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, WHEN_READY, in_parallel
from fastconv._core.problem.blocks cimport block_at
from fastconv._core.direct.filters cimport pack_panel, place_weights
from fastconv._core.direct.inputs cimport fill_input, fill_steps
from fastconv._core.direct.layout cimport (
    DirectLayout, lay_out, leave_out_filters, only_met, panel_of, total_bytes, with_groups_joined, work,
)
from fastconv._core.direct.panels cimport DirectCall, DirectUnit, first_output, first_pixel, panel_step
from fastconv._core.runtime.isa cimport channel_tile, channel_tile_pair, join_pixels, vector_length
from fastconv._core.runtime.kernels cimport fc_pixels
from fastconv._core.problem.filters cimport are_finite
from fastconv._core.problem.lanes cimport LaneBand, lane_band, lane_positions
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport Problem, activation_of, beyond, ceildiv, part

cnp.import_array()

cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch


# ---------------------------------------------------------------------------------------------------------------------
# B of all filters, before the first block


cdef void pack_at(const DirectCall *call, Py_ssize_t index, floating *b) noexcept nogil:
    """One panel, counted over all groups."""
    cdef const DirectLayout *l = call.l
    cdef Py_ssize_t group = index // l.panels, k = index % l.panels * l.width
    pack_panel(l, call.p, <const floating *>call.p.weights + (group * call.p.k + k) * call.p.wk,
               min(l.width, call.p.k - k), call.weights_at, b + index * l.b_size)


cdef void pack_one(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    """One panel of the B of all threads."""
    cdef const DirectCall *call = <const DirectCall *>data
    pack_at(call, index, <floating *>call.packed)


cdef void pack_all(const void *data, Py_ssize_t thread, floating *unused) noexcept nogil:
    """All panels of one thread's B."""
    cdef const DirectCall *call = <const DirectCall *>data
    cdef Py_ssize_t i
    for i in range(call.p.groups * call.l.panels):
        pack_at(call, i, <floating *>call.packed + thread * call.l.scratch_size)


# ---------------------------------------------------------------------------------------------------------------------
# X of a block


cdef void fill_step(const void *data, Py_ssize_t step, floating *unused) noexcept nogil:
    cdef const DirectUnit *u = <const DirectUnit *>data
    cdef const Problem *p = u.call.p
    fill_input(p, u.call.l, &u.block, step, u.call.at,
               <const floating *>p.x + u.group * p.c * p.xc + u.block.n0 * p.xn, <floating *>u.x)


# ---------------------------------------------------------------------------------------------------------------------
# A block tile by tile


cdef void pointwise_block(const DirectUnit *u, floating *scratch) noexcept nogil:
    """One block of a group under 1 x 1 filters, tile by tile, from x to y as they lie. While the first panel works on a
    tile, the next tile's pixels are prefetched. scratch: a tile and the bias of the last panel, where it lacks
    filters."""
    cdef const DirectLayout *l = u.call.l
    cdef const Problem *p = u.call.p
    cdef Py_ssize_t rows = u.block.images * u.block.rows, cols = u.block.cols, last = (l.panels - 1) * l.width, zero = 0
    cdef Py_ssize_t row, q, t, m, i, k, step, tiles, filters, vectors
    cdef bint lacking = p.k % l.lanes > 0    # filters, in the last panel
    cdef const floating *x = first_pixel(u, scratch)
    cdef const floating *prepared = <const floating *>u.filters + u.group * l.panels * l.b_size
    cdef const floating *bias = <const floating *>p.bias
    cdef const floating *src
    cdef const floating *b
    cdef const floating *ahead
    cdef const floating *panel_bias
    cdef floating *last_bias = scratch + l.tiling.mr * l.width
    cdef floating *y = first_output(u, scratch)
    cdef floating *dst
    cdef fc_pixels pixels, apart    # the tiles in y, and the last panel's in the scratch
    pixels.channels, pixels.block_stride, pixels.taps, pixels.n_taps = p.c, l.lanes, &zero, 1
    pixels.step, pixels.ldc, pixels.b_panel, pixels.activation = p.xw, p.yw, l.b_size, activation_of(p, True)
    pixels.accumulate, pixels.rows, pixels.numbers = False, NULL, NULL
    apart = pixels
    apart.ldc = ceildiv(p.k - last, l.lanes) * l.lanes
    if bias != NULL:
        bias += u.group * p.k
        if lacking:
            for i in range(l.width):
                last_bias[i] = bias[last + i] if last + i < p.k else 0
    if l.tiling.one_row:
        rows, cols = 1, u.block.pixels
    tiles = ceildiv(cols, l.tiling.mr)
    for row in range(rows):
        for q in range(tiles):
            t = part(cols, tiles, q)
            m = part(cols, tiles, q + 1) - t
            src = x + row // u.block.rows * p.xn + row % u.block.rows * p.xh + t * p.xw
            dst = y + row // u.block.rows * p.yn + row % u.block.rows * p.yh + t * p.yw
            for step in range(l.steps):
                k = panel_of(l, step) * l.width
                b = prepared + panel_of(l, step) * l.b_size
                ahead = beyond(src, m * p.xw) if step == 0 else b
                panel_bias = bias + k if bias != NULL else bias
                if step < l.pairs:
                    channel_tile_pair(<int>m, &pixels, src, b, dst + k, panel_bias, ahead)
                    continue
                filters = min(l.width, p.k - k)
                vectors = ceildiv(filters, l.lanes)
                if filters == vectors * l.lanes:
                    channel_tile(<int>vectors, <int>m, &pixels, src, b, dst + k, panel_bias, ahead)
                    continue
                panel_bias = <const floating *>last_bias if bias != NULL else bias
                channel_tile(<int>vectors, <int>m, &apart, src, b, scratch, panel_bias, ahead)
                for i in range(vectors):
                    join_pixels(scratch + i * l.lanes, apart.ldc, m, <int>min(l.lanes, filters - i * l.lanes),
                                dst + k + i * l.lanes, p.yw)


# ---------------------------------------------------------------------------------------------------------------------
# All blocks


cdef void private_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """All of one block and group. The scratch: that of a step, X, B of all filters."""
    cdef const DirectCall *call = <const DirectCall *>data
    cdef const DirectLayout *l = call.l
    cdef const Problem *p = call.p
    cdef Py_ssize_t i
    cdef DirectUnit u
    u.call, u.block, u.group, u.team = call, block_at(p, &l.blocking, index // p.groups), index % p.groups, 1
    u.x = scratch + l.x_at
    u.filters = call.prepared
    if call.packed != NULL:
        u.filters = scratch + l.filters_at
    if l.each_tile:
        pointwise_block(&u, scratch)
    else:
        for i in range(fill_steps(p, l, &u.block)):
            fill_step(&u, i, scratch)
        for i in range(l.steps):
            panel_step(&u, i, scratch)


cdef void shared_blocks(const DirectCall *call, int team, floating *shared, floating *scratch) noexcept nogil:
    """Block by block, each by the whole team. shared: X, B of all filters."""
    cdef const DirectLayout *l = call.l
    cdef Py_ssize_t b
    cdef DirectUnit u
    u.call, u.team, u.x = call, team, shared + l.x_at
    u.filters = call.prepared
    if call.packed != NULL:
        u.filters = call.packed
    for b in range(l.blocking.count):
        u.block = block_at(call.p, &l.blocking, b)
        for u.group in range(call.p.groups):
            in_parallel(fill_step[floating], &u, fill_steps(call.p, l, &u.block), team, EVENLY, scratch, 0)
            in_parallel(panel_step[floating], &u, l.steps, team, WHEN_READY, scratch, l.scratch_size)


cdef void convolve(const DirectCall *call, int team, floating *shared, floating *scratch) noexcept nogil:
    """Each thread packs the filters for itself and takes whole blocks, or they share what is in each."""
    cdef const DirectLayout *l = call.l
    if l.private:
        if call.packed != NULL:
            in_parallel(pack_all[floating], call, team, team, EVENLY, scratch, 0)
        in_parallel(private_unit[floating], call, l.blocking.count * call.p.groups, team, WHEN_READY, scratch,
                    l.scratch_size)
    else:
        if call.packed != NULL:
            in_parallel(pack_one[floating], call, call.p.groups * l.panels, team, EVENLY, scratch, 0)
        shared_blocks(call, team, shared, scratch)


cdef bint forward(const Problem *problem, tuple prepared, const floating *unused) except -1:
    """Returns False, with nothing done, where one thread would take too much scratch; prepared filters don't count: the
    bits are the same with and without them. They are of no use where x lies otherwise than it was thought to."""
    cdef Problem p = with_groups_joined(problem[0], vector_length(unused))
    cdef int team = threads.team(work(&p))
    cdef DirectLayout l = lay_out(&p, 1, unused)
    cdef DirectCall call
    if total_bytes(&l, 1, sizeof(floating)) > MOST:
        return False
    if team > 1:
        l = lay_out(&p, team, unused)
    call.p, call.l, call.prepared, call.packed, call.finite = &p, &l, NULL, NULL, False
    if prepared is not None and prepared[1] != l.tiling.in_planes:
        prepared = None
    if prepared is not None:
        call.prepared, call.finite = (<Block>prepared[0]).data, prepared[2]
        leave_out_filters(&l)
    cdef Block tables = take(l.tables_size * sizeof(Py_ssize_t))
    cdef Block shared = take(l.shared_size * sizeof(floating))
    cdef Block scratch = take(team * l.scratch_size * sizeof(floating))
    if prepared is None and l.beforehand:
        call.packed = <floating *>(scratch.data if l.private else shared.data) + l.filters_at
    fill_tables(&call, <Py_ssize_t *>tables.data)
    with nogil:
        convolve(&call, team, <floating *>shared.data, <floating *>scratch.data)
    return True


cdef void fill_tables(DirectCall *call, Py_ssize_t *tables) noexcept:
    cdef const DirectLayout *l = call.l
    cdef const Problem *p = call.p
    cdef Py_ssize_t i, taps_a_row = l.tiling.n_taps // p.r
    cdef Py_ssize_t *taps = tables + 3 * l.at_size
    cdef LaneBand band = lane_band(p, 0, l.band_cols, l.pixel)
    place_weights(l, p, tables + l.at_size)
    if l.tiling.in_planes:
        for i in range(l.tiling.n_taps):
            taps[i] = i // p.r * l.plane_pitch + i % p.r * p.dilation_h * l.line_pitch
    else:
        lane_positions(p, &band, l.band_rows, tables)
        for i in range(l.tiling.n_taps):
            taps[i] = i // taps_a_row * l.tap_row + i % taps_a_row * l.tap_column
    call.at, call.weights_at, call.taps = tables, tables + l.at_size, taps


# ---------------------------------------------------------------------------------------------------------------------
# The doors


cdef Problem problem_of(Convolution conv) noexcept:
    cdef Problem p = only_met(conv.problem)
    if p.c == 1:
        p.xc = 1    # there is no second one
    return p


def conv2d(Convolution conv not None, tuple prepared=None):
    """As product's."""
    if cnp.PyArray_SIZE(conv.y) == 0:
        return
    cdef Problem p = problem_of(conv)
    if not (forward[float](&p, prepared, NULL) if conv.single else forward[double](&p, prepared, NULL)):
        parts.convolve(conv2d, workspace, conv)


def prepare(Convolution conv not None):
    """The filters packed once, whether that is for planes that are read as they are, and whether all are finite."""
    cdef Problem p = problem_of(conv)
    return packed[float](&p, NULL) if conv.single else packed[double](&p, NULL)


cdef tuple packed(const Problem *problem, floating *unused):
    cdef Problem p = with_groups_joined(problem[0], vector_length(unused))
    cdef DirectLayout l = lay_out(&p, 1, unused)
    cdef Block filters = take(l.filters_size * sizeof(floating))
    cdef Block table = take(2 * l.at_size * sizeof(Py_ssize_t))
    cdef DirectCall call
    cdef Py_ssize_t i
    cdef bint finite = True
    place_weights(&l, &p, <Py_ssize_t *>table.data)
    call.p, call.l, call.weights_at, call.packed = &p, &l, <Py_ssize_t *>table.data, filters.data
    pack_all(&call, 0, unused)
    for i in range(p.groups * l.panels):
        finite &= are_finite(<const floating *>filters.data + i * l.b_size, l.depth * l.tiling.n_taps * (
            l.lanes if l.narrow and i % l.panels == l.panels - 1 else l.width))
    return filters, l.tiling.in_planes, finite


def workspace(Convolution conv not None, bint alone):
    """As product's."""
    cdef Problem p = problem_of(conv)
    return scratch_bytes[float](&p, alone, NULL) if conv.single else scratch_bytes[double](&p, alone, NULL)


cdef Py_ssize_t scratch_bytes(const Problem *problem, bint alone, const floating *unused) noexcept:
    cdef Problem p = with_groups_joined(problem[0], vector_length(unused))
    cdef int team = 1 if alone else threads.team(work(&p))
    cdef DirectLayout l = lay_out(&p, team, unused)
    return total_bytes(&l, team, sizeof(floating))
