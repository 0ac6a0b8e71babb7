"""Convolution as an implicit matrix product; the data gradient is this driver on views, the weight gradient
weight_gradient.pyx.

Forward: Y[k, pixel] = W[k, (c, r, s)] X[(c, r, s), pixel]. Vector lanes run over pixels, so tiles are stored as they
are into a channel's plane. No im2col matrix is ever made:

    for stage of weights (at most STAGE_BYTES packed, [panel of up to MR filters][c, r, s][MR]; shared, L2 and L3):
        parallel for block of output pixels (whole rows, of several images if small), group, part of the filters:
            for block of the reduction (DEPTH channels x taps):
                fill the padded band of these channels (see band.pyx; L2)
                for group of panels of two vectors of pixels:
                    for panel: pack X[DEPTH][panel] from the band (L1, L2)
                    for panel of filters: for panel:
                        micro-kernel, DEPTH long -> the tile of y, bias and activation on the way

Few filters of one tap that meet no padding do not pay for packing pixels: rows of x are added up as they lie. Nor do
still fewer of several taps, or with padding: rows of the band (L1) are, each as often as it has taps.
Few pixels do not pay for packing filters: all pixels of a slice are packed (L2), and the filters of a tile copied
as they were written (L1), to be a distance apart at which they share no sets of the cache.

A group is as many panels as L1 and the near part of L2 hold: the more of a plane of y is written at a time, the better,
as planes are often a power of two apart and share sets of the cache.

Every element of a result is summed in one order, whatever the number of threads: the split of the reduction (blocks)
follows from the sizes alone; what is split by the number of threads is only who computes which element.

What would take too much scratch (packed filters of millions of terms, their offsets) is cut into parts first: see
parts.py.

Sources: Goto, van de Geijn, "Anatomy of high-performance matrix multiplication" (2008); Van Zee, van de Geijn, "BLIS"
(2015).
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.problem.convolution cimport Convolution, Window, problem_of
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, WHEN_READY, in_parallel
from fastconv._core.problem.band cimport Band, fill, tap_offsets
from fastconv._core.problem.blocks cimport PixelBlock, block_at
from fastconv._core.problem.filters cimport gather_tap, lie_in_order, taps_in_order
from fastconv._core.product.layout cimport (
    MOST_PANELS, WIDEST, ProductLayout, band_of, cut_filters, lay_out, runs_of, work,
)
from fastconv._core.runtime.isa cimport gemm_tile, outer_tile, sum_rows
from fastconv._core.runtime.isa cimport get_tile, pack_rows, put_tile, transpose, vector_length
from fastconv._core.runtime.kernels cimport (
    FC_MAX_MR, FC_MAX_NV, FC_SUM_ROWS, fc_activation, fc_outer_steps, fc_product, fc_row_sums, fc_run, fc_taps,
)
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport Problem, activate, activation_of, beyond, ceildiv, flatten, part

cnp.import_array()

cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch
cdef Window whole = Window()                  # of a matrix product

cdef enum:
    STREAMS = 8        # rows of x that come from memory at a time
    LAST = 2           # what y was comes last to a sum of rows, as to a tile
    LINE_BYTES = 64    # of a cache

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *address, int write, int locality) noexcept nogil


# What the units of a call share; the stage of filters, `panels` of each of so many groups from panel `first` on,
# counted over all groups, is cut into `parts` for the threads.
cdef struct ProductCall:
    const Problem *p
    const ProductLayout *l
    void *packed
    bint prepared
    Py_ssize_t first, panels, groups, parts

# One block of pixels of a group by its filter panels first_panel .. last_panel - 1, the first of which is at `packed`.
cdef struct ProductUnit:
    PixelBlock block
    Py_ssize_t group, first_panel, last_panel
    const void *packed

# A slice of the reduction, from where it begins in a packed filter: where its pixels are read, in x as it lies or in
# the band.
cdef struct ProductSlice:
    Py_ssize_t first, depth
    bint accumulate
    fc_activation activation
    fc_taps taps
    Py_ssize_t image_stride, row_stride
    const void *source

# Pixels that lie side by side in the lanes of a tile, and where they go in y.
cdef struct PixelPanel:
    int vectors
    Py_ssize_t count, n_runs
    fc_run runs[WIDEST]

# Filters that are the rows of a tile: their slice, as it is packed or as it was written, with so many elements from one
# filter to the next; and the bias or NULL.
cdef struct FilterPanel:
    int m
    Py_ssize_t pitch
    const void *slice
    const void *bias


cdef void pack_filters(const Problem *p, const floating *w, Py_ssize_t m, floating *dst) noexcept nogil:
    """m filters, the first at w, as [c, r, s][m]."""
    cdef Py_ssize_t rows[FC_MAX_MR]
    cdef Py_ssize_t i, c, r, s, taps = p.r * p.s
    for i in range(m):
        rows[i] = i * p.wk
    if lie_in_order(p):
        transpose(w, rows, <int>m, p.c * taps, dst, m)
        return
    if taps > 1 and taps_in_order(p):
        for c in range(p.c):
            transpose(w + c * p.wc, rows, <int>m, taps, dst + c * taps * m, m)
        return
    for c in range(p.c):
        for r in range(p.r):
            for s in range(p.s):
                gather_tap(w + c * p.wc + r * p.wr + s * p.ws, p.wk, m, m, dst)
                dst += m


cdef void pack_unit(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    """A filter panel of the stage."""
    cdef const ProductCall *call = <const ProductCall *>data
    cdef const Problem *p = call.p
    cdef Py_ssize_t panels = call.l.panels, group = (call.first + index) // panels, k = (call.first + index) % panels
    pack_filters(p, <const floating *>p.weights + (group * p.k + part(p.k, panels, k)) * p.wk,
                 part(p.k, panels, k + 1) - part(p.k, panels, k), <floating *>call.packed + index * call.l.panel_size)


cdef void multiply(const Problem *p, const ProductSlice *s, const FilterPanel *filters, const PixelPanel *to,
                   const floating *pixels, floating *y, floating *scratch) noexcept nogil:
    """One tile of filters x pixels into y, at once where the pixels are one full run, else by way of scratch."""
    cdef Py_ssize_t lanes = vector_length(pixels), width = to.vectors * lanes
    cdef const floating *packed = <const floating *>filters.slice
    cdef const floating *bias = <const floating *>filters.bias
    cdef fc_product how
    how.a, how.b, how.b_vector, how.c = filters.m, width, lanes, p.yk
    how.accumulate, how.activation = s.accumulate, s.activation
    if to.n_runs == 1 and p.yw == 1 and to.count == width:
        gemm_tile(to.vectors, filters.m, &how, s.depth, packed, pixels, y + to.runs[0].src, bias)
        return
    how.c = width
    if s.accumulate:
        get_tile(y, p.yk, p.yw, filters.m, to.runs, to.n_runs, scratch, width)
    gemm_tile(to.vectors, filters.m, &how, s.depth, packed, pixels, scratch, bias)
    put_tile(scratch, width, filters.m, to.runs, to.n_runs, y, p.yk, p.yw)


cdef const floating *copied_filters(const Problem *p, const ProductLayout *l, const ProductSlice *s,
                                    Py_ssize_t filter, int m, floating *scratch) noexcept nogil:
    """A slice of m filters from `filter` on, counted over all groups, as rows of a tile. That of the next m is fetched
    meanwhile: rows of memory are too short here for the hardware to do so."""
    cdef const floating *w = <const floating *>p.weights + filter * p.wk + s.first
    cdef floating *rows = scratch + l.filters_at
    cdef Py_ssize_t i, j
    for i in range(m):
        memcpy(rows + i * l.filter_pitch, w + i * p.wk, s.depth * sizeof(floating))
        for j in range(ceildiv(s.depth * sizeof(floating), LINE_BYTES)):
            prefetch(beyond(w, (m + i) * p.wk + j * LINE_BYTES // <Py_ssize_t>sizeof(floating)), 0, 2)
    return rows


cdef void multiply_as_written(const Problem *p, const ProductSlice *s, const FilterPanel *filters, const PixelPanel *to,
                              const floating *pixels, floating *y, floating *scratch) noexcept nogil:
    """As multiply, to the same bits, of filters that were not packed."""
    cdef Py_ssize_t lanes = vector_length(pixels), width = to.vectors * lanes, i, j
    cdef const floating *bias = <const floating *>filters.bias
    cdef floating first = <floating>-0.0    # which changes no number that is added to it
    cdef fc_outer_steps steps
    steps.a_row, steps.b, steps.b_vector, steps.c = filters.pitch, width, lanes, width
    if s.accumulate:
        get_tile(y, p.yk, p.yw, filters.m, to.runs, to.n_runs, scratch, width)
    else:
        for i in range(filters.m):
            if bias != NULL:
                first = bias[i]
            for j in range(width):
                scratch[i * width + j] = first
    outer_tile(to.vectors, filters.m, &steps, s.depth, <const floating *>filters.slice, pixels, scratch)
    if s.activation.kind:
        activate(s.activation.kind, scratch, filters.m * width, s.activation.slope)
    put_tile(scratch, width, filters.m, to.runs, to.n_runs, y, p.yk, p.yw)


cdef void add_slice(const Problem *p, const ProductLayout *l, const ProductUnit *u, const ProductSlice *s,
                    floating *scratch) noexcept nogil:
    """One slice of the reduction to all of a unit's outputs."""
    cdef int lanes = vector_length(scratch)
    cdef Py_ssize_t width = FC_MAX_NV * lanes, done = 0, q, in_group, i, k, n_src
    cdef const PixelBlock *block = &u.block
    cdef const floating *packed = <const floating *>u.packed
    cdef const floating *bias = <const floating *>p.bias
    cdef floating *pixels = scratch + l.pixels_at
    cdef floating *y = <floating *>p.y + u.group * p.k * p.yk + block.n0 * p.yn + block.row0 * p.yh + block.col0 * p.yw
    cdef fc_run src[WIDEST]
    cdef PixelPanel panels[MOST_PANELS]
    cdef PixelPanel *to
    cdef FilterPanel filters
    filters.pitch = l.filter_pitch
    while done < block.pixels:
        in_group = min(l.group, ceildiv(block.pixels - done, width))
        for q in range(in_group):
            to = &panels[q]
            to.count = min(width, block.pixels - done)
            to.vectors = 1 if to.count <= lanes else FC_MAX_NV
            n_src = runs_of(block, done, to.count, s.image_stride, s.row_stride, 1, src)
            to.n_runs = runs_of(block, done, to.count, p.yn, p.yh, p.yw, to.runs)
            pack_rows(&s.taps, <const floating *>s.source, src, n_src, pixels + q * l.panel_elements,
                      to.vectors * lanes, not p.in_place)
            done += to.count
        for k in range(u.first_panel, u.last_panel):
            i = part(p.k, l.panels, k)
            filters.m = <int>(part(p.k, l.panels, k + 1) - i)
            filters.bias = bias + u.group * p.k + i if bias != NULL and s.first == 0 else NULL
            if l.as_written:
                filters.slice = copied_filters(p, l, s, u.group * p.k + i, filters.m, scratch)
            else:
                filters.slice = packed + (k - u.first_panel) * l.panel_size + s.first * filters.m
            for q in range(in_group):
                if l.as_written:
                    multiply_as_written(p, s, &filters, &panels[q], pixels + q * l.panel_elements, y + i * p.yk,
                                        scratch + l.tile_at)
                else:
                    multiply(p, s, &filters, &panels[q], pixels + q * l.panel_elements, y + i * p.yk,
                             scratch + l.tile_at)


