"""Weight gradient of a depthwise convolution.

    parallel for chunk of the (image, block), channel:
        for image, block: fill the band; for filter: micro-kernel, sums of all taps, spread over the lanes
        for filter: add up the lanes
    add the chunks' sums up, in order

Bands and blocks are those of forward.pyx, and so is the choice of what fills the lanes. Sizes and splits do not depend
on the number of threads, so neither do the bits of a result.
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memset

from fastconv._core.depthwise cimport channels, channels_gradient, planes
from fastconv._core.depthwise.band cimport BandBlock, ColumnLayout, block_at, fill
from fastconv._core.depthwise.layout cimport DepthwiseLayout, add_tables, column_team, measured, most_bytes
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, ceildiv
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, in_parallel
from fastconv._core.runtime.isa cimport depthwise_weight, depthwise_weight_sum
from fastconv._core.runtime.kernels cimport fc_plane_block
from fastconv._core.runtime.memory cimport Block, take

cnp.import_array()

cdef enum:
    RUN = 128                  # terms of a lane that are added one after the other: see src_c/reduce.h
    UNITS = 64                 # at least, where there is so much to do

cdef Py_ssize_t MOST = parts.BACKWARD_BYTES    # of scratch


def conv2d_weight_gradient(Convolution conv not None):
    """As product's. Of groups of several channels each channel by itself: of narrow ones that leaves no lane idle."""
    cdef const Problem *p = &conv.problem
    cdef DepthwiseLayout layout
    cdef Py_ssize_t c
    if cnp.PyArray_SIZE(conv.w) == 0:
        return
    if cnp.PyArray_SIZE(conv.y) == 0:
        conv.w.fill(0)
        return
    if p.c > 1:
        for c in range(p.c):
            conv2d_weight_gradient(of_channel(conv, c))
        return
    layout = measured(conv)
    if backward_bytes(p, layout, True) > MOST:
        parts.weight_gradient(conv2d_weight_gradient, gradient_workspace, conv)
        return
    add_tables(layout, p)
    if conv.single:
        correlate(p, layout, <const float *>p.x)
    else:
        correlate(p, layout, <const double *>p.x)


cdef Convolution of_channel(Convolution conv, Py_ssize_t c):
    """Of each group one channel, and its weights."""
    return conv.of(x=conv.x[:, c::conv.problem.c], w=conv.w[:, c:c + 1])


cdef correlate(const Problem *p, DepthwiseLayout layout, const floating *x):
    if not layout.channel_lanes:
        correlate_columns(p, &layout.columns, x)
    elif layout.channels.planes:
        planes.correlate(p, &layout.channels, x)
    else:
        channels_gradient.correlate(p, &layout.channels, x)


def gradient_workspace(Convolution conv not None, bint alone):
    """As product's workspace, of conv2d_weight_gradient."""
    if conv.problem.c > 1:
        conv = of_channel(conv, 0)
    return backward_bytes(&conv.problem, measured(conv), alone)


cdef Py_ssize_t backward_bytes(const Problem *p, DepthwiseLayout layout, bint alone):
    """What conv2d_weight_gradient takes at a time: tables and all, with the threads that it would use now, or alone."""
    cdef ColumnChunks chunks
    cdef int team
    if not layout.channel_lanes:
        chunks = chunks_of(p, &layout.columns)
        team = 1 if alone else column_team(p)
        return most_bytes(&layout.columns,
                          team * chunks.thread_size * layout.size + chunks.totals * <Py_ssize_t>sizeof(double))
    if layout.channels.planes:
        team = 1 if alone else threads.team(planes.work(p))
        return channels.table_bytes(&layout.channels) + planes.correlate_bytes(p, &layout.channels, team)
    team = 1 if alone else threads.team(channels.work(p))
    return channels.table_bytes(&layout.channels) + channels_gradient.correlate_bytes(p, &layout.channels, team)


# ---------------------------------------------------------------------------------------------------------------------
# Lanes are columns


# A channel's blocks in chunks, if channels are few, by the sizes alone; elements of a thread's scratch, of all totals.
cdef struct ColumnChunks:
    Py_ssize_t count, blocks, thread_size, totals


# One call: what its units of work share.
cdef struct ColumnGradientJob:
    const Problem *p
    const ColumnLayout *l
    ColumnChunks chunks
    double *totals     # [chunk][filter][tap]


cdef ColumnChunks chunks_of(const Problem *p, const ColumnLayout *l) noexcept nogil:
    cdef ColumnChunks chunks
    chunks.blocks = p.n * l.rows.blocks * l.columns.blocks
    chunks.count = min(chunks.blocks, ceildiv(UNITS, p.groups))
    chunks.thread_size = l.band_size + l.tile_size + ceildiv(p.k * l.taps * (l.lanes + 1), 16) * 16
    chunks.totals = chunks.count * p.groups * p.k * l.taps
    return chunks


