"""The outputs of Winograd's algorithm, transformed back: see outputs.pyx."""
from cython cimport floating

from fastconv._core.problem.problem cimport Problem
from fastconv._core.winograd.layout cimport WinogradBlock, WinogradLayout

cdef void place_bias(const WinogradLayout *l, const Problem *g, floating *bias) noexcept nogil
cdef void transform_outputs(const WinogradLayout *l, const Problem *g, const WinogradBlock *block, Py_ssize_t panel,
                            floating *scratch) noexcept nogil
