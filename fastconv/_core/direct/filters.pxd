"""Filters with output channels in the lanes: see filters.pyx."""
from cython cimport floating

from fastconv._core.direct.layout cimport DirectLayout
from fastconv._core.problem.problem cimport Problem

cdef void place_weights(const DirectLayout *l, const Problem *p, Py_ssize_t *at) noexcept nogil
cdef void pack_panel(const DirectLayout *l, const Problem *p, const floating *w, Py_ssize_t filters,
                     const Py_ssize_t *at, floating *b) noexcept nogil


cdef inline bint lies_as_it_is(const Problem *p) noexcept nogil:
    """Filters in memory as [k][c][r][s], channels and taps without gaps."""
    return p.wc == p.r * p.s and (p.wc == 1 or (p.ws == 1 and p.wr == p.s))