cdef correlate_columns(const Problem *p, const ColumnLayout *l, const floating *x):
    """The gradient, of weights whose filters lie each in one piece; x is that of p, and says the precision."""
    cdef int team = column_team(p)
    cdef ColumnChunks chunks = chunks_of(p, l)
    cdef Py_ssize_t size = p.groups * p.k * l.taps, i, k, t
    cdef floating *gradient = <floating *>p.weights
    cdef Block scratch = take(team * chunks.thread_size * sizeof(floating))
    cdef Block partial = take(chunks.totals * sizeof(double))
    cdef double *totals = <double *>partial.data
    cdef ColumnGradientJob job
    job.p, job.l, job.chunks, job.totals = p, l, chunks, totals
    with nogil:
        in_parallel(correlate_chunk[floating], &job, p.groups * chunks.count, team, EVENLY, <floating *>scratch.data,
                    chunks.thread_size)
        for i in range(1, chunks.count):
            for t in range(size):
                totals[t] += totals[i * size + t]
        for k in range(p.groups * p.k):
            for t in range(l.taps):
                gradient[k * p.wk + t] = <floating>totals[k * l.taps + t]


cdef void correlate_chunk(const void *job, Py_ssize_t unit, floating *band) noexcept nogil:
    """Sums of one channel's filters over one chunk of (image, rows, columns)."""
    cdef const ColumnGradientJob *j = <const ColumnGradientJob *>job
    cdef const Problem *p = j.p
    cdef const ColumnLayout *l = j.l
    cdef Py_ssize_t channel = unit % p.groups, chunk = unit // p.groups, terms = 0, index
    cdef Py_ssize_t taps = p.k * l.taps, rows, columns, across, row, column, i, n
    cdef double *totals = j.totals + unit * taps    # of the channel's first tap
    cdef BandBlock b
    cdef fc_plane_block block
    cdef floating *sums = band + l.band_size + l.tile_size
    block.pitch, block.taps, block.n_taps = l.pitch, l.tap_offsets, l.taps
    memset(sums, 0, taps * l.lanes * sizeof(floating))
    memset(totals, 0, taps * sizeof(double))
    for index in range(chunk * j.chunks.blocks // j.chunks.count, (chunk + 1) * j.chunks.blocks // j.chunks.count):
        b = block_at(l, index)    # of image b.plane
        fill(p, l, &b, <const floating *>p.x + b.plane * p.xn + channel * p.xc, band)
        # As many vectors at a time as a run has terms: all rows if possible, since tiles are tall.
        rows = min(b.rows, RUN)
        columns = min(b.cols, RUN // rows * l.lanes)
        across = ceildiv(b.cols, columns)
        for i in range(ceildiv(b.rows, rows) * across):
            row, column = i // across * rows, i % across * columns
            block.rows, block.width = min(rows, b.rows - row), min(columns, b.cols - column)
            n = block.rows * ceildiv(block.width, l.lanes)
            if terms + n > RUN:
                end_run(sums, taps, l.lanes, totals)
                terms = 0
            terms += n
            correlate_block(j, &b, &block, channel, row, column, band)
    end_run(sums, taps, l.lanes, totals)


cdef void correlate_block(const ColumnGradientJob *j, const BandBlock *b, fc_plane_block *block, Py_ssize_t channel,
                          Py_ssize_t row, Py_ssize_t column, floating *band) noexcept nogil:
    """The rows and columns of a block from these on, as many as `block` has, for all filters of the channel."""
    cdef const Problem *p = j.p
    cdef const ColumnLayout *l = j.l
    cdef floating *tile = band + l.band_size
    cdef floating *sums = tile + l.tile_size
    cdef const floating *dy
    cdef Py_ssize_t f
    block.y_row = p.yh if l.in_place else block.width
    for f in range(p.k):
        dy = (<const floating *>p.y + b.plane * p.yn + (channel * p.k + f) * p.yk + (b.row0 + row) * p.yh
              + (b.col0 + column) * p.yw)
        if not l.in_place:
            load(p, block, dy, tile)
            dy = tile
        depthwise_weight(l.kernel_stride, l.kernel_size, block, band + row * l.pitch + column, dy,
                         sums + f * l.taps * l.lanes)


cdef void load(const Problem *p, const fc_plane_block *block, const floating *dy, floating *tile) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(block.rows):
        for j in range(block.width):
            tile[i * block.width + j] = dy[i * p.yh + j * p.yw]


cdef void end_run(floating *sums, Py_ssize_t taps, Py_ssize_t lanes, double *totals) noexcept nogil:
    """Adds sums, of all lanes, to totals, and begins them anew; behind them there is room for one of each tap."""
    cdef floating *added = sums + taps * lanes
    cdef Py_ssize_t t
    depthwise_weight_sum(sums, taps, added)
    for t in range(taps):
        totals[t] += added[t]
    memset(sums, 0, taps * lanes * sizeof(floating))
