"""Depthwise convolution with channels in the vector lanes: pieces of outputs, what they meet, and the band.

A piece is a run of outputs whose distance is the dilation, so that within it the filter has none: with a dilation of 2
the even outputs and the odd ones are pieces of their own. The rows of a piece, R - 1 more than it has outputs, stay in
L2 until the piece below wants them again.

x is read in place through tables of row and column offsets, in which padding of any mode is just another offset, or
none. Where that cannot be (channels that do not lie side by side, several filters a channel, fewer channels than a
vector has) or the kernels that slide do not serve (other filters than 3 x 3, 5 x 5 and 7 x 7, other strides than 1 and
2), each block's part of the image is first copied into a band (L1), of only the rows and columns that a tap meets.
Where a vector holds several pixels, the band is the image's rows with their padding, and a vector of it begins at any
pixel.

The last block of channels overlaps the one before. Nothing depends on the number of threads, so neither do the bits.
The loops are those of channels_forward.pyx and channels_gradient.pyx, or, where planes are transposed, of planes.pyx.
"""

from cython cimport floating
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from fastconv._core.problem.band cimport source
from fastconv._core.problem.convolution cimport Window
from fastconv._core.problem.problem cimport Problem, ceildiv, part, rounded
from fastconv._core.runtime.isa cimport band_pixels, kernels
from fastconv._core.runtime.kernels cimport (
    FC_MAX_LANES, FC_OUTSIDE, FC_SLIDING_ROWS, FC_STRIDE_11, FC_STRIDE_12, FC_STRIDE_22, fc_pixel_rows)
from fastconv._core.runtime.memory cimport Block, take

cdef enum:
    IN_PLACE_BYTES = 192 << 10    # of the image that a piece meets, where x is read in place: in L2, beside y
    BAND_BYTES = 24 << 10      # of a band: L1
    BAND_COLUMNS = 32          # outputs
    PLANES_BYTES = 64 << 10    # of planes that are transposed together: L2
    PLANES_COLUMNS = 256
    UNITS = 16                 # of work, at least, where channels can be divided
    FEWEST_BLOCKS = 4          # of a share of channels
    AHEAD_BYTES = 8 << 20      # of x, from which a prefetch pays
    ALIGN_FROM = 4             # blocks of channels, from which one more pays: the others begin where cache lines do


