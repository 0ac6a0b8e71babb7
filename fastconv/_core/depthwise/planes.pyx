"""Depthwise convolution of planes (NCHW) with channels in the vector lanes, where columns would leave too many idle.

    parallel for image, block of channels (a vector), piece of rows:                    (forward)
        transpose these rows of their planes: pixels of channel vectors (L2)
        for piece of columns:
            as in channels_forward.pyx: pixels -> tile; activation; transpose the tile to y

    parallel for chunk of the (image, piece of rows), block of channels:               (weight gradient)
        for image, piece: transpose both x and grad_output; as in channels_gradient.pyx: sums of all taps
    add the chunks' sums up, in order
"""

from cython cimport floating
from libc.string cimport memset

from fastconv._core.depthwise.channels cimport ChannelLayout, Piece, PieceOutputs
from fastconv._core.depthwise.channels_forward cimport ChannelFilters, clips, convolve_piece, pack, packed_size
from fastconv._core.depthwise.channels_gradient cimport add_up, correlate_piece, end_run
from fastconv._core.problem.convolution cimport Window
from fastconv._core.problem.problem cimport Problem, activate, ceildiv, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, in_parallel
from fastconv._core.runtime.isa cimport band_pixels, from_lanes, to_lanes
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, FC_OUTSIDE, fc_pixel_rows
from fastconv._core.runtime.memory cimport Block, take

cdef enum:
    MOST_BYTES = 2 << 20       # of the transposed rows that four rows of outputs meet
    MOST_CHUNKS = 64           # of a weight gradient
    FEWEST_PIXELS = 512        # of a chunk


cdef bint channels_pay(const Problem *p, Window window, Py_ssize_t size, int lanes) noexcept:
    """Whether to transpose planes of these shapes and strides, rather than to have columns in the lanes.

    Transposes cost what two or three taps do; with columns in the lanes, short rows leave lanes idle and a stride takes
    rows apart. Measured from 4 x 4 to 224 x 224, in float32 with AVX-512: with stride 3 transposing is 3 to 20 times as
    fast, with stride 2 5 times at 7 x 7 and 1.2 times at 112 x 112, with stride 1 and 3 x 3 2.3 times at 7 x 7, 1.1 at
    28 x 28, 0.8 from 56 x 56 on.
    """
    cdef Py_ssize_t most = max(window.stride_h, window.stride_w), widest
    cdef bint slides = p.r == p.s and p.s in (3, 5, 7)
    if (p.w > 1 and p.xw != 1) or (p.ow > 1 and p.yw != 1):
        return False
    if 4 * p.groups < 3 * ceildiv(p.groups, lanes) * lanes:
        return False
    if (3 * min(window.stride_h, p.r) + p.r) * p.w * lanes * size > MOST_BYTES:
        return False
    if most > 2 or (p.r >= 4 and p.s >= 4 and not slides):
        return True
    if most == 2:
        widest = p.w if slides or p.r * p.s == 1 else 56
    elif p.r * p.s < (9 if max(window.dilation_h, window.dilation_w) == 1 else 25):
        widest = 10
    elif p.r * p.s < 49 or lanes < 16:
        widest = 28 if size == sizeof(float) else 20
    else:
        widest = 56
    return p.ow <= widest


# One call: what its units of work share.
cdef struct PlaneJob:
    const Problem *p
    const ChannelLayout *l
    Py_ssize_t *at           # [pixel]: where to_lanes puts the pixels that are transposed in one go, in elements
    ChannelFilters filters   # of a forward pass
    void *sums               # of a weight gradient: [chunk][chunk_size]: [block][tap][lane]
    Py_ssize_t pieces, chunks, chunk_size


# One thread's memory.
cdef struct PlaneScratch:
    Py_ssize_t *rows     # where the transposed rows begin, or FC_OUTSIDE
    void *pixels         # [row][column][lane]
    void *band           # as in channels.pyx
    void *tile           # [row][column][lane] of outputs
    double *totals       # [tap][lane] of a weight gradient


# A piece of rows of the planes of one vector of filters, from k0 on.
cdef struct PlanePiece:
    const Piece *rows
    Py_ssize_t image, k0, filters


cdef Py_ssize_t tile_outputs(const ChannelLayout *l) noexcept nogil:
    """Of a piece of rows and columns, at most."""
    cdef Py_ssize_t columns = (l.columns.longest - l.columns.taps) // l.columns.stride + 1
    return ((l.rows.longest - l.rows.taps) // l.rows.stride + 1) * columns


cdef Py_ssize_t scratch_size(const Problem *p, const ChannelLayout *l) noexcept nogil:
    """A thread's, in elements."""
    cdef Py_ssize_t rows = rounded(l.rows.longest) * sizeof(Py_ssize_t)
    cdef Py_ssize_t totals = rounded(l.taps * l.lanes) * sizeof(double)
    return (rows + totals) // l.size + rounded(l.rows.longest * p.w * l.lanes) + l.band_size + rounded(
        tile_outputs(l) * l.lanes)


