"""B of the data gradient of all phases, a panel at a time:
B[phase][vector of filters][tap][filter][vectors of the panel].

Weights lie as [filter][channel][tap]. The taps of a vector of channels are transposed in registers; where there are
fewer taps than lanes the loads reach into the next channels, and what comes of that goes to a place behind B.
"""

from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.direct.phased_layout cimport PhasedLayout, width_of
from fastconv._core.problem.problem cimport Problem
from fastconv._core.runtime.isa cimport to_lanes
from fastconv._core.runtime.kernels cimport FC_MAX_LANES

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *address) noexcept nogil

cdef enum:
    LINE = 64    # bytes of a line of the caches
    AHEAD = 2    # filters whose weights are fetched before they are packed


cdef inline bint taps_follow(const Problem *g) noexcept nogil:
    """Whether the taps of a channel follow each other in memory, channels these, and filters these."""
    cdef Py_ssize_t taps = g.r * g.s
    return (g.s == 1 or g.ws == 1) and (g.r == 1 or g.wr == g.s) and (g.k == 1 or g.wk == taps) and g.wc >= g.k * taps


cdef void pack_vector(const PhasedCall *call, const floating *w, int channels, Py_ssize_t reach, const Py_ssize_t *at,
                      floating *b) noexcept nogil:
    """All taps of one filter and at most a vector of channels, from each of whose firsts `reach` may be read."""
    cdef const Problem *g = call.g
    cdef Py_ssize_t taps = g.r * g.s, lanes = call.l.lanes, t, i
    cdef Py_ssize_t rows[FC_MAX_LANES]
    cdef const floating *src
    if taps == 1 and g.wk == 1 and channels == lanes:
        memcpy(b + at[0], w, lanes * sizeof(floating))
        return
    if reach > 0:
        for i in range(channels):
            rows[i] = i * g.wk
        to_lanes(w, rows, channels, reach, b, at)
        return
    for t in range(taps):
        src = w + t // g.s * g.wr + t % g.s * g.ws
        for i in range(channels):
            b[at[t] + i] = src[i * g.wk]
        for i in range(channels, lanes):
            b[at[t] + i] = 0


cdef void pack_phases(const PhasedCall *call, Py_ssize_t panel, Py_ssize_t *at, floating *b) noexcept nogil:
    """B of one panel. at: room for a number for each tap, or for each lane if these are more."""
    cdef const PhasedLayout *l = call.l
    cdef const Problem *g = call.g
    cdef const Py_ssize_t *place
    cdef const floating *w = <const floating *>g.weights + panel * l.width * g.wk
    cdef Py_ssize_t taps = g.r * g.s, before = panel * l.width, width = width_of(call, panel)
    cdef Py_ssize_t channels = min(l.width, g.k - before), behind = g.c * l.taps * width
    cdef Py_ssize_t first, have, c, v, t, i, q, reach
    cdef bint follow = taps_follow(g)
    cdef int of_vector
    for t in range(taps, l.lanes):
        at[t] = behind
    for q in range(l.vectors):
        first = q * l.lanes
        have = min(l.lanes, g.c - first)
        for t in range(taps):
            place = call.places + 3 * t
            at[t] = behind if place[0] < 0 else (place[0] * g.c + place[2] * first + place[1] * have) * width
        for c in range(have):
            if follow and first + c + AHEAD < g.c:    # filters are too far apart for the hardware to see it
                for i in range(channels * taps * <Py_ssize_t>sizeof(floating) // LINE):
                    prefetch(<const char *>(w + (first + c + AHEAD) * g.wc) + i * LINE)
            for i in range(width // l.lanes):
                v = i * l.lanes
                of_vector = <int>min(l.lanes, channels - v)
                reach = 0
                if follow:
                    reach = max(taps, l.lanes)
                    if (g.c - 1 - first - c) * g.wc + (g.k - before - v - of_vector + 1) * taps < reach:
                        reach = taps    # the last channels of the last filters have not as much behind them
                pack_vector(call, w + (first + c) * g.wc + v * g.wk, of_vector, reach, at, b + c * width + v)
