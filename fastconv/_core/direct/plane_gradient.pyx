"""The weight gradient of pointwise convolutions of planes (NCHW): a product over pixels, dW[k, c] = sum over pixels
of dY[k, pixel] X[c, pixel], of two matrices whose rows are planes. One of them is transposed to vectors of channels,
and the tile takes scalars of the other's rows as they lie:

    parallel for chunk of the blocks of pixels, group, panel of rows x lanes:
        for block of up to 512 pixels (of several images where these are small):
            lanes' channels -> B[two vectors of channels][pixel] (register transposes, L2)
            for MR rows: for run of up to 128 pixels: for two vectors of lanes:
                micro-kernel, one step a pixel: scalars of the rows, vectors of B -> sums (L2)
    add the chunks' sums up, in order

So the larger matrix, which is the rows, comes from memory while the products are computed. Rows are copied first where
they are short, do not lie pixel by pixel, or are a multiple of 4 KiB apart.

The lanes are the channels of x or the filters, by which there is less to do. A sum over very many pixels is a sum
of sums: a run in registers, at most 32 of these in the sums of a panel, and what comes of these in double precision.
Blocks and chunks follow from the sizes alone; panels may follow from the number of threads, as each of their
elements is a sum of its own.
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memset

from fastconv._core.problem.blocks cimport Blocking, PixelBlock, block_at, block_pixels
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, ceildiv, flatten, part, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport copy_rows, outer_tile, tile_rows, transpose, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, FC_MAX_NV, fc_outer_steps
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport WHEN_READY, in_parallel

cnp.import_array()

cdef enum:
    RUN = 128                    # pixels that are added one after the other: see src_c/reduce.h
    RUNS = 32                    # of which the sums are
    MOST_CHUNKS = 16
    TOTALS_BYTES = 4 << 20       # of all chunks
    PANEL_BYTES = 256 << 10      # sums of a panel
    PANEL_LANE_BYTES = 512       # lanes of a panel
    ROW_PIXELS = 512             # pixels of a block at most; and from one row to the next where they are copied:
    ROW_PITCH = ROW_PIXELS + 16  # an odd number of cache lines
    SHORTEST = 96                # rows of a plane that are not copied, in pixels
    FAR_BYTES = 4096             # rows so far apart, or twice as far and so on, meet in one set of the L1 cache
    TRANSPOSED = 10              # times that a tile's row multiplies a vector while one is transposed

cdef Py_ssize_t MOST = parts.BACKWARD_BYTES    # of scratch

# One of the two matrices: how many of its channels a group has, and from one image, channel, row of outputs and output
# to the next.
cdef struct PlaneMatrix:
    const void *data
    Py_ssize_t channels, image, channel, row, pixel

# How the sums are cut, and where in a thread's scratch, behind B, everything lies. Elements.
cdef struct PlaneGradientLayout:
    Blocking blocking
    bint of_x                                 # lanes are channels of x, not filters
    PlaneMatrix rows, lanes
    int vector, mr
    bint in_place                             # rows are read where they are
    Py_ssize_t chunks, blocks_a_run
    Py_ssize_t tiles, row_panels, lane_panels    # tiles of all rows
    Py_ssize_t width                          # lanes of a panel, whole vectors
    Py_ssize_t totals                         # of a chunk, or 0 where sums go straight to the gradient
    Py_ssize_t pair                           # of B: from two vectors to the next two
    Py_ssize_t rows_at, sums_at, thread_size

# What the units of a call share.
cdef struct PlaneGradientCall:
    const Problem *p
    const PlaneGradientLayout *l
    double *totals    # [chunk][group][row][lane]

# A panel of a group's sums: rows first .. last - 1, lanes lane .. lane_end - 1.
cdef struct PlanePanel:
    Py_ssize_t group, first, last, lane, lane_end


cdef PlaneGradientLayout lay_out(const Problem *p, int team, const floating *unused) noexcept nogil:
    cdef PlaneGradientLayout l
    cdef PlaneMatrix x, y
    cdef Py_ssize_t size = sizeof(floating), pixels = p.n * p.oh * p.ow, weights = p.groups * p.k * p.c, units
    l.vector, l.mr = vector_length(unused), tile_rows(unused)
    x.data, x.channels, x.image, x.channel, x.row, x.pixel = p.x, p.c, p.xn, p.xc, p.stride_h * p.xh, p.stride_w * p.xw
    y.data, y.channels, y.image, y.channel, y.row, y.pixel = p.y, p.k, p.yn, p.yk, p.yh, p.yw
    # filters in the lanes: then the gradient is transposed in the end
    l.of_x = (pixels * ceildiv(p.c, l.vector) * (p.k + TRANSPOSED)
              <= pixels * ceildiv(p.k, l.vector) * (p.c + TRANSPOSED) + TRANSPOSED * p.k * p.c)
    if l.of_x:
        l.rows, l.lanes = y, x
    else:
        l.rows, l.lanes = x, y
    # a row that is cut has pieces of up to twice as many pixels
    l.blocking = block_pixels(p, ROW_PIXELS if p.ow <= ROW_PIXELS else ROW_PIXELS // 2)
    l.in_place = (l.rows.pixel == 1 and l.blocking.cols >= SHORTEST and l.rows.channel * size % FAR_BYTES != 0)
    l.blocks_a_run = max(1, RUNS * RUN // (l.blocking.images * l.blocking.rows * l.blocking.cols))
    l.chunks = min(min(MOST_CHUNKS, l.blocking.count // l.blocks_a_run),
                   TOTALS_BYTES // (weights * <Py_ssize_t>sizeof(double)))
    l.chunks = max(1, l.chunks)
    l.totals = weights if l.blocking.count > l.blocks_a_run else 0
    l.width = min(ceildiv(l.lanes.channels, l.vector) * l.vector, PANEL_LANE_BYTES // size)
    l.lane_panels = ceildiv(l.lanes.channels, l.width)
    l.tiles = ceildiv(l.rows.channels, l.mr)
    l.row_panels = ceildiv(l.tiles, max(1, PANEL_BYTES // (l.mr * l.width * size)))
    units = l.chunks * p.groups * l.lane_panels
    l.row_panels = max(l.row_panels, min(l.tiles, ceildiv(team, units)))
    l.pair = FC_MAX_NV * l.vector * ROW_PIXELS
    l.rows_at = rounded(l.width * ROW_PIXELS)
    l.sums_at = l.rows_at + rounded(max(l.mr, l.vector) * ROW_PITCH)
    l.thread_size = l.sums_at + rounded(ceildiv(l.tiles, l.row_panels) * l.mr * l.width)
    return l


# ---------------------------------------------------------------------------------------------------------------------
# A block of pixels


cdef const floating *first_of(const PlaneMatrix *m, const PixelBlock *block, Py_ssize_t channel,
                              const floating *unused) noexcept nogil:
    """A channel's first pixel of a block."""
    return (<const floating *>m.data + block.n0 * m.image + channel * m.channel + block.row0 * m.row
            + block.col0 * m.pixel)


