"""Depthwise convolution of planes (NCHW) with channels in the vector lanes, where columns would leave too many idle.

    parallel for image, block of channels (a vector), piece of rows:                    (forward)
        transpose these rows of their planes: pixels of channel vectors (L2)
        for piece of columns:
            as in channels.pyx: pixels -> tile; activation; transpose the tile to y

    parallel for block of channels, chunk of the (image, piece of rows):               (weight gradient)
        for image, piece: transpose both x and grad_output; as in channels.pyx: sums of all taps
    add the chunks' sums up, in order
"""

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memset

from fastconv._core.runtime cimport threads
from fastconv._core.depthwise.channels cimport (
    RUN, Filters, Piece, Shape, add_run, add_up, convolve_band, correlate_band, pack, packed_size, slide_piece, slide_weight_piece)
from fastconv._core.runtime.isa cimport from_lanes, kernels, to_lanes
from fastconv._core.runtime.kernels cimport FC_OUTSIDE
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport activate, ceildiv, rounded

cdef enum:
    MOST_LANES = 16
    MOST_BYTES = 2 << 20       # of the transposed rows that four rows of outputs meet
    MOST_CHUNKS = 64           # of a weight gradient
    FEWEST_PIXELS = 512        # of a chunk


cdef bint channels_pay(const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *w, const Py_ssize_t *y,
                       const Py_ssize_t *y_strides, Py_ssize_t size, int lanes, tuple stride, tuple dilation):
    """Whether to transpose planes of these shapes and strides (in bytes), rather than to have columns in the lanes.

    Transposes cost what two or three taps do; with columns in the lanes, short rows leave lanes idle and a stride takes rows
    apart. Measured from 4 x 4 to 224 x 224, in float32 with AVX-512: with stride 3 transposing is 3 to 20 times as fast, with
    stride 2 5 times at 7 x 7 and 1.2 times at 112 x 112, with stride 1 and 3 x 3 2.3 times at 7 x 7, 1.1 at 28 x 28, 0.8 from
    56 x 56 on.
    """
    cdef Py_ssize_t channels = x[1], r = w[2], s = w[3], widest, rows
    cdef bint slides = r == s and s in (3, 5, 7)
    if (x[3] > 1 and x_strides[3] != size) or (y[3] > 1 and y_strides[3] != size):
        return False
    if 4 * channels < 3 * ceildiv(channels, lanes) * lanes:
        return False
    rows = 3 * min(<Py_ssize_t>stride[0], r) + r
    if rows * x[3] * lanes * size > MOST_BYTES:
        return False
    if max(stride) > 2 or (r >= 4 and s >= 4 and not slides):
        return True
    if max(stride) == 2:
        widest = x[3] if slides or r * s == 1 else 56
    elif r * s < (9 if max(dilation) == 1 else 25):
        widest = 10
    elif r * s < 49 or lanes < 16:
        widest = 28 if size == sizeof(float) else 20
    else:
        widest = 56
    return y[3] <= widest


# One thread's memory.
cdef struct Scratch:
    Py_ssize_t *rows     # where the transposed rows begin, or FC_OUTSIDE
    void *pixels         # [row][column][lane]
    void *band           # as in channels.pyx
    void *tile           # [row][column][lane] of outputs
    double *totals       # [tap][lane] of a weight gradient


