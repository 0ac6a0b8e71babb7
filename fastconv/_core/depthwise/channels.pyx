"""Depthwise convolution where the channels of a pixel of y lie side by side in memory (NHWC): channels in the vector lanes.

    parallel for image, group of channels, piece of columns, piece of rows:                                   (forward)
        for block of channels (a vector): micro-kernel: slides along the piece, at most FC_SLIDING_ROWS rows together -> y
        activation, while the piece is in L1 or L2

    parallel for chunk of (image, piece of columns, piece of rows), group of channels:                        (weight gradient)
        for image, piece; for block of channels: micro-kernel, sums of all taps
    add the chunks' sums up, in order

A piece is a run of outputs whose distance is the dilation, so that within it the filter has none: with a dilation of 2 the
even outputs and the odd ones are pieces of their own. The rows of a piece, R - 1 more than it has outputs, stay in L2 until the
piece below wants them again.

x is read in place through tables of row and column offsets, in which padding of any mode is just another offset, or none.
Where that cannot be (channels that do not lie side by side, several filters a channel, fewer channels than a vector has) or
the kernels that slide do not serve (other filters than 3 x 3, 5 x 5 and 7 x 7, other strides than 1 and 2), each block's
part of the image is first copied into a band (L1), of only the rows and columns that a tap meets. Where a vector holds
several pixels, the band is the image's rows with their padding, and a vector of it begins at any pixel.

The last block of channels overlaps the one before. Nothing depends on the number of threads, so neither do the bits.
"""

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy, memset

from fastconv._core.runtime cimport threads
from fastconv._core.problem.band cimport source
from fastconv._core.runtime.isa cimport kernels
from fastconv._core.runtime.kernels cimport FC_OUTSIDE, FC_SLIDING_ROWS, FC_STRIDE_11, FC_STRIDE_12, FC_STRIDE_22
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport activate, ceildiv, elements, part, rounded

cdef enum:
    MOST_LANES = 16
    MOST_ROWS = 13             # of the image that FC_SLIDING_ROWS rows of outputs meet: 7 taps, stride 2
    IN_PLACE_BYTES = 512 << 10 # of the image that a piece meets, where x is read in place: half of L2
    BAND_BYTES = 24 << 10      # of a band: L1
    BAND_COLUMNS = 32          # outputs
    PLANES_BYTES = 64 << 10    # of planes that are transposed together: L2
    PLANES_COLUMNS = 256
    UNITS = 16                 # of work, at least, where channels can be divided
    FEWEST_BLOCKS = 4          # of a group of channels
    MOST_CHUNKS = 64           # of a weight gradient
    FEWEST_PIXELS = 512        # of a chunk
    AHEAD_BYTES = 8 << 20      # of x, from which a prefetch pays
    ALIGN_FROM = 4             # blocks of channels, from which one more pays to have the others begin where cache lines do


