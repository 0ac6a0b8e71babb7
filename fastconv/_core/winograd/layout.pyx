"""How Winograd's driver cuts a convolution into blocks, and where everything lies: forward.pyx says what for.

The bits of a result do not depend on any of it, the number of threads included: each product is one sum over all
channels.
"""

from fastconv._core.runtime.isa cimport kernels
from fastconv._core.runtime.kernels cimport (
    FC_F42, FC_F42_COLUMN, FC_F42_ROW, FC_F43, FC_F43_COLUMN, FC_F43_ROW, FC_F43_STRIDE_2, FC_F45, FC_F45_COLUMN,
    FC_F45_ROW, FC_MAX_MR, FC_MAX_NV, fc_contrast_blocks,
)
from fastconv._core.problem.convolution cimport Convolution, record_of
from fastconv._core.problem.lanes cimport position_count
from fastconv._core.problem.problem cimport Problem, ceildiv, rounded

cdef enum:
    THREAD_BYTES = 7 << 20       # all that a call takes, for each of its threads, if the channels allow
    SPARE_BYTES = 384 << 10      # of them, for tables
    FILTERS_BYTES = 16 << 20     # transformed filters up to this size stay in L3 (and so do all threads' copies)
    COPY_BYTES = 1 << 20         # up to this size in L2: then each thread has a copy,
    COPY_TILES = 32              # if it has so many tiles
    PANEL_BYTES = 2 << 20        # transformed filters of a panel of two vectors
    PRIVATE_BYTES = 512 << 10    # V and M of a block that is one thread's, beside U in L2
    LARGE_BYTES = 1536 << 10     # where U comes from L3, for each block again
    SHARED_BYTES = 8 << 20       # V of a block that all threads work on
    STRIP_TILES = 64             # of a strip at most
    PIECE_STRIPS = 8             # of a band at most
    BAND_BYTES = 2560 << 10      # of a band, where it has more than one strip
    PIXEL_BYTES = 256            # of a pixel's channels that are read together
    LINE_BYTES = 64              # of the caches
    FEWEST_VECTORS = 4           # of channels, for which a loop of their own pays


cdef Problem problem_with_stride(Convolution conv) noexcept:
    """The record with the stride of the window, which decides between the schemes even where there is one output."""
    cdef Problem g = conv.problem
    g.stride_h, g.stride_w = conv.window.stride_h, conv.window.stride_w
    return g


cdef inline int scheme_of(const Problem *g) noexcept nogil:
    if g.r == 1:
        return FC_F45_ROW if g.s == 5 else FC_F43_ROW if g.s == 3 else FC_F42_ROW
    if g.s == 1:
        return FC_F45_COLUMN if g.r == 5 else FC_F43_COLUMN if g.r == 3 else FC_F42_COLUMN
    if g.r == 3:
        return FC_F43 if g.stride_h == 1 and g.stride_w == 1 else FC_F43_STRIDE_2
    return FC_F45 if g.r == 5 else FC_F42


