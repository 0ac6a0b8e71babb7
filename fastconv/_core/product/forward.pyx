"""Convolution as an implicit matrix product; the data gradient is this driver on views, the weight gradient weight_gradient.pyx.

Forward: Y[k, pixel] = W[k, (c, r, s)] X[(c, r, s), pixel]. Vector lanes run over pixels, so tiles are stored as they are into
a channel's plane. No im2col matrix is ever made:

    for stage of weights (at most STAGE_BYTES packed, [panel of up to MR filters][c, r, s][MR]; shared, L2 and L3):
        parallel for block of output pixels (whole rows, of several images where these are small), group, part of the filters:
            for block of the reduction (DEPTH channels x taps):
                fill the padded band of these channels (see band.pyx; L2)
                for group of panels of two vectors of pixels:
                    for panel: pack X[DEPTH][panel] from the band (L1, L2)
                    for panel of filters: for panel: micro-kernel, DEPTH long -> the tile of y, bias and activation on the way

A group is as many panels as L1 and the near part of L2 hold: the more of a plane of y is written at a time, the better, as
planes are often a power of two apart and share sets of the cache.

Every element of a result is summed in one order, whatever the number of threads: the split of the reduction (blocks) follows from
the sizes alone; what is split by the number of threads is only who computes which element.

What would take too much scratch (packed filters of millions of terms, their offsets) is cut into parts first: see parts.py.

Sources: Goto, van de Geijn, "Anatomy of high-performance matrix multiplication" (2008); Van Zee, van de Geijn, "BLIS" (2015).
"""

from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange, threadid

from fastconv._core.problem.convolution cimport Convolution, Window, problem_of
from fastconv._core.runtime cimport threads
from fastconv._core.problem.band cimport Band, axis, fill, layout, tap_offsets
from fastconv._core.problem.blocks cimport Blocking, PixelBlock, block_at, block_pixels
from fastconv._core.runtime.isa cimport (
    gemm_tile, get_tile, pack_rows, put_tile, tile_rows, transpose, vector_length,
)
from fastconv._core.runtime.kernels cimport FC_MAX_MR, FC_MAX_NV, fc_run
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport Problem, activate, ceildiv, flatten, part, rounded

cnp.import_array()

cdef enum:
    STAGE_BYTES = 4 << 20    # packed weights held at a time
    DEPTH_BYTES = 3072       # of one packed filter: the depth of a tile
    BAND_BYTES = 384 << 10   # one block's band
    PIXELS = 1024            # output pixels of a block
    MOST_LANES = 32          # pixels of a panel: FC_MAX_NV vectors of 16
    GROUP = 8                # panels of pixels that are packed together, at most
    GROUP_BYTES = 64 << 10   # of them


cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch
cdef Window whole = Window()                  # of a matrix product


cdef struct Cut:
    int team
    Blocking blocking
    Py_ssize_t channels, taps_at_once, panel_size, stage, band_size, panel_elements, group
    Py_ssize_t scratch_size, packed_size    # bytes, of a thread and of all


# Filter panels that are packed at a time: `count` of each of so many groups from the first on, in `parts` for the threads.
cdef struct Stage:
    Py_ssize_t first, count, groups, parts


cdef Band band_of(const Problem *g, Py_ssize_t rows, Py_ssize_t cols, int lanes) noexcept nogil:
    cdef Band band
    band.row_stride, band.col_stride, band.padding = g.xh, g.xw, g.padding
    band.rows = axis(g.h, rows, g.r, g.stride_h, g.dilation_h)
    band.cols = axis(g.w, cols, g.s, g.stride_w, g.dilation_w)
    layout(&band, lanes)
    return band


cdef Py_ssize_t runs_of(const PixelBlock *b, Py_ssize_t first, Py_ssize_t count, Py_ssize_t image_stride,
                        Py_ssize_t row_stride, Py_ssize_t col_stride, fc_run *runs) noexcept nogil:
    """Pixels first .. first + count - 1 of a block as runs within rows; src by the given strides. Runs that follow each other
    in memory become one. Returns how many there are, at most count."""
    cdef Py_ssize_t n = 0, done = 0, row = first // b.cols, col = first % b.cols, length, src
    while done < count:
        length = min(b.cols - col, count - done)
        src = row // b.rows * image_stride + row % b.rows * row_stride + col * col_stride
        if n and col_stride == 1 and runs[n - 1].src + runs[n - 1].length == src:
            runs[n - 1].length += length
        else:
            runs[n].src, runs[n].dst, runs[n].length = src, done, length
            n += 1
        done += length
        row += 1
        col = 0
    return n