cdef Py_ssize_t tile_outputs(const Shape *g) noexcept nogil:
    """Of a piece of rows and columns, at most."""
    return ((g.rows.longest - g.r) // g.rows.stride + 1) * ((g.columns.longest - g.s) // g.columns.stride + 1)


cdef Py_ssize_t scratch_bytes(const Shape *g, Py_ssize_t size) noexcept nogil:
    return (rounded(g.rows.longest * g.w * g.lanes) + g.band_size + rounded(tile_outputs(g) * g.lanes)) * size + (
        rounded(g.rows.longest) * sizeof(Py_ssize_t) + rounded(g.taps * g.lanes) * sizeof(double))


cdef Scratch scratch_at(const Shape *g, char *memory, Py_ssize_t size) noexcept nogil:
    cdef Scratch scratch
    scratch.rows = <Py_ssize_t *>memory
    scratch.totals = <double *>(scratch.rows + rounded(g.rows.longest))
    scratch.pixels = scratch.totals + rounded(g.taps * g.lanes)
    scratch.band = <char *>scratch.pixels + rounded(g.rows.longest * g.w * g.lanes) * size
    scratch.tile = <char *>scratch.band + g.band_size * size
    return scratch


cdef void transpose_rows(const Shape *g, const Piece *rows, const floating *image, Py_ssize_t k0, Py_ssize_t channels,
                         const Py_ssize_t *at, Scratch *scratch) noexcept nogil:
    """The rows of x that a piece of rows meets, for a block of filters from k0 on; rows that follow each other in one go."""
    cdef const Py_ssize_t *row = g.rows.offsets + rows.table
    cdef Py_ssize_t n_rows = (rows.count - 1) * g.rows.stride + g.r, width = g.w * g.lanes, f, b = 0, height
    cdef Py_ssize_t planes[MOST_LANES]
    cdef floating *pixels = <floating *>scratch.pixels
    for f in range(channels):
        planes[f] = (k0 + f) // g.multiplier * g.xc
    for b in range(n_rows):
        scratch.rows[b] = FC_OUTSIDE if row[b] == FC_OUTSIDE else b * width
    b = 0
    while b < n_rows:
        height = 1
        if row[b] != FC_OUTSIDE:
            while b + height < n_rows and g.xh == g.w and row[b + height] == row[b + height - 1] + g.w:
                height += 1
            to_lanes(image + row[b], planes, <int>channels, height * g.w, pixels + b * width, at)
        b += height


cdef void fill_band(const Shape *g, const Piece *rows, const Piece *columns, floating value, const Scratch *scratch) noexcept nogil:
    """From the transposed rows."""
    cdef Py_ssize_t n_rows = (rows.count - 1) * g.rows.stride + g.r, n_columns = (columns.count - 1) * g.columns.stride + g.s
    if floating is float:
        kernels.f32.band_pixels(<float *>scratch.pixels, scratch.rows, n_rows, g.columns.offsets + columns.table, n_columns,
                                <int>g.lanes, value, <float *>scratch.band, g.pitch)
    else:
        kernels.f64.band_pixels(<double *>scratch.pixels, scratch.rows, n_rows, g.columns.offsets + columns.table, n_columns,
                                <int>g.lanes, value, <double *>scratch.band, g.pitch)


cdef Py_ssize_t places(const Shape *g) noexcept nogil:
    """Of the table that to_lanes wants: the most pixels that are transposed in one go."""
    return max(g.rows.longest * g.w, tile_outputs(g))


# ---------------------------------------------------------------------------------------------------------------------
# Forward


cdef void store_tile(const Shape *g, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t channels, const floating *tile,
                     floating *y) noexcept nogil:
    """y is the first output in the first of its planes."""
    cdef Py_ssize_t planes[MOST_LANES]
    cdef Py_ssize_t f, i, j, y_row = g.rows.step * g.yh, y_col = g.columns.step * g.yw
    for f in range(channels):
        planes[f] = f * g.yk
    if y_col != 1:
        for i in range(n_rows):
            for j in range(n_columns):
                for f in range(channels):
                    y[planes[f] + i * y_row + j * y_col] = tile[(i * n_columns + j) * g.lanes + f]
    elif n_rows == 1 or y_row == n_columns:
        from_lanes(tile, g.lanes, n_rows * n_columns, y, planes, <int>channels)
    else:
        for i in range(n_rows):
            from_lanes(tile + i * n_columns * g.lanes, g.lanes, n_columns, y + i * y_row, planes, <int>channels)


cdef void convolve_unit(const Shape *g, Py_ssize_t unit, const floating *x, const Filters *filters, floating *y, floating value,
                        const Py_ssize_t *at, Scratch scratch) noexcept nogil:
    cdef const Piece *rows = g.rows.piece + unit % g.rows.pieces
    cdef Py_ssize_t block = unit // g.rows.pieces % g.blocks, image = unit // g.rows.pieces // g.blocks, i
    cdef Py_ssize_t k0 = block * g.lanes, channels = min(g.lanes, g.k - k0)
    cdef const Piece *columns
    cdef floating *tile = <floating *>scratch.tile
    transpose_rows(g, rows, x + image * g.xn, k0, channels, at, &scratch)
    for i in range(g.columns.pieces):
        columns = g.columns.piece + i
        if g.in_place:
            slide_piece(g, rows.count, columns, scratch.rows, <floating *>scratch.pixels, filters, block, tile,
                        columns.count * g.lanes, g.lanes, g.lanes)
        else:
            fill_band(g, rows, columns, value, &scratch)
            convolve_band(g, filters, block, rows.count, columns.count, tile, columns.count * g.lanes, g.lanes, g.lanes,
                          <floating *>scratch.band)
        if g.activation:
            activate(g.activation, tile, rows.count * columns.count * g.lanes, g.slope)
        store_tile(g, rows.count, columns.count, channels, tile,
                   y + image * g.yn + k0 * g.yk + rows.first * g.yh + columns.first * g.yw)


cdef double work(const Shape *g) noexcept nogil:
    """Nanoseconds on one thread: what an output costs in memory traffic and transposes, plus its taps."""
    return g.n * g.k * g.oh * g.ow * (0.2 + 0.02 * g.taps)


cdef Py_ssize_t convolve_bytes(const Shape *g, Py_ssize_t size, int team) noexcept nogil:
    """What convolve takes, with so many threads."""
    return rounded(places(g)) * sizeof(Py_ssize_t) + packed_size(g) * size + team * scratch_bytes(g, size)


cdef convolve(const Shape *g, const floating *x, const floating *w, const floating *bias, Py_ssize_t bias_step, floating *y,
              floating value):
    """y = activation(depthwise convolution of x with w + bias)."""
    cdef int team = threads.team(work(g))
    cdef Py_ssize_t unit, units = g.n * g.blocks * g.rows.pieces, size = sizeof(floating), i
    cdef Py_ssize_t at_bytes = rounded(places(g)) * sizeof(Py_ssize_t), bytes = scratch_bytes(g, size)
    cdef Block memory = take(convolve_bytes(g, size, team))
    cdef Py_ssize_t *at = <Py_ssize_t *>memory.data
    cdef floating *packed = <floating *>(memory.data + at_bytes)
    cdef char *scratch = memory.data + at_bytes + packed_size(g) * size
    cdef Filters filters
    with nogil:
        for i in range(places(g)):
            at[i] = i * g.lanes
        pack(g, w, bias, bias_step, value, packed, &filters)
        if team == 1:
            for unit in range(units):
                convolve_unit(g, unit, x, &filters, y, value, at, scratch_at(g, scratch, size))
        else:
            for unit in prange(units, num_threads=team, schedule="static"):
                convolve_unit(g, unit, x, &filters, y, value, at, scratch_at(g, scratch + threadid() * bytes, size))


# ---------------------------------------------------------------------------------------------------------------------
# Weight gradient


cdef void load_tile(const Shape *g, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t channels, const floating *dy,
                    const Py_ssize_t *at, floating *tile) noexcept nogil:
    """dy is the first pixel in the first of its planes."""
    cdef Py_ssize_t planes[MOST_LANES]
    cdef Py_ssize_t f, i, j, dy_row = g.rows.step * g.yh, dy_col = g.columns.step * g.yw
    for f in range(channels):
        planes[f] = f * g.yk
    if dy_col != 1:
        for i in range(n_rows):
            for j in range(n_columns):
                for f in range(g.lanes):
                    tile[(i * n_columns + j) * g.lanes + f] = dy[planes[f] + i * dy_row + j * dy_col] if f < channels else 0
    elif n_rows == 1 or dy_row == n_columns:
        to_lanes(dy, planes, <int>channels, n_rows * n_columns, tile, at)
    else:
        for i in range(n_rows):
            to_lanes(dy + i * dy_row, planes, <int>channels, n_columns, tile + i * n_columns * g.lanes, at)


cdef void correlate_chunk(const Shape *g, const floating *x, const floating *dy, floating value, const floating *outside,
                          Py_ssize_t block, Py_ssize_t begin, Py_ssize_t end, const Py_ssize_t *at, Scratch scratch,
                          floating *sums) noexcept nogil:
    """Sums of a block of channels over (image, piece of rows) from begin until end."""
    cdef Py_ssize_t k0 = block * g.lanes, channels = min(g.lanes, g.k - k0), unit, image, i
    cdef const Piece *rows
    cdef const Piece *columns
    cdef floating *tile = <floating *>scratch.tile
    cdef Py_ssize_t size = g.taps * g.lanes, pixels = 0
    memset(sums, 0, size * sizeof(floating))
    memset(scratch.totals, 0, size * sizeof(double))
    for unit in range(begin, end):
        rows, image = g.rows.piece + unit % g.rows.pieces, unit // g.rows.pieces
        transpose_rows(g, rows, x + image * g.xn, k0, channels, at, &scratch)
        for i in range(g.columns.pieces):
            columns = g.columns.piece + i
            if pixels + rows.count * columns.count > RUN and pixels:
                add_run(sums, size, scratch.totals)
                memset(sums, 0, size * sizeof(floating))
                pixels = 0
            pixels += rows.count * columns.count
            load_tile(g, rows.count, columns.count, channels,
                      dy + image * g.yn + k0 * g.yk + rows.first * g.yh + columns.first * g.yw, at, tile)
            if g.in_place:
                slide_weight_piece(g, rows.count, columns, scratch.rows, <floating *>scratch.pixels, outside, tile,
                                   columns.count * g.lanes, g.lanes, g.lanes, sums)
            else:
                fill_band(g, rows, columns, value, &scratch)
                correlate_band(g, outside, rows.count, columns.count, tile, columns.count * g.lanes, g.lanes, g.lanes,
                               <floating *>scratch.band, sums)
    add_run(sums, size, scratch.totals)
    for i in range(size):
        sums[i] = <floating>scratch.totals[i]


cdef Py_ssize_t chunks_of(const Shape *g) noexcept nogil:
    return max(1, min(min(g.n * g.rows.pieces, ceildiv(MOST_CHUNKS, g.blocks)), g.n * g.oh * g.ow // FEWEST_PIXELS))


cdef Py_ssize_t correlate_bytes(const Shape *g, Py_ssize_t size, int team) noexcept nogil:
    """What correlate takes, with so many threads."""
    return (rounded(places(g)) * sizeof(Py_ssize_t) + (MOST_LANES + chunks_of(g) * rounded(g.blocks * g.taps * g.lanes)) * size
            + team * scratch_bytes(g, size))


cdef correlate(const Shape *g, const floating *x, const floating *dy, floating *gradient, floating value):
    """gradient, of the weights: filters wk apart, each in one piece."""
    cdef int team = threads.team(work(g))
    cdef Py_ssize_t pieces = g.n * g.rows.pieces, chunks = chunks_of(g), size = sizeof(floating), unit, i, chunk
    cdef Py_ssize_t chunk_size = rounded(g.blocks * g.taps * g.lanes)
    cdef Py_ssize_t at_bytes = rounded(places(g)) * sizeof(Py_ssize_t), bytes = scratch_bytes(g, size)
    cdef Block memory = take(correlate_bytes(g, size, team))
    cdef Py_ssize_t *at = <Py_ssize_t *>memory.data
    cdef floating *outside = <floating *>(memory.data + at_bytes)
    cdef floating *sums = outside + MOST_LANES
    cdef char *scratch = <char *>(sums + chunks * chunk_size)
    with nogil:
        for i in range(places(g)):
            at[i] = i * g.lanes
        for i in range(MOST_LANES):
            outside[i] = value
        for unit in prange(chunks * g.blocks, num_threads=team, schedule="static"):
            chunk = unit // g.blocks
            correlate_chunk(g, x, dy, value, outside, unit % g.blocks, chunk * pieces // chunks, (chunk + 1) * pieces // chunks, at,
                            scratch_at(g, scratch + threadid() * bytes, size),
                            sums + chunk * chunk_size + unit % g.blocks * g.taps * g.lanes)
        add_up(g, chunks, chunk_size, sums, gradient)
