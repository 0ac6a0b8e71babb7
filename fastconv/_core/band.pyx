"""The padded band: the rows of an image that a block of outputs needs, copied with their padding, so that no later loop
sees a border, a stride of the array or a stride of the filter.

    for channel: for row the block needs: for column phase: copy the inside (memcpy, or every stride_w-th element), then the
    columns outside the plane by the padding mode

A row is split into stride_w column phases, so each filter tap reads consecutive elements: output column j with filter column
s reads source column j * stride_w + s * dilation_w, which is element (s * dilation_w) // stride_w + j of phase
(s * dilation_w) % stride_w. Rows lie one under the other; where the dilation is so large that filter rows share none, only the
rows that are needed, one group for each filter row. Where channels are contiguous in memory (NHWC), blocks of pixels x
channels are transposed in registers instead of copied one by one.

Source: the band is the "row buffer" of direct convolution, see Zhang, Franchetti, Low, "High performance zero-memory
overhead direct convolutions" (2018).
"""

from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.isa cimport gather, transpose, vector_length

cdef enum:
    MOST_LANES = 16


cdef inline Py_ssize_t source(Py_ssize_t i, Py_ssize_t n, int padding) noexcept nogil:
    """The coordinate inside 0 .. n - 1 that stands for i, or -1 for the padding value."""
    if 0 <= i < n:
        return i
    if padding == CONSTANT:
        return -1
    if padding == REPLICATE:
        return 0 if i < 0 else n - 1
    if padding == CIRCULAR:
        i %= n
        return i + n if i < 0 else i
    if n == 1:
        return 0
    i %= 2 * (n - 1)
    if i < 0:
        i += 2 * (n - 1)
    return i if i < n else 2 * (n - 1) - i


cdef void layout(Band *band, Py_ssize_t slack) noexcept nogil:
    """Works out the layout; slack is how many elements past a row's end may be read or written."""
    band.group = (band.rows - 1) * band.stride_h + 1
    band.tap_row = min(band.dilation_h, band.group)
    band.band_rows = (band.r - 1) * band.tap_row + band.group
    band.band_cols = (band.cols - 1) * band.stride_w + (band.s - 1) * band.dilation_w + 1
    band.phase_pitch = (band.band_cols + band.stride_w - 1) // band.stride_w
    band.pitch = band.phase_pitch * min(band.stride_w, band.band_cols)
    band.channel_pitch = band.band_rows * band.pitch + slack


cdef void tap_offsets(const Band *band, Py_ssize_t *taps) noexcept nogil:
    """Where each of the r * s filter taps finds output (0, 0)'s element."""
    cdef Py_ssize_t r, s, col
    for r in range(band.r):
        for s in range(band.s):
            col = s * band.dilation_w
            taps[r * band.s + s] = (r * band.tap_row * band.pitch + col % band.stride_w * band.phase_pitch
                                    + col // band.stride_w)


cdef inline bint row_needed(const Band *band, Py_ssize_t q) noexcept nogil:
    """Whether some filter row of some output row reads band row q."""
    cdef Py_ssize_t r, first
    if band.stride_h == 1:
        return True
    for r in range(band.r):
        first = q - r * band.tap_row
        if 0 <= first < band.group and first % band.stride_h == 0:
            return True
    return False


cdef inline bint phase_needed(const Band *band, Py_ssize_t phase) noexcept nogil:
    cdef Py_ssize_t s
    for s in range(band.s):
        if s * band.dilation_w % band.stride_w == phase:
            return True
    return False


cdef inline Py_ssize_t source_row(const Band *band, Py_ssize_t q) noexcept nogil:
    cdef Py_ssize_t r = 0
    if band.tap_row < band.dilation_h:   # groups without common rows, one for each filter row
        r = q // band.group
    return source(band.row0 + q + r * (band.dilation_h - band.tap_row), band.height, band.padding)


cdef void fill_columns(const Band *band, const floating *row, Py_ssize_t phase, Py_ssize_t lo, Py_ssize_t hi,
                       floating value, floating *dst) noexcept nogil:
    """Elements lo .. hi - 1 of one phase of a row, one by one: those outside the plane."""
    cdef Py_ssize_t i, col
    for i in range(lo, hi):
        col = source(band.col0 + phase + i * band.stride_w, band.width, band.padding)
        dst[i] = value if col < 0 else row[col * band.col_stride]


cdef void fill(const Band *band, const floating *x, Py_ssize_t channel_stride, Py_ssize_t channels, floating value,
               floating *dst) noexcept nogil:
    """Fills `channels` planes of the band, channel_pitch apart; x is the first channel's plane."""
    cdef Py_ssize_t q, h, phase, c, i, n, lo, hi, step, first, width
    cdef const floating *row
    cdef floating *out
    cdef Py_ssize_t pixels[MOST_LANES]
    cdef int lanes = vector_length(x)
    cdef bint transposed = channel_stride == 1 and band.col_stride != 1 and channels >= 4
    step = band.stride_w * band.col_stride
    for q in range(band.band_rows):
        if not row_needed(band, q):
            continue
        h = source_row(band, q)
        for phase in range(min(band.stride_w, band.band_cols)):
            if not phase_needed(band, phase):
                continue
            n = (band.band_cols - phase + band.stride_w - 1) // band.stride_w
            out = dst + q * band.pitch + phase * band.phase_pitch
            if h < 0:
                for c in range(channels):
                    for i in range(n):
                        out[c * band.channel_pitch + i] = value
                continue
            # elements lo .. hi - 1 lie inside the plane
            first = band.col0 + phase
            lo = 0 if first >= 0 else min(n, (-first + band.stride_w - 1) // band.stride_w)
            width = band.width - first
            hi = lo if width <= 0 else max(lo, min(n, (width + band.stride_w - 1) // band.stride_w))
            row = x + h * band.row_stride
            if transposed:
                i = lo
                while i < hi:
                    width = min(lanes, hi - i)
                    for c in range(width):
                        pixels[c] = (first + (i + c) * band.stride_w) * band.col_stride
                    transpose(row, pixels, <int>width, channels, out + i, band.channel_pitch)
                    i += width
            for c in range(channels):
                if not transposed and hi > lo:
                    if step == 1:
                        memcpy(out + lo, row + first + lo, (hi - lo) * sizeof(floating))
                    else:
                        gather(row + (first + lo * band.stride_w) * band.col_stride, step, hi - lo, out + lo)
                if lo > 0:
                    fill_columns(band, row, phase, 0, lo, value, out)
                if hi < n:
                    fill_columns(band, row, phase, hi, n, value, out)
                row += channel_stride
                out += band.channel_pitch
