"""The filters of Winograd's algorithm transformed, panel by panel: U[point][channel][vectors of the panel], for winograd.pyx.

    for vector of output channels: for CHANNELS_AT_ONCE input channels: filters -> [channel][tap][lane] (L1) -> transform -> U

Filters are read as they lie or, for a data gradient, turned; any other strides are gathered one by one.
"""

from cython cimport floating

from fastconv._core.runtime.isa cimport kernels, to_lanes
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, ceildiv
from fastconv._core.winograd.layout cimport (
    CHANNELS_AT_ONCE, Layout, filters_of, lay_out_filters, weights_size, weights_table_size,
)

cdef enum:
    MOST_LANES = 16


cdef inline void transform_filters(int scheme, const floating *w, Py_ssize_t channels, floating *u, Py_ssize_t point_stride,
                                   Py_ssize_t channel_stride) noexcept nogil:
    if floating is float:
        kernels.f32.winograd[scheme].filters(w, channels, u, point_stride, channel_stride)
    else:
        kernels.f64.winograd[scheme].filters(w, channels, u, point_stride, channel_stride)


cdef inline bint lies_turned(const Problem *g) noexcept nogil:
    """Filters in memory as [c][k][r][s], or as [k][c][r][s], without gaps, to be read with their taps backwards: those of a data
    gradient."""
    return g.ws == -1 and g.wr == -g.s and ((g.wk == g.r * g.s and g.wc == g.k * g.wk)
                                            or (g.wc == g.r * g.s and g.wk == g.c * g.wc))


cdef void load_filters(const Layout *l, const Problem *g, const floating *w, int filters, Py_ssize_t first, Py_ssize_t channels,
                       bint last, const Py_ssize_t *at, floating *dst) noexcept nogil:
    """dst[channel][tap][lane]: `channels` channels from `first` on of `filters` filters, the first at w; the other lanes 0.
    `last` says that the group's last filter is among them: what lies behind it may be the end of the array."""
    cdef Py_ssize_t c, i, t, r, s, taps = l.taps * l.taps, whole = ceildiv(taps, l.lanes) * l.lanes
    cdef Py_ssize_t rows[MOST_LANES]
    cdef const floating *src
    for i in range(filters):
        rows[i] = i * g.wk
    if lies_as_it_is(g):
        to_lanes(w + first * g.wc, rows, filters, channels * taps, dst, at)
        return
    for c in range(channels):
        src = w + (first + c) * g.wc
        if lies_turned(g) and filters == l.lanes and not (last and first + c == g.c - 1):
            # Whole vectors from the tap that comes first in memory; those behind the taps go to where they do no harm.
            to_lanes(src - (taps - 1), rows, filters, whole, dst + c * taps * l.lanes, at + CHANNELS_AT_ONCE * taps)
            continue
        for r in range(l.taps):
            for s in range(l.taps):
                t = (c * taps + r * l.taps + s) * l.lanes
                for i in range(filters):
                    dst[t + i] = src[i * g.wk + r * g.wr + s * g.ws]
                for i in range(filters, l.lanes):
                    dst[t + i] = 0


cdef void pack_panel(const Layout *l, const Problem *g, const floating *w, Py_ssize_t group, Py_ssize_t first,
                     const Py_ssize_t *at, floating *weights, floating *u) noexcept nogil:
    """U of one panel: output channels first .. first + width - 1 of a group; w is all filters."""
    cdef Py_ssize_t v, q, k, c, n, filters = filters_of(l, g, group)
    cdef int have
    for v in range(l.width // l.lanes):
        k = first + v * l.lanes
        have = <int>max(0, min(l.lanes, filters - k))
        for q in range(ceildiv(l.depth, CHANNELS_AT_ONCE)):
            c = q * CHANNELS_AT_ONCE
            n = min(CHANNELS_AT_ONCE, l.depth - c)
            load_filters(l, g, w + (group * l.filters + k) * g.wk, have, c, n, k + l.lanes >= filters, at, weights)
            transform_filters(l.scheme, weights, n, u + v * l.lanes + c * l.width, l.u_point, l.width)


cdef void pack_panels(const Layout *l, const Problem *g, const floating *w, const Py_ssize_t *at, Py_ssize_t first,
                      Py_ssize_t last, floating *weights, floating *u) noexcept nogil:
    """U of panels first .. last - 1, counted over all groups."""
    cdef Py_ssize_t i
    for i in range(first, last):
        pack_panel(l, g, w, i // l.panels, i % l.panels * l.width, at, weights, u + i * l.u_panel)


cdef void place_weights(const Layout *l, Py_ssize_t *at) noexcept nogil:
    """The tables of load_filters: taps in order, and one channel's taps backwards with a place for what lies behind them."""
    cdef Py_ssize_t i, taps = l.taps * l.taps
    for i in range(CHANNELS_AT_ONCE * taps):
        at[i] = i * l.lanes
    at += CHANNELS_AT_ONCE * taps
    for i in range(ceildiv(taps, l.lanes) * l.lanes):
        at[i] = (taps - 1 - i if i < taps else taps) * l.lanes


cdef Problem problem_of(Convolution conv) noexcept:
    """The record with the stride of the window, which decides between the schemes even where there is one output."""
    cdef Problem g = conv.problem
    g.stride_h, g.stride_w = conv.window.stride_h, conv.window.stride_w
    return g


cdef Py_ssize_t prepared_bytes(Convolution conv) noexcept:
    """Of what prepare makes of these filters."""
    cdef Problem g = problem_of(conv)
    cdef Layout l
    if conv.single:
        lay_out_filters[float](&l, &g, NULL)
        return l.u_size * sizeof(float)
    lay_out_filters[double](&l, &g, NULL)
    return l.u_size * sizeof(double)


def prepare(Convolution conv):
    """The filters transformed once, for conv2d's `prepared`; of x and y the shapes are enough."""
    cdef Problem g = problem_of(conv)
    return transformed[float](&g, NULL) if conv.single else transformed[double](&g, NULL)


cdef Block transformed(const Problem *g, const floating *unused):
    cdef Layout l
    lay_out_filters(&l, g, unused)
    cdef Block filters = take(l.u_size * sizeof(floating))
    cdef Block weights = take(weights_size(&l) * sizeof(floating))
    cdef Block table = take(weights_table_size(&l) * sizeof(Py_ssize_t))
    place_weights(&l, <Py_ssize_t *>table.data)
    pack_panels(&l, g, <const floating *>g.weights, <Py_ssize_t *>table.data, 0, l.groups * l.panels, <floating *>weights.data,
                <floating *>filters.data)
    return filters
