"""X and Y of a block of the data gradient of all phases: bands of grad_output as vectors of filters, and strips of
grad_x, [row of grad_x][column][vectors of a panel], which all phases of a strip fill before it is stored.

X is [vector][image][copy of the rows][row][column]: see phased_layout.pyx. Where pixels are met by no tap Y is filled
before, with what a transposed convolution has there.
"""

from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.direct.phased_layout cimport AxisPhase, PhasedLayout, copy_of_rows, width_of
from fastconv._core.problem.lanes cimport LaneBand, fill_lanes, fill_pixels, store_lanes
from fastconv._core.problem.problem cimport Problem, ceildiv, part
from fastconv._core.runtime.isa cimport activation, channel_tile
from fastconv._core.runtime.kernels cimport fc_pixels


cdef void fill_input(const PhasedCall *call, Py_ssize_t i, const floating *unused) noexcept nogil:
    """X of one vector of filters, or, where a pixel's filters follow each other, of one image."""
    cdef const PhasedLayout *l = call.l
    cdef const Problem *g = call.g
    cdef const floating *x = <const floating *>g.x + call.block.n0 * g.xn
    cdef floating *to = <floating *>call.x
    cdef Py_ssize_t copy, n
    cdef LaneBand band
    for copy in range(l.copies):
        band = copy_of_rows(g, l, copy)
        band.row0, band.rows = call.block.row0 - l.rows.before, call.block.rows + l.halo
        if g.xc == 1:
            fill_pixels(g, &band, 0, band.rows, x + i * g.xn, g.c, to + i * l.image_pitch, l.vector_pitch)
        for n in range(0 if g.xc == 1 else call.block.images):
            fill_lanes(g, &band, x + n * g.xn + i * l.lanes * g.xc, <int>min(l.lanes, g.c - i * l.lanes), <floating>0,
                       call.positions, to + i * l.vector_pitch + n * l.image_pitch)
        to += l.band_rows * band.pitch


cdef inline void store_vectors(const PhasedCall *call, const floating *rows, Py_ssize_t count, Py_ssize_t channels,
                               floating *to) noexcept nogil:
    """So many rows of a panel's pixels that follow each other."""
    cdef const Problem *g = call.g
    cdef Py_ssize_t lanes = call.l.lanes, v, vectors = ceildiv(channels, lanes)
    for v in range(vectors):
        store_lanes(g, to + v * lanes * g.yk, <int>min(lanes, channels - v * lanes), count, g.ow, rows + v * lanes,
                    vectors * lanes)