cdef void add_rows(const Problem *p, const ProductLayout *l, const ProductUnit *u,
                   const floating *unused) noexcept nogil:
    """A block of pixels by few filters of one tap: rows of x, as they lie, to rows of y, which stay in L1."""
    cdef const PixelBlock *block = &u.block
    cdef Py_ssize_t first = part(p.k, l.panels, u.first_panel), filters = part(p.k, l.panels, u.last_panel) - first
    cdef Py_ssize_t times = ceildiv(filters, FC_SUM_ROWS), row, n, k, i, c
    cdef const floating *w = <const floating *>p.weights + (u.group * p.k + first) * p.wk
    cdef const floating *bias = <const floating *>p.bias
    cdef const floating *x
    cdef floating *y
    cdef fc_row_sums strides
    strides.a_row, strides.a_step, strides.b, strides.c, strides.terms = p.wk, p.wc, p.xc, p.yk, NULL
    if bias != NULL:
        bias += u.group * p.k + first
    for row in range(block.images * block.rows):
        n = block.n0 + row // block.rows
        x = (<const floating *>p.x + n * p.xn + u.group * p.c * p.xc
             + (block.row0 + row % block.rows) * p.stride_h * p.xh + block.col0)
        y = (<floating *>p.y + n * p.yn + (u.group * p.k + first) * p.yk + (block.row0 + row % block.rows) * p.yh
             + block.col0)
        for i in range(ceildiv(p.c, STREAMS) * times):    # some filters after the others: they find the rows of x in L1
            c, k = i // times * STREAMS, part(filters, times, i % times)
            sum_rows(<int>(part(filters, times, i % times + 1) - k), &strides, min(STREAMS, p.c - c),
                     w + k * p.wk + c * p.wc, x + c * p.xc, block.cols,
                     bias + k if bias != NULL and c == 0 else <const floating *>NULL, y + k * p.yk,
                     p.accumulate or c > 0)
        for k in range(filters if p.activation else 0):
            activate(p.activation, y + k * p.yk, block.cols, p.slope)


