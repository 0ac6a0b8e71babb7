"""B of the driver with channels in the lanes: filters as [channel vector][tap][channel][vectors of filters], a panel at
a time. Where planes are read as they are, the columns of filters stand for channels, channels and rows for taps.

Filters that lie in memory as [k][c][r][s] are transposed in registers, a chunk of channels at a time, by tables of
where each channel and tap goes; so are those that lie as [c][k][r][s], their taps the other way round (a data
gradient's), the taps of a channel at a time; others are copied one number at a time.
"""

from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.problem.filters cimport gather_tap, lie_in_order, taps_in_order
from fastconv._core.problem.problem cimport ceildiv
from fastconv._core.runtime.isa cimport to_lanes
from fastconv._core.runtime.kernels cimport FC_MAX_LANES


cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *address) noexcept nogil

cdef enum:
    TURNED_TAPS = 128    # of a filter, at most: room for a number for each
    LINE = 64            # bytes of a line of the caches
    LINES_AHEAD = 24     # that are fetched before they are packed: the channels of turned filters are far apart


cdef inline Py_ssize_t place(int lanes, Py_ssize_t channels, Py_ssize_t taps, Py_ssize_t c,
                             Py_ssize_t tap) noexcept nogil:
    """Where B has a channel and tap, counted in rows of a panel: vectors of channels, fewer in the last one,
    [tap][channel of the vector]."""
    cdef Py_ssize_t first = c // lanes * lanes
    return first * taps + tap * min(lanes, channels - first) + c - first


cdef void place_width(const DirectLayout *l, const Problem *p, Py_ssize_t width, Py_ssize_t *at) noexcept nogil:
    """A chunk of channels that fill their vectors, and those of the last vector, which need not; or all of planes."""
    cdef Py_ssize_t c, t, taps = p.r * p.s, first = 0, columns
    while l.tiling.in_planes and first < p.s:
        columns = min(l.lanes, p.s - first)
        for t in range(p.c * p.r):
            for c in range(columns):
                at[t * p.s + first + c] = (first * p.c * p.r + t * columns + c) * width
        first += columns
    if l.tiling.in_planes:
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


cdef inline bint lies_turned(const Problem *p) noexcept nogil:
    """Filters in memory as [c][k][r][s] without gaps between r and s, taps forwards or backwards; between filters there
    may be the taps of a volume's other planes."""
    cdef Py_ssize_t step = p.ws if p.s > 1 else p.wr, taps = p.r * p.s
    return (p.groups == 1 and p.own == p.c and p.wk >= taps and p.wc >= p.k * p.wk and (p.wk == 1 or taps > 1)
            and (taps == 1 or ((step == 1 or step == -1) and (p.r == 1 or p.s == 1 or p.wr == p.s * step))))


cdef void pack_turned(const DirectLayout *l, const Problem *p, const floating *w, Py_ssize_t filters,
                      floating *b) noexcept nogil:
    """pack_panel, of filters that lie so. Where there are fewer taps than lanes the loads reach into the next filter,
    and what comes of that goes behind B."""
    cdef Py_ssize_t taps = p.r * p.s, width = ceildiv(filters, l.lanes) * l.lanes, behind = p.own * taps * width
    cdef Py_ssize_t c, k, t, have, first, reach, i, lines
    cdef bint backwards = taps > 1 and (p.ws if p.s > 1 else p.wr) < 0
    cdef Py_ssize_t before = (w - <const floating *>p.weights) // p.wk    # filters of other panels
    cdef Py_ssize_t rows[FC_MAX_LANES]
    cdef Py_ssize_t at[TURNED_TAPS]
    if backwards:
        w -= taps - 1
    for i in range(l.lanes):
        rows[i] = i * p.wk
    for t in range(taps, l.lanes):
        at[t] = behind
    lines = filters * taps * <Py_ssize_t>sizeof(floating) // LINE + 1
    for c in range(p.own):
        if c + max(2, LINES_AHEAD // lines) < p.own:
            for i in range(lines):
                prefetch(<const char *>(w + (c + max(2, LINES_AHEAD // lines)) * p.wc) + i * LINE)
        first = c // l.lanes * l.lanes
        i = min(l.lanes, p.own - first)
        for t in range(taps):
            at[taps - 1 - t if backwards else t] = (first * taps + t * i + c - first) * width
        for k in range(width // l.lanes):
            have = min(l.lanes, filters - k * l.lanes)
            i = k * l.lanes
            if taps == 1 and have == l.lanes:
                memcpy(b + at[0] + i, w + c * p.wc + i, l.lanes * sizeof(floating))
                continue
            reach = max(taps, l.lanes)
            if (p.own - 1 - c) * p.wc + (p.k - before - i - have) * p.wk + taps < reach:
                reach = taps    # the last filters of the last channels have not as much behind them
            to_lanes(w + c * p.wc + i * p.wk, rows, <int>have, reach, b + i, at)


cdef void pack_panel(const DirectLayout *l, const Problem *p, const floating *w, Py_ssize_t filters,
                     const Py_ssize_t *at, floating *b) noexcept nogil:
    """B of one panel of at most `width` filters, the first at w."""
    cdef Py_ssize_t vectors = ceildiv(filters, l.lanes), width = vectors * l.lanes
    cdef Py_ssize_t v, k, c, n, i, r, s, taps = p.r * p.s, whole = p.own // l.lanes * l.lanes
    cdef Py_ssize_t rows[FC_MAX_LANES]
    cdef const Py_ssize_t *places
    cdef int have
    if not l.tiling.in_planes and taps <= TURNED_TAPS and not lie_in_order(p) and lies_turned(p):
        pack_turned(l, p, w, filters, b)
        return
    if vectors < l.vectors:
        at += l.at_size
    for v in range(vectors):
        k = v * l.lanes
        have = <int>min(l.lanes, filters - k)
        for i in range(have):
            rows[i] = (k + i) * p.wk
        if l.tiling.in_planes and lie_in_order(p):
            to_lanes(w, rows, have, p.c * taps, b + k, at)
            continue
        if lie_in_order(p) or (taps > 1 and taps_in_order(p) and not l.tiling.in_planes):
            c = 0
            while c < p.own:
                n = min(l.chunk, whole - c) if c < whole else p.own - c
                places = at if c < whole else at + l.chunk * taps
                if lie_in_order(p):
                    to_lanes(w + c * p.wc, rows, have, n * taps, b + c * taps * width + k, places)
                else:
                    for i in range(n):
                        to_lanes(w + (c + i) * p.wc, rows, have, taps, b + c * taps * width + k, places + i * taps)
                c += n
            continue
        for c in range(p.own):
            for r in range(p.r):
                for s in range(p.s):
                    if l.tiling.in_planes:
                        i = place(l.lanes, p.s, p.c * p.r, s, c * p.r + r)
                    else:
                        i = place(l.lanes, p.own, taps, c, r * p.s + s)
                    gather_tap(w + k * p.wk + c * p.wc + r * p.wr + s * p.ws, p.wk, have, l.lanes, b + i * width + k)
