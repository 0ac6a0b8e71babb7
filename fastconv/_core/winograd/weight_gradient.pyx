"""The weight gradient of 3 x 3 convolutions with stride 1 and 2 and of 5 x 5 ones by Winograd's minimal filtering, in
single precision: double precision would lose accuracy, and is computed as a matrix product.

It is the transpose of the forward algorithm, with the same matrices (src_c/winograd.h): from Y = A^T (U V) A follows
dW = G^T (sum over tiles of Z V) G, where V = B^T x B as forward, and Z = A dy A^T. Vector lanes are channels; for each
point a matrix product over the tiles, Z from the left and V from the right:

    for block of strips:
        for piece, vectors of channels: patches of x -> V[point][channel vector][tile]                   (inputs.pyx)
        for piece, vectors of filters: tiles of grad_output -> Z[point][tile][filter]                    (inputs.pyx)
        for panel of filters x channels: for point: for run of tiles: for two vectors of channels: for MR filters:
            micro-kernel, one step a tile -> U[point][filter][channel] (L2)
    for filter: U -> transform -> dW

With stride 2 products that share a filter point share their sum. A sum over very many tiles is a sum of sums: 128 tiles
in registers, at most 32 of these in U, and what comes of these in double precision.

Where U is small and tiles are many, each thread takes whole chunks of the tiles with a U, V and Z of its own, and the
chunks are added up in order. Else a team works on one block after the other: its pieces, then its panels. U stays in
L2 or L3 from block to block where it is small enough; where it is not, blocks are large and their U go, transformed, to
the totals.

Narrow groups lie side by side in one vector: all filters of a vector meet all of its channels, and what belongs to
another group is left out at the end. With dilation each phase of rows and columns is such a gradient, of views of x and
grad_output, and their sum is wanted.

A transform spreads a value that is not finite, and the rounding error of one that is louder than its neighbours by far
(src_c/contrast.h), to taps that do not see it. So strips whose x or grad_output has such a contrast are left out and
added as a matrix product, and where a result is not finite all of it is computed as one.

Source: Lavin, Gray, "Fast algorithms for convolutional neural networks" (2016), section 4.1 for F(3 x 3, 4 x 4)
by these matrices; the blocking follows forward.pyx.
"""

import numpy as np

from fastconv._core.problem import parts
from fastconv._core.product import weight_gradient as product
from fastconv._core.runtime import memory

cimport numpy as cnp
from libc.string cimport memcpy, memset

from fastconv._core.problem.convolution cimport Convolution, Window
from fastconv._core.problem.problem cimport Problem, ceildiv, part
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport gemm_tile, kernels
from fastconv._core.runtime.kernels cimport FC_IDENTITY, FC_MAX_NV, fc_product
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport WHEN_READY, in_parallel, mark
from fastconv._core.winograd.gradient_layout cimport (
    RUN_TILES, WinogradGradientLayout, gradient_as_image, gradient_bytes, lay_out_gradient, tables_size,
)
from fastconv._core.winograd.inputs cimport input_units, place_inputs, place_tiles, transform_inputs
from fastconv._core.winograd.layout cimport (
    WinogradBlock, WinogradLayout, filters_of, problem_with_stride,
)

cnp.import_array()

cdef enum:
    LEAST_CONTRAST = 32     # of magnitudes that may be too great: more than the terms of a sum is, since
    MOST_CONTRAST = 65536   # the error of a loud pixel is small beside what many quiet ones are together
    LARGE_TRANSFORM = 4     # by so much its error is greater with more than 6 x 6 points
    MOST_AGAIN = 4          # strips that are added as a matrix product: up to one in so many
    MORE_BYTES = 1 << 20    # of a gradient that is to be added

cdef Py_ssize_t MOST = parts.BACKWARD_BYTES    # of scratch

