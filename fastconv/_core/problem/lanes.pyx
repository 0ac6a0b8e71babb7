"""Bands of channel vectors: a part of an image with its padding, in which each pixel is one vector of channels, and the
way back from there to the caller's array.

With channels in the vector lanes no lane is lost to narrow rows, and one layout serves every later step. NCHW is
transposed in registers on the way (LANES x LANES blocks over the pixels of several rows together, where they follow
each other in memory), NHWC is copied.
"""

from cython cimport floating

from fastconv._core.problem.band cimport CONSTANT, source
from fastconv._core.runtime.isa cimport from_lanes, join_pixels, split_pixels, to_lanes, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_LANES
from fastconv._core.problem.problem cimport ceildiv
from fastconv._core.problem.sums cimport add_run

cdef enum:
    FETCHED = 64    # pixels at a time


cdef LaneBand lane_band(const Problem *g, Py_ssize_t col0, Py_ssize_t cols, Py_ssize_t pixel) noexcept nogil:
    cdef LaneBand band
    band.pixel = pixel
    band.row0 = band.rows = 0
    band.col0, band.cols = col0, cols
    band.pitch = cols * pixel
    band.first = min(cols, max(0, -col0))
    band.last = max(band.first, min(cols, g.w - col0))
    return band


cdef inline bint whole_rows(const Problem *g, const LaneBand *band) noexcept nogil:
    """Whether the rows inside the plane are one piece of memory, all of it wanted."""
    return g.xw == 1 and g.xh == g.w and band.last - band.first == g.w


cdef inline bint skips_columns(const Problem *g) noexcept nogil:
    """Whether a row is best read whole, and what lies between its columns thrown away."""
    return 1 < g.xw <= 3 and g.xc != 1


cdef Py_ssize_t position_count(const Problem *g, Py_ssize_t rows, Py_ssize_t cols) noexcept nogil:
    cdef Py_ssize_t inside = min(g.w, cols)
    return inside * g.xw if skips_columns(g) else inside * rows if inside == g.w else inside


cdef bint fits_closely(const Problem *g, int lanes) noexcept nogil:
    """Whether the pixels of a band may have no more room than their channels, if these are fewer than a vector: where
    they are filled in order, as vectors of which the next pixel covers the rest."""
    return g.c < lanes and (g.xc == 1 or (g.xw == 1 and g.padding == CONSTANT))


cdef void lane_positions(const Problem *g, const LaneBand *band, Py_ssize_t rows, Py_ssize_t *at) noexcept nogil:
    """Where the pixels of so many rows go, counted from the first that is inside: the table that fill_lanes wants, of
    which rows go together only where they are inside as a whole. It has position_count(g, rows, band.cols) entries."""
    cdef Py_ssize_t p, row, inside = min(g.w, band.cols)
    if skips_columns(g):
        # What lies between two wanted pixels goes to the second one's place, before it.
        for p in range(inside * g.xw):
            at[p] = (p + g.xw - 1) // g.xw * band.pixel
        return
    for row in range(rows if inside == g.w else 1):
        for p in range(inside):
            at[row * inside + p] = row * band.pitch + p * band.pixel


cdef void fill_row(const Problem *g, const LaneBand *band, const floating *row, int channels, const Py_ssize_t *rows,
                   const Py_ssize_t *at, int lanes, floating *dst) noexcept nogil:
    """The pixels of one row that are inside; row is its first pixel inside, dst that one's vector."""
    cdef Py_ssize_t p, n = band.last - band.first
    cdef int c
    if g.xw == 1 or skips_columns(g):
        to_lanes(row, rows, channels, (n - 1) * g.xw + 1, dst, at)
        return
    for p in range(n):
        for c in range(channels):
            dst[p * band.pixel + c] = row[p * g.xw + c * g.xc]
        for c in range(channels, lanes):
            dst[p * band.pixel + c] = 0


cdef void fill_lanes(const Problem *g, const LaneBand *band, const floating *x, int channels, floating value,
                     const Py_ssize_t *at, floating *dst) noexcept nogil:
    """Fills the band with `channels` (at most a vector of) channels of one image; x is the first one's plane. Up to a
    vector behind the band may be overwritten, if its pixels are not vectors."""
    cdef Py_ssize_t rows[FC_MAX_LANES]
    cdef Py_ssize_t q, h, i, c, col, lo, hi
    cdef int lanes = vector_length(x)
    cdef floating *out
    cdef Py_ssize_t pixel = band.pixel, width = min(pixel, lanes)    # of a pixel: what belongs to these channels
    for c in range(channels):
        rows[c] = c * g.xc
    # rows lo .. hi - 1 of the band are inside the plane
    lo = min(band.rows, max(0, -band.row0))
    hi = max(lo, min(band.rows, g.h - band.row0))
    if band.last > band.first:
        if hi > lo and whole_rows(g, band):
            to_lanes(x + (band.row0 + lo) * g.xh, rows, channels, (hi - lo) * g.w,
                     dst + lo * band.pitch + band.first * pixel, at)
        else:
            for q in range(lo, hi):
                fill_row(g, band, x + (band.row0 + q) * g.xh + (band.col0 + band.first) * g.xw, channels, rows, at,
                         lanes, dst + q * band.pitch + band.first * pixel)
    for q in range(band.rows):
        h = source(band.row0 + q, g.h, g.padding)
        out = dst + q * band.pitch
        if h < 0:
            for i in range(band.cols):
                for c in range(width):
                    out[i * pixel + c] = value
            continue
        if not lo <= q < hi and band.last > band.first:
            fill_row(g, band, x + h * g.xh + (band.col0 + band.first) * g.xw, channels, rows, at, lanes,
                     out + band.first * pixel)
        for i in range(band.cols - (band.last - band.first)):
            if i >= band.first:
                i = i + (band.last - band.first)
            col = source(band.col0 + i, g.w, g.padding)
            if col < 0:
                for c in range(width):
                    out[i * pixel + c] = value
            else:
                for c in range(width):
                    out[i * pixel + c] = x[h * g.xh + col * g.xw + c * g.xc] if c < channels else 0


