"""The data gradient of 3 x 3 filters with stride 2 by Winograd's algorithm, transposed. src_c/winograd.h has the
mathematics.

The forward pass makes 4 x 4 outputs of a patch of 9 x 9 inputs, A^T [U . (B^T x B)] A. So the share that a tile of 4
x 4 pixels of grad_output has in the gradient of its patch is

    B [sum over filters of U . (A dy A^T)] B^T,

with the same U, 81 products for 144. Patches begin 8 pixels apart: neighbours have a row or a column in common, where
they are added.

Vector lanes are channels: filters of grad_output, input channels of grad_x. A strip is a row of tiles of one image, a
block so many strips that V stays in a cache; a panel is one or two vectors of channels of grad_x:

    filters -> U, where all of it is small, unless they were prepared
    for block:
        parallel for strip, vector of filters (NHWC: all of them): 4 rows -> transform -> V (L1, L2)
        parallel for panel:
            filters -> U of the panel, unless it was made before
            for point: for MR tiles: micro-kernel over all filters -> M[point][tile] (L2)
            for vector, strip: M -> patches, added up in 9 rows of pixels (L1, L2) -> 8 rows of grad_x

The ninth row is the first of the next strip, and waits for it, where need be in the next block. So sums of patches
are made in the order of the strips, whatever the number of threads. A bias and an activation, of a transposed
convolution, come to rows that are complete, before they are stored.

A transform spreads what is not finite over its patch, and the rounding error of pixels that are louder than others by
far (src_c/contrast.h) to pixels that do not see them. Images that have either are named to the caller, to be computed
otherwise.

Sources: as forward.pyx.
"""

from fastconv._core.winograd import filters

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memcpy, memset

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.lanes cimport (
    LaneBand, fill_lanes, fill_pixels, lane_band, lane_positions, position_count, store_lanes,
)
from fastconv._core.problem.problem cimport Problem, ceildiv, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport activation, kernels
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, fc_winograd_steps
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, WHEN_READY, in_parallel
from fastconv._core.winograd.filters cimport place_taps, transform_panel
from fastconv._core.winograd.inputs cimport place_tiles
from fastconv._core.winograd.layout cimport (
    IN_ONE_PLACE, IN_PANELS, WinogradBlock, WinogradLayout, channels_of, filters_of, lay_out_filters, place_v,
    problem_with_stride, taps_table_size, weights_size,
)
from fastconv._core.winograd.products cimport multiply

cnp.import_array()

cdef enum:
    FILTERS_BYTES = 5 << 20     # of U, if it is made once
    COPY_BYTES = 1 << 20        # of U that stays in L2 with
    NEAR_BYTES = 512 << 10      # V and M of a block,
    FAR_BYTES = 1536 << 10      # where U comes from L3,
    LARGE_BYTES = 6 << 20       # and where it is made for each block
    MOST_CONTRAST = 256         # of magnitudes, as in forward.pyx
    ROWS = 10                   # of a patch, and one of zeros, which no output has met


# What the units of a call share.
cdef struct PatchesCall:
    const Problem *g              # x is grad_output, y is grad_x
    const WinogradLayout *l
    const WinogradBlock *block    # that is worked on
    void *carried                 # the last rows of a block, one for each vector of channels
    char *otherwise               # of each image: whether it must be computed otherwise
    Py_ssize_t band_cols, patch_cols


cdef inline void gradient_tiles(const WinogradLayout *l, const floating *band, Py_ssize_t pitch, floating *v,
                                const Py_ssize_t *at) noexcept nogil:
    if floating is float:
        kernels.f32.winograd[l.scheme].gradients(band, pitch, l.tiles, v, at, l.v_point)
    else:
        kernels.f64.winograd[l.scheme].gradients(band, pitch, l.tiles, v, at, l.v_point)


cdef inline int tile_contrast(const floating *band, Py_ssize_t pitch, Py_ssize_t tiles, floating most) noexcept nogil:
    if floating is float:
        return kernels.f32.tile_contrast(band, pitch, tiles, most)
    else:
        return kernels.f64.tile_contrast(band, pitch, tiles, most)


cdef inline int add_patches(const fc_winograd_steps *steps, const floating *m, floating *y, Py_ssize_t tiles,
                            int below) noexcept nogil:
    if floating is float:
        return kernels.f32.add_patches(steps, m, y, tiles, below)
    else:
        return kernels.f64.add_patches(steps, m, y, tiles, below)


