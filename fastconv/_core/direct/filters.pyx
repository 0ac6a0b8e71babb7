"""B of the driver with channels in the lanes: filters as [channel vector][tap][channel][vectors of filters], a panel at
a time. Where planes are read as they are, the columns of filters stand for channels, channels and rows for taps.

Filters that lie in memory as [k][c][r][s] are transposed in registers, a chunk of channels at a time, by tables of
where each channel and tap goes; others are copied one number at a time.
"""

from cython cimport floating

from fastconv._core.problem.filters cimport gather_tap, lie_in_order
from fastconv._core.problem.problem cimport ceildiv
from fastconv._core.runtime.isa cimport to_lanes
from fastconv._core.runtime.kernels cimport FC_MAX_LANES


cdef inline Py_ssize_t place(int lanes, Py_ssize_t channels, Py_ssize_t taps, Py_ssize_t c,
                             Py_ssize_t tap) noexcept nogil:
    """Where B has a channel and tap, counted in rows of a panel: vectors of channels, fewer in the last one,
    [tap][channel of the vector]."""
    cdef Py_ssize_t first = c // lanes * lanes
    return first * taps + tap * min(lanes, channels - first) + c - first


cdef void place_width(const DirectLayout *l, const Problem *p, Py_ssize_t width, Py_ssize_t *at) noexcept nogil:
    """A chunk of channels that fill their vectors, and those of the last vector, which need not; or all of planes."""
    cdef Py_ssize_t c, t, taps = p.r * p.s, first = 0, columns
    while l.in_planes and first < p.s:
        columns = min(l.lanes, p.s - first)
        for t in range(p.c * p.r):
            for c in range(columns):
                at[t * p.s + first + c] = (first * p.c * p.r + t * columns + c) * width
        first += columns
    if l.in_planes:
        return
    for c in range(l.chunk // l.lanes * l.lanes):
        for t in range(taps):
            at[c * taps + t] = place(l.lanes, l.chunk // l.lanes * l.lanes, taps, c, t) * width
    at += l.chunk * taps
    for c in range(p.own % l.lanes):
        for t in range(taps):
            at[c * taps + t] = place(l.lanes, p.own % l.lanes, taps, c, t) * width


cdef void place_weights(const DirectLayout *l, const Problem *p, Py_ssize_t *at) noexcept nogil:
    """The tables of pack_panel, of at_size each: of panels of all vectors, and of a narrow one, if there is one."""
    place_width(l, p, l.width, at)
    if l.narrow:
        place_width(l, p, l.lanes, at + l.at_size)


cdef void pack_panel(const DirectLayout *l, const Problem *p, const floating *w, Py_ssize_t filters,
                     const Py_ssize_t *at, floating *b) noexcept nogil:
    """B of one panel of at most `width` filters, the first at w."""
    cdef Py_ssize_t vectors = ceildiv(filters, l.lanes), width = vectors * l.lanes
    cdef Py_ssize_t v, k, c, n, i, r, s, taps = p.r * p.s, whole = p.own // l.lanes * l.lanes
    cdef Py_ssize_t rows[FC_MAX_LANES]
    cdef int have
    if vectors < l.vectors:
        at += l.at_size
    for v in range(vectors):
        k = v * l.lanes
        have = <int>min(l.lanes, filters - k)
        for i in range(have):
            rows[i] = (k + i) * p.wk
        if l.in_planes and lie_in_order(p):
            to_lanes(w, rows, have, p.c * taps, b + k, at)
            continue
        if lie_in_order(p):
            c = 0
            while c < p.own:
                n = min(l.chunk, whole - c) if c < whole else p.own - c
                to_lanes(w + c * p.wc, rows, have, n * taps, b + c * taps * width + k,
                         at if c < whole else at + l.chunk * taps)
                c += n
            continue
        for c in range(p.own):
            for r in range(p.r):
                for s in range(p.s):
                    if l.in_planes:
                        i = place(l.lanes, p.s, p.c * p.r, s, c * p.r + r)
                    else:
                        i = place(l.lanes, p.own, taps, c, r * p.s + s)
                    gather_tap(w + k * p.wk + c * p.wc + r * p.wr + s * p.ws, p.wk, have, l.lanes, b + i * width + k)
