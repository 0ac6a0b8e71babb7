"""The products of Winograd's algorithm: see products.pyx."""
from cython cimport floating

from fastconv._core.winograd.layout cimport WinogradLayout

cdef void multiply(const WinogradLayout *l, Py_ssize_t n_tiles, Py_ssize_t channels, const floating *v,
                   const floating *u, floating *m, const floating *next_weights) noexcept nogil
