"""Convolution by Winograd's minimal filtering: 3 x 3 with stride 1 and 2, 2 x 2 and 5 x 5, and lines of 2, 3
and 5 taps. src_c/winograd.h and winograd_rows.h have the mathematics.

Vector lanes are channels. A strip is a row of 4 x 4 output tiles of one image (under lines tiles of 1 x 4, or
4 x 1); a block is so many strips, of several images where these are small, that what belongs to it stays in a cache;
a panel is one or two vectors of output channels. U is the transformed filters, V the patches of a block, M their
products for one panel:

    for block:
        for piece (up to 8 strips of one image), vectors of input channels: patches -> V                 (inputs.pyx)
        for panel:
            filters -> U, unless all were transformed beforehand                                        (filters.pyx)
            for point: for MR tiles: micro-kernel over all input channels -> M[point][tile] (L2) (products.pyx)
            M -> y                                                                                      (outputs.pyx)

Where the transformed filters are fewer bytes than the patches they are made once, and each thread takes whole blocks
with a V and M of its own in L2. It makes even U for itself where that is small: to write a cache line that another core
has read costs more than to compute it. Where the transformed filters are more, or there are too few strips to keep all
threads busy, a block has as many tiles as L3 holds, threads share its pieces, then its panels, and U of a panel is made
just before its use, so that it never leaves L2. The tiles of a product prefetch what comes next: U of the next point,
or filters to be transformed.

Narrow groups, of as many channels as filters, lie side by side in one vector, so that their transforms cost what those
of one group cost; in the products a lane meets the channels of its own group only, U[point][channel of a
group][vector], and the tiles of a block are one run, as U of a point stays in registers.

With dilation each phase of rows and columns is such a convolution, of views of x and y, with the same U; a signal is
an image with rows as long as the dilation.

An output is not finite where an input, a filter or the sum is not, but a transform spreads it over its tile; and it
spreads the rounding error of a pixel that is louder than others by far (src_c/contrast.h) to outputs that do not see
it. So rows of tiles of which one came out not finite, or has such a contrast among its inputs, are computed again as a
matrix product; or, where they were added to y, are left to the caller, who knows what else was added.

Source: Lavin, Gray, "Fast algorithms for convolutional neural networks" (2016); the blocking follows Jia, Zlateski,
Durand, Li, "Optimizing N-dimensional, Winograd-based convolution for manycore CPUs" (2018).
"""

import functools

import numpy as np

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memchr, memset

from fastconv._core.problem import parts
from fastconv._core.product import forward as gemm
from fastconv._core.winograd.filters import prepare

from fastconv._core.problem.convolution cimport Convolution, Window
from fastconv._core.problem.filters cimport lie_in_order
from fastconv._core.problem.problem cimport Problem, beyond, ceildiv, part, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, OWN_FIRST, in_parallel
from fastconv._core.winograd.filters cimport place_taps, prepared_bytes, transform_panel, transform_panels
from fastconv._core.winograd.inputs cimport input_units, place_inputs, place_tiles, transform_inputs
from fastconv._core.winograd.layout cimport (
    IN_COPIES, IN_ONE_PLACE, IN_PANELS, WinogradBlock, WinogradLayout, channels_of, filters_at_once, filters_of, fold,
    is_signal,
    lay_out, problem_with_stride, taps_table_size, tile_height,
)
from fastconv._core.winograd.outputs cimport place_bias, transform_outputs
from fastconv._core.winograd.products cimport multiply

cnp.import_array()

cdef enum:
    MOST_CONTRAST = 256    # of magnitudes: the energy of a block of pixels against the square of this
    HELD_BYTES = 4 << 20   # of transformed filters, made once for all phases of a dilation
    LARGE_CHANNELS = 512   # see may_be_large
    LARGE_FILTERS = 1 << 16
    LARGE_ROWS = 1 << 18
    LARGE_BYTES = 1 << 20  # of filters that may take several passes

cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch


# What the units of a call share.
cdef struct WinogradCall:
    const Problem *g
    const WinogradLayout *l
    const WinogradBlock *block    # that all threads work on


cdef void filters_unit(const void *data, Py_ssize_t panel, floating *scratch) noexcept nogil:
    """A panel of U."""
    cdef const WinogradCall *call = <const WinogradCall *>data
    transform_panels(call.l, call.g, panel, panel + 1, scratch + call.l.weights_at, <floating *>call.l.u)


cdef void copy_unit(const void *data, Py_ssize_t thread, floating *scratch) noexcept nogil:
    """All of U in the scratch of one thread. The scratch: that of the first."""
    cdef const WinogradCall *call = <const WinogradCall *>data
    cdef const WinogradLayout *l = call.l
    scratch += thread * l.thread_size
    transform_panels(l, call.g, 0, l.groups * l.panels, scratch + l.weights_at, scratch + l.u_at)


