"""How Winograd's weight gradient is cut into blocks and panels, and where everything lies:
weight_gradient.pyx says what for.

How sums are cut (chunks, blocks, runs) follows from the sizes alone, so the bits do not depend on the number of
threads; panels may, as each of their elements is a sum of its own.
"""

from fastconv._core.problem.band cimport CONSTANT
from fastconv._core.problem.problem cimport Problem, ceildiv, rounded
from fastconv._core.winograd.layout cimport WinogradLayout, band_size, lay_out_bands, lay_out_filters

cdef enum:
    RUNS = 32                    # that are added one after the other
    CHUNK_TILES = 256            # at least
    MOST_CHUNKS = 8
    TOTALS_BYTES = 4 << 20       # of all chunks
    CHUNK_BYTES = 1280 << 10     # sums of a group up to this size are a thread's own
    KEPT_BYTES = 2560 << 10      # up to this size they stay in a cache from block to block
    NEAR_BYTES = 1536 << 10      # V and Z of a block beside them
    FAR_BYTES = 7 << 20          # V and Z of a block whose sums go to the totals
    PANEL_BYTES = 640 << 10      # sums of a panel, in L2
    PANEL_CHANNEL_BYTES = 256    # channels of a panel


cdef Problem gradient_as_image(const Problem *g) noexcept nogil:
    """grad_output as the x of a problem with the same groups."""
    cdef Problem y = g[0]
    y.x, y.c, y.h, y.w = g.y, g.k, g.oh, g.ow
    y.xn, y.xc, y.xh, y.xw = g.yn, g.yk, g.yh, g.yw
    y.top = y.left = 0
    y.padding, y.value = CONSTANT, 0
    return y


cdef void lay_out_strips(WinogradLayout *l, const Problem *g, const Problem *image) noexcept nogil:
    """Rows of tiles of whole images; `image` is what they are read from."""
    l.pixels = image.xc == 1
    l.vectors = ceildiv(l.channels, l.lanes)
    l.tile_rows, l.tiles, l.col_blocks = ceildiv(g.oh, 4), ceildiv(g.ow, 4), 1
    l.strips = g.n * l.tile_rows
    l.band_at = 0


