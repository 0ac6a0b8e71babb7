"""How the driver with channels in the lanes cuts a convolution into blocks and panels, and where everything lies."""

from cython cimport floating

from fastconv._core.direct.tiles cimport TileSum, Tiling, add_tiles, choose_rectangles, no_tiles, sum_tiles
from fastconv._core.problem.blocks cimport PixelBlock, block_at, block_pixels
from fastconv._core.problem.convolution cimport record_of
from fastconv._core.runtime.isa cimport kernels, narrow_rows, pair_rows, tile_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_MR, FC_MAX_NV
from fastconv._core.problem.met cimport inside, inside_columns
from fastconv._core.problem.lanes cimport fits_closely, position_count
from fastconv._core.problem.problem cimport ceildiv, elements, rounded

cdef enum:
    PIXELS = 1024             # outputs of a block
    TILES = 7                 # of a block of 1 x 1 filters
    INPUT_BYTES = 4 << 20     # of X at most
    NEAR_BYTES = 2048         # rows a multiple of this apart share few sets of L1,
    NEAR_ROWS = 7             # of which it can hold so many, and B
    WAITING = 8               # products of a tile of which none waits for another
    COPYING = 6               # products that take the time of a vector that is copied to X
    FILTERS_BYTES = 512 << 10    # packed filters up to this size stay in L2 from block to block
    SMALL_BYTES = 256 << 10   # of X at most, beside them
    FAR_BYTES = 2 << 20       # of packed filters that are better read from L3, in one piece, than an X
    LARGE_BYTES = 1 << 20     # from this size on, in pieces
    NEAR_B_BYTES = 16 << 10   # of a panel stay in L1, beside tiles
    TABLE = 2048              # channels x taps of filters that are transposed at a time
    FEWEST_COLUMNS = 3        # of filters that take the place of channels,
    MOST_CHANNELS = 3         # for each of them
    BLOCKS_A_THREAD = 4       # where there are too few panels to share out
    MOST_BLOCKS = 64          # of an image that are looked at for costs


cdef Problem only_met(Problem p) noexcept nogil:
    """A 1 x 1 filter with a stride, as one without on every stride-th pixel."""
    cdef bint within = p.top == 0 and p.left == 0 and (p.oh - 1) * p.stride_h < p.h and (p.ow - 1) * p.stride_w < p.w
    if p.r == 1 and p.s == 1 and within:
        p.xh, p.xw = p.xh * p.stride_h, p.xw * p.stride_w
        p.h, p.w, p.stride_h, p.stride_w = p.oh, p.ow, 1, 1
    return p


cdef Problem with_groups_joined(Problem p, int lanes) noexcept nogil:
    """Narrow groups side by side in a vector, as groups of that many channels. Not where 1 x 1 filters would read, from
    x as it lies, more than there is; and not in vectors of 4 floats: SSE cannot move lanes by a number that it
    computes."""
    cdef Py_ssize_t most = lanes // p.c if p.c else 0, i
    if p.c != p.k or kernels.f32.vector <= 4:
        return p
    for i in range(min(most, p.groups), 1, -1):
        if p.groups % i == 0 and (p.r * p.s > 1 or i * p.c == lanes):
            p.c, p.k, p.groups = i * p.c, i * p.k, p.groups // i
            break
    return p


cdef inline bint reads_planes(const Problem *p, int lanes) noexcept nogil:
    """Whether planes are read as they are: few channels, under filters of some neighbouring columns. Where they must be
    copied, for padding, pixels of channels are the better order, if they are more than the columns, or if a row of taps
    with its channels fits into a vector."""
    return ((p.xc != 1 or p.c == 1) and p.own == p.c and p.c < lanes and p.s >= FEWEST_COLUMNS and p.dilation_w == 1
            and p.c * p.r * p.s <= TABLE
            and (p.c == 1 or (p.c <= p.s and p.c * p.s > lanes) or (p.c <= MOST_CHANNELS * p.s and inside(p))))


cdef inline bint pointwise(const Problem *p) noexcept nogil:
    """1 x 1 filters that meet all pixels, one each. With a stride into padding there are as many outputs too."""
    return (p.r == 1 and p.s == 1 and p.stride_h == 1 and p.stride_w == 1 and p.top == 0 and p.left == 0
            and p.oh == p.h and p.ow == p.w)


