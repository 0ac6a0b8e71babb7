"""Convolution with images in the lanes: many images, and filters, or rows of pixels, too few to fill a vector.

    parallel for block of images (two vectors), group, block of rows of outputs:
        the rows of x that they meet -> X[row][column][channel][image] (L2)
        for row of outputs: for row of taps that meets the image:
            for panel of up to MR filters: for output of the row:
                micro-kernel: filters x images, as deep as taps of that row meet the image, all channels
                -> Y[row][column][filter][image]; a row of X and one of Y are in L1
        Y -> y

No lane is idle but for the last images, and taps that meet zeros around an image are left out: pixels that follow each
other in X are one run of the depth, so a tile begins at the first that lies in the image. The price is that x and y
are transposed. 64 images of 16 x 10 x 10 under 6 filters of 5 x 5, padded by 4, take 0.31 ms, by Winograd's transforms
0.66, with filters in the lanes 1.1 (Zen 4, one thread).

Each output is one sum in the order of rows of taps, their columns, channels. Filters are read as
[panel][row][column][channel][filter], rearranged once for all units. Weights that are not finite make NaN of zeros, so
where taps would be left out such filters go to the matrix product, as another padding does.
"""

from fastconv._core.problem import parts
from fastconv._core.product import forward as product

cimport numpy as cnp
from cython cimport floating

from fastconv._core.problem.convolution cimport Convolution, record_of
from fastconv._core.problem.filters cimport are_finite, gather_tap
from fastconv._core.problem.met cimport Met, inside, met
from fastconv._core.problem.problem cimport Problem, activation_of, ceildiv, part, rounded
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport from_lanes, gemm_tile, tile_rows, transpose, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, FC_MAX_NV, fc_product
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel

cnp.import_array()

cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch

cdef enum:
    BLOCK_BYTES = 384 << 10    # of X and Y of a block


# How a call is cut; sizes in elements.
cdef struct BatchLayout:
    int lanes, vectors, mr, team
    Py_ssize_t width                       # images of a block
    Py_ssize_t image_blocks, row_blocks    # of a group
    Py_ssize_t panels                      # of the filters of a group
    Py_ssize_t x_row, y_row                # of X and Y: from one row to the next
    Py_ssize_t y_at, thread_size, group_size, filters_size


# What the units of a call share: the filters of each group.
cdef struct BatchCall:
    const Problem *p
    const BatchLayout *l
    void *filters

# One block: its images, in so many vectors; its rows of outputs, and those of x that they meet.
cdef struct BatchBlock:
    Py_ssize_t group, n0, images, row0, rows, first, until
    int vectors

# A row of taps of a panel of m filters, where its weights and the row of x that it meets begin; the bias or NULL. It is
# the first of those that an output meets, and the last one.
cdef struct TapRow:
    Py_ssize_t m
    const void *filters
    const void *x
    const void *bias
    bint first, last


cdef Py_ssize_t rows_met(const Problem *p, Py_ssize_t rows) noexcept nogil:
    """Rows of x that so many rows of outputs meet, at most."""
    return min(p.h, (rows - 1) * p.stride_h + (p.r - 1) * p.dilation_h + 1)


