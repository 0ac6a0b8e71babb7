"""The band of the depthwise driver: the rows and columns of a plane that a block of outputs needs, with their padding.

It is worked out once a call, as tables of offsets: for each of its rows and columns where it comes from, or that it is
padding. It holds only rows and columns that a tap meets, split into phases by the stride (for stride 2 even and odd ones
apart), so the kernels see neither border nor stride: output (i, j) of a block meets tap (r, s) in band row rows.taps[r] + i
and band column columns.taps[s] + j. A tap so far from the others that nothing is shared has rows or columns of its own.
"""

from cython cimport floating

from fastconv._core.problem.band cimport CONSTANT, source
from fastconv._core.runtime.isa cimport kernels
from fastconv._core.runtime.kernels cimport FC_OUTSIDE
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport ceildiv

cdef enum:
    MOST_MERGED = 64    # segments


cdef inline Py_ssize_t clamp(Py_ssize_t i, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    return low if i < low else high if i > high else i


cdef void measure(Axis *axis, Py_ssize_t outputs, Py_ssize_t block, Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t dilation,
                  Py_ssize_t multiple) noexcept nogil:
    """The sizes of an axis for blocks of `block` outputs. With multiple > 0 all segments have one length, a multiple of it.

    Taps are cut into segments: those of the same phase, if these are near enough to share source elements. Every period-th tap has
    the same phase, and they are step positions apart.
    """
    cdef Py_ssize_t step, longest
    axis.block, axis.blocks = block, ceildiv(outputs, block)
    axis.period = 1
    while axis.period < taps and axis.period * dilation % stride:
        axis.period += 1
    step = axis.period * dilation // stride
    axis.joined = step <= block or axis.period >= taps
    axis.segments = min(axis.period, taps) if axis.joined else taps
    longest = block + (step * (ceildiv(taps, axis.period) - 1) if axis.joined else 0)
    axis.segment = ceildiv(longest, multiple) * multiple if multiple else 0
    if multiple:
        axis.length = axis.segments * axis.segment
    else:
        axis.length = axis.segments * block + (step * (taps - axis.segments) if axis.joined else 0)


cdef Py_ssize_t list_bytes(Py_ssize_t taps) noexcept nogil:
    """Of what lay_out takes while it works."""
    return 6 * taps * sizeof(Py_ssize_t)


cdef Py_ssize_t table_bytes(const Axis *axis, Py_ssize_t taps) noexcept nogil:
    """Of what it returns."""
    return (taps + (axis.blocks + 1) * axis.length) * sizeof(Py_ssize_t)


cdef Block lay_out(Axis *axis, Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t origin, Py_ssize_t size,
                   Py_ssize_t step, int padding, Py_ssize_t pitch):
    """Fills in the tables of an axis whose sizes are measured, `pitch` being its step in the band. Returns their memory."""
    cdef Block lists = take(list_bytes(taps))
    cdef Py_ssize_t *phase = <Py_ssize_t *>lists.data
    cdef Py_ssize_t *first = phase + taps
    cdef Py_ssize_t *last = first + taps
    cdef Py_ssize_t *segment_of = last + taps
    cdef Py_ssize_t *begin = segment_of + taps
    cdef Py_ssize_t *done = begin + taps
    cdef Py_ssize_t i, t, q, b, coordinate, nearest, nearest_coordinate = 0, count = 0
    for t in range(taps):
        if axis.joined and t >= axis.period:
            i = segment_of[t - axis.period]
        else:
            i = count
            count += 1
            phase[i], first[i] = t * dilation % stride, t * dilation // stride
        last[i] = t * dilation // stride
        segment_of[t] = i
    q = 0
    for i in range(axis.segments):
        begin[i] = q
        q += axis.segment if axis.segment else axis.block + last[i] - first[i]
        done[i] = 0
    axis.first = phase[0] + first[0] * stride - origin
    axis.second = phase[1] + first[1] * stride - origin if axis.segments > 1 else 0
    cdef Block tables = take(table_bytes(axis, taps))
    axis.taps = <Py_ssize_t *>tables.data
    axis.places = axis.taps + taps
    axis.offsets = axis.places + axis.length
    for t in range(taps):
        i = segment_of[t]
        axis.taps[t] = begin[i] + t * dilation // stride - first[i]
    nearest = 0
    for q in range(axis.length):   # merges the segments, if these are few
        if axis.segments > MOST_MERGED:
            nearest += q > 0 and q == (begin[nearest + 1] if nearest + 1 < axis.segments else axis.length)
            nearest_coordinate = phase[nearest] + (first[nearest] + done[nearest]) * stride - origin
        else:
            nearest = -1
            for i in range(axis.segments):
                if begin[i] + done[i] < (begin[i + 1] if i + 1 < axis.segments else axis.length):
                    coordinate = phase[i] + (first[i] + done[i]) * stride - origin
                    if nearest < 0 or coordinate < nearest_coordinate:
                        nearest, nearest_coordinate = i, coordinate
        axis.places[q] = (begin[nearest] + done[nearest]) * pitch
        done[nearest] += 1
        for b in range(axis.blocks):
            t = source(nearest_coordinate + b * axis.block * stride, size, padding) if size else -1
            axis.offsets[b * axis.length + q] = FC_OUTSIDE if t < 0 else t * step
    return tables


cdef Py_ssize_t edge_bytes(const Axis *columns) noexcept nogil:
    """Of what find_edges returns."""
    return columns.blocks * (columns.length + 3) * sizeof(Py_ssize_t)


cdef Block find_edges(Shape *g, int padding):
    """Works out which columns of the band are copied as vectors and which one by one. Returns the memory of the tables."""
    cdef Axis *axis = &g.columns
    cdef Block tables = take(edge_bytes(axis))
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
