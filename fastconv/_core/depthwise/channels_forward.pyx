"""Depthwise convolution whose channels lie side by side in memory (NHWC): channels in the vector lanes.

    parallel for image, share of channels, piece of columns, piece of rows:
        for block of channels (a vector): micro-kernel: slides along the piece, at most FC_SLIDING_ROWS rows at once
            with ReLU or ReLU6 in registers, where it slides
        other activations, while the piece is in L1 or L2

Pieces and bands are those of channels.pyx.
"""

from cython cimport floating
from libc.math cimport INFINITY

from fastconv._core.depthwise.channels cimport (
    MOST_ROWS, ChannelLayout, PieceOutputs, PieceUnit, align, band_block, fill_band, find_rows, first_block,
    first_channel, outputs_of, slide_of, unit_at, work)
from fastconv._core.problem.problem cimport Problem, activate, ceildiv, part, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, in_parallel
from fastconv._core.runtime.isa cimport depthwise_channels, pack_filters, slide
from fastconv._core.runtime.kernels cimport FC_RELU6, FC_SLIDING_ROWS, FC_STRIDE_22, fc_pixel_block, fc_slide
from fastconv._core.runtime.memory cimport Block, take


# One call: what its units of work share.
cdef struct ChannelJob:
    const Problem *p
    const ChannelLayout *l
    ChannelFilters filters


cdef Py_ssize_t convolve_bytes(const ChannelLayout *l, int team) noexcept nogil:
    """What convolve takes, with so many threads."""
    return (packed_size(l) + team * l.band_size) * l.size


cdef convolve(const Problem *p, const ChannelLayout *layout, const floating *x):
    """y = activation(depthwise convolution of x with w + bias); x is that of p, and says the precision."""
    cdef int team = threads.team(work(p))
    cdef Block memory = take(convolve_bytes(layout, team))
    cdef floating *packed = <floating *>memory.data
    cdef ChannelLayout l = layout[0]
    cdef ChannelJob job
    if l.strides == FC_STRIDE_22:    # with stride 1 an output has fewer loads, and they are not the limit
        align(p, &l)
    job.p, job.l = p, &l
    with nogil:
        pack(p, &l, packed, &job.filters)
        in_parallel(convolve_unit[floating], &job, p.n * l.shares * l.rows.pieces * l.columns.pieces, team, EVENLY,
                    packed + packed_size(layout), l.band_size)


cdef void convolve_unit(const void *job, Py_ssize_t index, floating *band) noexcept nogil:
    """One (image, share of channels, piece of columns, piece of rows), rows fastest."""
    cdef const ChannelJob *j = <const ChannelJob *>job
    cdef const Problem *p = j.p
    cdef const ChannelLayout *l = j.l
    cdef PieceUnit unit = unit_at(l, index, l.shares)
    cdef PieceOutputs outputs = outputs_of(p, l, &unit)
    cdef PieceOutputs last = outputs    # the pixels behind the whole vectors, if there are any
    cdef Py_ssize_t vectors = outputs.width, left = unit.columns.count % l.pixels, block, k0, first, behind
    cdef const floating *x = <const floating *>p.x + unit.image * p.xn
    cdef floating *y = <floating *>p.y + unit.image * p.yn + unit.rows.first * p.yh + unit.columns.first * p.yw
    last.width, last.lanes = 1, <int>(left * l.filters)
    for block in range(first_block(l, unit.share), first_block(l, unit.share + 1)):
        k0 = first_channel(l, block)
        if l.in_place:
            convolve_piece(l, &outputs, &j.filters, block, x + k0, y + k0)
            continue
        fill_band(p, l, &unit, x, k0, band)
        if vectors:
            convolve_piece(l, &outputs, &j.filters, block, band, y + k0)
        if left:
            convolve_piece(l, &last, &j.filters, block, band + vectors * l.pixels * l.tap,
                           y + vectors * l.pixels * p.yw)
    if p.activation and not clips(p, l):
        first = first_channel(l, first_block(l, unit.share))
        behind = l.filters if unit.share == l.shares - 1 else first_channel(l, first_block(l, unit.share + 1))
        activate_piece(p, l, &unit, behind - first, y + first)


