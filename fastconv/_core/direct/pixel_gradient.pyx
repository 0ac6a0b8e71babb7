"""The weight gradient of pointwise convolutions of pixels whose channels follow each other in memory (NHWC): a sum of
outer products, dW[k, c] = sum over pixels of dY[pixel, k] X[pixel, c]. Both operands are read as they lie, channels of X in
the lanes:

    parallel for chunk of the pixels, group, share of the filters:
        for run of up to 128 pixels of a row (an image or a batch is one row where it lies so):
            channels of X behind the last whole vector -> vectors (L1)
            for two vectors of channels: for MR filters: micro-kernel, one step a pixel -> sums (L2)
    add the chunks' sums up, in order

A sum over very many pixels is a sum of sums: a run in registers, at most 32 of these in `sums`, and what comes of these
in double precision. Chunks follow from the sizes alone.
"""

from fastconv._core.problem import parts
from fastconv._core.product import weight_gradient as product

cimport numpy as cnp
from cython cimport floating

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, ceildiv, flatten, part, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport outer_tile, split_pixels, tile_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_NV, fc_outer_steps
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport WHEN_READY, in_parallel

cnp.import_array()

cdef enum:
    RUN = 128                 # pixels that are added one after the other: see src_c/reduce.h
    RUNS = 32                 # of which the sums are
    MOST_CHUNKS = 16
    TOTALS_BYTES = 4 << 20    # of all chunks

cdef Py_ssize_t MOST = parts.BACKWARD_BYTES    # of scratch

# How the pixels are cut, and where in a thread's scratch the sums and the last channels are. Elements.
cdef struct PixelGradientLayout:
    Py_ssize_t runs_of_row, runs, chunks
    Py_ssize_t width                  # of a row of the sums, whole vectors
    Py_ssize_t totals                 # of a chunk
    Py_ssize_t shares, last_at, thread_size

# What the units of a call share.
cdef struct PixelGradientCall:
    const Problem *p
    const PixelGradientLayout *l
    double *totals


cdef Problem joined_rows(Convolution conv) noexcept:
    """The record with images, or the whole batch, as one row of pixels where they lie so."""
    cdef Problem p = conv.problem
    flatten(&p)
    if p.oh == 1 and p.h == 1 and p.ow == p.w and p.xn == p.w * p.xw and p.yn == p.ow * p.yw:
        p.n, p.w, p.ow = 1, p.n * p.w, p.n * p.ow
    return p