cdef void filter_unit(const void *data, Py_ssize_t panel, floating *scratch) noexcept nogil:
    """U of one panel, counted over all groups."""
    cdef const PatchesCall *call = <const PatchesCall *>data
    transform_panel(call.l, call.g, panel, scratch + call.l.weights_at, <floating *>call.l.u + panel * call.l.u_panel)


cdef void input_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """V of one strip of the block, of all channels of a group's grad_output or of one vector of them."""
    cdef const PatchesCall *call = <const PatchesCall *>data
    cdef const WinogradLayout *l = call.l
    cdef const Problem *g = call.g
    cdef Py_ssize_t parts = 1 if l.pixels else l.vectors, i = index // parts, q = index % parts, vectors, _vector
    cdef Py_ssize_t n = (call.block.first + i) // l.tile_rows
    cdef Py_ssize_t channels = channels_of(l, g, call.block.group) - q * l.lanes
    cdef LaneBand band = lane_band(g, 0, call.band_cols, l.lanes)
    cdef const floating *x = (<const floating *>g.x + n * g.xn + (call.block.group * l.channels + q * l.lanes) * g.xc)
    cdef floating *rows = scratch + l.band_at
    cdef floating *v = <floating *>call.block.v + q * l.v_vector
    band.row0, band.rows = (call.block.first + i) % l.tile_rows * 4, 4
    if channels <= 0:
        return
    vectors = ceildiv(channels, l.lanes) if l.pixels else 1
    if l.pixels:
        fill_pixels(g, &band, 0, 4, x, channels, rows, l.band_vector)
    else:
        fill_lanes(g, &band, x, <int>min(l.lanes, channels), <floating>0, l.inputs_at, rows)
    for _vector in range(vectors):
        if tile_contrast(rows, band.pitch, l.tiles, <floating>l.contrast):
            call.otherwise[n] = 1
        gradient_tiles(l, rows, band.pitch, v, call.block.tile_at + i * l.tiles)
        rows += l.band_vector
        v += l.v_vector


cdef void finish_row(const PatchesCall *call, floating *row, Py_ssize_t channel, int channels) noexcept nogil:
    """The bias and the activation of a row of pixels, a vector each."""
    cdef const Problem *g = call.g
    cdef Py_ssize_t lanes = call.l.lanes, p
    cdef floating bias[FC_MAX_LANES]
    cdef int i
    if g.bias != NULL:
        for i in range(lanes):
            bias[i] = (<const floating *>g.bias)[channel + i] if i < channels else 0
        for p in range(g.left + g.ow):
            for i in range(lanes):
                row[p * lanes + i] += bias[i]
    if g.activation:
        activation(g.activation, row, row, (g.left + g.ow) * lanes, g.slope)


cdef void store_rows(const PatchesCall *call, floating *rows, Py_ssize_t count, Py_ssize_t first, Py_ssize_t n,
                     Py_ssize_t channel, int channels) noexcept nogil:
    """So many rows of the patches, the first of which is `first` of the padded image, to grad_x, as far as they lie
    in it."""
    cdef const Problem *g = call.g
    cdef Py_ssize_t lanes = call.l.lanes, r, u
    for r in range(count):
        u = first + r - g.top
        if 0 <= u < g.oh:
            if g.bias != NULL or g.activation:
                finish_row(call, rows + r * call.patch_cols * lanes, channel, channels)
            store_lanes(g, <floating *>g.y + n * g.yn + channel * g.yk + u * g.yh, channels, 1, g.ow,
                        rows + (r * call.patch_cols + g.left) * lanes, lanes)


cdef void patches_of_vector(const PatchesCall *call, const floating *m, Py_ssize_t channel, int channels,
                            floating *carried, floating *rows) noexcept nogil:
    """M of one vector of channels, of all strips of the block, to grad_x; `channel` is counted over all groups."""
    cdef const WinogradLayout *l = call.l
    cdef Py_ssize_t pitch = call.patch_cols * l.lanes, strip, n, row, i
    cdef bint finishes = call.g.bias != NULL or call.g.activation
    cdef fc_winograd_steps steps
    steps.m_point, steps.m_tile, steps.y_row, steps.y_col = l.m_point, l.width, pitch, l.lanes
    memset(rows, 0, ROWS * pitch * sizeof(floating))
    if call.block.first % l.tile_rows:
        memcpy(rows, carried, pitch * sizeof(floating))
    for strip in range(call.block.first, call.block.last):
        n, row = strip // l.tile_rows, strip % l.tile_rows
        if not add_patches(&steps, m, rows, l.tiles, row > 0):
            call.otherwise[n] = 1
        store_rows(call, rows, ROWS if row + 1 == l.tile_rows else 8, 8 * row, n, channel, channels)
        memcpy(rows, rows + 8 * pitch, pitch * sizeof(floating))
        if finishes:    # columns and rows that no output has met are zeros again
            for i in range(ROWS):
                memset(rows + (i + 1) * pitch - l.lanes, 0, l.lanes * sizeof(floating))
            memset(rows + (ROWS - 1) * pitch, 0, pitch * sizeof(floating))
        m += l.tiles * l.width
    memcpy(carried, rows, pitch * sizeof(floating))


