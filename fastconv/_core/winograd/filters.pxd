"""The filters of Winograd's algorithm transformed: see winograd_filters.pyx."""
from cython cimport floating

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem
from fastconv._core.winograd.layout cimport Layout


cdef inline bint lies_as_it_is(const Problem *g) noexcept nogil:
    """Filters in memory as [k][c][r][s], channels and taps without gaps."""
    return g.ws == 1 and g.wr == g.s and g.wc == g.r * g.s


cdef void pack_panel(const Layout *l, const Problem *g, const floating *w, Py_ssize_t group, Py_ssize_t first,
                     const Py_ssize_t *at, floating *weights, floating *u) noexcept nogil
cdef void pack_panels(const Layout *l, const Problem *g, const floating *w, const Py_ssize_t *at, Py_ssize_t first,
                      Py_ssize_t last, floating *weights, floating *u) noexcept nogil
cdef void place_weights(const Layout *l, Py_ssize_t *at) noexcept nogil
cdef Problem problem_of(Convolution conv) noexcept
cdef Py_ssize_t prepared_bytes(Convolution conv) noexcept
