"""How the driver with channels in the lanes cuts a convolution into blocks and panels, and where everything lies."""

from cython cimport floating

from fastconv._core.problem.blocks cimport block_at, block_pixels
from fastconv._core.problem.convolution cimport record_of
from fastconv._core.runtime.isa cimport kernels, narrow_rows, pair_rows, tile_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_MR, FC_MAX_NV
from fastconv._core.problem.lanes cimport fits_closely, position_count
from fastconv._core.problem.problem cimport ceildiv, rounded

cdef enum:
    PIXELS = 1024             # outputs of a block
    TILES = 7                 # of a block of 1 x 1 filters
    INPUT_BYTES = 4 << 20     # of X at most
    NEAR_BYTES = 2048         # rows a multiple of this apart share few sets of L1,
    NEAR_ROWS = 7             # of which it can hold so many, and B
    NEAR_ELEMENTS = 256       # the same, of either precision
    SAVED = 2                 # times as many tiles of pixels that are worth while to take tiles of images instead
    FILTERS_BYTES = 512 << 10    # packed filters up to this size stay in L2 from block to block
    SMALL_BYTES = 256 << 10   # of X at most, beside them
    FAR_BYTES = 2 << 20       # of packed filters that are better read from L3, in one piece, than an X
    LARGE_BYTES = 1 << 20     # from this size on, in pieces
    NEAR_B_BYTES = 16 << 10   # of a panel stay in L1, beside tiles
    TABLE = 2048              # channels x taps of filters that are transposed at a time
    FEWEST_COLUMNS = 3        # of filters that take the place of channels,
    MOST_CHANNELS = 3         # for each of them
    BLOCKS_A_THREAD = 4       # where there are too few panels to share out


cdef bint across_images(const DirectLayout *l, const PixelBlock *block) noexcept nogil:
    """Whether a tile takes the same pixel of several images, where these are less than a tile's sets of L1 apart."""
    cdef Py_ssize_t images = block.images, cols = block.cols
    return (l.image_step % NEAR_ELEMENTS != 0
            and images * ceildiv(cols, l.mr) > SAVED * cols * ceildiv(images, l.mr))


cdef bint joins_rows(const DirectLayout *l, const PixelBlock *block) noexcept nogil:
    """Whether tiles of pixels of several rows are fewer."""
    return (l.low and not l.one_row
            and ceildiv(block.pixels, l.mr) < block.images * block.rows * ceildiv(block.cols, l.mr))


cdef void place_pixels(const DirectLayout *l, const PixelBlock *block, Py_ssize_t first, Py_ssize_t m,
                       Py_ssize_t *at) noexcept nogil:
    """Where m pixels of a block are read, counted over its images and rows."""
    cdef Py_ssize_t col = first % block.cols, row = first // block.cols, i, place
    cdef Py_ssize_t next_row = l.row_step - block.cols * l.pixel_step
    cdef Py_ssize_t next_image = l.image_step - block.rows * l.row_step
    place = row // block.rows * l.image_step + row % block.rows * l.row_step + col * l.pixel_step
    row %= block.rows
    for i in range(m):
        at[i] = place
        place += l.pixel_step
        col += 1
        if col == block.cols:
            col, row, place = 0, row + 1, place + next_row
            if row == block.rows:
                row, place = 0, place + next_image


cdef Problem only_met(Problem p) noexcept nogil:
    """A 1 x 1 filter with a stride, as one without on every stride-th pixel."""
    cdef bint inside = p.top == 0 and p.left == 0 and (p.oh - 1) * p.stride_h < p.h and (p.ow - 1) * p.stride_w < p.w
    if p.r == 1 and p.s == 1 and inside:
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


cdef inline bint inside(const Problem *p) noexcept nogil:
    """Whether no tap meets padding."""
    return (p.top <= 0 and p.left <= 0 and (p.oh - 1) * p.stride_h + (p.r - 1) * p.dilation_h - p.top < p.h
            and (p.ow - 1) * p.stride_w + (p.s - 1) * p.dilation_w - p.left < p.w)


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


