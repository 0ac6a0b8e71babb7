"""The weight gradient of pointwise convolutions of pixels whose channels follow each other in memory (NHWC):
a sum of outer products, dW[k, c] = sum over pixels of dY[pixel, k] X[pixel, c]. Both operands are read as they lie,
channels of X in the lanes:

    parallel for chunk of the pixels, group, panel of filters x channels:
        for run of up to 128 pixels of a row (an image or a batch is one row where it lies so):
            channels of X behind the last whole vector -> vectors (L1)
            for two vectors of channels: for MR filters: micro-kernel, one step a pixel -> sums (L2)
    add the chunks' sums up, in order

A sum over very many pixels is a sum of sums: a run in registers, at most 32 of these in the sums of a panel, and what
comes of these in double precision. Chunks follow from the sizes alone; panels may follow from the number of threads, as
each of their elements is a sum of its own.
"""

from fastconv._core.problem import parts
from fastconv._core.product import weight_gradient as product

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, ceildiv, flatten, part, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport gemm_tile, split_pixels, tile_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_IDENTITY, FC_MAX_NV, fc_product
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport WHEN_READY, in_parallel

cnp.import_array()

cdef enum:
    RUN = 128                    # pixels that are added one after the other: see src_c/reduce.h
    RUNS = 32                    # of which the sums are
    MOST_CHUNKS = 16
    TOTALS_BYTES = 4 << 20       # of all chunks
    PANEL_BYTES = 128 << 10      # sums of a panel
    PANEL_CHANNEL_BYTES = 512    # channels of a panel

cdef Py_ssize_t MOST = parts.BACKWARD_BYTES    # of scratch

# How the pixels are cut, and where in a thread's scratch, behind the sums, the last channels are. Elements.
cdef struct PixelGradientLayout:
    Py_ssize_t runs_of_row, runs, chunks
    Py_ssize_t filter_panels, channel_panels, channels    # of a panel, whole vectors
    Py_ssize_t totals                                     # of a chunk, or 0 where sums go straight to the gradient
    Py_ssize_t last_at, thread_size

# What the units of a call share.
cdef struct PixelGradientCall:
    const Problem *p
    const PixelGradientLayout *l
    double *totals

# A panel of a group's gradient: filters k .. k_end - 1, channels c .. c_end - 1.
cdef struct PixelGradientPanel:
    Py_ssize_t group, k, k_end, c, c_end


cdef Problem joined_rows(Convolution conv) noexcept:
    """The record with images, or the whole batch, as one row of pixels where they lie so."""
    cdef Problem p = conv.problem
    flatten(&p)
    if p.oh == 1 and p.h == 1 and p.ow == p.w and p.xn == p.w * p.xw and p.yn == p.ow * p.yw:
        p.n, p.w, p.ow = 1, p.n * p.w, p.n * p.ow
    return p