cdef PlaneScratch scratch_at(const Problem *p, const ChannelLayout *l, floating *memory) noexcept nogil:
    cdef PlaneScratch scratch
    cdef floating *pixels
    scratch.rows = <Py_ssize_t *>memory
    scratch.totals = <double *>(scratch.rows + rounded(l.rows.longest))
    pixels = <floating *>(scratch.totals + rounded(l.taps * l.lanes))
    scratch.pixels = pixels
    scratch.band = pixels + rounded(l.rows.longest * p.w * l.lanes)
    scratch.tile = <floating *>scratch.band + l.band_size
    return scratch


cdef PlanePiece piece_at(const ChannelLayout *l, const Piece *rows, Py_ssize_t image, Py_ssize_t block) noexcept nogil:
    cdef PlanePiece piece
    piece.rows, piece.image = rows, image
    piece.k0 = block * l.lanes
    piece.filters = min(l.lanes, l.filters - piece.k0)
    return piece


cdef PieceOutputs outputs_of(const ChannelLayout *l, const PlanePiece *piece, const Piece *columns,
                             const PlaneScratch *scratch) noexcept nogil:
    """Those of some columns of a piece, as they lie in the tile."""
    cdef PieceOutputs outputs
    outputs.rows, outputs.width, outputs.lanes = piece.rows.count, columns.count, l.lanes
    outputs.y_row, outputs.y_col = columns.count * l.lanes, l.lanes
    outputs.row_offsets, outputs.columns = scratch.rows, l.columns.offsets + columns.table
    return outputs


cdef Py_ssize_t first_output(const Problem *p, const PlanePiece *piece, const Piece *columns) noexcept nogil:
    """Of some columns of a piece, in y or grad_output."""
    return piece.image * p.yn + piece.k0 * p.yk + piece.rows.first * p.yh + columns.first * p.yw


cdef void transpose_rows(const PlaneJob *j, const PlanePiece *piece, const floating *image,
                         PlaneScratch *scratch) noexcept nogil:
    """The rows of x that a piece meets; rows that follow each other in one go."""
    cdef const Problem *p = j.p
    cdef const Py_ssize_t *row = j.l.rows.offsets + piece.rows.table
    cdef Py_ssize_t n_rows = (piece.rows.count - 1) * j.l.rows.stride + p.r, width = p.w * j.l.lanes, f, b = 0, height
    cdef Py_ssize_t planes[FC_MAX_LANES]
    cdef floating *pixels = <floating *>scratch.pixels
    for f in range(piece.filters):
        planes[f] = (piece.k0 + f) // p.k * p.xc
    for b in range(n_rows):
        scratch.rows[b] = FC_OUTSIDE if row[b] == FC_OUTSIDE else b * width
    b = 0
    while b < n_rows:
        height = 1
        if row[b] != FC_OUTSIDE:
            while b + height < n_rows and p.xh == p.w and row[b + height] == row[b + height - 1] + p.w:
                height += 1
            to_lanes(image + row[b], planes, <int>piece.filters, height * p.w, pixels + b * width, j.at)
        b += height


cdef void fill_band(const PlaneJob *j, const PlanePiece *piece, const Piece *columns, const PlaneScratch *scratch,
                    floating *band) noexcept nogil:
    """From the transposed rows."""
    cdef const ChannelLayout *l = j.l
    cdef fc_pixel_rows how
    how.rows, how.columns = scratch.rows, l.columns.offsets + columns.table
    how.n_rows = (piece.rows.count - 1) * l.rows.stride + l.rows.taps
    how.n_columns = (columns.count - 1) * l.columns.stride + l.columns.taps
    how.pitch, how.channels = l.pitch, l.lanes
    band_pixels(&how, <const floating *>scratch.pixels, <floating>j.p.value, band)


cdef Py_ssize_t places(const Problem *p, const ChannelLayout *l) noexcept nogil:
    """Of the table that to_lanes wants: the most pixels that are transposed in one go."""
    return max(l.rows.longest * p.w, tile_outputs(l))


cdef Py_ssize_t *fill_places(const Problem *p, const ChannelLayout *l, char *memory) noexcept nogil:
    cdef Py_ssize_t *at = <Py_ssize_t *>memory
    cdef Py_ssize_t i
    for i in range(places(p, l)):
        at[i] = i * l.lanes
    return at