cdef inline Py_ssize_t odd_lines(Py_ssize_t elements) noexcept nogil:
    """At least so many elements: an odd number of cache lines (of float32), so that pixels spread over the sets of
    L1."""
    return ceildiv(elements, 32) * 32 + 16


cdef DirectLayout lay_out(const Problem *p, int team, const floating *unused) noexcept nogil:
    """Of B nothing depends on the threads, or on where x and y lie."""
    cdef DirectLayout l
    cdef Py_ssize_t rows, bytes_a_row, most, pixels
    l.lanes, l.mr = vector_length(unused), tile_rows(unused)
    l.vectors = 1 if p.k <= l.lanes else FC_MAX_NV
    l.width = l.vectors * l.lanes
    l.panels = ceildiv(p.k, l.width)
    l.narrow = l.vectors > 1 and 0 < p.k % l.width <= l.lanes
    l.b_size = rounded(p.own * p.r * p.s * l.width)
    l.filters_size = p.groups * l.panels * l.b_size
    l.chunk = min(p.own, max(1, TABLE // (p.r * p.s * l.lanes)) * l.lanes)
    l.pixel = p.c if fits_closely(p, l.lanes) and p.own == p.c else l.lanes
    l.depth, l.n_taps = p.own, p.r * p.s
    l.in_planes = reads_planes(p, l.lanes)
    if l.in_planes:
        l.pixel, l.depth, l.n_taps = 1, p.s, p.c * p.r
    elif l.pixel < l.lanes and p.c * p.s <= l.lanes and p.dilation_w == 1:
        l.depth, l.n_taps = p.c * p.s, p.r
    l.low, l.cut = l.mr < FC_MAX_MR and p.own == p.c, l.depth
    if l.low and l.pixel == l.lanes and l.depth > l.lanes:
        l.cut = max(1, NEAR_B_BYTES // (l.n_taps * l.lanes * l.width * <Py_ssize_t>sizeof(floating)))
        l.cut = ceildiv(ceildiv(l.depth, l.lanes), ceildiv(ceildiv(l.depth, l.lanes), l.cut)) * l.lanes
    # blocks: with an X, the rows of the outputs and their halo, that stays where it should
    l.in_place = (inside(p) and p.xw == 1) if l.in_planes else (pointwise(p) and p.xc == 1)
    bytes_a_row = (p.stride_h * (p.ow * p.stride_w + (p.s - 1) * p.dilation_w)
                   * (p.c if l.in_planes else ceildiv(p.c, l.lanes) * l.pixel) * sizeof(floating))
    l.far = (not l.in_place and l.filters_size * sizeof(floating) > FILTERS_BYTES
             and l.filters_size * sizeof(floating) <= FAR_BYTES
             and min(PIXELS, p.n * p.oh * p.ow) * (bytes_a_row // p.ow) > LARGE_BYTES)
    l.beforehand = l.far or l.filters_size * sizeof(floating) <= FILTERS_BYTES
    rows = max(1, (SMALL_BYTES if l.beforehand else INPUT_BYTES) // max(1, bytes_a_row))
    pixels = TILES * l.mr if l.in_place and l.beforehand and not l.in_planes else min(PIXELS, rows * p.ow)
    if team > 1 and l.beforehand and (l.in_place or p.groups * l.panels < 2 * team):
        pixels = min(pixels, max(l.mr, p.n * p.oh * p.ow // (BLOCKS_A_THREAD * team)))
    l.blocking = block_pixels(p, pixels)
    l.private = team == 1 or shared_out(l.blocking.count * p.groups, team)
    l.beforehand = l.beforehand and l.blocking.count > 1
    l.stored = p.yk == 1 and not p.accumulate    # a pixel's channels follow each other in y
    l.each_tile = pointwise(p) and l.in_place and p.own == p.c and l.private and l.beforehand and l.stored
    l.one_row = pointwise(p) and ((not l.stored or one_piece(p.n, p.oh, p.ow, p.yn, p.yh, p.yw))
                                  and (not l.in_place or one_piece(p.n, p.h, p.w, p.xn, p.xh, p.xw)))
    l.pairs = 0
    if l.in_place and p.xw * <Py_ssize_t>sizeof(floating) % NEAR_BYTES == 0:
        l.mr = min(l.mr, NEAR_ROWS)
        # unless the thread with most panels would then have more of them
        if pair_rows(unused) == NEAR_ROWS and l.vectors == FC_MAX_NV and (
                l.private or 2 * ceildiv(ceildiv(l.panels, 2), team) == ceildiv(l.panels, team)):
            l.pairs = p.k // l.width // 2    # of panels that lack no filters
    l.tall = narrow_rows(unused) if l.mr == tile_rows(unused) else l.mr
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
    if l.in_planes:
        l.image_pitch, l.channel_pitch = p.c * l.plane_pitch + (16 if p.c * l.plane_pitch % 32 == 0 else 0), l.lanes
        l.x_size = rounded(l.blocking.images * l.image_pitch + l.lanes)
    if pointwise(p) and p.c > l.lanes and l.mr <= NEAR_ROWS:
        # all channels of a pixel side by side: few rows are streams that the hardware prefetches, parts of a line each
        # are not
        l.pixel, l.channel_pitch = odd_lines(min(p.c, l.cut)), l.lanes
        l.image_pitch = l.band_rows * l.band_cols * l.pixel
        l.part_pitch = l.blocking.images * l.image_pitch
        l.x_size = rounded(ceildiv(p.c, l.cut) * l.part_pitch)
    l.image_step, l.row_step, l.pixel_step = l.image_pitch, p.stride_h * l.band_cols * l.pixel, p.stride_w * l.pixel
    if l.in_place:
        l.x_size, l.channel_pitch, l.part_pitch = 0, l.lanes, l.cut
        l.line_pitch, l.plane_pitch = p.xh, p.xc
        l.image_step, l.row_step, l.pixel_step = p.xn, p.stride_h * p.xh, p.stride_w * p.xw
    l.at_size = rounded(max(position_count(p, l.band_rows, l.band_cols), (l.chunk + l.lanes) * p.r * p.s))
    most = l.blocking.images * l.blocking.rows * l.blocking.cols
    l.y_size = rounded(max(most, l.tall) * l.width)
    # a thread's: B, Y and bias of a step, and what is its own, or else shared: X, then B of all filters, packed
    # beforehand
    l.scratch_size = (2 if l.pairs else 1) * (l.b_size + l.y_size + rounded(l.width))
    l.shared_size = l.x_size + (l.filters_size if l.beforehand else 0)
    l.x_at = 0
    if l.private:
        l.x_at = l.scratch_size
        l.scratch_size += l.shared_size
        l.shared_size = 0
    l.filters_at = l.x_at + l.x_size
    l.tables_size = 3 * l.at_size + rounded(max(p.r * p.s, l.n_taps))
    return l


cdef void leave_out_filters(DirectLayout *l) noexcept nogil:
    """Filters that were prepared need no room."""
    if l.beforehand and l.private:
        l.scratch_size -= l.filters_size
    elif l.beforehand:
        l.shared_size -= l.filters_size


def laid_out(problem):
    """How a ConvProblem's forward pass is cut on one thread, for cost.py: the layout, how many groups share a vector,
    and whether tiles take images."""
    cdef Problem p = only_met(record_of(problem))
    if p.c == 1:
        p.xc = 1    # there is no second one
    return (laid_out_of(&p, <const float *>NULL) if problem.itemsize == sizeof(float)
            else laid_out_of(&p, <const double *>NULL))


cdef tuple laid_out_of(const Problem *problem, const floating *unused):
    cdef Problem p = with_groups_joined(problem[0], vector_length(unused))
    cdef DirectLayout l = lay_out(&p, 1, unused)
    cdef PixelBlock first = block_at(&p, &l.blocking, 0)
    return l, p.c // p.own, across_images(&l, &first)


cdef double work(const Problem *p) noexcept nogil:
    return 2.0 * p.n * p.groups * p.k * p.oh * p.ow * p.own * p.r * p.s / 50
