"""The weight gradient of a convolution as an implicit matrix product, with lanes along (c, r, s).

Weight gradient: dW[k, (c, r, s)] = sum over pixels of dY[k, pixel] X[(c, r, s), pixel]. Lanes run over (c, r, s):

    parallel for group, part of the (c, r, s), chunk of the pixels:
        for block of pixels:
            pack dY[panel of filters][pixel][MR]; fill the band of the part's channels
            for panel of two vectors of (c, r, s):
                pack X[pixel][panel] (register transposes of band rows)
                for panel of filters: micro-kernel, one step a pixel -> the tile of dW
    add the chunks' sums up, in order

The split of the reduction (blocks, chunks) follows from the sizes alone. What would take too much scratch (a band of all taps of
millions) is cut into parts first: see parts.py.
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange, threadid

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.runtime cimport threads
from fastconv._core.problem.band cimport Band, fill, tap_offsets
from fastconv._core.problem.blocks cimport Blocking, PixelBlock, block_at, block_pixels
from fastconv._core.product.forward cimport band_of, runs_of, work
from fastconv._core.runtime.isa cimport gemm_tile, get_tile, pack_rows, tile_rows, transpose, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_MR, FC_MAX_NV, fc_run
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport Problem, ceildiv, flatten, part, rounded

cnp.import_array()

cdef enum:
    BAND_BYTES = 384 << 10   # one block's band
    PIXELS = 512             # of grad_output in a block
    MOST_LANES = 32          # (c, r, s) of a panel: FC_MAX_NV vectors of 16
    PARTIAL_BYTES = 4 << 20  # chunks' sums, together
    MOST_CHUNKS = 16
    RUN = 128                # pixels, and then slices of them, that are added one after the other: see src_c/reduce.h
    PACKED_BYTES = 2 << 20   # packed dY of one block of pixels

cdef Py_ssize_t MOST = parts.BACKWARD_BYTES    # of scratch


cdef void pack_gradient(const Problem *g, const PixelBlock *block, const floating *dy, Py_ssize_t panels,
                        Py_ssize_t panel_size, fc_run *runs, floating *rows_data, Py_ssize_t row_size,
                        floating *packed) noexcept nogil:
    """dY of one group and block, as [panel of filters][pixel][m]; dy is the group's first filter."""
    cdef Py_ssize_t n, k, i, j, m
    cdef Py_ssize_t zero = 0
    cdef Py_ssize_t rows[FC_MAX_MR]
    cdef const floating *src
    n = runs_of(block, 0, block.pixels, g.yn, g.yh, g.yw, runs)
    dy += block.n0 * g.yn + block.row0 * g.yh + block.col0 * g.yw
    for k in range(panels):
        i = part(g.k, panels, k)
        m = part(g.k, panels, k + 1) - i
        if n == 1 and g.yw == 1:
            src = dy + i * g.yk + runs[0].src
            for j in range(m):
                rows[j] = j * g.yk
        else:
            if g.yw == 1:
                pack_rows(dy + i * g.yk, g.yk, m, &zero, 1, runs, n, rows_data, row_size, 0)
            else:
                get_tile(dy + i * g.yk, g.yk, g.yw, m, runs, n, rows_data, row_size)
            src = rows_data
            for j in range(m):
                rows[j] = j * row_size
        transpose(src, rows, <int>m, block.pixels, packed + k * panel_size, m)