cdef void cut_sums(WinogradGradientLayout *l, const Problem *g) noexcept nogil:
    """Chunks and blocks."""
    cdef Py_ssize_t size = l.x.size, tiles = l.x.tiles, points = l.x.points * l.x.points
    cdef Py_ssize_t chunk_strips, runs
    cdef Py_ssize_t weights = g.groups * g.k * g.c * g.r * g.s
    cdef Py_ssize_t sums = l.x.filter_points * l.x.filter_points * l.x.filters * l.x.vectors * l.x.lanes * size
    cdef Py_ssize_t tile_bytes = points * (l.x.vectors + l.y.vectors) * l.x.lanes * size
    l.chunks = min(MOST_CHUNKS, l.x.strips * tiles // CHUNK_TILES)
    l.chunks = max(1, min(l.chunks, TOTALS_BYTES // (weights * <Py_ssize_t>sizeof(double))))
    l.private = sums <= CHUNK_BYTES and l.chunks * l.x.groups >= 4
    l.kept = l.private or sums <= KEPT_BYTES
    if not l.private:
        l.chunks = 1
    l.chunks = min(l.chunks, l.x.strips)
    chunk_strips = ceildiv(l.x.strips, l.chunks)
    l.block_strips = min(chunk_strips, (NEAR_BYTES if l.kept else FAR_BYTES) // (tile_bytes * tiles))
    l.block_strips = max(1, min(l.block_strips, RUNS * RUN_TILES // tiles))
    l.blocks = ceildiv(chunk_strips, l.block_strips)
    l.block_strips = ceildiv(chunk_strips, l.blocks)
    runs = ceildiv(l.block_strips * tiles, RUN_TILES)
    l.blocks_at_once = max(1, RUNS // runs) if l.kept else 1
    l.totals = weights if l.chunks > 1 or l.blocks > l.blocks_at_once else 0


cdef void cut_panels(WinogradGradientLayout *l) noexcept nogil:
    """A private chunk's sums are one panel; else there are enough of them for the team."""
    cdef Py_ssize_t points = l.x.filter_points * l.x.filter_points, filters = l.x.filters, row_bytes
    l.filter_panels, l.vectors = 1, l.x.vectors
    if not l.private:
        l.vectors = min(l.x.vectors, PANEL_CHANNEL_BYTES // (l.x.lanes * l.x.size))
        row_bytes = points * l.vectors * l.x.lanes * l.x.size
        l.filter_panels = ceildiv(filters, max(l.mr, PANEL_BYTES // row_bytes))
        if l.team > 1:
            l.filter_panels = max(l.filter_panels, min(ceildiv(3 * l.team * l.vectors, l.x.vectors),
                                                       ceildiv(filters, l.mr)))
    l.channel_panels = ceildiv(l.x.vectors, l.vectors)
    l.u_row = l.vectors * l.x.lanes
    l.u_point = ceildiv(filters, l.filter_panels) * l.u_row + l.x.lanes    # not a power of two apart
    l.u_size = rounded(points * l.u_point)


cdef WinogradGradientLayout lay_out_gradient(const Problem *g, const Problem *y, Py_ssize_t size,
                                             int team) noexcept nogil:
    """The layout for elements of so many bytes; y is gradient_as_image."""
    cdef WinogradGradientLayout l
    cdef Py_ssize_t points, block_tiles
    lay_out_filters(&l.x, g, size)
    l.team, l.mr = team, l.x.mr
    points = l.x.points * l.x.points
    l.y = l.x
    l.y.channels, l.y.of_gradient = l.x.filters, True
    l.y.points = l.y.patch_high = l.y.patch_wide = l.y.step = l.y.step_high = l.y.step_wide = 4
    lay_out_strips(&l.x, g, g)
    lay_out_strips(&l.y, g, y)
    cut_sums(&l, g)
    cut_panels(&l)
    lay_out_bands(&l.x, g, l.block_strips)
    lay_out_bands(&l.y, y, l.block_strips)
    # V[point][channel vector][tile]: two vectors of them are B of a product;
    # Z[point][tile][filter], of which some are A
    block_tiles = l.block_strips * l.x.tiles
    l.x.mr, l.x.v_tiles, l.x.v_tile, l.x.v_vector = block_tiles, 0, l.x.lanes, block_tiles * l.x.lanes
    l.x.v_point = l.x.vectors * block_tiles * l.x.lanes + l.x.lanes
    l.y.mr, l.y.v_tiles, l.y.v_tile, l.y.v_vector = 1, (l.y.vectors + 1) * l.y.lanes, 0, l.y.lanes
    l.y.v_point = block_tiles * l.y.v_tiles + l.y.lanes
    l.v_size, l.z_size = rounded(points * l.x.v_point), rounded(points * l.y.v_point)
    l.u_at = rounded(max(band_size(&l.x), band_size(&l.y)))
    l.row_at = l.u_at + (0 if l.kept and not l.private else l.u_size)
    l.v_at = l.row_at + rounded(l.u_row * g.r * g.s)
    l.z_at = l.v_at + (l.v_size if l.private else 0)
    l.thread_size = l.z_at + (l.z_size if l.private else 0)
    l.shared_size = 0 if l.private else l.v_size + l.z_size
    if l.kept and not l.private:
        l.shared_size += l.filter_panels * l.channel_panels * l.u_size
    return l


cdef Py_ssize_t tables_size(const WinogradGradientLayout *l) noexcept nogil:
    """Entries of the tables: where the pixels of bands go, and tiles in V and Z."""
    return l.x.inputs_size + l.y.inputs_size + 2 * l.block_strips * l.x.tiles


cdef Py_ssize_t gradient_bytes(const WinogradGradientLayout *l) noexcept nogil:
    """All that a call takes."""
    return ((l.team * l.thread_size + l.shared_size) * l.x.size + l.chunks * l.totals * <Py_ssize_t>sizeof(double)
            + tables_size(l) * <Py_ssize_t>sizeof(Py_ssize_t) + l.x.groups * l.x.strips)