# ---------------------------------------------------------------------------------------------------------------------
# Forward


cdef double work(const Problem *p) noexcept nogil:
    """Nanoseconds on one thread: what an output costs in memory traffic and transposes, plus its taps."""
    return p.n * p.groups * p.k * p.oh * p.ow * (0.2 + 0.02 * (p.r * p.s))


cdef Py_ssize_t convolve_bytes(const Problem *p, const ChannelLayout *l, int team) noexcept nogil:
    """What convolve takes, with so many threads."""
    return rounded(places(p, l)) * sizeof(Py_ssize_t) + (packed_size(l) + team * scratch_size(p, l)) * l.size


cdef convolve(const Problem *p, const ChannelLayout *l, const floating *x):
    """y = activation(depthwise convolution of x with w + bias); x is that of p, and says the precision."""
    cdef int team = threads.team(work(p))
    cdef Block memory = take(convolve_bytes(p, l, team))
    cdef floating *packed = <floating *>(memory.data + rounded(places(p, l)) * sizeof(Py_ssize_t))
    cdef PlaneJob job
    job.p, job.l = p, l
    with nogil:
        job.at = fill_places(p, l, memory.data)
        pack(p, l, packed, &job.filters)
        in_parallel(convolve_unit[floating], &job, p.n * l.blocks * l.rows.pieces, team, EVENLY,
                    packed + packed_size(l), scratch_size(p, l))


cdef void convolve_unit(const void *job, Py_ssize_t unit, floating *memory) noexcept nogil:
    """One (image, block of channels, piece of rows), rows fastest."""
    cdef const PlaneJob *j = <const PlaneJob *>job
    cdef const Problem *p = j.p
    cdef const ChannelLayout *l = j.l
    cdef PlaneScratch scratch = scratch_at(p, l, memory)
    cdef Py_ssize_t block = unit // l.rows.pieces % l.blocks, image = unit // l.rows.pieces // l.blocks, i
    cdef PlanePiece piece = piece_at(l, l.rows.piece + unit % l.rows.pieces, image, block)
    cdef PieceOutputs outputs
    cdef const Piece *columns
    cdef floating *band = <floating *>scratch.band
    cdef floating *tile = <floating *>scratch.tile
    transpose_rows(j, &piece, <const floating *>p.x + image * p.xn, &scratch)
    for i in range(l.columns.pieces):
        columns = l.columns.piece + i
        outputs = outputs_of(l, &piece, columns, &scratch)
        if not l.in_place:
            fill_band(j, &piece, columns, &scratch, band)
        convolve_piece(l, &outputs, &j.filters, block, <floating *>scratch.pixels if l.in_place else band, tile)
        if p.activation and not clips(p, l):
            activate(p.activation, tile, piece.rows.count * columns.count * l.lanes, p.slope)
        store_tile(p, l, &piece, columns, tile)


cdef void store_tile(const Problem *p, const ChannelLayout *l, const PlanePiece *piece, const Piece *columns,
                     const floating *tile) noexcept nogil:
    """Outputs to their planes."""
    cdef Py_ssize_t planes[FC_MAX_LANES]
    cdef Py_ssize_t n_rows = piece.rows.count, n_columns = columns.count
    cdef Py_ssize_t y_row = l.rows.step * p.yh, y_col = l.columns.step * p.yw, f, i, j
    cdef floating *y = <floating *>p.y + first_output(p, piece, columns)
    for f in range(piece.filters):
        planes[f] = f * p.yk
    if y_col != 1:
        for i in range(n_rows):
            for j in range(n_columns):
                for f in range(piece.filters):
                    y[planes[f] + i * y_row + j * y_col] = tile[(i * n_columns + j) * l.lanes + f]
    elif n_rows == 1 or y_row == n_columns:
        from_lanes(tile, l.lanes, n_rows * n_columns, y, planes, <int>piece.filters)
    else:
        for i in range(n_rows):
            from_lanes(tile + i * n_columns * l.lanes, l.lanes, n_columns, y + i * y_row, planes, <int>piece.filters)


# ---------------------------------------------------------------------------------------------------------------------
# Weight gradient