cdef void pack_filters(const Problem *g, const floating *w, Py_ssize_t m, floating *dst) noexcept nogil:
    """m filters, the first at w, as [c, r, s][m]."""
    cdef Py_ssize_t rows[FC_MAX_MR]
    cdef Py_ssize_t i, c, r, s
    cdef const floating *src
    if (g.s == 1 or g.ws == 1) and (g.r == 1 or g.wr == g.s) and (g.c == 1 or g.wc == g.r * g.s):
        for i in range(m):
            rows[i] = i * g.wk
        transpose(w, rows, <int>m, g.c * g.r * g.s, dst, m)
        return
    for c in range(g.c):
        for r in range(g.r):
            for s in range(g.s):
                src = w + c * g.wc + r * g.wr + s * g.ws
                for i in range(m):
                    dst[i] = src[i * g.wk]
                dst += m


cdef void tile(const Problem *g, Py_ssize_t m, int vectors, Py_ssize_t depth, const floating *a, const floating *b,
               floating *y, const fc_run *runs, Py_ssize_t n_runs, Py_ssize_t count, const floating *bias, bint accumulate,
               int activation, double slope, floating *scratch) noexcept nogil:
    """One tile of m filters x count pixels into y, at once where the pixels are one full run, else by way of scratch."""
    cdef Py_ssize_t i, width = vectors * vector_length(a)
    if n_runs == 1 and g.yw == 1 and count == width:
        y += runs.src
        gemm_tile(vectors, <int>m, depth, a, b, y, g.yk, bias, accumulate)
        if activation:
            for i in range(m):
                activate(activation, y + i * g.yk, count, slope)
        return
    if accumulate:
        get_tile(y, g.yk, g.yw, m, runs, n_runs, scratch, width)
    gemm_tile(vectors, <int>m, depth, a, b, scratch, width, bias, accumulate)
    if activation:
        activate(activation, scratch, m * width, slope)
    put_tile(scratch, width, m, runs, n_runs, y, g.yk, g.yw)


cdef void convolve_block(const Problem *g, const Cut *cut, const PixelBlock *block, const floating *x, const floating *packed,
                         Py_ssize_t panels, Py_ssize_t first_panel, Py_ssize_t last_panel, const floating *bias, floating *y,
                         double value, int activation, double slope, Py_ssize_t *taps, floating *band_data, floating *panel,
                         floating *tile_data) noexcept nogil:
    """All of one group's reduction for one block of pixels and filter panels first_panel .. last_panel - 1 of `panels`.

    x and y are the group's first channel, `packed` is first_panel's packed filters.
    """
    cdef int lanes = vector_length(x), last
    cdef Band band
    cdef Py_ssize_t n_taps = g.r * g.s, c, nc, t, nt, p, q, in_group, i, k, m, depth, offset, n_src
    cdef Py_ssize_t channel_stride, image_stride, row_stride
    cdef const floating *source
    cdef const floating *panel_bias
    cdef Py_ssize_t width = FC_MAX_NV * lanes
    cdef fc_run src[MOST_LANES]
    # of the panels of a group
    cdef fc_run dst[GROUP][MOST_LANES]
    cdef Py_ssize_t n_dst[GROUP]
    cdef Py_ssize_t count[GROUP]
    cdef int vectors[GROUP]
    if g.in_place:
        channel_stride, image_stride, row_stride = g.xc, g.xn, g.stride_h * g.xh
        for t in range(n_taps):
            taps[t] = t // g.s * g.dilation_h * g.xh + t % g.s * g.dilation_w
    else:
        band = band_of(g, block.rows, block.cols, lanes)
        band.rows.start = block.row0 * g.stride_h - g.top
        band.cols.start = block.col0 * g.stride_w - g.left
        channel_stride, row_stride = band.channel_pitch, band.pitch
        image_stride = cut.channels * channel_stride
        tap_offsets(&band, taps)
    c = 0
    while c < g.c:
        nc = min(cut.channels, g.c - c)
        if g.in_place:
            source = x + block.n0 * g.xn + c * g.xc + block.row0 * row_stride + block.col0
        else:
            source = band_data
            for i in range(block.images):
                fill(&band, x + (block.n0 + i) * g.xn + c * g.xc, g.xc, nc, <floating>value, band_data + i * image_stride)
        t = 0
        while t < n_taps:
            nt = min(cut.taps_at_once, n_taps - t)
            depth = nc * nt
            offset = c * n_taps + t
            last = c + nc == g.c and t + nt == n_taps
            p = 0
            while p < block.pixels:
                in_group = min(cut.group, ceildiv(block.pixels - p, width))
                for q in range(in_group):
                    count[q] = min(width, block.pixels - p)
                    vectors[q] = 1 if count[q] <= lanes else FC_MAX_NV
                    n_src = runs_of(block, p, count[q], image_stride, row_stride, 1, src)
                    n_dst[q] = runs_of(block, p, count[q], g.yn, g.yh, g.yw, dst[q])
                    pack_rows(source, channel_stride, nc, taps + t, nt, src, n_src, panel + q * cut.panel_elements,
                              vectors[q] * lanes, not g.in_place)
                    p += count[q]
                for k in range(first_panel, last_panel):
                    i = part(g.k, panels, k)
                    m = part(g.k, panels, k + 1) - i
                    panel_bias = bias + i if bias != NULL else bias
                    for q in range(in_group):
                        tile(g, m, vectors[q], depth, packed + (k - first_panel) * cut.panel_size + offset * m,
                             panel + q * cut.panel_elements,
                             y + block.n0 * g.yn + block.row0 * g.yh + block.col0 * g.yw + i * g.yk, dst[q], n_dst[q], count[q],
                             panel_bias, offset > 0, activation if last else 0, slope, tile_data)
            t += nt
        c += nc


