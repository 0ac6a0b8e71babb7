"""Weight gradient of a depthwise convolution whose channels lie side by side (NHWC): channels in the vector lanes.

    parallel for chunk of (image, piece of columns, piece of rows), share of channels:
        for image, piece; for block of channels: micro-kernel, sums of all taps
    add the chunks' sums up, in order

Pieces and bands are those of channels.pyx.
"""

from cython cimport floating
from libc.string cimport memset

from fastconv._core.depthwise.channels cimport (
    MOST_ROWS, ChannelLayout, PieceOutputs, PieceUnit, align, band_block, fill_band, find_rows, first_block,
    first_channel, outputs_of, slide_of, unit_at, work)
from fastconv._core.problem.problem cimport Problem, ceildiv, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, in_parallel
from fastconv._core.runtime.isa cimport depthwise_channels_weight, slide_weight
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, FC_SLIDING_ROWS, fc_pixel_block, fc_slide
from fastconv._core.runtime.memory cimport Block, take

cdef enum:
    RUN = 256                  # pixels that a micro-kernel adds one after the other: see src_c/reduce.h
    RUNS = 16                  # of them that are added in the precision of the sums, the rest in double
    MOST_CHUNKS = 64
    FEWEST_PIXELS = 512        # of a chunk
    AT_ONCE = 256              # sums of chunks that are added up in L1


# One call: what its units of work share.
cdef struct ChannelGradientJob:
    const Problem *p
    const ChannelLayout *l
    const void *outside    # a vector of the padding value
    void *sums             # [chunk][chunk_size]: [block][tap][lane]
    Py_ssize_t pieces, chunks, chunk_size