cdef void add_block(const Problem *g, const PixelBlock *block, const floating *x, double value, Py_ssize_t first_lane,
                    Py_ssize_t last_lane, Py_ssize_t lanes_at_once, bint in_place, Py_ssize_t panels,
                    const floating *packed, Py_ssize_t panel_size, fc_run *runs, Py_ssize_t *taps, floating *band_data,
                    floating *panel, floating *tile_data, floating *dw, Py_ssize_t dw_filter, bint accumulate) noexcept nogil:
    """One block's part of one group's dW, lanes first_lane .. last_lane - 1 of its (c, r, s); x is the group's first channel,
    and filters lie dw_filter apart in dW."""
    cdef int lanes = vector_length(x), vectors
    cdef Py_ssize_t n_taps = g.r * g.s, lane, stop, c0 = 0, i, j, k, m, p, q, run, n_runs, count, width, length
    cdef Py_ssize_t channel_stride, image_stride, row_stride
    cdef Py_ssize_t rows[MOST_LANES]
    cdef const floating *source
    cdef floating *out
    cdef Band band
    if in_place:
        channel_stride, image_stride, row_stride = g.xc, g.xn, g.stride_h * g.xh
        taps[0] = 0
    else:
        band = band_of(g, block.rows, block.cols, lanes)
        band.rows.start = block.row0 * g.stride_h - g.top
        band.cols.start = block.col0 * g.stride_w - g.left
        channel_stride, row_stride = band.channel_pitch, band.pitch
        image_stride = channel_stride * min(g.c, (lanes_at_once - 1) // n_taps + 2)
        tap_offsets(&band, taps)
    n_runs = runs_of(block, 0, block.pixels, image_stride, row_stride, 1, runs)
    while first_lane < last_lane:
        stop = min(last_lane, first_lane + lanes_at_once)
        c0 = first_lane // n_taps
        if in_place:
            source = x + block.n0 * g.xn + c0 * g.xc + block.row0 * row_stride + block.col0
        else:
            source = band_data
            for i in range(block.images):
                fill(&band, x + (block.n0 + i) * g.xn + c0 * g.xc, g.xc, (stop - 1) // n_taps + 1 - c0, <floating>value,
                     band_data + i * image_stride)
        lane = first_lane
        while lane < stop:
            count = min(FC_MAX_NV * lanes, stop - lane)
            vectors = 1 if count <= lanes else 2
            width = vectors * lanes
            for j in range(count):
                rows[j] = ((lane + j) // n_taps - c0) * channel_stride + taps[(lane + j) % n_taps]
            for j in range(n_runs):
                length = runs[j].length
                if not in_place:    # whole blocks: what is too much is overwritten by the next run
                    length = ceildiv(length, lanes) * lanes
                transpose(source + runs[j].src, rows, <int>count, length, panel + runs[j].dst * width, width)
            for k in range(panels):
                i = part(g.k, panels, k)
                m = part(g.k, panels, k + 1) - i
                out = dw + i * dw_filter + lane
                if count == width:
                    for run in range(ceildiv(block.pixels, RUN)):
                        p = run * RUN
                        gemm_tile(vectors, <int>m, min(RUN, block.pixels - p), packed + k * panel_size + p * m, panel + p * width, out,
                                  dw_filter, NULL, accumulate or p > 0)
                    continue
                for run in range(ceildiv(block.pixels, RUN)):
                    p = run * RUN
                    gemm_tile(vectors, <int>m, min(RUN, block.pixels - p), packed + k * panel_size + p * m, panel + p * width,
                              tile_data, width, NULL, p > 0)
                for q in range(m):
                    for j in range(count):
                        out[q * dw_filter + j] = tile_data[q * width + j] + (out[q * dw_filter + j] if accumulate else 0)
            lane += count
        first_lane = stop


# How a weight gradient is cut: sizes of a thread's scratch in elements, in the order in which it lies there.
cdef struct GradientCut:
    Blocking blocking
    Py_ssize_t lanes_at_once, chunks
    bint in_place
    Py_ssize_t taps_size, runs_size, rows_size, row_size, panel_size, band_size, lanes_size, tile_size
    Py_ssize_t scratch_size, partial_size    # bytes, of a thread and of all


cdef GradientCut cut_gradient(const Problem *g, const floating *unused) noexcept:
    cdef GradientCut cut
    cdef int lanes = vector_length(unused), mr = tile_rows(unused)
    cdef Py_ssize_t taps = g.r * g.s, all_lanes = g.c * taps, panels = ceildiv(g.k, mr), size = sizeof(floating), plane, most, total
    cut.in_place = g.in_place and taps == 1
    cut.blocking = block_pixels(g, min(PIXELS, max(4 * lanes, PACKED_BYTES // (g.k * size))))
    cdef Band band = band_of(g, cut.blocking.rows, cut.blocking.cols, lanes)
    plane = band.channel_pitch * cut.blocking.images * size
    cut.lanes_at_once = max(taps, BAND_BYTES // plane * taps) // (FC_MAX_NV * lanes) * (FC_MAX_NV * lanes)
    cut.lanes_at_once = min(max(cut.lanes_at_once, FC_MAX_NV * lanes), ceildiv(all_lanes, FC_MAX_NV * lanes) * FC_MAX_NV * lanes)
    most = cut.blocking.images * cut.blocking.rows * cut.blocking.cols
    cut.taps_size = 2 * rounded(taps)
    cut.row_size = rounded(most + lanes)
    cut.runs_size, cut.rows_size = 6 * cut.row_size, mr * cut.row_size
    cut.panel_size = rounded(most * ceildiv(g.k, panels))
    cut.band_size = 0
    if not cut.in_place:
        cut.band_size = rounded(min(g.c, (cut.lanes_at_once - 1) // taps + 2) * band.channel_pitch * cut.blocking.images)
    cut.lanes_size, cut.tile_size = FC_MAX_NV * lanes * cut.row_size, rounded(mr * FC_MAX_NV * lanes)
    cut.scratch_size = size * (cut.taps_size + cut.runs_size + cut.rows_size + panels * cut.panel_size + cut.band_size
                               + cut.lanes_size + cut.tile_size)
    total = g.groups * g.k * all_lanes
    cut.chunks = min(cut.blocking.count, max(1, min(MOST_CHUNKS, PARTIAL_BYTES // (total * size))))
    cut.partial_size = cut.chunks * total * (size + <Py_ssize_t>sizeof(double)) if cut.chunks > 1 else 0
    return cut


cdef void add_run(const Problem *g, const floating *sums, double *totals, Py_ssize_t all_lanes, Py_ssize_t first_lane,
                  Py_ssize_t last_lane, bint first) noexcept nogil:
    """One group's sums, as far as these lanes, to its totals, which the first of them are."""
    cdef Py_ssize_t k, e
    for k in range(g.k):
        for e in range(k * all_lanes + first_lane, k * all_lanes + last_lane):
            totals[e] = sums[e] if first else totals[e] + sums[e]


cdef void weight_gradient(const Problem *g, const GradientCut *cut, const floating *dy, const floating *x, floating *dw, double value,
                          char *partial, char *scratch, int team) noexcept nogil:
    cdef int lanes = vector_length(x)
    cdef Py_ssize_t n_taps = g.r * g.s, all_lanes = g.c * n_taps, lane_panels = ceildiv(all_lanes, FC_MAX_NV * lanes)
    cdef Py_ssize_t size = g.groups * g.k * all_lanes, shares, u, j, q, b, lo, hi, group, k, e, first, last, place, in_run
    cdef double *totals = <double *>partial    # of chunks
    cdef floating *sums = <floating *>(totals + cut.chunks * size)
    in_run = max(1, RUN * RUN // PIXELS)       # blocks
    shares = min(lane_panels, ceildiv(team, cut.chunks * g.groups))
    for u in prange(cut.chunks * g.groups * shares, num_threads=team, schedule="dynamic"):
        j = u % shares
        group = u // shares % g.groups
        q = u // shares // g.groups
        lo = part(lane_panels, shares, j) * FC_MAX_NV * lanes
        hi = min(all_lanes, part(lane_panels, shares, j + 1) * FC_MAX_NV * lanes)
        first = part(cut.blocking.count, cut.chunks, q)
        last = part(cut.blocking.count, cut.chunks, q + 1)
        place = q * size + group * g.k * all_lanes
        for b in range(first, last):
            if cut.chunks == 1:
                weight_gradient_block(g, cut, b, b > first, dy + group * g.k * g.yk, x + group * g.c * g.xc, value, lo, hi,
                                      <floating *>(scratch + threadid() * cut.scratch_size), dw + group * g.k * g.wk, g.wk)
                continue
            weight_gradient_block(g, cut, b, (b - first) % in_run > 0, dy + group * g.k * g.yk, x + group * g.c * g.xc, value, lo, hi,
                                  <floating *>(scratch + threadid() * cut.scratch_size), sums + place, all_lanes)
            if (b - first + 1) % in_run == 0 or b == last - 1:
                add_run(g, sums + place, totals + place, all_lanes, lo, hi, b - first < in_run)
    if cut.chunks > 1:
        for q in range(1, cut.chunks):
            for e in range(size):
                totals[e] += totals[q * size + e]
        for k in range(g.groups * g.k):
            for e in range(all_lanes):
                dw[k * g.wk + e] = <floating>totals[k * all_lanes + e]


cdef void weight_gradient_block(const Problem *g, const GradientCut *cut, Py_ssize_t index, bint accumulate, const floating *dy,
                                const floating *x, double value, Py_ssize_t first_lane, Py_ssize_t last_lane, floating *scratch,
                                floating *dw, Py_ssize_t dw_filter) noexcept nogil:
    """Packs dY of one block and adds the block's part to dW. The scratch: taps, runs, dY's rows, packed dY, band, panel, tile."""
    cdef PixelBlock block = block_at(g, &cut.blocking, index)
    cdef Py_ssize_t panels = ceildiv(g.k, tile_rows(x))
    cdef Py_ssize_t *taps = <Py_ssize_t *>scratch
    scratch += cut.taps_size
    cdef fc_run *runs = <fc_run *>scratch
    scratch += cut.runs_size
    cdef floating *rows_data = scratch
    scratch += cut.rows_size
    cdef floating *packed = scratch
    scratch += panels * cut.panel_size
    cdef floating *band_data = scratch
    scratch += cut.band_size
    cdef floating *panel = scratch
    scratch += cut.lanes_size
    pack_gradient(g, &block, dy, panels, cut.panel_size, runs, rows_data, cut.row_size, packed)
    add_block(g, &block, x, value, first_lane, last_lane, cut.lanes_at_once, cut.in_place, panels, packed, cut.panel_size, runs, taps,
              band_data, panel, scratch, dw, dw_filter, accumulate)


cdef bint backward(Problem *g, const floating *dy, const floating *x, floating *dw, double value) except -1:
    """Returns False, with nothing done, where one thread would take too much scratch."""
    flatten(g)
    cdef GradientCut cut = cut_gradient(g, x)
    cdef int team = threads.team(work(g))
    if cut.scratch_size + cut.partial_size > MOST:
        return False
    cdef Block scratch = take(team * cut.scratch_size)
    cdef Block partial = take(cut.partial_size)
    with nogil:
        weight_gradient(g, &cut, dy, x, dw, value, partial.data, scratch.data, team)
    return True


def conv2d_weight_gradient(Convolution conv):
    """w = the gradient of the weights of a convolution that made y of x, where y is the gradient of that; w is overwritten: filters of
    any stride, each in one piece. Nothing is checked."""
    cdef bint done
    cdef Problem g = conv.problem
    if cnp.PyArray_SIZE(conv.w) == 0:
        return
    if cnp.PyArray_SIZE(conv.y) == 0:
        conv.w.fill(0)
        return
    if conv.single:
        done = backward(&g, <const float *>g.y, <const float *>g.x, <float *>g.weights, g.value)
    else:
        done = backward(&g, <const double *>g.y, <const double *>g.x, <double *>g.weights, g.value)
    if not done:
        parts.weight_gradient(conv2d_weight_gradient, gradient_workspace, conv)


def gradient_workspace(Convolution conv, bint alone):
    """As workspace, of conv2d_weight_gradient."""
    cdef Problem g = conv.problem
    flatten(&g)
    cdef int team = 1 if alone else threads.team(work(&g))
    cdef GradientCut cut = cut_gradient[float](&g, NULL) if conv.single else cut_gradient[double](&g, NULL)
    return team * cut.scratch_size + cut.partial_size
