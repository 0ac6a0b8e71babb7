"""Depthwise convolution (one input channel a group, any number of filters each), forward; the data gradient is this
driver on views, but for pair.pyx.

    parallel for image, channel, block of output rows and columns:
        fill a padded band of the channel's plane (L1)
        for filter of the channel: micro-kernel, a tile of rows x one vector in registers -> y; activation, still in L1

The band (see band.pyx) shows the kernels neither border nor stride. That is where vector lanes run over columns; where
layout.py finds that they had better run over channels, the work is that of channels_forward.pyx and planes.pyx.

Sizes and splits do not depend on the number of threads, so neither do the bits of a result. What would take too much
scratch (the tables of long rows or of millions of taps, as many packed filters) is cut into parts first: see parts.py.
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memcmp, memcpy

from fastconv._core.depthwise cimport channels, channels_forward, planes
from fastconv._core.depthwise.band cimport BandBlock, ColumnLayout, block_at, fill
from fastconv._core.depthwise.layout cimport (
    KEY_WORDS, DepthwiseLayout, add_tables, column_team, fill_key, measured, most_bytes)
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, activate, ceildiv, part
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, in_parallel
from fastconv._core.runtime.isa cimport depthwise, depthwise_tall
from fastconv._core.runtime.kernels cimport fc_plane_block
from fastconv._core.runtime.memo cimport slot_of
from fastconv._core.runtime.memory cimport Block, take

cnp.import_array()

cdef enum:
    TALL_ROWS = 4              # of the tile of tall filters' kernel
    RUN = 128                  # terms of an output that are added one after the other: see src_c/reduce.h
    LAYOUT_BITS = 6            # layouts that are kept: 64
    LAYOUT_BYTES = 32 << 10    # of one's tables, at most
    MOST_TAPS = 16384          # of one sum in single precision: beyond that it is a sum of sums, which is more exact
    ENDLESS = 1 << 30          # taps: what more would need no longer counts

cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch

cdef list layouts = [None] * (1 << LAYOUT_BITS)


cdef DepthwiseLayout layout_of(Convolution conv):
    """The layout for arrays of these shapes and strides, or None where one thread would take too much scratch."""
    cdef Py_ssize_t key[KEY_WORDS]
    cdef Py_ssize_t slot, bytes = 0
    cdef DepthwiseLayout layout
    fill_key(key, conv)
    slot = slot_of(key, KEY_WORDS, LAYOUT_BITS)
    layout = layouts[slot]
    if layout is not None and memcmp(layout.key, key, sizeof(key)) == 0:
        return layout
    layout = measured(conv)
    memcpy(layout.key, key, sizeof(key))
    if forward_bytes(&conv.problem, layout, True) > MOST:
        return None
    add_tables(layout, &conv.problem)
    for table in layout.tables:
        bytes += (<Block>table).size
    if bytes <= LAYOUT_BYTES:
        layouts[slot] = layout
    return layout


def forget_layouts():
    """Frees what is kept."""
    layouts[:] = [None] * len(layouts)


def conv2d(Convolution conv not None):
    """As product's, where a group has one channel."""
    if cnp.PyArray_SIZE(conv.y) == 0:
        return
    cdef DepthwiseLayout layout = layout_of(conv)
    cdef const Problem *p = &conv.problem
    if layout is None:
        parts.convolve(conv2d, workspace, conv)
    elif conv.single:
        convolve(p, layout, <const float *>p.x)
    else:
        convolve(p, layout, <const double *>p.x)


cdef convolve(const Problem *p, DepthwiseLayout layout, const floating *x):
    if not layout.channel_lanes:
        convolve_columns(p, &layout.columns, x)
    elif layout.channels.planes:
        planes.convolve(p, &layout.channels, x)
    else:
        channels_forward.convolve(p, &layout.channels, x)


def workspace(Convolution conv not None, bint alone):
    """As product's, of a call that finds no layout of an earlier one."""
    return forward_bytes(&conv.problem, measured(conv), alone)


cdef Py_ssize_t forward_bytes(const Problem *p, DepthwiseLayout layout, bint alone):
    """What conv2d takes at a time, tables and all, with the threads that it would use now, or alone, where too long a
    sum does not fit."""
    cdef const ColumnLayout *l = &layout.columns
    cdef Py_ssize_t taps = p.r * p.s
    cdef int team
    if alone and layout.size == sizeof(float) and taps > MOST_TAPS:
        return MOST // MOST_TAPS * min(taps, ENDLESS) + MOST
    if not layout.channel_lanes:
        team = 1 if alone else column_team(p)
        return most_bytes(l, (packed_size(p) + team * scratch_size(p, l)) * layout.size)
    if layout.channels.planes:
        team = 1 if alone else threads.team(planes.work(p))
        return channels.table_bytes(&layout.channels) + planes.convolve_bytes(p, &layout.channels, team)
    team = 1 if alone else threads.team(channels.work(p))
    return channels.table_bytes(&layout.channels) + channels_forward.convolve_bytes(&layout.channels, team)


# ---------------------------------------------------------------------------------------------------------------------
# Lanes are columns


# One call: what its units of work share.
cdef struct ColumnJob:
    const Problem *p
    const ColumnLayout *l
    const void *weights    # [filter][tap]
    const void *bias       # [filter]
    Py_ssize_t runs        # in how many parts the taps of a filter are summed