cdef void panel_unit(const void *data, Py_ssize_t panel, floating *scratch) noexcept nogil:
    """Products and patches of the block and one panel of its group."""
    cdef const PatchesCall *call = <const PatchesCall *>data
    cdef const WinogradLayout *l = call.l
    cdef const Problem *g = call.g
    cdef const WinogradBlock *block = call.block
    cdef Py_ssize_t i = block.group * l.panels + panel, k, left = filters_of(l, g, block.group) - panel * l.width
    cdef const floating *u = scratch + l.u_at
    if left <= 0:
        return
    if l.place == IN_ONE_PLACE:
        u = <const floating *>l.u + i * l.u_panel
    else:
        transform_panel(l, g, i, scratch + l.weights_at, scratch + l.u_at)
    multiply(l, (block.last - block.first) * l.tiles, channels_of(l, g, block.group), <const floating *>block.v, u,
             scratch + l.m_at, <const floating *>NULL)
    for k in range(ceildiv(min(l.width, left), l.lanes)):
        patches_of_vector(call, scratch + l.m_at + k * l.lanes,
                          block.group * l.filters + panel * l.width + k * l.lanes,
                          <int>min(l.lanes, left - k * l.lanes),
                          <floating *>call.carried + (i * l.width // l.lanes + k) * call.patch_cols * l.lanes,
                          scratch + l.strip_at)


cdef void compute(PatchesCall *call, WinogradBlock *block, floating *scratch) noexcept nogil:
    cdef const WinogradLayout *l = call.l
    cdef Py_ssize_t i, strips = ceildiv(l.strips, l.blocks)
    call.block = block
    if l.place == IN_ONE_PLACE and not l.prepared:
        in_parallel(filter_unit[floating], call, l.groups * l.panels, l.team, EVENLY, scratch, l.thread_size)
    for i in range(l.blocks):
        block.first, block.last = i * strips, min(l.strips, (i + 1) * strips)
        place_tiles(l, block)
        for block.group in range(l.groups):
            in_parallel(input_unit[floating], call, (block.last - block.first) * (1 if l.pixels else l.vectors), l.team,
                        EVENLY, scratch, l.thread_size)
            in_parallel(panel_unit[floating], call, l.panels, l.team, WHEN_READY, scratch, l.thread_size)


cdef inline Py_ssize_t positions(const WinogradLayout *l, const Problem *g) noexcept nogil:
    """Entries of the table of fill_lanes."""
    return 0 if l.pixels else position_count(g, 4, 4 * l.tiles)


cdef WinogradLayout lay_out(const Problem *g, Py_ssize_t size, bint prepared, int team) noexcept nogil:
    """Blocks of whole strips, and the sizes and places of all arrays."""
    cdef WinogradLayout l
    cdef Py_ssize_t u_bytes, tile_bytes, most, block_tiles, patch_row
    lay_out_filters(&l, g, size)
    l.team, l.pixels, l.contrast = team, g.xc == 1, <double>MOST_CONTRAST * MOST_CONTRAST
    u_bytes = l.u_size * size
    l.prepared = prepared
    l.place = IN_ONE_PLACE if prepared or u_bytes <= FILTERS_BYTES else IN_PANELS
    l.tile_rows, l.tiles = ceildiv(g.h, 4), ceildiv(g.w, 4)
    l.strips = g.n * l.tile_rows
    tile_bytes = l.points * l.points * (l.vectors * l.lanes + l.width) * size
    most = LARGE_BYTES if l.place == IN_PANELS else NEAR_BYTES if u_bytes <= COPY_BYTES else FAR_BYTES
    l.blocks = ceildiv(l.strips, max(1, most // (tile_bytes * l.tiles)))
    block_tiles = ceildiv(l.strips, l.blocks) * l.tiles
    l.blocks = ceildiv(l.strips, ceildiv(l.strips, l.blocks))
    if l.joined > 1:    # their products take any number of tiles
        l.mr = block_tiles
    l.band_vector = rounded(4 * 4 * l.tiles * l.lanes)
    place_v(&l, block_tiles)
    l.m_point = block_tiles * l.width + l.lanes
    l.v_size = rounded(l.points * l.points * l.v_point)
    patch_row = (8 * l.tiles + 2) * l.lanes
    # a thread's scratch; then what is shared: V, the carried rows, U
    l.band_at = 0
    l.weights_at = rounded((l.vectors if l.pixels else 1) * l.band_vector)
    l.u_at = l.weights_at + weights_size(&l)
    l.m_at = l.u_at + (rounded(l.u_panel) if l.place == IN_PANELS else 0)
    l.strip_at = l.m_at + rounded(l.points * l.points * l.m_point)
    l.thread_size = l.strip_at + rounded(ROWS * patch_row)
    l.shared_size = (l.v_size + rounded(l.groups * l.panels * l.width // l.lanes * patch_row)
                     + (l.u_size if l.place == IN_ONE_PLACE and not prepared else 0))
    l.table_size = rounded(block_tiles) + rounded(positions(&l, g)) + taps_table_size(&l)
    return l


cdef double work(const Problem *g) noexcept nogil:
    return 2.0 * g.n * g.groups * g.k * g.h * g.w * g.c * g.r * g.s / 100


cdef void run(PatchesCall *call, WinogradLayout *l, WinogradBlock *block, floating *shared,
              floating *scratch) noexcept nogil:
    block.v, call.carried = shared, shared + l.v_size
    if not l.prepared:
        l.u = shared + l.shared_size - l.u_size
    compute(call, block, scratch)


def data_gradient(Convolution conv not None, Block prepared=None):
    """Fills y, which is grad_x, from x, which is grad_output, and w, (C, K / groups, 3, 3), whose input and output
    channels are swapped; the window is that of the forward pass. Returns the images of y that must be computed
    otherwise."""
    cdef Problem g = problem_with_stride(conv)
    cdef WinogradLayout l = lay_out(&g, cnp.PyArray_ITEMSIZE(conv.x), prepared is not None, threads.team(work(&g)))
    cdef Block shared = take(l.shared_size * l.size), scratch = take(l.team * l.thread_size * l.size)
    cdef Block tables = take(l.table_size * sizeof(Py_ssize_t)), flags = take(g.n)
    cdef Py_ssize_t *at = <Py_ssize_t *>tables.data
    cdef Py_ssize_t n
    cdef PatchesCall call
    cdef WinogradBlock block
    cdef LaneBand band
    l.u = prepared.data if prepared is not None else NULL
    call.g, call.l, call.otherwise = &g, &l, flags.data
    call.band_cols, call.patch_cols = 4 * l.tiles, 8 * l.tiles + 2
    memset(flags.data, 0, g.n)
    block.tile_at = at
    at += rounded(ceildiv(l.strips, l.blocks) * l.tiles)
    if not l.pixels:
        band = lane_band(&g, 0, call.band_cols, l.lanes)
        lane_positions(&g, &band, 4, at)
    l.inputs_at = at
    at += rounded(positions(&l, &g))
    place_taps(&l, at)
    l.taps_at = at
    with nogil:
        if conv.single:
            run(&call, &l, &block, <float *>shared.data, <float *>scratch.data)
        else:
            run(&call, &l, &block, <double *>shared.data, <double *>scratch.data)
    return [n for n in range(g.n) if flags.data[n]]


def prepare(Convolution conv not None):
    """U of all panels, for data_gradient's `prepared`: that of the forward pass with these filters."""
    return filters.prepare(conv)


def workspace(Convolution conv not None, bint alone):
    """Bytes of scratch that data_gradient takes, on one thread or on those that it would use now."""
    cdef Problem g = problem_with_stride(conv)
    cdef WinogradLayout l = lay_out(&g, cnp.PyArray_ITEMSIZE(conv.x), False, 1 if alone else threads.team(work(&g)))
    return (l.shared_size + l.team * l.thread_size) * l.size + l.table_size * <Py_ssize_t>sizeof(Py_ssize_t) + g.n