# What the units of a call share.
cdef struct WinogradGradientCall:
    const WinogradGradientLayout *l
    const Problem *x
    const Problem *y                 # grad_output as an image
    const Py_ssize_t *x_tile_at
    const Py_ssize_t *y_tile_at
    void *v                          # of a shared block,
    void *z
    void *u                          # and the sums of all panels, where they are kept
    double *totals                   # [chunk][filter][channel of its group][tap]
    bint adds                        # to what is there
    int not_finite
    # a shared block, and whether its sums begin, end, and are the first to be transformed
    Py_ssize_t group, first, last
    bint begins, ends, is_first

# A panel of a group's sums, those of filters k .. k_end - 1 and channel vectors c .. c_end - 1.
cdef struct WinogradSums:
    Py_ssize_t group, k, k_end, c, c_end
    void *u


cdef WinogradSums panel_at(const WinogradGradientCall *call, Py_ssize_t group, Py_ssize_t panel) noexcept nogil:
    cdef const WinogradGradientLayout *l = call.l
    cdef Py_ssize_t row = panel // l.channel_panels, filters = filters_of(&l.x, call.x, group)
    cdef WinogradSums sums
    sums.group = group
    sums.k, sums.k_end = part(filters, l.filter_panels, row), part(filters, l.filter_panels, row + 1)
    sums.c = panel % l.channel_panels * l.vectors
    sums.c_end = min(sums.c + l.vectors, l.x.vectors)
    sums.u = NULL
    return sums


cdef void transform_part(const WinogradLayout *whole, const Problem *g, WinogradBlock *block, Py_ssize_t unit,
                         float *scratch) noexcept nogil:
    """Some patches of a block, of x or of grad_output; marks strips of its group."""
    cdef WinogradLayout l = whole[0]
    l.again += block.group * l.strips
    transform_inputs(&l, g, block, unit, scratch)


cdef void leave_out(const WinogradGradientCall *call, const WinogradBlock *block, float *v,
                    float *z) noexcept nogil:
    """Makes zeros of the strips of a block that are marked: they are added otherwise."""
    cdef const WinogradGradientLayout *l = call.l
    cdef const char *again = l.x.again + block.group * l.x.strips
    cdef Py_ssize_t tiles = l.x.tiles, size = sizeof(float), strip, point, q, t
    for strip in range(block.first, block.last):
        if not again[strip]:
            continue
        t = (strip - block.first) * tiles
        for point in range(l.x.points * l.x.points):
            for q in range(l.x.vectors):
                memset(v + point * l.x.v_point + (q * l.x.mr + t) * l.x.lanes, 0, tiles * l.x.lanes * size)
            memset(z + point * l.y.v_point + t * l.y.v_tiles, 0, tiles * l.y.v_tiles * size)


cdef void multiply(const WinogradGradientLayout *l, const WinogradSums *sums, Py_ssize_t tiles, bint accumulate,
                   const float *v, const float *z) noexcept nogil:
    """Adds the products of a block's tiles to the sums of a panel, or begins these with them."""
    cdef int points = l.x.points, of_filter = l.x.filter_points, vectors
    cdef Py_ssize_t filters = sums.k_end - sums.k, tiles_high = ceildiv(filters, l.mr)
    cdef Py_ssize_t row, col, run, done, length, pair, c, i, k
    cdef float *u
    cdef bint more
    cdef const float *no_bias = NULL
    cdef fc_product how
    how.a, how.b, how.b_vector, how.c = l.y.v_tiles, l.x.lanes, l.x.mr * l.x.lanes, l.u_row
    how.activation.kind = FC_IDENTITY
    for row in range(points):
        for col in range(points):
            u = <float *>sums.u + (min(row, of_filter - 1) * of_filter + min(col, of_filter - 1)) * l.u_point
            more = accumulate or row >= of_filter or col >= of_filter
            for run in range(ceildiv(tiles, RUN_TILES)):
                done = run * RUN_TILES
                length = min(RUN_TILES, tiles - done)
                how.accumulate = more or done > 0
                for pair in range(ceildiv(sums.c_end - sums.c, FC_MAX_NV)):
                    c = sums.c + pair * FC_MAX_NV
                    vectors = <int>min(FC_MAX_NV, sums.c_end - c)
                    for i in range(tiles_high):
                        k = part(filters, tiles_high, i)
                        gemm_tile(vectors, part(filters, tiles_high, i + 1) - k, &how, length,
                                  z + done * l.y.v_tiles + sums.k + k, v + (c * l.x.mr + done) * l.x.lanes,
                                  u + k * l.u_row + (c - sums.c) * l.x.lanes, no_bias)
            v += l.x.v_point
            z += l.y.v_point