cdef void copy_pixels(const PlaneMatrix *m, const PixelBlock *block, Py_ssize_t channel, Py_ssize_t channels,
                      floating *rows) noexcept nogil:
    """A block's pixels of so many channels, as rows."""
    cdef const floating *src = first_of(m, block, channel, rows)
    cdef Py_ssize_t i, q
    for i in range(block.images):
        for q in range(block.rows):
            copy_rows(src + i * m.image + q * m.row, m.channel, m.pixel, channels, block.cols, rows, ROW_PITCH)
            rows += block.cols


cdef void pack_lanes(const PlaneGradientLayout *l, const PlanePanel *u, const PixelBlock *block, Py_ssize_t channel,
                     floating *scratch) noexcept nogil:
    """B of a block, `channel` being its first one; idle lanes hold what is of no use."""
    cdef const PlaneMatrix *m = &l.lanes
    cdef Py_ssize_t lanes = u.lane_end - u.lane, vectors = ceildiv(lanes, l.vector), v, i, n, width
    cdef Py_ssize_t at[FC_MAX_LANES]
    cdef const floating *src
    cdef bint as_they_lie = m.pixel == 1 and block.images * block.rows == 1
    for v in range(vectors):
        n = min(l.vector, lanes - v * l.vector)
        width = l.vector if v == vectors - 1 and v % FC_MAX_NV == 0 else FC_MAX_NV * l.vector
        if as_they_lie:
            src = first_of(m, block, channel + v * l.vector, scratch)
        else:
            copy_pixels(m, block, channel + v * l.vector, n, scratch + l.rows_at)
            src = scratch + l.rows_at
        for i in range(n):
            at[i] = i * (m.channel if as_they_lie else ROW_PITCH)
        transpose(src, at, <int>n, block.pixels,
                  scratch + v // FC_MAX_NV * l.pair + v % FC_MAX_NV * l.vector, width)


cdef void multiply(const PlaneGradientLayout *l, const PlanePanel *u, const PixelBlock *block, Py_ssize_t row,
                   Py_ssize_t channel, floating *scratch) noexcept nogil:
    """One tile of rows, from `row` on, by all lanes of the panel, to its sums; `channel` is the first row's."""
    cdef const PlaneMatrix *m = &l.rows
    cdef Py_ssize_t vectors = ceildiv(u.lane_end - u.lane, l.vector), pairs = ceildiv(vectors, FC_MAX_NV)
    cdef Py_ssize_t rows = min(l.mr, u.last - row), pieces = block.images * block.rows, length = block.cols
    cdef Py_ssize_t piece, runs, run, first, end, pair
    cdef int of_pair
    cdef floating *sums = scratch + l.sums_at + (row - u.first) * l.width
    cdef const floating *a = first_of(m, block, channel, scratch)
    cdef fc_outer_steps steps
    steps.a_row, steps.b_vector, steps.c = m.channel, l.vector, l.width
    if not l.in_place:
        copy_pixels(m, block, channel, rows, scratch + l.rows_at)
        a, steps.a_row, pieces, length = scratch + l.rows_at, ROW_PITCH, 1, block.pixels
    runs = ceildiv(length, RUN)
    for piece in range(pieces):
        for run in range(runs):
            first, end = part(length, runs, run), part(length, runs, run + 1)
            for pair in range(pairs):
                of_pair = <int>min(FC_MAX_NV, vectors - pair * FC_MAX_NV)
                steps.b = of_pair * l.vector
                outer_tile(of_pair, rows, &steps, end - first, a + first,
                           scratch + pair * l.pair + (piece * length + first) * steps.b,
                           sums + pair * FC_MAX_NV * l.vector)
        a += m.row if (piece + 1) % block.rows else m.image - (block.rows - 1) * m.row


# ---------------------------------------------------------------------------------------------------------------------
# Sums of blocks


cdef void finish(const PlaneGradientCall *call, const PlanePanel *u, Py_ssize_t chunk, bint is_first,
                 const floating *sums) noexcept nogil:
    """The sums of a panel to the totals of a chunk, or to the gradient where there are none."""
    cdef const Problem *p = call.p
    cdef const PlaneGradientLayout *l = call.l
    cdef Py_ssize_t row, lane, lanes = u.lane_end - u.lane, of_row = l.lanes.channels
    cdef Py_ssize_t by_row = p.wk if l.of_x else 1, by_lane = 1 if l.of_x else p.wk
    cdef floating *dw
    cdef double *totals
    if l.totals == 0:
        dw = <floating *>p.weights + u.group * p.k * p.wk + u.first * by_row + u.lane * by_lane
        for row in range(u.last - u.first):
            for lane in range(lanes):
                dw[row * by_row + lane * by_lane] = sums[row * l.width + lane]
        return
    totals = call.totals + chunk * l.totals + (u.group * l.rows.channels + u.first) * of_row + u.lane
    for row in range(u.last - u.first):
        if is_first:
            for lane in range(lanes):
                totals[row * of_row + lane] = sums[row * l.width + lane]
        else:
            for lane in range(lanes):
                totals[row * of_row + lane] += sums[row * l.width + lane]


cdef void gradient_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """One panel in one chunk of the blocks."""
    cdef const PlaneGradientCall *call = <const PlaneGradientCall *>data
    cdef const PlaneGradientLayout *l = call.l
    cdef Py_ssize_t panel = index // l.lane_panels % l.row_panels, chunk, begin, end, b, row, count, idle
    cdef floating *sums = scratch + l.sums_at
    cdef PlanePanel u
    cdef PixelBlock block
    u.lane = index % l.lane_panels * l.width
    u.lane_end = min(u.lane + l.width, l.lanes.channels)
    u.first, u.last = part(l.tiles, l.row_panels, panel) * l.mr, part(l.tiles, l.row_panels, panel + 1) * l.mr
    u.last = min(u.last, l.rows.channels)
    index //= l.lane_panels * l.row_panels
    u.group, chunk = index % call.p.groups, index // call.p.groups
    begin, end = part(l.blocking.count, l.chunks, chunk), part(l.blocking.count, l.chunks, chunk + 1)
    # idle lanes are multiplied too, which takes much longer where they hold the smallest of numbers
    idle = (u.lane_end - u.lane) % l.vector
    if idle:
        memset(scratch + (u.lane_end - u.lane) // l.vector // FC_MAX_NV * l.pair, 0, l.pair * sizeof(floating))
    count = (u.last - u.first) * l.width
    memset(sums, 0, count * sizeof(floating))
    for b in range(begin, end):
        block = block_at(call.p, &l.blocking, b)
        pack_lanes(l, &u, &block, u.group * l.lanes.channels + u.lane, scratch)
        row = u.first
        while row < u.last:
            multiply(l, &u, &block, row, u.group * l.rows.channels + row, scratch)
            row += l.mr
        if (b - begin) % l.blocks_a_run == l.blocks_a_run - 1 or b == end - 1:
            finish(call, &u, chunk, b - begin < l.blocks_a_run, sums)
            memset(sums, 0, count * sizeof(floating))


cdef void add_chunks(const PlaneGradientCall *call, const floating *unused) noexcept nogil:
    """The chunks' totals, in order, to the gradient."""
    cdef const Problem *p = call.p
    cdef const PlaneGradientLayout *l = call.l
    cdef Py_ssize_t of_row = l.lanes.channels, group, chunk, row, lane
    cdef Py_ssize_t by_row = p.wk if l.of_x else 1, by_lane = 1 if l.of_x else p.wk
    cdef double *totals = call.totals
    cdef floating *dw
    for group in range(p.groups):
        for row in range(l.rows.channels):
            for chunk in range(1, l.chunks):
                for lane in range(of_row):
                    totals[lane] += totals[chunk * l.totals + lane]
            dw = <floating *>p.weights + group * p.k * p.wk + row * by_row
            for lane in range(of_row):
                dw[lane * by_lane] = <floating>totals[lane]
            totals += of_row


# ---------------------------------------------------------------------------------------------------------------------
# The call


cdef double work(const Problem *p) noexcept nogil:
    return 2.0 * p.n * p.groups * p.k * p.oh * p.ow * p.c / 80


cdef Py_ssize_t bytes_of(const PlaneGradientLayout *l, int team, Py_ssize_t size) noexcept nogil:
    return team * l.thread_size * size + l.chunks * l.totals * <Py_ssize_t>sizeof(double)


cdef backward(const Problem *p, const floating *unused):
    cdef int team = threads.team(work(p))
    cdef PlaneGradientLayout l = lay_out(p, team, unused)
    cdef Block scratch = take(team * l.thread_size * sizeof(floating))
    cdef Block totals = take(l.chunks * l.totals * sizeof(double))
    cdef PlaneGradientCall call
    call.p, call.l, call.totals = p, &l, <double *>totals.data
    with nogil:
        in_parallel(gradient_unit[floating], &call, l.chunks * p.groups * l.row_panels * l.lane_panels, team,
                    WHEN_READY, <floating *>scratch.data, l.thread_size)
        if l.totals:
            add_chunks(&call, unused)


def conv2d_weight_gradient(Convolution conv not None):
    """As product's, for 1 x 1 filters that meet no padding."""
    cdef Problem p = conv.problem
    flatten(&p)
    if cnp.PyArray_SIZE(conv.w) == 0:
        return
    if cnp.PyArray_SIZE(conv.y) == 0:
        conv.w.fill(0)
    elif gradient_workspace(conv, True) > MOST:
        parts.weight_gradient(conv2d_weight_gradient, gradient_workspace, conv)
    elif conv.single:
        backward[float](&p, NULL)
    else:
        backward[double](&p, NULL)


def gradient_workspace(Convolution conv not None, bint alone):
    """As product's."""
    cdef Problem p = conv.problem
    flatten(&p)
    cdef int team = 1 if alone else threads.team(work(&p))
    cdef PlaneGradientLayout l = lay_out[float](&p, team, NULL) if conv.single else lay_out[double](&p, team, NULL)
    return bytes_of(&l, team, cnp.PyArray_ITEMSIZE(conv.x))