cdef inline Py_ssize_t pixels_of_vector(Py_ssize_t channels, Py_ssize_t filters, Py_ssize_t x_pixel, Py_ssize_t y_pixel, int lanes,
                                        Py_ssize_t stride_w, Py_ssize_t dilation_w) noexcept:
    """How many pixels, so many elements apart in x and y, are computed side by side in one vector."""
    if channels == filters and x_pixel == channels and y_pixel == filters and stride_w == 1 and dilation_w == 1:
        return max(1, lanes // filters)
    return 1


cdef bint channels_in_lanes(const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *y, const Py_ssize_t *y_strides,
                            Py_ssize_t size, int lanes, Py_ssize_t stride_w, Py_ssize_t dilation_w) noexcept:
    """Whether this module is the one for arrays of such shapes and strides (in bytes)."""
    if y[1] == 1 or y_strides[1] != size or (y[3] > 1 and y_strides[3] == size):
        return False
    if y[2] == 1 and y[3] == 1 and x_strides[1] != size:    # one pixel has its channels side by side in any layout
        return False
    if x[1] == 1 and y[3] > 1:    # no lanes to fill from x
        return False
    return 2 * y[1] >= lanes or (x_strides[1] == size and pixels_of_vector(
        x[1], y[1], elements(x_strides[3], size), elements(y_strides[3], size), lanes, stride_w, dilation_w) > 1)


cdef void measure_axis(Axis *axis, Py_ssize_t outputs, Py_ssize_t most, Py_ssize_t taps, Py_ssize_t stride,
                       Py_ssize_t dilation) noexcept nogil:
    """The sizes of an axis whose outputs are cut into pieces of at most `most`. Output i is of phase i % dilation, and the phases
    have one of two numbers of outputs."""
    cdef Py_ssize_t phases = min(dilation, outputs), i, count, of_count, parts
    axis.taps, axis.step, axis.outputs, axis.most = taps, dilation, outputs, most
    axis.stride = min(stride, taps)    # beyond that there are pixels that no tap meets
    axis.pieces = axis.longest = axis.positions = 0
    for i in range(2):
        count = outputs // phases + i
        of_count = outputs % phases if i else phases - outputs % phases
        if of_count == 0:
            continue
        parts = ceildiv(count, most)
        axis.pieces += of_count * parts
        axis.positions += of_count * (count * axis.stride + parts * (taps - axis.stride))
        axis.longest = max(axis.longest, (ceildiv(count, parts) - 1) * axis.stride + taps)


cdef Py_ssize_t axis_bytes(const Axis *axis) noexcept nogil:
    """Of the tables of `cut`."""
    return axis.pieces * sizeof(Piece) + axis.positions * sizeof(Py_ssize_t)


cdef Block cut(Axis *axis, Py_ssize_t stride, Py_ssize_t origin, Py_ssize_t size, Py_ssize_t step, int padding):
    """Cuts the outputs of a measured axis into pieces and looks up their positions. Returns the memory of the tables.

    With p the first output of a piece, and dilation D, output p + D i meets tap t at
    (p + D i) stride - origin + D t = p stride - origin + D (i stride + t).
    """
    cdef Py_ssize_t phase, dilation = axis.step, taps = axis.taps, count, parts, i, q, n = 0, positions = 0, begin, distance
    cdef Block tables = take(axis_bytes(axis))
    axis.piece = <Piece *>tables.data
    axis.offsets = <Py_ssize_t *>(axis.piece + axis.pieces)
    for phase in range(min(dilation, axis.outputs)):
        count = ceildiv(axis.outputs - phase, dilation)
        parts = ceildiv(count, axis.most)
        for i in range(parts):
            begin = part(count, parts, i)
            axis.piece[n].first = phase + dilation * begin
            axis.piece[n].count = part(count, parts, i + 1) - begin
            axis.piece[n].table = positions
            for q in range((axis.piece[n].count - 1) * axis.stride + taps):
                distance = q if stride <= taps else q // taps * stride + q % taps
                distance = source(axis.piece[n].first * stride - origin + dilation * distance, size, padding) if size else -1
                axis.offsets[positions] = FC_OUTSIDE if distance < 0 else distance * step
                positions += 1
            n += 1
    return tables


cdef void measure(Shape *g, const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *w, const Py_ssize_t *w_strides,
                  const Py_ssize_t *y, const Py_ssize_t *y_strides, Py_ssize_t size, int lanes, tuple stride, tuple dilation,
                  bint planes):
    """Sizes of a call whose result is not empty; strides come in bytes."""
    cdef Py_ssize_t stride_h, stride_w, dilation_h, dilation_w, most_rows, most_columns, pieces
    g.n, g.c, g.h, g.w = x[0], x[1], x[2], x[3]
    g.k, g.r, g.s = w[0], w[2], w[3]
    g.oh, g.ow = y[2], y[3]
    g.multiplier, g.taps, g.lanes = g.k // g.c, g.r * g.s, lanes
    g.xn, g.xc = elements(x_strides[0], size), elements(x_strides[1], size)
    g.xh, g.xw = elements(x_strides[2], size), elements(x_strides[3], size)
    g.yn, g.yk = elements(y_strides[0], size), elements(y_strides[1], size)
    g.yh, g.yw = elements(y_strides[2], size), elements(y_strides[3], size)
    g.wk, g.wr, g.ws = elements(w_strides[0], size), elements(w_strides[2], size), elements(w_strides[3], size)
    stride_h, stride_w = stride
    dilation_h, dilation_w = dilation
    # Where there is one output or one tap, any step will do.
    if g.oh == 1:
        stride_h = 1 if g.ow == 1 else stride_w
    if g.ow == 1:
        stride_w = stride_h
    dilation_h = 1 if g.r == 1 else dilation_h
    dilation_w = 1 if g.s == 1 else dilation_w
    g.stride_h, g.stride_w = stride_h, stride_w

    g.planes = planes
    g.pixels = pixels_of_vector(g.c, g.k, g.xw, g.yw, lanes, stride_w, dilation_w) if g.xc == 1 and not planes else 1
    g.strides = -1
    if g.r == g.s and g.s in (3, 5, 7) and stride_h <= 2:
        if stride_h == stride_w and g.pixels == 1:
            g.strides = FC_STRIDE_11 if stride_h == 1 else FC_STRIDE_22
        elif stride_h == 1 and g.pixels == 2:
            g.strides = FC_STRIDE_12
    g.in_place = g.strides >= 0 and (planes or (g.multiplier == 1 and (g.xc == 1 or g.c == 1) and g.k >= lanes))
    g.shift, g.blocks = lanes, ceildiv(g.k, lanes)
    most_columns = BAND_COLUMNS * g.pixels
    if g.in_place:
        most_columns = max(16, IN_PLACE_BYTES // (((FC_SLIDING_ROWS - 1) * stride_h + g.r) * stride_w * g.k * size))
    if g.in_place and planes:
        most_columns = PLANES_COLUMNS
    measure_axis(&g.columns, g.ow, most_columns, g.s, stride_w, dilation_w)
    g.tap = lanes if g.pixels == 1 else g.k
    g.pitch = ceildiv(g.columns.longest * g.tap, lanes) * lanes
    most_rows = FC_SLIDING_ROWS
    if planes:
        most_rows = max(most_rows, (PLANES_BYTES // (g.w * lanes * size + 1) - g.r) // min(stride_h, g.r) + 1)
    elif not g.in_place:
        most_rows = max(most_rows, (BAND_BYTES // (g.pitch * size) - g.r) // min(stride_h, g.r) + 1)
    measure_axis(&g.rows, g.oh, most_rows, g.r, stride_h, dilation_h)
    g.band_size = 0 if g.in_place else rounded(g.rows.longest * g.pitch)

    pieces = g.n * g.rows.pieces * g.columns.pieces
    g.groups = g.blocks if planes else max(1, min(ceildiv(UNITS, pieces), (g.blocks - 1) // FEWEST_BLOCKS))
    g.ahead = FC_SLIDING_ROWS * stride_h * g.xh if g.n * g.c * g.h * g.w * size >= AHEAD_BYTES and dilation_h == 1 else 0


cdef Py_ssize_t table_bytes(const Shape *g) noexcept nogil:
    """Of the tables of lay_out."""
    return axis_bytes(&g.columns) + axis_bytes(&g.rows) + g.columns.longest * sizeof(Py_ssize_t)


cdef list lay_out(Shape *g, tuple origin, int padding):
    """The tables of what is measured. Returns their memory."""
    cdef Py_ssize_t q, top, left
    top, left = origin
    cdef Block columns = cut(&g.columns, g.stride_w, left, g.w, g.lanes if g.planes else g.xw, padding)
    cdef Block rows = cut(&g.rows, g.stride_h, top, g.h, g.xh, padding)
    cdef Block band_columns = take(g.columns.longest * sizeof(Py_ssize_t))
    g.band_columns = <Py_ssize_t *>band_columns.data
    for q in range(g.columns.longest):
        g.band_columns[q] = q * g.tap
    return [columns, rows, band_columns]


cdef void align(Shape *g, const floating *x) noexcept nogil:
    """Moves the vectors of channels, but for the first one, to where cache lines begin: a vector that lies in two of them
    costs two loads."""
    cdef Py_ssize_t past = <uintptr_t>x // sizeof(floating) % g.lanes
    if g.in_place and past and g.blocks >= ALIGN_FROM and g.xn % g.lanes == 0 and g.xh % g.lanes == 0 and g.xw % g.lanes == 0:
        g.shift = g.lanes - past
        g.blocks = 1 + ceildiv(g.k - g.shift, g.lanes)


cdef inline Py_ssize_t first_channel(const Shape *g, Py_ssize_t block) noexcept nogil:
    """The first channel of a vector. Only the first and the last two vectors overlap, those of planes do not."""
    if g.planes:
        return block * g.lanes
    return min(g.shift + (block - 1) * g.lanes, max(0, g.k - g.lanes)) if block else 0


cdef inline Py_ssize_t first_block(const Shape *g, Py_ssize_t group) noexcept nogil:
    """Of a group. Vectors that overlap belong to one group."""
    return g.blocks if group == g.groups else part(g.blocks - 1, g.groups, group)


cdef inline Py_ssize_t filled(const Shape *g) noexcept nogil:
    """Lanes of a vector that count."""
    return min(g.lanes, g.k * g.pixels)


cdef void fill_rows(const Shape *g, const floating *image, const Piece *rows, const Piece *columns, floating value,
                    floating *band) noexcept nogil:
    """The same where a vector holds several pixels: pixels side by side, as in the image."""
    cdef const Py_ssize_t *row = g.rows.offsets + rows.table
    cdef const Py_ssize_t *column = g.columns.offsets + columns.table
    cdef Py_ssize_t n_rows = (rows.count - 1) * g.rows.stride + g.r, n_columns = columns.count - 1 + g.s, b, q, end, i
    for b in range(n_rows):
        q = 0
        while q < n_columns:
            end = q + 1
            if row[b] == FC_OUTSIDE or column[q] == FC_OUTSIDE:
                for i in range(q * g.k, end * g.k):
                    band[i] = value
            else:
                while end < n_columns and column[end] == column[end - 1] + g.xw:
                    end += 1
                memcpy(band + q * g.k, image + row[b] + column[q], (end - q) * g.k * sizeof(floating))
            q = end
        for i in range(n_columns * g.k, g.pitch):
            band[i] = 0    # read with the last vector, does not count
        band += g.pitch


cdef void fill_band(const Shape *g, const floating *image, Py_ssize_t k0, const Piece *rows, const Piece *columns, floating value,
                    floating *band) noexcept nogil:
    """Copies what the outputs of a piece of rows and columns meet, for a vector of filters from k0 on."""
    cdef const Py_ssize_t *row = g.rows.offsets + rows.table
    cdef const Py_ssize_t *column = g.columns.offsets + columns.table
    cdef Py_ssize_t n_rows = (rows.count - 1) * g.rows.stride + g.r, n_columns = (columns.count - 1) * g.columns.stride + g.s
    cdef Py_ssize_t filters = min(g.lanes, g.k - k0), b, q, f
    cdef Py_ssize_t channel[MOST_LANES]   # where each lane's channel begins
    cdef floating *pixel
    if g.pixels > 1:
        fill_rows(g, image, rows, columns, value, band)
        return
    if g.multiplier == 1 and (g.xc == 1 or g.c == 1):
        if floating is float:
            kernels.f32.band_pixels(image + k0, row, n_rows, column, n_columns, <int>filters, value, band, g.pitch)
        else:
            kernels.f64.band_pixels(image + k0, row, n_rows, column, n_columns, <int>filters, value, band, g.pitch)
        return
    for f in range(filters):
        channel[f] = (k0 + f) // g.multiplier * g.xc
    for b in range(n_rows):
        for q in range(n_columns):
            pixel = band + b * g.pitch + q * g.lanes
            for f in range(g.lanes):
                if f >= filters or row[b] == FC_OUTSIDE or column[q] == FC_OUTSIDE:
                    pixel[f] = value
                else:
                    pixel[f] = image[channel[f] + row[b] + column[q]]


# ---------------------------------------------------------------------------------------------------------------------
# Forward


cdef bint pack_block(const Shape *g, const floating *w, Py_ssize_t n, floating *packed, floating *scratch) noexcept nogil:
    """n filters for one vector, w being the first one; scratch holds them once. Returns whether all weights are finite."""
    cdef Py_ssize_t filter = g.wk, step = g.lanes, i, r, s
    if (g.s == 1 or g.ws == -1) and (g.r == 1 or g.wr == -g.s):    # the filters of a data gradient, turned around
        w -= g.taps - 1
        packed += (g.taps - 1) * step
        step = -step
    elif not ((g.s == 1 or g.ws == 1) and (g.r == 1 or g.wr == g.s)):
        for i in range(n):
            for r in range(g.r):
                for s in range(g.s):
                    scratch[i * g.taps + r * g.s + s] = w[i * g.wk + r * g.wr + s * g.ws]
        w, filter = scratch, g.taps
    if floating is float:
        return kernels.f32.pack_filters(w, filter, <int>n, g.taps, packed, step)
    return kernels.f64.pack_filters(w, filter, <int>n, g.taps, packed, step)


cdef Py_ssize_t packed_size(const Shape *g) noexcept nogil:
    """One block more may be needed to align the others."""
    return rounded((g.blocks + 2) * (g.taps + 1) * g.lanes)


cdef void pack(const Shape *g, const floating *w, const floating *bias, Py_ssize_t bias_step, floating value, floating *memory,
               Filters *filters) noexcept nogil:
    cdef Py_ssize_t block, lane, k, t
    cdef floating *packed = memory
    cdef floating *packed_bias = packed + g.blocks * g.taps * g.lanes
    cdef floating *outside = packed_bias + g.blocks * g.lanes
    cdef bint finite = True
    for block in range(g.blocks):
        k = first_channel(g, block)
        if g.taps:
            finite &= pack_block(g, w + k * g.wk, min(g.lanes, g.k - k), packed + block * g.taps * g.lanes, outside + g.lanes)
        for lane in range(g.lanes):
            packed_bias[block * g.lanes + lane] = bias[(k + lane) * bias_step] if bias != NULL and k + lane < g.k else 0
    for t in range((g.taps + 1) * g.lanes if g.pixels > 1 else 0):    # every pixel of a vector has the same filters
        if t % g.lanes >= g.k:
            packed[t] = packed[t - g.k]
    for lane in range(g.lanes):
        outside[lane] = value
    filters.w, filters.bias, filters.outside, filters.idle = packed, packed_bias, outside, finite and value == 0


cdef inline void slide(const Shape *g, const floating **rows, const Py_ssize_t *columns, Py_ssize_t n_rows, Py_ssize_t width,
                       const Filters *filters, Py_ssize_t block, floating *y, Py_ssize_t y_row, Py_ssize_t y_col,
                       Py_ssize_t lanes) noexcept nogil:
    """width counts vectors, of which `lanes` lanes are stored."""
    if floating is float:
        kernels.f32.slide[g.strides][g.s // 2][n_rows](
            rows, columns, width, <float *>filters.outside, filters.idle, <float *>filters.w + block * g.taps * g.lanes,
            <float *>filters.bias + block * g.lanes, y, y_row, y_col, <int>lanes, g.ahead if g.in_place else 0)
    else:
        kernels.f64.slide[g.strides][g.s // 2][n_rows](
            rows, columns, width, <double *>filters.outside, filters.idle, <double *>filters.w + block * g.taps * g.lanes,
            <double *>filters.bias + block * g.lanes, y, y_row, y_col, <int>lanes, g.ahead if g.in_place else 0)


cdef void slide_piece(const Shape *g, Py_ssize_t n_rows, const Piece *columns, const Py_ssize_t *row_offsets, const floating *x,
                      const Filters *filters, Py_ssize_t block, floating *y, Py_ssize_t y_row, Py_ssize_t y_col,
                      Py_ssize_t lanes) noexcept nogil:
    """In place, x being the block's first channel."""
    cdef const floating *rows[MOST_ROWS]
    cdef Py_ssize_t parts = ceildiv(n_rows, FC_SLIDING_ROWS), i, b, begin, count
    for i in range(parts):
        begin = part(n_rows, parts, i)
        count = part(n_rows, parts, i + 1) - begin
        for b in range((count - 1) * g.rows.stride + g.r):
            rows[b] = x + row_offsets[begin * g.rows.stride + b] if row_offsets[begin * g.rows.stride + b] != FC_OUTSIDE else NULL
        slide(g, rows, g.columns.offsets + columns.table, count, columns.count, filters, block, y + begin * y_row, y_row, y_col, lanes)


cdef void convolve_band(const Shape *g, const Filters *filters, Py_ssize_t block, Py_ssize_t n_rows, Py_ssize_t width, floating *y,
                        Py_ssize_t y_row, Py_ssize_t y_col, Py_ssize_t lanes, const floating *band) noexcept nogil:
    """width counts vectors, of which `lanes` lanes are stored."""
    cdef const floating *rows[MOST_ROWS]
    cdef Py_ssize_t i, b, parts, begin, count
    if g.strides < 0:
        if floating is float:
            kernels.f32.depthwise_channels(band, g.rows.stride * g.pitch, g.columns.stride * g.pixels * g.tap, g.pitch, g.tap,
                                           g.r, g.s, <float *>filters.w + block * g.taps * g.lanes,
                                           <float *>filters.bias + block * g.lanes, y, y_row, y_col, n_rows, width, <int>lanes)
        else:
            kernels.f64.depthwise_channels(band, g.rows.stride * g.pitch, g.columns.stride * g.pixels * g.tap, g.pitch, g.tap,
                                           g.r, g.s, <double *>filters.w + block * g.taps * g.lanes,
                                           <double *>filters.bias + block * g.lanes, y, y_row, y_col, n_rows, width, <int>lanes)
        return
    parts = ceildiv(n_rows, FC_SLIDING_ROWS)
    for i in range(parts):
        begin = part(n_rows, parts, i)
        count = part(n_rows, parts, i + 1) - begin
        for b in range((count - 1) * g.rows.stride + g.r):
            rows[b] = band + (begin * g.rows.stride + b) * g.pitch
        slide(g, rows, g.band_columns, count, width, filters, block, y + begin * y_row, y_row, y_col, lanes)


cdef void convolve_unit(const Shape *g, const floating *x, const Filters *filters, floating *y, floating value, Py_ssize_t unit,
                        floating *band) noexcept nogil:
    """One (image, group of channels, piece of columns, piece of rows), rows fastest."""
    cdef const Piece *rows = g.rows.piece + unit % g.rows.pieces
    cdef const Piece *columns = g.columns.piece + unit // g.rows.pieces % g.columns.pieces
    cdef Py_ssize_t rest = unit // (g.rows.pieces * g.columns.pieces), group = rest % g.groups, image = rest // g.groups
    cdef Py_ssize_t vectors = columns.count // g.pixels, left = columns.count % g.pixels    # whole ones, pixels of the last
    cdef Py_ssize_t y_row = g.rows.step * g.yh, y_col = g.columns.step * g.yw * g.pixels, block, k0, first
    x += image * g.xn
    y += image * g.yn + rows.first * g.yh + columns.first * g.yw
    for block in range(first_block(g, group), first_block(g, group + 1)):
        k0 = first_channel(g, block)
        if g.in_place:
            slide_piece(g, rows.count, columns, g.rows.offsets + rows.table, x + k0, filters, block, y + k0, y_row, y_col, g.lanes)
            continue
        fill_band(g, x, k0, rows, columns, value, band)
        if vectors:
            convolve_band(g, filters, block, rows.count, vectors, y + k0, y_row, y_col, filled(g), band)
        if left:
            convolve_band(g, filters, block, rows.count, 1, y + vectors * g.pixels * g.yw, y_row, y_col, left * g.k,
                          band + vectors * g.pixels * g.tap)
    if g.activation:
        first = first_channel(g, first_block(g, group))
        activate_piece(g, y + first, rows.count, columns.count,
                       (g.k if group == g.groups - 1 else first_channel(g, first_block(g, group + 1))) - first)


cdef void activate_piece(const Shape *g, floating *y, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t y_row = g.rows.step * g.yh, y_col = g.columns.step * g.yw, i, j
    for i in range(rows):
        if channels == y_col:
            activate(g.activation, y + i * y_row, columns * channels, g.slope)
        else:
            for j in range(columns):
                activate(g.activation, y + i * y_row + j * y_col, channels, g.slope)


cdef double work(const Shape *g) noexcept nogil:
    """Nanoseconds on one thread: what an output costs in memory traffic, plus its taps."""
    return g.n * g.k * g.oh * g.ow * (0.08 + 0.02 * g.taps)


cdef Py_ssize_t convolve_bytes(const Shape *g, Py_ssize_t size, int team) noexcept nogil:
    """What convolve takes, with so many threads."""
    return (packed_size(g) + team * g.band_size) * size


cdef convolve(Shape *g, const floating *x, const floating *w, const floating *bias, Py_ssize_t bias_step, floating *y,
              floating value):
    """y = activation(depthwise convolution of x with w + bias)."""
    cdef int team = threads.team(work(g))
    cdef Py_ssize_t unit, units = g.n * g.groups * g.rows.pieces * g.columns.pieces
    cdef Block memory = take(convolve_bytes(g, sizeof(floating), team))
    cdef floating *packed = <floating *>memory.data
    cdef floating *bands = packed + packed_size(g)
    if g.strides == FC_STRIDE_22:    # with stride 1 an output has fewer loads, and they are not the limit
        align(g, x)
    cdef Filters filters
    with nogil:
        pack(g, w, bias, bias_step, value, packed, &filters)
        if team == 1:
            for unit in range(units):
                convolve_unit(g, x, &filters, y, value, unit, bands)
        else:
            for unit in prange(units, num_threads=team, schedule="static"):
                convolve_unit(g, x, &filters, y, value, unit, bands + threadid() * g.band_size)


# ---------------------------------------------------------------------------------------------------------------------
# Weight gradient


cdef inline void slide_weight(const Shape *g, const floating **rows, const Py_ssize_t *columns, Py_ssize_t n_rows, Py_ssize_t width,
                              const floating *outside, const floating *dy, Py_ssize_t dy_row, Py_ssize_t dy_col, Py_ssize_t lanes,
                              floating *sums) noexcept nogil:
    cdef Py_ssize_t ahead = g.ahead if g.in_place else 0
    if floating is float:
        kernels.f32.slide_weight[g.rows.stride - 1][g.s // 2](rows, columns, n_rows, width, outside, dy, dy_row, dy_col,
                                                              <int>lanes, ahead, sums)
    else:
        kernels.f64.slide_weight[g.rows.stride - 1][g.s // 2](rows, columns, n_rows, width, outside, dy, dy_row, dy_col,
                                                              <int>lanes, ahead, sums)


cdef void slide_weight_piece(const Shape *g, Py_ssize_t n_rows, const Piece *columns, const Py_ssize_t *row_offsets,
                             const floating *x, const floating *outside, const floating *dy, Py_ssize_t dy_row, Py_ssize_t dy_col,
                             Py_ssize_t lanes, floating *sums) noexcept nogil:
    """In place, x and dy being the block's first channel."""
    cdef const floating *rows[MOST_ROWS]
    cdef Py_ssize_t parts = ceildiv(n_rows, FC_SLIDING_ROWS), i, b, begin, count
    for i in range(parts):
        begin = part(n_rows, parts, i)
        count = part(n_rows, parts, i + 1) - begin
        for b in range((count - 1) * g.rows.stride + g.r):
            rows[b] = x + row_offsets[begin * g.rows.stride + b] if row_offsets[begin * g.rows.stride + b] != FC_OUTSIDE else NULL
        slide_weight(g, rows, g.columns.offsets + columns.table, count, columns.count, outside, dy + begin * dy_row, dy_row, dy_col,
                     lanes, sums)


cdef void correlate_band(const Shape *g, const floating *outside, Py_ssize_t n_rows, Py_ssize_t width, const floating *dy,
                         Py_ssize_t dy_row, Py_ssize_t dy_col, Py_ssize_t lanes, const floating *band, floating *sums) noexcept nogil:
    """width counts vectors, of whose lanes `lanes` count."""
    cdef const floating *rows[MOST_ROWS]
    cdef Py_ssize_t i, b, parts, begin, count
    if g.strides < 0 or g.pixels > 1:
        if floating is float:
            kernels.f32.depthwise_channels_weight(band, g.rows.stride * g.pitch, g.columns.stride * g.pixels * g.tap, g.pitch,
                                                  g.tap, g.r, g.s, dy, dy_row, dy_col, n_rows, width, <int>lanes, sums)
        else:
            kernels.f64.depthwise_channels_weight(band, g.rows.stride * g.pitch, g.columns.stride * g.pixels * g.tap, g.pitch,
                                                  g.tap, g.r, g.s, dy, dy_row, dy_col, n_rows, width, <int>lanes, sums)
        return
    parts = ceildiv(n_rows, FC_SLIDING_ROWS)
    for i in range(parts):
        begin = part(n_rows, parts, i)
        count = part(n_rows, parts, i + 1) - begin
        for b in range((count - 1) * g.rows.stride + g.r):
            rows[b] = band + (begin * g.rows.stride + b) * g.pitch
        slide_weight(g, rows, g.band_columns, count, width, outside, dy + begin * dy_row, dy_row, dy_col, lanes, sums)


cdef void add_run(const floating *sums, Py_ssize_t n, double *totals) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        totals[i] += sums[i]


cdef void correlate_chunk(const Shape *g, const floating *x, const floating *dy, floating value, const floating *outside,
                          Py_ssize_t group, Py_ssize_t begin, Py_ssize_t end, floating *band, double *totals,
                          floating *sums) noexcept nogil:
    """Sums of a group of channels over (image, piece of columns, piece of rows) from begin until end; totals are scratch."""
    cdef Py_ssize_t first = first_block(g, group), last = first_block(g, group + 1), unit, image, block, k0, vectors, left
    cdef const Piece *rows
    cdef const Piece *columns
    cdef const floating *image_x
    cdef const floating *image_dy
    cdef floating *block_sums
    cdef Py_ssize_t dy_row = g.rows.step * g.yh, dy_col = g.columns.step * g.yw * g.pixels
    cdef Py_ssize_t size = (last - first) * g.taps * g.lanes, pixels = 0, i
    cdef floating *group_sums = sums + first * g.taps * g.lanes
    memset(group_sums, 0, size * sizeof(floating))
    memset(totals, 0, size * sizeof(double))
    for unit in range(begin, end):
        rows = g.rows.piece + unit % g.rows.pieces
        columns = g.columns.piece + unit // g.rows.pieces % g.columns.pieces
        image = unit // (g.rows.pieces * g.columns.pieces)
        vectors, left = columns.count // g.pixels, columns.count % g.pixels
        if pixels + rows.count * vectors > RUN and pixels:
            add_run(group_sums, size, totals)
            memset(group_sums, 0, size * sizeof(floating))
            pixels = 0
        pixels += rows.count * vectors
        image_x = x + image * g.xn
        image_dy = dy + image * g.yn + rows.first * g.yh + columns.first * g.yw
        for block in range(first, last):
            k0 = first_channel(g, block)
            block_sums = sums + block * g.taps * g.lanes
            if g.in_place:
                slide_weight_piece(g, rows.count, columns, g.rows.offsets + rows.table, image_x + k0, outside, image_dy + k0, dy_row,
                                   dy_col, g.lanes, block_sums)
                continue
            fill_band(g, image_x, k0, rows, columns, value, band)
            if vectors:
                correlate_band(g, outside, rows.count, vectors, image_dy + k0, dy_row, dy_col, filled(g), band, block_sums)
            if left:
                correlate_band(g, outside, rows.count, 1, image_dy + vectors * g.pixels * g.yw, dy_row, dy_col, left * g.k,
                               band + vectors * g.pixels * g.tap, block_sums)
    add_run(group_sums, size, totals)
    for i in range(size):
        group_sums[i] = <floating>totals[i]


cdef Py_ssize_t chunks_of(const Shape *g) noexcept nogil:
    return max(1, min(min(g.n * g.rows.pieces * g.columns.pieces, MOST_CHUNKS), g.n * g.oh * g.ow // FEWEST_PIXELS))


cdef Py_ssize_t correlate_bytes(const Shape *g, Py_ssize_t size, int team) noexcept nogil:
    """What correlate takes, with so many threads; one block more may be needed to align the others."""
    cdef Py_ssize_t chunk_size = rounded((g.blocks + 1) * g.taps * g.lanes)
    return (MOST_LANES + chunks_of(g) * chunk_size + team * g.band_size) * size + team * chunk_size * <Py_ssize_t>sizeof(double)


cdef correlate(Shape *g, const floating *x, const floating *dy, floating *gradient, floating value):
    """gradient, of the weights: filters wk apart, each in one piece."""
    cdef int team = threads.team(work(g))
    cdef Py_ssize_t pieces = g.n * g.rows.pieces * g.columns.pieces, chunks = chunks_of(g), unit, i
    cdef Py_ssize_t chunk_size = rounded((g.blocks + 1) * g.taps * g.lanes)
    cdef Block memory = take(correlate_bytes(g, sizeof(floating), team))
    align(g, x)
    cdef floating *outside = <floating *>memory.data
    cdef floating *sums = outside + MOST_LANES
    cdef double *totals = <double *>(sums + chunks * chunk_size)
    cdef floating *bands = <floating *>(totals + team * chunk_size)
    with nogil:
        for i in range(MOST_LANES):
            outside[i] = value
        if team == 1:
            for unit in range(chunks * g.groups):
                correlate_chunk(g, x, dy, value, outside, unit % g.groups, unit // g.groups * pieces // chunks,
                                (unit // g.groups + 1) * pieces // chunks, bands, totals, sums + unit // g.groups * chunk_size)
        else:
            for unit in prange(chunks * g.groups, num_threads=team, schedule="static"):
                correlate_chunk(g, x, dy, value, outside, unit % g.groups, unit // g.groups * pieces // chunks,
                                (unit // g.groups + 1) * pieces // chunks, bands + threadid() * g.band_size,
                                totals + threadid() * chunk_size, sums + unit // g.groups * chunk_size)
        add_up(g, chunks, chunk_size, sums, gradient)


cdef void add_up(const Shape *g, Py_ssize_t chunks, Py_ssize_t chunk_size, floating *sums, floating *gradient) noexcept nogil:
    """gradient, of filters wk apart, from the chunks' sums, [block][tap][lane]."""
    cdef Py_ssize_t i, j, t, k, block, lane
    for i in range(1, chunks):
        for j in range(g.blocks * g.taps * g.lanes):
            sums[j] += sums[i * chunk_size + j]
    for t in range(g.taps if g.pixels > 1 else 0):    # add the pixels of a vector up
        for lane in range(g.k, g.k * g.pixels):
            sums[t * g.lanes + lane % g.k] += sums[t * g.lanes + lane]
    for block in range(g.blocks):
        k = first_channel(g, block)
        for lane in range(min(g.lanes, g.k - k)):
            for t in range(g.taps):
                gradient[(k + lane) * g.wk + t] = sums[(block * g.taps + t) * g.lanes + lane]