cdef void inputs_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """Some inputs of a shared block."""
    cdef const WinogradCall *call = <const WinogradCall *>data
    transform_inputs(call.l, call.g, call.block, index, scratch)


cdef void compute_panel(const WinogradLayout *l, const Problem *g, const WinogradBlock *block, Py_ssize_t panel,
                        floating *scratch) noexcept nogil:
    """Products and outputs of a block and one panel of its group."""
    cdef Py_ssize_t k = panel * l.width, i = block.group * l.panels + panel
    cdef const floating *u = scratch + l.u_at
    cdef const floating *next_weights = NULL
    if filters_of(l, g, block.group) <= k:
        return
    if l.place == IN_PANELS:
        transform_panel(l, g, i, scratch + l.weights_at, scratch + l.u_at)
        if lie_in_order(g):
            next_weights = beyond(<const floating *>g.weights, (block.group * l.filters + k + l.width) * g.wk)
    else:
        u = (<const floating *>l.u if l.place == IN_ONE_PLACE else u) + i * l.u_panel
    multiply(l, (block.last - block.first) * l.tiles, channels_of(l, g, block.group), <const floating *>block.v, u,
             scratch + l.m_at, next_weights)
    transform_outputs(l, g, block, panel, scratch)


cdef void panel_unit(const void *data, Py_ssize_t panel, floating *scratch) noexcept nogil:
    """A panel of a shared block."""
    cdef const WinogradCall *call = <const WinogradCall *>data
    compute_panel(call.l, call.g, call.block, panel, scratch)