cdef void lay_out_filters(WinogradLayout *l, const Problem *g, Py_ssize_t size) noexcept nogil:
    """All that the transformed filters depend on; size is that of an element, in bytes."""
    cdef Py_ssize_t pair
    cdef bint falls_out
    l.scheme = scheme_of(g)
    l.size = size
    if size == sizeof(float):
        l.lanes, l.mr = kernels.f32.vector, kernels.f32.mr
    else:
        l.lanes, l.mr = kernels.f64.vector, kernels.f64.mr
    # of both precisions
    l.points, l.filter_points = kernels.f32.winograd[l.scheme].points, kernels.f32.winograd[l.scheme].filter_points
    l.taps, l.step = kernels.f32.winograd[l.scheme].taps, kernels.f32.winograd[l.scheme].step
    l.patch_high = l.patch_wide = l.points
    l.taps_high, l.taps_wide, l.step_high, l.step_wide = g.r, g.s, l.step, l.step
    l.tile_high, l.tile_wide = tile_height(g), tile_width(g)
    l.n_points, l.n_filter_points, l.n_taps = l.points * l.points, l.filter_points * l.filter_points, g.r * g.s
    if g.r == 1:
        l.patch_high = l.step_high = 1
    elif g.s == 1:
        l.patch_wide = l.step_wide = 1
    if g.r == 1 or g.s == 1:
        l.n_points, l.n_filter_points = l.points, l.filter_points
    l.groups, l.channels, l.filters, l.joined, l.depth = g.groups, g.c, g.k, 1, g.c
    l.of_gradient = False
    if g.groups > 1 and g.c == g.k and 2 * g.c <= l.lanes:
        l.joined = min(l.lanes // g.c, g.groups)
        l.groups = ceildiv(g.groups, l.joined)
        l.channels = l.filters = l.joined * g.c
    l.vectors = ceildiv(l.channels, l.lanes)
    # A panel of one vector where two would fall out of L2 before their use; but tiles of few rows need two, to fill the
    # pipelines.
    pair = FC_MAX_NV * l.lanes
    falls_out = l.n_filter_points * l.depth * pair * size > PANEL_BYTES
    l.width = l.lanes if l.filters <= l.lanes or (falls_out and l.mr >= 8) else pair
    l.panels = ceildiv(l.filters, l.width)
    # not a power of two apart: all points of a filter would meet in one L1 set
    l.u_point = l.depth * l.width + l.lanes
    l.u_panel = l.n_filter_points * l.u_point
    l.u_size = l.groups * l.panels * l.u_panel


cdef inline double balance(Py_ssize_t units, int team) noexcept nogil:
    """The part of the time that threads work, with units of the same size."""
    return <double>units / (ceildiv(units, team) * team)


cdef inline int contrast_step(const WinogradLayout *l) noexcept nogil:
    """Two taps may have one block in common, and no other; more of them have one of every two."""
    return 1 if l.taps == 2 else 2


cdef inline int blocks_along(const WinogradLayout *l, Py_ssize_t pixels) noexcept nogil:
    """Blocks of two pixels, or of one in one dimension where two taps have no more in common."""
    if contrast_step(l) == 2:
        return <int>(pixels + 1) // 2
    return <int>pixels - (1 if l.patch_high > 1 and l.patch_wide > 1 else 0)


cdef fc_contrast_blocks contrast_of(const WinogradLayout *l, Py_ssize_t cols) noexcept nogil:
    """The blocks of a strip whose band has so many columns."""
    cdef fc_contrast_blocks b
    b.rows, b.next, b.known = 1, 1, 0
    b.beside, b.below = 0, contrast_step(l) - 1
    if l.patch_wide == 1:    # tile by tile
        b.columns = b.next = blocks_along(l, l.patch_high)
        b.count = cols * b.columns
        return b
    b.columns, b.count = blocks_along(l, l.patch_wide), blocks_along(l, cols)
    if l.patch_high > 1:
        b.rows, b.known = blocks_along(l, l.patch_high), (l.patch_high - l.step_high) // 2
        b.beside, b.below = l.lanes, 1
    return b


cdef void lay_out_bands(WinogradLayout *l, const Problem *g, Py_ssize_t block_strips) noexcept nogil:
    """Bands of strips whose number and length are known, for blocks of so many: what transform_inputs reads."""
    cdef Py_ssize_t size = l.size, cols = (l.tiles - 1) * l.step_wide + l.patch_wide
    l.vectors_at_once = min(l.vectors, PIXEL_BYTES // (l.lanes * size)) if l.pixels else 1
    l.piece_strips = BAND_BYTES // (l.step_high * cols * l.lanes * size * l.vectors_at_once) - 1
    l.piece_strips = max(1, min(PIECE_STRIPS, l.piece_strips))
    l.pieces = ceildiv(l.tile_rows, min(l.piece_strips, block_strips))
    l.piece_strips = ceildiv(l.tile_rows, l.pieces)
    l.pieces = ceildiv(l.tile_rows, l.piece_strips)
    l.rows = (min(block_strips, l.piece_strips) - 1) * l.step_high + l.patch_high
    l.band_vector = rounded(l.rows * cols * l.lanes)
    l.blocks_of_contrast = contrast_of(l, cols)
    l.contrast_step = contrast_step(l)
    # the table holds Py_ssize_t, behind its places int32_t
    l.places_at = 0 if l.pixels else position_count(g, l.rows, cols)
    l.inputs_size = l.places_at + ceildiv(l.blocks_of_contrast.rows * l.blocks_of_contrast.count + l.lanes, 2)


cdef void cut(WinogradLayout *l, const Problem *g, Py_ssize_t most_tiles) noexcept nogil:
    """Strips and blocks of at most so many tiles, and the sizes and places of all arrays."""
    cdef Py_ssize_t size = l.size, u_all = l.u_size * size, team = l.team
    cdef Py_ssize_t block_strips, block_tiles, units
    # strips
    l.tile_rows = ceildiv(g.oh, l.tile_high)
    l.tiles = ceildiv(g.ow, l.tile_wide)
    l.col_blocks = ceildiv(l.tiles, min(STRIP_TILES, most_tiles))
    l.tiles = ceildiv(l.tiles, l.col_blocks)
    l.strips = g.n * l.col_blocks * l.tile_rows
    # blocks
    l.blocks = ceildiv(l.strips, max(1, most_tiles // l.tiles))
    l.groups_at_once = l.groups if l.private and l.pixels and l.blocks >= team else 1
    units = l.groups // l.groups_at_once
    if l.private and l.blocks * units < 8 * team:    # as many for each thread
        l.blocks = min(l.strips, ceildiv(l.blocks, team) * team)
    block_strips = ceildiv(l.strips, l.blocks)
    block_tiles = block_strips * l.tiles
    if l.joined > 1:    # their products take any number of tiles
        l.mr = block_tiles
    # filters
    l.place = IN_ONE_PLACE
    if (not l.prepared and l.private and u_all <= min(COPY_BYTES, FILTERS_BYTES // team)
            and l.strips * l.tiles >= COPY_TILES * team):
        l.place = IN_COPIES
    elif not l.prepared and not l.private and (l.blocks == 1 or u_all > min(FILTERS_BYTES, team * THREAD_BYTES // 2)):
        l.place = IN_PANELS
    lay_out_bands(l, g, block_strips)
    # tables hold Py_ssize_t: two elements each, or one double
    l.table_size = rounded(max(l.inputs_size, block_tiles)) * sizeof(Py_ssize_t) // size
    # arrays
    place_v(l, block_tiles)
    l.m_point = block_tiles * l.width + l.lanes
    l.v_size = rounded(l.n_points * l.v_point)
    l.band_at = rounded(block_tiles) * sizeof(Py_ssize_t) // size
    l.weights_at = l.band_at + band_size(l)
    l.u_at = l.weights_at + weights_size(l)
    l.v_at = l.u_at + rounded(l.u_size if l.place == IN_COPIES else l.u_panel if l.place == IN_PANELS else 0)
    l.m_at = l.v_at + (l.v_size if l.private else 0)
    l.strip_at = l.m_at + rounded(l.n_points * l.m_point)
    l.thread_size = l.strip_at + rounded(4 * 4 * l.tiles * l.lanes)
    l.shared_size = (0 if l.private else l.v_size) + (l.u_size if l.place == IN_ONE_PLACE and not l.prepared else 0)


cdef void place_v(WinogradLayout *l, Py_ssize_t block_tiles) noexcept nogil:
    """Where the tiles of a block and their vectors are in V. Where tiles of the product are low, the channels of each
    follow each other: one loop is all that such a tile has. Elsewhere a vector of all tiles comes before the next, and
    they fill whole lines of the cache."""
    cdef Py_ssize_t line = LINE_BYTES // l.size
    l.v_tile, l.v_vector = l.lanes, l.mr * l.lanes
    l.v_tiles = l.vectors * l.v_vector
    if l.mr < FC_MAX_MR and l.joined == 1 and l.vectors >= FEWEST_VECTORS:
        l.v_tile, l.v_vector = (ceildiv(l.vectors * l.lanes, 2 * line) * 2 + 1) * line, l.lanes
        l.v_tiles = l.mr * l.v_tile
    l.v_point = ceildiv(block_tiles, l.mr) * l.v_tiles + l.lanes


cdef Py_ssize_t filters_at_once(const Problem *g, Py_ssize_t size, int team) noexcept nogil:
    """Filters that are computed in one pass: fewer than all where blocks would be private but for the bytes of U. To
    transform the inputs again costs less than to make U anew for each block."""
    cdef WinogradLayout l
    cdef Py_ssize_t u_all, room = team * (THREAD_BYTES - LARGE_BYTES) - SPARE_BYTES, v_tile
    lay_out_filters(&l, g, size)
    u_all, v_tile = l.u_size * size, l.n_points * l.vectors * l.lanes * size
    if (g.groups > 1 or u_all <= room or u_all > FILTERS_BYTES
            or u_all > tiles_of(g) * v_tile):
        return g.k
    return ceildiv(l.panels, ceildiv(u_all, room)) * l.width


cdef WinogradLayout lay_out(const Problem *g, Py_ssize_t size, bint prepared, Py_ssize_t held, int team) noexcept nogil:
    """The layout for elements of so many bytes, but for the arrays of a call. `prepared`: the transformed filters are
    the caller's; it holds so many bytes of scratch besides."""
    cdef WinogradLayout l
    cdef Py_ssize_t room = team * THREAD_BYTES - SPARE_BYTES - held, u_all, v_tile, m_tile, most_tiles, strips
    cdef bint fits
    lay_out_filters(&l, g, size)
    l.team, l.prepared, l.pixels = team, prepared, g.xc == 1
    # Blocks are private where U is less than V. One thread, private / shared in ms: 256 channels, 4 x 56 x 56
    # 37.4 / 38.7, 4 x 28 x 28 9.81 / 9.86, 4 x 14 x 14 3.22 / 3.09; 128 channels with stride 2, 4 x 56 x 56
    # 5.83 / 6.32.
    u_all = l.u_size * size
    v_tile = l.n_points * l.vectors * l.lanes * size
    m_tile = l.n_points * l.width * size
    strips = g.n * ceildiv(g.oh, l.tile_high) * ceildiv(g.ow, l.tile_wide * STRIP_TILES)
    fits = u_all <= FILTERS_BYTES and (prepared or u_all <= room - team * LARGE_BYTES)
    l.private = fits and u_all <= l.groups * tiles_of(g) * v_tile
    l.private = l.private and balance(strips * l.groups, team) >= 0.9 * balance(l.panels, team)
    if l.private:
        most_tiles = (PRIVATE_BYTES if u_all <= COPY_BYTES else LARGE_BYTES) // (v_tile + m_tile)
    else:
        most_tiles = SHARED_BYTES // v_tile
    most_tiles = max(1, most_tiles)
    while True:
        cut(&l, g, most_tiles)
        if most_tiles == 1 or (l.shared_size + team * l.thread_size) * size <= room:
            return l
        most_tiles = most_tiles * 7 // 8


# What cost.py counts with: sizes as in WinogradLayout.
cdef struct WinogradCounts:
    int patch_high, patch_wide, step_high, step_wide, tile_wide
    Py_ssize_t n_points, n_filter_points
    Py_ssize_t groups, joined, vectors, panels, width    # width: in vectors
    Py_ssize_t tile_rows, tiles, col_blocks, blocks, block_tiles
    Py_ssize_t passes                                    # over the inputs: see filters_at_once
    Py_ssize_t transforms                                # of the filters


def laid_out(problem):
    """How a ConvProblem is cut on one thread, for cost.py; with dilation the first of its phases,
    which is the largest."""
    cdef Problem g = record_of(problem)
    cdef Py_ssize_t size = problem.itemsize, k = 0
    cdef WinogradLayout l
    cdef WinogradCounts c
    g.stride_h, g.stride_w = problem.stride
    if is_signal(&g) and g.dilation_w > 1:
        fold(&g)
    else:
        g.h, g.w = ceildiv(g.h, g.dilation_h), ceildiv(g.w, g.dilation_w)
        g.oh, g.ow = ceildiv(g.oh, g.dilation_h), ceildiv(g.ow, g.dilation_w)
        g.xh, g.xw = g.xh * g.dilation_h, g.xw * g.dilation_w
    k, g.k = g.k, min(g.k, filters_at_once(&g, size, 1))
    l = lay_out(&g, size, False, 0, 1)
    c.patch_high, c.patch_wide, c.step_high, c.step_wide = l.patch_high, l.patch_wide, l.step_high, l.step_wide
    c.tile_wide = l.tile_wide
    c.n_points, c.n_filter_points = l.n_points, l.n_filter_points
    c.passes = ceildiv(k, g.k)
    c.groups, c.joined, c.vectors, c.panels, c.width = l.groups, l.joined, l.vectors, l.panels, l.width // l.lanes
    c.tile_rows, c.tiles, c.col_blocks, c.blocks = l.tile_rows, l.tiles, l.col_blocks, l.blocks
    c.block_tiles = ceildiv(l.strips, l.blocks) * l.tiles
    c.transforms = l.blocks if l.place == IN_PANELS else 1
    return c