cdef void add_slice_in_rows(const Problem *p, const ProductLayout *l, const ProductUnit *u, const ProductSlice *s,
                            floating *scratch) noexcept nogil:
    """One slice of the reduction to a unit's outputs, of few filters: rows of the band, or of x, to rows of y."""
    cdef const PixelBlock *block = &u.block
    cdef Py_ssize_t first, filters, panel, row, image, c, t, k
    cdef Py_ssize_t *terms = <Py_ssize_t *>(scratch + l.terms_at)
    cdef const floating *w
    cdef const floating *x
    cdef const floating *bias
    cdef floating *y
    cdef fc_row_sums strides
    for c in range(s.taps.channels):    # in their order in a filter, in which all sums are added up
        for t in range(s.taps.n_taps):
            terms[c * s.taps.n_taps + t] = c * s.taps.channel_stride + s.taps.taps[t]
    strides.a_row, strides.b, strides.c, strides.terms = 1, 0, p.yk, terms
    for panel in range(u.first_panel, u.last_panel):
        first = part(p.k, l.panels, panel)
        filters = part(p.k, l.panels, panel + 1) - first
        w = <const floating *>u.packed + (panel - u.first_panel) * l.panel_size + s.first * filters
        bias = <const floating *>NULL
        if p.bias != NULL and s.first == 0:
            bias = <const floating *>p.bias + u.group * p.k + first
        strides.a_step = filters
        for row in range(block.images * block.rows):
            image = row // block.rows
            x = <const floating *>s.source + image * s.image_stride + row % block.rows * s.row_stride
            y = (<floating *>p.y + (block.n0 + image) * p.yn + (u.group * p.k + first) * p.yk
                 + (block.row0 + row % block.rows) * p.yh + block.col0)
            sum_rows(<int>filters, &strides, s.depth, w, x, block.cols, bias, y, LAST if s.accumulate else 0)
            for k in range(filters if s.activation.kind else 0):
                activate(s.activation.kind, y + k * p.yk, block.cols, s.activation.slope)