cdef void finish(WinogradGradientCall *call, const WinogradSums *sums, Py_ssize_t chunk, bint is_first,
                 float *row) noexcept nogil:
    """The sums of a panel to the totals of a chunk, or to the gradient where there are none; `row` is scratch."""
    cdef const WinogradGradientLayout *l = call.l
    cdef const Problem *g = call.x
    cdef Py_ssize_t taps = g.r * g.s, lanes = l.x.lanes, k, lo, hi, filter, e, begin
    cdef const float *own
    cdef float *dw
    cdef double *totals
    for k in range(sums.k, sums.k_end):
        if not kernels.f32.winograd[l.x.scheme].weights(<const float *>sums.u + (k - sums.k) * l.u_row,
                                                        sums.c_end - sums.c, row, l.u_point):
            mark(&call.not_finite)
        if l.x.joined > 1:    # of all channels of the vector those of the filter's own group
            lo = k // g.k * g.c
            hi = lo + g.c
            begin = 0
        else:
            lo, hi = 0, min(sums.c_end * lanes, g.c) - sums.c * lanes
            begin = sums.c * lanes * taps
        filter = sums.group * l.x.filters + k
        own = row + lo * taps
        if l.totals == 0:
            dw = <float *>g.weights + filter * g.wk + begin
            if call.adds:
                for e in range((hi - lo) * taps):
                    dw[e] += own[e]
            else:
                memcpy(dw, own, (hi - lo) * taps * sizeof(float))
            continue
        totals = call.totals + chunk * l.totals + filter * g.c * taps + begin
        if is_first:
            for e in range((hi - lo) * taps):
                totals[e] = own[e]
        else:
            for e in range((hi - lo) * taps):
                totals[e] += own[e]


cdef void chunk_unit(const void *data, Py_ssize_t index, float *scratch) noexcept nogil:
    """One group of one chunk, by one thread."""
    cdef WinogradGradientCall *call = <WinogradGradientCall *>data
    cdef const WinogradGradientLayout *l = call.l
    cdef Py_ssize_t chunk = index // l.x.groups, i, b, pending = 0, blocks
    cdef Py_ssize_t first = part(l.x.strips, l.chunks, chunk), strips = part(l.x.strips, l.chunks, chunk + 1) - first
    cdef float *v = scratch + l.v_at
    cdef float *z = scratch + l.z_at
    cdef WinogradSums sums = panel_at(call, index % l.x.groups, 0)
    cdef WinogradBlock block
    cdef bint is_first = True
    sums.u = scratch + l.u_at
    block.group = sums.group
    blocks = ceildiv(strips, l.block_strips)
    for b in range(blocks):
        block.first, block.last = first + part(strips, blocks, b), first + part(strips, blocks, b + 1)
        block.tile_at, block.v = <Py_ssize_t *>call.x_tile_at, v
        for i in range(input_units(&l.x, &block)):
            transform_part(&l.x, call.x, &block, i, scratch)
        block.tile_at, block.v = <Py_ssize_t *>call.y_tile_at, z
        for i in range(input_units(&l.y, &block)):
            transform_part(&l.y, call.y, &block, i, scratch)
        leave_out(call, &block, v, z)
        multiply(l, &sums, (block.last - block.first) * l.x.tiles, pending > 0, v, z)
        pending += 1
        if pending == l.blocks_at_once or b == blocks - 1:
            finish(call, &sums, chunk, is_first, scratch + l.row_at)
            is_first, pending = False, 0


