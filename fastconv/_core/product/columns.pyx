"""The data gradient of few pixels, from filters as they lie.

To pack filters takes as long as the product where each meets few pixels of grad_output. As they lie in memory they are
a matrix, a row for each filter, a column for each channel and tap. So the pixels are multiplied by that, and what each
pixel gives to a channel and tap is added to grad_x where that tap met it:

    grad_output -> X[filter][pixel]
    parallel for block of whole channels (COLUMNS):
        for block of filters (DEPTH, fetched while the one before is multiplied):
            where they are met often, or come from memory: its weights -> W[filter][column] (L2)
            for 2 vectors of columns (L1): for MR pixels: micro-kernel -> Y[pixel][column] (L1)
        for pixel, tap that meets the image: Y -> grad_x

Weights that lie a power of two apart fall into one set of L1, which holds fewer than a block has. So tiles that meet
the same ones read them from L2 anew. Where a tile does little with a line, or tiles are many, that takes longer than a
copy.

Nothing is multiplied by padding, so it makes no NaN.

Source: Jia et al., "Caffe: convolutional architecture for fast feature embedding" (2014), whose matrix of columns is
here never larger than a block.
"""

from fastconv._core.problem.finish import finish

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, ceildiv, part, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport gemm_tile, tile_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_IDENTITY, FC_MAX_NV, fc_product
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport WHEN_READY, in_parallel

cnp.import_array()

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *address) noexcept nogil

cdef enum:
    COLUMNS = 256    # of a block, at least
    DEPTH = 64       # filters of a block at most,
    W_BYTES = 256 << 10    # and its weights, where those of a channel are not more
    LINE = 64        # bytes of a line of the caches
    FAR_BYTES = 16 << 20    # of weights that come from memory, which likes to be read row by row
    FEW_TILES = 2    # that read a line from L2 where it is no vector

# How the columns are cut, and the sizes of a call, in elements.
cdef struct ColumnsLayout:
    int lanes, mr, team
    bint copies                    # weights to W
    Py_ssize_t pixels, taps
    Py_ssize_t depth               # filters of a block
    Py_ssize_t channels, blocks    # of a block; blocks
    Py_ssize_t x_size, y_size, w_size
    Py_ssize_t w_row               # from one filter of W to the next

# What the units of a call share.
cdef struct ColumnsCall:
    const Problem *g               # x is grad_output, y is grad_x
    const ColumnsLayout *l
    void *x


