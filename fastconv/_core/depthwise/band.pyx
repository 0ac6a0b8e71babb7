"""The band where lanes are columns: the rows and columns of a plane that a block of outputs needs, with their padding.

It is worked out once a call, as tables of offsets: for each of its rows and columns where it comes from, or that it is
padding. It holds only rows and columns that a tap meets, split into phases by the stride (for stride 2 even and odd
ones apart), so the kernels see neither border nor stride: output (i, j) of a block meets tap (r, s) in band row
rows.at[r] + i and band column columns.at[s] + j. A tap so far from the others that nothing is shared has rows or
columns of its own.
"""

from cython cimport floating

from fastconv._core.problem.band cimport CONSTANT, source
from fastconv._core.problem.problem cimport Problem, ceildiv
from fastconv._core.runtime.isa cimport band_copy, band_gather, band_split
from fastconv._core.runtime.kernels cimport FC_OUTSIDE, fc_band_rows
from fastconv._core.runtime.memory cimport Block, take

cdef enum:
    MOST_MERGED = 64    # segments


cdef inline Py_ssize_t clamp(Py_ssize_t i, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    return low if i < low else high if i > high else i


cdef void measure(BandAxis *axis, Py_ssize_t outputs, Py_ssize_t block, Py_ssize_t taps, Py_ssize_t stride,
                  Py_ssize_t dilation, Py_ssize_t multiple) noexcept nogil:
    """The sizes of an axis for blocks of `block` outputs. If multiple > 0 it divides the segments' one length.

    Taps are cut into segments: those of the same phase, if these are near enough to share source elements. Every
    period-th tap has the same phase, and they are step positions apart.
    """
    cdef Py_ssize_t step, longest
    axis.outputs, axis.taps, axis.stride, axis.dilation = outputs, taps, stride, dilation
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


cdef Py_ssize_t list_bytes(const BandAxis *axis) noexcept nogil:
    """Of what lay_out takes while it works."""
    return 6 * axis.taps * sizeof(Py_ssize_t)


cdef Py_ssize_t table_bytes(const BandAxis *axis) noexcept nogil:
    """Of what it returns."""
    return (axis.taps + (axis.blocks + 1) * axis.length) * sizeof(Py_ssize_t)


cdef Block lay_out(BandAxis *axis, Py_ssize_t origin, Py_ssize_t size, Py_ssize_t step, int padding, Py_ssize_t pitch):
    """Fills in the tables of an axis whose sizes are measured, over a source of `size` elements, `step` apart, `pitch`
    being the axis's step in the band. Returns their memory."""
    cdef Py_ssize_t taps = axis.taps, stride = axis.stride, dilation = axis.dilation
    cdef Block lists = take(list_bytes(axis))
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
    cdef Block tables = take(table_bytes(axis))
    axis.at = <Py_ssize_t *>tables.data
    axis.places = axis.at + taps
    axis.offsets = axis.places + axis.length
    for t in range(taps):
        i = segment_of[t]
        axis.at[t] = begin[i] + t * dilation // stride - first[i]
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


cdef Py_ssize_t edge_bytes(const BandAxis *columns) noexcept nogil:
    """Of what find_edges returns."""
    return columns.blocks * (columns.length + 3) * sizeof(Py_ssize_t)


cdef Block find_edges(const Problem *p, ColumnLayout *l):
    """Works out which columns of the band are copied as vectors and which one by one. Returns the tables' memory."""
    cdef BandAxis *axis = &l.columns
    cdef Block tables = take(edge_bytes(axis))
    cdef Py_ssize_t b, q, first, n, phases
    cdef bint beside
    l.start = <Py_ssize_t *>tables.data
    l.until = l.start + axis.blocks
    l.n_which = l.until + axis.blocks
    l.which = l.n_which + axis.blocks
    beside = p.xw == 1 or p.w == 1
    l.copied = beside and axis.stride == 1 and axis.segments == 1
    l.split = beside and axis.stride == 2 and axis.segments == 2 and axis.second == axis.first + 1
    phases = 2 if l.split else 1
    for b in range(axis.blocks):
        first = axis.first + b * axis.block * axis.stride
        l.start[b] = clamp(-first, 0, phases * axis.segment)
        l.until[b] = clamp(p.w - first, 0, phases * axis.segment)
        n = 0
        for q in range(axis.length):   # in the order of the source, which is that of the columns the two kernels copy
            if not ((l.copied or l.split) and (p.padding == CONSTANT or l.start[b] <= q < l.until[b])):
                l.which[b * axis.length + n] = q
                n += 1
        l.n_which[b] = n
    return tables


cdef void fill(const Problem *p, const ColumnLayout *l, const BandBlock *block, const floating *plane,
               floating *band) noexcept nogil:
    """The band of one block of the plane."""
    cdef Py_ssize_t b = block.col_block
    cdef floating value = <floating>p.value
    cdef const floating *first = plane + l.columns.first + block.col0 * l.columns.stride
    cdef fc_band_rows how
    how.rows, how.places = l.rows.offsets + block.row_block * l.rows.length, l.rows.places
    how.n_rows = l.rows.length
    how.start, how.until, how.width, how.ahead = l.start[b], l.until[b], l.columns.segment, l.ahead
    how.columns, how.column_places = l.columns.offsets + b * l.columns.length, l.columns.places
    how.which, how.n_columns = l.which + b * l.columns.length, l.n_which[b]
    if l.copied:
        band_copy(&how, first, value, band)
    elif l.split:
        band_split(&how, first, value, band)
    if how.n_columns:
        band_gather(&how, plane, value, band)