cdef WinogradBlock shared_block(const WinogradGradientCall *call) noexcept nogil:
    cdef WinogradBlock block
    block.first, block.last, block.group = call.first, call.last, call.group
    block.tile_at, block.v = <Py_ssize_t *>call.x_tile_at, call.v
    return block


cdef void patches_unit(const void *data, Py_ssize_t index, float *scratch) noexcept nogil:
    """Some patches of a shared block: first those of x."""
    cdef const WinogradGradientCall *call = <const WinogradGradientCall *>data
    cdef const WinogradGradientLayout *l = call.l
    cdef WinogradBlock block = shared_block(call)
    cdef Py_ssize_t of_x = input_units(&l.x, &block)
    if index < of_x:
        transform_part(&l.x, call.x, &block, index, scratch)
    else:
        block.tile_at, block.v = <Py_ssize_t *>call.y_tile_at, call.z
        transform_part(&l.y, call.y, &block, index - of_x, scratch)


cdef void panel_unit(const void *data, Py_ssize_t index, float *scratch) noexcept nogil:
    """One panel of a shared block."""
    cdef WinogradGradientCall *call = <WinogradGradientCall *>data
    cdef const WinogradGradientLayout *l = call.l
    cdef WinogradSums sums = panel_at(call, call.group, index)
    sums.u = <float *>call.u + index * l.u_size if l.kept else scratch + l.u_at
    multiply(l, &sums, (call.last - call.first) * l.x.tiles, not call.begins, <const float *>call.v,
             <const float *>call.z)
    if call.ends:
        finish(call, &sums, 0, call.is_first, scratch + l.row_at)


cdef void share_blocks(WinogradGradientCall *call, float *scratch) noexcept nogil:
    """All groups and blocks, one after the other, each by the team."""
    cdef const WinogradGradientLayout *l = call.l
    cdef Py_ssize_t group, b, at_once = l.blocks_at_once
    cdef WinogradBlock block
    for group in range(l.x.groups):
        call.group = group
        for b in range(l.blocks):
            call.first, call.last = part(l.x.strips, l.blocks, b), part(l.x.strips, l.blocks, b + 1)
            call.begins, call.is_first = b % at_once == 0, b < at_once
            call.ends = b % at_once == at_once - 1 or b == l.blocks - 1
            block = shared_block(call)
            in_parallel(patches_unit, call, input_units(&l.x, &block) + input_units(&l.y, &block), l.team,
                        WHEN_READY, scratch, l.thread_size)
            leave_out(call, &block, <float *>call.v, <float *>call.z)
            in_parallel(panel_unit, call, l.filter_panels * l.channel_panels, l.team, WHEN_READY, scratch,
                        l.thread_size)


cdef void add_chunks(WinogradGradientCall *call) noexcept nogil:
    """The chunks' totals, in order, to the gradient."""
    cdef const WinogradGradientLayout *l = call.l
    cdef const Problem *g = call.x
    cdef Py_ssize_t size = l.totals, row = g.c * g.r * g.s, chunk, k, e
    cdef double *totals
    cdef float *dw
    for k in range(g.groups * g.k):
        totals = call.totals + k * row
        for chunk in range(1, l.chunks):
            for e in range(row):
                totals[e] += totals[chunk * size + e]
        dw = <float *>g.weights + k * g.wk
        if call.adds:
            for e in range(row):
                dw[e] += <float>totals[e]
        else:
            for e in range(row):
                dw[e] = <float>totals[e]


cdef void correlate(WinogradGradientCall *call, float *scratch) noexcept nogil:
    cdef const WinogradGradientLayout *l = call.l
    if l.private:
        in_parallel(chunk_unit, call, l.chunks * l.x.groups, l.team, WHEN_READY, scratch, l.thread_size)
    else:
        share_blocks(call, scratch)
    if l.totals:
        add_chunks(call)