cdef BatchLayout lay_out(const Problem *p, int team, const floating *unused) noexcept nogil:
    cdef BatchLayout l
    cdef Py_ssize_t of_rows, rows
    l.lanes, l.mr, l.team = vector_length(unused), tile_rows(unused), team
    l.vectors = FC_MAX_NV if p.n > l.lanes else 1
    l.width = l.vectors * l.lanes
    l.image_blocks = ceildiv(p.n, l.width)
    l.panels = ceildiv(p.k, l.mr)
    l.x_row, l.y_row = p.w * p.c * l.width, p.ow * p.k * l.width
    of_rows = BLOCK_BYTES // <Py_ssize_t>sizeof(floating)
    rows = max(1, (of_rows - min(of_rows, (p.r - 1) * p.dilation_h * l.x_row)) // (p.stride_h * l.x_row + l.y_row))
    if team > 1:
        rows = min(rows, max(1, p.oh * l.image_blocks * p.groups // (2 * team)))
    l.row_blocks = ceildiv(p.oh, min(rows, p.oh))
    rows = ceildiv(p.oh, l.row_blocks)
    l.row_blocks = ceildiv(p.oh, rows)
    l.y_at = rounded(rows_met(p, rows) * l.x_row)
    l.thread_size = l.y_at + rounded(rows * l.y_row)
    l.group_size = rounded(p.k * p.c * p.r * p.s)
    l.filters_size = p.groups * l.group_size
    return l


cdef BatchBlock block_of(const Problem *p, const BatchLayout *l, Py_ssize_t index) noexcept nogil:
    cdef BatchBlock b
    cdef Py_ssize_t rows = ceildiv(p.oh, l.row_blocks), row = index % l.row_blocks
    b.group, b.n0 = index // l.row_blocks % p.groups, index // l.row_blocks // p.groups * l.width
    b.images = min(l.width, p.n - b.n0)
    b.vectors = <int>ceildiv(b.images, l.lanes)
    b.row0 = row * rows
    b.rows = min(rows, p.oh - b.row0)
    b.first = min(p.h, max(0, b.row0 * p.stride_h - p.top))
    b.until = max(b.first, min(p.h, (b.row0 + b.rows - 1) * p.stride_h + (p.r - 1) * p.dilation_h - p.top + 1))
    return b


cdef void arrange_filters(const Problem *p, const BatchLayout *l, floating *dst) noexcept nogil:
    cdef Py_ssize_t group, panel, k, m, r, s, c
    cdef const floating *w
    cdef floating *to
    for group in range(p.groups):
        to = dst + group * l.group_size
        for panel in range(l.panels):
            k = part(p.k, l.panels, panel)
            m = part(p.k, l.panels, panel + 1) - k
            w = <const floating *>p.weights + (group * p.k + k) * p.wk
            for r in range(p.r):
                for s in range(p.s):
                    for c in range(p.c):
                        gather_tap(w + c * p.wc + r * p.wr + s * p.ws, p.wk, m, m, to)
                        to += m


cdef void read_images(const Problem *p, const BatchLayout *l, const BatchBlock *b, floating *dst) noexcept nogil:
    """X: the rows of x that a block meets. Where images lack, the last one stands in for them."""
    cdef Py_ssize_t images[FC_MAX_NV * FC_MAX_LANES]
    cdef Py_ssize_t c, row, col, i, rows = b.until - b.first, pixel = p.c * l.width
    cdef const floating *src = <const floating *>p.x + b.n0 * p.xn + b.group * p.c * p.xc + b.first * p.xh
    cdef int n = b.vectors * l.lanes
    for i in range(n):
        images[i] = min(i, b.images - 1) * p.xn
    if p.xc == 1 and p.xw == p.c and p.xh == p.w * p.c:
        transpose(src, images, n, rows * p.w * p.c, dst, l.width)
    elif p.xw == 1 and p.xh == p.w:
        for c in range(p.c):
            transpose(src + c * p.xc, images, n, rows * p.w, dst + c * l.width, pixel)
    elif p.xw == 1:
        for row in range(rows):
            for c in range(p.c):
                transpose(src + row * p.xh + c * p.xc, images, n, p.w, dst + row * l.x_row + c * l.width, pixel)
    else:
        for row in range(rows):
            for col in range(p.w):
                for c in range(p.c):
                    for i in range(n):
                        dst[i] = src[images[i] + row * p.xh + col * p.xw + c * p.xc]
                    dst += l.width


cdef void write_images(const Problem *p, const BatchLayout *l, const BatchBlock *b, const floating *src) noexcept nogil:
    """From Y to the rows of y that are a block's."""
    cdef Py_ssize_t images[FC_MAX_LANES]
    cdef Py_ssize_t k, row, col, i, j, step = p.k * l.width
    cdef floating *dst
    cdef const floating *sums
    cdef int n
    for j in range(b.vectors):
        n = <int>min(l.lanes, b.images - j * l.lanes)
        dst = <floating *>p.y + (b.n0 + j * l.lanes) * p.yn + b.group * p.k * p.yk + b.row0 * p.yh
        sums = src + j * l.lanes
        for i in range(n):
            images[i] = i * p.yn
        if p.yk == 1 and p.yw == p.k and p.yh == p.ow * p.k:
            from_lanes(sums, l.width, b.rows * p.ow * p.k, dst, images, n)
        elif p.yw == 1 and p.yh == p.ow:
            for k in range(p.k):
                from_lanes(sums + k * l.width, step, b.rows * p.ow, dst + k * p.yk, images, n)
        elif p.yw == 1:
            for row in range(b.rows):
                for k in range(p.k):
                    from_lanes(sums + row * l.y_row + k * l.width, step, p.ow, dst + row * p.yh + k * p.yk, images, n)
        else:
            for row in range(b.rows):
                for col in range(p.ow):
                    for k in range(p.k):
                        for i in range(n):
                            dst[row * p.yh + col * p.yw + k * p.yk + images[i]] = sums[i]
                        sums += l.width


cdef inline void add_taps(const Problem *p, const BatchLayout *l, const TapRow *t, int vectors, const Met *columns,
                          Py_ssize_t col, floating *y) noexcept nogil:
    """To output `col` of a row, at y: the taps of a row that meet the image, in one run where they are neighbours."""
    cdef fc_product how
    cdef Py_ssize_t tap = columns.first, taps = columns.until - columns.first if p.dilation_w == 1 else 1
    cdef Py_ssize_t depth = taps * p.c if columns.until > columns.first else 0    # else the bias is the sum
    cdef Py_ssize_t pixel = p.c * l.width
    cdef const floating *x
    how.a, how.b, how.b_vector, how.c, how.accumulate = t.m, l.width, l.lanes, l.width, not t.first
    while True:
        how.activation = activation_of(p, t.last and tap + taps >= columns.until)
        x = <const floating *>t.x + (col * p.stride_w - p.left + tap * p.dilation_w) * pixel
        gemm_tile(vectors, t.m, &how, depth, <const floating *>t.filters + tap * p.c * t.m, x, y,
                  <const floating *>t.bias if t.first and tap == columns.first else <const floating *>NULL)
        tap, how.accumulate = tap + taps, True
        if tap >= columns.until:
            break


cdef void multiply_row(const Problem *p, const BatchLayout *l, const BatchBlock *b, const floating *filters,
                       const floating *x, floating *y, Py_ssize_t row) noexcept nogil:
    """A row of outputs, from y on: those of the taps of one row after those of another."""
    cdef Met rows = met(p.h, p.top, p.stride_h, p.dilation_h, p.r, b.row0 + row), columns
    cdef Py_ssize_t r, last = max(rows.until, rows.first + 1) - 1, panel, k, col
    cdef TapRow t
    for r in range(rows.first, last + 1):
        t.x = x + ((b.row0 + row) * p.stride_h - p.top + r * p.dilation_h - b.first) * l.x_row
        t.first, t.last = r == rows.first, r == last
        for panel in range(l.panels):
            k = part(p.k, l.panels, panel)
            t.m = part(p.k, l.panels, panel + 1) - k
            t.filters = filters + (k * p.r + r * t.m) * p.s * p.c
            t.bias = p.bias
            if p.bias != NULL:
                t.bias = <const floating *>p.bias + b.group * p.k + k
            columns.end = 0
            for col in range(p.ow):
                if col >= columns.end:    # it meets others than the one before
                    columns = met(p.w, p.left, p.stride_w, p.dilation_w, p.s, col)
                    if rows.until == rows.first:
                        columns.until = columns.first    # no row of taps meets the image
                add_taps(p, l, &t, b.vectors, &columns, col, y + (col * p.k + k) * l.width)


cdef void convolve_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    cdef const BatchCall *call = <const BatchCall *>data
    cdef const Problem *p = call.p
    cdef const BatchLayout *l = call.l
    cdef BatchBlock b = block_of(p, l, index)
    cdef Py_ssize_t row
    read_images(p, l, &b, scratch)
    for row in range(b.rows):
        multiply_row(p, l, &b, <const floating *>call.filters + b.group * l.group_size, scratch,
                     scratch + l.y_at + row * l.y_row, row)
    write_images(p, l, &b, <const floating *>(scratch + l.y_at))


cdef double work(const Problem *p) noexcept nogil:
    return 1.0 * p.n * p.groups * p.k * p.oh * p.ow * (p.c * p.r * p.s + 8) / 40


cdef inline Py_ssize_t total_bytes(const BatchLayout *l, Py_ssize_t size) noexcept nogil:
    return (l.filters_size + l.team * l.thread_size) * size


cdef int forward(const Problem *p, const floating *unused) except -1:
    """Returns 0, with nothing done, where one thread would take too much scratch, and 2 where weights are not finite
    and taps would be left out."""
    cdef BatchLayout l = lay_out(p, 1, unused)
    cdef BatchCall call
    cdef Block memory
    if total_bytes(&l, sizeof(floating)) > MOST:
        return 0
    l = lay_out(p, threads.team(work(p)), unused)
    memory = take(total_bytes(&l, sizeof(floating)))
    call.p, call.l, call.filters = p, &l, memory.data
    arrange_filters(p, &l, <floating *>memory.data)
    if not inside(p) and not all_finite(p, &l, <const floating *>memory.data):
        return 2
    with nogil:
        in_parallel(convolve_unit[floating], &call, l.image_blocks * p.groups * l.row_blocks, l.team, EVENLY,
                    <floating *>memory.data + l.filters_size, l.thread_size)
    return 1


cdef bint all_finite(const Problem *p, const BatchLayout *l, const floating *filters) noexcept nogil:
    """Whether all weights are."""
    cdef Py_ssize_t group
    for group in range(p.groups):
        if not are_finite(filters + group * l.group_size, p.k * p.c * p.r * p.s):
            return False
    return True


cdef bint meets_others(const Problem *p) noexcept nogil:
    """Whether there is something else than zeros around the image."""
    return not inside(p) and (p.padding != 0 or p.value != 0)


def conv2d(Convolution conv not None):
    """As the matrix product's forward.pyx."""
    cdef int done
    if cnp.PyArray_SIZE(conv.y) == 0:
        return
    if meets_others(&conv.problem):
        product.conv2d(conv)
        return
    done = forward[float](&conv.problem, NULL) if conv.single else forward[double](&conv.problem, NULL)
    if done == 0:
        parts.convolve(conv2d, workspace, conv)
    elif done == 2:
        product.conv2d(conv)


def workspace(Convolution conv not None, bint alone):
    """As the matrix product's forward.pyx."""
    if meets_others(&conv.problem):
        return product.workspace(conv, alone)
    return scratch_bytes[float](&conv.problem, alone, NULL) if conv.single else scratch_bytes[double](
        &conv.problem, alone, NULL)


cdef Py_ssize_t scratch_bytes(const Problem *p, bint alone, const floating *unused) noexcept:
    cdef BatchLayout l = lay_out(p, 1 if alone else threads.team(work(p)), unused)
    return total_bytes(&l, sizeof(floating))


def laid_out(problem):
    """How a ConvProblem is cut on one thread, for cost.py."""
    cdef Problem p = record_of(problem)
    return (lay_out(&p, 1, <const float *>NULL) if problem.itemsize == sizeof(float)
            else lay_out(&p, 1, <const double *>NULL))
