"""The weight gradient of a convolution as an implicit matrix product, with lanes along (c, r, s).

Weight gradient: dW[k, (c, r, s)] = sum over pixels of dY[k, pixel] X[(c, r, s), pixel]. Lanes run over (c, r, s):

    parallel for group, part of the (c, r, s), chunk of the pixels:
        for block of pixels:
            pack dY[panel of filters][pixel][MR]; fill the band of the part's channels
            for panel of two vectors of (c, r, s):
                pack X[pixel][panel] (register transposes of band rows)
                for panel of filters: micro-kernel, one step a pixel -> the tile of dW
    add the chunks' sums up, in order

The split of the reduction (blocks, chunks) follows from the sizes alone. What would take too much scratch (a band of
all taps of millions) is cut into parts first: see parts.py.
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport WHEN_READY, in_parallel
from fastconv._core.problem.band cimport Band, fill, tap_offsets
from fastconv._core.problem.blocks cimport PixelBlock, block_at
from fastconv._core.product.layout cimport WIDEST, GradientLayout, band_of, lay_out_gradient, runs_of, work
from fastconv._core.runtime.isa cimport gemm_tile, get_tile, pack_rows, transpose, vector_length
from fastconv._core.runtime.kernels cimport FC_IDENTITY, FC_MAX_MR, FC_MAX_NV, fc_product, fc_run, fc_taps
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport Problem, ceildiv, flatten, part

cnp.import_array()

cdef enum:
    RUN = 128                # pixels, and then slices of them, that are added one after the other: see src_c/reduce.h
    BLOCKS_A_RUN = 32        # of at most 512 pixels each: RUN runs

cdef Py_ssize_t MOST = parts.BACKWARD_BYTES    # of scratch


# What the units of a call share. `totals` and `sums` are those of the chunks, one after the other; `shares`: into how
# many parts the (c, r, s) of a group are cut.
cdef struct GradientCall:
    const Problem *p
    const GradientLayout *l
    double *totals
    void *sums
    Py_ssize_t shares

# Lanes first .. last - 1 of a group's (c, r, s), and where their sums are: filters `step` apart from the group's first
# on.
cdef struct GradientUnit:
    Py_ssize_t group, first, last
    void *sums
    Py_ssize_t step

# Where the pixels of a block are read: in x as it lies, or in the band.
cdef struct GradientSource:
    Band band
    Py_ssize_t channel_stride, image_stride, row_stride
    Py_ssize_t n_runs


cdef void pack_gradient(const Problem *p, const GradientLayout *l, const PixelBlock *block, Py_ssize_t group,
                        floating *scratch) noexcept nogil:
    """grad_output of one group and block, as [panel of filters][pixel][m]."""
    cdef Py_ssize_t n, k, i, j, m, zero = 0
    cdef Py_ssize_t rows[FC_MAX_MR]
    cdef fc_run *runs = <fc_run *>(scratch + l.runs_at)
    cdef floating *rows_data = scratch + l.rows_at
    cdef const floating *dy = <const floating *>p.y + group * p.k * p.yk
    cdef const floating *src
    cdef fc_taps filters
    n = runs_of(block, 0, block.pixels, p.yn, p.yh, p.yw, runs)
    dy += block.n0 * p.yn + block.row0 * p.yh + block.col0 * p.yw
    filters.channel_stride, filters.taps, filters.n_taps = p.yk, &zero, 1
    for k in range(l.panels):
        i = part(p.k, l.panels, k)
        m = part(p.k, l.panels, k + 1) - i
        if n == 1 and p.yw == 1:
            src = dy + i * p.yk + runs[0].src
            for j in range(m):
                rows[j] = j * p.yk
        else:
            if p.yw == 1:
                filters.channels = m
                pack_rows(&filters, dy + i * p.yk, runs, n, rows_data, l.row_size, 0)
            else:
                get_tile(dy + i * p.yk, p.yk, p.yw, m, runs, n, rows_data, l.row_size)
            src = rows_data
            for j in range(m):
                rows[j] = j * l.row_size
        transpose(src, rows, <int>m, block.pixels, scratch + l.packed_at + k * l.panel_size, m)


cdef void multiply(const Problem *p, const GradientLayout *l, const GradientUnit *u, Py_ssize_t pixels, Py_ssize_t lane,
                   Py_ssize_t count, bint accumulate, floating *scratch) noexcept nogil:
    """All filters by `count` lanes from `lane` on, whose pixels are packed: runs of pixels, one after the other."""
    cdef int lanes = vector_length(scratch)
    cdef Py_ssize_t width, i, j, k, m, q, done, run
    cdef const floating *packed
    cdef const floating *panel = scratch + l.lanes_at
    cdef floating *sums
    cdef floating *out
    cdef bint whole
    cdef fc_product how
    cdef int vectors = 1 if count <= lanes else FC_MAX_NV
    width = vectors * lanes
    how.b, how.b_vector = width, lanes
    how.activation.kind = FC_IDENTITY
    whole = count == width
    for k in range(l.panels):
        i = part(p.k, l.panels, k)
        m = part(p.k, l.panels, k + 1) - i
        packed = scratch + l.packed_at + k * l.panel_size
        sums = <floating *>u.sums + i * u.step + lane
        out, how.a, how.c = sums, m, u.step
        if not whole:
            out, how.c = scratch + l.tile_at, width
        for run in range(ceildiv(pixels, RUN)):
            done = run * RUN
            how.accumulate = (whole and accumulate) or done > 0
            gemm_tile(vectors, m, &how, min(RUN, pixels - done), packed + done * m, panel + done * width, out,
                      <const floating *>NULL)
        if not whole:
            for q in range(m):
                for j in range(count):
                    sums[q * u.step + j] = out[q * width + j] + (sums[q * u.step + j] if accumulate else 0)


cdef void add_lanes(const Problem *p, const GradientLayout *l, const GradientUnit *u, const PixelBlock *block,
                    const GradientSource *s, Py_ssize_t first, bint accumulate, floating *scratch) noexcept nogil:
    """One block's part of the lanes from `first` on whose channels fit into the band."""
    cdef int lanes = vector_length(scratch)
    cdef Py_ssize_t n_taps = p.r * p.s, c = first // n_taps, stop = min(u.last, first + l.lanes_at_once), lane = first
    cdef Py_ssize_t i, j, count, width, length
    cdef const Py_ssize_t *taps = <const Py_ssize_t *>scratch
    cdef const fc_run *runs = <const fc_run *>(scratch + l.runs_at)
    cdef Py_ssize_t rows[WIDEST]
    cdef const floating *x = <const floating *>p.x + (u.group * p.c + c) * p.xc + block.n0 * p.xn
    cdef const floating *source
    cdef floating *band_data = scratch + l.band_at
    if l.in_place:
        source = x + block.row0 * s.row_stride + block.col0
    else:
        source = band_data
        for i in range(block.images):
            fill(&s.band, x + i * p.xn, p.xc, (stop - 1) // n_taps + 1 - c, <floating>p.value,
                 band_data + i * s.image_stride)
    while lane < stop:
        count = min(FC_MAX_NV * lanes, stop - lane)
        width = lanes if count <= lanes else FC_MAX_NV * lanes
        for j in range(count):
            rows[j] = ((lane + j) // n_taps - c) * s.channel_stride + taps[(lane + j) % n_taps]
        for j in range(s.n_runs):
            length = runs[j].length
            if not l.in_place:    # whole blocks: what is too much is overwritten by the next run
                length = ceildiv(length, lanes) * lanes
            transpose(source + runs[j].src, rows, <int>count, length, scratch + l.lanes_at + runs[j].dst * width, width)
        multiply(p, l, u, block.pixels, lane, count, accumulate, scratch)
        lane += count


cdef void add_block(const Problem *p, const GradientLayout *l, const GradientUnit *u, Py_ssize_t index, bint accumulate,
                    floating *scratch) noexcept nogil:
    """Packs grad_output of one block and adds the block's part to a unit's sums, or begins these with it."""
    cdef PixelBlock block = block_at(p, &l.blocking, index)
    cdef Py_ssize_t first = u.first
    cdef Py_ssize_t *taps = <Py_ssize_t *>scratch
    cdef GradientSource s
    pack_gradient(p, l, &block, u.group, scratch)
    if l.in_place:
        s.channel_stride, s.image_stride, s.row_stride = p.xc, p.xn, p.stride_h * p.xh
        taps[0] = 0
    else:
        s.band = band_of(p, block.rows, block.cols, vector_length(scratch))
        s.band.rows.start = block.row0 * p.stride_h - p.top
        s.band.cols.start = block.col0 * p.stride_w - p.left
        s.channel_stride, s.row_stride = s.band.channel_pitch, s.band.pitch
        s.image_stride = s.channel_stride * min(p.c, (l.lanes_at_once - 1) // (p.r * p.s) + 2)
        tap_offsets(&s.band, taps)
    s.n_runs = runs_of(&block, 0, block.pixels, s.image_stride, s.row_stride, 1, <fc_run *>(scratch + l.runs_at))
    while first < u.last:
        add_lanes(p, l, u, &block, &s, first, accumulate, scratch)
        first += l.lanes_at_once


cdef void add_run(const Problem *p, const GradientUnit *u, double *totals, bint first,
                  const floating *unused) noexcept nogil:
    """A unit's sums to its totals, which the first of them are."""
    cdef const floating *sums = <const floating *>u.sums
    cdef Py_ssize_t k, e
    for k in range(p.k):
        for e in range(k * u.step + u.first, k * u.step + u.last):
            totals[e] = sums[e] if first else totals[e] + sums[e]


cdef void gradient_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """One share of a group's lanes in one chunk of the blocks."""
    cdef const GradientCall *call = <const GradientCall *>data
    cdef const Problem *p = call.p
    cdef const GradientLayout *l = call.l
    cdef Py_ssize_t width = FC_MAX_NV * vector_length(scratch), all_lanes = p.c * p.r * p.s
    cdef Py_ssize_t panels = ceildiv(all_lanes, width)
    cdef Py_ssize_t share = index % call.shares, chunk = index // call.shares // p.groups, b, place
    cdef Py_ssize_t first = part(l.blocking.count, l.chunks, chunk), last = part(l.blocking.count, l.chunks, chunk + 1)
    cdef GradientUnit u
    u.group = index // call.shares % p.groups
    u.first = part(panels, call.shares, share) * width
    u.last = min(all_lanes, part(panels, call.shares, share + 1) * width)
    if l.chunks == 1:
        u.sums, u.step = <floating *>p.weights + u.group * p.k * p.wk, p.wk
        for b in range(first, last):
            add_block(p, l, &u, b, b > first, scratch)
        return
    place = (chunk * p.groups + u.group) * p.k * all_lanes
    u.sums, u.step = <floating *>call.sums + place, all_lanes
    for b in range(first, last):
        add_block(p, l, &u, b, (b - first) % BLOCKS_A_RUN > 0, scratch)
        if (b - first + 1) % BLOCKS_A_RUN == 0 or b == last - 1:
            add_run(p, &u, call.totals + place, b - first < BLOCKS_A_RUN, scratch)


cdef void add_chunks(const GradientCall *call, const floating *unused) noexcept nogil:
    """The chunks' totals, in order, to the gradient."""
    cdef const Problem *p = call.p
    cdef floating *dw = <floating *>p.weights
    cdef Py_ssize_t lanes = p.c * p.r * p.s, size = p.groups * p.k * lanes, chunk, k, e
    for chunk in range(1, call.l.chunks):
        for e in range(size):
            call.totals[e] += call.totals[chunk * size + e]
    for k in range(p.groups * p.k):
        for e in range(lanes):
            dw[k * p.wk + e] = <floating>call.totals[k * lanes + e]


cdef bint backward(Problem *p, const floating *unused) except -1:
    """Returns False, with nothing done, where one thread would take too much scratch."""
    flatten(p)
    cdef GradientLayout l = lay_out_gradient(p, unused)
    cdef int team = threads.team(work(p))
    cdef Py_ssize_t size = sizeof(floating), lanes = p.c * p.r * p.s
    if l.scratch_size * size + l.partial_size > MOST:
        return False
    cdef Block scratch = take(team * l.scratch_size * size)
    cdef Block partial = take(l.partial_size)
    cdef GradientCall call
    call.p, call.l = p, &l
    call.totals = <double *>partial.data
    call.sums = call.totals + l.chunks * p.groups * p.k * lanes
    call.shares = min(ceildiv(lanes, FC_MAX_NV * vector_length(unused)), ceildiv(team, l.chunks * p.groups))
    with nogil:
        in_parallel(gradient_unit[floating], &call, l.chunks * p.groups * call.shares, team, WHEN_READY,
                    <floating *>scratch.data, l.scratch_size)
        if l.chunks > 1:
            add_chunks(&call, unused)
    return True


def conv2d_weight_gradient(Convolution conv not None):
    """w = the gradient of the weights of a convolution that made y of x, where y is the gradient of that; w is
    overwritten: filters of any stride, each in one piece. Nothing is checked."""
    cdef Problem p = conv.problem
    if cnp.PyArray_SIZE(conv.w) == 0:
        return
    if cnp.PyArray_SIZE(conv.y) == 0:
        conv.w.fill(0)
        return
    if not (backward[float](&p, NULL) if conv.single else backward[double](&p, NULL)):
        parts.weight_gradient(conv2d_weight_gradient, gradient_workspace, conv)


def gradient_workspace(Convolution conv not None, bint alone):
    """As workspace, of conv2d_weight_gradient."""
    cdef Problem p = conv.problem
    flatten(&p)
    return gradient_bytes[float](&p, alone, NULL) if conv.single else gradient_bytes[double](&p, alone, NULL)


cdef Py_ssize_t gradient_bytes(const Problem *p, bint alone, const floating *unused) noexcept:
    cdef GradientLayout l = lay_out_gradient(p, unused)
    return (1 if alone else threads.team(work(p))) * l.scratch_size * <Py_ssize_t>sizeof(floating) + l.partial_size
