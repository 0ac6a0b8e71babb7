"""The padded band: the rows of an image that a block of outputs needs, copied with their padding, so that no later loop
sees a border, a stride of the array or a stride of the filter.

    for row of the band: for column piece: for channel: copy the inside, then the columns outside the plane by the
    padding mode

Rows and columns are kept in pieces, so each filter tap reads consecutive elements and consecutive output rows lie one
pitch apart. A piece is one phase of the stride: with stride 2 the even columns, then the odd ones, and only the phases
that some tap needs. Where the dilation is so large that taps share nothing, each tap has a piece of its own. Where
channels are contiguous in memory (NHWC), blocks of pixels x channels are transposed in registers instead of copied one
by one.

Source: the band is the row buffer of direct convolution, see Zhang, Franchetti, Low, "High performance zero-memory
overhead direct convolutions" (2018).
"""

from cython cimport floating

from fastconv._core.runtime.isa cimport copy_rows, transpose, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_LANES


def pixel_of(Py_ssize_t position, Py_ssize_t size, int padding):
    """`source`, for Python."""
    return source(position, size, padding)


cdef Axis axis(Py_ssize_t extent, Py_ssize_t outputs, Py_ssize_t taps, Py_ssize_t stride,
               Py_ssize_t dilation) noexcept nogil:
    cdef Axis a
    cdef Py_ssize_t phases = 1
    a.extent, a.start, a.outputs, a.taps, a.stride, a.dilation = extent, 0, outputs, taps, stride, dilation
    if dilation > (outputs - 1) * stride:
        a.period, a.pieces, a.length = 0, taps, outputs
    else:
        while phases < taps and phases * dilation % stride:
            phases += 1
        a.period, a.pieces = phases, min(phases, taps)
        a.length = (taps - 1) * dilation // stride + outputs
    return a


cdef inline Py_ssize_t tap_position(const Axis *a, Py_ssize_t tap, Py_ssize_t piece_pitch,
                                    Py_ssize_t pitch) noexcept nogil:
    if a.period == 0:
        return tap * piece_pitch
    return tap % a.period * piece_pitch + tap * a.dilation // a.stride * pitch


cdef inline Py_ssize_t piece_start(const Axis *a, Py_ssize_t piece) noexcept nogil:
    """Source coordinate of a piece's first element; the next ones follow stride apart."""
    cdef Py_ssize_t offset = piece * a.dilation
    if a.period and offset >= a.stride:    # there are as many calls as rows: a division takes as long as a short copy
        offset %= a.stride
    return a.start + offset


cdef void layout(Band *band, Py_ssize_t slack) noexcept nogil:
    """Works out the pitches; slack is how many elements past a row's end may be read or written."""
    band.pitch = band.cols.pieces * band.cols.length
    band.channel_pitch = band.rows.pieces * band.rows.length * band.pitch + slack


cdef void tap_offsets(const Band *band, Py_ssize_t *taps) noexcept nogil:
    """Where each of the r * s filter taps finds output (0, 0)'s element."""
    cdef Py_ssize_t r, s
    for r in range(band.rows.taps):
        for s in range(band.cols.taps):
            taps[r * band.cols.taps + s] = (tap_position(&band.rows, r, band.rows.length * band.pitch, band.pitch)
                                            + tap_position(&band.cols, s, band.cols.length, 1))


cdef void fill_outside(const Band *band, const floating *row, Py_ssize_t first, Py_ssize_t lo, Py_ssize_t hi,
                       floating value, floating *dst) noexcept nogil:
    """Elements lo .. hi - 1 of a piece of a row, which lie outside the plane."""
    cdef Py_ssize_t i, col
    if band.padding == CONSTANT:
        for i in range(lo, hi):
            dst[i] = value
        return
    for i in range(lo, hi):
        col = source(first + i * band.cols.stride, band.cols.extent, band.padding)
        dst[i] = value if col < 0 else row[col * band.col_stride]


cdef inline Py_ssize_t steps(Py_ssize_t distance, Py_ssize_t stride) noexcept nogil:
    """How many steps cover a distance. There are as many calls as rows: a division takes as long as a short copy."""
    if stride == 1:
        return distance
    if stride == 2:
        return (distance + 1) >> 1
    return (distance + stride - 1) // stride


cdef inline void inside(const Axis *a, Py_ssize_t first, Py_ssize_t *lo, Py_ssize_t *hi) noexcept nogil:
    """Elements lo .. hi - 1 of a piece that begins at coordinate `first` lie inside the plane."""
    cdef Py_ssize_t width = a.extent - first
    lo[0] = 0 if first >= 0 else min(a.length, steps(-first, a.stride))
    if (a.length - 1) * a.stride < width:
        hi[0] = a.length
    else:
        hi[0] = lo[0] if width <= 0 else max(lo[0], steps(width, a.stride))