cdef PixelGradientLayout lay_out(const Problem *p, int team, const floating *unused) noexcept nogil:
    cdef PixelGradientLayout l
    cdef Py_ssize_t lanes = vector_length(unused), mr = tile_rows(unused), size = sizeof(floating), units
    cdef Py_ssize_t weights = p.groups * p.k * p.c
    l.runs_of_row = ceildiv(p.ow, RUN)
    l.runs = p.n * p.oh * l.runs_of_row
    l.chunks = max(1, min(min(MOST_CHUNKS, l.runs // RUNS), TOTALS_BYTES // (weights * <Py_ssize_t>sizeof(double))))
    l.totals = weights if l.runs > RUNS else 0
    l.channels = ceildiv(p.c, lanes) * lanes
    if p.k * l.channels * size > PANEL_BYTES:
        l.channels = min(l.channels, PANEL_CHANNEL_BYTES // size)
    l.channel_panels = ceildiv(p.c, l.channels)
    l.filter_panels = ceildiv(p.k, max(mr, PANEL_BYTES // (l.channels * size)))
    units = l.chunks * p.groups * l.channel_panels
    l.filter_panels = max(l.filter_panels, min(ceildiv(p.k, mr), ceildiv(team, units)))
    l.last_at = rounded(ceildiv(p.k, l.filter_panels) * l.channels)
    l.thread_size = l.last_at + rounded(RUN * lanes)
    return l


cdef void add_run(const Problem *p, const PixelGradientLayout *l, const PixelGradientPanel *u, Py_ssize_t index,
                  bint accumulate, floating *sums) noexcept nogil:
    """One run of pixels to the sums of a panel, which begin with it or have others before; what is behind them is
    scratch."""
    cdef Py_ssize_t row = index // l.runs_of_row, piece = index % l.runs_of_row, lanes = vector_length(sums)
    cdef Py_ssize_t col = part(p.ow, l.runs_of_row, piece), pixels = part(p.ow, l.runs_of_row, piece + 1) - col
    cdef Py_ssize_t n = row // p.oh, channels = u.c_end - u.c, whole = channels // lanes * lanes
    cdef Py_ssize_t filters = u.k_end - u.k, tiles = ceildiv(filters, tile_rows(sums)), pair, c, i, k
    cdef int vectors
    cdef const floating *x = (<const floating *>p.x + n * p.xn + row % p.oh * p.stride_h * p.xh
                              + col * p.stride_w * p.xw + u.group * p.c + u.c)
    cdef const floating *dy = <const floating *>p.y + n * p.yn + row % p.oh * p.yh + col * p.yw + u.group * p.k + u.k
    cdef floating *last = sums + l.last_at
    cdef const floating *no_bias = NULL
    cdef fc_product how
    how.a, how.b, how.b_vector, how.c = p.yw, p.stride_w * p.xw, lanes, l.channels
    how.accumulate, how.activation.kind = accumulate, FC_IDENTITY
    for pair in range(ceildiv(whole, FC_MAX_NV * lanes)):
        c = pair * FC_MAX_NV * lanes
        vectors = <int>min(FC_MAX_NV, (whole - c) // lanes)
        for i in range(tiles):
            k = part(filters, tiles, i)
            gemm_tile(vectors, part(filters, tiles, i + 1) - k, &how, pixels, dy + k, x + c,
                      sums + k * l.channels + c, no_bias)
    if whole < channels:
        split_pixels(x + whole, how.b, pixels, channels - whole, last, lanes, 0)
        how.b = lanes
        for i in range(tiles):
            k = part(filters, tiles, i)
            gemm_tile(1, part(filters, tiles, i + 1) - k, &how, pixels, dy + k, last,
                      sums + k * l.channels + whole, no_bias)


cdef void finish(const PixelGradientCall *call, const PixelGradientPanel *u, Py_ssize_t chunk, bint is_first,
                 const floating *sums) noexcept nogil:
    """The sums of a panel to the totals of a chunk, or to the gradient where there are none."""
    cdef const Problem *p = call.p
    cdef Py_ssize_t channels = u.c_end - u.c, k, c, filter
    cdef const floating *row
    cdef double *totals
    for k in range(u.k, u.k_end):
        filter, row = u.group * p.k + k, sums + (k - u.k) * call.l.channels
        if call.l.totals == 0:
            memcpy(<floating *>p.weights + filter * p.wk + u.c, row, channels * sizeof(floating))
            continue
        totals = call.totals + chunk * call.l.totals + filter * p.c + u.c
        if is_first:
            for c in range(channels):
                totals[c] = row[c]
        else:
            for c in range(channels):
                totals[c] += row[c]


cdef void gradient_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """One panel in one chunk of the runs."""
    cdef const PixelGradientCall *call = <const PixelGradientCall *>data
    cdef const Problem *p = call.p
    cdef const PixelGradientLayout *l = call.l
    cdef Py_ssize_t panel = index // l.channel_panels % l.filter_panels, begin, end, chunk, run
    cdef PixelGradientPanel u
    u.c = index % l.channel_panels * l.channels
    u.c_end = min(u.c + l.channels, p.c)
    u.k, u.k_end = part(p.k, l.filter_panels, panel), part(p.k, l.filter_panels, panel + 1)
    index //= l.channel_panels * l.filter_panels
    u.group, chunk = index % p.groups, index // p.groups
    begin, end = part(l.runs, l.chunks, chunk), part(l.runs, l.chunks, chunk + 1)
    for run in range(begin, end):
        add_run(p, l, &u, run, (run - begin) % RUNS > 0, scratch)
        if (run - begin) % RUNS == RUNS - 1 or run == end - 1:
            finish(call, &u, chunk, run - begin < RUNS, scratch)


cdef void add_chunks(const PixelGradientCall *call, const floating *unused) noexcept nogil:
    """The chunks' totals, in order, to the gradient."""
    cdef const Problem *p = call.p
    cdef Py_ssize_t size = call.l.totals, chunk, k, c
    cdef double *totals
    for k in range(p.groups * p.k):
        totals = call.totals + k * p.c
        for chunk in range(1, call.l.chunks):
            for c in range(p.c):
                totals[c] += totals[chunk * size + c]
        for c in range(p.c):
            (<floating *>p.weights)[k * p.wk + c] = <floating>totals[c]


cdef double work(const Problem *p) noexcept nogil:
    return 2.0 * p.n * p.groups * p.k * p.oh * p.ow * p.c / 80


cdef Py_ssize_t bytes_of(const PixelGradientLayout *l, int team, Py_ssize_t size) noexcept nogil:
    return team * l.thread_size * size + l.chunks * l.totals * <Py_ssize_t>sizeof(double)


cdef backward(const Problem *p, const floating *unused):
    cdef int team = threads.team(work(p))
    cdef PixelGradientLayout l = lay_out(p, team, unused)
    cdef Block scratch = take(team * l.thread_size * sizeof(floating))
    cdef Block totals = take(l.chunks * l.totals * sizeof(double))
    cdef PixelGradientCall call
    call.p, call.l, call.totals = p, &l, <double *>totals.data
    with nogil:
        in_parallel(gradient_unit[floating], &call, l.chunks * p.groups * l.filter_panels * l.channel_panels, team,
                    WHEN_READY, <floating *>scratch.data, l.thread_size)
        if l.totals:
            add_chunks(&call, unused)


def conv2d_weight_gradient(Convolution conv not None):
    """As product's, for 1 x 1 filters that meet no padding."""
    cdef Problem p = joined_rows(conv)
    if cnp.PyArray_SIZE(conv.w) == 0:
        return
    if cnp.PyArray_SIZE(conv.y) == 0:
        conv.w.fill(0)
    elif p.xc != 1 or p.yk != 1:
        product.conv2d_weight_gradient(conv)
    elif gradient_workspace(conv, True) > MOST:
        parts.weight_gradient(conv2d_weight_gradient, gradient_workspace, conv)
    elif conv.single:
        backward[float](&p, NULL)
    else:
        backward[double](&p, NULL)


def gradient_workspace(Convolution conv not None, bint alone):
    """As product's."""
    cdef Problem p = joined_rows(conv)
    cdef int team = 1 if alone else threads.team(work(&p))
    cdef PixelGradientLayout l = lay_out[float](&p, team, NULL) if conv.single else lay_out[double](&p, team, NULL)
    return bytes_of(&l, team, cnp.PyArray_ITEMSIZE(conv.x))
