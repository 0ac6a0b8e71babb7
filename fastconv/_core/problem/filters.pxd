"""How filters lie in memory. Drivers that find them as [k][c][r][s] read runs of them;
with any other strides, as views and a data gradient's turned filters have, they gather them tap by tap."""
from cython cimport floating
from libc.math cimport isfinite

from fastconv._core.problem.problem cimport Problem
from fastconv._core.runtime.isa cimport sum_of_run


cdef inline bint taps_in_order(const Problem *p) noexcept nogil:
    """Whether the taps of a channel follow each other without gaps, as [r][s]."""
    return (p.s == 1 or p.ws == 1) and (p.r == 1 or p.wr == p.s)


cdef inline bint lie_in_order(const Problem *p) noexcept nogil:
    """Whether channels and taps of a filter follow each other without gaps, as [c][r][s]; channels of volumes do not,
    the taps of the other planes are between them."""
    return taps_in_order(p) and (p.own == 1 or p.wc == p.r * p.s)


cdef inline void gather_tap(const floating *w, Py_ssize_t filter, Py_ssize_t filters, Py_ssize_t width,
                            floating *dst) noexcept nogil:
    """One weight of each of so many filters, `filter` elements apart, to dst; behind them up to width zeros."""
    cdef Py_ssize_t i
    for i in range(filters):
        dst[i] = w[i * filter]
    for i in range(filters, width):
        dst[i] = 0


cdef inline bint are_finite(const floating *w, Py_ssize_t n) noexcept nogil:
    """Whether so many weights are, which make NaN of zeros else. False alarms, of sums that are too large, only take
    time."""
    return isfinite(sum_of_run(w, n))