cdef Py_ssize_t chunks_of(const Problem *p, const ChannelLayout *l) noexcept nogil:
    return max(1, min(min(p.n * l.rows.pieces * l.columns.pieces, MOST_CHUNKS), p.n * p.oh * p.ow // FEWEST_PIXELS))


cdef Py_ssize_t chunk_size_of(const ChannelLayout *l) noexcept nogil:
    """Sums of a chunk; one block more may be needed to align the others."""
    return rounded((l.blocks + 1) * l.taps * l.lanes)


cdef Py_ssize_t scratch_size(const ChannelLayout *l) noexcept nogil:
    """A thread's, in elements: totals of all sums, in double precision, and a band."""
    return chunk_size_of(l) * <Py_ssize_t>sizeof(double) // l.size + l.band_size


cdef Py_ssize_t correlate_bytes(const Problem *p, const ChannelLayout *l, int team) noexcept nogil:
    """What correlate takes, with so many threads."""
    return (FC_MAX_LANES + chunks_of(p, l) * chunk_size_of(l) + team * scratch_size(l)) * l.size


cdef correlate(const Problem *p, const ChannelLayout *layout, const floating *x):
    """The gradient, of weights whose filters lie each in one piece; x is that of p, and says the precision."""
    cdef int team = threads.team(work(p))
    cdef Block memory = take(correlate_bytes(p, layout, team))
    cdef floating *outside = <floating *>memory.data
    cdef floating *sums = outside + FC_MAX_LANES
    cdef ChannelLayout l = layout[0]
    cdef ChannelGradientJob job
    cdef Py_ssize_t i
    job.p, job.l, job.outside, job.sums = p, &l, outside, sums
    job.pieces = p.n * l.rows.pieces * l.columns.pieces
    job.chunks, job.chunk_size = chunks_of(p, layout), chunk_size_of(layout)
    align(p, &l)
    with nogil:
        for i in range(FC_MAX_LANES):
            outside[i] = <floating>p.value
        in_parallel(correlate_chunk[floating], &job, job.chunks * l.shares, team, EVENLY,
                    sums + job.chunks * job.chunk_size, scratch_size(layout))
        add_up(p, &l, job.chunks, job.chunk_size, sums)


cdef void correlate_chunk(const void *job, Py_ssize_t index, floating *scratch) noexcept nogil:
    """Sums of a share of channels over a chunk of (image, piece of columns, piece of rows)."""
    cdef const ChannelGradientJob *j = <const ChannelGradientJob *>job
    cdef const Problem *p = j.p
    cdef const ChannelLayout *l = j.l
    cdef Py_ssize_t chunk = index // l.shares, share = index % l.shares, i, block, k0, at
    cdef Py_ssize_t runs = 0, before
    cdef Py_ssize_t first = first_block(l, share), last = first_block(l, share + 1)
    cdef Py_ssize_t size = (last - first) * l.taps * l.lanes
    cdef double *totals = <double *>scratch
    cdef floating *band = <floating *>(totals + j.chunk_size)
    cdef floating *sums = <floating *>j.sums + chunk * j.chunk_size
    cdef floating *of_share = sums + first * l.taps * l.lanes
    cdef const floating *x
    cdef const floating *dy
    cdef PieceUnit unit
    memset(of_share, 0, size * sizeof(floating))
    memset(totals, 0, size * sizeof(double))
    for i in range(chunk * j.pieces // j.chunks, (chunk + 1) * j.pieces // j.chunks):
        unit = unit_at(l, i, 1)
        x = <const floating *>p.x + unit.image * p.xn
        dy = <const floating *>p.y + unit.image * p.yn + unit.rows.first * p.yh + unit.columns.first * p.yw
        before = runs
        for block in range(first, last):
            k0, at = first_channel(l, block), (block - first) * l.taps * l.lanes
            if not l.in_place:
                fill_band(p, l, &unit, x, k0, band)
            runs = correlate_unit(j, &unit, x + k0 if l.in_place else band, dy + k0, of_share + at, totals + at, before)
    end_run(of_share, size, totals)
    for i in range(size):
        of_share[i] = <floating>totals[i]


cdef Py_ssize_t correlate_unit(const ChannelGradientJob *j, const PieceUnit *unit, const floating *source,
                               const floating *dy, floating *sums, double *totals, Py_ssize_t runs) noexcept nogil:
    """One piece for one block: whole vectors of pixels, then the pixels behind them, if there are any. Takes and
    returns what correlate_piece does."""
    cdef const ChannelLayout *l = j.l
    cdef const floating *outside = <const floating *>j.outside
    cdef PieceOutputs outputs = outputs_of(j.p, l, unit)
    cdef Py_ssize_t vectors = outputs.width, left = unit.columns.count % l.pixels
    if vectors:
        runs = correlate_piece(l, &outputs, outside, source, dy, sums, totals, runs)
    if left:
        outputs.width, outputs.lanes = 1, <int>(left * l.filters)
        runs = correlate_piece(l, &outputs, outside, source + vectors * l.pixels * l.tap,
                               dy + vectors * l.pixels * j.p.yw, sums, totals, runs)
    return runs


cdef Py_ssize_t correlate_piece(const ChannelLayout *l, const PieceOutputs *outputs, const floating *outside,
                                const floating *source, const floating *dy, floating *sums, double *totals,
                                Py_ssize_t runs) noexcept nogil:
    """One vector of filters, with the image in place, source and dy being the block's first channel, or with a band.
    Takes and returns how many runs the sums of its taps have: no more than RUNS, or they go to totals first."""
    cdef const floating *rows[MOST_ROWS]
    cdef bint slides = l.strides >= 0 and l.pixels == 1
    cdef Py_ssize_t rows_at_once = FC_SLIDING_ROWS, columns_at_once = outputs.width, row = 0, column
    cdef const floating *of_part
    cdef fc_pixel_block of_band = band_block(l, outputs)
    cdef fc_slide how = slide_of(l, outputs)
    cdef const Py_ssize_t *columns = how.columns
    how.outside, how.idle = outside, False
    if not slides:
        rows_at_once = max(1, RUN // outputs.width)
    rows_at_once = min(rows_at_once, outputs.rows)
    if rows_at_once * outputs.width > RUN:
        columns_at_once = ceildiv(outputs.width, ceildiv(outputs.width, RUN // rows_at_once))
    while row < outputs.rows:
        of_band.rows, column = min(rows_at_once, outputs.rows - row), 0
        if slides:
            find_rows(l, outputs, row, of_band.rows, source, rows)
            how.columns = columns
        while column < outputs.width:
            of_band.width = how.width = min(columns_at_once, outputs.width - column)
            of_part = dy + row * outputs.y_row + column * outputs.y_col
            if runs == RUNS:
                end_run(sums, l.taps * l.lanes, totals)
                runs = 0
            runs += 1
            if slides:
                slide_weight(<int>l.rows.stride - 1, <int>l.columns.taps // 2, &how, of_band.rows, rows, of_part, sums)
                how.columns += how.width * l.columns.stride
            else:
                depthwise_channels_weight(&of_band, source + row * of_band.row + column * of_band.column, of_part, sums)
            column += of_band.width
        row += of_band.rows
    return runs


cdef void end_run(floating *sums, Py_ssize_t n, double *totals) noexcept nogil:
    """Adds sums to totals, and begins them anew."""
    cdef Py_ssize_t i
    for i in range(n):
        totals[i] += sums[i]
    memset(sums, 0, n * sizeof(floating))


cdef void add_up(const Problem *p, const ChannelLayout *l, Py_ssize_t chunks, Py_ssize_t chunk_size,
                 floating *sums) noexcept nogil:
    """The gradient, of filters wk apart, from the chunks' sums, [block][tap][lane]."""
    cdef floating *gradient = <floating *>p.weights
    cdef Py_ssize_t size = l.blocks * l.taps * l.lanes, first, count, i, j, t, k, block, lane
    cdef double totals[AT_ONCE]
    for block in range(ceildiv(size, AT_ONCE)):
        first = block * AT_ONCE
        count = min(AT_ONCE, size - first)
        memset(totals, 0, sizeof(totals))
        for i in range(chunks):
            for j in range(count):
                totals[j] += sums[i * chunk_size + first + j]
        for j in range(count):
            sums[first + j] = <floating>totals[j]
    for t in range(l.taps if l.pixels > 1 else 0):    # add the pixels of a vector up
        for lane in range(l.filters, l.filters * l.pixels):
            sums[t * l.lanes + lane % l.filters] += sums[t * l.lanes + lane]
    for block in range(l.blocks):
        k = first_channel(l, block)
        for lane in range(min(l.lanes, l.filters - k)):
            for t in range(l.taps):
                gradient[(k + lane) * p.wk + t] = sums[(block * l.taps + t) * l.lanes + lane]