cdef void store_lanes(const Problem *g, floating *y, int channels, Py_ssize_t rows, Py_ssize_t cols,
                      const floating *src, Py_ssize_t step) noexcept nogil:
    """rows x cols pixels, step elements apart, to `channels` planes of the caller's array; y is the first pixel's first
    channel."""
    cdef Py_ssize_t planes[FC_MAX_LANES]
    cdef Py_ssize_t _row, p
    cdef int c
    for c in range(channels):
        planes[c] = c * g.yk
    if g.yw == 1 and g.yh == cols:
        from_lanes(src, step, rows * cols, y, planes, channels)
        return
    for _row in range(rows):
        if g.yw == 1:
            from_lanes(src, step, cols, y, planes, channels)
        elif g.yk == 1:
            join_pixels(src, step, cols, channels, y, g.yw)
        else:
            for p in range(cols):
                for c in range(channels):
                    y[p * g.yw + c * g.yk] = src[p * step + c]
        src += cols * step
        y += g.yh


cdef void add_lanes(const Problem *g, const floating *y, int channels, Py_ssize_t rows, Py_ssize_t cols, floating *dst,
                    Py_ssize_t step) noexcept nogil:
    """The way back from store_lanes: what is there is added to the pixels, step elements apart,
    that are to be stored."""
    cdef floating pixels[FETCHED * FC_MAX_LANES]
    cdef Py_ssize_t planes[FC_MAX_LANES]
    cdef Py_ssize_t at[FETCHED]
    cdef Py_ssize_t _row, p, i, n, lanes = vector_length(y)
    cdef int c
    for c in range(channels):
        planes[c] = c * g.yk
    for p in range(FETCHED):
        at[p] = p * lanes
    for _row in range(rows):
        for i in range(ceildiv(cols, FETCHED)):
            n = min(FETCHED, cols - i * FETCHED)
            if g.yw == 1:
                to_lanes(y + i * FETCHED, planes, channels, n, pixels, at)
            else:
                for p in range(n):
                    for c in range(channels):
                        pixels[p * lanes + c] = y[(i * FETCHED + p) * g.yw + c * g.yk]
            for p in range(n):
                add_run(channels, <const floating *>(pixels + p * lanes), dst + (i * FETCHED + p) * step)
        dst += cols * step
        y += g.yh


cdef inline void fill_border(const Problem *g, const LaneBand *band, Py_ssize_t start, Py_ssize_t stop,
                             const floating *x, Py_ssize_t channels, floating *out,
                             Py_ssize_t channel_pitch) noexcept nogil:
    """Columns start .. stop - 1 of a row, which are outside; x is the source row's first channel, out the band's
    row."""
    cdef Py_ssize_t i, v, col
    cdef floating value = <floating>g.value
    if g.padding == CONSTANT:
        for v in range(ceildiv(channels, vector_length(x))):
            for i in range(start * band.pixel, stop * band.pixel):
                out[v * channel_pitch + i] = value
        return
    for col in range(start, stop):
        i = source(band.col0 + col, g.w, g.padding)
        split_pixels(x + i * g.xw, g.xw, 1, channels, out + col * band.pixel, band.pixel, channel_pitch)


cdef void fill_pixels(const Problem *g, const LaneBand *band, Py_ssize_t start, Py_ssize_t stop, const floating *x,
                      Py_ssize_t channels, floating *dst, Py_ssize_t channel_pitch) noexcept nogil:
    """Rows start .. stop - 1 of the bands of all channels at once, channel_pitch apart: for NHWC, where a pixel's
    channels follow each other in memory. x is the image's first channel."""
    cdef Py_ssize_t row, h, i, v, vectors = ceildiv(channels, vector_length(x))
    cdef floating value = <floating>g.value
    cdef floating *out
    for row in range(start, stop):
        h = source(band.row0 + row, g.h, g.padding)
        out = dst + row * band.pitch
        if h < 0:
            for v in range(vectors):
                for i in range(band.pitch):
                    out[v * channel_pitch + i] = value
            continue
        if band.last > band.first:
            split_pixels(x + h * g.xh + (band.col0 + band.first) * g.xw, g.xw, band.last - band.first, channels,
                         out + band.first * band.pixel, band.pixel, channel_pitch)
        fill_border(g, band, 0, band.first, x + h * g.xh, channels, out, channel_pitch)
        fill_border(g, band, band.last, band.cols, x + h * g.xh, channels, out, channel_pitch)