cdef void activate_piece(const Problem *p, const ChannelLayout *l, const PieceUnit *unit, Py_ssize_t channels,
                         floating *y) noexcept nogil:
    cdef Py_ssize_t y_row = l.rows.step * p.yh, y_col = l.columns.step * p.yw, i, j
    for i in range(unit.rows.count):
        if channels == y_col:
            activate(p.activation, y + i * y_row, unit.columns.count * channels, p.slope)
        else:
            for j in range(unit.columns.count):
                activate(p.activation, y + i * y_row + j * y_col, channels, p.slope)


cdef void convolve_piece(const ChannelLayout *l, const PieceOutputs *outputs, const ChannelFilters *filters,
                         Py_ssize_t block, const floating *source, floating *y) noexcept nogil:
    """Outputs of one vector of filters from the image in place, where source is the first channel, or from a band."""
    cdef const floating *rows[MOST_ROWS]
    cdef const floating *w = <const floating *>filters.w + block * l.taps * l.lanes
    cdef const floating *bias = <const floating *>filters.bias + block * l.lanes
    cdef Py_ssize_t parts, i, first, count
    cdef fc_pixel_block of_band
    cdef fc_slide how
    if l.strides < 0:
        of_band = band_block(l, outputs)
        depthwise_channels(&of_band, source, w, bias, y)
        return
    how = slide_of(l, outputs)
    how.outside, how.idle = filters.outside, filters.idle
    how.least, how.most = filters.least, filters.most
    parts = ceildiv(outputs.rows, FC_SLIDING_ROWS)
    for i in range(parts):
        first = part(outputs.rows, parts, i)
        count = part(outputs.rows, parts, i + 1) - first
        find_rows(l, outputs, first, count, source, rows)
        slide(l.strides, <int>l.columns.taps // 2, count, &how, rows, w, bias, y + first * outputs.y_row)


# ---------------------------------------------------------------------------------------------------------------------
# Filters


cdef Py_ssize_t packed_size(const ChannelLayout *l) noexcept nogil:
    """One block more may be needed to align the others."""
    return rounded((l.blocks + 2) * (l.taps + 1) * l.lanes)


cdef void pack(const Problem *p, const ChannelLayout *l, floating *memory, ChannelFilters *filters) noexcept nogil:
    """Lays the filters and biases of all blocks out."""
    cdef const floating *w = <const floating *>p.weights
    cdef const floating *bias = <const floating *>p.bias
    cdef Py_ssize_t block, lane, k, t
    cdef floating *packed = memory
    cdef floating *packed_bias = packed + l.blocks * l.taps * l.lanes
    cdef floating *outside = packed_bias + l.blocks * l.lanes
    cdef bint finite = True
    for block in range(l.blocks):
        k = first_channel(l, block)
        if l.taps:
            finite &= pack_block(p, l, w + k * p.wk, min(l.lanes, l.filters - k), packed + block * l.taps * l.lanes,
                                 outside + l.lanes)
        for lane in range(l.lanes):
            packed_bias[block * l.lanes + lane] = bias[k + lane] if bias != NULL and k + lane < l.filters else 0
    for t in range((l.taps + 1) * l.lanes if l.pixels > 1 else 0):    # every pixel of a vector has the same filters
        if t % l.lanes >= l.filters:
            packed[t] = packed[t - l.filters]
    for lane in range(l.lanes):
        outside[lane] = <floating>p.value
    filters.w, filters.bias, filters.outside = packed, packed_bias, outside
    filters.idle = finite and p.value == 0
    filters.least, filters.most = -INFINITY, INFINITY
    if clips(p, l):
        filters.least = 0
        if p.activation == FC_RELU6:
            filters.most = 6


cdef bint pack_block(const Problem *p, const ChannelLayout *l, const floating *w, Py_ssize_t n, floating *packed,
                     floating *scratch) noexcept nogil:
    """n filters for one vector, w being the first one; scratch holds them once. Returns whether all are finite."""
    cdef Py_ssize_t filter = p.wk, step = l.lanes, i, r, s
    if (p.s == 1 or p.ws == -1) and (p.r == 1 or p.wr == -p.s):    # the filters of a data gradient, turned around
        w -= l.taps - 1
        packed += (l.taps - 1) * step
        step = -step
    elif not ((p.s == 1 or p.ws == 1) and (p.r == 1 or p.wr == p.s)):
        for i in range(n):
            for r in range(p.r):
                for s in range(p.s):
                    scratch[i * l.taps + r * p.s + s] = w[i * p.wk + r * p.wr + s * p.ws]
        w, filter = scratch, l.taps
    return pack_filters(w, filter, <int>n, l.taps, packed, step)
