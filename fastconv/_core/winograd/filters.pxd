"""The filters of Winograd's algorithm transformed: see filters.pyx."""
from cython cimport floating

from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem
from fastconv._core.winograd.layout cimport WinogradLayout


cdef void place_taps(const WinogradLayout *l, Py_ssize_t *at) noexcept nogil
cdef void transform_panel(const WinogradLayout *l, const Problem *g, Py_ssize_t panel, floating *weights,
                          floating *u) noexcept nogil
cdef void transform_panels(const WinogradLayout *l, const Problem *g, Py_ssize_t first, Py_ssize_t last,
                           floating *weights, floating *u) noexcept nogil
cdef Py_ssize_t prepared_bytes(Convolution conv) noexcept
