"""Maxima of windows of few rows: see rows.pyx."""
from cython cimport floating

from fastconv._core.pooling.problem cimport PoolProblem

cdef bint reads_rows(const PoolProblem *g) noexcept
cdef Py_ssize_t row_size(const PoolProblem *g) noexcept nogil
cdef void maxima_of_rows(const PoolProblem *g, Py_ssize_t first, Py_ssize_t count, const floating *x, floating *y,
                         floating *scratch) noexcept nogil
