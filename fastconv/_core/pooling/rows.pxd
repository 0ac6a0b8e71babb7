"""Averages and maxima of windows of few rows: see rows.pyx."""
from cython cimport floating

from fastconv._core.pooling.problem cimport PoolProblem

cdef bint reads_rows(const PoolProblem *g) noexcept
cdef Py_ssize_t rows_scratch(const PoolProblem *g, bint average) noexcept nogil
cdef void begin_rows(const PoolProblem *g, floating *scratch, bint average) noexcept nogil
cdef void rows_of_outputs(const PoolProblem *g, Py_ssize_t first, Py_ssize_t count, const floating *x, floating *y,
                          floating *scratch, bint average) noexcept nogil
