"""Filters with output channels in the lanes: see filters.pyx."""
from cython cimport floating

from fastconv._core.direct.layout cimport DirectLayout
from fastconv._core.problem.problem cimport Problem

cdef void place_weights(const DirectLayout *l, const Problem *p, Py_ssize_t *at) noexcept nogil
cdef void pack_panel(const DirectLayout *l, const Problem *p, const floating *w, Py_ssize_t filters,
                     const Py_ssize_t *at, floating *b) noexcept nogil