cdef double work(const Problem *g) noexcept nogil:
    return 2.0 * g.n * g.groups * g.k * g.oh * g.ow * g.c * g.r * g.s / 150


cdef backward(Convolution conv, bint adds):
    """Returns flags [group][image][row of tiles] of the strips that were left out, or None where the result is not
    finite, and how many groups were joined to one."""
    cdef Problem g = problem_with_stride(conv), y = gradient_as_image(&g)
    cdef Py_ssize_t size = sizeof(float)
    cdef WinogradGradientLayout l = lay_out_gradient(&g, &y, size, threads.team(work(&g)))
    cdef Block scratch = take(l.team * l.thread_size * size), shared = take(l.shared_size * size)
    cdef Block totals = take(l.chunks * l.totals * sizeof(double)), tables = take(tables_size(&l) * sizeof(Py_ssize_t))
    cdef cnp.ndarray flags = memory.scratch(l.x.groups * l.x.strips)
    cdef Py_ssize_t *x_at = <Py_ssize_t *>tables.data
    cdef Py_ssize_t *y_at = x_at + l.x.inputs_size
    cdef Py_ssize_t *x_tile_at = y_at + l.y.inputs_size
    cdef Py_ssize_t *y_tile_at = x_tile_at + l.block_strips * l.x.tiles
    cdef WinogradBlock block
    cdef WinogradGradientCall call
    cdef double contrast
    flags.fill(0)
    place_inputs(&l.x, &g, x_at)
    place_inputs(&l.y, &y, y_at)
    block.first, block.last, block.group, block.v = 0, l.block_strips, 0, NULL
    block.tile_at = x_tile_at
    place_tiles(&l.x, &block)
    block.tile_at = y_tile_at
    place_tiles(&l.y, &block)
    contrast = <double>g.n * g.oh * g.ow / (LARGE_TRANSFORM if l.x.points > 6 else 1)
    contrast = min(max(<double>LEAST_CONTRAST, contrast), <double>MOST_CONTRAST)
    l.x.contrast = l.y.contrast = contrast * contrast
    l.x.inputs_at, l.y.inputs_at = x_at, y_at
    l.x.again = l.y.again = <char *>cnp.PyArray_DATA(flags)
    call.l, call.x, call.y = &l, &g, &y
    call.x_tile_at, call.y_tile_at = x_tile_at, y_tile_at
    call.v, call.z = shared.data, shared.data + l.v_size * size
    call.u = shared.data + (l.v_size + l.z_size) * size
    call.totals = <double *>totals.data
    call.adds, call.not_finite = adds, 0
    call.group = call.first = call.last = 0
    call.begins = call.ends = call.is_first = False
    with nogil:
        correlate(&call, <float *>scratch.data)
    return None if call.not_finite else flags.reshape(l.x.groups, g.n, l.x.tile_rows), l.x.joined


cdef bint undilated(Convolution conv, bint adds) except -1:
    """The gradient, or, with adds, what is there and it. Returns False where it is not finite: then it is of no use."""
    flags, joined = backward(conv, adds)
    if flags is None:
        return False
    if flags.any():
        if MOST_AGAIN * np.count_nonzero(flags) > flags.size and not adds:
            product.conv2d_weight_gradient(conv)
        else:
            for group in np.flatnonzero(flags.any((1, 2))):
                add_strips(group_of(conv, group, joined), flags[group])
    return True


cdef Convolution group_of(Convolution conv, Py_ssize_t group, Py_ssize_t joined):
    """One group, or several that were joined."""
    cdef Py_ssize_t c = joined * conv.problem.c, k = joined * conv.problem.k
    if conv.problem.groups == 1:
        return conv
    filters = slice(group * k, (group + 1) * k)
    return conv.of(x=conv.x[:, group * c:(group + 1) * c], w=conv.w[filters], y=conv.y[:, filters])