cdef inline Py_ssize_t pixels_of_vector(Py_ssize_t channels, Py_ssize_t filters, Py_ssize_t x_pixel,
                                        Py_ssize_t y_pixel, int lanes, Py_ssize_t stride_w,
                                        Py_ssize_t dilation_w) noexcept nogil:
    """How many pixels, so many elements apart in x and y, are computed side by side in one vector."""
    if channels == filters and x_pixel == channels and y_pixel == filters and stride_w == 1 and dilation_w == 1:
        return max(1, lanes // filters)
    return 1


cdef bint channels_in_lanes(const Problem *p, Window window, int lanes) noexcept:
    """Whether this module is the one for arrays of such shapes and strides."""
    cdef Py_ssize_t filters = p.groups * p.k
    if filters == 1 or p.yk != 1 or (p.ow > 1 and p.yw == 1):
        return False
    if p.oh == 1 and p.ow == 1 and p.xc != 1:    # one pixel has its channels side by side in any layout
        return False
    if p.groups == 1 and (p.ow > 1 or p.oh == 1):    # no lanes to fill from x, whose channel has no stride
        return False
    return 2 * filters >= lanes or (
        p.xc == 1 and pixels_of_vector(p.groups, filters, p.xw, p.yw, lanes, window.stride_w, window.dilation_w) > 1)


cdef void measure_axis(PieceAxis *axis, Py_ssize_t outputs, Py_ssize_t most, Py_ssize_t taps, Py_ssize_t stride,
                       Py_ssize_t dilation) noexcept nogil:
    """The sizes of an axis whose outputs are cut into pieces of at most `most`. Output i is of phase i % dilation, and
    the phases have one of two numbers of outputs."""
    cdef Py_ssize_t phases = min(dilation, outputs), i, count, of_count, parts
    axis.taps, axis.step, axis.outputs, axis.most = taps, dilation, outputs, most
    axis.image_stride = stride
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


cdef Py_ssize_t axis_bytes(const PieceAxis *axis) noexcept nogil:
    """Of the tables of `cut`."""
    return axis.pieces * sizeof(Piece) + axis.positions * sizeof(Py_ssize_t)


cdef Block cut(PieceAxis *axis, Py_ssize_t origin, Py_ssize_t size, Py_ssize_t step, int padding):
    """Cuts the outputs of a measured axis into pieces and looks up their positions. Returns the memory of the tables.

    With p the first output of a piece, and dilation D, output p + D i meets tap t at
    (p + D i) stride - origin + D t = p stride - origin + D (i stride + t).
    """
    cdef Py_ssize_t stride = axis.image_stride, dilation = axis.step, taps = axis.taps
    cdef Py_ssize_t phase, count, parts, i, q, n = 0, positions = 0, begin, distance
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
                distance = axis.piece[n].first * stride - origin + dilation * distance
                distance = source(distance, size, padding) if size else -1
                axis.offsets[positions] = FC_OUTSIDE if distance < 0 else distance * step
                positions += 1
            n += 1
    return tables


cdef void measure(const Problem *p, Py_ssize_t size, bint planes, ChannelLayout *l) noexcept nogil:
    """Sizes of a problem whose result is not empty, in planes or side by side."""
    cdef Py_ssize_t most_rows, most_columns, image_rows, pieces
    # Where there is one output or one tap, any step will do.
    cdef Py_ssize_t stride_h = p.stride_h if p.oh > 1 else 1 if p.ow == 1 else p.stride_w
    cdef Py_ssize_t stride_w = p.stride_w if p.ow > 1 else stride_h
    cdef Py_ssize_t dilation_h = 1 if p.r == 1 else p.dilation_h, dilation_w = 1 if p.s == 1 else p.dilation_w
    cdef bint beside = p.xc == 1 or p.groups == 1
    cdef int lanes = kernels.f32.vector if size == sizeof(float) else kernels.f64.vector
    l.lanes, l.size, l.planes = lanes, size, planes
    l.filters, l.taps = p.groups * p.k, p.r * p.s
    l.pixels = 1
    if p.xc == 1 and not planes:
        l.pixels = pixels_of_vector(p.groups, l.filters, p.xw, p.yw, lanes, stride_w, dilation_w)
    l.strides = -1
    if p.r == p.s and p.s in (3, 5, 7) and stride_h <= 2:
        if stride_h == stride_w and l.pixels == 1:
            l.strides = FC_STRIDE_11 if stride_h == 1 else FC_STRIDE_22
        elif stride_h == 1 and l.pixels == 2:
            l.strides = FC_STRIDE_12
    l.in_place = l.strides >= 0 and (planes or (p.k == 1 and beside and l.filters >= lanes))
    l.shift, l.blocks = lanes, ceildiv(l.filters, lanes)
    most_columns = BAND_COLUMNS * l.pixels
    if l.in_place:
        image_rows = (FC_SLIDING_ROWS - 1) * stride_h + p.r
        most_columns = max(16, IN_PLACE_BYTES // (image_rows * stride_w * l.filters * size))
    if l.in_place and planes:
        most_columns = PLANES_COLUMNS
    measure_axis(&l.columns, p.ow, most_columns, p.s, stride_w, dilation_w)
    l.tap = lanes if l.pixels == 1 else l.filters
    l.pitch = ceildiv(l.columns.longest * l.tap, lanes) * lanes
    most_rows = FC_SLIDING_ROWS
    if planes:
        most_rows = max(most_rows, (PLANES_BYTES // (p.w * lanes * size + 1) - p.r) // min(stride_h, p.r) + 1)
    elif not l.in_place:
        most_rows = max(most_rows, (BAND_BYTES // (l.pitch * size) - p.r) // min(stride_h, p.r) + 1)
    measure_axis(&l.rows, p.oh, most_rows, p.r, stride_h, dilation_h)
    l.band_size = 0 if l.in_place else rounded(l.rows.longest * l.pitch)

    pieces = p.n * l.rows.pieces * l.columns.pieces
    l.shares = l.blocks if planes else max(1, min(ceildiv(UNITS, pieces), (l.blocks - 1) // FEWEST_BLOCKS))
    l.ahead = 0
    if p.n * p.groups * p.h * p.w * size >= AHEAD_BYTES and dilation_h == 1:
        l.ahead = FC_SLIDING_ROWS * stride_h * p.xh


cdef Py_ssize_t table_bytes(const ChannelLayout *l) noexcept nogil:
    """Of the tables of lay_out."""
    return axis_bytes(&l.columns) + axis_bytes(&l.rows) + l.columns.longest * sizeof(Py_ssize_t)


cdef list lay_out(const Problem *p, ChannelLayout *l):
    """The tables of what is measured. Returns their memory."""
    cdef Py_ssize_t q
    cdef Block columns = cut(&l.columns, p.left, p.w, l.lanes if l.planes else p.xw, p.padding)
    cdef Block rows = cut(&l.rows, p.top, p.h, p.xh, p.padding)
    cdef Block band_columns = take(l.columns.longest * sizeof(Py_ssize_t))
    l.band_columns = <Py_ssize_t *>band_columns.data
    for q in range(l.columns.longest):
        l.band_columns[q] = q * l.tap
    return [columns, rows, band_columns]


cdef void align(const Problem *p, ChannelLayout *l) noexcept nogil:
    """Moves the vectors of channels, but for the first one, to where cache lines begin: a vector that lies in two of
    them costs two loads."""
    cdef Py_ssize_t past = <uintptr_t>p.x // l.size % l.lanes
    cdef bint alike = p.xn % l.lanes == 0 and p.xh % l.lanes == 0 and p.xw % l.lanes == 0    # all pixels
    if l.in_place and past and l.blocks >= ALIGN_FROM and alike:
        l.shift = l.lanes - past
        l.blocks = 1 + ceildiv(l.filters - l.shift, l.lanes)


cdef double work(const Problem *p) noexcept nogil:
    """Nanoseconds on one thread: what an output costs in memory traffic, plus its taps."""
    return p.n * p.groups * p.k * p.oh * p.ow * (0.08 + 0.02 * (p.r * p.s))


# ---------------------------------------------------------------------------------------------------------------------
# The band


cdef void fill_band(const Problem *p, const ChannelLayout *l, const PieceUnit *unit, const floating *image,
                    Py_ssize_t k0, floating *band) noexcept nogil:
    """Copies what the outputs of a unit meet, for a vector of filters from k0 on."""
    cdef fc_pixel_rows how
    if l.pixels > 1:
        fill_rows(p, l, unit, image, band)
        return
    how.rows, how.columns = l.rows.offsets + unit.rows.table, l.columns.offsets + unit.columns.table
    how.n_rows = (unit.rows.count - 1) * l.rows.stride + p.r
    how.n_columns = (unit.columns.count - 1) * l.columns.stride + p.s
    how.pitch, how.channels = l.pitch, <int>min(l.lanes, l.filters - k0)
    if p.k == 1 and (p.xc == 1 or p.groups == 1):
        band_pixels(&how, image + k0, <floating>p.value, band)
    else:
        gather(p, l, &how, image, k0, band)


cdef void fill_rows(const Problem *p, const ChannelLayout *l, const PieceUnit *unit, const floating *image,
                    floating *band) noexcept nogil:
    """The same where a vector holds several pixels: pixels side by side, as in the image."""
    cdef const Py_ssize_t *row = l.rows.offsets + unit.rows.table
    cdef const Py_ssize_t *column = l.columns.offsets + unit.columns.table
    cdef Py_ssize_t n_rows = (unit.rows.count - 1) * l.rows.stride + p.r, n_columns = unit.columns.count - 1 + p.s
    cdef Py_ssize_t channels = l.filters, b, q, end, i
    for b in range(n_rows):
        q = 0
        while q < n_columns:
            end = q + 1
            if row[b] == FC_OUTSIDE or column[q] == FC_OUTSIDE:
                for i in range(q * channels, end * channels):
                    band[i] = <floating>p.value
            else:
                while end < n_columns and column[end] == column[end - 1] + p.xw:
                    end += 1
                memcpy(band + q * channels, image + row[b] + column[q], (end - q) * channels * sizeof(floating))
            q = end
        for i in range(n_columns * channels, l.pitch):
            band[i] = 0    # read with the last vector, does not count
        band += l.pitch


cdef void gather(const Problem *p, const ChannelLayout *l, const fc_pixel_rows *how, const floating *image,
                 Py_ssize_t k0, floating *band) noexcept nogil:
    """The same where the filters' channels do not lie side by side, or several filters have one."""
    cdef Py_ssize_t channel[FC_MAX_LANES]   # where each lane's channel begins
    cdef Py_ssize_t b, q, f
    cdef floating *pixel
    for f in range(how.channels):
        channel[f] = (k0 + f) // p.k * p.xc
    for b in range(how.n_rows):
        for q in range(how.n_columns):
            pixel = band + b * l.pitch + q * l.lanes
            for f in range(l.lanes):
                if f >= how.channels or how.rows[b] == FC_OUTSIDE or how.columns[q] == FC_OUTSIDE:
                    pixel[f] = <floating>p.value
                else:
                    pixel[f] = image[channel[f] + how.rows[b] + how.columns[q]]
