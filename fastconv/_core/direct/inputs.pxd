"""X of the driver with channels in the lanes: see inputs.pyx."""
from cython cimport floating

from fastconv._core.direct.layout cimport DirectLayout
from fastconv._core.problem.blocks cimport PixelBlock
from fastconv._core.problem.problem cimport Problem

cdef Py_ssize_t fill_steps(const Problem *p, const DirectLayout *l, const PixelBlock *block) noexcept nogil
cdef void fill_input(const Problem *p, const DirectLayout *l, const PixelBlock *block, Py_ssize_t step,
                     const Py_ssize_t *at, const floating *x, floating *dst) noexcept nogil