cdef void convolve_block(const Problem *p, const ProductLayout *l, const ProductUnit *u,
                         floating *scratch) noexcept nogil:
    """All of the reduction for one unit, slice by slice."""
    cdef const PixelBlock *block = &u.block
    cdef const floating *x = <const floating *>p.x + u.group * p.c * p.xc + block.n0 * p.xn
    cdef Py_ssize_t n_taps = p.r * p.s, c = 0, t, i
    cdef Py_ssize_t *taps = <Py_ssize_t *>scratch
    cdef floating *band_data = scratch + l.band_at
    cdef Band band
    cdef ProductSlice s
    if p.in_place:
        s.taps.channel_stride, s.image_stride, s.row_stride = p.xc, p.xn, p.stride_h * p.xh
        for t in range(n_taps):
            taps[t] = t // p.s * p.dilation_h * p.xh + t % p.s * p.dilation_w
    else:
        band = band_of(p, block.rows, block.cols, vector_length(scratch))
        band.rows.start = block.row0 * p.stride_h - p.top
        band.cols.start = block.col0 * p.stride_w - p.left
        s.taps.channel_stride, s.row_stride = band.channel_pitch, band.pitch
        s.image_stride = l.channels * band.channel_pitch
        tap_offsets(&band, taps)
    while c < p.c:
        s.taps.channels = min(l.channels, p.c - c)
        if p.in_place:
            s.source = x + c * p.xc + block.row0 * s.row_stride + block.col0
        else:
            s.source = band_data
            for i in range(block.images):
                fill(&band, x + i * p.xn + c * p.xc, p.xc, s.taps.channels, <floating>p.value,
                     band_data + i * s.image_stride)
        t = 0
        while t < n_taps:
            s.taps.taps, s.taps.n_taps = taps + t, min(l.taps_at_once, n_taps - t)
            s.first, s.depth = c * n_taps + t, s.taps.channels * s.taps.n_taps
            s.accumulate = p.accumulate or s.first > 0
            s.activation = activation_of(p, s.first + s.depth == p.c * n_taps)
            if l.in_band_rows:
                add_slice_in_rows(p, l, u, &s, scratch)
            else:
                add_slice(p, l, u, &s, scratch)
            t += s.taps.n_taps
        c += s.taps.channels


