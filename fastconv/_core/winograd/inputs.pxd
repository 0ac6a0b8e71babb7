"""The inputs of Winograd's algorithm transformed: see inputs.pyx."""
from cython cimport floating

from fastconv._core.problem.problem cimport Problem, ceildiv
from fastconv._core.winograd.layout cimport WinogradBlock, WinogradLayout


cdef inline Py_ssize_t piece_of(const WinogradLayout *l, Py_ssize_t strip) noexcept nogil:
    """Strips of a piece lie one under the other in one image, so they have a band in common."""
    return strip // l.tile_rows * l.pieces + strip % l.tile_rows // l.piece_strips


cdef inline Py_ssize_t input_units(const WinogradLayout *l, const WinogradBlock *block) noexcept nogil:
    """Into how many units the transform of a block's inputs is cut."""
    return (piece_of(l, block.last - 1) + 1 - piece_of(l, block.first)) * ceildiv(l.vectors, l.vectors_at_once)


cdef void place_inputs(const WinogradLayout *l, const Problem *g, Py_ssize_t *at) noexcept nogil
cdef void place_tiles(const WinogradLayout *l, WinogradBlock *block) noexcept nogil
cdef void transform_inputs(const WinogradLayout *l, const Problem *g, const WinogradBlock *block, Py_ssize_t unit,
                           floating *scratch) noexcept nogil