cdef void store_strip(const PhasedCall *call, Py_ssize_t n, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t panel,
                      floating *y) noexcept nogil:
    """Y of so many rows of an image, counted in steps of the stride, and one panel, to grad_x.
    The rows of planes are put in order behind Y before, if these are several, without what stands between them."""
    cdef const PhasedLayout *l = call.l
    cdef const Problem *g = call.g
    cdef Py_ssize_t channels = min(l.width, g.k - panel * l.width), first = row * l.rows.stride, i
    cdef Py_ssize_t width = width_of(call, panel), count = min(rows * l.rows.stride, g.oh - first)
    cdef floating *to = <floating *>g.y + n * g.yn + panel * l.width * g.yk + first * g.yh
    cdef floating *ordered = y + l.y_size - l.ordered_size
    cdef const floating *src
    if l.strip > 1:
        for i in range(count):
            src = y + (i % l.rows.stride * l.strip + i // l.rows.stride) * l.y_pitch * width
            if g.yk == 1:
                store_vectors(call, src, 1, channels, to + i * g.yh)
            else:
                memcpy(ordered + i * g.ow * width, src, g.ow * width * sizeof(floating))
        y = ordered
    if l.strip == 1 or g.yk != 1:
        store_vectors(call, y, count, channels, to)


# Where the pixels of a strip and a panel go: the first one, and from one row, one column of grad_x to the next;
# their bias, or NULL.
cdef struct StripPlace:
    void *first
    const void *bias
    Py_ssize_t row, column


cdef void multiply_strip(const PhasedCall *call, const floating *x, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t width,
                         const floating *b, const StripPlace *place) noexcept nogil:
    """All phases of a strip, whose X begins at x; `row` is its first in the image."""
    cdef const PhasedLayout *l = call.l
    cdef Py_ssize_t i, j, t, m, q, tiles, length, some
    cdef const AxisPhase *down
    cdef const AxisPhase *across
    cdef const floating *start
    cdef floating *out
    cdef fc_pixels pixels
    pixels.channels, pixels.block_stride, pixels.step, pixels.b_panel = call.g.c, l.vector_pitch, l.lanes, 0
    pixels.ldc, pixels.taps = l.columns.stride * place.column, call.offsets
    pixels.activation.kind, pixels.activation.slope = call.g.activation, call.g.slope
    pixels.accumulate, pixels.rows, pixels.numbers = False, NULL, NULL
    for i in range(l.rows.count):
        down = &l.rows.phases[i]
        some = min(rows, down.outputs - row)
        for j in range(l.columns.count):
            across = &l.columns.phases[j]
            pixels.n_taps = down.taps * across.taps
            if some > 0:
                start = x + (down.at * l.pitch + across.at * l.column_step) * l.lanes
                out = <floating *>place.first + down.first * place.row + across.first * place.column
                length = (some - 1) * l.pitch + across.outputs
                tiles = ceildiv(length, l.mr)
                for q in range(tiles):
                    t = part(length, tiles, q)
                    m = part(length, tiles, q + 1) - t
                    channel_tile(<int>(width // l.lanes), <int>m, &pixels, start + t * l.lanes, b, out + t * pixels.ldc,
                                 <const floating *>place.bias, b)
            pixels.taps += pixels.n_taps
            b += pixels.n_taps * call.g.c * width


cdef const floating *bias_of_panel(const PhasedCall *call, Py_ssize_t panel, floating *bias) noexcept nogil:
    """The bias of a panel, zeros in its last lanes, or NULL."""
    cdef Py_ssize_t width = call.l.width, before = panel * width, i
    for i in range(width if call.g.bias != NULL else 0):
        bias[i] = (<const floating *>call.g.bias)[before + i] if before + i < call.g.k else 0
    return bias if call.g.bias != NULL else <const floating *>NULL


cdef void lay_strip(const PhasedCall *call, Py_ssize_t width, const floating *bias, floating *y) noexcept nogil:
    """Y where no tap meets its pixels."""
    cdef Py_ssize_t i
    for i in range(width):
        y[i] = bias[i] if bias != NULL else 0
    if call.g.activation:
        activation(call.g.activation, y, y, width, call.g.slope)
    for i in range(1, (call.l.y_size - call.l.ordered_size) // call.l.width):
        memcpy(y + i * width, y, width * sizeof(floating))


cdef void strips_of_panel(const PhasedCall *call, Py_ssize_t panel, Py_ssize_t piece, const floating *b,
                          floating *scratch) noexcept nogil:
    """grad_x of one panel and a part of the strips of a block. The scratch: Y, the bias."""
    cdef const PhasedLayout *l = call.l
    cdef Py_ssize_t width = width_of(call, panel), strips = ceildiv(call.block.rows, l.strip), i, n, row, rows
    cdef const floating *x
    cdef StripPlace place
    place.bias = bias_of_panel(call, panel, scratch + l.bias_at)
    if not l.covers:    # some pixels are met by no tap
        lay_strip(call, width, <const floating *>place.bias, scratch)
    for i in range(part(call.block.images * strips, l.pieces, piece),
                   part(call.block.images * strips, l.pieces, piece + 1)):
        n, row = i // strips, i % strips * l.strip
        x = <const floating *>call.x + n * l.image_pitch + row * l.pitch * l.lanes
        rows, n, row = min(l.strip, call.block.rows - row), n + call.block.n0, row + call.block.row0
        if l.stored and width <= call.g.k - panel * l.width:
            place.first = (<floating *>call.g.y + n * call.g.yn + row * l.rows.stride * call.g.yh + panel * l.width)
            place.row, place.column = call.g.yh, call.g.yw
            multiply_strip(call, x, row, rows, width, b, &place)
        else:
            place.first, place.column, place.row = scratch, width, l.strip * l.y_pitch * width
            multiply_strip(call, x, row, rows, width, b, &place)
            store_strip(call, n, row, rows, panel, scratch)
