"""The band of the depthwise driver: the rows and columns of a plane that a block of outputs needs, with their padding.

It is worked out once a call, as tables of offsets: for each of its rows and columns where it comes from, or that it is
padding. It holds only rows and columns that a tap meets, split into phases by the stride (for stride 2 even and odd ones
apart), so the kernels see neither border nor stride: output (i, j) of a block meets tap (r, s) in band row rows.taps[r] + i
and band column columns.taps[s] + j. A tap so far from the others that nothing is shared has rows or columns of its own.
"""

from cython cimport floating

from fastconv._core.band cimport CONSTANT, source
from fastconv._core.isa cimport kernels
from fastconv._core.kernels cimport FC_OUTSIDE
from fastconv._core.memory cimport Block, take
from fastconv._core.shape cimport ceildiv

cdef inline Py_ssize_t clamp(Py_ssize_t i, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    return low if i < low else high if i > high else i


cdef Py_ssize_t segments_of(Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t block, Py_ssize_t *phase,
                            Py_ssize_t *first, Py_ssize_t *last, Py_ssize_t *segment_of) noexcept nogil:
    """Cuts the taps into segments: the same phase, and near enough to share source elements. Returns how many."""
    cdef Py_ssize_t t, i, count = 0, position
    for t in range(taps):
        position = t * dilation // stride
        for i in range(count):
            if phase[i] == t * dilation % stride and position - last[i] <= block:
                break
        else:
            i = count
            count += 1
            phase[i] = t * dilation % stride
            first[i] = position
        last[i] = position
        segment_of[t] = i
    return count


cdef Block lay_out(Axis *axis, Py_ssize_t outputs, Py_ssize_t block, Py_ssize_t taps, Py_ssize_t stride,
                   Py_ssize_t dilation, Py_ssize_t origin, Py_ssize_t size, Py_ssize_t step, int padding,
                   Py_ssize_t multiple, Py_ssize_t pitch):
    """Fills in an axis for blocks of `block` outputs, `pitch` being its step in the band. With multiple > 0 all segments have
    one length, a multiple of it. Returns the memory of the tables."""
    cdef Block lists = take(6 * taps * sizeof(Py_ssize_t))
    cdef Py_ssize_t *phase = <Py_ssize_t *>lists.data
    cdef Py_ssize_t *first = phase + taps
    cdef Py_ssize_t *last = first + taps
    cdef Py_ssize_t *segment_of = last + taps
    cdef Py_ssize_t *begin = segment_of + taps
    cdef Py_ssize_t *done = begin + taps
    cdef Py_ssize_t i, t, q, b, coordinate, nearest, nearest_coordinate = 0
    axis.block, axis.blocks = block, ceildiv(outputs, block)
    axis.segments = segments_of(taps, stride, dilation, block, phase, first, last, segment_of)
    axis.length = axis.segment = 0
    if multiple:
        for i in range(axis.segments):
            axis.segment = max(axis.segment, ceildiv(block + last[i] - first[i], multiple) * multiple)
    for i in range(axis.segments):
        begin[i] = axis.length
        axis.length += axis.segment if multiple else block + last[i] - first[i]
        done[i] = 0
    axis.first = phase[0] + first[0] * stride - origin
    axis.second = phase[1] + first[1] * stride - origin if axis.segments > 1 else 0
    cdef Block tables = take((taps + (axis.blocks + 1) * axis.length) * sizeof(Py_ssize_t))
    axis.taps = <Py_ssize_t *>tables.data
    axis.places = axis.taps + taps
    axis.offsets = axis.places + axis.length
    for t in range(taps):
        i = segment_of[t]
        axis.taps[t] = begin[i] + t * dilation // stride - first[i]
    for q in range(axis.length):   # merges the segments
        nearest = -1
        for i in range(axis.segments):
            if begin[i] + done[i] < (begin[i + 1] if i + 1 < axis.segments else axis.length):
                coordinate = phase[i] + (first[i] + done[i]) * stride - origin
                if nearest < 0 or coordinate < nearest_coordinate:
                    nearest, nearest_coordinate = i, coordinate
        axis.places[q] = (begin[nearest] + done[nearest]) * pitch
        done[nearest] += 1
        for b in range(axis.blocks):
            t = source(nearest_coordinate + b * block * stride, size, padding) if size else -1
            axis.offsets[b * axis.length + q] = FC_OUTSIDE if t < 0 else t * step
    return tables


cdef Block find_edges(Shape *g, int padding):
    """Works out which columns of the band are copied as vectors and which one by one. Returns the memory of the tables."""
    cdef Axis *axis = &g.columns
    cdef Block tables = take(axis.blocks * (axis.length + 3) * sizeof(Py_ssize_t))
    cdef Py_ssize_t b, q, first, n, phases
    g.start = <Py_ssize_t *>tables.data
    g.until = g.start + axis.blocks
    g.n_which = g.until + axis.blocks
    g.which = g.n_which + axis.blocks
    g.copied = g.xw == 1 and g.stride_w == 1 and axis.segments == 1
    g.split = g.xw == 1 and g.stride_w == 2 and axis.segments == 2 and axis.second == axis.first + 1
    phases = 2 if g.split else 1
    for b in range(axis.blocks):
        first = axis.first + b * axis.block * g.stride_w
        g.start[b] = clamp(-first, 0, phases * axis.segment)
        g.until[b] = clamp(g.w - first, 0, phases * axis.segment)
        n = 0
        for q in range(axis.length):   # in the order of the source, which is that of the columns the two kernels copy
            if not ((g.copied or g.split) and (padding == CONSTANT or g.start[b] <= q < g.until[b])):
                g.which[b * axis.length + n] = q
                n += 1
        g.n_which[b] = n
    return tables


cdef void fill(const Shape *g, const floating *plane, Py_ssize_t row_block, Py_ssize_t col_block, floating value,
               floating *band) noexcept nogil:
    """Lanes = columns: the band of one block of the plane."""
    cdef const Py_ssize_t *rows = g.rows.offsets + row_block * g.rows.length
    cdef const Py_ssize_t *columns = g.columns.offsets + col_block * g.columns.length
    cdef const Py_ssize_t *which = g.which + col_block * g.columns.length
    cdef const floating *first = plane + g.columns.first + col_block * g.columns.block * g.stride_w
    cdef Py_ssize_t start = g.start[col_block], until = g.until[col_block], n = g.n_which[col_block]
    if floating is float:
        if g.copied:
            kernels.f32.band_copy(first, rows, g.rows.places, g.rows.length, start, until, g.columns.segment, value, band, g.ahead)
        elif g.split:
            kernels.f32.band_split(first, rows, g.rows.places, g.rows.length, start, until, g.columns.segment, value, band)
        if n:
            kernels.f32.band_gather(plane, rows, g.rows.places, g.rows.length, columns, g.columns.places, which, n, value, band)
    else:
        if g.copied:
            kernels.f64.band_copy(first, rows, g.rows.places, g.rows.length, start, until, g.columns.segment, value, band, g.ahead)
        elif g.split:
            kernels.f64.band_split(first, rows, g.rows.places, g.rows.length, start, until, g.columns.segment, value, band)
        if n:
            kernels.f64.band_gather(plane, rows, g.rows.places, g.rows.length, columns, g.columns.places, which, n, value, band)