cdef void pack_panel(const Problem *g, const floating *w, Py_ssize_t index, Py_ssize_t panels, floating *packed) noexcept nogil:
    """A panel of filters, counted over all groups."""
    cdef Py_ssize_t group = index // panels, k = index % panels
    pack_filters(g, w + (group * g.k + part(g.k, panels, k)) * g.wk, part(g.k, panels, k + 1) - part(g.k, panels, k), packed)


cdef void pack_stage(const Problem *g, const floating *w, Py_ssize_t first, Py_ssize_t count, Py_ssize_t panels,
                     floating *packed, Py_ssize_t panel_size, int team) noexcept nogil:
    """Filter panels first .. first + count - 1, counted over all groups."""
    cdef Py_ssize_t u
    if team == 1:
        for u in range(count):
            pack_panel(g, w, first + u, panels, packed + u * panel_size)
    else:
        for u in prange(count, num_threads=team, schedule="static"):
            pack_panel(g, w, first + u, panels, packed + u * panel_size)


cdef void convolve(const Problem *g, const floating *x, const floating *w, const floating *bias, floating *y, double value,
                   int activation, double slope, const Cut *cut, bint prepared, floating *packed,
                   char *scratch) noexcept nogil:
    cdef Py_ssize_t panels = ceildiv(g.k, tile_rows(x)), u
    cdef Stage stage
    # A stage is `count` filter panels, counted over all groups: whole groups, or a part of one group.
    stage.first = 0
    while stage.first < g.groups * panels:
        if cut.stage >= panels:
            stage.count = min(cut.stage // panels * panels, g.groups * panels - stage.first)
        else:
            stage.count = min(cut.stage, panels - stage.first % panels)
        if not prepared:
            pack_stage(g, w, stage.first, stage.count, panels, packed, cut.panel_size, cut.team)
        stage.groups = max(1, stage.count // panels)
        stage.count = stage.count // stage.groups      # panels of each
        stage.parts = 1                                # into which these are cut, to have work for all threads
        if stage.groups * cut.blocking.count < 2 * cut.team:
            stage.parts = min(stage.count, ceildiv(2 * cut.team, stage.groups * cut.blocking.count))
        if cut.team == 1:
            for u in range(stage.groups * cut.blocking.count * stage.parts):
                convolve_unit(g, x, bias, y, value, activation, slope, cut, &stage, u, packed, <floating *>scratch)
        else:
            for u in prange(stage.groups * cut.blocking.count * stage.parts, num_threads=cut.team, schedule="dynamic"):
                convolve_unit(g, x, bias, y, value, activation, slope, cut, &stage, u, packed,
                              <floating *>(scratch + threadid() * cut.scratch_size))
        stage.first = stage.first + stage.groups * stage.count


cdef void convolve_unit(const Problem *g, const floating *x, const floating *bias, floating *y, double value, int activation,
                        double slope, const Cut *cut, const Stage *stage, Py_ssize_t unit, const floating *packed,
                        floating *scratch) noexcept nogil:
    """One block of pixels of one group by one part of the stage's filters; scratch: taps, band, panel, tile."""
    cdef Py_ssize_t panels = ceildiv(g.k, tile_rows(x)), j = unit % stage.parts, b = unit // stage.parts % cut.blocking.count
    cdef Py_ssize_t index = unit // stage.parts // cut.blocking.count, group = stage.first // panels + index
    cdef Py_ssize_t lo = part(stage.count, stage.parts, j), hi = part(stage.count, stage.parts, j + 1)
    cdef PixelBlock block = block_at(g, &cut.blocking, b)
    cdef floating *band = scratch + 2 * rounded(g.r * g.s)
    cdef floating *panel = band + cut.band_size
    convolve_block(g, cut, &block, x + group * g.c * g.xc, packed + (index * stage.count + lo) * cut.panel_size, panels,
                   stage.first % panels + lo, stage.first % panels + hi, bias + group * g.k if bias != NULL else bias,
                   y + group * g.k * g.yk, value, activation, slope, <Py_ssize_t *>scratch, band, panel,
                   panel + cut.group * cut.panel_elements)


cdef double work(const Problem *g) noexcept nogil:
    """About the nanoseconds on one thread."""
    return 2.0 * g.n * g.groups * g.k * g.oh * g.ow * g.c * g.r * g.s / 50


cdef Cut cut_forward(const Problem *g, int team, const floating *unused) noexcept:
    """How a forward pass is cut, by so many threads. Blocks: enough for all threads, small enough for the band of a useful
    number of channels to stay in L2."""
    cdef Cut cut
    cdef int lanes = vector_length(unused), mr = tile_rows(unused)
    cdef Py_ssize_t taps = g.r * g.s, depth = DEPTH_BYTES // sizeof(floating)
    cdef Py_ssize_t plane, panels = ceildiv(g.k, mr), total = g.n * g.oh * g.ow
    cdef Band band
    cut.team = team
    cut.channels = min(g.c, max(1, depth // taps))
    cut.channels = ceildiv(g.c, ceildiv(g.c, cut.channels))
    cut.taps_at_once = ceildiv(taps, ceildiv(taps, depth))
    # The blocks of one thread decide how the sum over channels is cut, for any number: the order of a sum must not change.
    cut.blocking = block_pixels(g, PIXELS)
    band = band_of(g, cut.blocking.rows, cut.blocking.cols, lanes)
    if not g.in_place:
        plane = band.channel_pitch * cut.blocking.images * sizeof(floating)
        if plane * cut.channels > BAND_BYTES:
            cut.channels = max(min(cut.channels, 8), BAND_BYTES // plane)
            cut.channels = ceildiv(g.c, ceildiv(g.c, cut.channels))
    if cut.team > 1:
        cut.blocking = block_pixels(g, max(4 * lanes, min(PIXELS, total // (4 * cut.team))))
        band = band_of(g, cut.blocking.rows, cut.blocking.cols, lanes)
    cut.panel_size = rounded(g.c * taps * ceildiv(g.k, panels))
    cut.stage = min(max(1, STAGE_BYTES // <Py_ssize_t>(cut.panel_size * sizeof(floating))), g.groups * panels)
    cut.band_size = 0 if g.in_place else rounded(band.channel_pitch * cut.channels * cut.blocking.images)
    cut.panel_elements = rounded(min(g.c * taps, max(cut.channels * cut.taps_at_once, 1)) * FC_MAX_NV * lanes)
    cut.group = max(1, min(GROUP, GROUP_BYTES // <Py_ssize_t>(cut.panel_elements * sizeof(floating))))
    cut.scratch_size = sizeof(floating) * (2 * rounded(taps) + cut.band_size + cut.group * cut.panel_elements
                                           + rounded(mr * FC_MAX_NV * lanes))
    cut.packed_size = ceildiv(cut.stage * cut.panel_size * sizeof(floating), 64) * 64
    return cut


cdef bint forward(Problem *g, const floating *x, const floating *w, const floating *bias, floating *y, double value, int activation,
                  double slope, Block prepared) except -1:
    """Returns False, with nothing done, where one thread would take too much scratch; prepared filters don't count: the bits
    are the same with and without them."""
    cdef int team
    cdef Cut cut
    cdef Block memory
    cdef floating *packed
    if g.n == 0 or g.k == 0 or g.oh == 0 or g.ow == 0:
        return True
    flatten(g)
    team = threads.team(work(g))
    cut = cut_forward(g, 1, x)
    if cut.packed_size + cut.scratch_size > MOST:
        return False
    if team > 1:
        cut = cut_forward(g, team, x)
    if prepared is not None:
        cut.packed_size = 0
    memory = take(cut.packed_size + cut.team * cut.scratch_size)
    packed = <floating *>memory.data
    if prepared is not None:
        packed = <floating *>prepared.data
        cut.stage = g.groups * ceildiv(g.k, tile_rows(x))
    with nogil:
        convolve(g, x, w, bias, y, value, activation, slope, &cut, prepared is not None, packed, memory.data + cut.packed_size)
    return True


def conv2d(Convolution conv, Block prepared=None):
    """Computes y; nothing is checked. prepared: what `prepare` made of w."""
    cdef Problem g = conv.problem
    cdef bint done
    if conv.single:
        done = forward(&g, <const float *>g.x, <const float *>g.weights, <const float *>g.bias, <float *>g.y, g.value,
                       g.activation, g.slope, prepared)
    else:
        done = forward(&g, <const double *>g.x, <const double *>g.weights, <const double *>g.bias, <double *>g.y, g.value,
                       g.activation, g.slope, prepared)
    if not done:
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
    cdef Problem g = problem_of(x_shape, x_strides, w_shape, w_strides, y_shape, y_strides, cnp.PyArray_ITEMSIZE(a), whole)
    cdef bint done
    cdef cnp.ndarray bias_of_rows = None if bias_of_columns else bias
    cdef void *bias_data = NULL if bias_of_rows is None else cnp.PyArray_DATA(bias_of_rows)
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        done = forward[float](&g, <const float *>cnp.PyArray_DATA(b), <const float *>cnp.PyArray_DATA(a),
                              <const float *>bias_data, <float *>cnp.PyArray_DATA(y), 0.0, 0, 0.0, None)
    else:
        done = forward[double](&g, <const double *>cnp.PyArray_DATA(b), <const double *>cnp.PyArray_DATA(a),
                               <const double *>bias_data, <double *>cnp.PyArray_DATA(y), 0.0, 0, 0.0, None)
    if not done:
        parts.convolve(conv2d, workspace, Convolution(b[None, :, None], a[:, :, None, None], bias_of_rows, y[None, :, None], whole))
    if bias is None or not bias_of_columns:
        return
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        add_to_rows(<const float *>cnp.PyArray_DATA(bias), rows, columns, <float *>cnp.PyArray_DATA(y), g.yk, g.yw)
    else:
        add_to_rows(<const double *>cnp.PyArray_DATA(bias), rows, columns, <double *>cnp.PyArray_DATA(y), g.yk, g.yw)


cdef void add_to_rows(const floating *bias, Py_ssize_t rows, Py_ssize_t columns, floating *y, Py_ssize_t row_stride,
                      Py_ssize_t step) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(columns):
            y[i * row_stride + j * step] += bias[j]


def prepare(Convolution conv):
    """The filters packed once, for conv2d's `prepared`; of x and y the shapes are enough."""
    return packed[float](&conv.problem, NULL) if conv.single else packed[double](&conv.problem, NULL)


cdef Block packed(const Problem *g, const floating *unused):
    cdef Py_ssize_t panels = ceildiv(g.k, tile_rows(unused))
    cdef Py_ssize_t panel_size = rounded(g.c * g.r * g.s * ceildiv(g.k, panels))
    cdef Block filters = take(g.groups * panels * panel_size * sizeof(floating))
    pack_stage(g, <const floating *>g.weights, 0, g.groups * panels, panels, <floating *>filters.data, panel_size, 1)
    return filters


def workspace(Convolution conv, bint alone):
    """Bytes of scratch that conv2d takes for such arrays, whose elements are not looked at: with the threads that it would use now,
    or on one."""
    cdef Problem g = conv.problem
    flatten(&g)
    cdef int team = 1 if alone else threads.team(work(&g))
    cdef Cut cut = cut_forward[float](&g, team, NULL) if conv.single else cut_forward[double](&g, team, NULL)
    return cut.packed_size + team * cut.scratch_size