cdef inline bint one_piece(Py_ssize_t n, Py_ssize_t h, Py_ssize_t w, Py_ssize_t image, Py_ssize_t row,
                           Py_ssize_t pixel) noexcept nogil:
    """Whether all pixels of n x h x w with these strides are equally far apart."""
    return (h == 1 or row == w * pixel) and (n == 1 or image == h * w * pixel)


cdef inline bint shared_out(Py_ssize_t units, int team) noexcept nogil:
    """Whether each thread gets about as many of the units."""
    return units % team == 0 or units >= 2 * team


cdef inline void read_in_place(const Problem *p, DirectLayout *l) noexcept nogil:
    """Tiles read x as it lies."""
    l.in_place, l.x_size, l.channel_pitch, l.part_pitch = True, 0, l.lanes, l.cut
    l.line_pitch, l.plane_pitch = p.xh, p.xc
    l.tap_row, l.tap_column = p.dilation_h * p.xh, p.dilation_w * p.xw
    l.tiling.image_step, l.row_step, l.pixel_step = p.xn, p.stride_h * p.xh, p.stride_w * p.xw


cdef inline bint saves_copy(const Problem *p, DirectLayout *l, Py_ssize_t itemsize) noexcept nogil:
    """Whether larger filters are better applied to pixels of channels where they lie, not sharing sets of L1; and then
    blocks are cut so that no tile meets what stands around the image. That must not take longer than to copy."""
    cdef PixelBlock block = block_at(p, &l.blocking, 0)
    cdef Tiling tiling = l.tiling
    cdef Py_ssize_t products = p.own * ceildiv(p.k, l.lanes), copied
    if (pointwise(p) or p.xc != 1 or tiling.in_planes or l.depth != p.own or p.own != p.c
            or p.stride_w * p.xw * itemsize % NEAR_BYTES == 0):
        return False
    if p.padding != 0 or p.value != 0:
        return inside(p)
    tiling.image_step, tiling.by_columns = p.xn, not inside_columns(p)
    copied = block.images * l.band_rows * l.band_cols * ceildiv(p.c, l.lanes)
    if (sum_tiles(&tiling, p, &block).time - sum_tiles(&l.tiling, p, &block).time) * products > COPYING * copied:
        return False
    l.tiling.by_columns = tiling.by_columns
    return True


cdef inline Py_ssize_t odd_lines(Py_ssize_t length) noexcept nogil:
    """At least so many elements: an odd number of cache lines (of float32), so that pixels spread over the sets of
    L1."""
    return ceildiv(length, 32) * 32 + 16