cdef void convolve_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """One block of pixels of one group by one part of the stage's filters."""
    cdef const ProductCall *call = <const ProductCall *>data
    cdef const ProductLayout *l = call.l
    cdef Py_ssize_t i = index % call.parts
    cdef Py_ssize_t lo = part(call.panels, call.parts, i), hi = part(call.panels, call.parts, i + 1)
    cdef Py_ssize_t group = index // call.parts // l.blocking.count    # of the stage
    cdef ProductUnit u
    u.block = block_at(call.p, &l.blocking, index // call.parts % l.blocking.count)
    u.group = call.first // l.panels + group
    u.first_panel, u.last_panel = call.first % l.panels + lo, call.first % l.panels + hi
    u.packed = <const floating *>call.packed + (group * call.panels + lo) * l.panel_size
    if l.in_rows:
        add_rows(call.p, l, &u, scratch)
    else:
        convolve_block(call.p, l, &u, scratch)


cdef void convolve(ProductCall *call, floating *scratch) noexcept nogil:
    """Stage by stage: whole groups, or a part of one group. The scratch: taps, band, pixels, tile."""
    cdef const ProductLayout *l = call.l
    cdef Py_ssize_t all_panels = call.p.groups * l.panels, count
    call.first = 0
    while call.first < all_panels:
        if l.stage >= l.panels:
            count = min(l.stage // l.panels * l.panels, all_panels - call.first)
        else:
            count = min(l.stage, l.panels - call.first % l.panels)
        if not (call.prepared or l.as_written):
            in_parallel(pack_unit[floating], call, count, l.team, EVENLY, scratch, 0)
        call.groups = max(1, count // l.panels)
        call.panels = count // call.groups
        call.parts = 1
        if call.groups * l.blocking.count < 2 * l.team:    # to have work for all threads
            call.parts = min(call.panels, ceildiv(2 * l.team, call.groups * l.blocking.count))
        in_parallel(convolve_unit[floating], call, call.groups * l.blocking.count * call.parts, l.team, WHEN_READY,
                    scratch, l.scratch_size)
        call.first += call.groups * call.panels


cdef Py_ssize_t scratch_bytes(const Problem *p, bint alone, const floating *unused) noexcept:
    cdef int team = 1 if alone else threads.team(work(p))
    cdef ProductLayout l = lay_out(p, team, False, unused)
    return l.packed_size + team * l.scratch_size * <Py_ssize_t>sizeof(floating)


cdef bint forward(Problem *p, Block prepared, const floating *unused) except -1:
    """Returns False, with nothing done, where one thread would take too much scratch; prepared filters don't count: the
    bits are the same with and without them."""
    cdef int team
    cdef ProductLayout l
    cdef ProductCall call
    cdef Block memory
    if p.n == 0 or p.k == 0 or p.oh == 0 or p.ow == 0:
        return True
    flatten(p)
    team = threads.team(work(p))
    l = lay_out(p, 1, False, unused)
    if l.packed_size + l.scratch_size * <Py_ssize_t>sizeof(floating) > MOST:
        return False
    if team > 1 or prepared is not None:
        l = lay_out(p, team, prepared is not None, unused)
    if prepared is not None:
        l.packed_size, l.stage = 0, p.groups * l.panels
    memory = take(l.packed_size + team * l.scratch_size * sizeof(floating))
    call.p, call.l, call.prepared = p, &l, prepared is not None
    call.packed = prepared.data if call.prepared else memory.data
    with nogil:
        convolve(&call, <floating *>(memory.data + l.packed_size))
    return True


def conv2d(Convolution conv not None, Block prepared=None):
    """Computes y; nothing is checked. prepared: what `prepare` made of w."""
    cdef Problem p = conv.problem
    if not (forward[float](&p, prepared, NULL) if conv.single else forward[double](&p, prepared, NULL)):
        parts.convolve(conv2d, workspace, conv)


def product(cnp.ndarray a, cnp.ndarray b, cnp.ndarray bias, cnp.ndarray y, bint bias_of_columns):
    """y = a b + bias of matrices with any strides, as a 1 x 1 convolution: lanes run along the columns of b and y.

    a is (M, K), b (K, N), y (M, N); the contiguous bias has a number for each row of y, or for each column.
    """
    cdef Py_ssize_t[4] x_shape, x_strides, w_shape, w_strides, y_shape, y_strides
    cdef Py_ssize_t rows = cnp.PyArray_DIM(a, 0), depth = cnp.PyArray_DIM(a, 1), columns = cnp.PyArray_DIM(b, 1)
    x_shape[:], x_strides[:] = [1, depth, 1, columns], [0, cnp.PyArray_STRIDE(b, 0), 0, cnp.PyArray_STRIDE(b, 1)]
    w_shape[:], w_strides[:] = [rows, depth, 1, 1], [cnp.PyArray_STRIDE(a, 0), cnp.PyArray_STRIDE(a, 1), 0, 0]
    y_shape[:], y_strides[:] = [1, rows, 1, columns], [0, cnp.PyArray_STRIDE(y, 0), 0, cnp.PyArray_STRIDE(y, 1)]
    cdef Problem p = problem_of(x_shape, x_strides, w_shape, w_strides, y_shape, y_strides, cnp.PyArray_ITEMSIZE(a),
                                whole)
    cdef const void *column_bias = NULL
    cdef bint done
    p.x, p.weights, p.y = cnp.PyArray_DATA(b), cnp.PyArray_DATA(a), cnp.PyArray_DATA(y)
    if bias is not None and bias_of_columns:
        column_bias = cnp.PyArray_DATA(bias)
    elif bias is not None:
        p.bias = cnp.PyArray_DATA(bias)
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        done = product_of(&p, <const float *>column_bias)
    else:
        done = product_of(&p, <const double *>column_bias)
    if not done:
        parts.convolve(conv2d, workspace,
                       Convolution(b[None, :, None], a[:, :, None, None], None if bias_of_columns else bias,
                                   y[None, :, None], whole))
        if column_bias != NULL:
            y += bias


cdef bint product_of(Problem *p, const floating *column_bias) except -1:
    """As forward, with one bias more, which may be NULL."""
    cdef floating *y = <floating *>p.y
    cdef Py_ssize_t i, j, rows = p.k, columns = p.ow
    if not forward[floating](p, None, column_bias):
        return False
    if column_bias != NULL:
        for i in range(rows):
            for j in range(columns):
                y[i * p.yk + j * p.yw] += column_bias[j]
    return True


def prepare(Convolution conv not None):
    """The filters packed once, for conv2d's `prepared`; of x and y the shapes are enough."""
    return packed[float](&conv.problem, NULL) if conv.single else packed[double](&conv.problem, NULL)


cdef Block packed(const Problem *p, floating *unused):
    cdef ProductLayout l
    cdef ProductCall call
    cut_filters(p, &l, unused)
    cdef Block filters = take(p.groups * l.panels * l.panel_size * sizeof(floating))
    call.p, call.l, call.packed, call.first = p, &l, filters.data, 0
    in_parallel(pack_unit[floating], &call, p.groups * l.panels, 1, EVENLY, unused, 0)
    return filters


def workspace(Convolution conv not None, bint alone):
    """Bytes of scratch that conv2d takes for such arrays, whose elements are not looked at: with the threads that it
    would use now, or on one."""
    cdef Problem p = conv.problem
    flatten(&p)
    return scratch_bytes[float](&p, alone, NULL) if conv.single else scratch_bytes[double](&p, alone, NULL)
