"""The filters of Winograd's algorithm transformed, panel by panel: U[point][channel][vectors of the panel], for
forward.pyx.

    for vector of output channels: for CHANNELS_AT_ONCE input channels:
        filters -> [channel][tap][lane] (L1) -> transform -> U

Filters are read as they lie or, for a data gradient, turned or with input and output channels swapped; any other
strides are gathered one by one.
"""

cimport numpy as cnp
from cython cimport floating

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.filters cimport gather_tap, lie_in_order
from fastconv._core.problem.problem cimport Problem, ceildiv
from fastconv._core.runtime.isa cimport kernels, to_lanes
from fastconv._core.runtime.kernels cimport FC_MAX_LANES
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.winograd.layout cimport (
    CHANNELS_AT_ONCE, WinogradLayout, filters_of, lay_out_filters, problem_with_stride, taps_table_size, weights_size,
)

cnp.import_array()

cdef enum:
    AHEAD = 4    # channels that are fetched before their use, where they lie far apart

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *address) noexcept nogil


cdef inline void filter_channels(int scheme, const floating *w, Py_ssize_t channels, floating *u,
                                 Py_ssize_t point_stride, Py_ssize_t channel_stride) noexcept nogil:
    if floating is float:
        kernels.f32.winograd[scheme].filters(w, channels, u, point_stride, channel_stride)
    else:
        kernels.f64.winograd[scheme].filters(w, channels, u, point_stride, channel_stride)


cdef inline bint lies_turned(const Problem *g) noexcept nogil:
    """Filters in memory as [c][k][r][s], or as [k][c][r][s], to be read with their taps backwards: those of a data
    gradient. Between the taps of two channels may lie what is no tap: those of a volume's other planes."""
    return (g.s == 1 or g.ws == -1) and (g.r == 1 or g.wr == -g.s) and g.wk >= g.r * g.s and g.wc >= g.r * g.s


cdef void place_taps(const WinogradLayout *l, Py_ssize_t *at) noexcept nogil:
    """The table of load_filters: taps in order, and one channel's taps backwards with a place for what lies behind
    them."""
    cdef Py_ssize_t i, taps = l.n_taps
    for i in range(CHANNELS_AT_ONCE * taps):
        at[i] = i * l.lanes
    at += CHANNELS_AT_ONCE * taps
    for i in range(ceildiv(taps, l.lanes) * l.lanes):
        at[i] = (taps - 1 - i if i < taps else taps) * l.lanes


cdef void load_filters(const WinogradLayout *l, const Problem *g, Py_ssize_t group, Py_ssize_t filter,
                       Py_ssize_t channel, Py_ssize_t channels, floating *dst) noexcept nogil:
    """dst[channel][tap][lane]: so many channels, from `channel` on, of a group's filters, a vector of them from
    `filter` on; lanes behind the last filter are 0."""
    cdef Py_ssize_t c, i, r, s, taps = l.n_taps, whole = ceildiv(taps, l.lanes) * l.lanes, behind
    cdef Py_ssize_t left = filters_of(l, g, group) - filter
    cdef Py_ssize_t rows[FC_MAX_LANES]
    cdef int filters = <int>max(0, min(l.lanes, left))
    cdef bint exactly
    cdef const floating *w = <const floating *>g.weights + (group * l.filters + filter) * g.wk
    cdef const floating *src
    for i in range(filters):
        rows[i] = i * g.wk
    if lie_in_order(g):
        to_lanes(w + channel * g.wc, rows, filters, channels * taps, dst, l.taps_at)
        return
    for c in range(channels):
        src = w + (channel + c) * g.wc
        # of the last filter that is read, up to the end of what is there
        behind = (g.c - 1 - channel - c) * g.wc + (left - filters) * g.wk + taps
        if lies_turned(g) and filters == l.lanes and behind >= whole:
            # Whole vectors from the tap that comes first in memory; those behind the taps go to where they do no harm.
            to_lanes(src - (taps - 1), rows, filters, whole, dst + c * taps * l.lanes,
                     l.taps_at + CHANNELS_AT_ONCE * taps)
            continue
        if (g.s == 1 or g.ws == 1) and (g.r == 1 or g.wr == g.s) and g.wk >= taps and g.wc >= taps:
            if c + AHEAD < channels and g.wk == taps:
                for i in range(ceildiv(filters * taps, FC_MAX_LANES)):
                    prefetch(src + AHEAD * g.wc + i * FC_MAX_LANES)
            # Whole vectors, where there is memory behind the taps: the next channel overwrites what they are too much.
            exactly = c * taps + whole > CHANNELS_AT_ONCE * taps or behind < whole
            to_lanes(src, rows, filters, taps if exactly else whole, dst + c * taps * l.lanes, l.taps_at)
            continue
        for r in range(l.taps_high):
            for s in range(l.taps_wide):
                gather_tap(src + r * g.wr + s * g.ws, g.wk, filters, l.lanes,
                           dst + (c * taps + r * l.taps_wide + s) * l.lanes)


cdef void transform_panel(const WinogradLayout *l, const Problem *g, Py_ssize_t panel, floating *weights,
                          floating *u) noexcept nogil:
    """U of one panel, counted over all groups; `weights` is scratch, weights_size long."""
    cdef Py_ssize_t group = panel // l.panels, first = panel % l.panels * l.width, v, q, c, n
    for v in range(l.width // l.lanes):
        for q in range(ceildiv(l.depth, CHANNELS_AT_ONCE)):
            c = q * CHANNELS_AT_ONCE
            n = min(CHANNELS_AT_ONCE, l.depth - c)
            load_filters(l, g, group, first + v * l.lanes, c, n, weights)
            filter_channels(l.scheme, weights, n, u + v * l.lanes + c * l.width, l.u_point, l.width)


cdef void transform_panels(const WinogradLayout *l, const Problem *g, Py_ssize_t first, Py_ssize_t last,
                           floating *weights, floating *u) noexcept nogil:
    """U of panels first .. last - 1; u is that of panel 0."""
    cdef Py_ssize_t i
    for i in range(first, last):
        transform_panel(l, g, i, weights, u + i * l.u_panel)


cdef Py_ssize_t prepared_bytes(Convolution conv) noexcept:
    """Of what prepare makes of these filters."""
    cdef Problem g = problem_with_stride(conv)
    cdef WinogradLayout l
    lay_out_filters(&l, &g, cnp.PyArray_ITEMSIZE(conv.w))
    return l.u_size * l.size


def prepare(Convolution conv not None):
    """The filters transformed once, for conv2d's `prepared`; of x and y the shapes are enough."""
    cdef Problem g = problem_with_stride(conv)
    cdef WinogradLayout l
    lay_out_filters(&l, &g, cnp.PyArray_ITEMSIZE(conv.w))
    cdef Block filters = take(l.u_size * l.size), weights = take(weights_size(&l) * l.size)
    cdef Block table = take(taps_table_size(&l) * sizeof(Py_ssize_t))
    place_taps(&l, <Py_ssize_t *>table.data)
    l.taps_at = <Py_ssize_t *>table.data
    if conv.single:
        transform_panels(&l, &g, 0, l.groups * l.panels, <float *>weights.data, <float *>filters.data)
    else:
        transform_panels(&l, &g, 0, l.groups * l.panels, <double *>weights.data, <double *>filters.data)
    return filters