cdef PixelGradientLayout lay_out(const Problem *p, int team, const floating *unused) noexcept nogil:
    cdef PixelGradientLayout l
    cdef Py_ssize_t lanes = vector_length(unused), mr = tile_rows(unused)
    l.runs_of_row = ceildiv(p.ow, RUN)
    l.runs = p.n * p.oh * l.runs_of_row
    l.totals = p.groups * p.k * p.c
    l.chunks = max(1, min(min(MOST_CHUNKS, l.runs // RUNS), TOTALS_BYTES // (l.totals * <Py_ssize_t>sizeof(double))))
    l.shares = min(ceildiv(p.k, mr), ceildiv(team, l.chunks * p.groups))
    l.width = ceildiv(p.c, lanes) * lanes
    l.last_at = rounded(ceildiv(p.k, l.shares) * l.width)
    l.thread_size = l.last_at + rounded(RUN * lanes)
    return l


cdef void add_run(const Problem *p, const PixelGradientLayout *l, Py_ssize_t index, Py_ssize_t group, Py_ssize_t first,
                  Py_ssize_t last, bint accumulate, floating *scratch) noexcept nogil:
    """One run of pixels to the sums of a group's filters first .. last - 1, which begin with it or have others before."""
    cdef Py_ssize_t row = index // l.runs_of_row, piece = index % l.runs_of_row, lanes = vector_length(scratch)
    cdef Py_ssize_t col = part(p.ow, l.runs_of_row, piece), pixels = part(p.ow, l.runs_of_row, piece + 1) - col
    cdef Py_ssize_t n = row // p.oh, whole = p.c // lanes * lanes, tiles = ceildiv(last - first, tile_rows(scratch))
    cdef Py_ssize_t pair, c, i, k
    cdef int vectors
    cdef const floating *x = (<const floating *>p.x + n * p.xn + row % p.oh * p.stride_h * p.xh
                              + col * p.stride_w * p.xw + group * p.c)
    cdef const floating *dy = <const floating *>p.y + n * p.yn + row % p.oh * p.yh + col * p.yw + group * p.k + first
    cdef floating *few = scratch + l.last_at
    cdef fc_outer_steps steps
    steps.a, steps.b, steps.b_vector, steps.c = p.yw, p.stride_w * p.xw, lanes, l.width
    if whole < p.c:
        split_pixels(x + whole, steps.b, pixels, p.c - whole, few, lanes, 0)
    for pair in range(ceildiv(whole, FC_MAX_NV * lanes)):
        c = pair * FC_MAX_NV * lanes
        vectors = <int>min(FC_MAX_NV, (whole - c) // lanes)
        for i in range(tiles):
            k = part(last - first, tiles, i)
            outer_tile(vectors, part(last - first, tiles, i + 1) - k, &steps, pixels, dy + k, x + c,
                       scratch + k * l.width + c, accumulate)
    if whole < p.c:
        steps.b = lanes
        for i in range(tiles):
            k = part(last - first, tiles, i)
            outer_tile(1, part(last - first, tiles, i + 1) - k, &steps, pixels, dy + k, few,
                       scratch + k * l.width + whole, accumulate)


cdef void gradient_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """Some filters of one group, in one chunk of the runs."""
    cdef const PixelGradientCall *call = <const PixelGradientCall *>data
    cdef const Problem *p = call.p
    cdef const PixelGradientLayout *l = call.l
    cdef Py_ssize_t share = index % l.shares, group = index // l.shares % p.groups, chunk = index // l.shares // p.groups
    cdef Py_ssize_t first = part(p.k, l.shares, share), last = part(p.k, l.shares, share + 1), done = 0, run, k, c
    cdef Py_ssize_t begin = part(l.runs, l.chunks, chunk), end = part(l.runs, l.chunks, chunk + 1)
    cdef double *totals
    for run in range(begin, end):
        add_run(p, l, run, group, first, last, (run - begin) % RUNS > 0, scratch)
        if (run - begin) % RUNS < RUNS - 1 and run < end - 1:
            continue
        for k in range(first, last):
            totals = call.totals + chunk * l.totals + (group * p.k + k) * p.c
            for c in range(p.c):
                totals[c] = scratch[(k - first) * l.width + c] + (totals[c] if done else 0)
        done += 1


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
    cdef Block scratch = take(team * l.thread_size * sizeof(floating)), totals = take(l.chunks * l.totals * sizeof(double))
    cdef PixelGradientCall call
    call.p, call.l, call.totals = p, &l, <double *>totals.data
    with nogil:
        in_parallel(gradient_unit[floating], &call, l.chunks * p.groups * l.shares, team, WHEN_READY,
                    <floating *>scratch.data, l.thread_size)
        add_chunks(&call, unused)


def conv2d_weight_gradient(Convolution conv):
    """As product's, for 1 x 1 filters that meet no padding."""
    cdef Problem p = joined_rows(conv)
    if cnp.PyArray_SIZE(conv.w) == 0:
        return
    if cnp.PyArray_SIZE(conv.y) == 0:
        conv.w.fill(0)
    elif (p.c > 1 and p.xc != 1) or (p.k > 1 and p.yk != 1) or p.groups > 1 and (p.xc != 1 or p.yk != 1):
        product.conv2d_weight_gradient(conv)
    elif gradient_workspace(conv, True) > MOST:
        parts.weight_gradient(conv2d_weight_gradient, gradient_workspace, conv)
    elif conv.single:
        backward[float](&p, NULL)
    else:
        backward[double](&p, NULL)


def gradient_workspace(Convolution conv, bint alone):
    """As product's."""
    cdef Problem p = joined_rows(conv)
    cdef int team = 1 if alone else threads.team(work(&p))
    cdef PixelGradientLayout l = lay_out[float](&p, team, NULL) if conv.single else lay_out[double](&p, team, NULL)
    return bytes_of(&l, team, cnp.PyArray_ITEMSIZE(conv.x))