cdef DirectLayout lay_out(const Problem *p, int team, const floating *unused) noexcept nogil:
    """Of B nothing depends on the threads, or on where x and y lie."""
    cdef DirectLayout l
    cdef Py_ssize_t rows, bytes_a_row, most, pixels
    l.lanes, l.tiling.mr = vector_length(unused), tile_rows(unused)
    l.vectors = 1 if p.k <= l.lanes else FC_MAX_NV
    l.width = l.vectors * l.lanes
    l.panels = ceildiv(p.k, l.width)
    l.narrow = l.vectors > 1 and 0 < p.k % l.width <= l.lanes
    l.b_size = rounded(p.own * p.r * p.s * l.width)
    l.filters_size = p.groups * l.panels * l.b_size
    l.chunk = min(p.own, max(1, TABLE // (p.r * p.s * l.lanes)) * l.lanes)
    l.pixel = p.c if fits_closely(p, l.lanes) and p.own == p.c else l.lanes
    l.depth, l.tiling.n_taps = p.own, p.r * p.s
    l.tiling.in_planes = reads_planes(p, l.lanes)
    if l.tiling.in_planes:
        l.pixel, l.depth, l.tiling.n_taps = 1, p.s, p.c * p.r
    elif l.pixel < l.lanes and p.c * p.s <= l.lanes and p.dilation_w == 1:
        l.depth, l.tiling.n_taps = p.c * p.s, p.r
    l.tiling.low, l.cut = l.tiling.mr < FC_MAX_MR and p.own == p.c, l.depth
    if l.tiling.low and l.pixel == l.lanes and l.depth > l.lanes:
        l.cut = max(1, NEAR_B_BYTES // (l.tiling.n_taps * l.lanes * l.width * <Py_ssize_t>sizeof(floating)))
        l.cut = ceildiv(ceildiv(l.depth, l.lanes), ceildiv(ceildiv(l.depth, l.lanes), l.cut)) * l.lanes
    # blocks: with an X, the rows of the outputs and their halo, that stays where it should
    l.in_place = (inside(p) and p.xw == 1) if l.tiling.in_planes else (pointwise(p) and p.xc == 1)
    bytes_a_row = (p.stride_h * (p.ow * p.stride_w + (p.s - 1) * p.dilation_w)
                   * (p.c if l.tiling.in_planes else ceildiv(p.c, l.lanes) * l.pixel) * sizeof(floating))
    l.far = (not l.in_place and l.filters_size * sizeof(floating) > FILTERS_BYTES
             and l.filters_size * sizeof(floating) <= FAR_BYTES
             and min(PIXELS, p.n * p.oh * p.ow) * (bytes_a_row // p.ow) > LARGE_BYTES)
    l.beforehand = l.far or l.filters_size * sizeof(floating) <= FILTERS_BYTES
    rows = max(1, (SMALL_BYTES if l.beforehand else INPUT_BYTES) // max(1, bytes_a_row))
    pixels = TILES * l.tiling.mr if l.in_place and l.beforehand and not l.tiling.in_planes else min(PIXELS, rows * p.ow)
    if team > 1 and l.beforehand and (l.in_place or p.groups * l.panels < 2 * team):
        pixels = min(pixels, max(l.tiling.mr, p.n * p.oh * p.ow // (BLOCKS_A_THREAD * team)))
    l.blocking = block_pixels(p, pixels)
    l.private = team == 1 or shared_out(l.blocking.count * p.groups, team)
    l.beforehand = l.beforehand and l.blocking.count > 1
    l.stored = p.yk == 1 and not p.accumulate    # a pixel's channels follow each other in y
    l.each_tile = pointwise(p) and l.in_place and p.own == p.c and l.private and l.beforehand and l.stored
    l.tiling.one_row = pointwise(p) and ((not l.stored or one_piece(p.n, p.oh, p.ow, p.yn, p.yh, p.yw))
                                         and (not l.in_place or one_piece(p.n, p.h, p.w, p.xn, p.xh, p.xw)))
    l.pairs = 0
    if l.in_place and p.xw * <Py_ssize_t>sizeof(floating) % NEAR_BYTES == 0:
        l.tiling.mr = min(l.tiling.mr, NEAR_ROWS)
        # unless the thread with most panels would then have more of them
        if pair_rows(unused) == NEAR_ROWS and l.vectors == FC_MAX_NV and (
                l.private or 2 * ceildiv(ceildiv(l.panels, 2), team) == ceildiv(l.panels, team)):
            l.pairs = p.k // l.width // 2    # of panels that lack no filters
    l.steps = l.panels - l.pairs
    # X: slack of a vector behind each vector of channels, and not a power of two apart
    l.band_rows = (l.blocking.rows - 1) * p.stride_h + (p.r - 1) * p.dilation_h + 1
    l.band_cols = (l.blocking.cols - 1) * p.stride_w + (p.s - 1) * p.dilation_w + 1
    l.line_pitch, l.plane_pitch = l.band_cols, l.band_rows * l.band_cols
    l.image_pitch = l.plane_pitch * l.pixel
    if l.image_pitch % 32 == 0 and not pointwise(p):    # lines of images spread over the sets of L1
        l.image_pitch += 16
    l.channel_pitch = l.blocking.images * l.image_pitch + 2 * l.lanes
    l.part_pitch = l.cut // l.lanes * l.channel_pitch
    l.x_size = rounded(ceildiv(p.c, l.lanes) * l.channel_pitch)
    if l.tiling.in_planes:
        l.image_pitch, l.channel_pitch = p.c * l.plane_pitch + (16 if p.c * l.plane_pitch % 32 == 0 else 0), l.lanes
        l.x_size = rounded(l.blocking.images * l.image_pitch + l.lanes)
    if pointwise(p) and p.c > l.lanes and l.tiling.mr <= NEAR_ROWS:
        # all channels of a pixel side by side: few rows are streams that the hardware prefetches, parts of a line each
        # are not
        l.pixel, l.channel_pitch = odd_lines(min(p.c, l.cut)), l.lanes
        l.image_pitch = l.band_rows * l.band_cols * l.pixel
        l.part_pitch = l.blocking.images * l.image_pitch
        l.x_size = rounded(ceildiv(p.c, l.cut) * l.part_pitch)
    l.row_step, l.pixel_step = p.stride_h * l.band_cols * l.pixel, p.stride_w * l.pixel
    l.tap_row, l.tap_column = p.dilation_h * l.band_cols * l.pixel, p.dilation_w * l.pixel
    l.tiling.image_step, l.tiling.least = l.image_pitch, ceildiv(WAITING, l.vectors)
    choose_rectangles(&l.tiling, p, &l.blocking)
    if l.in_place or saves_copy(p, &l, sizeof(floating)):
        read_in_place(p, &l)
    l.tall = narrow_rows(unused)
    if l.in_place and p.stride_w * p.xw * <Py_ssize_t>sizeof(floating) % (NEAR_BYTES // 2) == 0:
        l.tall = l.tiling.mr    # more pixels would share too few sets of L1
    l.at_size = rounded(max(position_count(p, l.band_rows, l.band_cols), (l.chunk + l.lanes) * p.r * p.s))
    most = l.blocking.images * l.blocking.rows * l.blocking.cols
    l.y_size = rounded(max(most, l.tall) * l.width)
    # a thread's: B, Y, bias and taps of a step, and what is its own, or else shared: X, then B of all filters, packed
    # beforehand
    l.taps_at = (2 if l.pairs else 1) * (l.b_size + l.y_size + rounded(l.width))
    l.bias_at = l.taps_at + rounded(elements(2 * l.tiling.n_taps * sizeof(Py_ssize_t), sizeof(floating)))
    l.scratch_size = l.bias_at + rounded((2 if l.pairs else 1) * l.width)
    l.shared_size = l.x_size + (l.filters_size if l.beforehand else 0)
    l.x_at = 0
    if l.private:
        l.x_at = l.scratch_size
        l.scratch_size += l.shared_size
        l.shared_size = 0
    l.filters_at = l.x_at + l.x_size
    l.tables_size = 3 * l.at_size + rounded(max(p.r * p.s, l.tiling.n_taps))
    return l


cdef void leave_out_filters(DirectLayout *l) noexcept nogil:
    """Filters that were prepared need no room."""
    if l.beforehand and l.private:
        l.scratch_size -= l.filters_size
    elif l.beforehand:
        l.shared_size -= l.filters_size


def laid_out(problem):
    """How a ConvProblem's forward pass is cut on one thread, for cost.py: the layout, how many groups share a vector,
    the tiles of some blocks (see TileSum), and how many blocks these are."""
    cdef Problem p = only_met(record_of(problem))
    if p.c == 1:
        p.xc = 1    # there is no second one
    return (laid_out_of(&p, <const float *>NULL) if problem.itemsize == sizeof(float)
            else laid_out_of(&p, <const double *>NULL))


cdef tuple laid_out_of(const Problem *problem, const floating *unused):
    cdef Problem p = with_groups_joined(problem[0], vector_length(unused))
    cdef DirectLayout l = lay_out(&p, 1, unused)
    cdef Py_ssize_t of_image = l.blocking.row_blocks * l.blocking.col_blocks, i
    cdef PixelBlock block
    cdef TileSum total = no_tiles()
    # Blocks at the border of an image meet fewer taps than those within, so that one does not stand for all.
    blocks = range(0, of_image, ceildiv(of_image, MOST_BLOCKS))
    for i in blocks:
        block = block_at(&p, &l.blocking, i)
        add_tiles(&l.tiling, &p, &block, &total)
    return l, p.c // p.own, total, len(blocks)


cdef double work(const Problem *p) noexcept nogil:
    return 2.0 * p.n * p.groups * p.k * p.oh * p.ow * p.own * p.r * p.s / 50