cdef Py_ssize_t runs_of(const Problem *p, const ColumnLayout *l) noexcept nogil:
    return max(1, p.r // max(TALL_ROWS, RUN // p.s)) if l.tall else ceildiv(l.taps, RUN)


cdef Py_ssize_t scratch_size(const Problem *p, const ColumnLayout *l) noexcept nogil:
    """A thread's, in elements: band, tile, and a tile for the sums of further taps."""
    return l.band_size + l.tile_size * (2 if runs_of(p, l) > 1 else 1)


cdef Py_ssize_t packed_size(const Problem *p) noexcept nogil:
    return ceildiv(p.groups * p.k * (p.r * p.s + 1), 16) * 16


cdef void pack_weights(const Problem *p, floating *packed, floating *packed_bias) noexcept nogil:
    """To [filter][tap]."""
    cdef const floating *w = <const floating *>p.weights
    cdef const floating *bias = <const floating *>p.bias
    cdef Py_ssize_t k, r, s
    for k in range(p.groups * p.k):
        packed_bias[k] = bias[k] if bias != NULL else 0
        for r in range(p.r):
            for s in range(p.s):
                packed[(k * p.r + r) * p.s + s] = w[k * p.wk + r * p.wr + s * p.ws]


cdef convolve_columns(const Problem *p, const ColumnLayout *l, const floating *x):
    """y = activation(depthwise convolution of x with w + bias); x is that of p, and says the precision."""
    cdef int team = column_team(p)
    cdef Py_ssize_t size = scratch_size(p, l)
    cdef Block memory = take((packed_size(p) + team * size) * sizeof(floating))
    cdef floating *weights = <floating *>memory.data
    cdef floating *bias = weights + p.groups * p.k * l.taps
    cdef ColumnJob job = ColumnJob(p, l, weights, bias, runs_of(p, l))
    with nogil:
        pack_weights(p, weights, bias)
        in_parallel(convolve_block[floating], &job, p.n * p.groups * l.rows.blocks * l.columns.blocks, team, EVENLY,
                    weights + packed_size(p), size)


cdef void convolve_block(const void *job, Py_ssize_t unit, floating *band) noexcept nogil:
    """One (image, channel, block), all filters of the channel; band and tiles are this thread's scratch."""
    cdef const ColumnJob *j = <const ColumnJob *>job
    cdef const Problem *p = j.p
    cdef const ColumnLayout *l = j.l
    cdef BandBlock b = block_at(l, unit)
    cdef Py_ssize_t channel = b.plane % p.groups, image = b.plane // p.groups, k, run
    cdef Py_ssize_t all_taps = p.r if l.tall else l.taps
    cdef const floating *w
    cdef floating *tile = band + l.band_size
    cdef floating *more = tile + l.tile_size
    cdef floating *target = <floating *>p.y + image * p.yn + b.row0 * p.yh + b.col0 * p.yw    # of filter 0
    cdef floating *out
    cdef fc_plane_block block
    block.pitch, block.rows, block.width = l.pitch, b.rows, b.cols
    block.taps, block.n_taps = l.tap_offsets, p.s    # as they stay where the filter is tall
    fill(p, l, &b, <const floating *>p.x + image * p.xn + channel * p.xc, band)
    for k in range(channel * p.k, (channel + 1) * p.k):
        w = <const floating *>j.weights + k * l.taps
        out = target + k * p.yk if l.in_place else tile
        block.y_row = p.yh if l.in_place else b.cols
        convolve_taps(l, &block, 0, part(all_taps, j.runs, 1), w, (<const floating *>j.bias)[k], band, out)
        for run in range(1, j.runs):
            block.y_row = b.cols
            convolve_taps(l, &block, part(all_taps, j.runs, run), part(all_taps, j.runs, run + 1), w, <floating>0, band,
                          more)
            add(&b, more, out, p.yh if l.in_place else b.cols)
        if p.activation:
            activate_rows(p, &b, out, p.yh if l.in_place else b.cols)
        if not l.in_place:
            store(p, &b, tile, target + k * p.yk)


cdef void convolve_taps(const ColumnLayout *l, fc_plane_block *block, Py_ssize_t first, Py_ssize_t last,
                        const floating *w, floating bias, const floating *band, floating *out) noexcept nogil:
    """The sum over taps first .. last - 1 (where the filter is tall, rows of taps) of one block."""
    if l.tall:
        block.r_taps = last - first
        depthwise_tall(block, band + first * block.pitch, w + first * block.n_taps, bias, out)
    else:
        block.taps, block.n_taps = l.tap_offsets + first, last - first
        depthwise(l.kernel_stride, l.kernel_size, block, band, w + first, bias, out)


cdef void add(const BandBlock *b, const floating *more, floating *out, Py_ssize_t out_row) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(b.rows):
        for j in range(b.cols):
            out[i * out_row + j] += more[i * b.cols + j]


cdef void activate_rows(const Problem *p, const BandBlock *b, floating *out, Py_ssize_t out_row) noexcept nogil:
    cdef Py_ssize_t i
    if out_row == b.cols:
        activate(p.activation, out, b.rows * b.cols, p.slope)
    else:
        for i in range(b.rows):
            activate(p.activation, out + i * out_row, b.cols, p.slope)


cdef void store(const Problem *p, const BandBlock *b, const floating *tile, floating *y) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(b.rows):
        for j in range(b.cols):
            y[i * p.yh + j * p.yw] = tile[i * b.cols + j]