cdef void block_unit(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    """All of one block and some groups, by one thread."""
    cdef const WinogradLayout *l = (<const WinogradCall *>data).l
    cdef const Problem *g = (<const WinogradCall *>data).g
    cdef Py_ssize_t units = ceildiv(l.groups, l.groups_at_once), first_group = unit % units * l.groups_at_once, group, i
    cdef WinogradBlock block
    block.first, block.last = part(l.strips, l.blocks, unit // units), part(l.strips, l.blocks, unit // units + 1)
    block.tile_at, block.v = <Py_ssize_t *>scratch, scratch + l.v_at
    place_tiles(l, &block)
    for group in range(first_group, min(l.groups, first_group + l.groups_at_once)):
        block.group = group
        for i in range(input_units(l, &block)):
            transform_inputs(l, g, &block, i, scratch)
        for i in range(l.panels):
            compute_panel(l, g, &block, i, scratch)


cdef void convolve(const WinogradLayout *l, const Problem *g, WinogradBlock *block, floating *scratch) noexcept nogil:
    """All blocks: in parallel, or one after the other, each in parallel, with the V and the table of tiles that `block`
    has."""
    cdef Py_ssize_t i
    cdef WinogradCall call
    call.g, call.l, call.block = g, l, block
    if l.bias != NULL:
        place_bias(l, g, <floating *>l.bias)
    if l.place == IN_ONE_PLACE and not l.prepared:
        in_parallel(filters_unit[floating], &call, l.groups * l.panels, l.team, OWN_FIRST, scratch, l.thread_size)
    if l.private:
        if l.place == IN_COPIES:
            in_parallel(copy_unit[floating], &call, l.team, l.team, EVENLY, scratch, 0)
        in_parallel(block_unit[floating], &call, l.blocks * ceildiv(l.groups, l.groups_at_once), l.team,
                    OWN_FIRST, scratch, l.thread_size)
        return
    for i in range(l.blocks):
        block.first, block.last = part(l.strips, l.blocks, i), part(l.strips, l.blocks, i + 1)
        place_tiles(l, block)
        for block.group in range(l.groups):
            in_parallel(inputs_unit[floating], &call, input_units(l, block), l.team, OWN_FIRST, scratch, l.thread_size)
            in_parallel(panel_unit[floating], &call, l.panels, l.team, OWN_FIRST, scratch, l.thread_size)


cdef double work(const Problem *g) noexcept nogil:
    return 2.0 * g.n * g.groups * g.k * g.oh * g.ow * g.c * g.r * g.s / 200


cdef Py_ssize_t tables_bytes(const WinogradLayout *l) noexcept nogil:
    """Of the table of inputs, that of a shared block's tiles, the bias, and the table of taps."""
    return ((2 * l.table_size + rounded(l.groups * l.panels * l.width)) * l.size
            + taps_table_size(l) * sizeof(Py_ssize_t))


cdef void place_tables(WinogradLayout *l, const Problem *g, char *tables) noexcept:
    cdef Py_ssize_t *inputs_at = <Py_ssize_t *>tables
    cdef Py_ssize_t *taps_at = <Py_ssize_t *>(tables + tables_bytes(l)) - taps_table_size(l)
    place_inputs(l, g, inputs_at)
    place_taps(l, taps_at)
    l.inputs_at, l.taps_at = inputs_at, taps_at
    l.bias = tables + 2 * l.table_size * l.size if g.bias != NULL else NULL


cdef Block forward(Convolution conv, const Problem *g, Block prepared, Py_ssize_t held, bint any_contrast):
    """Returns a flag for each row of tiles of each image: whether it must be computed again. `held` as for lay_out."""
    cdef WinogradLayout l = lay_out(g, cnp.PyArray_ITEMSIZE(conv.x), prepared is not None, held, threads.team(work(g)))
    cdef Block tables = take(tables_bytes(&l)), scratch = take(l.team * l.thread_size * l.size)
    cdef Block v = take(0 if l.private else l.v_size * l.size)
    cdef Block filters = take(l.u_size * l.size) if prepared is None and l.place == IN_ONE_PLACE else prepared
    cdef Block flags = take(g.n * l.tile_rows)
    cdef WinogradBlock block
    l.contrast = 0 if any_contrast else <double>MOST_CONTRAST * MOST_CONTRAST
    l.u = filters.data if filters is not None else NULL
    l.again = flags.data
    memset(l.again, 0, g.n * l.tile_rows)
    place_tables(&l, g, tables.data)
    block.first = block.last = block.group = 0
    block.tile_at, block.v = <Py_ssize_t *>(tables.data + l.table_size * l.size), v.data
    with nogil:
        if conv.single:
            convolve(&l, g, &block, <float *>scratch.data)
        else:
            convolve(&l, g, &block, <double *>scratch.data)
    return flags


cdef Py_ssize_t pass_of(Convolution conv):
    """Filters, of all groups, that are computed in one pass: see filters_at_once."""
    cdef Problem g = problem_with_stride(conv)
    return g.groups * filters_at_once(&g, cnp.PyArray_ITEMSIZE(conv.x), threads.team(work(&g)))


cdef bint may_be_large(const Problem *g) noexcept:
    """Whether the scratch may be more than its bound, so that it is worth while to find out: it holds a panel of
    transformed filters, a number for each filter and a flag for each row of tiles."""
    return g.c > LARGE_CHANNELS or g.groups * g.k > LARGE_FILTERS or g.n * g.oh > LARGE_ROWS


def conv2d(Convolution conv not None, Block prepared=None, bint any_contrast=False):
    """As product's, for filters that `serves` in cost.py names. With any_contrast nothing is computed again for the
    contrast of its inputs. Returns rows of y, (image, first, last + 1), that must be computed anew with all that was
    added to them: none where it only writes."""
    cdef const Problem *g = &conv.problem
    cdef Py_ssize_t first, step
    left = []
    if cnp.PyArray_SIZE(conv.y) == 0:
        return left
    if may_be_large(g) and workspace(conv, True) > MOST:
        if g.accumulate:
            gemm.conv2d(conv)
        else:
            parts.convolve(functools.partial(conv2d, any_contrast=any_contrast), workspace, conv)
    elif g.dilation_h == 1 and g.dilation_w == 1:
        step = cnp.PyArray_DIM(conv.w, 0)
        if prepared is None and cnp.PyArray_NBYTES(conv.w) > LARGE_BYTES:
            step = pass_of(conv)
        if step >= cnp.PyArray_DIM(conv.w, 0):
            return undilated(conv, prepared, 0, any_contrast)
        for first in range(0, cnp.PyArray_DIM(conv.w, 0), step):
            some = slice(first, first + step)
            left += undilated(conv.of(w=conv.w[some], y=conv.y[:, some],
                                      bias=None if conv.bias is None else conv.bias[some]), None, 0, any_contrast)
    else:
        # Of signals the phases lie side by side, as the columns of an image do.
        return folded(conv, prepared, any_contrast) if is_signal(g) else dilated(conv, prepared, any_contrast)
    return left


cdef list undilated(Convolution conv, Block prepared, Py_ssize_t held, bint any_contrast):
    cdef Problem g = problem_with_stride(conv)
    cdef Block flags = forward(conv, &g, prepared, held, any_contrast)
    cdef Py_ssize_t image, first, last, high = tile_height(&g), rows = ceildiv(g.oh, high)
    cdef char *again
    cdef list left = []
    if memchr(flags.data, 1, g.n * rows) == NULL:
        return left
    for image in range(g.n):
        again, first = flags.data + image * rows, 0
        while first < rows:
            last = first
            while last < rows and again[last]:
                last += 1
            if last > first and g.accumulate:
                left.append((image, high * first, min(high * last, g.oh)))
            elif last > first:
                gemm.conv2d(conv.of(x=conv.x[image:image + 1], y=conv.y[image:image + 1, :, high * first:high * last],
                                    origin=(conv.window.top - high * first * g.stride_h, conv.window.left)))
            first = last + 1
    return left


cdef list folded(Convolution conv, Block prepared, bint any_contrast):
    """A dilated signal as an image whose rows are as long as the dilation, under filters of one column. Columns of the
    image that have as many rows, of x and of y, are computed together; where the padding is no whole row, what they
    meet begins in the row before."""
    cdef Py_ssize_t d = conv.window.dilation_w, size = conv.problem.w, outputs = conv.problem.ow
    cdef Py_ssize_t left = conv.window.left, shift = (left % d + d) % d, top = (left - shift) // d, held = 0
    cdef Py_ssize_t first, last, column
    cdef set again = set()
    if prepared is None and prepared_bytes(conv) <= HELD_BYTES:
        prepared = prepare(conv)
        held = prepared.size
    cuts = sorted({0, d, shift, outputs % d, (size + shift) % d})
    filters, window = conv.w.transpose(0, 1, 3, 2), conv.window
    for first, last in zip(cuts, cuts[1:]):
        column = first - shift if first >= shift else first - shift + d
        if first >= outputs:
            continue
        whole = Window((1, 1), (1, 1), (top if first >= shift else top + 1, 0), window.padding_mode,
                       window.padding_value)
        some = Convolution(rows_of(conv.x, column, last - first, d), filters, conv.bias,
                           rows_of(conv.y, first, last - first, d), whole, conv.epilogue)
        again.update(image for image, _, _ in undilated(some, prepared, held, any_contrast))
    return [(image, 0, 1) for image in sorted(again)]


cdef rows_of(signals, Py_ssize_t first, Py_ssize_t columns, Py_ssize_t pitch):
    """So many columns from `first` on of signals (N, C, 1, W) as images with rows of `pitch` samples."""
    n, c, _, size = signals.shape
    image, channel, _, sample = signals.strides
    cdef Py_ssize_t rows = ceildiv(max(<Py_ssize_t>0, <Py_ssize_t>size - first), pitch)
    return np.lib.stride_tricks.as_strided(signals[..., min(first, <Py_ssize_t>size):], (n, c, rows, columns),
                                           (image, channel, pitch * sample, sample))


cdef list dilated(Convolution conv, Block prepared, bint any_contrast):
    """Every dilation-th output meets every dilation-th pixel: so many convolutions without dilation, of parts of x and
    y. Where the transformed filters are small they are made once."""
    cdef Py_ssize_t rows = conv.window.dilation_h, cols = conv.window.dilation_w
    cdef Py_ssize_t row, col, i, j, first_row, first_col, held = 0
    cdef Window phase
    cdef list left = []
    if prepared is None and prepared_bytes(conv) <= HELD_BYTES:
        prepared = prepare(conv)
        held = prepared.size
    for i in range(min(rows, conv.problem.oh)):
        for j in range(min(cols, conv.problem.ow)):
            row, col = i - conv.window.top, j - conv.window.left    # of x: what output (i, j) meets first
            first_row, first_col = (row % rows + rows) % rows, (col % cols + cols) % cols
            phase = Window((1, 1), (1, 1), ((first_row - row) // rows, (first_col - col) // cols),
                           conv.window.padding_mode, conv.window.padding_value)
            for image, first, last in undilated(
                    Convolution(conv.x[:, :, first_row::rows, first_col::cols], conv.w, conv.bias,
                                conv.y[:, :, i::rows, j::cols], phase, conv.epilogue), prepared, held, any_contrast):
                left.append((image, i + first * rows, i + (last - 1) * rows + 1))
    return left


def workspace(Convolution conv not None, bint alone):
    """As product's."""
    cdef Problem g = problem_with_stride(conv)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(conv.x), held = 0
    cdef bint is_dilated = g.dilation_h > 1 or g.dilation_w > 1
    if is_dilated:    # of the first phase, which is the largest
        held = prepared_bytes(conv)
        held = held if held <= HELD_BYTES else 0
        if is_signal(&g):
            fold(&g)
        else:
            g.h, g.w = ceildiv(g.h, g.dilation_h), ceildiv(g.w, g.dilation_w)
            g.oh, g.ow = ceildiv(g.oh, g.dilation_h), ceildiv(g.ow, g.dilation_w)
            g.xh, g.xw = g.xh * g.dilation_h, g.xw * g.dilation_w
    cdef int team = 1 if alone else threads.team(work(&g))
    if not is_dilated:
        g.k = min(g.k, filters_at_once(&g, size, team))
    cdef WinogradLayout l = lay_out(&g, size, held > 0, held, team)
    return held + (l.shared_size + team * l.thread_size) * size + tables_bytes(&l) + g.n * l.tile_rows