cdef add_strips(Convolution conv, flags):
    """Adds the strips that are marked, as matrix products: of so many filters of one group that what is added takes
    little room, or of several groups, which are narrow; strips that follow each other in an image together."""
    cdef Py_ssize_t filters = conv.w.shape[0], step = filters, k, image, first, last, rows = flags.shape[1]
    if conv.problem.groups == 1:
        step = min(filters, max(1, MORE_BYTES // conv.w[0].nbytes))
    room = memory.scratch(step * conv.w[0].nbytes).view(conv.w.dtype)
    for k in range(0, filters, step):
        w, y = conv.w[k:k + step], conv.y[:, k:k + step]
        more = room[:w.size].reshape(w.shape)
        for image in np.flatnonzero(flags.any(1)):
            first = 0
            while first < rows:
                last = first
                while last < rows and flags[image, last]:
                    last += 1
                if last > first:
                    product.conv2d_weight_gradient(conv.of(
                        x=conv.x[image:image + 1], w=more, y=y[image:image + 1, :, 4 * first:4 * last],
                        origin=(conv.window.top - 4 * first * conv.window.stride_h, conv.window.left)))
                    with np.errstate(over="ignore", invalid="ignore"):
                        w += more
                first = last + 1


def conv2d_weight_gradient(Convolution conv not None):
    """As product's, for 3 x 3 filters with stride 1 or 2 and 5 x 5 filters with stride 1; dilation with stride 1 and
    constant padding."""
    cdef const Problem *g = &conv.problem
    if cnp.PyArray_SIZE(conv.w) == 0:
        return
    if cnp.PyArray_SIZE(conv.y) == 0:
        conv.w.fill(0)
    elif not conv.single:
        product.conv2d_weight_gradient(conv)
    elif gradient_workspace(conv, True) > MOST:
        parts.weight_gradient(conv2d_weight_gradient, gradient_workspace, conv)
    elif not (undilated(conv, False) if g.dilation_h == 1 and g.dilation_w == 1 else dilated(conv)):
        product.conv2d_weight_gradient(conv)


cdef bint dilated(Convolution conv) except -1:
    """As undilated. Every dilation-th output meets every dilation-th pixel: so many gradients without dilation,
    of parts of x and grad_output."""
    cdef Py_ssize_t rows = conv.window.dilation_h, cols = conv.window.dilation_w
    cdef Py_ssize_t row, col, i, j, first_row, first_col
    cdef Window phase
    for i in range(min(rows, conv.problem.oh)):
        for j in range(min(cols, conv.problem.ow)):
            row, col = i - conv.window.top, j - conv.window.left    # of x: what output (i, j) meets first
            first_row, first_col = (row % rows + rows) % rows, (col % cols + cols) % cols
            phase = Window((1, 1), (1, 1), ((first_row - row) // rows, (first_col - col) // cols),
                           conv.window.padding_mode, conv.window.padding_value)
            if not undilated(Convolution(conv.x[:, :, first_row::rows, first_col::cols], conv.w, None,
                                         conv.y[:, :, i::rows, j::cols], phase), i > 0 or j > 0):
                return False
    return True


def gradient_workspace(Convolution conv not None, bint alone):
    """As product's."""
    if not conv.single:
        return product.gradient_workspace(conv, alone)
    cdef Problem g = problem_with_stride(conv), y
    # with dilation that of the first phase, which is the largest
    g.h, g.w = ceildiv(g.h, g.dilation_h), ceildiv(g.w, g.dilation_w)
    g.oh, g.ow = ceildiv(g.oh, g.dilation_h), ceildiv(g.ow, g.dilation_w)
    g.xh, g.xw, g.yh, g.yw = g.xh * g.dilation_h, g.xw * g.dilation_w, g.yh * g.dilation_h, g.yw * g.dilation_w
    y = gradient_as_image(&g)
    cdef WinogradGradientLayout l = lay_out_gradient(&g, &y, sizeof(float),
                                                     1 if alone else threads.team(work(&g)))
    return gradient_bytes(&l)