cdef void fill_piece(const Band *band, const floating *row, Py_ssize_t channel_stride, Py_ssize_t channels,
                     Py_ssize_t first, floating value, floating *dst) noexcept nogil:
    """One piece of one row, for all channels; row is the first channel's, first the piece's first source column."""
    cdef Py_ssize_t n = band.cols.length, stride = band.cols.stride, step = stride * band.col_stride
    cdef Py_ssize_t lo, hi, i, c, width
    cdef Py_ssize_t pixels[FC_MAX_LANES]
    cdef int lanes = vector_length(row)
    inside(&band.cols, first, &lo, &hi)
    if lo < hi and channel_stride == 1 and band.col_stride != 1 and channels >= 4:
        i = lo
        while i < hi:    # ascending: what a transpose writes past its last pixel is overwritten
            width = min(lanes, hi - i)
            for c in range(width):
                pixels[c] = (first + (i + c) * stride) * band.col_stride
            transpose(row, pixels, <int>width, channels, dst + i, band.channel_pitch)
            i += width
    elif lo < hi:
        copy_rows(row + (first + lo * stride) * band.col_stride, channel_stride, step, channels, hi - lo, dst + lo,
                  band.channel_pitch)
    if lo > 0 or hi < n:
        for c in range(channels):
            fill_outside(band, row + c * channel_stride, first, 0, lo, value, dst + c * band.channel_pitch)
            fill_outside(band, row + c * channel_stride, first, hi, n, value, dst + c * band.channel_pitch)


cdef void fill_rows(const Band *band, const floating *x, Py_ssize_t first_row, Py_ssize_t rows, floating value,
                    floating *dst) noexcept nogil:
    """So many rows of a piece of rows of one plane, from `first_row` of the plane on, all inside it."""
    cdef Py_ssize_t next_row = band.rows.stride * band.row_stride, piece, first, lo, hi, q
    cdef const floating *row = x + first_row * band.row_stride
    cdef floating *out
    for piece in range(band.cols.pieces):
        first, out = piece_start(&band.cols, piece), dst + piece * band.cols.length
        inside(&band.cols, first, &lo, &hi)
        if lo < hi:
            copy_rows(row + (first + lo * band.cols.stride) * band.col_stride, next_row,
                      band.cols.stride * band.col_stride, rows, hi - lo, out + lo, band.pitch)
        if lo > 0 or hi < band.cols.length:
            for q in range(rows):
                fill_outside(band, row + q * next_row, first, 0, lo, value, out + q * band.pitch)
                fill_outside(band, row + q * next_row, first, hi, band.cols.length, value, out + q * band.pitch)


cdef void fill(const Band *band, const floating *x, Py_ssize_t channel_stride, Py_ssize_t channels, floating value,
               floating *dst) noexcept nogil:
    """Fills `channels` planes of the band, channel_pitch apart; x is the first channel's plane."""
    cdef Py_ssize_t piece, q, h, column_piece, c, i, lo = 0, hi = 0
    cdef floating *out = dst
    for piece in range(band.rows.pieces):
        if channels == 1:
            inside(&band.rows, piece_start(&band.rows, piece), &lo, &hi)
            fill_rows(band, x, piece_start(&band.rows, piece) + lo * band.rows.stride, hi - lo, value,
                      out + lo * band.pitch)
        for q in range(band.rows.length):
            if lo <= q < hi:
                out += band.pitch
                continue
            h = source(piece_start(&band.rows, piece) + q * band.rows.stride, band.rows.extent, band.padding)
            if h < 0:
                for c in range(channels):
                    for i in range(band.pitch):
                        out[c * band.channel_pitch + i] = value
            else:
                for column_piece in range(band.cols.pieces):
                    fill_piece(band, x + h * band.row_stride, channel_stride, channels,
                               piece_start(&band.cols, column_piece), value, out + column_piece * band.cols.length)
            out += band.pitch


cdef void fill_pixels(const Band *band, const floating *x, Py_ssize_t channels, floating value,
                      floating *dst) noexcept nogil:
    """Fills one plane of pixels, each of `channels` elements that follow each other in x and in the band: pitches
    count pixels. The padding is `value`."""
    cdef Py_ssize_t piece, q, h, column_piece, first, lo, hi, i, row = band.pitch * channels
    cdef const floating *src
    cdef floating *out
    for piece in range(band.rows.pieces):
        for q in range(band.rows.length):
            h = source(piece_start(&band.rows, piece) + q * band.rows.stride, band.rows.extent, CONSTANT)
            if h < 0:
                for i in range(row):
                    dst[i] = value
            else:
                for column_piece in range(band.cols.pieces):
                    first = piece_start(&band.cols, column_piece)
                    inside(&band.cols, first, &lo, &hi)
                    out = dst + column_piece * band.cols.length * channels
                    src = x + h * band.row_stride + (first + lo * band.cols.stride) * band.col_stride
                    if band.cols.stride * band.col_stride == channels:
                        copy_rows(src, 0, 1, 1, (hi - lo) * channels, out + lo * channels, 0)
                    else:
                        copy_rows(src, band.cols.stride * band.col_stride, 1, hi - lo, channels, out + lo * channels,
                                  channels)
                    for i in range(lo * channels):
                        out[i] = value
                    for i in range(hi * channels, band.cols.length * channels):
                        out[i] = value
            dst += row