cdef Py_ssize_t chunks_of(const Problem *p, const ChannelLayout *l) noexcept nogil:
    return max(1, min(min(p.n * l.rows.pieces, ceildiv(MOST_CHUNKS, l.blocks)), p.n * p.oh * p.ow // FEWEST_PIXELS))


cdef Py_ssize_t chunk_size_of(const ChannelLayout *l) noexcept nogil:
    return rounded(l.blocks * l.taps * l.lanes)


cdef Py_ssize_t correlate_bytes(const Problem *p, const ChannelLayout *l, int team) noexcept nogil:
    """What correlate takes, with so many threads."""
    return rounded(places(p, l)) * sizeof(Py_ssize_t) + (
        FC_MAX_LANES + chunks_of(p, l) * chunk_size_of(l) + team * scratch_size(p, l)) * l.size


cdef correlate(const Problem *p, const ChannelLayout *l, const floating *x):
    """The gradient, of weights whose filters lie each in one piece; x is that of p, and says the precision."""
    cdef int team = threads.team(work(p))
    cdef Block memory = take(correlate_bytes(p, l, team))
    cdef floating *outside = <floating *>(memory.data + rounded(places(p, l)) * sizeof(Py_ssize_t))
    cdef floating *sums = outside + FC_MAX_LANES
    cdef Py_ssize_t i
    cdef PlaneJob job
    job.p, job.l, job.filters.outside, job.sums = p, l, outside, sums
    job.pieces, job.chunks, job.chunk_size = p.n * l.rows.pieces, chunks_of(p, l), chunk_size_of(l)
    with nogil:
        job.at = fill_places(p, l, memory.data)
        for i in range(FC_MAX_LANES):
            outside[i] = <floating>p.value
        in_parallel(correlate_chunk[floating], &job, job.chunks * l.blocks, team, EVENLY,
                    sums + job.chunks * job.chunk_size, scratch_size(p, l))
        add_up(p, l, job.chunks, job.chunk_size, sums)


cdef void correlate_chunk(const void *job, Py_ssize_t unit, floating *memory) noexcept nogil:
    """Sums of a block of channels over a chunk of (image, piece of rows)."""
    cdef const PlaneJob *j = <const PlaneJob *>job
    cdef const Problem *p = j.p
    cdef const ChannelLayout *l = j.l
    cdef PlaneScratch scratch = scratch_at(p, l, memory)
    cdef Py_ssize_t block = unit % l.blocks, chunk = unit // l.blocks, size = l.taps * l.lanes, runs = 0, index, i
    cdef floating *sums = <floating *>j.sums + chunk * j.chunk_size + block * size
    cdef floating *band = <floating *>scratch.band
    cdef floating *tile = <floating *>scratch.tile
    cdef const Piece *columns
    cdef PlanePiece piece
    cdef PieceOutputs outputs
    memset(sums, 0, size * sizeof(floating))
    memset(scratch.totals, 0, size * sizeof(double))
    for index in range(chunk * j.pieces // j.chunks, (chunk + 1) * j.pieces // j.chunks):
        piece = piece_at(l, l.rows.piece + index % l.rows.pieces, index // l.rows.pieces, block)
        transpose_rows(j, &piece, <const floating *>p.x + piece.image * p.xn, &scratch)
        for i in range(l.columns.pieces):
            columns = l.columns.piece + i
            load_tile(j, &piece, columns, tile)
            outputs = outputs_of(l, &piece, columns, &scratch)
            if not l.in_place:
                fill_band(j, &piece, columns, &scratch, band)
            runs = correlate_piece(l, &outputs, <const floating *>j.filters.outside,
                                   <floating *>scratch.pixels if l.in_place else band, tile, sums, scratch.totals, runs)
    end_run(sums, size, scratch.totals)
    for i in range(size):
        sums[i] = <floating>scratch.totals[i]


cdef void load_tile(const PlaneJob *job, const PlanePiece *piece, const Piece *columns, floating *tile) noexcept nogil:
    """grad_output from its planes."""
    cdef const Problem *p = job.p
    cdef const ChannelLayout *l = job.l
    cdef Py_ssize_t planes[FC_MAX_LANES]
    cdef Py_ssize_t n_rows = piece.rows.count, n_columns = columns.count
    cdef Py_ssize_t dy_row = l.rows.step * p.yh, dy_col = l.columns.step * p.yw, f, i, j
    cdef const floating *dy = <const floating *>p.y + first_output(p, piece, columns)
    for f in range(piece.filters):
        planes[f] = f * p.yk
    if dy_col != 1:
        for i in range(n_rows):
            for j in range(n_columns):
                for f in range(l.lanes):
                    tile[(i * n_columns + j) * l.lanes + f] = (dy[planes[f] + i * dy_row + j * dy_col]
                                                               if f < piece.filters else 0)
    elif n_rows == 1 or dy_row == n_columns:
        to_lanes(dy, planes, <int>piece.filters, n_rows * n_columns, tile, job.at)
    else:
        for i in range(n_rows):
            to_lanes(dy + i * dy_row, planes, <int>piece.filters, n_columns, tile + i * n_columns * l.lanes, job.at)