cdef ColumnsLayout lay_out(const Problem *g, int team, const floating *unused) noexcept:
    cdef ColumnsLayout l
    cdef Py_ssize_t least = 1
    l.lanes, l.mr, l.team = vector_length(unused), tile_rows(unused), team
    l.pixels, l.taps = g.n * g.h * g.w, g.r * g.s
    while least * l.taps % l.lanes:
        least += 1
    l.channels = least * ceildiv(COLUMNS, least * l.taps)
    l.blocks = ceildiv(g.k, l.channels)
    l.x_size, l.y_size = rounded(g.c * l.pixels), rounded(l.pixels * l.channels * l.taps)
    l.w_row = l.channels * l.taps + LINE // <Py_ssize_t>sizeof(floating)
    l.depth = max(1, min(DEPTH, W_BYTES // (l.w_row * <Py_ssize_t>sizeof(floating))))
    l.copies = (<double>g.c * g.k * l.taps * sizeof(floating) > FAR_BYTES
                or l.lanes * <int>sizeof(floating) < LINE and ceildiv(l.pixels, l.mr) > FEW_TILES)
    l.w_size = l.depth * l.w_row if l.copies else 0
    return l


cdef void gather_pixels(const Problem *g, floating *to) noexcept nogil:
    """X, of all of grad_output."""
    cdef Py_ssize_t c, n, i, j
    cdef const floating *x = <const floating *>g.x
    for c in range(g.c):
        for n in range(g.n):
            for i in range(g.h):
                for j in range(g.w):
                    to[0] = x[n * g.xn + c * g.xc + i * g.xh + j * g.xw]
                    to += 1


cdef void fetch(const Problem *g, const floating *w, Py_ssize_t filters, Py_ssize_t columns) noexcept nogil:
    """So many columns of the weights of filters: they lie too far apart for the hardware to see it."""
    cdef Py_ssize_t p, i
    for p in range(filters):
        for i in range(ceildiv(columns * <Py_ssize_t>sizeof(floating), LINE)):
            prefetch(<const char *>(w + p * g.wc) + i * LINE)


cdef void copy_weights(const Problem *g, const floating *w, Py_ssize_t filters, Py_ssize_t columns, floating *to,
                       Py_ssize_t row) noexcept nogil:
    """W, of so many columns of the weights of filters."""
    cdef Py_ssize_t p
    for p in range(filters):
        memcpy(to + p * row, w + p * g.wc, columns * sizeof(floating))


cdef void multiply_columns(const ColumnsCall *call, Py_ssize_t first, Py_ssize_t columns, floating *y) noexcept nogil:
    """Y of so many columns, the first of which is that of a channel's first tap; behind it, W, if there is one."""
    cdef const ColumnsLayout *l = call.l
    cdef const Problem *g = call.g
    cdef Py_ssize_t tiles = ceildiv(l.pixels, l.mr), width = FC_MAX_NV * l.lanes
    cdef Py_ssize_t panels = ceildiv(columns, width)
    cdef Py_ssize_t p, q, i, depth, ahead, vectors, panel
    cdef const floating *x = <const floating *>call.x
    cdef const floating *w
    cdef const floating *b
    cdef fc_product how
    how.a, how.b_vector, how.c, how.activation.kind = l.pixels, l.lanes, columns, FC_IDENTITY
    how.b = l.w_row if l.copies else g.wc
    for p in range(ceildiv(g.c, l.depth)):
        depth, how.accumulate = min(l.depth, g.c - p * l.depth), p > 0
        w = <const floating *>g.weights + first + p * l.depth * g.wc
        b = w
        if l.copies:
            copy_weights(g, w, depth, columns, y + l.y_size, l.w_row)
            b = y + l.y_size
        ahead = max(0, min(l.depth, g.c - (p + 1) * l.depth))    # filters to fetch, some before each panel
        for panel in range(panels):
            i = part(ahead, panels, panel)
            fetch(g, w + (l.depth + i) * g.wc, part(ahead, panels, panel + 1) - i, columns)
            vectors = min(FC_MAX_NV, (columns - panel * width) // l.lanes)
            for q in range(tiles):
                i = part(l.pixels, tiles, q)
                gemm_tile(<int>vectors, <int>(part(l.pixels, tiles, q + 1) - i), &how, depth,
                          x + p * l.depth * l.pixels + i, b + panel * width, y + i * columns + panel * width,
                          <const floating *>NULL)


cdef void add_columns(const ColumnsCall *call, Py_ssize_t channel, Py_ssize_t channels,
                      const floating *y) noexcept nogil:
    """Y of some channels, from `channel` on, to grad_x."""
    cdef const Problem *g = call.g
    cdef Py_ssize_t taps = call.l.taps, step = g.dilation_w * g.yw, n, i, j, r, s, row, column, first, last, c
    cdef const floating *src
    cdef floating *image
    cdef floating *dst
    for n in range(g.n):
        image = <floating *>g.y + n * g.yn + channel * g.yk
        for i in range(g.h):
            for j in range(g.w):
                column = j * g.stride_w - g.left
                first = ceildiv(max(0, -column), g.dilation_w)
                last = min(g.s, ceildiv(max(0, g.ow - column), g.dilation_w))
                for r in range(g.r):
                    row = i * g.stride_h + r * g.dilation_h - g.top
                    if 0 <= row < g.oh:
                        for c in range(channels):
                            src = y + c * taps + r * g.s
                            dst = image + c * g.yk + row * g.yh + column * g.yw
                            for s in range(first, last):
                                dst[s * step] += src[s]
                y += channels * taps


cdef void block_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """One block of channels. The scratch: Y, and W if there is one."""
    cdef const ColumnsCall *call = <const ColumnsCall *>data
    cdef const ColumnsLayout *l = call.l
    cdef Py_ssize_t channel = index * l.channels, channels = min(l.channels, call.g.k - channel)
    multiply_columns(call, channel * l.taps, channels * l.taps, scratch)
    add_columns(call, channel, channels, scratch)


cdef double work(const Problem *g) noexcept:
    return 2.0 * g.n * g.h * g.w * g.k * g.c * g.r * g.s / 50


cdef ColumnsLayout laid_out(Convolution conv, const Problem *g, int team) noexcept:
    return lay_out(g, team, <float *>NULL) if conv.single else lay_out(g, team, <double *>NULL)


cdef Problem problem_of(Convolution conv) noexcept:
    """The record with the strides of the window, also where grad_x is one row or one column."""
    cdef Problem g = conv.problem
    g.stride_h, g.stride_w = conv.window.stride_h, conv.window.stride_w
    return g


cdef void compute(ColumnsCall *call, floating *shared, floating *scratch) noexcept nogil:
    call.x = shared
    gather_pixels(call.g, shared)
    in_parallel(block_unit[floating], call, call.l.blocks, call.l.team, WHEN_READY, scratch,
                call.l.y_size + call.l.w_size)


def data_gradient(Convolution conv not None):
    """Fills y, which is grad_x, from x, which is grad_output, and w, (C, K, R, S), whose input and output channels are
    swapped, of weights in one piece that have whole vectors a filter; the window is that of the forward pass."""
    cdef Problem g = problem_of(conv)
    cdef ColumnsLayout l = laid_out(conv, &g, threads.team(work(&g)))
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(conv.x)
    cdef Block shared = take(l.x_size * size), scratch = take(l.team * (l.y_size + l.w_size) * size)
    cdef ColumnsCall call
    call.g, call.l = &g, &l
    conv.y.fill(0)
    with nogil:
        if conv.single:
            compute(&call, <float *>shared.data, <float *>scratch.data)
        else:
            compute(&call, <double *>shared.data, <double *>scratch.data)
    finish(conv.y, conv.bias, conv.epilogue)


def workspace(Convolution conv not None, bint alone):
    """Bytes of scratch that data_gradient takes, on one thread or on those that it would use now."""
    cdef Problem g = problem_of(conv)
    cdef ColumnsLayout l = laid_out(conv, &g, 1 if alone else threads.team(work(&g)))
    return (l.x_size + l.team * (l.y_size + l.w_size)) * <Py_ssize_t>cnp.PyArray_ITEMSIZE(conv.x)
